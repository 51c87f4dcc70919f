package bce

import (
	"unsafe"

	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/kernel"
)

// twice is memory for a loss that is the sum of two, each by an evaluation of its own.
type twice[T kernel.Float] struct {
	loss, slope []float64
	grad, x     []T
	pending     kernel.Copy[T]
}

// keep keeps the scores of the chunk, which the first gradient may overwrite, until
// restore is called.
func (s *twice[T]) keep(c *chunk.Chunk[T]) (restore func()) {
	x, stride := c.X, c.Stride
	if c.Grad != nil && unsafe.SliceData(c.Grad) == unsafe.SliceData(c.X) {
		s.x = kernel.Resize(s.x, c.Rows*c.N)
		for i := range c.Rows {
			copy(s.x[i*c.N:][:c.N], c.Row(i))
		}
		c.X, c.Stride = s.x, c.N
	}
	return func() { c.X, c.Stride = x, stride }
}

// apart has eval write its results into the memory of s.
func (s *twice[T]) apart(c *chunk.Chunk[T], eval func()) {
	out, room := c.Out, chunk.Room(c.Rows)
	s.loss, s.slope = kernel.Resize(s.loss, room), kernel.Resize(s.slope, room)
	c.Loss, c.Buffered, c.Stream, c.Pending = s.loss, false, false, &s.pending
	if c.ThresholdGrad != nil {
		c.ThresholdGrad = s.slope
	}
	if c.Grad != nil {
		s.grad = kernel.ResizeAligned(s.grad, c.Rows*c.N)
		c.Grad, c.GradStride = s.grad, c.N
	}
	eval()
	c.Out = out
}

// addGradients adds the gradients of s to those of the chunk.
func (s *twice[T]) addGradients(c *chunk.Chunk[T]) {
	if c.ThresholdGrad != nil {
		for i := range c.Rows {
			c.ThresholdGrad[i] += s.slope[i]
		}
	}
	if c.Grad != nil {
		kernel.Accumulate(c.Grad, c.GradStride, s.grad, c.N, c.Rows, c.N)
	}
}
