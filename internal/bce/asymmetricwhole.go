package bce

import (
	"math"

	"github.com/zlpr/zlpr/internal/kernel"
)

// This file evaluates terms of negatives with a shift, float64, whose exponent γ is a small
// whole number, where nothing is near the limits of the numbers: r^γ is a product then, and
// all stays in pairs of float64, without exponents of their own.

// mostWhole is the largest such γ.
const mostWhole = 8

// wholeExponent returns γ if it is one, -1 else.
func wholeExponent(gamma float64) int {
	if n := int(min(gamma, mostWhole+1)); float64(n) == gamma && n <= mostWhole {
		return n
	}
	return -1
}

// wholeTerm returns the term of the negative s times class, as term does, and its derivative
// times both, which is right where scale is middling and is not wanted where that is 0.
func (a *Asymmetric[T]) wholeTerm(s, class, scale float64) (t, d float64, ok bool) {
	const far, least = 100, 0x1p-30
	if kernel.IsFloat32[T]() || a.whole < 0 || !(math.Abs(s) <= far) || !middling(class) {
		return 0, 0, false
	}
	e := expPair(-math.Abs(s), 0)
	one := pair{1, 0}.plusSmaller(e)
	p, q := one.inverse(), e.over(one)
	if s < 0 {
		p, q = q, p
	}
	r := p.plus(pair{-a.rule.Shift, 0})
	if r = normal(r.hi, r.lo); !(r.hi >= least) {
		return 0, 0, r.hi <= 0
	}
	rest := q.plus(pair{a.rule.Shift, 0})
	l := 0.0
	if r.hi <= 0.5 {
		l = log1pPair(r.over(rest)).hi
	} else {
		l = -logPair(rest).hi
	}
	w := pair{class, 0}
	for range a.whole {
		w = w.times(r)
	}
	v := w.times(pair{l, 0})
	t = v.hi + v.lo
	if scale != 0 {
		slope := p.hi * (float64(a.rule.Negative*(l/r.hi)) + 1/rest.hi)
		v = w.times(pair{q.hi, 0}).times(pair{slope, 0}).times(pair{scale, 0})
		d = v.hi + v.lo
	}
	return t, d, true
}
