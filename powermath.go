package zlpr

import (
	"math"

	"github.com/zlpr/zlpr/internal/scalar"
)

// Arithmetic of powers without overflow, for the rows whose sums leave the
// range of float64 or come near its ends. A power with hi = 0 is 0; lo is
// dropped.

// shiftBound is the magnitude from which on a logarithm stays in power.shift.
const shiftBound = 1 << 62

// expPower returns e^x for finite x.
func expPower(x float64) power {
	if math.Abs(x) >= shiftBound {
		return power{hi: 1, shift: x}
	}
	n, r := scalar.Reduce(x)
	return power{hi: scalar.Exp(r), exp: n}
}

// tidy returns p with 1/2 ≤ |hi| < 1, or hi = 0, and lo = 0.
func (p power) tidy() power {
	frac, e := math.Frexp(p.hi + p.lo)
	if frac == 0 {
		return power{}
	}
	p.hi, p.lo, p.exp = frac, 0, p.exp+int64(e)
	return p
}

// times returns p·q.
func (p power) times(q power) power {
	p, q = p.tidy(), q.tidy()
	if p.hi == 0 || q.hi == 0 {
		return power{}
	}
	r := power{hi: p.hi * q.hi, exp: p.exp + q.exp}
	switch shift := p.shift + q.shift; {
	case math.Abs(shift) >= shiftBound:
		r.shift = shift
	case shift != 0:
		n, s := scalar.Reduce(shift)
		r.hi, r.exp = r.hi*scalar.Exp(s), r.exp+n
	}
	return r.tidy()
}

// magnitude orders powers roughly: it is the exponent of p, within ±4000.
func (p power) magnitude() int {
	switch {
	case p.hi == 0 || p.shift < 0:
		return -4000
	case p.shift > 0:
		return 4000
	}
	_, e := math.Frexp(p.hi)
	return int(max(-4000, min(4000, p.exp+int64(e))))
}

// float returns p, or 0 where it is below the smallest float64 and +Inf where
// it is above the largest.
func (p power) float() float64 {
	return math.Ldexp(p.tidy().hi, p.magnitude())
}

// log1p returns log(1+p), p ≥ 0.
func (p power) log1p() float64 {
	if m := p.magnitude(); m <= 1000 {
		return scalar.Log1p(p.float())
	}
	return p.normalized().log()
}

// over1p returns 1/(1+p), p ≥ 0.
func (p power) over1p() power {
	switch m := p.magnitude(); {
	case m < -80:
		return power{hi: 1}
	case m < 900:
		return power{hi: 1 / (1 + p.float())}
	}
	p = p.tidy()
	return power{hi: 1 / p.hi, exp: -p.exp, shift: -p.shift}
}
