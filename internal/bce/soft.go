package bce

import (
	"math"
	"unsafe"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/kernel"
)

// This file evaluates rows with soft labels by the kernel (see kernel/soft.go), and
// those for which it does not serve by row.

// softRows evaluates the rows of the chunk, unless there are weights or thresholds.
func (w *Work[T]) softRows() bool {
	c := w.c
	if c.Class != nil || len(w.rule.PositiveWeight) > 0 || !c.ZeroThreshold {
		return false
	}
	c.Pending.Finish()
	var dst, f []T
	stride := 0
	if c.Derivatives() {
		w.softFactors = kernel.Resize(w.softFactors, c.Rows)
		for i, scale := range c.Scale[:c.Rows] {
			w.softFactors[i] = T(scale)
		}
		f = w.softFactors
		if c.Grad != nil {
			dst, stride = c.Grad, c.GradStride
			if unsafe.SliceData(c.Grad) == unsafe.SliceData(c.X) {
				w.keepScores()
			}
		} else {
			w.grad = kernel.Resize(w.grad, c.Rows*c.N)
			dst, stride = w.grad, c.N
		}
	}
	blocks := 0
	if kernel.IsFloat32[T]() {
		blocks = (c.N + coef.BCEBlock - 1) / coef.BCEBlock
	}
	w.product = kernel.Resize(w.product, c.Rows*blocks)
	kernel.SoftBCE(c.Loss, w.product, dst, stride, w.x, w.stride, c.Soft, c.SoftStride, c.Rows, c.N, c.Neg, c.Words, f)
	w.addLogarithms(blocks)
	if c.ThresholdGrad != nil {
		for i := range c.Rows {
			c.ThresholdGrad[i] = -sumOf(dst[i*stride:][:c.N])
		}
	}
	low, most := w.leastLoss(1), 0.0
	if f != nil {
		most, _ = gradientScale[T]()
	}
	for i, v := range c.Loss[:c.Rows] {
		if !(v >= low && v <= math.MaxFloat64) {
			w.row(i)
		} else if f != nil && !(math.Abs(c.Scale[i]) <= most) {
			w.row(i)
			c.Loss[i] = v // the same bits whatever the gradient takes
		}
	}
	return true
}

// keepScores keeps the scores, which the gradient will overwrite, for the rows that
// are evaluated again.
func (w *Work[T]) keepScores() {
	c := w.c
	w.saved = kernel.Resize(w.saved, c.Rows*c.N)
	for i := range c.Rows {
		copy(w.saved[i*c.N:][:c.N], c.Row(i))
	}
	w.x, w.stride = w.saved, c.N
}

// leastLoss returns the least loss that the kernels give right: what exponentials below
// the smallest normal number leave out, times a weight of at most most, must not count.
func (w *Work[T]) leastLoss(most float64) float64 {
	low := float64(w.c.N) * most
	if kernel.IsFloat32[T]() {
		return low * 0x1p-102
	}
	return low * 0x1p-960
}

// addLogarithms adds to the losses the logarithms of the products of so many blocks of
// every row.
func (w *Work[T]) addLogarithms(blocks int) {
	c := w.c
	if blocks == 0 {
		return
	}
	kernel.Log1p64(w.product, w.product)
	if blocks == 1 {
		for i, v := range w.product {
			c.Loss[i] += v
		}
		return
	}
	for i := range c.Rows {
		var sum float64
		for _, v := range w.product[i*blocks:][:blocks] {
			sum += v
		}
		c.Loss[i] += sum
	}
}
