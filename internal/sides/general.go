package sides

import (
	"math"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/power"
)

// This file evaluates the rows of a loss of two sums (see sides.go) in the
// general way: with weights, soft labels or γ; the rows whose sums at pivot 0
// leave the natural range are in slow.go. The kernels of kernel/side.go do
// what costs an element each.

// general is memory for the general way.
type general[T kernel.Float] struct {
	// The passes over the rows: one for both sides with hard labels; with soft
	// ones each side has its own weights, and its own pass.
	passes []kernel.SideRows[T]

	soft    [2][]T                 // weights of soft labels, of all rows
	sum     [2][][2]float64        // results of the passes
	top     [2][]kernel.SideTop[T] // results of the passes
	params  []kernel.SideParams[T] // of slow rows
	natural []kernel.SideParams[T] // of the others
	values  [][2]sideValue[T]
	log     [2][]float64 // of the rows' losses: arguments of log1p
	half    []T          // gradient of the first pass
	shifted []T          // scores less the highest of a side
	row     []T          // gradient of a row

	factors factors[T]
	wide    *wide // float32: for a γ outside of its range
}

// isGeneral reports whether all rows go the general way.
func (w *Work[T]) isGeneral() bool {
	return w.rule.Gamma != 1 || w.isSoft() || w.weights() != nil && !w.multiplies()
}

// evalGeneral evaluates a loss of two sums with weights, soft labels or γ.
func (w *Work[T]) evalGeneral() {
	if kernel.IsFloat32[T]() && !(w.rule.Gamma >= 0x1p-100 && w.rule.Gamma <= 0x1p127) {
		w.evalWide()
		return
	}
	w.prepareSides()
	w.prepare(w.c.Rows)
	w.natural = kernel.Resize(w.natural, w.c.Rows)
	anySlow := true
	if w.rule.Gamma >= 0x1p-100 && w.rule.Gamma <= 0x1p100 {
		zero := [1]kernel.SideParams[T]{kernel.ZeroPivot[T]()}
		for k := range w.passes {
			w.sum[k] = kernel.Resize(w.sum[k], w.c.Rows)
			kernel.SideSums(w.sum[k], &w.passes[k], zero[:], 0)
		}
		anySlow = w.finishNatural()
	} else {
		for i := range w.slow {
			w.slow[i], w.settled[i] = true, false
		}
	}
	if anySlow {
		w.evalSlow()
	}
	if w.c.Grad == nil {
		return
	}
	for i := 0; i < w.c.Rows; {
		end := i + 1
		for ; !anySlow && end < w.c.Rows || end < w.c.Rows && w.slow[end] == w.slow[i]; end++ {
		}
		if !anySlow || !w.slow[i] {
			w.sideGradients(i, end, w.natural[i:end])
		}
		i = end
	}
}

// finishNatural computes the losses and the parameters of the gradients of the rows
// whose sums at pivot 0 serve, and reports whether there are others.
func (w *Work[T]) finishNatural() (anySlow bool) {
	second := w.sum[len(w.passes)-1]
	for i, sum := range w.sum[0] {
		w.a[i], w.b[i] = w.sideSum(i, sum[0], false), w.sideSum(i, second[i][1], true)
	}
	switch single := kernel.IsFloat32[T](); {
	case w.rule.Product:
		anySlow = w.finishNaturalProducts(single)
	case single || w.c.ZeroThreshold:
		anySlow = w.finishSum(w.scale)
		if w.c.Grad != nil {
			w.zeroPivots(single)
		}
		return anySlow
	default:
		anySlow = w.finishNaturalSums()
	}
	kernel.Log1p64(w.c.Loss[:w.c.Rows], w.u[:w.c.Rows])
	if !w.rule.Product {
		kernel.Log1p64(w.b[:w.c.Rows], w.v[:w.c.Rows])
		for i, l := range w.b[:w.c.Rows] {
			w.c.Loss[i] += l
		}
	}
	return anySlow
}

// zeroPivots sets the parameters of the gradients from the factors that finishSum has
// found; for float64 from the sums, rounded once.
func (w *Work[T]) zeroPivots(single bool) {
	zero := kernel.ZeroPivot[T]()
	for i := range w.natural {
		p := &w.natural[i]
		*p = zero
		if single {
			p[2], p[5] = w.fa[i], -w.fb[i]
			continue
		}
		scale := pair{w.c.Scale[i], 0}
		p[2], p[5] = T(scale.over1p(pair{w.a[i], 0})), -T(scale.over1p(pair{w.b[i], 0}))
	}
}

