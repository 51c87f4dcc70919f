// Package bce evaluates the binary cross-entropy of the classes of a row, with
// positives P, negatives N and the threshold s0,
//
//	L = Σ_N softplus(s_i-s0) + Σ_P w_j·softplus(s0-s_j),   softplus(x) = log(1+e^x)
//
// every term times sigmoid(x)^f with a focal exponent f. With soft labels t, which do
// without that exponent, every class has the term of a negative times 1-t and that of a
// positive times t.
package bce

import (
	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/kernel"
)

// A Rule has the parameters of the loss.
type Rule struct {
	PositiveWeight []float64 // nil for 1, one for all classes, or one a class
	Focal          float64   // f
}

// positiveWeight returns the positive weight of class j.
func (r *Rule) positiveWeight(j int) float64 {
	switch len(r.PositiveWeight) {
	case 0:
		return 1
	case 1:
		return r.PositiveWeight[0]
	}
	return r.PositiveWeight[j]
}

// A Work evaluates the loss for one worker, with memory of its own that it keeps
// from one chunk to the next.
type Work[T kernel.Float] struct {
	rule Rule
	c    *chunk.Chunk[T] // the chunk in work

	// The scores: those of c, or a copy where the gradient has overwritten them.
	x      []T
	stride int
	saved  []T

	args    kernel.BCEArgs[T]
	wide    kernel.BCEArgs[T] // of a row that is evaluated again
	near    kernel.BCEArgs[T] // of a part of the rows
	portion kernel.Copy[T]    // of the pending copy
	focal   kernel.FocalArgs[T]
	weights classWeights[T]
	pos     []uint64 // positives whose weight is not 0
	product []float64
	logs    []float64
	params  []kernel.BCEParams[T]
	ones    []T // weights
	powers  focalPowers[T]
	slow    []slowness
	grad    []T // where only the thresholds' derivatives are wanted
	slope   slopeSums[T]

	short[T]
	soft soft[T]

	smooth smooth[T]

	block  *block
	grads  []float64 // of a row in the general way
	large  []largeSlope
	beyond float64 // with soft labels, what terms s-s0 beyond the numbers lack
}

// New returns a Work for the rule.
func New[T kernel.Float](rule Rule) *Work[T] { return &Work[T]{rule: rule} }

// Eval evaluates the rows of a chunk.
func (w *Work[T]) Eval(c *chunk.Chunk[T]) {
	w.c = c
	if c.Smoothing != 0 && c.Soft == nil {
		c.Widen()
		w.smoothed()
	} else {
		w.eval()
	}
	w.c, w.x, w.args, w.wide = nil, nil, kernel.BCEArgs[T]{}, kernel.BCEArgs[T]{}
	w.focal = kernel.FocalArgs[T]{Kept: w.focal.Kept}
}

// eval evaluates the rows of the chunk.
func (w *Work[T]) eval() {
	c := w.c
	w.x, w.stride = c.X, c.Stride
	if c.Soft != nil {
		c.Widen()
		if !w.softRows() {
			for i := range c.Rows {
				w.row(i)
			}
		}
	} else if w.isShort() {
		w.shortRows()
	} else {
		c.Unpack()
		w.longRows()
	}
}

// longRows evaluates rows of any length, one by one.
func (w *Work[T]) longRows() {
	if !w.kernelRows() {
		w.c.Widen()
		for i := range w.c.Rows {
			w.row(i)
		}
	}
}

// scores returns the scores of row i.
func (w *Work[T]) scores(i int) []T { return w.x[i*w.stride:][:w.c.N] }
