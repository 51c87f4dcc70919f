// Package partial is the format in which results of some rows travel to where
// they are merged with those of others: sums, counts, scans. docs/partial.md
// describes it byte by byte.
//
// A partial result is
//
//	magic "zlpr", kind, format version, specification, body, CRC-32C
//
// and its body is numbers one after another, without names: what writes a body
// and what reads it stand side by side in the package whose results they are.
package partial

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// A Kind is what a partial result is of.
type Kind byte

const (
	Total       Kind = 1 + iota // zlpr.Total
	Exponential                 // zlpr.Accumulator
	Metrics                     // metrics.Accumulator
	Tuner                       // metrics.Tuner
	Labels                      // metrics.LabelScan
	Scan                        // a file of zlpr scan
	Evaluation                  // a file of zlpr eval --partial
	Bins                        // score bins
	Calibration                 // calibration
	Shares                      // metrics.GradientShares
	CrossTuner                  // metrics.CrossTuner
)

var kinds = [...]string{Total: "a total of losses", Exponential: "a sum of exponentials", Metrics: "an accumulator of metrics",
	Tuner: "a tuner", Labels: "a count of labels", Scan: "a scan of labels", Evaluation: "a partial evaluation", Bins: "score bins",
	Calibration: "a calibration", Shares: "shares of a gradient", CrossTuner: "a cross-fitting tuner"}

func (k Kind) String() string {
	if int(k) < len(kinds) && kinds[k] != "" {
		return kinds[k]
	}
	return fmt.Sprintf("results of kind %d", byte(k))
}

// Version is that of the format. Later programs read all earlier ones.
const Version = 1

// Specification is the number of what the kernels compute, to the bit. It is
// raised whenever a recorded hash of a kernel changes: results of two
// specifications are not parts of one.
const Specification = 11

