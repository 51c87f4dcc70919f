package bce

import (
	"github.com/zlpr/zlpr/internal/kernel"
)

// evaluateFocal is evaluate with a focal exponent that the kernels take.
func (w *Work[T]) evaluateFocal(steps, root int) {
	b := &w.args
	b.Copy.Finish()
	a := &w.focal
	*a = kernel.FocalArgs[T]{
		Sum: b.Sum, Dst: b.Dst, DstStride: b.DstStride, X: b.X, Stride: b.Stride, Rows: b.Rows, N: b.N,
		Pos: b.Pos, Neg: b.Neg, Words: b.Words, Params: b.Params,
		Exponent: [1]T{T(w.rule.Focal)}, Steps: steps, Root: root,
		Shifted: b.Shifted, NegWeight: b.NegWeight, PosWeight: b.PosWeight, Kept: a.Kept,
	}
	if a.Shifted && a.NegWeight == nil {
		a.NegWeight, a.PosWeight = w.unitWeights()
	}
	w.powers.exponent = kernel.ExponentParts[T](w.rule.Focal)
	w.powers.evaluate(a)
}

// focalPowers is memory for powers of the sigmoid.
type focalPowers[T kernel.Float] struct {
	powers   []T
	exponent [2]T
}

// evaluate evaluates the rows, with powers where the exponent takes these.
func (f *focalPowers[T]) evaluate(a *kernel.FocalArgs[T]) {
	if a.Root == kernel.FromPower {
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

// focalRows evaluates short rows with a focal exponent, their gradient times that of one to
// dst, and reports whether all losses are right.
func (w *Work[T]) focalRows(dst []T, part []uint64) (right bool) {
	c, a := w.c, &w.focal
	count := c.Rows * c.N
	if dst == nil {
		w.grad = kernel.Resize(w.grad, count)
		dst = w.grad
	}
	pos := c.FlatPos()
	*a = kernel.FocalArgs[T]{
		Terms: w.kept, Dst: dst, DstStride: count, X: w.x, Stride: count, Rows: 1, N: count,
		Pos: pos, Neg: part, Words: len(pos), Params: w.one[:], Exponent: [1]T{T(w.rule.Focal)}, Kept: a.Kept,
	}
	a.Steps, a.Root, _ = kernel.FocalExponent(w.rule.Focal)
	w.powers.exponent = kernel.ExponentParts[T](w.rule.Focal)
	w.powers.evaluate(a)
	return w.addTerms(1)
}
