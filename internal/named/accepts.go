package named

import (
	"context"

	"github.com/zlpr/zlpr"
)

// Accepts asks the library whether a loss goes with options and with what a batch has
// beside its scores, of two classes: here it is of one row, whose scores are 0, and whose
// label is the first class where it has no other.
func Accepts(loss zlpr.Loss, options zlpr.Options, b *zlpr.Batch[float32]) error {
	// Positive weights are one a class, and so are counts.
	one := func(loss zlpr.Loss) zlpr.Loss {
		if w, ok := loss.(zlpr.BCE); ok && len(w.PositiveWeight) > 0 {
			w.PositiveWeight = w.PositiveWeight[:1]
			return w
		}
		return loss
	}
	switch w := loss.(type) {
	case zlpr.DistributionBalanced:
		w.Counts = []int{1, 1}
		loss = w
	case zlpr.ClassBalanced:
		w.Loss, w.Counts = one(w.Loss), []int{1, 1}
		loss = w
	default:
		loss = one(loss)
	}
	options.Workers = 1
	v, err := zlpr.NewEvaluator[float32](loss, options)
	if err != nil {
		return err
	}
	row := *b
	row.Scores = zlpr.Matrix[float32]{Rows: 1, Cols: 2, Data: make([]float32, 2), Stride: 2}
	if b.Teacher.Data == nil && b.Soft.Data == nil {
		row.Labels = &zlpr.TargetLabels{Classes: 2, Targets: []int32{0}}
	}
	_, err = v.Evaluate(context.Background(), &row, nil)
	return err
}
