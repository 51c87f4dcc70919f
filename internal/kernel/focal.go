package kernel

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
)

// This file is the specification of the kernels of focal binary cross-entropy with
// an exponent f: every tier gives the bits of these functions.
//
// With y as in bce.go and e = e^-|y|, the term of an element and its derivative are
//
//	σ^f·S,  σ^f·(f·π·S + σ),  S = softplus(y) = max(y, 0) + log1p(e)
//	σ = sigmoid(y) = e/(1+e) where y is down, and 1/(1+e) else;  π = sigmoid(-y) = 1 - σ
//
// A power has f times the relative error of σ. So e is carried with what it lacks, e + c,
// and σ as a quotient q and its error, to first order. Of the
// exponents f = 1/2, 1, 3/2, 2, 5/2, 3 the power is a product of the corrected q and
// its root, every step with the correction of the factor. Other exponents take their
// powers from SigmoidPowers.
//
// Where y is far down the argument of the exponential is clamped to where its scale
// is 0: e, q, the term and the derivative are 0. An element that takes no part is
// taken to be there.

// FocalArgs are the arguments of a kernel.
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

	Params   []BCEParams[T] // finite
	Exponent [1]T

	// Steps is how many factors σ follow the first, which Root tells: σ², σ, √σ, or
	// that of Powers: of rows of 64·Words numbers, without a NaN beyond the elements that
	// take part.
	Steps, Root int
	Powers      []T

	Kept []T // memory for the kernels, which grows

	Shifted bool // there are thresholds

	// weights are factors of the classes as negatives and as positives; nil for
	// none. With them there are thresholds.
	NegWeight, PosWeight []T
}

// The first factor of a power.
const (
	FromSquare = iota
	FromSigmoid
	FromRoot
	FromPower
)

// MostFocalExponent is the largest exponent that the kernels take: the error of a
// logarithm counts as often.
const MostFocalExponent = 16

// FocalExponent returns the Steps and the Root of an exponent f > 0, and whether
// the kernels serve for it.
func FocalExponent(f float64) (steps, root int, ok bool) {
	const mostProducts = 3
	twice := 2 * f
	switch {
	case !(f <= MostFocalExponent):
		return 0, 0, false
	case f > mostProducts || twice != math.Trunc(twice) || twice == 0:
		return 0, FromPower, true
	case twice == 2:
		return 0, FromSigmoid, true
	case int(twice)%2 == 0:
		return int(twice)/2 - 2, FromSquare, true
	}
	return int(twice) / 2, FromRoot, true
}

// ExponentParts returns an exponent as the argument of SigmoidPowers.
func ExponentParts[T Float](f float64) [2]T {
	hi := T(f)
	return [2]T{hi, T(f - float64(hi))}
}

// most returns the largest number.
func most[T Float]() T {
	v := math.MaxFloat64
	if IsFloat32[T]() {
		v = math.MaxFloat32
	}
	return T(v)
}

// focalLowest returns the argument at which the scale of an exponential is 0.
func focalLowest[T Float]() T {
	if IsFloat32[T]() {
		return T(coef.ScaleLow32)
	}
	return T(coef.ScaleLow64)
}

// focalElements is the number of elements, rows of whole words, whose exponentials the
// kernels keep: they stay in the nearest cache.
const focalElements = 1024

// Focal writes the sums of the focal terms of every row, or the terms, and the gradient.
// The kernels take some rows at a time; of float32 the sum of a longer row is that of the
// sums of its parts, in float64.
func Focal[T Float](a *FocalArgs[T]) {
	all := *a
	length := 64 * a.Words // of a row
	if IsFloat32[T]() {
		length = min(length, focalElements)
	}
	rows := max(1, focalElements/length)
	a.Kept = ResizeAligned(a.Kept, 4*(rows*length+64))
	for i := 0; i < all.Rows; i += rows {
		a.Rows = min(rows, all.Rows-i)
		total := 0.0
		for k := 0; k < all.N; k += length {
			a.N = min(length, all.N-k)
			word := i*all.Words + k/64
			a.X, a.Dst = all.X[i*all.Stride+k:], all.Dst[i*all.DstStride+k:]
			a.Pos, a.Neg, a.Params = all.Pos[word:], all.Neg[word:], all.Params[i:]
			if all.Terms != nil {
				a.Terms = all.Terms[64*word:]
			} else {
				a.Sum = all.Sum[i:]
			}
			if all.Powers != nil {
				a.Powers = all.Powers[64*word:]
			}
			if all.NegWeight != nil {
				a.NegWeight, a.PosWeight = all.NegWeight[k:], all.PosWeight[k:]
			}
			FocalBlock(a)
			if all.N > length && all.Terms == nil {
				total += a.Sum[0]
				a.Sum[0] = total
			}
		}
	}
	all.Kept = a.Kept
	*a = all
}

func focalBlock32Generic(a *FocalArgs[float32]) { focalGeneric(a) }

func focalBlock64Generic(a *FocalArgs[float64]) { focalGeneric(a) }

