package sides

import (
	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/kernel"
)

// wide evaluates float32 scores with the kernels of float64: for a γ with which γ·s
// would leave the range of float32 where it counts.
type wide struct {
	work          *Work[float64]
	chunk         chunk.Chunk[float64]
	x, soft, grad []float64
}

// evalWide is evalGeneral by way of float64.
func (w *Work[T]) evalWide() {
	if w.wide == nil {
		w.wide = &wide{work: New[float64](w.rule)}
	}
	c, d := w.c, w.wide
	d.x = widen(d.x, c.X, c.Stride, c.Rows, c.N)
	d.chunk = chunk.Chunk[float64]{
		First: c.First, Rows: c.Rows, N: c.N, Bits: c.Bits,
		Scores: chunk.Scores[float64]{X: d.x, Stride: c.N},
		Weights: chunk.Weights[float64]{
			Classes: c.Classes, Class: c.Class, Threshold: c.Threshold, ZeroThreshold: c.ZeroThreshold,
		},
		Out: chunk.Out[float64]{Loss: c.Loss, Scale: c.Scale, ThresholdGrad: c.ThresholdGrad},
	}
	if w.rule.Soft {
		d.soft = widen(d.soft, c.Soft, c.SoftStride, c.Rows, c.N)
		d.chunk.Soft, d.chunk.SoftStride = d.soft, c.N
	}
	if c.Grad != nil {
		d.grad = kernel.Resize(d.grad, c.Rows*c.N)
		d.chunk.Grad, d.chunk.GradStride = d.grad, c.N
	}
	d.work.Eval(&d.chunk)
	if c.Grad != nil {
		for i := range c.Rows {
			out := c.GradRow(i)
			for j, v := range d.grad[i*c.N:][:c.N] {
				out[j] = T(v)
			}
		}
	}
}

// widen writes rows of n elements to dst, one after the other.
func widen[T kernel.Float](dst []float64, src []T, stride, rows, n int) []float64 {
	dst = kernel.Resize(dst, rows*n)
	for i := range rows {
		for j, v := range src[i*stride:][:n] {
			dst[i*n+j] = float64(v)
		}
	}
	return dst
}
