// Package exact adds float64 numbers and products without error: the result
// is the exact sum, rounded once. So it depends neither on the order of the
// terms nor on how they are split over workers, and needs no tolerance.
//
// A Sum is a fixed-point number wide enough for every product of two float64
// (Kulisch's long accumulator): two's complement, least significant bit
// 2^-2148 = (2^-1074)², with room for 2^63 products of the largest numbers.
package exact

import (
	"math"
	"math/bits"
)

const (
	lowest = 2148 // the least significant bit is 2^-lowest
	words  = 67   // bits up to 2^(64·67-1-2148) = 2^2139, the sign above 2^2111
)

// Sum is an exact sum. The zero value is an empty sum, +0. It is a value: a
// copy is independent, and two sums of the same finite number are equal.
type Sum struct {
	word    [words]uint64
	special special
}

// special records which of NaN, +Inf and -Inf were added.
type special uint8

const (
	hasNaN special = 1 << iota
	hasInf
	hasMinusInf
)

// Add adds x.
func (s *Sum) Add(x float64) {
	b := math.Float64bits(x)
	m, e := split(b)
	if e == 0x7ff {
		s.addSpecial(x)
		return
	}
	at := e + lowest - 1075 // x = m·2^(e-1075)
	i, shift := at/64, at%64
	s.add(b>>63 != 0, i, m<<shift, m>>(64-shift), 0)
}

// AddProduct adds w·x. As in IEEE 754, 0·Inf is NaN.
func (s *Sum) AddProduct(w, x float64) {
	bw, bx := math.Float64bits(w), math.Float64bits(x)
	mw, ew := split(bw)
	mx, ex := split(bx)
	if ew == 0x7ff || ex == 0x7ff {
		s.addSpecial(w * x)
		return
	}
	at := ew + ex + lowest - 2150 // w·x = mw·mx·2^(ew+ex-2150)
	i, shift := at/64, at%64
	hi, lo := bits.Mul64(mw, mx) // 106 bits
	s.add((bw^bx)>>63 != 0, i, lo<<shift, hi<<shift|lo>>(64-shift), hi>>(64-shift))
}

// AddSlice adds all elements of x.
//
// Positive elements of exponents base to base+63 are collected in 128 bits,
//
//	window = Σ m·2^(e-base),
//
// which 2^10 of them do not fill; the others are added one by one.
func (s *Sum) AddSlice(x []float64) {
	const block = 1 << 10
	for len(x) > 0 {
		head := x[:min(len(x), block)]
		x = x[len(head):]

		_, first := split(math.Float64bits(head[0]))
		base := min(max(first, 33)-32, 0x7ff-64)
		var lo, hi, carry uint64
		for _, v := range head {
			b := math.Float64bits(v)
			d := b>>52 - uint64(base) // 64 or more with a sign
			if d >= 64 {
				if v != 0 {
					s.Add(v)
				}
				continue
			}
			m := b&(1<<52-1) | 1<<52
			lo, carry = bits.Add64(lo, m<<(d&63), 0)
			hi += m>>1>>(63-d&63) + carry
		}
		at := base + lowest - 1075
		i, shift := at/64, at%64
		s.add(false, i, lo<<shift, hi<<shift|lo>>(64-shift), hi>>(64-shift))
	}
}

// Merge adds the sum t.
func (s *Sum) Merge(t *Sum) {
	var carry uint64
	for i, w := range t.word {
		s.word[i], carry = bits.Add64(s.word[i], w, carry)
	}
	s.special |= t.special
}

// split returns the significand and the exponent of a float64, |x| =
// m·2^(e-1075) with e ≥ 1; e = 0x7ff for infinities and NaN.
func split(b uint64) (m uint64, e uint) {
	m, e = b&(1<<52-1), uint(b>>52)&0x7ff
	if e == 0 { // subnormal
		return m, 1
	}
	return m | 1<<52, e
}

