package kernel

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/scalar"
)

// This file is the specification of the kernels of binary cross-entropy: every
// tier gives the bits of these functions.
//
// The argument of an element's softplus is y = x - s0 for the classes of neg and
// y = s0 - x for those of pos; the others take no part. With e = e^-|y|,
//
//	softplus(y) = max(y, 0) + log1p(e)
//	sigmoid(y) = 1/(1+e), or e/(1+e) where y < 0
//
// The sum of the logarithms is that of a product, which is kept short of 1 so
// that it keeps its digits however small it is:
//
//	log1p(a) + log1p(b) = log1p(join(a, b)),  join(a, b) = a·b + (a+b)
//
// A relative error of a or of a join is, at the most, one of the sum: log1p has
// condition below 1. So there is one logarithm for 512 elements of float32,
// and, since there nothing more precise is at hand, one for 4 of float64.
//
// Groups are those of selectSums (see select.go). Lane by lane the maxima
// of a group are added as (0+1)+(2+3), and so are the e joined.
//
// The threshold is a pair, s0 = hi + lo. What rounding x - hi has lost, and lo,
// are added to the reduced argument of the exponential and to the maximum. The
// choice of max(y, 0) follows the rounded y: softplus(y) = y + softplus(-y).

// BCEParams are a row's factor of the gradient, hi and lo.
type BCEParams[T Float] [3]T

// BCEArgs are the arguments of a kernel.
type BCEArgs[T Float] struct {
	Sum []float64 // float32: of the maxima of every row; float64: the loss

	// Product takes, of float32 without weights, for every block of a row the
	// product of 1 + e less 1.
	Product []float64

	Dst       []T // for the gradient; nil for none
	DstStride int
	Copy      *Copy[T] // is made meanwhile, where there is a gradient

	X               []T
	Stride, Rows, N int
	Pos, Neg        []uint64
	Words           int

	Params  []BCEParams[T]
	Shifted bool // there are thresholds

	// weights are factors of the classes as negatives and as positives; nil for
	// none. With them the terms are added, not joined.
	NegWeight, PosWeight []T
}

func (a *BCEArgs[T]) Weighted() bool { return a.NegWeight != nil }

// Blocks returns the number of products of a row.
func (a *BCEArgs[T]) Blocks() int { return (a.N + coef.BCEBlock - 1) / coef.BCEBlock }

// A bceElements is some elements of a row: for the exponential -|y| and what it
// is short of, then the maxima and exponentials, 0 where no part is taken.
type bceElements[T Float] struct {
	y, short, m, e [32]T
	up             [32]bool // max(y, 0) is y
}

// arguments sets y, short, m and up of the elements from k on of row i.
func (b *bceElements[T]) arguments(a *BCEArgs[T], i, k, n int, pos, part uint64) {
	hi, lo := T(0), T(0)
	if a.Shifted {
		hi, lo = a.Params[i][1], a.Params[i][2]
	}
	for j, x := range a.X[i*a.Stride+k:][:n] {
		y, l := x, T(0)
		if a.Shifted {
			y = x - hi
			t := y - x
			l = (x - (y - t)) - (hi + t)
			l -= lo
		}
		if pos>>j&1 != 0 {
			y, l = -y, -l
		}
		up := !(y < 0)
		m := T(0)
		if up {
			m = y
			if a.Shifted {
				m = y + l
			}
			y, l = -y, -l
		}
		b.y[j], b.short[j], b.m[j], b.up[j] = y, l, only(m, part>>j), up
	}
}

// gradient writes the derivatives.
func (b *bceElements[T]) gradient(a *BCEArgs[T], i, k, n int, pos, part uint64) {
	for j := range n {
		g := a.Params[i][0]
		if a.Weighted() {
			g *= a.weight(k+j, pos>>j)
		}
		if pos>>j&1 != 0 {
			g = -g
		}
		if !b.up[j] {
			g *= b.e[j]
		}
		a.Dst[i*a.DstStride+k+j] = only(g/(1+b.e[j]), part>>j)
	}
}

// weight returns the weight of class k, a positive where bit 0 of pos is set.
func (a *BCEArgs[T]) weight(k int, pos uint64) T {
	if pos&1 != 0 {
		return a.PosWeight[k]
	}
	return a.NegWeight[k]
}

// join32 is the join of two products, both of them less 1.
func join32(a, b float32) float32 { return float32(a*b) + (a + b) }

func join64(a, b float64) float64 { return math.FMA(a, b, a+b) }

// log1pUnit32 returns log(1+e), 0 ≤ e ≤ 1: 2·atanh(s), s = e/(2+e).
func log1pUnit32(e float32) float32 {
	s := e / (2 + e)
	z := float32(s * s)
	c := &coef.Log1pUnit32
	r := c[len(c)-1]
	for i := len(c) - 2; i >= 0; i-- {
		r = float32(r*z) + c[i]
	}
	return float32(float32(s*z)*r) + (s + s)
}

