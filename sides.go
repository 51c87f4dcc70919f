package zlpr

import (
	"math"

	"github.com/zlpr/zlpr/internal/scalar"
)

// ZLPR, pairwise and softmax cross-entropy depend on the scores through two
// sums alone, over the negatives N and the positives P:
//
//	A = Σ_N e^s,  B = Σ_P e^-s
//
//	sum of both: L = log1p(A·e^-s0) + log1p(B·e^s0)      ZLPR
//	product:     L = log1p(A·B·e^(γm))                   pairwise, cross-entropy
//
// A threshold or a margin is applied to A and B in float64, not to the scores:
// so no score is rounded. All terms are positive, so a small loss has small
// relative error. The gradient is the same exponentials times a factor:
//
//	∂L/∂s_i = e^s_i·∂L/∂A for i ∈ N,  ∂L/∂s_j = -e^-s_j·∂L/∂B for j ∈ P
type sideRule struct {
	product bool
	gamma   float64   // scale of the scores: the sums are of e^(γs) and e^(-γs)
	shift   float64   // γm, rounded
	rest    float64   // what the rounding left out
	target  bool      // P is the row's target alone
	weights []float64 // factors of the exponentials; nil: all 1
	soft    bool      // soft labels t: A = Σ (1-t)·e^s, B = Σ t·e^-s
}

// lossScratch is memory that losses keep from one chunk to the next.
type lossScratch[T Float] struct {
	a, b, u, v    []float64
	slow          []bool
	none          []uint64 // no bits
	params        []gradParams[T]
	zeroPivot     bool // all params are those of pivot 0
	thresholdGrad []float64
	subset        *subsetCore
	general       sideScratch[T]

	// Of one block of a row: arguments, factors and exponentials of the
	// terms, and their classes.
	y, factor, e []float64
	at           []int
	row          []float64 // a row's gradient
}

// evalSides evaluates a loss of two sums.
func evalSides[T Float](c *lossChunk[T], rule *sideRule) {
	if rule.general() {
		evalGeneral(c, rule)
		return
	}
	s := &c.scratch
	s.a, s.b = resize(s.a, c.rows), resize(s.b, c.rows)
	s.u, s.v = resize(s.u, c.rows), resize(s.v, c.rows)
	s.slow = resize(s.slow, c.rows)
	pos := c.pos
	if rule.target {
		if len(s.none) < len(pos) {
			s.none = make([]uint64, len(pos))
		}
		pos = s.none
	}
	selectSums(s.a, s.b, c.x, c.stride, c.rows, c.n, pos, c.neg, c.words)
	if rule.target {
		// B = e^-s of the target.
		for i, t := range c.target {
			s.b[i] = 0
			if t >= 0 {
				s.b[i] = scalar.Exp(-float64(c.x[i*c.stride+t]))
			}
		}
	}
	anySlow := false
	if rule.product {
		anySlow = c.finishProduct(rule)
	} else {
		anySlow = c.finishSum()
	}
	if anySlow {
		c.prepareSides(rule)
		c.evalSlow(rule)
	}
	if c.grad == nil {
		return
	}
	for i := 0; i < c.rows; {
		if anySlow && s.slow[i] {
			i++
			continue
		}
		end := c.rows
		if anySlow {
			for end = i + 1; end < c.rows && !s.slow[end]; end++ {
			}
		}
		selectGrad(c.grad[i*c.gradStride:], c.gradStride, c.x[i*c.stride:], c.stride, end-i, c.n,
			pos[i*c.words:], c.neg[i*c.words:], c.words, s.params[i:end], s.zeroPivot)
		i = end
	}
	if rule.target {
		for i, t := range c.target {
			if t >= 0 && !s.slow[i] {
				c.grad[i*c.gradStride+t] = T(-c.scale[i] * s.u[i] / (1 + s.u[i]))
			}
		}
	}
}

// fastSum reports whether a sum at pivot 0 is right as it stands; that of no
// terms is 0.
func fastSum[T Float](x float64) bool { return natural[T](x) || x == 0 }

// fastTerm reports whether log1p of x and the factors that follow from it can be
// taken in float64.
func fastTerm(x float64) bool { return x <= 0x1p1000 && x >= 0x1p-1000 || x == 0 }

// finishSum computes losses and factors of the gradient from the sums of all
// rows, and reports whether there are slow rows.
func (c *lossChunk[T]) finishSum() (anySlow bool) {
	s := &c.scratch
	u, v, logU, logV := s.a, s.b, s.u, s.v
	if allZero(c.threshold) && allNatural[T](s.a) && allNatural[T](s.b) {
		clear(s.slow)
	} else {
		u, v, logU, logV = logU, logV, u, v
		anySlow = c.shiftSums(u, v)
	}
	log1p64(logU, u)
	log1p64(logV, v)
	for i, l := range logU {
		c.loss[i] = l + logV[i]
	}
	if c.thresholdGrad != nil {
		for i := range c.thresholdGrad {
			c.thresholdGrad[i] = c.scale[i] * thresholdSlope(u[i], v[i])
		}
	}
	if c.grad == nil {
		return anySlow
	}
	s.params = resize(s.params, c.rows)
	zero := zeroPivot[T]()
	s.zeroPivot = true
	for i, s0 := range c.threshold {
		f, g := 1/(1+u[i]), 1/(1+v[i])
		p, scale := &s.params[i], c.scale[i]
		if s0 == 0 && pivotFree(f, scale) && pivotFree(g, scale) {
			*p = zero
			p[2], p[5] = T(f*scale), T(-g*scale)
			continue
		}
		s.zeroPivot = false
		if s0 != 0 && !s.slow[i] {
			f *= scalar.Exp(-s0)
			g *= scalar.Exp(s0)
		}
		setFactor(p[:3], f, scale)
		setFactor(p[3:], g, -scale)
	}
	return anySlow
}

