package sides

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/scalar"
)

// This file makes losses and the factors of gradients of the rows' sums.

// fastTerm reports whether log1p of x and the factors that follow from it can be
// taken in float64.
func fastTerm(x float64) bool { return x <= 0x1p1000 && x >= 0x1p-1000 || x == 0 }

// finishSum computes losses and factors of the gradient, which has these scales, from the
// sums of all rows, and reports whether there are slow rows.
func (w *Work[T]) finishSum(scale []float64) (anySlow bool) {
	clear(w.a[w.c.Rows:])
	clear(w.b[w.c.Rows:])
	fa, fb := w.fa, w.fb
	if !w.c.Derivatives() {
		scale, fa, fb = nil, nil, nil
	}
	u, v := w.a, w.b
	if w.c.ZeroThreshold {
		if !kernel.FinishSums(w.c.Loss, fa, fb, w.a, w.b, scale) {
			anySlow = w.findSlow(scale)
		}
	} else {
		u, v = w.u, w.v
		anySlow = w.finishShifted(scale)
	}
	if w.c.ThresholdGrad != nil {
		w.thresholdGradient(u, v)
	}
	return anySlow
}

// findSlow finds the rows that FinishSums has not finished. scale is nil without
// derivatives.
func (w *Work[T]) findSlow(scale []float64) (anySlow bool) {
	for i := range w.c.Rows {
		a, b := w.a[i], w.b[i]
		ok := kernel.FastSum[T](a) && kernel.FastSum[T](b)
		w.settled[i] = ok
		if !ok {
			w.a[i], w.b[i] = 0, 0
		} else if scale != nil {
			f, g := kernel.SumFactors[T](a, b, scale[i])
			ok = kernel.FactorFits[T](f) && kernel.FactorFits[T](g)
		}
		w.slow[i] = !ok
		anySlow = anySlow || !ok
	}
	return anySlow
}

// finishShifted is finishSum with thresholds.
func (w *Work[T]) finishShifted(scale []float64) (anySlow bool) {
	rows, joined := w.c.Rows, false
	u, v := w.u, w.v
	clear(u[rows:])
	clear(v[rows:])
	if kernel.IsFloat32[T]() {
		anySlow, joined = w.shiftSums(scale)
		joined = kernel.FinishSums[T](w.c.Loss, nil, nil, u, v, nil) && joined
	} else {
		w.exactPowers()
		for i := range rows {
			w.shiftBy(i, scale, w.up[i], w.down[i])
			anySlow = anySlow || w.slow[i]
		}
	}
	if joined {
		return anySlow
	}
	kernel.Log1p64(w.a[:rows], u[:rows])
	kernel.Log1p64(w.b[:rows], v[:rows])
	for i := range rows {
		w.c.Loss[i] = w.a[i] + w.b[i]
		if kernel.IsFloat32[T]() && kernel.FastSum[T](u[i]) && kernel.FastSum[T](v[i]) {
			w.c.Loss[i] = kernel.JoinedLoss(u[i], v[i])
		}
	}
	return anySlow
}

// shiftSums sets the arguments u and v of the losses of all rows, and the factors of their
// gradients. It reports whether there are slow rows, and whether all arguments are natural
// or 0: then the losses are joined logarithms.
func (w *Work[T]) shiftSums(scale []float64) (anySlow, joined bool) {
	w.thresholdPowers()
	rows := w.c.Rows
	a, b, u, v, slow, settled := w.a[:rows], w.b[:rows], w.u[:rows], w.v[:rows], w.slow[:rows], w.settled[:rows]
	joined = true
	for i, s0 := range w.c.Threshold[:rows] {
		down := w.down[i]
		up := 1 / down
		x, y := a[i]*down, b[i]*up
		if !(kernel.FastSum[T](a[i]) && kernel.FastSum[T](b[i]) && math.Abs(s0) < 600 && kernel.FastSum[T](x) && kernel.FastSum[T](y)) {
			w.shiftRow(i, scale)
			anySlow, joined = anySlow || slow[i], false
			continue
		}
		u[i], v[i], slow[i], settled[i] = x, y, false, true
		if scale == nil {
			continue
		}
		f, g := kernel.SumFactors[T](x, y, scale[i])
		f, g = f*down, g*up
		w.fa[i], w.fb[i] = T(f), T(g)
		// The factor of a side without terms does not count.
		if !((kernel.FactorFits[T](f) || x == 0) && (kernel.FactorFits[T](g) || y == 0)) {
			slow[i], anySlow = true, true
		}
	}
	return anySlow, joined
}

