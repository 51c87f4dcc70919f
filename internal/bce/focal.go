package bce

import "github.com/zlpr/zlpr/internal/kernel"

// evaluateFocal is evaluate with a focal exponent that the kernels take.
func (w *Work[T]) evaluateFocal(steps, root int) {
	b := &w.args
	b.Copy.Finish()
	a := &w.focal
	*a = kernel.FocalArgs[T]{
		Sum: b.Sum, Dst: b.Dst, DstStride: b.DstStride, X: b.X, Stride: b.Stride, Rows: b.Rows, N: b.N,
		Pos: b.Pos, Neg: b.Neg, Words: b.Words, Params: b.Params,
		Exponent: [1]T{T(w.rule.Focal)}, Steps: steps, Root: root,
		Shifted: b.Shifted, NegWeight: b.NegWeight, PosWeight: b.PosWeight,
	}
	w.flat.powers.exponent = kernel.ExponentParts[T](w.rule.Focal)
	if w.flat.evaluate(a) {
		return
	}
	if a.Shifted && a.NegWeight == nil {
		a.NegWeight, a.PosWeight = w.unitWeights()
	}
	w.flat.powers.evaluate(a)
}

// focalPowers is memory for powers of the sigmoid.
type focalPowers[T kernel.Float] struct {
	powers   []T
	exponent [2]T
}

// evaluate evaluates the rows, with powers where the exponent takes these.
func (f *focalPowers[T]) evaluate(a *kernel.FocalArgs[T]) {
	if a.Root == 2 {
		size := 64 * a.Words
		f.powers = kernel.Resize(f.powers, a.Rows*size)
		for i := range a.Rows {
			clear(f.powers[i*size+a.N : (i+1)*size])
		}
		kernel.SigmoidPowers(f.powers, a.X, a.Stride, a.Rows, a.N, a.Pos, a.Neg, a.Words, a.Params, f.exponent[:])
		a.Powers = f.powers
	}
	kernel.Focal(a)
}

// flatRows evaluates short rows, which lie one behind the other, as one long row.
type flatRows[T kernel.Float] struct {
	pos, neg []uint64
	terms    []T
	powers   focalPowers[T]
}

// evaluate reports whether it has evaluated the rows: rows of at most a group, without
// thresholds and weights, whose derivatives have the same factor.
func (f *flatRows[T]) evaluate(a *kernel.FocalArgs[T]) bool {
	n := a.N
	if n > 2*kernel.LanesOf[T]() || n == 0 || a.Rows < 2 || a.Shifted || a.Stride != n || a.DstStride != n {
		return false
	}
	for _, p := range a.Params[:a.Rows] {
		if p != a.Params[0] {
			return false
		}
	}
	all := *a
	all.Rows, all.N = 1, a.Rows*n
	all.Words = kernel.BitWords(all.N)
	f.pos, f.neg = join(f.pos, a.Pos, a.Rows, n), join(f.neg, a.Neg, a.Rows, n)
	f.terms = kernel.Resize(f.terms, 64*all.Words)
	all.Pos, all.Neg, all.Terms = f.pos, f.neg, f.terms
	f.powers.evaluate(&all)
	kernel.FocalRows(a.Sum[:a.Rows], f.terms, n)
	return true
}

// join returns the bits of rows of n ≤ 32 of them, each in a word of its own, one
// behind the other, in the memory of dst.
func join(dst, words []uint64, rows, n int) []uint64 {
	dst = kernel.Resize(dst, kernel.BitWords(rows*n))
	var word uint64
	at, filled := 0, uint(0)
	for _, bits := range words[:rows] {
		word |= bits << filled
		if filled += uint(n); filled >= 64 {
			dst[at] = word
			at++
			filled -= 64
			word = bits >> (uint(n) - filled) // of which 0 to n-1 are left
		}
	}
	if filled > 0 {
		dst[at] = word
	}
	return dst
}
