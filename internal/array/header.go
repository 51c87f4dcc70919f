package array

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// A header is the beginning of an .npy file: the magic string, the version, the
// length of the dictionary and the dictionary, padded with spaces so that the
// data begin at a multiple of 64 bytes (numpy's format, versions 1 to 3).
type header struct {
	dtype     DType
	bigEndian bool
	fortran   bool
	shape     []int
	size      int // of the header in bytes
}

const magic = "\x93NUMPY"

var (
	descrField   = regexp.MustCompile(`['"]descr['"]\s*:\s*(\[|['"]([^'"]*)['"])`)
	fortranField = regexp.MustCompile(`['"]fortran_order['"]\s*:\s*(True|False)`)
	shapeField   = regexp.MustCompile(`['"]shape['"]\s*:\s*\(([^)]*)\)`)
)

var errHeader = errors.New("damaged .npy header; write the file again with numpy.save")

func parseHeader(b []byte) (header, error) {
	var h header
	if len(b) < 10 || string(b[:6]) != magic {
		return h, errors.New("not an .npy file: it does not begin with \\x93NUMPY")
	}
	var length, at int
	switch b[6] {
	case 1:
		length, at = int(binary.LittleEndian.Uint16(b[8:])), 10
	case 2, 3:
		if len(b) < 12 {
			return h, errHeader
		}
		length, at = int(binary.LittleEndian.Uint32(b[8:])), 12
	default:
		return h, fmt.Errorf(".npy format version %d.%d is unknown", b[6], b[7])
	}
	if length > len(b)-at {
		return h, errHeader
	}
	h.size = at + length
	dict := b[at:h.size]
	d, f, s := descrField.FindSubmatch(dict), fortranField.FindSubmatch(dict), shapeField.FindSubmatch(dict)
	if d == nil || f == nil || s == nil {
		return h, errHeader
	}
	var ok bool
	if h.dtype, h.bigEndian, ok = parseDescr(string(d[2])); !ok {
		name := string(d[2])
		if string(d[1]) == "[" {
			name = "of records"
		}
		return h, fmt.Errorf("array type %s is not supported; use bool, an integer or a float type", name)
	}
	h.fortran = string(f[1]) == "True"
	count := 1
	for _, field := range strings.Split(string(s[1]), ",") {
		field = strings.TrimSuffix(strings.TrimSpace(field), "L")
		if field == "" {
			continue
		}
		n, err := strconv.Atoi(field)
		if err != nil || n < 0 || n > 0 && count > math.MaxInt/16/n {
			return h, errHeader
		}
		count *= n
		h.shape = append(h.shape, n)
	}
	return h, nil
}

// format returns the header of a little-endian array in C order.
func format(t DType, shape []int) []byte {
	var s strings.Builder
	for i, n := range shape {
		if i > 0 {
			s.WriteByte(' ')
		}
		fmt.Fprintf(&s, "%d,", n)
	}
	sizes := s.String()
	if len(shape) > 1 {
		sizes = strings.TrimSuffix(sizes, ",")
	}
	dict := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", t.descr(), sizes)
	dict += strings.Repeat(" ", 63-(10+len(dict))%64) + "\n"
	b := append([]byte(magic), 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(dict)))
	return append(b, dict...)
}
