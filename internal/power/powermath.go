package power

import (
	"math"

	"github.com/zlpr/zlpr/internal/scalar"
)

// Arithmetic of powers without overflow, for the rows whose sums leave the
// range of float64 or come near its ends. A Number with hi = 0 is 0; lo is
// dropped.

// shiftBound is the magnitude from which on a logarithm stays in Number.shift.
const shiftBound = 1 << 62

// Exp returns e^x for Finite x.
func Exp(x float64) Number {
	if math.Abs(x) >= shiftBound {
		return Number{Hi: 1, Shift: x}
	}
	n, r := scalar.Reduce(x)
	return Number{Hi: scalar.Exp(r), Exp: n}
}

// Tidy returns p with 1/2 ≤ |hi| < 1, or hi = 0, and lo = 0.
func (p Number) Tidy() Number {
	if b := math.Float64bits(p.Hi); p.Lo == 0 && b<<1>>53-1 < 0x7fe {
		// A normal number.
		p.Hi = math.Float64frombits(b&^(0x7ff<<52) | 1022<<52)
		p.Exp += int64(b<<1>>53) - 1022
		return p
	}
	frac, e := math.Frexp(p.Hi + p.Lo)
	if frac == 0 {
		return Number{}
	}
	p.Hi, p.Lo, p.Exp = frac, 0, p.Exp+int64(e)
	return p
}

// Times returns p·q.
func (p Number) Times(q Number) Number {
	p, q = p.Tidy(), q.Tidy()
	if p.Hi == 0 || q.Hi == 0 {
		return Number{}
	}
	r := Number{Hi: p.Hi * q.Hi, Exp: p.Exp + q.Exp}
	switch shift := p.Shift + q.Shift; {
	case math.Abs(shift) >= shiftBound:
		r.Shift = shift
	case shift != 0:
		n, s := scalar.Reduce(shift)
		r.Hi, r.Exp = r.Hi*scalar.Exp(s), r.Exp+n
	}
	return r.Tidy()
}

// magnitude orders powers roughly: it is the exponent of p, within ±4000.
func (p Number) magnitude() int {
	switch {
	case p.Hi == 0 || p.Shift < 0:
		return -4000
	case p.Shift > 0:
		return 4000
	}
	p.Lo = 0
	return int(max(-4000, min(4000, p.Tidy().Exp)))
}

// Float returns p, or 0 where it is below the smallest float64 and +Inf where
// it is above the largest.
func (p Number) Float() float64 {
	p = p.Tidy()
	m := p.magnitude()
	if -1000 < m && m < 1000 {
		return p.Hi * math.Float64frombits(uint64(1023+m)<<52)
	}
	return math.Ldexp(p.Hi, m)
}

// Log1pArgument returns x and rest with log(1+p) = log(1+x) + rest, p ≥ 0, one of
// them 0: x is Finite.
func (p Number) Log1pArgument() (x, rest float64) {
	if m := p.magnitude(); m <= 1000 {
		return p.Float(), 0
	}
	return 0, p.Normalized().log()
}

// Over1p returns 1/(1+p), p ≥ 0.
func (p Number) Over1p() Number {
	switch m := p.magnitude(); {
	case m < -80:
		return Number{Hi: 1}
	case m < 900:
		return Number{Hi: 1 / (1 + p.Float())}
	}
	p = p.Tidy()
	return Number{Hi: 1 / p.Hi, Exp: -p.Exp, Shift: -p.Shift}
}

// A Class tells what the sum of exponentials of a block or row is.
type Class uint8

const (
	Nothing  Class = iota // no score above -Inf
	Finite                // a Number
	Infinite              // +Inf among the scores, no NaN
	NotANumber
)

// Log returns the logarithm of a sum of exponentials.
func (c Class) Log(p Number) float64 {
	switch c {
	case Nothing:
		return math.Inf(-1)
	case Finite:
		return p.log()
	case Infinite:
		return math.Inf(1)
	}
	return math.Float64frombits(0x7ff8 << 48) // the canonical one
}

// Inverse returns 1/p.
func (p Number) Inverse() Number {
	p = p.Tidy()
	return Number{Hi: 1 / p.Hi, Exp: -p.Exp, Shift: -p.Shift}
}

// Share returns p/(1+p), p ≥ 0.
func (p Number) Share() Number {
	if p.magnitude() >= 900 {
		return Number{Hi: 1}
	}
	return p.Times(p.Over1p())
}
