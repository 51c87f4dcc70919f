package bce

import (
	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/kernel"
)

// This file evaluates short rows of float32 without weights and thresholds, all
// rows of a chunk as one (see kernel/short.go). With w = e^y, the argument of the
// logarithm is one product however large w is,
//
//	Σ softplus(y) = log1p(Π (1+w) - 1),  sigmoid(y) = w/(1+w)
//
// A row for which it is out of range goes the way of long rows.

// short is memory for short rows.
type short[T kernel.Float] struct {
	kept, f          []T // exponentials of the chunk, factors of the rows
	joins, shortLoss []float64
}

// isShort reports whether the chunk's rows are evaluated here.
func (w *Work[T]) isShort() bool {
	c := w.c
	return kernel.IsFloat32[T]() && c.N <= kernel.ShortRow && w.rule.Focal == 0 && c.Class == nil && len(w.rule.PositiveWeight) == 0 &&
		c.ZeroThreshold && c.ThresholdGrad == nil
}

// shortRows evaluates all rows.
func (w *Work[T]) shortRows() {
	c := w.c
	c.Pending.Finish()
	rows := chunk.Room(c.Rows)
	w.kept, _ = c.ShortExp(w.kept)
	w.joins = kernel.Resize(w.joins, rows)
	kernel.ShortJoins(w.joins, kernel.As32(w.kept), rows, c.N)
	clear(w.joins[c.Rows:])
	var f []T
	var scale []float64
	if c.Grad != nil {
		w.f = kernel.Resize(w.f, rows)
		f, scale = w.f, c.Scale
	}
	if kernel.FinishJoins(c.Loss, kernel.As32(f), w.joins, scale) {
		if c.Grad != nil {
			w.shortGradient(0, c.Rows)
		}
		return
	}
	w.shortLoss = append(w.shortLoss[:0], c.Loss[:c.Rows]...)
	c.Unpack()
	w.longRows()
	for i := 0; i < c.Rows; i++ {
		if !kernel.JoinRight(w.joins[i]) {
			continue
		}
		c.Loss[i] = w.shortLoss[i]
		if c.Grad != nil && kernel.FactorFits[T](c.Scale[i]) {
			w.shortGradient(i, i+1)
		}
	}
}

// shortGradient writes the gradient of rows i to end-1.
func (w *Work[T]) shortGradient(i, end int) {
	c := w.c
	kernel.ShortSigmoid(kernel.As32(c.Grad[i*c.GradStride:]), c.GradStride, kernel.As32(w.kept[i*c.N:]), end-i, c.N, kernel.As32(w.f[i:]))
}
