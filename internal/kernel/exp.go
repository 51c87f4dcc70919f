package kernel

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/scalar"
)

// Rounding to float32 within float64 arithmetic: for |y| < 2^(e+1), adding and
// subtracting M = 1.5·2^(e+29) rounds y to a multiple of 2^(e-23), the spacing
// of float32 in [2^e, 2^(e+1)). Since the product of two float32 is exact in
// float64 and c + M is exact too,
//
//	(a·b + (c + M)) - M
//
// rounds once and is the float32 fma(a, b, c) wherever that lies in the binade
// e, however the compiler fuses it.
const (
	round23 = 0x1.8p52 // [2^23, 2^24): integers
	round_1 = 0x1.8p28 // [2^-1, 1)
	round_2 = 0x1.8p27 // [2^-2, 2^-1)
	round_3 = 0x1.8p26 // [2^-3, 2^-2)
	round_5 = 0x1.8p24 // [2^-5, 2^-4)
	round_7 = 0x1.8p22 // [2^-7, 2^-6)
	round0  = 0x1.8p29 // [1, 2)
)

// round32 rounds a float64 to the nearest float32, ties to even, within the
// range of normal float32 numbers.
func round32(x float64) float64 {
	b := math.Float64bits(x)
	b += 1<<28 - 1 + b>>29&1
	return math.Float64frombits(b &^ (1<<29 - 1))
}

// Exp32 writes e^y·2^-c for the elements of x, y = min(max(x, low), high):
//
//	t = fma(y, log2(e), magic);  n = t - magic
//	r = fma(n, -ln2Lo, fma(n, -ln2Hi, y))
//	p = fma(fma(… fma(c6, r, c5) …, r, 1), r, 1)
//	w = p · 2^(low bits of t, as exponent)
//
// all in float32. It computes in float64 and rounds every result to float32;
// the products are exact, so fused or not is the same.
func Exp32(w *[2 * Lanes32]float32, x []float32, magic, low, high float32) {
	exp32Shifted(w, x, nil, magic, low, high)
}

// exp32Shifted is Exp32 with shift[i], a small number, added to r; nil for none.
// All products are exact, as there.
func exp32Shifted(w *[2 * Lanes32]float32, x []float32, shift *[2 * Lanes32]float32, magic, low, high float32) {
	var (
		m         = float64(magic)
		toT       = m + round23
		r, p, sum [2 * Lanes32]float64
	)
	x = x[:min(len(x), len(w))]
	for i, v := range x {
		// As the instructions do, so that a NaN stays.
		if v < low {
			v = low
		}
		if v > high {
			v = high
		}
		y := float64(v)
		sum[i] = y*coef.Log2E32 + toT
		n := sum[i] - round23 - m
		// n·ln2Hi, n·ln2Lo and both differences are exact.
		r[i] = round32((y - n*coef.Ln2Hi32) - n*coef.Ln2Lo32)
		if shift != nil {
			r[i] = float64(float32(r[i]) + shift[i])
		}
	}
	expPolynomials(&p, r[:len(x)])
	for i := range x {
		s := math.Float32frombits(uint32(math.Float64bits(sum[i])) << 23)
		w[i] = float32(math.Abs(p[i]) * float64(s)) // of a large shift p is open, but not below 0
	}
}

// expPolynomials writes the polynomials of Exp32 of each r, |r| ≤ 0.35. The
// binade of each step is known, or is one of two; the products are exact.
func expPolynomials(w *[2 * Lanes32]float64, r []float64) {
	var (
		c  = &coef.Exp32
		c6 = float64(c[4])
		c5 = float64(c[3]) + round_7
		c4 = float64(c[2]) + round_5
		c3 = float64(c[1]) + round_3
		// c2 lies just below 1/2: above or below that for r·p below 1/2 - c2
		// or not. 1 + r·p lies above or below 1 with the sign of r.
		half  = 0.5 - float64(c[0])
		c2    = [2]float64{float64(c[0]) + round_1, float64(c[0]) + round_2}
		back2 = [2]float64{round_1, round_2}
		c1    = [2]float64{1 + round0, 1 + round_1}
		back1 = [2]float64{round0, round_1}
	)
	for i, r := range r[:min(len(r), len(w))] {
		p := (r*c6 + c5) - round_7
		p = (r*p + c4) - round_5
		p = (r*p + c3) - round_3
		q := r * p
		k := math.Float64bits(q-half) >> 63
		p = (q + c2[k]) - back2[k]
		k = math.Float64bits(r) >> 63
		p = (r*p + c1[k]) - back1[k]
		w[i] = (r*p + c1[k]) - back1[k]
	}
}

