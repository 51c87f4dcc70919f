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
// y = s0 - x for those of pos; the others take no part. With w = e^y,
//
//	softplus(y) = log1p(w)
//	sigmoid(y) = w/(1+w)
//
// The sum of the logarithms is that of a product, which is kept short of 1 so
// that it keeps its digits however small it is:
//
//	log1p(a) + log1p(b) = log1p(join(a, b)),  join(a, b) = a·b + (a+b)
//
// A relative error of a or of a join is, at the most, one of the sum: log1p has
// condition below 1. So there is one logarithm for a block of elements of float32,
// and, since there nothing more precise is at hand, one for 4 of float64. What has no
// exponential, or a product no number, is left to the kernels with weights: the product
// or the loss is NaN or +Inf then, and the row's gradient is open.
//
// Of 32 elements, those of lanes l and l+16, then these and l+8 and l+24 are joined in
// float32, and the 8 joins with the row's in float64; of float64 the order is l and
// l+8, l+16 and l+24, then these.
//
// The threshold is a pair, s0 = hi + lo. What rounding x - hi has lost, and lo,
// are added to the reduced argument of the exponential.
//
// With weights, a class has both terms, that of a negative times a = (1-t)·w and that of a
// positive times b = t·w of the weights w of the two, with a soft label t; a hard one is 0 or
// 1. With y = x - s0, e = e^-|y|, q = e/(1+e) and c = a where y ≥ 0, else b,
//
//	a·softplus(y) + b·softplus(-y) = (a+b)·log1p(e) + c·|y|
//	derivative by y: c - (a+b)·q where y ≥ 0, less that else
//
// The choice of c follows the sign of the rounded y: softplus(y) = y + softplus(-y). The
// logarithm is made from q (see coef.Log1pHyperbolic32): a division serves both. Terms of
// two virtual vectors are added, of float32 those of lanes l and l+8, too, and these to the
// row's lanes.

// BCEParams are a row's factor of the gradient, for kernels with weights, hi and lo.
type BCEParams[T Float] [3]T

// BCEArgs are the arguments of a kernel.
type BCEArgs[T Float] struct {
	Sum []float64 // the loss of every row, but of float32 without weights

	// Product takes, of those, for every block of a row the product of 1 + w less 1.
	Product []float64

	Dst       []T // for the gradient; nil for none
	DstStride int
	Copy      *Copy[T] // is made meanwhile, where there is a gradient

	X               []T
	Stride, Rows, N int
	Pos, Neg        []uint64
	Words           int

	// Slope, unless it is nil, takes the sums of every row's gradient of float32, with
	// thresholds and without weights. (The errors of sums of float64 are those of positive
	// terms.)
	Slope []float64

	Scale   []float64      // factors of the gradient, for kernels without weights
	Params  []BCEParams[T] // where there are thresholds
	Shifted bool           // there are

	// Of WeightedBCE, which takes Params in any case and makes no copy: weights are factors of the classes as
	// negatives and as positives. With Soft, labels of the classes of
	// Pos and Neg, it does not matter of which these are. Terms takes those of a single row.
	NegWeight, PosWeight []T
	Soft                 []T
	SoftStride           int
	Terms                []T

	// Where Kind is not 0 these take the places of X and Dst, with the same strides: on
	// tiers that have Sixteen, of float32 without weights and thresholds.
	Kind       int
	X16, Dst16 []uint16
}

// Gradient reports whether there is a place for it.
func (a *BCEArgs[T]) Gradient() bool { return a.Dst != nil || a.Dst16 != nil }

func (a *BCEArgs[T]) Weighted() bool { return a.NegWeight != nil }

// shifted returns 1 where there are thresholds.
func (a *BCEArgs[T]) shifted() int {
	if a.Shifted {
		return 1
	}
	return 0
}

// Plain reports whether there are neither weights nor thresholds.
func (a *BCEArgs[T]) Plain() bool { return !a.Shifted && a.NegWeight == nil }

// Blocks returns the number of products of a row.
func (a *BCEArgs[T]) Blocks() int { return (a.N + coef.JoinBlock - 1) / coef.JoinBlock }

// zeroToInf are the magic number of pivot 0 and the arguments between which e^y is
// neither 0 nor +Inf.
func zeroToInf[T Float]() RowParams[T] {
	if IsFloat32[T]() {
		return RowParams[T]{coef.Magic32, coef.ZeroExp32 * math.Ln2, coef.InfExp32 * math.Ln2}
	}
	return RowParams[T]{T(coef.Magic64), coef.ZeroExp64 * math.Ln2, coef.InfExp64 * math.Ln2}
}

