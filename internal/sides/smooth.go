package sides

import (
	"math"

	"github.com/zlpr/zlpr/internal/kernel"
)

// This file evaluates ZLPR with smoothed labels, (1-ε)·y + ε/2: as soft labels t, with
// weights t and 1-t that are not rounded to the labels' type. Where those are all that
// there is, and sums at pivot 0 serve, they are factors of sums with hard labels:
//
//	A = (1-ε/2)·Σ_N e^s + ε/2·Σ_P e^s,  B = (1-ε/2)·Σ_P e^-s + ε/2·Σ_N e^-s

// smooth is memory for it.
type smooth[T kernel.Float] struct {
	hard, part, none []uint64

	a, b   []float64 // sums of the classes on the other side than their labels say
	kept   []T       // their exponentials
	fa, fb [2][]T    // factors of a row's gradient, of the classes' own sides and the others
}

// smooths reports whether the labels are smoothed.
func (w *Work[T]) smooths() bool { return w.c.Smoothing != 0 && !w.rule.Target }

// isSoft reports whether every class has terms on both sides.
func (w *Work[T]) isSoft() bool { return w.rule.Soft || w.smooths() }

// evalSmooth evaluates the rows of the chunk.
func (w *Work[T]) evalSmooth() {
	c := w.c
	c.Unpack()
	if w.weights() == nil && w.rule.Gamma == 1 && !w.rule.Product && c.ZeroThreshold && (c.Grad == nil || c.N <= keepLen) {
		w.smoothSums()
		return
	}
	w.asSoft(w.eval)
}

// asSoft has f see what it is for soft labels: all classes are negatives.
func (w *Work[T]) asSoft(f func()) {
	c, s := w.c, &w.smooth
	pos, neg := c.Pos, c.Neg
	s.hard, s.part = pos, append(s.part[:0], neg...)
	for k, p := range pos {
		s.part[k] |= p
	}
	s.none = kernel.Resize(s.none, len(pos))
	clear(s.none)
	c.Pos, c.Neg = s.none, s.part
	f()
	c.Pos, c.Neg, s.hard = pos, neg, nil
}

// smoothSums evaluates the rows by hard labels and the opposite ones.
func (w *Work[T]) smoothSums() {
	c, s := w.c, &w.smooth
	w.scale = c.Scale
	w.prepare(c.Rows)
	s.a, s.b = kernel.Resize(s.a, len(w.a)), kernel.Resize(s.b, len(w.b))
	stride := kernel.KeptStride[T](c.N)
	if c.Grad != nil {
		w.kept, s.kept = kernel.ResizeAligned(w.kept, c.Rows*stride+64), kernel.ResizeAligned(s.kept, c.Rows*stride+64)
		kernel.SelectExp(w.a, w.b, w.kept, stride, c.X, c.Stride, c.Rows, c.N, c.Pos, c.Neg, c.Words, kernel.Rows16{}, c.Pending)
		kernel.SelectExp(s.a, s.b, s.kept, stride, c.X, c.Stride, c.Rows, c.N, c.Neg, c.Pos, c.Words, kernel.Rows16{}, c.Pending)
	} else {
		kernel.SelectSums(w.a, w.b, c.X, c.Stride, c.Rows, c.N, c.Pos, c.Neg, c.Words, kernel.Rows16{})
		kernel.SelectSums(s.a, s.b, c.X, c.Stride, c.Rows, c.N, c.Neg, c.Pos, c.Words, kernel.Rows16{})
	}
	own, other := 1-c.Smoothing/2, c.Smoothing/2 // a half is exact
	for i := range c.Rows {
		if !(kernel.FastSum[T](s.a[i]) && kernel.FastSum[T](s.b[i]) && kernel.FastSum[T](w.a[i]) && kernel.FastSum[T](w.b[i])) {
			w.a[i], w.b[i] = math.NaN(), math.NaN()
			continue
		}
		w.a[i] = float64(own*w.a[i]) + float64(other*s.a[i])
		w.b[i] = float64(own*w.b[i]) + float64(other*s.b[i])
	}
	anySlow := w.finishSum(w.scale)
	if !anySlow {
		for i := range c.Rows {
			w.slow[i], w.settled[i] = false, true
		}
	}
	if c.Grad != nil {
		for k, share := range [2]float64{own, other} {
			s.fa[k], s.fb[k] = kernel.Resize(s.fa[k], c.Rows), kernel.Resize(s.fb[k], c.Rows)
			for i := range c.Rows {
				f, g := kernel.SumFactors[T](w.a[i], w.b[i], c.Scale[i])
				f, g = float64(f*share), float64(g*share)
				s.fa[k][i], s.fb[k][i] = T(f), T(g)
				if !(kernel.FactorFits[T](f) && kernel.FactorFits[T](g)) {
					w.slow[i], anySlow = true, true
				}
			}
		}
	}
	if anySlow {
		w.asSoft(func() {
			w.prepareSides()
			w.evalSlow()
		})
	}
	for i := 0; c.Grad != nil && i < c.Rows; i++ {
		from := i
		for i < c.Rows && !w.slow[i] {
			i++
		}
		if from == i {
			continue
		}
		dst, rows := c.Grad[from*c.GradStride:], i-from
		kernel.SelectScale(dst, c.GradStride, w.kept[from*stride:], stride, rows, c.N, s.fa[0][from:], s.fb[0][from:])
		kernel.SelectScale(s.kept[from*stride:], stride, s.kept[from*stride:], stride, rows, c.N, s.fa[1][from:], s.fb[1][from:])
		kernel.Accumulate(dst, c.GradStride, s.kept[from*stride:], stride, rows, c.N)
	}
	w.scale = nil
}

// smoothWeights writes the weights of both sides.
func (w *Work[T]) smoothWeights(class *factors[T]) {
	c := w.c
	size, lanes := kernel.WeightsLen[T](c.N), kernel.LanesOf[T]()
	of := [2]float64{1 - c.Smoothing/2, c.Smoothing / 2} // of a label on its own side, on the other; a half is exact
	for side, weights := range w.soft {
		clear(weights)
		for i := range c.Rows {
			row := weights[i*size:][:size]
			for j := range c.N {
				part, hard := c.Neg[i*c.Words+j/64]>>(j%64)&1, w.smooth.hard[i*c.Words+j/64]>>(j%64)&1
				if part == 0 || class.m[j] == 0 {
					continue
				}
				k := kernel.WeightPlace[T](j)
				m, e := math.Frexp(float64(of[int(hard)^side] * class.m[j]))
				row[k], row[k+lanes] = T(2*m), T(e-1)+class.weights[k+lanes]
			}
		}
	}
}
