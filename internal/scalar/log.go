// Package scalar has elementary functions of float64 that give the same bits
// on every architecture, which those of package math do not.
package scalar

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
)

const significand = 1<<52 - 1

// Log returns the natural logarithm of x. Its error is below 1 ULP (at
// most 0.834 found).
//
// Special cases are:
//
//	Log(+Inf) = +Inf
//	Log(0) = -Inf
//	Log(x < 0) = NaN
//	Log(NaN) = NaN
func Log(x float64) float64 {
	switch {
	case x != x || x < 0:
		return math.Float64frombits(0x7ff8 << 48)
	case x == 0:
		return math.Inf(-1)
	case x > math.MaxFloat64:
		return x
	case x < 0x1p-1022:
		return LogNormal(x*0x1p54, -54)
	}
	return LogNormal(x, 0)
}

// LogNormal returns log(x·2^e) for a positive normal x.
func LogNormal(x, e float64) float64 {
	k, f := reduce(x)
	return logSum(k+e, f, 0)
}

// LogPair returns log(hi + lo) for a positive normal hi, |lo| ≤ hi, with a
// positive normal sum.
//
// The sum is rounded to u, and log(hi+lo) = log(u) + c for c = (hi+lo-u)·(1/u).
func LogPair(hi, lo float64) float64 {
	u := hi + lo
	k, f := reduce(u)
	return logSum(k, f, float64((lo-(u-hi))*(1/u)))
}

// reduce returns k and f, x = 2^k·(1+f), 1+f in [√½, √2).
func reduce(x float64) (k, f float64) {
	b := math.Float64bits(x) + coef.LogOffset
	k = float64(int(b>>52) - 1023)
	return k, math.Float64frombits(b&significand+coef.SqrtHalfBits) - 1
}

// Log1p returns log(1+x), with an error below 1 ULP (at most 0.835
// found).
//
// Special cases are:
//
//	Log1p(+Inf) = +Inf
//	Log1p(±0) = ±0
//	Log1p(-1) = -Inf
//	Log1p(x < -1) = NaN
//	Log1p(NaN) = NaN
func Log1p(x float64) float64 {
	switch {
	case x != x || x < -1:
		return math.Float64frombits(0x7ff8 << 48)
	case x == -1:
		return math.Inf(-1)
	case x > math.MaxFloat64 || x == 0:
		return x
	}
	return Log1pFinite(x)
}

// Log1pFinite is Log1p for -1 < x < +Inf: LogPair of the larger and the
// smaller of 1 and x, but with f = x where 1+x is in [√½, √2).
func Log1pFinite(x float64) float64 {
	hi, lo := max(x, 1), min(x, 1)
	u := hi + lo
	k, f := reduce(u)
	if k == 0 {
		return logSum(0, x, 0)
	}
	return logSum(k, f, float64((lo-(u-hi))*(1/u)))
}

// Log1pSum returns log(1+x) for x ≥ 0, x being a sum of float32 numbers: with a relative
// error below 2^-37, some 2^-14 ULP of float32. Where 1+x is below √2 it is
//
//	log(1+x) = 2 atanh(s) = s·(2 + R(s²)),  s = x/(2+x)
//
// and otherwise k·ln(2) more, with f in place of x, 1+x = 2^k·(1+f).
func Log1pSum(x float64) float64 {
	k, f := reduce(1 + x)
	if k == 0 {
		f = x
	}
	s := f / (2 + f)
	z := float64(s * s)
	l := &coef.LogShort64
	r := l[3]
	for i := 2; i >= 0; i-- {
		r = math.FMA(r, z, l[i])
	}
	return math.FMA(s, math.FMA(r, z, 2), float64(k*math.Ln2))
}

// logSum returns k·ln(2) + log(1+f) + c, with s = f/(2+f):
//
//	log(1+f) = f - (f²/2 - s·(f²/2 + R(s²)))
func logSum(k, f, c float64) float64 {
	s := f / (2 + f)
	z := float64(s * s)
	l := &coef.Log64
	r := l[6]
	for i := 5; i >= 0; i-- {
		r = math.FMA(r, z, l[i])
	}
	h := float64(0.5 * f * f)
	// k·Ln2Head is exact.
	low := math.FMA(s, math.FMA(r, z, h), math.FMA(k, coef.Ln2Tail, c))
	return math.FMA(k, coef.Ln2Head, f-(h-low))
}
