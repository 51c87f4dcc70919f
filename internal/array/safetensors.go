package array

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// A tensorFile is a safetensors file: the length of a header in eight bytes,
// the header, a JSON object that says of every tensor its type, its shape and
// where its data lie, and the data, which follow one another without gaps.
type tensorFile struct {
	in      *Input
	start   int64 // of the data in the file
	size    int64 // of the data
	names   []string
	tensors map[string]tensor
}

// A tensor is what the header says of one.
type tensor struct {
	header
	name       string
	dtype      string // as the file has it
	read       bool   // whether its type is
	begin, end int64  // of the data, from where all data begin
}

// tensorTypes are the types of tensors that are read.
var tensorTypes = map[string]DType{
	"BOOL": Bool, "I8": Int8, "U8": Uint8, "I16": Int16, "U16": Uint16, "I32": Int32, "U32": Uint32, "I64": Int64, "U64": Uint64,
	"F16": Float16, "BF16": BFloat16, "F32": Float32, "F64": Float64,
}

var (
	errTensors        = errors.New("damaged safetensors header; write the file again")
	errNotSafetensors = errors.New("not a safetensors file, or damaged; write it again with safetensors")
)

// isSafetensors reports whether a file that begins so is a safetensors file: no
// text has the NUL bytes of the length.
func isSafetensors(head []byte) bool {
	return len(head) > 8 && head[8] == '{' && binary.LittleEndian.Uint64(head)>>32 == 0
}

// safetensors returns the tensors that an input has.
func (in *Input) safetensors() (*tensorFile, error) {
	f := &tensorFile{in: in, tensors: map[string]tensor{}}
	err := f.readHeader()
	return f, Named(in.Name, err)
}

func (f *tensorFile) readHeader() error {
	var length [8]byte
	if _, err := io.ReadFull(f.in, length[:]); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader {
		return fmt.Errorf("a safetensors header of %s, more than %d; write fewer tensors to a file", Counted(n, "byte"), maxHeader)
	}
	text, err := io.ReadAll(io.LimitReader(f.in, int64(n)))
	if err != nil {
		return err
	}
	if uint64(len(text)) < n {
		return fmt.Errorf("truncated: a header of %s, but only %d are there; write the file again", Counted(n, "byte"), len(text))
	}
	if err := f.parse(text); err != nil {
		return err
	}
	f.start = 8 + int64(n)
	if err := f.place(); err != nil {
		return err
	}
	if f.in.mappable() {
		return f.checkSize(f.in.size - f.start)
	}
	return nil
}

// checkSize compares how much data there are with what the header says.
func (f *tensorFile) checkSize(have int64) error {
	switch {
	case have < f.size:
		return fmt.Errorf("truncated: the header says %s of tensors, but only %d are there; write the file again", Counted(f.size, "byte"), have)
	case have > f.size:
		return errors.New("more bytes follow the tensors that the header describes; write the file again")
	}
	return nil
}

// parse reads the header.
func (f *tensorFile) parse(text []byte) error {
	p := jsonReader{json.NewDecoder(bytes.NewReader(text))}
	p.UseNumber()
	if !p.is('{') {
		return errTensors
	}
	seen := map[string]bool{}
	for p.More() {
		name, ok := p.text()
		if !ok {
			return errTensors
		}
		if seen[name] {
			return fmt.Errorf("two tensors of the name %s; write the file again", Quote(short(name)))
		}
		seen[name] = true
		if name == "__metadata__" {
			if !p.metadata() {
				return errTensors
			}
			continue
		}
		t := tensor{name: name}
		if err := t.parse(&p); err != nil {
			return fmt.Errorf("tensor %s: %w", Quote(short(name)), err)
		}
		f.names = append(f.names, name)
		f.tensors[name] = t
	}
	if !p.is('}') {
		return errTensors
	}
	if _, err := p.Token(); err != io.EOF {
		return errTensors
	}
	return nil
}

