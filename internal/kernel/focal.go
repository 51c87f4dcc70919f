package kernel

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/scalar"
)

// This file is the specification of the kernels of focal binary cross-entropy
// with exponents f = 1/2, 1, 3/2, …: every tier gives the bits of these functions.
//
// With y, up and m = max(y, 0) as in bce.go, e = e^-|y| and w = 1/(1+e), the term of
// an element and its derivative are
//
//	σ^f·S,  σ^f·w·(f·Y·S + X),  S = softplus(y) = m + log1p(e)
//	X, Y = 1, e where y is up, and e, 1 else;  σ = sigmoid(y) = X·w
//
// A power has f times the relative error of σ. So e, w and σ are carried as a
// number and what it lacks or exceeds, to first order: e + c, w·(1+rho), q - l. The
// product of h - k and q - l is that of h and q, rounded to p, less
// (p - h·q) + h·l + k·q.

// FocalArgs are the arguments of a kernel. Exponent is f = Steps + 1/2 with Root
// 1, else Steps + 1 with Root 0.
type FocalArgs[T Float] struct {
	Sum []float64 // of the terms of every row

	// Terms are written in place of the sum, of one row without thresholds and
	// weights; nil for not. There is room for a multiple of 64 of them, and what
	// lies beyond the row is open.
	Terms []T

	Dst       []T // for the gradient
	DstStride int

	X               []T
	Stride, Rows, N int
	Pos, Neg        []uint64
	Words           int

	Params      []BCEParams[T]
	Exponent    [1]T
	Steps, Root int
	Shifted     bool // there are thresholds

	// weights are factors of the classes as negatives and as positives; nil for
	// none. With them there are thresholds.
	NegWeight, PosWeight []T
}

// MostFocalSteps bounds the time of the powers.
const MostFocalSteps = 8

// FocalExponent returns the Steps and the Root of an exponent f > 0, and whether
// the kernels serve for it.
func FocalExponent(f float64) (steps, root int, ok bool) {
	twice := 2 * f
	if !(twice >= 1 && twice <= 2*MostFocalSteps) || twice != math.Trunc(twice) {
		return 0, 0, false
	}
	if n := int(twice); n%2 == 0 {
		return n/2 - 1, 0, true
	} else {
		return n / 2, 1, true
	}
}

// leastRoot is the least divisor of the error of a root: that of 0 has none.
const leastRoot = 0x1p-100

func focal32Generic(a *FocalArgs[float32]) { focalGeneric(a) }

func focal64Generic(a *FocalArgs[float64]) { focalGeneric(a) }

// focalGeneric evaluates rows. The terms of a lane in the two virtual vectors of a
// group are added; of float32 then lane l+8 to lane l, and these 8 to the row's in
// float64; of float64 the sum to the row's lane exactly, and the errors apart.
func focalGeneric[T Float](a *FocalArgs[T]) {
	low := PivotParams[T](0)[1]
	lanes := LanesOf[T]()
	rows := &BCEArgs[T]{
		X: a.X, Stride: a.Stride, N: a.N, Params: a.Params, Shifted: a.Shifted,
		NegWeight: a.NegWeight, PosWeight: a.PosWeight,
	}
	for i := range a.Rows {
		var sum, err [8]float64
		for k := 0; k < a.N; k += 2 * lanes {
			n := min(2*lanes, a.N-k)
			pos, neg := a.Pos[i*a.Words+k/64]>>(k%64), a.Neg[i*a.Words+k/64]>>(k%64)
			part := pos | neg
			var b bceElements[T]
			var terms [32]T
			b.arguments(rows, i, k, n, pos, part)
			for j := range n {
				e, c := T(0), T(0)
				if part>>j&1 != 0 && !(b.y[j] < low) {
					e, c = focalExp(b.y[j], b.short[j])
				}
				term, g := focalElement(e, c, b.m[j], a)
				factor := a.Params[i][0]
				if a.NegWeight != nil {
					w := rows.weight(k+j, pos>>j)
					factor *= w
					term *= w
				}
				if pos>>j&1 != 0 {
					factor = -factor
				}
				terms[j] = only(term, part>>j)
				if a.Terms != nil {
					a.Terms[k+j] = terms[j]
				}
				a.Dst[i*a.DstStride+k+j] = only(g*factor, part>>j)
			}
			for l := range sum {
				if IsFloat32[T]() {
					sum[l] += float64((terms[l] + terms[16+l]) + (terms[8+l] + terms[24+l]))
				} else {
					sum[l], err[l] = TwoSum(sum[l], err[l], float64(terms[l]+terms[8+l]))
				}
			}
		}
		if a.Terms == nil {
			a.Sum[i] = focalSum[T](&sum, &err)
		}
	}
}

// focalSum adds up the lanes of a row.
func focalSum[T Float](sum, err *[8]float64) float64 {
	if IsFloat32[T]() {
		return eight(sum)
	}
	for half := 4; half > 0; half /= 2 {
		for l := range half {
			sum[l], err[l] = TwoSum(sum[l], err[l]+err[half+l], sum[half+l])
		}
	}
	return sum[0] + err[0]
}