// difference returns y, and what rounding has lost of it, of an element of row i, a
// positive where bit 0 of pos is set.
func (a *BCEArgs[T]) difference(i int, x T, pos uint64) (y, short T) {
	if y = x; a.Shifted {
		hi, lo := a.Params[i][1], a.Params[i][2]
		y = x - hi
		t := y - x
		short = (x - (y - t)) - (hi + t)
		short -= lo
	}
	if pos&1 != 0 {
		y, short = -y, -short
	}
	return y, short
}

// powers writes w of the elements from k on of row i, at most 32: 0 of those of no side.
// It writes their gradients, too.
func (a *BCEArgs[T]) powers(w *[32]T, i, k int) { a.powersOf(w, i, k, nil) }

// powersOf is powers of scores that are short of lost, unless that is nil: the exponentials
// are made right to first order.
func (a *BCEArgs[T]) powersOf(w *[32]T, i, k int, lost []T) {
	n, shift := min(32, a.N-k), k%64
	pos, neg := a.Pos[i*a.Words+k/64]>>shift, a.Neg[i*a.Words+k/64]>>shift
	var y, short [32]T
	var wide [32]T
	for j, x := range a.scores(&wide, i*a.Stride+k, n) {
		y[j], short[j] = a.difference(i, x, pos>>j)
	}
	exponentials(w, y[:n], &short, zeroToInf[T](), a.Shifted)
	for j := range n {
		if lost != nil {
			w[j] = fma(w[j], flip(lost[j], pos>>j), w[j])
		}
		w[j] = only(w[j], (pos|neg)>>j)
	}
	if !a.Gradient() {
		return
	}
	factor := T(a.Scale[i])
	for j, v := range w[:n] {
		g := flip(v/(1+v), pos>>j) * factor
		if at := i*a.DstStride + k + j; a.Kind != 0 {
			a.Dst16[at] = sixteenOf(float32(g), a.Kind)
		} else {
			a.Dst[at] = g
		}
	}
}

// scores returns n scores, at most 32, from one on; in room, if they are of 16 bits.
func (a *BCEArgs[T]) scores(room *[32]T, from, n int) []T {
	if a.Kind == 0 {
		return a.X[from:][:n]
	}
	for j, h := range a.X16[from:][:n] {
		room[j] = T(float32Of(h, a.Kind))
	}
	return room[:n]
}

// exponentials writes e^(y+short) to e, or e^y unless they are shifted.
func exponentials[T Float](e *[32]T, y []T, short *[32]T, limits RowParams[T], shifted bool) {
	magic, low, high := limits[0], limits[1], limits[2]
	if IsFloat32[T]() {
		s := (*[32]float32)(As32(short[:]))
		if !shifted {
			s = nil
		}
		exp32Shifted((*[32]float32)(As32(e[:])), As32(y), s, float32(magic), float32(low), float32(high))
		return
	}
	for h := 0; h < len(y); h += 2 * Lanes64 {
		s := (*[2 * Lanes64]float64)(As64(short[h:]))
		if !shifted {
			s = nil
		}
		end := min(len(y), h+2*Lanes64)
		exp64Shifted((*[2 * Lanes64]float64)(As64(e[h:])), As64(y[h:end]), s, float64(magic), float64(low), float64(high))
	}
}

// join32 is the join of two products, both of them less 1.
func join32(a, b float32) float32 { return fma32(a, b, a+b) }

func join64(a, b float64) float64 { return math.FMA(a, b, a+b) }

// log1pUnit returns log(1+e), 0 ≤ e ≤ 1, given q = e/(1+e).
func log1pUnit[T Float](e, q T) T {
	z := T(e * q)
	return fma(z, fma(-(e+q), hyperbolic(z), 0.5), q)
}

// bce32Generic makes the copy and evaluates rows.
func bce32Generic(a *BCEArgs[float32]) {
	a.Copy.Finish()
	products := a.Product
	for i := range a.Rows {
		var product [8]float64
		for k := 0; k < a.N; k += 32 {
			var w [32]float32
			a.powers(&w, i, k)
			for l := range product {
				t := join32(join32(w[l], w[16+l]), join32(w[8+l], w[24+l]))
				product[l] = join64(product[l], float64(t))
			}
			if (k+32)%coef.JoinBlock == 0 || k+32 >= a.N {
				products[0] = joinLanes(&product)
				products = products[1:]
			}
		}
		if a.Slope != nil && a.Shifted {
			slope32(a, i)
		}
	}
}