// shiftRow sets the arguments u and v of the loss of row i, and the factors of its gradient.
func (w *Work[T]) shiftRow(i int, scale []float64) {
	s0 := w.c.Threshold[i]
	w.shiftBy(i, scale, scalar.Exp(s0), scalar.Exp(-s0))
}

// shiftBy is shiftRow, given e^s0 and e^-s0; they are open where |s0| is 600 or more.
func (w *Work[T]) shiftBy(i int, scale []float64, up, down float64) {
	a, b, s0 := w.a[i], w.b[i], w.c.Threshold[i]
	ok := kernel.FastSum[T](a) && kernel.FastSum[T](b)
	if s0 != 0 {
		a *= down
		b *= up
		ok = ok && math.Abs(s0) < 600 && fastTerm(a) && fastTerm(b)
	}
	w.settled[i] = ok
	if !ok {
		a, b = 0, 0
	} else if scale != nil {
		// Without the scale these are within 2^±1000, whatever the threshold.
		f, g := scale[i]*(1/(1+a)*down), scale[i]*(1/(1+b)*up)
		if s0 == 0 {
			f, g = kernel.SumFactors[T](a, b, scale[i])
		}
		ok = kernel.FactorFits[T](f) && kernel.FactorFits[T](g)
		w.fa[i], w.fb[i] = T(f), T(g)
	}
	w.u[i], w.v[i], w.slow[i] = a, b, !ok
}

// thresholdPowers sets down to e^-s0 of every row; it is open where |s0| is 600 or more.
// For float32 their errors do not matter.
func (w *Work[T]) thresholdPowers() {
	n := len(w.a)
	w.down = kernel.Resize(w.down, n)
	clear(w.down[copy(w.down, w.c.Threshold[:w.c.Rows]):])
	kernel.TiltExp(w.down, w.down, -1, 0)
}

// exactPowers sets up and down to scalar.Exp of the thresholds and of their negatives: the
// kernel gives the same bits.
func (w *Work[T]) exactPowers() {
	const group = 64 // of which it takes whole ones
	n := (w.c.Rows + group - 1) &^ (group - 1)
	w.up, w.down = kernel.Resize(w.up, n), kernel.Resize(w.down, n)
	clear(w.up[copy(w.up, w.c.Threshold[:w.c.Rows]):])
	for i, s0 := range w.up {
		w.down[i] = -s0
	}
	p := kernel.PivotParams[float64](0)
	kernel.ShortPowers(w.up, w.up, &p)
	kernel.ShortPowers(w.down, w.down, &p)
}

// thresholdGradient computes the gradient by the thresholds.
func (w *Work[T]) thresholdGradient(u, v []float64) {
	for i := range w.c.Rows {
		w.c.ThresholdGrad[i] = w.scale[i] * thresholdSlope(u[i], v[i])
	}
}

// thresholdSlope returns v/(1+v) - u/(1+u).
func thresholdSlope(u, v float64) float64 {
	if u < 0x1p60 && v < 0x1p60 {
		return (v - u) / ((1 + u) * (1 + v))
	}
	return 1/(1+u) - 1/(1+v)
}

// joined reports whether the kernel finishes a loss of the product.
func (w *Work[T]) joined() bool {
	return kernel.IsFloat32[T]() && w.rule.shift == 0 && w.rule.rest == 0
}

// allNormal reports whether no exponential below the smallest normal number counts
// beside the factors that FinishProduct has left.
func (w *Work[T]) allNormal() bool {
	if w.isShort() && w.normal {
		return true
	}
	// Of longer rows the kernel has seen that all are 0 or large enough, of others fits.
	// The magnitudes of numbers are in the order of their bits; the factor of a side
	// without terms does not count, and the bits of other sums are above 0.
	const magnitude = 1<<31 - 1
	rows := w.c.Rows
	fa, fb, a, b := kernel.As32(w.fa)[:rows], kernel.As32(w.fb)[:rows], w.a[:rows], w.b[:rows]
	var of [2]uint32
	for i, f := range fa {
		some, others := -int64(math.Float64bits(a[i]))>>63, -int64(math.Float64bits(b[i]))>>63
		of[0] = max(of[0], math.Float32bits(f)&magnitude&uint32(some))
		of[1] = max(of[1], math.Float32bits(fb[i])&magnitude&uint32(others))
	}
	return max(of[0], of[1]) <= math.Float32bits(coef.FactorHigh32)
}

