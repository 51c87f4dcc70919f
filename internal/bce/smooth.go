package bce

import (
	"math"
	"unsafe"

	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/kernel"
)

// smooth is memory for smoothed labels.
type smooth[T kernel.Float] struct {
	scale, loss, slope []float64
	grad, x            []T
	rows               bool // evaluated in the general way
	pending            kernel.Copy[T]
}

// smoothed evaluates the rows of the chunk with labels (1-ε)·y + ε/2, as two losses of
// hard labels: 1-ε/2 times that of y and ε/2 times that of 1-y.
func (w *Work[T]) smoothed() {
	c, s := w.c, &w.smooth
	c.Unpack()
	out, room := c.Out, chunk.Room(c.Rows)
	other := c.Smoothing / 2
	derivatives := c.Derivatives()
	scaled := func(f float64) {
		if derivatives {
			s.scale = kernel.Resize(s.scale, len(out.Scale))
			for i, v := range out.Scale {
				s.scale[i] = float64(v * f)
			}
			c.Scale = s.scale
		}
	}
	x, stride := c.X, c.Stride
	if c.Grad != nil && unsafe.SliceData(c.Grad) == unsafe.SliceData(c.X) {
		s.x = kernel.Resize(s.x, c.Rows*c.N)
		for i := range c.Rows {
			copy(s.x[i*c.N:][:c.N], c.Row(i))
		}
		c.X, c.Stride = s.x, c.N
	}
	s.loss, s.slope = kernel.Resize(s.loss, room), kernel.Resize(s.slope, room)
	c.Loss, c.Buffered, c.Stream, c.Pending = s.loss, false, false, &s.pending
	if c.ThresholdGrad != nil {
		c.ThresholdGrad = s.slope
	}
	if c.Grad != nil {
		s.grad = kernel.ResizeAligned(s.grad, c.Rows*c.N)
		c.Grad, c.GradStride = s.grad, c.N
	}
	scaled(other)
	c.Pos, c.Neg = c.Neg, c.Pos
	w.eval()
	c.Pos, c.Neg = c.Neg, c.Pos

	c.Out = out
	scaled(1 - other)
	w.eval()
	c.Scale = out.Scale
	for i, l := range c.Loss[:c.Rows] {
		if c.Loss[i] = float64((1-other)*l) + float64(other*s.loss[i]); math.IsInf(c.Loss[i], 1) {
			// One of them may be infinite because it lacks its factor.
			s.rows, c.Grad, c.ThresholdGrad = true, nil, nil
			w.row(i)
			s.rows, c.Grad, c.ThresholdGrad = false, out.Grad, out.ThresholdGrad
		}
	}
	c.X, c.Stride = x, stride
	if c.ThresholdGrad != nil {
		for i := range c.Rows {
			c.ThresholdGrad[i] += s.slope[i]
		}
	}
	if c.Grad != nil {
		kernel.Accumulate(c.Grad, c.GradStride, s.grad, c.N, c.Rows, c.N)
	}
}
