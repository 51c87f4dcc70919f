package bce

import (
	"math"

	"github.com/zlpr/zlpr/internal/kernel"
)

// smooth is memory for smoothed labels.
type smooth[T kernel.Float] struct {
	twice[T]
	scale []float64
	rows  bool // evaluated in the general way
}

// smoothed evaluates the rows of the chunk with labels (1-ε)·y + ε/2, as two losses of
// hard labels: 1-ε/2 times that of y and ε/2 times that of 1-y.
func (w *Work[T]) smoothed() {
	c, s := w.c, &w.smooth
	c.Unpack()
	other, scale, derivatives := c.Smoothing/2, c.Scale, c.Derivatives()
	scaled := func(f float64) {
		if derivatives {
			s.scale = kernel.Resize(s.scale, len(scale))
			for i, v := range scale {
				s.scale[i] = float64(v * f)
			}
			c.Scale = s.scale
		}
	}
	restore := s.keep(c)
	scaled(other)
	c.Pos, c.Neg = c.Neg, c.Pos
	s.apart(c, w.eval)
	c.Pos, c.Neg = c.Neg, c.Pos
	scaled(1 - other) // half the smoothing, exact
	w.eval()
	c.Scale = scale
	out := c.Out
	for i, l := range c.Loss[:c.Rows] {
		if c.Loss[i] = float64((1-other)*l) + float64(other*s.loss[i]); math.IsInf(c.Loss[i], 1) {
			// One of them may be infinite because it lacks its factor.
			s.rows, c.Grad, c.ThresholdGrad = true, nil, nil
			w.row(i)
			s.rows, c.Grad, c.ThresholdGrad = false, out.Grad, out.ThresholdGrad
		}
	}
	restore()
	s.addGradients(c)
}
