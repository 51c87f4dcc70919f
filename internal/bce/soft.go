package bce

import (
	"math"
	"unsafe"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/kernel"
)

// This file evaluates rows with soft labels by the kernel (see kernel/soft.go), those with
// weights or thresholds by that of all weighted rows; short ones many as one, as hard ones
// are (see short.go); and those for which none serves by row.

// soft is memory for soft labels.
type soft[T kernel.Float] struct {
	labels     []T // of short rows, without gaps
	linear     []T // linear parts of their elements
	sums       []float64
	lastLabels [kernel.ShortRows]T // of the elements that make no whole group
	factors    []T                 // of the gradients
}

// softRows evaluates the rows of the chunk, unless there is no kernel for them.
func (w *Work[T]) softRows() bool {
	switch c := w.c; {
	case len(w.rule.PositiveWeight) > 0 || c.Class != nil || !c.ZeroThreshold:
		return w.weightedRows()
	case w.isShort():
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
		w.thresholdSlopes(dst, stride)
	}
	w.completePlain()
}

// completePlain evaluates those rows without weights and thresholds again of which the loss,
// or what the gradient takes, is out of range.
func (w *Work[T]) completePlain() {
	c := w.c
	low, derivatives := w.leastLoss(1), c.Derivatives()
	most, _ := gradientScale[T]()
	for i, v := range c.Loss[:c.Rows] {
		if !(v >= low && v <= math.MaxFloat64) {
			w.row(i)
		} else if derivatives && (!(math.Abs(c.Scale[i]) <= most) || c.SmallLabels && w.smallLabels(i)) {
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
		w.thresholdSlopes(a.Dst, a.DstStride)
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

// shortSoft sets the losses of short rows as far as they are right as they stand, and
// writes the gradient, times scale, to dst unless that is nil.
func (w *Work[T]) shortSoft(rows int, dst []T, part []uint64, scale []float64) {
	c, s, count := w.c, &w.soft, w.c.Rows*w.c.N
	labels := c.Soft
	if c.SoftStride != c.N {
		s.labels = kernel.Resize(s.labels, count)
		for i := range c.Rows {
			copy(s.labels[i*c.N:][:c.N], c.Soft[i*c.SoftStride:])
		}
		labels = s.labels
	}
	s.linear = kernel.ResizeAligned(s.linear, len(w.kept))
	whole := count &^ (kernel.ShortRows - 1)
	if whole > 0 {
		kernel.ShortSoft(w.kept, s.linear, dst, w.x[:whole], labels, part, scale)
	}
	if whole < count {
		// What is left, as a whole group.
		copy(w.last[:], w.x[whole:count])
		copy(s.lastLabels[:], labels[whole:count])
		var out []T
		if dst != nil {
			out = w.lastGrad[:]
		}
		kernel.ShortSoft(w.kept[whole:], s.linear[whole:], out, w.last[:], s.lastLabels[:], part[whole/64:], scale)
		copy(dst[min(whole, len(dst)):min(count, len(dst))], out)
	}
	if !kernel.IsFloat32[T]() {
		w.addLogs(rows, kernel.As64(s.linear))
		return
	}
	w.joins, s.sums = kernel.Resize(w.joins, rows), kernel.Resize(s.sums, rows)
	kernel.ShortJoins(w.joins, s.sums, kernel.As32(w.kept), kernel.As32(s.linear), rows, c.N)
	kernel.Log1p64(w.joins, w.joins)
	loss, sums := c.Loss[:c.Rows], s.sums[:c.Rows]
	for i, v := range w.joins[:c.Rows] {
		loss[i] = sums[i] + v
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
