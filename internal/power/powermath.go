package power

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/scalar"
)

// Arithmetic of powers without overflow and in nearly twice the precision of
// float64, for the rows whose sums leave its range or come near its ends. A Number
// with hi = 0 is 0.

// shiftBound is the magnitude from which on a logarithm stays in Number.shift.
const shiftBound = 1 << 62

// Exp returns e^x for Finite x.
func Exp(x float64) Number { return ExpPair(x, 0) }

// ExpPair returns e^(x+y) for |y| of at most half an ULP of x. An infinite x stands
// for one beyond all numbers.
func ExpPair(x, y float64) Number {
	switch {
	case math.Abs(x) >= shiftBound:
		return Number{Hi: 1, Shift: x}
	case math.Abs(y) > 0x1p-28:
		return Exp(x).Times(Exp(y))
	}
	n, r, s := scalar.ReducePair(x)
	hi, lo := scalar.ExpRestPair(r, s+y)
	return Number{Hi: hi, Lo: lo, Exp: n}
}

// Tidy returns p with 1/2 ≤ |hi| < 1 and |lo| at most half an ULP of it, or hi = 0.
func (p Number) Tidy() Number {
	if p.Lo != 0 {
		hi := p.Hi + p.Lo
		p.Hi, p.Lo = hi, p.Lo-(hi-p.Hi)
	}
	if b := math.Float64bits(p.Hi); b<<1>>53-1 < 0x7fe {
		// A normal number.
		e := int64(b<<1>>53) - 1022
		p.Hi = math.Float64frombits(b&^(0x7ff<<52) | 1022<<52)
		p.Exp += e
		if p.Lo != 0 {
			p.Lo = scalar.Ldexp(p.Lo, int(-e))
		}
		return p
	}
	frac, e := math.Frexp(p.Hi)
	if frac == 0 {
		return Number{}
	}
	p.Hi, p.Lo, p.Exp = frac, scalar.Ldexp(p.Lo, -e), p.Exp+int64(e)
	return p
}

// Times returns p·q.
func (p Number) Times(q Number) Number {
	p, q = p.Tidy(), q.Tidy()
	if p.Hi == 0 || q.Hi == 0 {
		return Number{}
	}
	shifted := p.Shift != 0 || q.Shift != 0
	if shifted || math.Abs(float64(p.Exp)+float64(q.Exp)) > exponentBound {
		return p.timesShifted(q)
	}
	r := Number{Hi: float64(p.Hi * q.Hi), Exp: p.Exp + q.Exp}
	r.Lo = math.FMA(p.Hi, q.Hi, -r.Hi) + math.FMA(p.Hi, q.Lo, float64(p.Lo*q.Hi))
	return r.Tidy()
}

// Plus returns p + q, of either sign and without shifts. The error is some 2^-100 of
// the larger one.
func (p Number) Plus(q Number) Number {
	p, q = p.Tidy(), q.Tidy()
	switch {
	case p.Hi == 0:
		return q
	case q.Hi == 0:
		return p
	case p.Exp < q.Exp:
		p, q = q, p
	}
	below := int(max(q.Exp-p.Exp, -2000))
	hi, lo := scalar.Ldexp(q.Hi, below), scalar.Ldexp(q.Lo, below)
	sum := p.Hi + hi
	t := sum - p.Hi
	rest := (p.Hi - (sum - t)) + (hi - t)
	return Number{Hi: sum, Lo: rest + (p.Lo + lo), Exp: p.Exp}.Tidy()
}

// exponentBound is what exponents do not exceed: that of e^shiftBound is less.
const exponentBound = 0x1.72p62

// timesShifted is Times where a factor has a shift, or the exponents together are
// beyond their bound. A product within the bound has no shift, others no large
// exponent.
func (p Number) timesShifted(q Number) Number {
	shift, rest := p.Shift, 0.0
	add := func(x float64) {
		sum := shift + x
		t := sum - shift
		rest += (shift - (sum - t)) + (x - t)
		shift = sum
	}
	add(q.Shift)
	a, p := p.natural()
	b, q := q.natural()
	add(a)
	add(b)
	r := p.Times(q)
	if rest != 0 {
		r = r.Times(Exp(rest))
	}
	switch {
	case math.Abs(shift) >= shiftBound:
		r.Shift = shift
	case shift != 0:
		r = r.Times(Exp(shift))
	}
	return r
}

// natural returns a and r with p = e^(a + p.Shift)·r, and r has no shift and a small
// exponent.
func (p Number) natural() (a float64, r Number) {
	r = Number{Hi: p.Hi, Lo: p.Lo, Exp: p.Exp}
	if -1<<40 < p.Exp && p.Exp < 1<<40 {
		return 0, r
	}
	const low = 0x1.7b57a079a1934p-111 // ln 2 = Ln2Hi64 + Ln2Lo64 + low
	// Both parts of the exponent, and so the products and their errors, are float64s.
	head := float64(p.Exp)
	tail := float64(p.Exp - int64(head))
	r.Exp = 0
	times := func(x, y, rest float64) {
		m := float64(x * y)
		r = r.Times(ExpPair(m, math.FMA(x, y, -m)+rest))
	}
	a = float64(head * math.Ln2)
	r = r.Times(Exp(math.FMA(head, math.Ln2, -a)))
	times(head, coef.Ln2Lo64, float64(head*low)+float64(tail*coef.Ln2Lo64))
	times(tail, math.Ln2, 0)
	return a, r
}

// magnitude orders powers roughly: it is the exponent of p, within ±4000.
func (p Number) magnitude() int {
	switch {
	case p.Hi == 0 || p.Shift < 0:
		return -4000
	case p.Shift > 0:
		return 4000
	}
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
	return scalar.Ldexp(p.Hi, m)
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
	case m < -120:
		return Number{Hi: 1}
	case m < 900:
		p = p.Tidy()
		hi, lo := scalar.Ldexp(p.Hi, int(p.Exp)), scalar.Ldexp(p.Lo, int(p.Exp))
		sum := 1 + hi
		rest := min(1, hi) - (sum - max(1, hi))
		return Number{Hi: sum, Lo: rest + lo}.Inverse()
	}
	return p.Inverse()
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
	hi := 1 / p.Hi
	lo := float64(hi * (math.FMA(-hi, p.Hi, 1) - float64(hi*p.Lo)))
	return Number{Hi: hi, Lo: lo, Exp: -p.Exp, Shift: -p.Shift}
}

// Share returns p/(1+p), p ≥ 0.
func (p Number) Share() Number {
	if p.magnitude() >= 900 {
		return Number{Hi: 1}
	}
	return p.Times(p.Over1p())
}