// slope32 writes the sum of row i's gradient, in the order of the terms with weights.
func slope32(a *BCEArgs[float32], i int) {
	var sum, err [8]float64
	for k := 0; k < a.N; k += 32 {
		var g [32]float32
		copy(g[:], a.Dst[i*a.DstStride:][k:a.N])
		addTerms(&sum, &err, &g)
	}
	a.Slope[i] = eight(&sum)
}

// addTerms adds 32 terms to lanes, of float64 with their errors.
func addTerms[T Float](sum, err *[8]float64, m *[32]T) {
	if IsFloat32[T]() {
		for l := range sum {
			sum[l] += float64((m[l] + m[16+l]) + (m[8+l] + m[24+l]))
		}
		return
	}
	for _, h := range [2]int{0, 16} {
		for l := range sum {
			sum[l], err[l] = TwoSum(sum[l], err[l], float64(m[h+l]+m[h+8+l]))
		}
	}
}

// bce64Generic makes the copy and evaluates rows. The logarithms of 32 elements are
// added to the row's lanes exactly; the errors are added apart, and to the result at
// the end.
func bce64Generic(a *BCEArgs[float64]) {
	a.Copy.Finish()
	for i := range a.Rows {
		var sum, err [8]float64
		for k := 0; k < a.N; k += 32 {
			var w [32]float64
			a.powers(&w, i, k)
			for l := range sum {
				q := join64(join64(w[l], w[8+l]), join64(w[16+l], w[24+l]))
				sum[l], err[l] = TwoSum(sum[l], err[l], scalar.Log1pFinite(q)+(q-q)) // NaN where q is no number
			}
		}
		a.Sum[i] = compensated(&sum, &err)
	}
}

// compensated returns the sum of 8 lanes with their errors.
func compensated(sum, err *[8]float64) float64 {
	for half := Lanes64 / 2; half > 0; half /= 2 {
		for l := range half {
			sum[l], err[l] = TwoSum(sum[l], err[l]+err[half+l], sum[half+l])
		}
	}
	return sum[0] + err[0]
}

// weightedBCE32Generic evaluates rows.
func weightedBCE32Generic(a *BCEArgs[float32]) {
	for i := range a.Rows {
		var sum, err [8]float64
		for k := 0; k < a.N; k += 32 {
			var m [32]float32
			a.weighted(m[:], i, k)
			addTerms(&sum, &err, &m)
		}
		a.Sum[i] = eight(&sum)
	}
}

// weightedBCE64Generic evaluates rows.
func weightedBCE64Generic(a *BCEArgs[float64]) {
	for i := range a.Rows {
		var sum, err [8]float64
		for k := 0; k < a.N; k += 32 {
			var m [32]float64
			a.weighted(m[:], i, k)
			addTerms(&sum, &err, &m)
		}
		a.Sum[i] = compensated(&sum, &err)
	}
}

// weighted writes the terms of the 32 elements from k on of row i to all, 0 of those that
// take no part, and their gradients.
func (a *BCEArgs[T]) weighted(all []T, i, k int) {
	m := all[:min(32, a.N-k)]
	pos, part := a.Pos[i*a.Words+k/64]>>(k%64), a.Neg[i*a.Words+k/64]>>(k%64)
	part |= pos
	var y, short, e [32]T
	var down [32]bool
	for j, x := range a.X[i*a.Stride+k:][:len(m)] {
		v, l := a.difference(i, x, 0)
		if down[j] = math.Signbit(float64(v)); !down[j] {
			l = -l
		}
		y[j], short[j] = -abs(v), l
	}
	exponentials(&e, y[:len(m)], &short, zeroToInf[T](), true)
	for j := range m {
		e, q := e[j], e[j]/(1+e[j])
		t := T(pos >> j & 1)
		if a.Soft != nil {
			t = a.Soft[i*a.SoftStride+k+j]
		}
		w := a.NegWeight[k+j]
		negative, positive := fma(-t, w, w), T(t*a.PosWeight[k+j])
		either, choice := negative+positive, negative
		if down[j] {
			choice = positive
		}
		if a.Dst != nil {
			f := a.Params[i][0]
			g := fma(-T(either*f), q, T(choice*f))
			if down[j] {
				g = -g
			}
			a.Dst[i*a.DstStride+k+j] = only(g, part>>j)
		}
		m[j] = only(fma(-choice, y[j]+short[j], T(log1pUnit(e, q)*either)), part>>j)
	}
	if a.Terms != nil {
		copy(a.Terms[k:], all)
	}
}
