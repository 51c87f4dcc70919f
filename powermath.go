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
	if b := math.Float64bits(p.hi); p.lo == 0 && b<<1>>53-1 < 0x7fe {
		// A normal number.
		p.hi = math.Float64frombits(b&^(0x7ff<<52) | 1022<<52)
		p.exp += int64(b<<1>>53) - 1022
		return p
	}
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
	p.lo = 0
	return int(max(-4000, min(4000, p.tidy().exp)))
}

// float returns p, or 0 where it is below the smallest float64 and +Inf where
// it is above the largest.
func (p power) float() float64 {
	p = p.tidy()
	m := p.magnitude()
	if -1000 < m && m < 1000 {
		return p.hi * math.Float64frombits(uint64(1023+m)<<52)
	}
	return math.Ldexp(p.hi, m)
}

// log1pArgument returns x and rest with log(1+p) = log(1+x) + rest, p ≥ 0, one of
// them 0: x is finite.
func (p power) log1pArgument() (x, rest float64) {
	if m := p.magnitude(); m <= 1000 {
		return p.float(), 0
	}
	return 0, p.normalized().log()
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