// FocalRows writes the sums of rows of n terms, at most a group, one behind the
// other, as Focal adds them up.
func FocalRows[T Float](sum []float64, terms []T, n int) {
	var group [32]T // 0 from n on
	for i := range sum {
		var s, err [8]float64
		if t := terms[i*n:][:n]; n <= 8 {
			for l, v := range t {
				s[l&7] = float64(v)
			}
		} else {
			copy(group[:], t)
			for l := range s {
				if IsFloat32[T]() {
					s[l] = float64((group[l] + group[16+l]) + (group[8+l] + group[24+l]))
				} else {
					s[l] = float64(group[l] + group[8+l])
				}
			}
		}
		if IsFloat32[T]() {
			sum[i] = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
		} else {
			sum[i] = focalSum[T](&s, &err)
		}
	}
}

// focalElement returns the term and the derivative of e + c and m. y is taken to be
// up where m is not 0: where y is 0 there is no difference.
func focalElement[T Float](e, c, m T, a *FocalArgs[T]) (term, derivative T) {
	d := 1 + e
	w := 1 / d
	rest := (e - (d - 1)) + c // of 1 + e
	rho := fma(-rest, w, shortOf(d, w, 1))
	s := m + focalLog1p(e, c, w)
	x, y := e, T(1)
	if m != 0 {
		x, y, c = 1, e, 0
	}
	q := T(x * w)
	excess := fma(-w, c, fma(-q, rho, shortOf(x, w, q)))
	h, k := q, excess
	if a.Root != 0 {
		h = T(math.Sqrt(float64(q)))
		k = (excess - shortOf(h, h, q)) / max(h+h, leastRoot)
	}
	for range a.Steps {
		p := T(h * q)
		k = fma(k, q, fma(h, excess, shortOf(h, q, p)))
		h = p
	}
	term = fma(h, s, -T(k*s))
	z := T(w * fma(T(y*s), a.Exponent[0], x))
	return term, fma(h, z, -fma(-h, T(z*rho), T(k*z)))
}

// shortOf returns p - x·y, rounded once, for p near x·y.
func shortOf[T Float](x, y, p T) T {
	if IsFloat32[T]() {
		return T(float64(p) - float64(x)*float64(y)) // exact in float64
	}
	return T(math.FMA(-float64(x), float64(y), float64(p)))
}

// fma returns x·y + z, rounded once.
func fma[T Float](x, y, z T) T {
	if IsFloat32[T]() {
		return T(fma32(float32(x), float32(y), float32(z)))
	}
	return T(math.FMA(float64(x), float64(y), float64(z)))
}

// focalExp returns e^(y+short) as e and what that is short of:
//
//	r = fma(n, -ln2Lo, fma(n, -ln2Hi, y)) + short
//	e^r = 1 + r + r²·(c2 + c3·r + …)
func focalExp[T Float](y, short T) (e, c T) {
	if IsFloat32[T]() {
		const magic = coef.Magic32
		sum := float64(y)*coef.Log2E32 + (magic + round23) // the product is exact
		n := sum - round23 - magic
		r := T((float64(y)-n*coef.Ln2Hi32)-n*coef.Ln2Lo32) + short // products and differences are exact
		s := T(math.Float64frombits((math.Float64bits(sum) + 1023 - 127) << 52))
		a := &coef.Exp32
		square := T(r * r)
		p := fma(fma(T(a[4]), square, T(a[2])), square, T(a[0]))
		p = fma(fma(T(a[3]), square, T(a[1])), r, p)
		return focalPower(r, square, p, s)
	}
	t := math.FMA(float64(y), coef.Log2E64, coef.Magic64)
	n := t - coef.Magic64
	r := T(math.FMA(n, -coef.Ln2Lo64, math.FMA(n, -coef.Ln2Hi64, float64(y)))) + short
	a := &coef.Exp64
	square := T(r * r)
	even, odd := T(a[8]), T(a[9])
	for i := 6; i >= 0; i -= 2 {
		even, odd = fma(even, square, T(a[i])), fma(odd, square, T(a[i+1]))
	}
	return focalPower(r, square, fma(odd, r, even), T(math.Float64frombits(math.Float64bits(t)<<52)))
}

// focalPower returns s·(1 + r + square·p).
func focalPower[T Float](r, square, p, s T) (e, c T) {
	one := 1 + r
	low := fma(square, p, r-(one-1))
	power := one + low
	return T(power * s), T((low - (power - one)) * s)
}

// focalLog1p returns log(1+e+c), 1/(1+e) being w:
//
//	e + (w·c - e²·K(e)), for float64 log(1+e) + w·c
//
// The even and the odd powers of polynomials go by Horner's rule apart.
func focalLog1p[T Float](e, c, w T) T {
	if IsFloat32[T]() {
		k := &coef.Log1pRest32
		square := T(e * e)
		even, odd := T(k[8]), T(k[7])
		for i := 5; i >= 1; i -= 2 {
			even, odd = fma(even, square, T(k[i+1])), fma(odd, square, T(k[i]))
		}
		even = fma(even, square, T(k[0]))
		return e + fma(w, c, -T(square*fma(odd, e, even)))
	}
	return fma(w, c, T(scalar.Log1pFinite(float64(e))))
}