// parse reads what the header says of a tensor.
func (t *tensor) parse(p *jsonReader) error {
	if !p.is('{') {
		return errTensors
	}
	seen := map[string]bool{}
	for p.More() {
		key, ok := p.text()
		if !ok || seen[key] {
			return errTensors
		}
		seen[key] = true
		switch key {
		case "dtype":
			if t.dtype, ok = p.text(); !ok {
				return errTensors
			}
			t.header.dtype, t.read = tensorTypes[t.dtype]
		case "shape":
			if t.shape, ok = p.integers(maxAxes); !ok {
				return errTensors
			}
		case "data_offsets":
			at, ok := p.integers(2)
			if !ok || len(at) != 2 || at[1] < at[0] {
				return errTensors
			}
			t.begin, t.end = int64(at[0]), int64(at[1])
		default:
			return errTensors
		}
	}
	if !p.is('}') || len(seen) != 3 {
		return errTensors
	}
	if !t.read {
		return nil // an error where it is opened: its size is not known
	}
	want, err := t.length()
	if err == nil && t.end-t.begin != int64(want) {
		err = fmt.Errorf("%s for %s %s, which takes %d; write the file again", Counted(t.end-t.begin, "byte"), t.header.dtype, ShapeString(t.shape), want)
	}
	return err
}

// place checks that the data of the tensors follow one another.
func (f *tensorFile) place() error {
	list := make([]tensor, 0, len(f.tensors))
	for _, t := range f.tensors {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b tensor) int {
		if a.begin != b.begin {
			return int(min(1, max(-1, a.begin-b.begin)))
		}
		if a.end != b.end {
			return int(min(1, max(-1, a.end-b.end)))
		}
		return strings.Compare(a.name, b.name)
	})
	for i, t := range list {
		switch {
		case t.begin < f.size:
			return fmt.Errorf("the data of %s and %s overlap; write the file again", Quote(short(list[i-1].name)), Quote(short(t.name)))
		case t.begin > f.size:
			return fmt.Errorf("before the data of %s: %s of no tensor; write the file again", Quote(short(t.name)), Counted(t.begin-f.size, "byte"))
		}
		f.size = t.end
	}
	return nil
}

// Keys returns the names of the tensors.
func (f *tensorFile) Keys() []string { return f.names }

// Open opens the tensor of that name. Of a pipe only one can be opened.
func (f *tensorFile) Open(key string) (*Array, error) {
	t, name, err := f.tensor(key)
	if err != nil {
		return nil, err
	}
	var a *Array
	if f.in.mappable() {
		a, err = mapped(name, f.in.file, f.start+t.begin, f.start+t.end, func(a *Array, data []byte) error { return a.take(&t.header, data) })
	} else {
		a, err = f.spool(name, t)
	}
	return a, Named(name, err)
}

// tensor returns the tensor of that name, and how messages call it.
func (f *tensorFile) tensor(key string) (*tensor, string, error) {
	t, ok := f.tensors[key]
	name := f.in.Name + ":" + key
	switch {
	case !ok:
		return nil, "", noArray(f, f.in.Name, key)
	case !t.read:
		return nil, "", Faultf(name, "tensor type %s is not supported; write it as BF16, F16, F32 or F64, or as integers", Quote(short(t.dtype)))
	}
	return &t, name, nil
}

// spool reads a tensor from where the file can be read only once, and the rest
// of the file.
func (f *tensorFile) spool(name string, t *tensor) (*Array, error) {
	s := spill{name: name}
	defer s.discard()
	if _, err := io.Copy(&s, f.segment(t)); err != nil {
		return nil, err
	}
	return s.array(func(a *Array, data []byte) error { return a.take(&t.header, data) })
}

// segment returns the data of a tensor, of a file of which the header was read.
func (f *tensorFile) segment(t *tensor) *segment {
	return &segment{r: f.in, before: t.begin, left: t.end - t.begin, after: f.size - t.end, check: f.checkSize}
}

// A jsonReader reads JSON token by token, so that nothing is kept but what is
// wanted.
type jsonReader struct{ *json.Decoder }

func (p *jsonReader) is(d json.Delim) bool {
	t, err := p.Token()
	return err == nil && t == d
}

func (p *jsonReader) text() (string, bool) {
	t, err := p.Token()
	s, ok := t.(string)
	return s, ok && err == nil
}

// metadata reads an object of strings.
func (p *jsonReader) metadata() bool {
	if !p.is('{') {
		return false
	}
	for p.More() {
		_, key := p.text()
		_, value := p.text()
		if !key || !value {
			return false
		}
	}
	return p.is('}')
}

// integers reads a list of integers of at least 0, at most so many.
func (p *jsonReader) integers(most int) (list []int, ok bool) {
	if !p.is('[') {
		return nil, false
	}
	for p.More() {
		t, err := p.Token()
		number, ok := t.(json.Number)
		if err != nil || !ok || len(list) == most {
			return nil, false
		}
		n, err := strconv.ParseUint(string(number), 10, strconv.IntSize-1)
		if err != nil {
			return nil, false
		}
		list = append(list, int(n))
	}
	return list, p.is(']')
}
