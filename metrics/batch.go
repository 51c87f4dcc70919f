package metrics

import (
	"errors"
	"fmt"

	"github.com/zlpr/zlpr"
)

// A Batch is a batch of package zlpr: what a loss was evaluated on can be
// measured as it is. Of its fields
//
//   - Labels are needed, except by Predict and Probabilities. Of
//     zlpr.TargetLabels, a row whose target is zlpr.Ignore is left out;
//   - Soft is an error where labels are looked at: measures need hard labels;
//   - Mask has a 1 for every element that takes part. The others are not looked
//     at, in no measure; a row of which nothing is left does not count. A
//     positive label on an element left out is an error;
//   - Thresholds and ThresholdColumn are learned thresholds of the rows, in place
//     of those of the Rule. The column is no class: its labels are 0;
//   - RowWeights count in all measures as scikit-learn's sample_weight does; see
//     the package's section on row weights. Predict and Probabilities do not look
//     at them;
//   - ClassWeights leave out a row of which only classes of weight 0 are left, which
//     does not count in losses of several labels either. (In losses of one target it
//     does: leave ClassWeights out beside those.) Measures do not look at them otherwise:
//     in another row a class of weight 0 is one like the others.
//
// A gradient that was written in place, Output.Grad being the scores, has
// destroyed the scores: measure first, or give the gradient memory of its own.
type Batch[T zlpr.Score] = zlpr.Batch[T]

var (
	errNoBatch  = errors.New("metrics: no batch")
	errNoLabels = errors.New("metrics: no labels")
	errSoft     = errors.New("metrics: labels are soft, measures need hard ones")
	errScores   = errors.New("metrics: scores with negative size, stride below columns or too little data")
)

// checked returns b with a stride, or why it cannot be used with that number of
// classes.
func checked[T zlpr.Score](b *Batch[T], classes int, labels bool) (Batch[T], error) {
	if b == nil {
		return Batch[T]{}, errNoBatch
	}
	c := *b
	s := &c.Scores
	if s.Stride == 0 {
		s.Stride = s.Cols
	}
	switch {
	case s.Rows < 0 || s.Cols < 0 || s.Stride < s.Cols,
		s.Rows > 0 && s.Cols > 0 && (len(s.Data) < s.Cols || s.Rows-1 > (len(s.Data)-s.Cols)/s.Stride):
		return c, errScores
	case s.Cols != classes:
		return c, fmt.Errorf("metrics: scores of %d classes, expected %d", s.Cols, classes)
	case labels && c.Soft.Data != nil:
		return c, errSoft
	case labels && c.Labels == nil:
		return c, errNoLabels
	}
	if labels {
		if err := checkDims("labels", c.Labels, *s); err != nil {
			return c, err
		}
	}
	if c.Mask != nil {
		if err := checkDims("mask", c.Mask, *s); err != nil {
			return c, err
		}
	}
	switch {
	case c.Thresholds != nil && len(c.Thresholds) != s.Rows:
		return c, fmt.Errorf("metrics: %d thresholds for %d rows", len(c.Thresholds), s.Rows)
	case c.ThresholdColumn < 0 || c.ThresholdColumn > classes:
		return c, fmt.Errorf("metrics: threshold column %d of %d classes", c.ThresholdColumn-1, classes)
	case c.ThresholdColumn > 0 && c.Thresholds != nil:
		return c, errors.New("metrics: thresholds both in a vector and in a column")
	case labels && c.RowWeights != nil && len(c.RowWeights) != s.Rows:
		return c, fmt.Errorf("metrics: %d row weights for %d rows", len(c.RowWeights), s.Rows)
	case labels && c.ClassWeights != nil && len(c.ClassWeights) != classes:
		return c, fmt.Errorf("metrics: %d class weights for %d classes", len(c.ClassWeights), classes)
	}
	if !labels {
		c.RowWeights, c.ClassWeights = nil, nil
	}
	return c, nil
}

// checkDims compares bits with the scores.
func checkDims[T zlpr.Score](name string, bits zlpr.Bits, s zlpr.Matrix[T]) error {
	if r, c := bits.Dims(); r != s.Rows || c != s.Cols {
		return fmt.Errorf("metrics: %s of %d × %d, scores of %d × %d", name, r, c, s.Rows, s.Cols)
	}
	return nil
}

// usedRows is the number of rows with classes.
func usedRows[T zlpr.Float](s zlpr.Matrix[T]) int {
	if s.Cols == 0 {
		return 0
	}
	return s.Rows
}
