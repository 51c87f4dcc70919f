package power

import (
	"math"
	"math/bits"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/scalar"
)

// A Number is a sum of exponentials e^shift·2^exp·(hi + lo), |lo| at most half
// an ULP of hi. The shift is 0 but where scores are so large that no two
// different ones count together.
type Number struct {
	Hi, Lo float64
	Exp    int64
	Shift  float64
}

// Normalized returns p in a form that depends on its value alone: exp = 0 where
// that leaves hi between 2^-900 and 2^1000, else 1 ≤ hi < 2.
func (p Number) Normalized() Number {
	hi := p.Hi + p.Lo
	p.Lo -= hi - p.Hi
	p.Hi = hi
	if p.Exp == 0 && hi > 0x1p-899 && hi < 0x1p999 {
		return p // what follows leaves these as they are
	}
	_, e := math.Frexp(hi)
	scale := -(e - 1)
	if total := int64(e) + p.Exp; -900 < total && total <= 1000 {
		scale = int(p.Exp)
	}
	p.Hi, p.Lo = scalar.Ldexp(p.Hi, scale), scalar.Ldexp(p.Lo, scale)
	p.Exp -= int64(scale)
	return p
}

// log returns the logarithm of a normalized p > 0.
func (p Number) log() float64 {
	l := scalar.LogPair(p.Hi, p.Lo)
	if p.Exp != 0 {
		// exp·ln(2) in two parts, the larger exact but for its error term.
		e := float64(p.Exp)
		head := float64(e * math.Ln2)
		tail := math.FMA(e, math.Ln2, -head) + float64(e*coef.Ln2Lo64)
		l = head + (tail + l)
	}
	return p.Shift + l
}

// limbs is the number of 32-bit digits of a Sum: no digit of a block's
// sum lies as far below another's as they reach.
const limbs = 40

// A Sum is an exact sum of powers, the same in any order: digits of 32
// bits at fixed places, each the plain sum of the terms' digits there, without
// carries. Digits too far below the highest place of any term are left out,
// whichever comes first.
type Sum struct {
	digit [limbs]int64 // digit[i] counts 2^(32·(top-i))
	top   int64        // place of digit[0]
	terms uint32
	shift float64
}

// Add adds p, p.hi > 0.
func (s *Sum) Add(p Number) {
	if s.terms > 0 && p.Shift != s.shift {
		if p.Shift < s.shift {
			return
		}
		*s = Sum{}
	}
	s.shift = p.Shift
	s.addFloat(p.Hi, p.Exp)
	s.addFloat(p.Lo, p.Exp)
}

// addFloat adds x·2^exp.
func (s *Sum) addFloat(x float64, exp int64) {
	if x == 0 {
		return
	}
	frac, e := math.Frexp(x)
	m := int64(scalar.Ldexp(frac, 53))
	exp += int64(e) - 53
	sign := int64(1)
	if m < 0 {
		m, sign = -m, -1
	}
	// m·2^exp as digits at place, place+1 and place+2.
	place, low := exp>>5, uint(exp&31)
	h, l := bits.Mul64(uint64(m), 1<<low)
	s.raise(place+2, s.terms == 0)
	s.terms++
	for i, d := range [3]uint64{l & math.MaxUint32, l >> 32, h} {
		if j := s.top - (place + int64(i)); j < limbs {
			s.digit[j] += sign * int64(d)
		}
	}
}

// raise makes place the highest one if it is higher, or if the sum is empty.
func (s *Sum) raise(place int64, empty bool) {
	switch by := place - s.top; {
	case empty:
		s.top = place
	case by >= limbs:
		s.digit, s.top = [limbs]int64{}, place
	case by > 0:
		copy(s.digit[by:], s.digit[:limbs-by])
		clear(s.digit[:by])
		s.top = place
	}
}

// Merge adds the terms of t.
func (s *Sum) Merge(t *Sum) {
	switch {
	case t.terms == 0 || s.terms > 0 && t.shift < s.shift:
		return
	case s.terms == 0 || t.shift > s.shift:
		*s = *t
		return
	}
	s.raise(t.top, false)
	for i, d := range t.digit {
		if j := s.top - t.top + int64(i); j < limbs {
			s.digit[j] += d
		}
	}
	s.terms += t.terms
}

// Value returns the sum, whose terms are not 0: hi is the sum rounded, lo the
// rest rounded.
func (s *Sum) Value() Number {
	rest := *s
	hi, exp := rest.round()
	rest.addFloat(-hi, exp)
	lo, loExp := rest.round()
	// Where lo is too small for a float64 it does not count.
	return Number{hi, scalar.Ldexp(lo, int(max(loExp-exp, -2000))), exp, s.shift}.Normalized()
}

// round carries and returns the sum rounded to x·2^exp, |x| in [2^52, 2^53],
// ties to even.
func (s *Sum) round() (x float64, exp int64) {
	negative := s.carry()
	if negative {
		for i := range s.digit {
			s.digit[i] = -s.digit[i]
		}
		s.carry()
		defer func() {
			for i := range s.digit {
				s.digit[i] = -s.digit[i]
			}
		}()
	}
	first := 0
	for first < limbs && s.digit[first] == 0 {
		first++
	}
	if first == limbs {
		return 0, 0
	}
	var d [3]uint64
	for i := range d {
		if first+i < limbs {
			d[i] = uint64(s.digit[first+i])
		}
	}
	sticky := false
	for i := first + 3; i < limbs; i++ {
		sticky = sticky || s.digit[i] != 0
	}
	// 96 bits, the first of 32 with at least one set, and more in the top
	// digit, which carries take beyond 32.
	h, l := d[0]>>0, d[1]<<32|d[2]
	n := bits.Len64(h)
	// m: the top 64 bits of h·2^64 + l.
	m := h<<(64-n) | l>>n
	if n == 64 {
		m = h
	}
	sticky = sticky || n < 64 && l<<(64-n) != 0 || n == 64 && l != 0
	exp = 32*(s.top-int64(first)-2) + int64(n)
	// Round m to 53 bits.
	const extra = 11
	half := uint64(1) << (extra - 1)
	tail := m & (1<<extra - 1)
	q := m >> extra
	if tail > half || tail == half && (sticky || q&1 == 1) {
		q++
	}
	x = float64(q)
	if negative {
		x = -x
	}
	return x, exp + extra
}

// carry brings all digits but the highest into [0, 2^32) and reports whether
// the sum is negative.
func (s *Sum) carry() bool {
	for i := limbs - 1; i > 0; i-- {
		s.digit[i-1] += s.digit[i] >> 32
		s.digit[i] &= math.MaxUint32
	}
	return s.digit[0] < 0
}
