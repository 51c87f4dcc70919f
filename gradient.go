package zlpr

import "github.com/zlpr/zlpr/internal/kernel"

// This file hands out the places of gradients, and brings them to where they
// belong.

// bufferLen is the length of the longest row whose gradient is kept in a buffer.
const bufferLen = 1 << 15

// prepareGradient sets the places and factors of the gradients.
func (w *lossWorker[T]) prepareGradient() {
	j, c := &w.e.job, &w.chunk
	out := j.out
	column := j.b.ThresholdColumn > 0 && out.Grad.Data != nil
	c.grad, c.thresholdGrad = nil, nil
	c.stream = j.stream
	c.buffered = j.stream && w.e.traits.sideCopies && c.n <= bufferLen
	if out.ThresholdGrad != nil || column {
		c.thresholdGrad = kernel.Resize(w.chunk.scratch.thresholdGrad, c.rows)
		w.chunk.scratch.thresholdGrad = c.thresholdGrad
	}
	switch {
	case out.Grad.Data == nil || c.n == 0:
	case out.Accumulate || c.buffered:
		c.grad, c.gradStride = w.buffer(), c.n
	default:
		c.grad, c.gradStride = out.Grad.Data[c.first*out.Grad.Stride:], out.Grad.Stride
	}
	if c.grad == nil && c.thresholdGrad == nil {
		return
	}
	if j.b.RowWeights == nil {
		c.scale = c.uniform.fill(c.scale, j.factor, c.rows)
		return
	}
	c.scale = kernel.Resize(c.scale, (c.rows+7)&^7)
	c.uniform.spoil()
	for i, v := range w.weight {
		if v == 0 {
			v = 1 // the row does not count, and any scale fits
		}
		c.scale[i] = j.factor * v
	}
	for i := c.rows; i < len(c.scale); i++ {
		c.scale[i] = 1
	}
	c.scale = c.scale[:c.rows]
}

// buffer returns a place for the gradients of a chunk; that of the last chunk
// stays as it is.
func (w *lossWorker[T]) buffer() []T {
	w.turn ^= 1
	b := &w.grad[w.turn]
	*b = kernel.ResizeAligned(*b, w.chunk.rows*w.chunk.n)
	return *b
}

// A filled remembers that all elements of a slice, to its capacity, are one
// value.
type filled struct {
	value float64
	valid bool
}

// fill returns x with length n and all elements that value, also those beyond to
// a multiple of 8.
func (f *filled) fill(x []float64, value float64, n int) []float64 {
	room := (n + 7) &^ 7
	if cap(x) < room || !f.valid || f.value != value {
		x = kernel.Resize(x, max(room, cap(x)))
		for i := range x {
			x[i] = value
		}
		*f = filled{value, true}
	}
	return x[:n]
}

// spoil tells that the elements are being written.
func (f *filled) spoil() { f.valid = false }

// writeGradient brings the gradients to their places.
func (w *lossWorker[T]) writeGradient() {
	j, c := &w.e.job, &w.chunk
	out := j.out
	if out.ThresholdGrad != nil {
		for i, g := range c.thresholdGrad {
			if p := &out.ThresholdGrad[c.first+i]; out.Accumulate {
				*p += T(g)
			} else {
				*p = T(g)
			}
		}
	}
	if c.grad == nil {
		return
	}
	if column := j.b.ThresholdColumn - 1; column >= 0 {
		for i, g := range c.thresholdGrad {
			c.grad[i*c.gradStride+column] = T(g)
		}
	}
	if c.buffered {
		c.pending.Finish()
		from := c.first * c.n
		c.pending = kernel.NewCopy(out.Grad.Data[from:][:c.rows*c.n], c.grad)
	}
	if out.Accumulate {
		kernel.Accumulate(out.Grad.Data[c.first*out.Grad.Stride:], out.Grad.Stride, c.grad, c.n, c.rows, c.n)
	}
}
