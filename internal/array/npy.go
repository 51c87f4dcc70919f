package array

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
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
	strides   []int // in elements; nil: all elements lie one after another
	size      int   // of the header in bytes
}

const magic = "\x93NUMPY"

var (
	errHeader = errors.New("damaged .npy header; write the file again with numpy.save")
	errNotNPY = errors.New("not an .npy file: it does not begin with \\x93NUMPY")
)

// dictionary returns where the dictionary of a header begins, and its length.
// b is the file or its first 12 bytes.
func dictionary(b []byte) (at, length int, err error) {
	if len(b) < 10 || string(b[:6]) != magic {
		return 0, 0, errNotNPY
	}
	n := uint64(binary.LittleEndian.Uint16(b[8:]))
	switch at = 10; [2]byte(b[6:8]) {
	case [2]byte{1, 0}:
	case [2]byte{2, 0}, [2]byte{3, 0}:
		if at = 12; len(b) < at {
			return 0, 0, errHeader
		}
		n = uint64(binary.LittleEndian.Uint32(b[8:]))
	default:
		return 0, 0, fmt.Errorf(".npy format version %d.%d is unknown; write the file again with numpy.save", b[6], b[7])
	}
	if n > maxHeader {
		return 0, 0, fmt.Errorf("an .npy header of %s, more than %d; write the file again with numpy.save", Counted(n, "byte"), maxHeader)
	}
	return at, int(n), nil
}

// parseHeader reads the header at the beginning of b.
func parseHeader(b []byte) (header, error) {
	at, length, err := dictionary(b)
	if err != nil {
		return header{}, err
	}
	if length > len(b)-at {
		return header{}, errHeader
	}
	return parseDictionary(string(b[at:at+length]), at+length)
}

// parseDictionary reads the Python dictionary of a header: the keys descr,
// fortran_order and shape, each once, in any order.
func parseDictionary(text string, size int) (header, error) {
	h := header{size: size}
	p := literal{text}
	seen := map[string]bool{}
	if !p.token("{") {
		return h, errHeader
	}
	for !p.token("}") {
		key, ok := p.quoted()
		if !ok || !p.token(":") || seen[key] {
			return h, errHeader
		}
		seen[key] = true
		switch key {
		case "descr":
			if err := h.parseType(&p); err != nil {
				return h, err
			}
		case "fortran_order":
			if h.fortran = p.token("True"); !h.fortran && !p.token("False") {
				return h, errHeader
			}
		case "shape":
			if err := h.parseShape(&p); err != nil {
				return h, err
			}
		default:
			return h, errHeader
		}
		if !p.token(",") && !strings.HasPrefix(p.rest(), "}") {
			return h, errHeader
		}
	}
	if len(seen) != 3 || p.rest() != "" {
		return h, errHeader
	}
	if _, err := h.length(); err != nil {
		return h, err
	}
	return h, nil
}

// parseType reads the value of descr.
func (h *header) parseType(p *literal) error {
	if strings.HasPrefix(p.rest(), "[") {
		return errors.New("array type of records is not supported; write one field of it as an array of its own")
	}
	name, ok := p.quoted()
	if !ok {
		return errHeader
	}
	if h.dtype, h.bigEndian, ok = parseDescr(name); ok {
		return nil
	}
	return fmt.Errorf("array type %s is not supported; use bool, an integer or a float type", Quote(short(name)))
}

// parseShape reads the value of shape.
func (h *header) parseShape(p *literal) error {
	if !p.token("(") {
		return errHeader
	}
	for !p.token(")") {
		n, ok := p.integer()
		if !ok || !p.token(",") && !strings.HasPrefix(p.rest(), ")") {
			return errHeader
		}
		if h.shape = append(h.shape, n); len(h.shape) > maxAxes {
			return fmt.Errorf("an array of more than %d axes", maxAxes)
		}
	}
	return nil
}

// length returns the number of bytes of the data.
func (h *header) length() (int, error) {
	count, empty := 1, false
	for _, n := range h.shape {
		if n == 0 {
			empty = true
		} else if count > math.MaxInt/16/n {
			return 0, fmt.Errorf("damaged: an array of shape %s is larger than any file", ShapeString(h.shape))
		} else {
			count *= n
		}
	}
	if empty {
		return 0, nil
	}
	return count * h.dtype.Size(), nil
}

// A literal is Python text that is read from its beginning.
type literal struct{ text string }

func (p *literal) rest() string {
	p.text = strings.TrimLeft(p.text, " \t\n\r")
	return p.text
}

func (p *literal) token(s string) bool {
	after, ok := strings.CutPrefix(p.rest(), s)
	if ok {
		p.text = after
	}
	return ok
}

