package kernel

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/scalar"
)

// This file is the specification of the kernels of soft labels: every tier gives the
// bits of these functions.
//
// Binary cross-entropy with a soft label t, h being 1 where y ≥ 0, else 0, and
// e = e^-|y|, is that of the hard label h and a product without cancellation:
//
//	(1-t)·softplus(y) + t·softplus(-y) = log1p(e) + (max(y, 0) - t·y)
//	derivative by y: (h-t) - e/(1+e) where y ≥ 0, (h-t) + e/(1+e) else
//
// The linear parts, of one rounding, are added as the maxima of the hard loss are, and the
// logarithms are its (see bce.go). An element that takes no part has a score whose
// exponential is 0, and the label 0.

// A softElements is some elements of a row: their scores and labels, the linear parts m, and
// e.
type softElements[T Float] struct {
	y, t, m, e [32]T
}

// evaluate sets the elements of x.
func (s *softElements[T]) evaluate(x, t []T, part uint64) {
	var a, short [32]T
	for j, y := range x {
		s.y[j], s.t[j] = y, only(t[j], part>>j)
		if part>>j&1 == 0 {
			s.y[j] = noScore[T]()
		}
		s.m[j] = fma(-s.t[j], s.y[j], max(s.y[j], 0))
		a[j] = -abs(s.y[j])
	}
	exponentials(&s.e, a[:len(x)], &short, zeroToInf[T](), false)
}

// noScore is a score whose exponential is 0.
func noScore[T Float]() T {
	if IsFloat32[T]() {
		return coef.NoScore32
	}
	return coef.NoScore64
}

// gradient writes the derivatives times f of n elements.
func (s *softElements[T]) gradient(dst []T, n int, f T) {
	for j := range n {
		q, h := s.e[j]/(1+s.e[j]), T(0)
		if !(s.y[j] < 0) {
			q, h = -q, 1
		}
		dst[j] = (q + (h - s.t[j])) * f
	}
}

func abs[T Float](x T) T { return T(math.Abs(float64(x))) }

// softBCE32Generic evaluates rows.
func softBCE32Generic(sum, product []float64, dst []float32, dstStride int, x []float32, stride int, t []float32, tStride, rows, n int, part []uint64, words int, f []float32) {
	for i := range rows {
		var acc, joined [8]float64
		for g := range words {
			in := part[i*words+g]
			var m, e [64]float32
			for k := 0; k < min(64, n-64*g); k += 32 {
				at, count := 64*g+k, min(32, n-64*g-k)
				var s softElements[float32]
				s.evaluate(x[i*stride+at:][:count], t[i*tStride+at:], in>>k)
				if dst != nil {
					s.gradient(dst[i*dstStride+at:], count, f[i])
				}
				copy(m[k:], s.m[:])
				copy(e[k:], s.e[:])
			}
			for l := range acc {
				sum := func(l int) float32 { return (m[l] + m[16+l]) + (m[32+l] + m[48+l]) }
				join := func(l int) float32 { return join32(join32(e[l], e[16+l]), join32(e[32+l], e[48+l])) }
				acc[l] += float64(sum(l) + sum(8+l))
				joined[l] = join64(joined[l], float64(join32(join(l), join(8+l))))
			}
			if g%(coef.BCEBlock/64) == coef.BCEBlock/64-1 || g == words-1 {
				product[0] = joinLanes(&joined)
				product = product[1:]
			}
		}
		sum[i] = eight(&acc)
	}
}

// joinLanes joins 8 lanes in the order of eight, and clears them.
func joinLanes(lanes *[8]float64) float64 {
	for half := 4; half > 0; half /= 2 {
		for l := range half {
			lanes[l] = join64(lanes[l], lanes[half+l])
		}
	}
	joined := lanes[0]
	clear(lanes[:])
	return joined
}

