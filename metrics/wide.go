package metrics

import (
	"math/big"
	"math/bits"
)

// This file has the arithmetic of long unsigned integers: slices of words, the
// least significant first. Nothing here allocates but toBig. Results have room
// in their destination; what would not fit, by sums that someone has forged, is cut.

// addWide adds a to dst, which is no shorter.
func addWide(dst, a []uint64) {
	var carry uint64
	for i, w := range a {
		dst[i], carry = bits.Add64(dst[i], w, carry)
	}
	for i := len(a); carry != 0 && i < len(dst); i++ {
		dst[i], carry = bits.Add64(dst[i], 0, carry)
	}
}

// subWide takes a ≤ dst of the same length from dst.
func subWide(dst, a []uint64) {
	var borrow uint64
	for i, w := range a {
		dst[i], borrow = bits.Sub64(dst[i], w, borrow)
	}
}

// addShifted adds m·2^at to dst.
func addShifted(dst []uint64, m uint64, at int) {
	i, shift := at/64, at%64
	var carry uint64
	dst[i], carry = bits.Add64(dst[i], m<<shift, 0)
	high := m>>1>>(63-shift) + carry // at most 2^63
	for i++; high != 0 && i < len(dst); i++ {
		dst[i], high = bits.Add64(dst[i], high, 0)
	}
}

// addProduct adds m·v·2^(64+at) to dst: v in units of 2^-64.
func addProduct(dst []uint64, m uint64, v fixed, at int) {
	if v.Frac != 0 {
		hi, lo := bits.Mul64(m, v.Frac)
		addShifted(dst, lo, at)
		if hi != 0 {
			addShifted(dst, hi, at+64)
		}
	}
	if v.Int != 0 {
		hi, lo := bits.Mul64(m, v.Int)
		addShifted(dst, lo, at+64)
		if hi != 0 {
			addShifted(dst, hi, at+128)
		}
	}
}

// addMul adds a·b to dst.
func addMul(dst, a, b []uint64) {
	for i, x := range a {
		if x == 0 {
			continue
		}
		var carry uint64
		for j, y := range b {
			hi, lo := bits.Mul64(x, y)
			var c uint64
			lo, c = bits.Add64(lo, carry, 0)
			hi += c
			dst[i+j], c = bits.Add64(dst[i+j], lo, 0)
			carry = hi + c
		}
		for k := i + len(b); carry != 0 && k < len(dst); k++ {
			dst[k], carry = bits.Add64(dst[k], carry, 0)
		}
	}
}

// cmpWide compares two numbers of the same length.
func cmpWide(a, b []uint64) int {
	for i := len(a) - 1; i >= 0; i-- {
		switch {
		case a[i] < b[i]:
			return -1
		case a[i] > b[i]:
			return 1
		}
	}
	return 0
}

// isZero reports whether a is 0.
func isZero(a []uint64) bool {
	for _, w := range a {
		if w != 0 {
			return false
		}
	}
	return true
}

// ratioWide is a/b, a ≤ b, of two numbers of the same length, cut to a multiple
// of 2^-64, and 0 where b is 0: what ratio is for one word.
//
// It is one step of the schoolbook division (Knuth, The Art of Computer
// Programming 2, 4.3.1, algorithm D): with b shifted so that its highest bit is
// set, the two highest words of 2^64·a over the highest of b are the quotient or
// at most 2 more.
func ratioWide(a, b []uint64) fixed {
	n := len(b)
	for n > 0 && b[n-1] == 0 {
		n--
	}
	switch {
	case n == 0:
		return fixed{}
	case n == 1:
		return ratio(a[0], b[0])
	case cmpWide(a[:n], b[:n]) == 0:
		return fixed{Int: 1}
	}
	shift := bits.LeadingZeros64(b[n-1])
	word := func(x []uint64, i int) uint64 { // of x·2^shift
		w := x[i] << shift
		if i > 0 {
			w |= x[i-1] >> 1 >> (63 - shift)
		}
		return w
	}
	top := word(b, n-1)
	q := ^uint64(0)
	if high := word(a, n-1); high < top {
		q, _ = bits.Div64(high, word(a, n-2), top)
	}
	for moreThan(q, a[:n], b[:n]) {
		q--
	}
	return fixed{Frac: q}
}

// moreThan reports whether q·b > 2^64·a.
func moreThan(q uint64, a, b []uint64) bool {
	// The difference 2^64·a - q·b, from the lowest word up.
	var carry, borrow uint64
	for i := range len(b) + 1 {
		var product uint64
		if i < len(b) {
			hi, lo := bits.Mul64(q, b[i])
			var c uint64
			product, c = bits.Add64(lo, carry, 0)
			carry = hi + c
		} else {
			product = carry
		}
		var minuend uint64
		if i > 0 {
			minuend = a[i-1]
		}
		_, borrow = bits.Sub64(minuend, product, borrow)
	}
	return borrow != 0
}

// toBig is a as a big.Int.
func toBig(a []uint64) *big.Int {
	x, w := new(big.Int), new(big.Int)
	for i := len(a) - 1; i >= 0; i-- {
		x.Lsh(x, 64).Or(x, w.SetUint64(a[i]))
	}
	return x
}

// quotientBig is a/b as a float64, NaN where b is 0.
func quotientBig(a, b *big.Int) float64 {
	if b.Sign() == 0 {
		return nan
	}
	// 192 bits for the quotient, then one rounding to float64.
	x, y := new(big.Float).SetInt(a), new(big.Float).SetInt(b)
	q, _ := new(big.Float).SetPrec(192).Quo(x, y).Float64()
	return q
}