// quoted reads a string without escapes.
func (p *literal) quoted() (string, bool) {
	for _, quote := range []string{"'", `"`} {
		if p.token(quote) {
			value, rest, ok := strings.Cut(p.text, quote)
			p.text = rest
			return value, ok && !strings.Contains(value, `\`)
		}
	}
	return "", false
}

// integer reads an integer of at least 0, as old versions wrote it too: 3L.
func (p *literal) integer() (int, bool) {
	s := p.rest()
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	n, err := strconv.Atoi(s[:digits])
	p.text = strings.TrimPrefix(s[digits:], "L")
	return n, err == nil
}

// openNPY returns the array that an input is.
func openNPY(in *Input) (*Array, error) {
	if in.mappable() {
		return mapped(in.Name, in.file, 0, in.size, (*Array).interpret)
	}
	return readStream(in.Name, in)
}

// mapped returns the array that lies in a file from start to end; interpret
// says what it is.
func mapped(name string, f *os.File, start, end int64, interpret func(*Array, []byte) error) (*Array, error) {
	data, unmap, err := mapFile(name, f, end)
	if err != nil {
		return nil, err
	}
	a := &Array{Name: name, file: data, start: int(start), mapped: unmap != nil}
	if unmap != nil {
		a.close = append(a.close, unmap)
	}
	if err := interpret(a, data[start:end]); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// interpret takes b as an .npy file.
func (a *Array) interpret(b []byte) error {
	h, err := parseHeader(b)
	if err != nil {
		return err
	}
	want, _ := h.length()
	if err := h.checkLength(int64(want), int64(len(b)-h.size)); err != nil {
		return err
	}
	a.start += h.size
	return a.take(&h, b[h.size:])
}

// checkLength compares the length of the data with what the header says.
func (h *header) checkLength(want, have int64) error {
	what := h.dtype.String() + " " + ShapeString(h.shape)
	switch {
	case have < want:
		return fmt.Errorf("truncated: the header says %s, %s, but only %d are there; write the file again", what, Counted(want, "byte"), have)
	case have > want:
		return fmt.Errorf("more bytes follow the array that the header describes (%s); write the file again", what)
	}
	return nil
}

// take makes a the array of those data, as the header describes them.
func (a *Array) take(h *header, data []byte) error {
	a.Type, a.Shape, a.data = h.dtype, h.shape, data
	if h.bigEndian && h.dtype.Size() > 1 || h.fortran && len(h.shape) > 1 || h.strides != nil && !h.contiguous() {
		return a.rewrite(h)
	}
	a.data = data[:product(h.shape)*h.dtype.Size()]
	return nil
}

// contiguous reports whether the strides are those of C order.
func (h *header) contiguous() bool {
	stride := 1
	for axis := len(h.shape) - 1; axis >= 0; axis-- {
		n := h.shape[axis]
		if n > 1 && h.strides[axis] != stride {
			return product(h.shape) == 0
		}
		stride *= n
	}
	return true
}

// readHeader reads a header, and not a byte beyond it.
func readHeader(r io.Reader) (header, error) {
	b := make([]byte, 12)
	n, err := io.ReadFull(r, b[:10])
	if n == 10 && b[6] > 1 && string(b[:6]) == magic {
		_, err = io.ReadFull(r, b[10:])
		n = 12
	}
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return header{}, err
	}
	at, length, err := dictionary(b[:n])
	if err != nil {
		return header{}, err
	}
	b = append(b[:at], make([]byte, length)...)
	if _, err := io.ReadFull(r, b[at:]); err == io.EOF || err == io.ErrUnexpectedEOF {
		return header{}, errHeader
	} else if err != nil {
		return header{}, err
	}
	return parseHeader(b)
}

// readStream reads an .npy file from where it can be read only once: no more
// than its header says.
func readStream(name string, r io.Reader) (*Array, error) {
	h, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	return readData(name, &h, r)
}

// readData reads the data that follow a header.
func readData(name string, h *header, r io.Reader) (*Array, error) {
	s := spill{name: name}
	defer s.discard()
	if _, err := io.Copy(&s, h.segment(r)); err != nil {
		return nil, err
	}
	return s.array(func(a *Array, data []byte) error { return a.take(h, data) })
}

// segment returns the data that follow a header.
func (h *header) segment(r io.Reader) *segment {
	want, _ := h.length()
	return &segment{r: r, left: int64(want), check: func(have int64) error { return h.checkLength(int64(want), have) }}
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

// isNPY reports whether a file that begins so is an .npy file.
func isNPY(head []byte) bool { return bytes.HasPrefix(head, []byte(magic)) }