// bce32Generic makes the copy and evaluates rows. Lane l+8 of a group is added to and joined with
// lane l in float32, and these 8 with the row's in float64.
func bce32Generic(a *BCEArgs[float32]) {
	a.Copy.Finish()
	limits := PivotParams[float32](0)
	products := a.Product
	for i := range a.Rows {
		var sum, product [8]float64
		for g := range a.Words {
			pos, neg := a.Pos[i*a.Words+g], a.Neg[i*a.Words+g]
			var m, e [64]float32
			for k := 0; k < min(64, a.N-64*g); k += 32 {
				n := min(32, a.N-64*g-k)
				pos, part := pos>>k, (pos|neg)>>k
				var b bceElements[float32]
				b.arguments(a, i, 64*g+k, n, pos, part)
				shift := &b.short
				if !a.Shifted {
					shift = nil
				}
				exp32Shifted(&b.e, b.y[:n], shift, limits[0], limits[1], limits[2])
				for j := range n {
					if b.y[j] < limits[1] {
						b.e[j] = 0
					}
					b.e[j] = only(b.e[j], part>>j)
					if a.Weighted() && part>>j&1 != 0 {
						b.m[j] = float32(a.weight(64*g+k+j, pos>>j) * (b.m[j] + log1pUnit32(b.e[j])))
					}
				}
				if a.Dst != nil {
					b.gradient(a, i, 64*g+k, n, pos, part)
				}
				copy(m[k:], b.m[:])
				copy(e[k:], b.e[:])
			}
			for l := range sum {
				t := func(l int) float32 { return (m[l] + m[16+l]) + (m[32+l] + m[48+l]) }
				sum[l] += float64(t(l) + t(8+l))
			}
			if a.Weighted() {
				continue
			}
			for l := range product {
				t := func(l int) float32 { return join32(join32(e[l], e[16+l]), join32(e[32+l], e[48+l])) }
				product[l] = join64(product[l], float64(join32(t(l), t(8+l))))
			}
			if g%(coef.BCEBlock/64) == coef.BCEBlock/64-1 || g == a.Words-1 {
				for half := 4; half > 0; half /= 2 {
					for l := range half {
						product[l] = join64(product[l], product[half+l])
					}
				}
				products[0] = product[0]
				products = products[1:]
				clear(product[:])
			}
		}
		a.Sum[i] = eight(&sum)
	}
}

// bce64Generic makes the copy and evaluates rows. The maxima and then the logarithm of a group are
// added to the row's lanes exactly; the errors are added apart, and to the
// result at the end.
func bce64Generic(a *BCEArgs[float64]) {
	a.Copy.Finish()
	limits := PivotParams[float64](0)
	for i := range a.Rows {
		var sum, err [8]float64
		for k := 0; k < a.N; k += 32 {
			n := min(32, a.N-k)
			pos, neg := a.Pos[i*a.Words+k/64]>>(k&32), a.Neg[i*a.Words+k/64]>>(k&32)
			part := pos | neg
			var b bceElements[float64]
			b.arguments(a, i, k, n, pos, part)
			for h := 0; h < n; h += 2 * Lanes64 {
				shift := (*[2 * Lanes64]float64)(b.short[h:])
				if !a.Shifted {
					shift = nil
				}
				exp64Shifted((*[2 * Lanes64]float64)(b.e[h:]), b.y[h:min(n, h+2*Lanes64)], shift, limits[0], limits[1], limits[2])
			}
			for j := range n {
				if b.y[j] < limits[1] {
					b.e[j] = 0
				}
				b.e[j] = only(b.e[j], part>>j)
				if a.Weighted() && part>>j&1 != 0 {
					b.m[j] = a.weight(k+j, pos>>j) * float64(b.m[j]+scalar.Log1pFinite(b.e[j]))
				}
			}
			if a.Dst != nil {
				b.gradient(a, i, k, n, pos, part)
			}
			m, e := &b.m, &b.e
			for l := range sum {
				sum[l], err[l] = TwoSum(sum[l], err[l], (m[l]+m[8+l])+(m[16+l]+m[24+l]))
			}
			if a.Weighted() {
				continue
			}
			for l := range sum {
				q := join64(join64(e[l], e[8+l]), join64(e[16+l], e[24+l]))
				sum[l], err[l] = TwoSum(sum[l], err[l], scalar.Log1pFinite(q))
			}
		}
		for half := Lanes64 / 2; half > 0; half /= 2 {
			for l := range half {
				sum[l], err[l] = TwoSum(sum[l], err[l]+err[half+l], sum[half+l])
			}
		}
		a.Sum[i] = sum[0] + err[0]
	}
}
