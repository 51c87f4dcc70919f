package scalar

import (
	"math"
	"math/bits"

	"github.com/zlpr/zlpr/internal/coef"
)

const (
	expLow  = -0x1.6232bdd7abcd2p+9 // log(2^-1022)
	expHigh = 0x1.62e42fefa39efp+9  // log(MaxFloat64)
)

// Exp returns e^x, with an error below 1 ULP (at most 0.889 found). It is the
// exponential of the float64 kernels.
//
// Special cases are:
//
//	Exp(x > 709.78…) = +Inf
//	Exp(x < -708.39…) = 0, results below the smallest normal number
//	Exp(NaN) = NaN
func Exp(x float64) float64 {
	switch {
	case x != x:
		return math.Float64frombits(0x7ff8 << 48)
	case x < expLow:
		return 0
	case x > expHigh:
		return math.Inf(1)
	}
	t := math.FMA(x, coef.Log2E64, coef.Magic64)
	n := t - coef.Magic64
	p := ExpRest(math.FMA(n, -coef.Ln2Lo64, math.FMA(n, -coef.Ln2Hi64, x)))
	if n > 1023 {
		return p * 0x1p1023 * 2 // exact, or beyond all numbers
	}
	return p * math.Float64frombits(math.Float64bits(t)<<52)
}

// ExpRest returns e^r for the rest r of an argument less n·ln(2), |r| ≤ ln(2)/2 and a
// little more: the polynomial of all float64 exponentials, by Horner's rule.
func ExpRest(r float64) float64 { return math.FMA(ExpQuotient(r), r, 1) }

// ExpQuotient returns q, e^r = 1 + r·q, for r as ExpRest takes it.
func ExpQuotient(r float64) float64 { return math.FMA(expTail(r), r, 1) }

// expTail returns p, e^r = 1 + r + r²·p, for r as ExpRest takes it.
func expTail(r float64) float64 {
	c := &coef.Exp64
	p := c[len(c)-1]
	for j := len(c) - 2; j >= 0; j-- {
		p = math.FMA(p, r, c[j])
	}
	return p
}

// ExpRestPair returns e^(r+s) as hi + lo, |lo| at most half an ULP of hi, for r as
// ExpRest takes it and |s| ≤ 2^-28. Its error is below 2^-55, relative.
func ExpRestPair(r, s float64) (hi, lo float64) {
	// 1 + r + r²·p, the last term small beside the others.
	u, q := 1+r, float64(float64(r*r)*expTail(r))
	sum := u + q
	rest := (q - (sum - u)) + (r - (u - 1)) + float64(sum*s)
	hi = sum + rest
	return hi, rest - (hi - sum)
}

// Reduce returns an integer n and r, |r| ≤ ln(2)/2 and a little more, with
// x = n·ln(2) + r, for |x| < 2^62. The error of r is below 2^-52.
func Reduce(x float64) (n int64, r float64) {
	if math.Abs(x) < 0x1p-2 {
		return 0, x // exactly; below 2^-14 the digits used below would leave nothing
	}
	n, fraction := reduceBits(math.Abs(x))
	r = float64(fraction) * 0x1p-64 * math.Ln2
	if x < 0 {
		return -n, -r
	}
	return n, r
}

// ReducePair is Reduce with r as a sum of two numbers, and an error below 2^-62.
func ReducePair(x float64) (n int64, r, s float64) {
	if math.Abs(x) < 0x1p-2 {
		return 0, x, 0
	}
	n, fraction := reduceBits(math.Abs(x))
	// Its upper and its lower bits are float64.
	high, low := float64(fraction&^math.MaxUint32), float64(fraction&math.MaxUint32)
	high, low = high*0x1p-64, low*0x1p-64
	r = float64(high * math.Ln2)
	s = math.FMA(high, math.Ln2, -r) + float64(low*math.Ln2) + float64(high*coef.Ln2Lo64)
	if x < 0 {
		return -n, -r, -s
	}
	return n, r, s
}

// reduceBits returns x·log2(e) = n + fraction·2^-64 with the fraction nearest to 0,
// for 2^-2 ≤ x < 2^62.
func reduceBits(x float64) (n, fraction int64) {
	// x = m·2^e and x·log2(e) = (m·⌊log2(e)·2^126⌋)·2^(e-126), of which the lowest
	// 64 bits are dropped.
	frac, e := math.Frexp(x)
	m := uint64(Ldexp(frac, 53))
	e -= 53
	h1, l1 := bits.Mul64(m, log2eHigh)
	h0, _ := bits.Mul64(m, log2eLow)
	mid, carry := bits.Add64(l1, h0, 0)
	top := h1 + carry
	var whole, after uint64
	if shift := uint(62 - e); shift >= 64 { // bits after the point
		whole = top >> (shift - 64)
		after = top<<(128-shift) | mid>>(shift-64)
	} else {
		whole = top<<(64-shift) | mid>>shift
		after = mid << (64 - shift)
	}
	n, fraction = int64(whole), int64(after)
	// Nearest: a fraction of a half or more counts from above.
	if fraction < 0 {
		n++
	}
	return n, fraction
}

// log2(e) = (log2eHigh·2^64 + log2eLow)·2^-126
const (
	log2eHigh = 0x5c551d94ae0bf85d
	log2eLow  = 0xdf43ff68348e9f44
)
