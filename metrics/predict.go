package metrics

import "github.com/zlpr/zlpr"

// Predict returns the classes that the rule predicts for the rows of b, of
// which labels and weights are not looked at. An element that is left out is not
// predicted. Workers is the number of goroutines, 0: as many as GOMAXPROCS.
//
// A NaN score that takes part is a *zlpr.DataError.
func Predict[T zlpr.Score](b *Batch[T], rule Rule, workers int) (*zlpr.BitLabels, error) {
	if b == nil {
		return nil, errNoBatch
	}
	if isDouble[T]() {
		c, err := checked(any(b).(*Batch[float64]), b.Scores.Cols, false)
		if err != nil {
			return nil, err
		}
		return predict(&c, nil, rule, workers)
	}
	var h half[T]
	c, half, err := h.checked(b, b.Scores.Cols, false)
	if err != nil {
		return nil, err
	}
	return predict(&c, half, rule, workers)
}

// predict is Predict of a batch that is right.
func predict[T zlpr.Float](c *Batch[T], half halfScores, rule Rule, workers int) (*zlpr.BitLabels, error) {
	rows, classes := c.Scores.Rows, c.Scores.Cols
	if err := rule.check(classes); err != nil {
		return nil, err
	}
	w := (classes + 63) / 64
	predicted := &zlpr.BitLabels{Rows: rows, Cols: classes, Words: make([]uint64, rows*w), Stride: w}
	n := usedRows(c.Scores)
	size := chunkRows(classes, n)
	workers = workersFor(workers, n, size)
	chunks := make([]*chunk[T], workers)
	for i := range chunks {
		chunks[i] = newChunk[T](classes, rule, false, size)
		chunks[i].begin(c, half)
	}
	err := newSplit(func(worker, r0, r1 int) error {
		c := chunks[worker]
		if err := c.read(r0, r1); err != nil {
			return err
		}
		copy(predicted.Words[r0*w:r1*w], c.predicted)
		return nil
	}).run(n, size, workers)
	if err != nil {
		return nil, err
	}
	return predicted, nil
}
