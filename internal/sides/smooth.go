package sides

import (
	"math"

	"github.com/zlpr/zlpr/internal/kernel"
)

// This file evaluates ZLPR with smoothed labels, (1-ε)·y + ε/2: as soft labels t, with
// weights t and 1-t that are not rounded to the labels' type.

// smooth is memory for it.
type smooth struct{ hard, part, none []uint64 }

// smooths reports whether the labels are smoothed.
func (w *Work[T]) smooths() bool { return w.c.Smoothing != 0 && !w.rule.Target }

// isSoft reports whether every class has terms on both sides.
func (w *Work[T]) isSoft() bool { return w.rule.Soft || w.smooths() }

// evalSmooth evaluates the rows of the chunk.
func (w *Work[T]) evalSmooth() {
	c, s := w.c, &w.smooth
	c.Unpack()
	pos, neg := c.Pos, c.Neg
	s.hard, s.part = pos, append(s.part[:0], neg...)
	for k, p := range pos {
		s.part[k] |= p
	}
	s.none = kernel.Resize(s.none, len(pos))
	clear(s.none)
	c.Pos, c.Neg = s.none, s.part
	w.eval()
	c.Pos, c.Neg, s.hard = pos, neg, nil
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
