package bce

import (
	"math"
	"unsafe"

	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/kernel"
)

// This file evaluates short rows of float32 without weights and thresholds, all
// rows of a chunk as one (see kernel/short.go): the exponentials and the gradient of
// its elements, whatever the row, then the rows' products side by side. A row for which
// that is out of range is evaluated again, as a long one.

// short is memory for short rows.
type short[T kernel.Float] struct {
	kept     []T // exponentials of the chunk
	sigmoids []T // where the gradient has no place without gaps or the rows have factors of their own
	joins    []float64
	all      []uint64
	allLen   int
}

// isShort reports whether the chunk's rows are evaluated here.
func (w *Work[T]) isShort() bool {
	c := w.c
	return kernel.IsFloat32[T]() && 0 < c.N && c.N <= kernel.ShortRow && w.rule.Focal == 0 && c.Class == nil && len(w.rule.PositiveWeight) == 0 &&
		c.ZeroThreshold && c.ThresholdGrad == nil
}

// shortRows evaluates all rows.
func (w *Work[T]) shortRows() {
	c := w.c
	c.Pending.Finish()
	if c.Stride != c.N || c.Grad != nil && unsafe.SliceData(c.Grad) == unsafe.SliceData(c.X) {
		w.keepScores()
	}
	rows, count := chunk.Room(c.Rows), c.Rows*c.N
	part := c.FlatPart()
	if part == nil {
		part = w.allPart(count)
	}
	var dst []T
	scale, apart := one[:], false
	if c.Grad != nil {
		if apart = c.GradStride != c.N || !same(c.Scale[:c.Rows]); apart {
			w.sigmoids = kernel.ResizeAligned(w.sigmoids, kernel.ShortRoom(rows*c.N))
			dst = w.sigmoids
		} else {
			dst, scale = c.Grad, c.Scale
		}
	}
	w.kept = kernel.ResizeAligned(w.kept, kernel.ShortRoom(rows*c.N+64))
	kernel.ShortOdds(kernel.As32(w.kept), kernel.As32(dst), kernel.As32(w.x[:count]), c.FlatPos(), part, scale)
	w.joins = kernel.Resize(w.joins, rows)
	kernel.ShortJoins(w.joins, kernel.As32(w.kept), rows, c.N)
	for i := c.Rows; i < rows; i++ {
		w.joins[i] = 1
	}
	if apart {
		for i, v := range c.Scale[:c.Rows] {
			out, f := c.GradRow(i), T(v)
			for j, g := range w.sigmoids[i*c.N:][:len(out)] {
				out[j] = g * f // zeros have the signs that ShortOdds gives them
			}
		}
	}
	right := kernel.FinishJoins(c.Loss, nil, w.joins, nil)
	if right && (c.Grad == nil || !apart && kernel.FactorFits[T](c.Scale[0]) || w.scalesFit()) {
		return
	}
	for i, u := range w.joins[:c.Rows] {
		if !kernel.JoinRight(u) {
			c.Loss[i] = math.NaN()
		}
	}
	c.Unpack()
	w.weights.most = 1
	w.args = kernel.BCEArgs[T]{
		Sum: c.Loss, X: w.x, Stride: w.stride, N: c.N, Pos: c.Pos, Neg: c.Neg, Words: c.Words,
		Dst: c.Grad, DstStride: c.GradStride,
	}
	anySlow := w.setParams()
	w.complete(anySlow, right)
}

var one = [1]float64{1}

// same reports whether all x are the same.
func same(x []float64) bool {
	for _, v := range x {
		if v != x[0] {
			return false
		}
	}
	return true
}

// allPart returns the bits of so many elements, all of which take part.
func (s *short[T]) allPart(count int) []uint64 {
	if s.allLen != count {
		s.allLen = count
		s.all = kernel.Resize(s.all, kernel.BitWords(count))
		for i := range s.all {
			s.all[i] = math.MaxUint64
		}
		s.all[len(s.all)-1] = kernel.LastWord(count)
	}
	return s.all
}