// fitOrNone reports whether a factor fits or is 0.
func fitOrNone[T kernel.Float](f T) bool { return f == 0 || kernel.FactorFits[T](float64(f)) }

// finishProduct is finishSum for a loss of the product.
func (w *Work[T]) finishProduct(scale []float64) (anySlow bool) {
	w.apart = w.rule.Target
	joined := w.joined()
	if joined {
		clear(w.a[w.c.Rows:])
		clear(w.b[w.c.Rows:])
		of, fa, fb := scale, w.fa, w.fb
		if !w.c.Derivatives() {
			of, fa, fb = nil, nil, nil
		}
		if kernel.FinishProduct(w.c.Loss, kernel.As32(fa), kernel.As32(fb), w.a, w.b, of) && (w.c.Grad == nil || w.allNormal()) {
			w.apart = false
			return false
		}
		w.c.Unpack()
	}
	shift := scalar.Exp(w.rule.shift) * scalar.Exp(w.rule.rest)
	for i := range w.c.Rows {
		a, b := w.a[i], w.b[i]
		if joined && kernel.FastSum[T](a) && kernel.FastSum[T](b) {
			// The loss stands.
			w.settled[i], w.slow[i], w.u[i] = true, false, 0
			if w.c.Grad != nil && !(w.productFits(i, w.fa[i], a, b) && w.productFits(i, w.fb[i], b, a)) {
				w.slow[i], anySlow = true, true
			}
			continue
		}
		w.settled[i] = false
		if joined {
			b = w.targetTerm(i, b)
		}
		ok := kernel.FastSum[T](a) && math.Abs(w.rule.shift) < 600
		if w.rule.Target && w.c.Target[i] >= 0 {
			ok = ok && fastTerm(b) && b != 0
		} else {
			ok = ok && kernel.FastSum[T](b)
		}
		u := float64(a * b)
		// The margin may bring back what the product of the sums has not kept.
		ok = ok && fastTerm(u) && (u != 0 || a == 0 || b == 0)
		u = float64(u * shift)
		ok = ok && fastTerm(u)
		w.settled[i] = ok
		if !ok {
			u = 0
		} else if w.c.Grad != nil {
			// b/(1+u) and a/(1+u) are in range, whatever the scale.
			f := shift / (1 + u)
			fa, fb := f*b*scale[i], f*a*scale[i]
			if w.rule.Target {
				fb = 0 // the target's derivative is set apart
				ok = math.Abs(scale[i]*u) <= math.MaxFloat64
			}
			// A factor is 0 where the other side is empty, but not for its size.
			ok = ok && (fa != 0 || b == 0) && (fb != 0 || a == 0 || w.rule.Target) && w.keepFactors(i, fa, fb)
		}
		w.u[i], w.slow[i] = u, !ok
		anySlow = anySlow || !ok
	}
	kernel.Log1p64(w.v[:w.c.Rows], w.u[:w.c.Rows])
	for i, l := range w.v[:w.c.Rows] {
		if !joined || !(kernel.FastSum[T](w.a[i]) && kernel.FastSum[T](w.b[i])) {
			w.c.Loss[i] = l
		}
	}
	return anySlow
}

// productFits reports whether FinishProduct's factor f of a side fits row i: own is that
// side's sum and other the other's.
func (w *Work[T]) productFits(i int, f T, own, other float64) bool {
	return own == 0 || kernel.ProductFits(float64(f), other) &&
		(fitOrNone(f) || w.isShort() && (w.normal || kernel.NormalTerms(w.kept[i*w.c.N:][:w.c.N])))
}

// targetTerm returns e^-s of row i's target s, if the loss has one; b else.
func (w *Work[T]) targetTerm(i int, b float64) float64 {
	switch {
	case !w.rule.Target:
		return b
	case w.c.Target[i] < 0:
		return 0
	}
	return scalar.Exp(-float64(w.c.X[i*w.c.Stride+w.c.Target[i]]))
}

// keepFactors keeps the factors of row i for exponentials at pivot 0, if they
// fit.
func (w *Work[T]) keepFactors(i int, fa, fb float64) bool {
	w.fa[i], w.fb[i] = T(fa), T(fb)
	return (fa == 0 || kernel.FactorFits[T](fa)) && (fb == 0 || kernel.FactorFits[T](fb))
}
