package zlpr

import (
	"math"
	"unsafe"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/power"
)

// This file evaluates the rows of a chunk by the kernels, and those for which
// they do not serve by bceRow.

// bceScratch is memory that BCE keeps from one chunk to the next.
type bceScratch[T Float] struct {
	args    kernel.BCEArgs[T]
	product []float64
	params  []kernel.BCEParams[T]
	slow    []bool
	grad    []T // where only the thresholds' derivatives are wanted
	scores  []T // where the gradient overwrites the scores
	weights bceWeights[T]
}

// bceWeights are the weights of the classes as the kernels take them.
type bceWeights[T Float] struct {
	batch    int // for which they were made
	neg, pos []T // nil: all are 1
	off      []uint64
	most     float64 // the largest, at least 1
	usable   bool
}

// Scales of the gradient up to bceScale leave no entry that counts to
// exponentials below the smallest normal number.
func bceScale[T Float]() (plain, most float64) {
	if kernel.IsFloat32[T]() {
		return 0x1p5, 0x1p100
	}
	return 0x1p20, 0x1p1000
}

// compute makes the weights of a batch.
func (w *bceWeights[T]) compute(c *lossChunk[T], l *BCE) {
	w.neg, w.pos, w.off = w.neg[:0], w.pos[:0], w.off[:0]
	w.most, w.usable = 1, true
	if c.classWeights == nil && len(l.PositiveWeight) == 0 {
		return
	}
	size := 64 * c.words // of whole groups
	w.neg, w.pos = kernel.Resize(w.neg, size), kernel.Resize(w.pos, size)
	clear(w.neg)
	clear(w.pos)
	_, most := bceScale[T]()
	for j := range c.n {
		factor := 1.0
		if c.classWeights != nil {
			factor = c.classWeights[j]
		}
		positive := factor * l.positiveWeight(j)
		if positive == 0 {
			if len(w.off) == 0 {
				w.off = kernel.Resize(w.off, c.words)
				clear(w.off)
			}
			w.off[j/64] |= 1 << (j % 64)
		}
		for _, v := range [2]float64{factor, positive} {
			w.most = max(w.most, v)
			w.usable = w.usable && (v == 0 || v >= 1/most && v <= most)
		}
		w.neg[j], w.pos[j] = T(factor), T(positive)
	}
}

// bceRows evaluates all rows, unless the weights are out of the kernels' range.
func (c *lossChunk[T]) bceRows(l *BCE) bool {
	s := &c.scratch.bce
	if s.weights.batch != c.batch {
		s.weights.batch = c.batch
		s.weights.compute(c, l)
	}
	w := &s.weights
	if !w.usable {
		return false
	}
	if len(w.off) > 0 {
		// Positives of weight 0 take no part.
		for i := range c.rows {
			pos, _ := c.bits(i)
			for k, v := range w.off {
				pos[k] &^= v
			}
		}
	}
	a := &s.args
	*a = kernel.BCEArgs[T]{
		Sum: c.loss, X: c.x, Stride: c.stride, Rows: c.rows, N: c.n, Pos: c.pos, Neg: c.neg, Words: c.words,
		Shifted: !c.zeroThreshold, Copy: &c.pending,
	}
	if len(w.neg) > 0 {
		a.NegWeight, a.PosWeight = w.neg, w.pos
		a.Shifted = true
	}
	anySlow := c.bceParams()
	a.Params = s.params
	switch {
	case c.grad != nil:
		a.Dst, a.DstStride = c.grad, c.gradStride
		if unsafe.SliceData(c.grad) == unsafe.SliceData(c.x) {
			scores, stride := c.x, c.stride
			defer func() { c.x, c.stride = scores, stride }()
			s.scores = kernel.Resize(s.scores, c.rows*c.n)
			for i := range c.rows {
				copy(s.scores[i*c.n:][:c.n], c.row(i))
			}
			c.x, c.stride = s.scores, c.n
			a.X, a.Stride = c.x, c.stride
		}
	case c.thresholdGrad != nil:
		s.grad = kernel.Resize(s.grad, c.rows*c.n)
		a.Dst, a.DstStride = s.grad, c.n
	}
	if kernel.IsFloat32[T]() && !a.Weighted() {
		s.product = kernel.Resize(s.product, c.rows*a.Blocks())
		a.Product = s.product
	}
	kernel.BCE(a)
	if a.Product != nil {
		kernel.Log1p64(a.Product, a.Product)
		if blocks := a.Blocks(); blocks == 1 {
			for i, v := range a.Product {
				c.loss[i] += v
			}
		} else {
			for i := range c.rows {
				var sum float64
				for _, v := range a.Product[i*blocks:][:blocks] {
					sum += v
				}
				c.loss[i] += sum
			}
		}
	}
	if a.Dst != nil {
		c.bceSlopes(a)
	}
	// What exponentials below the smallest normal number leave out must not count.
	low := float64(c.n) * w.most
	if kernel.IsFloat32[T]() {
		low *= 0x1p-102
	} else {
		low *= 0x1p-960
	}
	for i, v := range c.loss {
		if !(v >= low && v <= math.MaxFloat64) || anySlow && s.slow[i] {
			c.bceRow(i, l)
		}
	}
	return true
}