// expQuotients is expPolynomials without the last step: it writes q, e^r = 1 + r·q.
// Its products are exact.
func expQuotients(w *[2 * Lanes32]float64, r []float64) {
	var (
		c     = &coef.Exp32
		c6    = float64(c[4])
		c5    = float64(c[3]) + round_7
		c4    = float64(c[2]) + round_5
		c3    = float64(c[1]) + round_3
		half  = 0.5 - float64(c[0])
		c2    = [2]float64{float64(c[0]) + round_1, float64(c[0]) + round_2}
		back2 = [2]float64{round_1, round_2}
		c1    = [2]float64{1 + round0, 1 + round_1}
		back1 = [2]float64{round0, round_1}
	)
	for i, r := range r[:min(len(r), len(w))] {
		p := (r*c6 + c5) - round_7
		p = (r*p + c4) - round_5
		p = (r*p + c3) - round_3
		q := r * p
		k := math.Float64bits(q-half) >> 63
		p = (q + c2[k]) - back2[k]
		k = math.Float64bits(r) >> 63
		w[i] = (r*p + c1[k]) - back1[k]
	}
}

// Exp64 is Exp32 for float64.
func Exp64(w *[2 * Lanes64]float64, x []float64, magic, low, high float64) {
	exp64Shifted(w, x, nil, magic, low, high)
}

// exp64Shifted is exp32Shifted for float64.
func exp64Shifted(w *[2 * Lanes64]float64, x []float64, shift *[2 * Lanes64]float64, magic, low, high float64) {
	for i, y := range x[:min(len(x), len(w))] {
		if y < low {
			y = low
		}
		if y > high {
			y = high
		}
		t := math.FMA(y, coef.Log2E64, magic)
		n := t - magic
		r := math.FMA(n, -coef.Ln2Lo64, math.FMA(n, -coef.Ln2Hi64, y))
		if shift != nil {
			r += shift[i]
		}
		w[i] = scalar.ExpRest(r) * math.Float64frombits(math.Float64bits(t)<<52)
	}
}

// RowParams are a kernel's parameters for one row.
type RowParams[T Float] [3]T

// PivotParams returns sumExp's parameters for the pivot c: scores are clamped to
// (c-125.9)·ln(2) and (c+126.9)·ln(2), for float64 (c-1021.9)·ln(2) and
// (c+1022.9)·ln(2).
func PivotParams[T Float](c float64) RowParams[T] {
	if IsFloat32[T]() {
		return RowParams[T]{T(coef.Magic32 - c), T((c + coef.ClampLow32) * math.Ln2), T((c + coef.ClampHigh32) * math.Ln2)}
	}
	return RowParams[T]{T(coef.Magic64 - c), T((c + coef.ClampLow64) * math.Ln2), T((c + coef.ClampHigh64) * math.Ln2)}
}

// Natural reports whether the sum at pivot 0 may be used as it is.
func Natural[T Float](sum float64) bool {
	if IsFloat32[T]() {
		return sum >= coef.NaturalLow32 && sum <= coef.NaturalHigh32
	}
	return sum >= coef.NaturalLow64 && sum <= coef.NaturalHigh64
}

// AllNatural reports whether all sums are natural.
func AllNatural[T Float](sums []float64) bool {
	low, high := coef.NaturalLow64, coef.NaturalHigh64
	if IsFloat32[T]() {
		low, high = coef.NaturalLow32, coef.NaturalHigh32
	}
	// The bits of sums are in their order, NaN last; those below low wrap round.
	least := math.Float64bits(low)
	var a, b uint64
	for ; len(sums) >= 4; sums = sums[4:] {
		a = max(a, math.Float64bits(sums[0])-least, math.Float64bits(sums[2])-least)
		b = max(b, math.Float64bits(sums[1])-least, math.Float64bits(sums[3])-least)
	}
	for _, s := range sums {
		a = max(a, math.Float64bits(s)-least)
	}
	return max(a, b) <= math.Float64bits(high)-least
}

// MagicOf returns the magic number of a pivot.
func MagicOf[T Float](pivot float64) T {
	if IsFloat32[T]() {
		return T(coef.Magic32 - pivot)
	}
	return T(coef.Magic64 - pivot)
}
