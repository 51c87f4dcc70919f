package bce

import (
	"math"
	"unsafe"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/scalar"
)

// This file evaluates rows with soft labels by the kernel (see kernel/soft.go), those with
// weights or thresholds by that of all weighted rows; short ones as rows of the nearer hard
// labels and their linear parts; and those for which none serves by row.

// soft is memory for soft labels.
type soft[T kernel.Float] struct {
	flatNear []uint64 // the nearer labels of short rows, without gaps
	limits   []T      // the threshold again and again
	limit    T
	padded   [64]T // the end of a row
	labels   []T   // of short rows, without gaps
	linear   []float64
	opposite []float64
	nowhere  []T // for derivatives that are not wanted: their factor is 0
	params   []T
	factors  []T // of the gradients
}

// limitsLen is the number of limits at hand, whole words of bits.
const limitsLen = 4096

// above writes which of x are above limit to dst, a bit each.
func (s *soft[T]) above(dst []uint64, x []T, limit T) {
	if limit != s.limit {
		s.limits = s.limits[:0]
		s.limit = limit
	}
	for need := min(limitsLen, 64*kernel.BitWords(len(x))); len(s.limits) < need; {
		s.limits = append(s.limits, limit)
	}
	for len(x) >= 64 {
		words := min(len(x), limitsLen) / 64
		kernel.Above(dst[:words], x[:64*words], s.limits)
		dst, x = dst[words:], x[64*words:]
	}
	if len(x) > 0 {
		copy(s.padded[:], x)
		kernel.Above(dst[:1], s.padded[:], s.limits)
		dst[0] &= kernel.LastWord(len(x))
	}
}

// softRows evaluates the rows of the chunk, unless there is no kernel for them.
func (w *Work[T]) softRows() bool {
	switch c := w.c; {
	case len(w.rule.PositiveWeight) > 0 || c.Class != nil || !c.ZeroThreshold:
		return w.weightedRows()
	case kernel.IsFloat32[T]() && w.isShort():
		w.shortRows()
	default:
		w.fusedRows()
	}
	return true
}

// fusedRows evaluates the rows of the chunk by the kernel that does it all, without
// weights and thresholds.
func (w *Work[T]) fusedRows() {
	c := w.c
	c.Pending.Finish()
	var dst, f []T
	stride := 0
	if c.Derivatives() {
		w.soft.factors = kernel.Resize(w.soft.factors, c.Rows)
		for i, scale := range c.Scale[:c.Rows] {
			w.soft.factors[i] = T(scale)
		}
		f = w.soft.factors
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
		} else if f != nil && (!(math.Abs(c.Scale[i]) <= most) || w.smallLabels(i)) {
			w.row(i)
			c.Loss[i] = v // the same bits whatever the gradient takes
		}
	}
}

// weightedRows evaluates the rows of the chunk by the kernel that takes weights and
// thresholds, unless the weights are out of its range.
func (w *Work[T]) weightedRows() bool {
	c, weights := w.c, &w.weights
	w.batchWeights()
	if !weights.usable || weights.least < leastOfLabels[T]() {
		return false
	}
	c.Pending.Finish()
	if c.Grad != nil && unsafe.SliceData(c.Grad) == unsafe.SliceData(c.X) {
		w.keepScores()
	}
	a := &w.args
	*a = kernel.BCEArgs[T]{
		Sum: c.Loss, X: w.x, Stride: w.stride, Rows: c.Rows, N: c.N, Pos: c.Neg, Neg: c.Neg, Words: c.Words,
		Shifted: !c.ZeroThreshold, NegWeight: weights.neg, PosWeight: weights.pos, Soft: c.Soft, SoftStride: c.SoftStride,
	}
	if len(weights.neg) == 0 {
		a.NegWeight, a.PosWeight = w.unitWeights()
	}
	w.derivativesFor(a)
	anySlow := w.setParams()
	a.Params = w.params
	kernel.WeightedBCE(a)
	if c.ThresholdGrad != nil {
		for i := range c.Rows {
			c.ThresholdGrad[i] = -sumOf(a.Dst[i*a.DstStride:][:c.N])
		}
	}
	for i := range c.Rows {
		// The product of a small label and a weight may be below the normal numbers.
		w.completeSoft(i, anySlow && w.slow[i] == all || w.smallLabels(i))
	}
	return true
}

