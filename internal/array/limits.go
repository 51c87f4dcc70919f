package array

import (
	"errors"
	"fmt"
	"math"
)

// What a file may make us keep in memory. Everything else is mapped, read as a
// stream, or goes to a temporary file as it is read.
const (
	maxHeader    = 64 << 10  // bytes of the header of an .npy or a safetensors file
	maxAxes      = 64        // as numpy has it
	maxField     = 64 << 10  // bytes of a number or a name in text
	maxLine      = 256 << 20 // bytes of a line of text
	maxDirectory = 8 << 20   // bytes of an archive's directory
	maxPickle    = 2 << 20   // bytes of the pickle of a torch file
	maxValues    = 1 << 19   // values that it makes, and places where they are
	maxNesting   = 64        // lists and dictionaries within one another
	smallWindow  = 8 << 20   // bytes of what zstd looks back, in any case
	maxWindow    = 128 << 20 // of a file that is not 64 times smaller
	spillSize    = 8 << 20   // bytes of data that wait for a temporary file

	// Free is the number of elements that need no justification.
	Free = 1 << 22
)

// Justified reports whether a file of some entries may make us keep so many
// elements of them: a few million in any case, beyond that 256 for each entry,
// and never more than an index holds.
func Justified(elements, entries float64) bool {
	return elements <= Free || elements <= 256*entries && elements < math.MaxInt32
}

// toInt returns a size in a file as an int, which on some machines has 32 bits.
func toInt(n int64) (int, error) {
	if n < 0 || int64(int(n)) != n {
		return 0, fmt.Errorf("%s are more than this machine can address", Counted(n, "byte"))
	}
	return int(n), nil
}

var errNUL = errors.New("a NUL byte: this is no text")
