package zlpr

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/scalar"
)

// This file is the specification of the kernels: every tier gives the bits of
// these functions.
//
// A row is cut into virtual vectors of 64 bytes, 16 lanes of float32 or 8 of
// float64, two vectors into a group. The exponentials of the two elements of
// a lane in a group are added first, a missing element counting 0; the pairs'
// sums are added to the lane's float64 accumulators, group by group; the lanes
// are combined by a fixed tree.

const (
	lanes32 = 16
	lanes64 = 8
)

// Magic numbers: adding one to x·log2(e) rounds it to an integer n and leaves
// n plus the exponent's bias in the low bits. Subtracting a pivot c from the
// magic number divides the exponential by 2^c.
const (
	magic32 = 0x1.8p23 + 127
	magic64 = 0x1.8p52 + 1023
)

// sumExp32Generic writes Σ e^y·2^-c, y = min(max(x[i·stride+j], low), high)
// and p = {magic32 - c, low, high}, to sum[i] for every row i of n elements.
// A NaN gives NaN.
func sumExp32Generic(sum []float64, x []float32, stride, rows, n int, p *[3]float32) {
	for i := range rows {
		row := x[i*stride:][:n]
		var acc [lanes32]float64
		var w [2 * lanes32]float32
		for len(row) > 0 {
			m := min(len(row), len(w))
			exp32(&w, row[:m], p[0], p[1], p[2])
			clear(w[m:])
			row = row[m:]
			for l := range acc {
				acc[l] += float64(w[l] + w[lanes32+l])
			}
		}
		sum[i] = tree(&acc)
	}
}

// tree adds 16 lanes in the order (l, l+8), (l, l+4), (l, l+2), (l, l+1).
func tree(acc *[16]float64) float64 {
	for half := 8; half > 0; half /= 2 {
		for l := range half {
			acc[l] += acc[half+l]
		}
	}
	return acc[0]
}

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

// exp32 writes e^y·2^-c for the elements of x, y = min(max(x, low), high):
//
//	t = fma(y, log2(e), magic);  n = t - magic
//	r = fma(n, -ln2Lo, fma(n, -ln2Hi, y))
//	p = fma(fma(… fma(c6, r, c5) …, r, 1), r, 1)
//	w = p · 2^(low bits of t, as exponent)
//
// all in float32. It computes in float64 and rounds every result to float32;
// the products are exact, so fused or not is the same.
func exp32(w *[2 * lanes32]float32, x []float32, magic, low, high float32) {
	exp32Shifted(w, x, nil, magic, low, high)
}

// exp32Shifted is exp32 with shift[i], a small number, added to r; nil for none.
// All products are exact, as there.
func exp32Shifted(w *[2 * lanes32]float32, x []float32, shift *[2 * lanes32]float32, magic, low, high float32) {
	var (
		m         = float64(magic)
		toT       = m + round23
		r, p, sum [2 * lanes32]float64
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
		s := math.Float64frombits((math.Float64bits(sum[i]) + 1023 - 127) << 52)
		w[i] = float32(p[i] * s)
	}
}