// finishNaturalSums sets the arguments of the losses of both sums, and the rest. What
// comes between the sums and the factors of the gradient is rounded once.
func (w *Work[T]) finishNaturalSums() (anySlow bool) {
	last, up, down := 0.0, pair{1, 0}, pair{1, 0} // e^s0 and e^-s0
	for i, s0 := range w.c.Threshold {
		a, b := w.a[i], w.b[i]
		ok := kernel.FastSum[T](a) && kernel.FastSum[T](b)
		u, v := pair{a, 0}, pair{b, 0}
		if s0 != 0 {
			if ok = ok && math.Abs(s0) < 600; ok && s0 != last {
				last, up, down = s0, pairOf(power.Exp(s0)), pairOf(power.Exp(-s0))
			}
			u, v = down.times(u), up.times(v)
			ok = ok && fastTerm(u.hi) && fastTerm(v.hi)
		}
		w.settled[i] = ok
		if !ok {
			u.hi, v.hi = 0, 0
		}
		w.u[i], w.v[i] = u.hi, v.hi
		if w.c.ThresholdGrad != nil {
			w.c.ThresholdGrad[i] = w.c.Scale[i] * thresholdSlope(u.hi, v.hi)
		}
		if w.c.Grad != nil && ok {
			x, y := pair{w.c.Scale[i], 0}, pair{w.c.Scale[i], 0}
			if s0 != 0 {
				x, y = x.times(down), y.times(up)
			}
			fa, fb := x.over1p(u), y.over1p(v)
			ok = w.c.Scale[i] == 0 || middling(w.c.Scale[i]) && middling(fa) && middling(fb)
			w.setFactors(i, fa, -fb)
		}
		w.slow[i] = !ok
		anySlow = anySlow || !ok
	}
	return anySlow
}

// finishNaturalProducts is finishNaturalSums for a loss of the product; for float32
// scores the roundings do not matter.
func (w *Work[T]) finishNaturalProducts(single bool) (anySlow bool) {
	margin := pair{1, 0}
	near := math.Abs(w.rule.shift) < 600
	if near && w.rule.shift != 0 {
		margin = pairOf(power.ExpPair(w.rule.shift, w.rule.rest))
	}
	for i := range w.c.Rows {
		a, b := w.a[i], w.b[i]
		u := pair{float64(a * b), 0}
		// The margin may bring back what the product of the sums has not kept.
		ok := near && kernel.FastSum[T](a) && kernel.FastSum[T](b) && fastTerm(u.hi) && (u.hi != 0 || a == 0 || b == 0)
		if single {
			u.hi *= margin.hi
		} else {
			u = pairProduct(a, b).times(margin)
		}
		ok = ok && fastTerm(u.hi)
		w.settled[i] = ok
		if !ok {
			u.hi = 0
		}
		w.u[i] = u.hi
		if w.c.Grad != nil && ok {
			var scale, fa, fb float64
			if single {
				scale = w.c.Scale[i] * w.rule.Gamma
				f := scale * margin.hi / (1 + u.hi)
				fa, fb = f*b, f*a
			} else {
				factor := pairProduct(w.c.Scale[i], w.rule.Gamma)
				scale = factor.hi
				factor = factor.times(margin)
				fa, fb = factor.times(pair{b, 0}).over1p(u), factor.times(pair{a, 0}).over1p(u)
			}
			// A factor is 0 where the other side is empty, but not for its size.
			ok = w.c.Scale[i] == 0 || middling(scale) && (middling(fa) || b == 0) && (middling(fb) || a == 0)
			w.setFactors(i, fa, -fb)
		}
		w.slow[i] = !ok
		anySlow = anySlow || !ok
	}
	return anySlow
}

// setFactors sets the parameters of the gradient of row i.
func (w *Work[T]) setFactors(i int, fa, fb float64) {
	p := &w.natural[i]
	if kernel.FactorFits[T](fa) && kernel.FactorFits[T](fb) {
		*p = kernel.ZeroPivot[T]()
		p[2], p[5] = T(fa), T(fb)
		return
	}
	p[0], p[2] = slopeParams[T](power.Number{Hi: fa})
	p[3], p[5] = slopeParams[T](power.Number{Hi: fb})
}

