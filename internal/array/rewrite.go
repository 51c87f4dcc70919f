package array

import "slices"

// rewrite replaces the data, as the header h describes them, by little-endian
// ones in C order: in memory, or in a temporary file where they are long.
func (a *Array) rewrite(h *header) error {
	s := spill{name: a.Name}
	defer s.discard()
	size, from := h.dtype.Size(), a.data
	place := newPlaces(h)
	block := make([]byte, 0, min(product(h.shape)*size, 1<<20/size*size))
	for range product(h.shape) {
		at := place.next() * size
		block = append(block, from[at:at+size]...)
		if len(block) == cap(block) {
			if _, err := s.Write(reversed(block, h, size)); err != nil {
				return err
			}
			block = block[:0]
		}
	}
	if _, err := s.Write(reversed(block, h, size)); err != nil {
		return err
	}
	b, unmap, err := s.bytes()
	if err != nil {
		return err
	}
	if unmap != nil {
		a.close = append(a.close, unmap)
	}
	a.data, a.mapped = b, false
	return nil
}

// reversed turns the bytes of every element round, in place, if h says that
// they are big-endian.
func reversed(b []byte, h *header, size int) []byte {
	if h.bigEndian {
		swapBytes(b, size)
	}
	return b
}

// swapBytes turns the bytes of every element round, in place.
func swapBytes(b []byte, size int) {
	for i := 0; i < len(b); i += size {
		slices.Reverse(b[i : i+size])
	}
}

// places are the places of the elements in the file, in C order.
type places struct {
	shape, stride, index []int
	at                   int
}

func newPlaces(h *header) *places {
	p := &places{shape: h.shape, stride: make([]int, len(h.shape)), index: make([]int, len(h.shape))}
	if h.strides != nil {
		copy(p.stride, h.strides)
		return p
	}
	stride := 1
	for k := range h.shape {
		axis := len(h.shape) - 1 - k // the last is the fastest, or the first
		if h.fortran {
			axis = k
		}
		p.stride[axis] = stride
		stride *= h.shape[axis]
	}
	return p
}

// next returns the place of an element and goes on to the next one.
func (p *places) next() int {
	at := p.at
	for axis := len(p.shape) - 1; axis >= 0; axis-- {
		p.index[axis]++
		p.at += p.stride[axis]
		if p.index[axis] < p.shape[axis] {
			break
		}
		p.at -= p.stride[axis] * p.shape[axis]
		p.index[axis] = 0
	}
	return at
}