// expPolynomials writes the polynomials of exp32 of each r, |r| ≤ 0.35. The
// binade of each step is known, or is one of two; the products are exact.
func expPolynomials(w *[2 * lanes32]float64, r []float64) {
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

// scaleExp32Generic writes e^y·2^-c·factor, y = x[i·stride+j], or 0 unless
// y ≥ low, to dst[i·dstStride+j], with p[i·pStep] = {magic32 - c, low, factor}.
func scaleExp32Generic(dst []float32, dstStride int, x []float32, stride, rows, n int, p [][3]float32, pStep int) {
	for i := range rows {
		row, out, q := x[i*stride:][:n], dst[i*dstStride:][:n], &p[i*pStep]
		var w [2 * lanes32]float32
		for len(row) > 0 {
			m := min(len(row), len(w))
			exp32(&w, row[:m], q[0], q[1], float32(math.Inf(1)))
			for j, y := range row[:m] {
				if y >= q[1] {
					out[j] = w[j] * q[2]
				} else {
					out[j] = 0
				}
			}
			row, out = row[m:], out[m:]
		}
	}
}

// maximum32Generic writes the maximum of each row to max: -Inf for an empty
// row, NaN where there is one. The sign of a zero is open.
func maximum32Generic(max []float32, x []float32, stride, rows, n int) {
	for i := range rows {
		max[i] = maximumGeneric(x[i*stride:][:n])
	}
}

func maximumGeneric[T Float](x []T) T {
	m, nan := T(math.Inf(-1)), false
	for _, v := range x {
		if v > m {
			m = v
		}
		nan = nan || v != v
	}
	if nan {
		return canonicalNaN[T]()
	}
	return m
}

// canonicalNaN is the quiet NaN with an empty payload.
func canonicalNaN[T Float]() T { return T(math.Float64frombits(0x7ff8 << 48)) }

// sumExp64Generic is sumExp32Generic for float64. Each pair's sum is added to
// its lane exactly: err gets the sum of the errors.
func sumExp64Generic(sum, err []float64, x []float64, stride, rows, n int, p *[3]float64) {
	for i := range rows {
		row := x[i*stride:][:n]
		var acc, e [lanes64]float64
		var w [2 * lanes64]float64
		for len(row) > 0 {
			m := min(len(row), len(w))
			exp64(&w, row[:m], p[0], p[1], p[2])
			clear(w[m:])
			row = row[m:]
			for l := range acc {
				acc[l], e[l] = twoSum(acc[l], e[l], w[l]+w[lanes64+l])
			}
		}
		for half := lanes64 / 2; half > 0; half /= 2 {
			for l := range half {
				acc[l], e[l] = twoSum(acc[l], e[l]+e[half+l], acc[half+l])
			}
		}
		sum[i], err[i] = acc[0], e[0]
	}
}

// twoSum adds x ≥ 0 to sum ≥ 0, and the error to err.
func twoSum(sum, err, x float64) (float64, float64) {
	t := sum + x // x, a number times a power of two, is exact
	return t, err + (min(sum, x) - (t - max(sum, x)))
}

// exp64 is exp32 for float64.
func exp64(w *[2 * lanes64]float64, x []float64, magic, low, high float64) {
	exp64Shifted(w, x, nil, magic, low, high)
}

// exp64Shifted is exp32Shifted for float64.
func exp64Shifted(w *[2 * lanes64]float64, x []float64, shift *[2 * lanes64]float64, magic, low, high float64) {
	c := &coef.Exp64
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
		p := c[len(c)-1]
		for j := len(c) - 2; j >= 0; j-- {
			p = math.FMA(p, r, c[j])
		}
		p = math.FMA(math.FMA(p, r, 1), r, 1)
		w[i] = p * math.Float64frombits(math.Float64bits(t)<<52)
	}
}

// scaleExp64Generic is scaleExp32Generic for float64.
func scaleExp64Generic(dst []float64, dstStride int, x []float64, stride, rows, n int, p [][3]float64, pStep int) {
	for i := range rows {
		row, out, q := x[i*stride:][:n], dst[i*dstStride:][:n], &p[i*pStep]
		var w [2 * lanes64]float64
		for len(row) > 0 {
			m := min(len(row), len(w))
			exp64(&w, row[:m], q[0], q[1], math.Inf(1))
			for j, y := range row[:m] {
				if y >= q[1] {
					out[j] = w[j] * q[2]
				} else {
					out[j] = 0
				}
			}
			row, out = row[m:], out[m:]
		}
	}
}

// maximum64Generic is maximum32Generic for float64.
func maximum64Generic(max []float64, x []float64, stride, rows, n int) {
	for i := range rows {
		max[i] = maximumGeneric(x[i*stride:][:n])
	}
}

// logPair64Generic writes log(hi[i]+lo[i]) to dst[i], for positive normal hi[i]
// ≥ |lo[i]|.
func logPair64Generic(dst, hi, lo []float64) {
	for i := range dst {
		dst[i] = scalar.LogPair(hi[i], lo[i])
	}
}

// log1p64Generic writes log(1+x[i]) for finite x[i] ≥ 0 to dst[i].
func log1p64Generic(dst, x []float64) {
	for i, v := range x {
		dst[i] = scalar.Log1pFinite(v)
	}
}

// offsetGeneric writes x[i·stride+j] - s[i], computed in float64, to
// dst[i·dstStride+j].
func offsetGeneric[T Float](dst []T, dstStride int, x []T, stride, rows, n int, s []float64) {
	for i := range rows {
		out := dst[i*dstStride:][:n]
		for j, v := range x[i*stride:][:n] {
			out[j] = T(float64(v) - s[i])
		}
	}
}