// middling reports whether the product of x with a sum at pivot 0 is a normal
// number.
func middling(x float64) bool { return 0x1p-900 <= math.Abs(x) && math.Abs(x) <= 0x1p900 }

// sideSum returns a sum at pivot 0 of row i. Where there are terms but it is 0,
// they are too small for pivot 0; the result is not a natural sum then.
func (w *Work[T]) sideSum(i int, sum float64, positive bool) float64 {
	if sum == 0 && w.anyTerm(i, positive) {
		return math.SmallestNonzeroFloat64
	}
	return sum
}

// anyTerm reports whether a side of row i has classes.
func (w *Work[T]) anyTerm(i int, positive bool) bool {
	var any uint64
	for _, v := range w.side(i, positive) {
		any |= v
	}
	return any != 0
}

// side returns the bits of a side of row i: with soft labels all classes.
func (w *Work[T]) side(i int, positive bool) []uint64 {
	pos, neg := w.c.Sides(i)
	if positive && !w.isSoft() {
		return pos
	}
	return neg
}

// noBits returns n words of no bits.
func (w *Work[T]) noBits(n int) []uint64 {
	if len(w.none) < n {
		w.none = make([]uint64, n)
	}
	return w.none[:n]
}

// prepareSides sets the passes over the chunk's rows.
func (w *Work[T]) prepareSides() {
	w.c.Unpack()
	class := w.factors.get(w.c.Classes, w.c.N, w.weights())
	r := kernel.SideRows[T]{
		X: w.c.X, Stride: w.c.Stride, Rows: w.c.Rows, N: w.c.N,
		Pos: w.c.Pos, Neg: w.c.Neg, Words: w.c.Words,
		Weights: class.weights, Gamma: kernel.GammaPair[T](w.rule.Gamma),
	}
	w.passes = append(w.passes[:0], r)
	if !w.isSoft() {
		return
	}
	size := kernel.WeightsLen[T](w.c.N)
	for side := range w.soft {
		w.soft[side] = kernel.Resize(w.soft[side], w.c.Rows*size)
	}
	if w.smooths() {
		w.smoothWeights(class)
	} else {
		w.softWeights(class)
	}
	none := w.noBits(len(w.c.Neg))
	w.passes = append(w.passes, r)
	for side := range w.passes {
		w.passes[side].Weights, w.passes[side].WeightStride = w.soft[side], size
	}
	w.passes[0].Pos = none
	w.passes[1].Pos, w.passes[1].Neg = w.c.Neg, none
}

// softWeights sets the weights of the soft labels.
func (w *Work[T]) softWeights(class *factors[T]) {
	kernel.SoftWeights(w.soft[0], w.soft[1], w.c.Soft, w.c.SoftStride, w.c.Rows, w.c.N, w.c.Neg, w.c.Words, class.m, class.weights)
}

// pass returns the number of the pass of a side.
func (w *Work[T]) pass(side int) int { return min(side, len(w.passes)-1) }

// sideGradients writes the gradient of rows i to end-1.
func (w *Work[T]) sideGradients(i, end int, p []kernel.SideParams[T]) {
	dst := w.c.Grad[i*w.c.GradStride:]
	first := w.passes[0].From(i, end)
	if len(w.passes) == 1 {
		kernel.SideGrad(dst, w.c.GradStride, &first, p)
		return
	}
	for j := range p {
		deepen(&p[j], w.c.Scale[i+j])
	}
	w.half = kernel.Resize(w.half, (end-i)*w.c.N)
	second := w.passes[1].From(i, end)
	kernel.SideGrad(w.half, w.c.N, &first, p)
	kernel.SideGrad(dst, w.c.GradStride, &second, p)
	kernel.Accumulate(dst, w.c.GradStride, w.half, w.c.N, end-i, w.c.N)
}

// deepen changes parameters so that terms which times the factor are below the
// smallest normal number are kept: those of the other side may be added to them.
// Terms times the factor are at most scale.
func deepen[T kernel.Float](p *kernel.SideParams[T], scale float64) {
	depth, most := 100, 1000
	if kernel.IsFloat32[T]() {
		depth, most = 60, 120
	}
	if _, e := math.Frexp(scale); e > most-depth {
		depth = max(-2, most-e)
	}
	for k := 0; k < 6; k += 3 {
		m, e := math.Frexp(float64(p[k+2]))
		p[k] += T(e + depth)
		p[k+2] = T(m * math.Float64frombits(uint64(1023-depth)<<52))
	}
}