// leastOfLabels is the least weight of which a product with a plain label is a normal
// number.
func leastOfLabels[T kernel.Float]() float64 {
	if kernel.IsFloat32[T]() {
		return 0x1p-20
	}
	return 0x1p-60
}

// scratch returns a place for the derivatives of n elements that are not wanted.
func (s *soft[T]) scratch(n int) []T {
	if len(s.nowhere) < n {
		s.nowhere = make([]T, n)
	}
	return s.nowhere[:n]
}

// shortLinear is addLinear for short rows without gaps, whose gradient is in dst, unless
// that is nil, times scale.
func (w *Work[T]) shortLinear(dst []T, scale float64, part []uint64) {
	c, s, count := w.c, &w.soft, w.c.Rows*w.c.N
	labels := c.Soft
	if c.SoftStride != c.N {
		s.labels = kernel.Resize(s.labels, count)
		for i := range c.Rows {
			copy(s.labels[i*c.N:][:c.N], c.Soft[i*c.SoftStride:])
		}
		labels = s.labels
	}
	if dst == nil {
		dst, scale = s.scratch(count), 0
	}
	rows := len(w.joins)
	s.linear, s.opposite = kernel.Resize(s.linear, rows), kernel.Resize(s.opposite, rows)
	s.params = append(s.params[:0], T(scale), 0, 0)
	kernel.SoftLinear(s.linear[:1], kernel.As32(w.kept), 0, kernel.As32(dst), 0, kernel.As32(w.x), 0,
		kernel.As32(labels), 0, kernel.As32(w.onesOf(count)), 1, count, part, len(part), kernel.As32(s.params))
	kernel.ShortSums(s.linear, s.opposite, kernel.As32(w.kept), rows, c.N)
}

// flatPos returns the bits of the positives of short rows, of soft labels the nearer ones.
func (w *Work[T]) flatPos(part []uint64) []uint64 {
	if w.c.Soft == nil {
		return w.c.FlatPos()
	}
	s := &w.soft
	s.flatNear = kernel.Resize(s.flatNear, len(part))
	s.above(s.flatNear, w.x[:w.c.Rows*w.c.N], 0)
	for k, in := range part {
		s.flatNear[k] &= in
	}
	return s.flatNear
}

// completeSoftRows completes the losses of short rows; right tells that all joins are
// right as they stand.
func (w *Work[T]) completeSoftRows(right bool) {
	c := w.c
	w.batchWeights()
	for i, u := range w.joins[:c.Rows] {
		if !right && !kernel.JoinRight(u) && u >= 0 {
			c.Loss[i] = scalar.Log1pSum(u) // of at most 2^ShortRow
		}
		c.Loss[i] += w.soft.linear[i]
		w.completeSoft(i, false)
	}
}

// completeSoft completes the loss of row i, or evaluates it in the general way: where it
// or what the gradient takes is out of range, or slow says so.
func (w *Work[T]) completeSoft(i int, slow bool) {
	c := w.c
	v := c.Loss[i]
	if slow || !(v >= w.leastLoss(w.weights.most) && v <= math.MaxFloat64) {
		w.row(i)
		return
	}
	if c.Derivatives() {
		plain, most := gradientScale[T]()
		size := math.Abs(c.Scale[i])
		if !(size*w.weights.most <= plain) || w.weights.most > 1 && size != 0 && size < 1/most || w.smallLabels(i) {
			w.row(i) // for the gradient: the loss has the same bits whatever that takes
		}
	}
	c.Loss[i] = v
}

// smallLabels reports whether row i has labels so small that exponentials below the
// smallest normal number count beside them.
func (w *Work[T]) smallLabels(i int) bool {
	c := w.c
	if !c.SmallLabels {
		return false
	}
	for _, t := range c.Soft[i*c.SoftStride:][:c.N] {
		if t != 0 && float64(t) < kernel.PlainLabel[T]() {
			return true
		}
	}
	return false
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