// add adds ±(w0 + w1·2^64 + w2·2^128)·2^(64i) in units of the last place.
func (s *Sum) add(negative bool, i uint, w0, w1, w2 uint64) {
	var carry uint64
	if negative {
		s.word[i], carry = bits.Sub64(s.word[i], w0, 0)
		s.word[i+1], carry = bits.Sub64(s.word[i+1], w1, carry)
		s.word[i+2], carry = bits.Sub64(s.word[i+2], w2, carry)
		for i += 3; carry != 0 && i < words; i++ {
			s.word[i], carry = bits.Sub64(s.word[i], 0, carry)
		}
		return
	}
	s.word[i], carry = bits.Add64(s.word[i], w0, 0)
	s.word[i+1], carry = bits.Add64(s.word[i+1], w1, carry)
	s.word[i+2], carry = bits.Add64(s.word[i+2], w2, carry)
	for i += 3; carry != 0 && i < words; i++ {
		s.word[i], carry = bits.Add64(s.word[i], 0, carry)
	}
}

func (s *Sum) addSpecial(x float64) {
	switch {
	case x > 0:
		s.special |= hasInf
	case x < 0:
		s.special |= hasMinusInf
	default:
		s.special |= hasNaN
	}
}

// Float64 returns the sum rounded to the nearest float64, ties to even.
//
// Special cases are:
//
//	a sum of nothing, of zeros of either sign, or that is 0: +0
//	a NaN, or both +Inf and -Inf, among the terms: NaN
//	only one of +Inf and -Inf among the terms: that one
//	a finite sum beyond the float64: ±Inf
//	a negative sum that rounds to 0: -0
func (s *Sum) Float64() float64 {
	switch s.special {
	case 0:
	case hasInf:
		return math.Inf(1)
	case hasMinusInf:
		return math.Inf(-1)
	default:
		return math.Float64frombits(0x7ff8 << 48)
	}

	m, exp := s.round(lowest - 1074) // no bit below that of 2^-1074
	return math.Ldexp(m, exp)
}

// Scaled returns the sum as m·2^exp, m being of 53 bits, rounded to the nearest,
// ties to even: also where it is beyond the float64, of which Float64 makes an
// infinity or something less accurate. For sums that are no finite number and 0
// it returns Float64 and 0.
func (s *Sum) Scaled() (m float64, exp int) {
	if s.special != 0 || s.word == [words]uint64{} {
		return s.Float64(), 0
	}
	return s.round(0)
}

// round returns the sum as m·2^exp, of 53 bits, none of which is below bit least.
func (s *Sum) round(least int) (m float64, exp int) {
	magnitude := s.word
	negative := magnitude[words-1]>>63 != 0
	if negative {
		var borrow uint64
		for i, w := range s.word {
			magnitude[i], borrow = bits.Sub64(0, w, borrow)
		}
	}
	top := words - 1
	for top > 0 && magnitude[top] == 0 {
		top--
	}
	length := 64*top + bits.Len64(magnitude[top])

	last := max(length-53, least) // the last bit that stays
	k := extract(&magnitude, last)
	if half := last - 1; half >= 0 && magnitude[half/64]>>(half%64)&1 != 0 && (k&1 != 0 || anyBelow(&magnitude, half)) {
		k++ // at most 2^53
	}
	if negative {
		return -float64(k), last - lowest
	}
	return float64(k), last - lowest
}

// extract returns the 64 bits of x from bit at on.
func extract(x *[words]uint64, at int) uint64 {
	i, shift := at/64, uint(at%64)
	m := x[i] >> shift
	if i+1 < words {
		m |= x[i+1] << (64 - shift)
	}
	return m
}

// anyBelow reports whether a bit of x below bit at is set.
func anyBelow(x *[words]uint64, at int) bool {
	for _, w := range x[:at/64] {
		if w != 0 {
			return true
		}
	}
	return x[at/64]&(1<<(at%64)-1) != 0
}