const (
	magic  = "zlpr"
	header = len(magic) + 1 + 2 + 4 // kind, version, specification
	footer = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A Writer makes a partial result.
type Writer struct{ b []byte }

// NewWriter begins a partial result.
func NewWriter(k Kind) *Writer {
	b := append(make([]byte, 0, 1024), magic...)
	b = append(b, byte(k))
	b = binary.LittleEndian.AppendUint16(b, Version)
	return &Writer{binary.LittleEndian.AppendUint32(b, Specification)}
}

// Bytes ends the partial result and returns it.
func (w *Writer) Bytes() []byte {
	return binary.LittleEndian.AppendUint32(w.b, crc32.Checksum(w.b, castagnoli))
}

// Uint writes an unsigned number in seven bits a byte, the lowest first.
func (w *Writer) Uint(x uint64) { w.b = binary.AppendUvarint(w.b, x) }

// Count writes a number of at least 0.
func (w *Writer) Count(n int) { w.Uint(uint64(n)) }

// Int writes a number as Uint does, of the sign in the lowest bit.
func (w *Writer) Int(x int64) { w.b = binary.AppendVarint(w.b, x) }

// Word writes eight bytes, the lowest first.
func (w *Writer) Word(x uint64) { w.b = binary.LittleEndian.AppendUint64(w.b, x) }

// Float writes the bits of a float64.
func (w *Writer) Float(x float64) { w.Word(math.Float64bits(x)) }

// Float32 writes the bits of a float32.
func (w *Writer) Float32(x float32) {
	w.b = binary.LittleEndian.AppendUint32(w.b, math.Float32bits(x))
}

// Bool writes a byte, 0 or 1.
func (w *Writer) Bool(x bool) {
	var b byte
	if x {
		b = 1
	}
	w.b = append(w.b, b)
}

// Text writes a length and so many bytes.
func (w *Writer) Text(s string) {
	w.Count(len(s))
	w.b = append(w.b, s...)
}

// Block writes a length and so many bytes: a partial result within another.
func (w *Writer) Block(b []byte) {
	w.Count(len(b))
	w.b = append(w.b, b...)
}

// A Reader reads a partial result. After an error all that it reads is zero.
type Reader struct {
	b   []byte
	err error
}

var errDamaged = errors.New("damaged: its bytes are not those of a partial result")

// NewReader returns a reader of the body of a partial result of that kind.
func NewReader(data []byte, want Kind) (*Reader, error) {
	kind, err := KindOf(data)
	switch {
	case err != nil:
		return nil, err
	case kind != want:
		return nil, fmt.Errorf("%v, not %v", kind, want)
	}
	return &Reader{b: data[header : len(data)-footer]}, nil
}

// Is reports whether data begins as a partial result does.
func Is(data []byte) bool { return len(data) >= len(magic) && string(data[:len(magic)]) == magic }

// KindOf checks the head and the checksum of a partial result and returns its kind.
func KindOf(data []byte) (Kind, error) {
	n := len(data) - footer
	switch {
	case !Is(data):
		return 0, errors.New("no partial result of zlpr")
	case n < header:
		return 0, errors.New("a partial result that was cut off")
	}
	version := binary.LittleEndian.Uint16(data[len(magic)+1:])
	specification := binary.LittleEndian.Uint32(data[len(magic)+3:])
	switch {
	case version > Version:
		return 0, fmt.Errorf("format version %d, newer than this program, which reads up to version %d; use a newer zlpr", version, Version)
	case binary.LittleEndian.Uint32(data[n:]) != crc32.Checksum(data[:n], castagnoli):
		return 0, errors.New("a partial result that was cut off or damaged: its checksum is wrong")
	case version < 1:
		return 0, errDamaged
	case specification != Specification:
		return 0, fmt.Errorf("computed by specification %d of the kernels, this program has specification %d; evaluate it again by one zlpr for all", specification, Specification)
	}
	return Kind(data[len(magic)]), nil
}

// End returns the first error, which it is too if something is left.
func (r *Reader) End() error {
	if r.err == nil && len(r.b) > 0 {
		r.err = errDamaged
	}
	return r.err
}

// Fail is what the caller calls where numbers do not go together.
func (r *Reader) Fail() {
	if r.err == nil {
		r.err = errDamaged
	}
	r.b = nil
}

// Check fails unless ok, and returns whether nothing failed.
func (r *Reader) Check(ok bool) bool {
	if !ok {
		r.Fail()
	}
	return r.err == nil
}

// take returns the next n bytes, nil after an error.
func (r *Reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.Fail()
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

// Uint reads an unsigned number.
func (r *Reader) Uint() uint64 {
	x, n := binary.Uvarint(r.b)
	if n <= 0 || n > 1 && r.b[n-1] == 0 { // one spelling a number
		r.Fail()
		return 0
	}
	r.b = r.b[n:]
	return x
}

// Int reads a number with a sign.
func (r *Reader) Int() int64 {
	x := r.Uint()
	return int64(x>>1) ^ -int64(x&1)
}

// Count reads a number of at least 0 that fits into an int.
func (r *Reader) Count() int {
	x := r.Uint()
	if x > math.MaxInt {
		r.Fail()
		return 0
	}
	return int(x)
}

// Length reads the length of a list whose elements take at least size bytes
// each: so many are left. Memory for it is at most so many times what is read.
func (r *Reader) Length(size int) int {
	n := r.Count()
	if !r.Fits(n, size) {
		return 0
	}
	return n
}

// Fits fails, and returns false, unless n elements of at least size bytes are left.
// Those of no bytes always are.
func (r *Reader) Fits(n, size int) bool {
	return r.Check(n >= 0 && (size == 0 || n <= len(r.b)/size))
}

// More reports whether there is more in the body.
func (r *Reader) More() bool { return len(r.b) > 0 }

// Word reads eight bytes.
func (r *Reader) Word() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// Float reads a float64.
func (r *Reader) Float() float64 { return math.Float64frombits(r.Word()) }

// Float32 reads a float32.
func (r *Reader) Float32() float32 {
	if b := r.take(4); b != nil {
		return math.Float32frombits(binary.LittleEndian.Uint32(b))
	}
	return 0
}

// Bool reads a byte that is 0 or 1.
func (r *Reader) Bool() bool {
	b := r.take(1)
	return r.Check(b != nil && b[0] <= 1) && b[0] == 1
}

// Text reads a text.
func (r *Reader) Text() string { return string(r.Block()) }

// Block reads a length and so many bytes, where they lie.
func (r *Reader) Block() []byte { return r.take(r.Count()) }