// bceParams sets the rows' parameters and notes which rows are slow, and reports
// whether there are any.
func (c *lossChunk[T]) bceParams() (anySlow bool) {
	s := &c.scratch.bce
	gradient := c.grad != nil || c.thresholdGrad != nil
	if !gradient && !s.args.Shifted {
		s.params = s.params[:0]
		return false
	}
	s.params, s.slow = kernel.Resize(s.params, c.rows), kernel.Resize(s.slow, c.rows)
	_, most := bceScale[T]()
	for i, s0 := range c.threshold {
		p := &s.params[i]
		hi := T(s0)
		lo := s0 - float64(hi)
		// It must not take the reduced argument out of the polynomial's range.
		slow := !(math.Abs(lo) <= 0x1p-18)
		*p = kernel.BCEParams[T]{1, hi, T(lo)}
		if gradient {
			p[0] = T(c.scale[i])
			size := math.Abs(c.scale[i])
			slow = slow || !(size*s.weights.most <= most) || s.weights.most > 1 && size != 0 && size < 1/most
		}
		s.slow[i] = slow
		anySlow = anySlow || slow
	}
	return anySlow
}

// bceSlopes completes the gradient, and sums up the thresholds' derivatives.
func (c *lossChunk[T]) bceSlopes(a *kernel.BCEArgs[T]) {
	plain, _ := bceScale[T]()
	for i, scale := range c.scale {
		if math.Abs(scale)*c.scratch.bce.weights.most > plain {
			c.bceSmall(i, a.Dst[i*a.DstStride:][:c.n])
		}
		if c.thresholdGrad != nil {
			c.thresholdGrad[i] = -sumOf(a.Dst[i*a.DstStride:][:c.n])
		}
	}
}

// bceSmall computes derivatives again that are 0 because their exponential is
// below the smallest normal number, but count by their factor.
func (c *lossChunk[T]) bceSmall(i int, g []T) {
	pos, neg := c.bits(i)
	w := &c.scratch.bce.weights
	row, s0 := c.row(i), c.threshold[i]
	for j, v := range g {
		if v != 0 {
			continue
		}
		bit := uint64(1) << (j % 64)
		x := float64(row[j])
		y, short, factor := x-s0, differenceError(x, s0), 1.0
		switch {
		case pos[j/64]&bit != 0:
			y, short = -y, -short
			if len(w.pos) > 0 {
				factor = float64(w.pos[j])
			}
			factor = -factor
		case neg[j/64]&bit != 0:
			if len(w.neg) > 0 {
				factor = float64(w.neg[j])
			}
		default:
			continue
		}
		// sigmoid(y) = e^y, where e^y is that small.
		e := power.Exp(y).Times(power.Number{Hi: factor}).Times(power.Number{Hi: c.scale[i]})
		g[j] = T(e.Float() * (1 + short))
	}
}

// sumOf returns the sum of x, in float64.
func sumOf[T Float](x []T) float64 {
	var sum [4]float64
	for len(x) >= 4 {
		sum[0] += float64(x[0])
		sum[1] += float64(x[1])
		sum[2] += float64(x[2])
		sum[3] += float64(x[3])
		x = x[4:]
	}
	for i, v := range x {
		sum[i] += float64(v)
	}
	return (sum[0] + sum[1]) + (sum[2] + sum[3])
}
