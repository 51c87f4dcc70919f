package array

import (
	"errors"
	"fmt"
	"io"
)

// A Stream is an array that is read once, a block after another, and never as a
// whole: an .npy file or a tensor that comes from a pipe or from a store. Memory is
// that of a block.
type Stream struct {
	Name  string // for messages
	Type  DType
	Shape []int

	h    header
	data *segment
	left int // elements
}

var errText = errors.New("text, which is not read as a stream; write it with numpy.save")

// Stream returns the array that an input is or, if it is a file of tensors, has
// under that key; the only one needs no key. It is read from the input, which is to
// be closed afterwards.
func (in *Input) Stream(key string) (*Stream, error) {
	switch in.Format {
	case Safetensors:
		f, err := in.safetensors()
		if err != nil {
			return nil, err
		}
		if key, err = only(f, in.Name, key); err != nil {
			return nil, err
		}
		t, name, err := f.tensor(key)
		if err != nil {
			return nil, err
		}
		return newStream(name, &t.header, f.segment(t), nil)
	case NPY:
		if err := in.NoKey(key); err != nil {
			return nil, err
		}
		h, err := readHeader(in)
		if err != nil {
			return nil, Named(in.Name, err)
		}
		return newStream(in.Name, &h, h.segment(in), in.Raw)
	case Text:
		return nil, Named(in.Name, errText)
	}
	return nil, Named(in.Name, ErrArchive)
}

func newStream(name string, h *header, data *segment, raw *Raw) (*Stream, error) {
	as := &Array{Type: h.dtype}
	if err := as.resolve(raw); err != nil {
		return nil, Named(name, err)
	}
	long := 0
	for _, n := range h.shape {
		if n > 1 {
			long++
		}
	}
	if h.fortran && long > 1 {
		return nil, Faultf(name, "an array of %s in Fortran order, which is not read as a stream; write it with numpy.save of numpy.ascontiguousarray", ShapeString(h.shape))
	}
	return &Stream{Name: name, Type: as.Type, Shape: h.shape, h: *h, data: data, left: product(h.shape)}, nil
}

// Part is the array of the elements from to to-1 of one that is in one file, along one
// axis. It is closed with the array.
func (a *Array) Part(from, to int) *Array {
	return &Array{Name: a.Name, Type: a.Type, Shape: []int{to - from}, data: a.bytes(from, to)}
}

// Rows returns the number of rows and columns, as Array.Rows does.
func (s *Stream) Rows() (rows, cols int) { return (&Array{Shape: s.Shape}).Rows() }

// Describe returns the type and the shape, for messages.
func (s *Stream) Describe() string { return fmt.Sprintf("%s %s", s.Type, ShapeString(s.Shape)) }

// readSize is how many bytes are read before memory for more is taken: a header
// may lie.
const readSize = 1 << 20

// Read makes b the array of the next n elements, in the memory that it has if that
// is enough. Those that end the array are there only if the file ends where its
// header says; of an array without elements, none are read to find that out.
func (s *Stream) Read(b *Array, n int) error {
	if n < 0 || n > s.left {
		panic(fmt.Sprintf("array: %d elements of the last %d", n, s.left))
	}
	size := n * s.Type.Size()
	data := b.data[:0]
	for len(data) < size {
		have := len(data)
		if next := min(size, max(cap(data), 2*have, readSize)); next > cap(data) {
			data = append(make([]byte, 0, next), data...)
		}
		data = data[:min(size, cap(data))]
		if _, err := io.ReadFull(s.data, data[have:]); err != nil {
			return Named(s.Name, err)
		}
	}
	if s.left -= n; s.left == 0 {
		if err := s.data.end(); err != io.EOF {
			return Named(s.Name, err)
		}
	}
	*b = Array{Name: s.Name, Type: s.Type, Shape: []int{n}, data: reversed(data, &s.h, s.Type.Size())}
	return nil
}
