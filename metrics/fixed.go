package metrics

import (
	"math/big"
	"math/bits"
)

// fixed is a sum of non-negative numbers in fixed point, 64 bits before the
// binary point and 64 after it. Addition is exact, so neither the order of the
// rows nor their split over workers and machines changes a sum; what is added
// is cut to a multiple of 2^-64.
type fixed struct{ Int, Frac uint64 }

// add adds b to a.
func (a *fixed) add(b fixed) {
	var carry uint64
	a.Frac, carry = bits.Add64(a.Frac, b.Frac, 0)
	a.Int, _ = bits.Add64(a.Int, b.Int, carry)
}

// sub takes b ≤ a from a.
func (a *fixed) sub(b fixed) {
	var borrow uint64
	a.Frac, borrow = bits.Sub64(a.Frac, b.Frac, 0)
	a.Int, _ = bits.Sub64(a.Int, b.Int, borrow)
}

// less reports whether a < b.
func (a fixed) less(b fixed) bool {
	return a.Int < b.Int || a.Int == b.Int && a.Frac < b.Frac
}

// ratio is a/b, and 0 where b is 0.
func ratio(a, b uint64) fixed {
	switch {
	case a < b:
		q, _ := bits.Div64(a, 0, b)
		return fixed{Frac: q}
	case b == 0:
		return fixed{}
	}
	q, _ := bits.Div64(a%b, 0, b)
	return fixed{a / b, q}
}

// times is n·a.
func (a fixed) times(n uint64) fixed {
	hi, lo := bits.Mul64(a.Frac, n)
	return fixed{a.Int*n + hi, lo}
}

// toFixed is x, 0 ≤ x < 2^63, cut to a multiple of 2^-64.
func toFixed(x float64) fixed {
	n := uint64(x)
	rest := x - float64(n)                       // exact, below 1
	hi := rest * (1 << 32)                       // exact
	lo := (hi - float64(uint64(hi))) * (1 << 32) // exact
	return fixed{n, uint64(hi)<<32 | uint64(lo)}
}

// float is a, within 1 ULP.
func (a fixed) float() float64 { return float64(a.Int) + float64(float64(a.Frac)*0x1p-64) }

// over is a/n as a float64, NaN where n is 0.
func (a fixed) over(n uint64) float64 {
	return quotient(a, fixed{Int: n})
}

// quotient is a/b as a float64, NaN where b is 0.
func quotient(a, b fixed) float64 {
	if b == (fixed{}) {
		return nan
	}
	// 192 bits for the quotient, then one rounding to float64.
	q, _ := new(big.Float).SetPrec(192).Quo(a.big(), b.big()).Float64()
	return q
}

// big is 2^64·a.
func (a fixed) big() *big.Float {
	i := new(big.Int).SetUint64(a.Int)
	i.Lsh(i, 64).Add(i, new(big.Int).SetUint64(a.Frac))
	return new(big.Float).SetInt(i)
}