// focalGeneric evaluates rows. The terms of a lane in the two virtual vectors of a
// group are added; of float32 then lane l+8 to lane l, and these 8 to the row's in
// float64; of float64 the sum to the row's lane exactly, and the errors apart.
func focalGeneric[T Float](a *FocalArgs[T]) {
	lanes := LanesOf[T]()
	for i := range a.Rows {
		var sum, err [8]float64
		for k := 0; k < a.N; k += 2 * lanes {
			n := min(2*lanes, a.N-k)
			pos, neg := a.Pos[i*a.Words+k/64]>>(k%64), a.Neg[i*a.Words+k/64]>>(k%64)
			part := pos | neg
			var terms [32]T
			for j := range n {
				hi, lo := T(0), T(0)
				if a.Shifted {
					hi, lo = a.Params[i][1], a.Params[i][2]
				}
				y, short := focalArgument(a.X[i*a.Stride+k+j], hi, lo, pos>>j, part>>j, a.Shifted)
				e, c := focalExp(y, short, IsFloat32[T]())
				power := T(0)
				if a.Root == FromPower {
					power = a.Powers[64*i*a.Words+k+j]
				}
				term, g := focalElement(y, e, c, power, a)
				factor := a.Params[i][0]
				if a.NegWeight != nil {
					w := a.NegWeight[k+j]
					if pos>>j&1 != 0 {
						w = a.PosWeight[k+j]
					}
					factor *= w
					term *= w
				}
				if pos>>j&1 != 0 {
					factor = -factor
				}
				terms[j] = term
				if a.Terms != nil {
					a.Terms[k+j] = term
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

// focalArgument returns y and what it is short of, at most half a place; far down
// nothing. Elements that take no part are as far down as there is.
func focalArgument[T Float](x, hi, lo T, pos, part uint64, shifted bool) (y, short T) {
	y = x
	if shifted {
		y = x - hi
		t := y - x
		short = (x - (y - t)) - (hi + t)
		short -= lo
	}
	if pos&1 != 0 {
		y, short = -y, -short
	}
	if part&1 == 0 {
		y = -most[T]()
	}
	if shifted {
		if !(-T(math.Abs(float64(y))) > focalLowest[T]()) {
			return y, 0
		}
		s := y + short
		short -= s - y
		y = s
	}
	return y, short
}

// focalElement returns the term and the derivative of an element, given e + c; of
// FromPower also the power. With the numerator u of σ, e or 1, and its own error, and
// g = max(q, 1-q) = 1/(1+e), the error of q is
//
//	(u - q - q·e ± c·g)·g
//
// + where y is down: there c counts in u, too. log1p(e) takes the other quotient:
//
//	log(1+e) = b + z·(1/2 - d·C(z)),  b = e/(1+e),  z = e·b,  d = e + b
func focalElement[T Float](y, e, c, power T, a *FocalArgs[T]) (term, derivative T) {
	down := math.Signbit(float64(y))
	u := T(1)
	if down {
		u = e
	} else {
		c = -c
	}
	q := u / (1 + e)
	p := 1 - q
	g := max(q, p)
	excess := T(fma(c, g, fma(-q, e, u-q)) * g)
	b, lack := min(q, p), excess
	if !down {
		lack = -excess
	}
	z := T(e * b)
	s := max(y, 0) + (b + fma(z, fma(-(e+b), hyperbolic(z), 0.5), lack))
	p -= excess
	corrected := q + excess
	var h T
	switch a.Root {
	case FromSquare:
		h = fma(q, q, T((q+q)*excess))
	case FromSigmoid:
		h = corrected
	case FromRoot:
		h = T(math.Sqrt(float64(corrected)))
	case FromPower:
		h = power
	}
	for range a.Steps {
		h = fma(h, q, T(h*excess))
	}
	return h * s, h * fma(T(p*s), a.Exponent[0], corrected)
}

// hyperbolic is C in focalElement.
func hyperbolic[T Float](z T) T {
	if IsFloat32[T]() {
		c := &coef.Log1pHyperbolic32
		k := T(c[len(c)-1])
		for i := len(c) - 2; i >= 0; i-- {
			k = fma(k, z, T(c[i]))
		}
		return k
	}
	c := &coef.Log1pHyperbolic64
	k := T(c[len(c)-1])
	for i := len(c) - 2; i >= 0; i-- {
		k = fma(k, z, T(c[i]))
	}
	return k
}

// fma returns x·y + z, rounded once.
func fma[T Float](x, y, z T) T {
	if IsFloat32[T]() {
		return T(fma32(float32(x), float32(y), float32(z)))
	}
	return T(math.FMA(float64(x), float64(y), float64(z)))
}

// focalExp returns e^-|y+short| as e and what that is short of.
func focalExp[T Float](y, short T, quick bool) (e, c T) {
	if !(y < 0) {
		y, short = -y, -short
	}
	return focalPower(y, short, quick)
}

// focalPower returns e^(y+short) as e and what that is short of, y being clamped:
//
//	r = fma(n, -ln2Lo, fma(n, -ln2Hi, y)) + short
//	e^r = 1 + r + r²·(c2 + c3·r + …)
//
// What is added to 1 is two numbers, or where that will do one.
func focalPower[T Float](y, short T, quick bool) (e, c T) {
	if low := focalLowest[T](); y < low {
		y = low
	}
	if y != y {
		return y, y
	}
	if IsFloat32[T]() {
		const magic = coef.Magic32
		sum := float64(y)*coef.Log2E32 + (magic + round23) // the product is exact
		n := sum - round23 - magic
		r := T((float64(y)-n*coef.Ln2Hi32)-n*coef.Ln2Lo32) + short // products and differences are exact
		s := T(math.Float64frombits((math.Float64bits(sum) + 1023 - 127) << 52))
		if n == -127 {
			s = 0
		}
		a := &coef.Exp32
		square := T(r * r)
		p := fma(fma(T(a[4]), square, T(a[2])), square, T(a[0]))
		p = fma(fma(T(a[3]), square, T(a[1])), r, p)
		return focalScaled(r, square, p, s, quick)
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
	return focalScaled(r, square, fma(odd, r, even), T(math.Float64frombits(math.Float64bits(t)<<52)), quick)
}

// focalScaled returns s·(1 + r + square·p).
func focalScaled[T Float](r, square, p, s T, quick bool) (e, c T) {
	if quick {
		low := fma(square, p, r)
		e = fma(s, low, s)
		return e, fma(s, low, s-e)
	}
	one := 1 + r
	low := fma(square, p, r-(one-1))
	power := one + low
	return T(power * s), T((low - (power - one)) * s)
}

// focalReduce returns f and ln(2) in two parts for log(1+e) = log(1+f) + ln(2): where e
// is below 1/2, f is e and there is no ln(2).
func focalReduce[T Float](e T) (f, head, tail T) {
	if e < 0.5 {
		return e, 0, 0
	}
	if IsFloat32[T]() {
		return fma(e, 0.5, -0.5), T(float32(coef.Ln2Hi32)), T(float32(coef.Ln2Lo32))
	}
	return fma(e, 0.5, -0.5), T(coef.Ln2Head), T(coef.Ln2Tail)
}

// focalLogParts returns h and low of log(1+f) = f - (h - low), h = f²/2, and adds c to
// low (see scalar.LogPair).
func focalLogParts[T Float](f, c T) (h, low T) {
	s := f / (2 + f)
	z := T(s * s)
	l := coef.LogWide64[:]
	if IsFloat32[T]() {
		l = logUnit32
	}
	r := T(l[len(l)-1])
	for i := len(l) - 2; i >= 0; i-- {
		r = fma(r, z, T(l[i]))
	}
	h = T(T(0.5*f) * f)
	return h, fma(s, fma(r, z, h), c)
}

// logUnit32 is coef.Log1pUnit32.
var logUnit32 = func() (l []float64) {
	for _, v := range coef.Log1pUnit32 {
		l = append(l, float64(v))
	}
	return l
}()

func sigmoidPowers32Generic(h, x []float32, stride, rows, n int, pos, neg []uint64, words int, p []BCEParams[float32], f []float32) {
	sigmoidPowersGeneric(h, x, stride, rows, n, pos, neg, words, p, f)
}

func sigmoidPowers64Generic(h, x []float64, stride, rows, n int, pos, neg []uint64, words int, p []BCEParams[float64], f []float64) {
	sigmoidPowersGeneric(h, x, stride, rows, n, pos, neg, words, p, f)
}

// sigmoidPowersGeneric writes sigmoid(y)^f, f = f[0] + f[1], of rows to h, row i from 64·i·words on, as
// e^(f·log(sigmoid)), with the logarithm and its product as two numbers:
//
//	log(sigmoid(y)) = min(y, 0) - log1p(e)
func sigmoidPowersGeneric[T Float](h, x []T, stride, rows, n int, pos, neg []uint64, words int, p []BCEParams[T], f []T) {
	for i := range rows {
		for j, v := range x[i*stride:][:n] {
			pos, neg := pos[i*words+j/64]>>(j%64), neg[i*words+j/64]>>(j%64)
			y, short := focalArgument(v, p[i][1], p[i][2], pos, pos|neg, true)
			h[64*i*words+j] = sigmoidPower(y, short, f[0], f[1])
		}
	}
}

// sigmoidPower is the power hi + lo.
func sigmoidPower[T Float](y, short, hi, lo T) T {
	e, c := focalExp(y, short, false)
	w := 1 / (1 + e)
	f, head, tail := focalReduce(e)
	h, low := focalLogParts(f, fma(w, c, tail))
	// log(1+e+c) = u - rest
	low -= fma(T(0.5*f), f, -h)
	t := f - h
	u := head + t
	rest := ((u - head) - t) + ((t - f) + h) - low
	if !(y < 0) {
		short = 0
	}
	m := min(y, 0)
	if low := focalLowest[T](); m < low {
		m = low
	}
	// a + rest = m - u + rest + short
	a := m - u
	v := a - m
	rest = (((m - (a - v)) - (u + v)) + short) + rest
	v = a + rest
	rest -= v - a
	a = v
	product := T(hi * a)
	power, _ := focalPower(product, fma(hi, rest, fma(lo, a, fma(hi, a, -product))), false)
	return power
}