// softBCE64Generic evaluates rows; there are no products.
func softBCE64Generic(sum, _ []float64, dst []float64, dstStride int, x []float64, stride int, t []float64, tStride, rows, n int, part []uint64, words int, f []float64) {
	for i := range rows {
		var acc, err [8]float64
		for k := 0; k < n; k += 32 {
			count, in := min(32, n-k), part[i*words+k/64]>>(k&32)
			var s softElements[float64]
			s.evaluate(x[i*stride+k:][:count], t[i*tStride+k:], in)
			if dst != nil {
				s.gradient(dst[i*dstStride+k:], count, f[i])
			}
			m, e := &s.m, &s.e
			for l := range acc {
				acc[l], err[l] = TwoSum(acc[l], err[l], (m[l]+m[8+l])+(m[16+l]+m[24+l]))
				q := join64(join64(e[l], e[8+l]), join64(e[16+l], e[24+l]))
				acc[l], err[l] = TwoSum(acc[l], err[l], scalar.Log1pFinite(q))
			}
		}
		for half := Lanes64 / 2; half > 0; half /= 2 {
			for l := range half {
				acc[l], err[l] = TwoSum(acc[l], err[l]+err[half+l], acc[half+l])
			}
		}
		sum[i] = acc[0] + err[0]
	}
}

// plainLabels32Generic reports whether all labels are 0 or from PlainLabel to 1. Of float32
// -0 is not 0.
func plainLabels32Generic(t []float32, stride, rows, n int) bool {
	return plainLabels(t, stride, rows, n, coef.PlainLabel32, func(v float32) bool { return math.Float32bits(v) == 0 })
}

func plainLabels64Generic(t []float64, stride, rows, n int) bool {
	return plainLabels(t, stride, rows, n, coef.PlainLabel64, func(v float64) bool { return v == 0 })
}

func plainLabels[T Float](t []T, stride, rows, n int, least T, none func(T) bool) bool {
	for i := range rows {
		for _, v := range t[i*stride:][:n] {
			if !none(v) && !(v >= least && v <= 1) {
				return false
			}
		}
	}
	return true
}

// PlainLabel returns the least plain label.
func PlainLabel[T Float]() float64 {
	if IsFloat32[T]() {
		return coef.PlainLabel32
	}
	return coef.PlainLabel64
}

// softTermsGeneric writes the terms of both sides of rows of ZLPR at pivot 0, which are
// added as weighted sums are (see side.go). Those of scores below the range are 0 and,
// unless the label is, +Inf; those of scores above it are NaN.
func softTermsGeneric(sums [][2]float64, u, v []float32, wStride int, x []float32, stride int, t []float32, tStride, rows, n int, part []uint64, words int) {
	p := PivotParams[float32](0)
	for i := range rows {
		var acc [2][8]float64
		for from := 0; from < n; from += 2 * Lanes32 {
			var g [2][2 * Lanes32]float32
			var w [2 * Lanes32]float32
			in, m := part[i*words+from/64]>>(from%64), min(2*Lanes32, n-from)
			Exp32(&w, x[i*stride+from:][:m], p[0], p[1], p[2])
			for j, t := range t[i*tStride+from:][:m] {
				switch y := x[i*stride+from+j]; {
				case y < p[1]:
					w[j] = 0
				case y > p[2]:
					w[j] = CanonicalNaN[float32]()
				}
				g[0][j] = only(fma32(-w[j], t, w[j]), in>>j)
				if t != 0 {
					g[1][j] = only(t/w[j], in>>j)
				}
			}
			copy(u[i*wStride+from:][:m], g[0][:])
			copy(v[i*wStride+from:][:m], g[1][:])
			for s := range acc {
				for l := range acc[s] {
					low, high := g[s][l]+g[s][16+l], g[s][8+l]+g[s][24+l]
					acc[s][l] += float64(low + high)
				}
			}
		}
		sums[i] = [2]float64{eight(&acc[0]), eight(&acc[1])}
	}
}

// lessLabels32Generic takes f·t off dst.
func lessLabels32Generic(dst []float32, dstStride int, t []float32, tStride, rows, n int, f []float32) {
	for i := range rows {
		out := dst[i*dstStride:][:n]
		for j, t := range t[i*tStride:][:n] {
			out[j] = fma32(-f[i], t, out[j])
		}
	}
}

// lessLabels64Generic is lessLabels32Generic for float64.
func lessLabels64Generic(dst []float64, dstStride int, t []float64, tStride, rows, n int, f []float64) {
	for i := range rows {
		out := dst[i*dstStride:][:n]
		for j, t := range t[i*tStride:][:n] {
			out[j] = math.FMA(-f[i], t, out[j])
		}
	}
}
