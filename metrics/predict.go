package metrics

import "github.com/zlpr/zlpr"

// Predict returns the classes that the rule predicts for the rows of b, of
// which the labels are not looked at. An element that is left out is not
// predicted. Workers is the number of goroutines, 0: as many as GOMAXPROCS.
//
// A NaN score that takes part is a *zlpr.DataError.
func Predict[T zlpr.Float](b *Batch[T], rule Rule, workers int) (*zlpr.BitLabels, error) {
	rows, classes := b.Scores.Rows, b.Scores.Cols
	if err := b.check(classes, false); err != nil {
		return nil, err
	}
	if err := rule.check(classes); err != nil {
		return nil, err
	}
	w := (classes + 63) / 64
	predicted := &zlpr.BitLabels{Rows: rows, Cols: classes, Words: make([]uint64, rows*w), Stride: w}
	size := chunkRows(classes, rows)
	err := split(b.rows(), size, numWorkers(workers), func() func(r0, r1 int) error {
		c := newChunk[T](classes, rule, false, size)
		c.begin(b)
		return func(r0, r1 int) error {
			if err := c.read(r0, r1); err != nil {
				return err
			}
			copy(predicted.Words[r0*w:r1*w], c.predicted)
			return nil
		}
	})
	if err != nil {
		return nil, err
	}
	return predicted, nil
}