// shiftSums applies the thresholds to the sums, giving u and v, notes which rows
// are slow, with u = v = 0, and reports whether there are any.
func (c *lossChunk[T]) shiftSums(u, v []float64) (anySlow bool) {
	s := &c.scratch
	low, high := naturalRange[T]()
	for i, s0 := range c.threshold {
		a, b := s.a[i], s.b[i]
		// The sum of no terms is 0.
		ok := (a >= low && a <= high || a == 0) && (b >= low && b <= high || b == 0)
		if s0 != 0 {
			a *= scalar.Exp(-s0)
			b *= scalar.Exp(s0)
			ok = ok && math.Abs(s0) < 600 && fastTerm(a) && fastTerm(b)
		}
		if !ok {
			a, b, anySlow = 0, 0, true
		}
		u[i], v[i], s.slow[i] = a, b, !ok
	}
	return anySlow
}

// allZero reports whether all elements of x are zeros.
func allZero(x []float64) bool {
	var any uint64
	for _, v := range x {
		any |= math.Float64bits(v) << 1
	}
	return any == 0
}

// allNatural reports whether all elements of x, none of them negative, are
// natural sums or 0. It does not branch on them: that a row has no positives is
// hard to predict.
func allNatural[T Float](x []float64) bool {
	low, high := naturalRange[T]()
	from, span := int64(math.Float64bits(low)), int64(math.Float64bits(high)-math.Float64bits(low))
	var outside int64 // its sign
	for _, v := range x {
		b := int64(math.Float64bits(v) &^ (1 << 63)) // a NaN may have a sign
		d := b - from
		outside |= (d | (span - d)) & -b // -b is negative unless b is 0
	}
	return outside >= 0
}

// pivotFree reports whether pivot 0 serves for the factor f·scale: it is neither
// so small that its digits go, nor so large that an exponential below the
// smallest normal number times it counts.
func pivotFree(f, scale float64) bool {
	scale = math.Abs(scale)
	return f >= 0x1p-50 && f <= 0x1p5 && scale >= 0x1p-50 && scale <= 1
}

// naturalRange returns the limits of natural.
func naturalRange[T Float]() (low, high float64) {
	if isFloat32[T]() {
		return naturalLow32, naturalHigh32
	}
	return naturalLow64, naturalHigh64
}

// zeroPivot returns the parameters of pivot 0, without factors.
func zeroPivot[T Float]() (p gradParams[T]) {
	setFactor(p[:3], 1, 1)
	setFactor(p[3:], 1, 1)
	return p
}

// thresholdSlope returns v/(1+v) - u/(1+u).
func thresholdSlope(u, v float64) float64 {
	if u < 0x1p60 && v < 0x1p60 {
		return (v - u) / ((1 + u) * (1 + v))
	}
	return 1/(1+u) - 1/(1+v)
}

// finishProduct is finishSum for a loss of the product.
func (c *lossChunk[T]) finishProduct(rule *sideRule) (anySlow bool) {
	s := &c.scratch
	shift := scalar.Exp(rule.shift) * scalar.Exp(rule.rest)
	for i := range c.rows {
		a, b := s.a[i], s.b[i]
		ok := fastSum[T](a) && (fastSum[T](b) || rule.target && c.target[i] >= 0 && fastTerm(b) && b != 0) &&
			math.Abs(rule.shift) < 600
		if rule.target && c.target[i] >= 0 && b == 0 {
			ok = false
		}
		u := a * b
		ok = ok && fastTerm(u)
		u *= shift
		if !(ok && fastTerm(u)) {
			ok, u, anySlow = false, 0, true
		}
		s.u[i], s.slow[i] = u, !ok
	}
	log1p64(c.loss, s.u)
	if c.grad == nil {
		return anySlow
	}
	s.params = resize(s.params, c.rows)
	zero := zeroPivot[T]()
	s.zeroPivot = true
	for i := range s.params {
		p := &s.params[i]
		if s.slow[i] {
			*p = zero
			continue
		}
		f := shift / (1 + s.u[i])
		// A factor 0 has no exponentials: the other side is empty.
		fa, fb, scale := f*s.b[i], f*s.a[i], c.scale[i]
		if rule.target {
			fb = 0 // the target's derivative is set apart
		}
		if (fa == 0 || pivotFree(fa, scale)) && (fb == 0 || pivotFree(fb, scale)) {
			*p = zero
			p[2], p[5] = T(fa*scale), T(-fb*scale)
			continue
		}
		s.zeroPivot = false
		setFactor(p[:3], fa, scale)
		setFactor(p[3:], fb, -scale)
	}
	return anySlow
}

// setFactor sets the magic number, lowest argument and factor with which
// e^y·2^-c·factor is e^y·f·scale: 2^-c takes the exponent of f, and that of
// scale where that is above 1, so that no exponential that counts in the
// product lies below the smallest normal number.
func setFactor[T Float](p []T, f, scale float64) {
	b := math.Float64bits(f)
	e := int64(b>>52) - 1023
	m := math.Float64frombits(b&(1<<52-1) | 0x3ff<<52)
	if f == 0 {
		e, m = 0, 0
	}
	if math.Abs(scale) > 1 {
		d := min(int64(math.Float64bits(scale)>>52&0x7ff)-1023, 100)
		e += d
		scale *= math.Float64frombits(uint64(1023-d) << 52)
	}
	c := float64(-e)
	if isFloat32[T]() {
		p[0], p[1] = T(magic32-c), T((c-125.5)*math.Ln2)
	} else {
		p[0], p[1] = T(magic64-c), T((c-1021.5)*math.Ln2)
	}
	p[2] = T(m * scale)
}
