package subset

import (
	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/kernel"
)

// A Rule is the subset loss, or the padded one with so many picks; 0 for the most
// positives of a row of the batch.
type Rule struct {
	Padded bool
	Picks  int
}

// A Work evaluates a loss for one worker, with memory of its own that it keeps
// from one chunk to the next.
type Work[T kernel.Float] struct {
	rule Rule
	core Core
	part []uint64 // the classes of a row that take part
}

// New returns a Work for the rule.
func New[T kernel.Float](rule Rule) *Work[T] { return &Work[T]{rule: rule} }

// Eval evaluates the rows of a chunk.
func (w *Work[T]) Eval(c *chunk.Chunk[T]) {
	q := Query{Law: Law{Picks: w.rule.Picks, Padded: w.rule.Padded}, What: Gradient, Weights: c.Class, Scale: 1}
	if q.Padded && q.Picks == 0 {
		q.Picks = c.MostPositives
	}
	for i := range c.Rows {
		if !c.Live[i] {
			c.SetNothing(i)
			continue
		}
		var grad []T
		if c.Grad != nil {
			grad = c.GradRow(i)
			q.Scale = c.Scale[i]
		}
		var neg []uint64
		q.Pos, neg = c.Sides(i)
		q.Part = w.takingPart(q.Pos, neg, c.N)
		if q.Padded {
			q.Threshold = c.Threshold[i]
		}
		push := 0.0
		c.Loss[i], push = Evaluate(&w.core, &q, c.Row(i), grad)
		if c.ThresholdGrad != nil {
			c.ThresholdGrad[i] = push * c.Scale[i]
		}
	}
}

// takingPart returns the union of the positives and the negatives, nil where that
// is all n classes.
func (w *Work[T]) takingPart(pos, neg []uint64, n int) []uint64 {
	w.part = grow(w.part, len(pos))
	all := true
	for i, p := range pos {
		w.part[i] = p | neg[i]
		all = all && (w.part[i] == ^uint64(0) || i == n/64 && w.part[i] == 1<<(n%64)-1)
	}
	if all {
		return nil
	}
	return w.part
}
