package metrics

import (
	"errors"
	"fmt"
	"math"

	"github.com/zlpr/zlpr"
)

// A Rule says which classes of a row are predicted. The zero Rule is Above(0),
// the rule that binary cross-entropy and ZLPR imply.
type Rule struct {
	threshold float64
	each      []float64
	k         int  // at most k; 0: any number
	topOnly   bool // exactly k, whatever their scores
}

// Above predicts the classes whose score is above s0.
func Above(s0 float64) Rule { return Rule{threshold: s0} }

// AboveEach predicts class j when its score is above s0[j].
func AboveEach(s0 []float64) Rule { return Rule{each: s0} }

// Top predicts the k classes with the highest scores, the rule of the softmax
// (k = 1) and of the subset softmax. Of equal scores the one of the lowest
// index counts as higher. A row with fewer classes has all of them predicted.
func Top(k int) Rule { return Rule{k: k, topOnly: true} }

// AtMost keeps of the classes that r predicts the k with the highest scores:
// Above(s0).AtMost(k) is the rule of the padded subset softmax.
func (r Rule) AtMost(k int) Rule {
	if r.k == 0 || k < r.k {
		r.k = k
	}
	return r
}

// check reports why the rule cannot be used with that number of classes.
func (r Rule) check(classes int) error {
	if (r.topOnly || r.k != 0) && r.k < 1 {
		return fmt.Errorf("metrics: a rule that predicts %d classes", r.k)
	}
	if math.IsNaN(r.threshold) {
		return errors.New("metrics: the threshold is NaN")
	}
	if r.each == nil {
		return nil
	}
	if len(r.each) != classes {
		return fmt.Errorf("metrics: %d thresholds for %d classes", len(r.each), classes)
	}
	for j, t := range r.each {
		if math.IsNaN(t) {
			return fmt.Errorf("metrics: the threshold of class %d is NaN", j)
		}
	}
	return nil
}

// thresholds writes the threshold of every class to t: x > t decides as the
// float64 comparison would.
func thresholds[T zlpr.Float](r Rule, t []T) {
	if r.each != nil {
		for j := range t {
			t[j] = narrow[T](r.each[j])
		}
		return
	}
	s0 := narrow[T](r.threshold)
	for j := range t {
		t[j] = s0
	}
}

// A Batch is a block of rows: scores, labels and what takes part.
type Batch[T zlpr.Float] struct {
	Scores zlpr.Matrix[T]

	// Labels are the positive classes. Of zlpr.TargetLabels, a row whose
	// target is zlpr.Ignore is left out.
	Labels zlpr.Bits

	// Mask has a 1 for every element that takes part; nil: all do. Elements
	// left out are not looked at, in no metric; a row of which nothing is left
	// does not count. A positive label on an element left out is an error.
	Mask zlpr.Bits

	// Thresholds has a learned threshold for every row, in place of those of
	// the rule; nil: none.
	Thresholds []T

	// ThresholdColumn is 1 + the column of the scores that is the threshold of
	// its row, in place of those of the rule; 0: none. That column is no
	// class: it is left out, and its labels are 0.
	ThresholdColumn int
}

// check reports why the batch cannot be used with that number of classes.
func (b *Batch[T]) check(classes int, labels bool) error {
	s := b.Scores
	if s.Rows < 0 || s.Cols < 0 || s.Stride < s.Cols ||
		s.Rows > 0 && s.Cols > 0 && (len(s.Data) < s.Cols || s.Stride > 0 && s.Rows-1 > (len(s.Data)-s.Cols)/s.Stride) {
		return errors.New("metrics: scores with negative size, stride below columns or too little data")
	}
	if s.Cols != classes {
		return fmt.Errorf("metrics: scores of %d classes, expected %d", s.Cols, classes)
	}
	if labels && b.Labels == nil {
		return errors.New("metrics: no labels")
	}
	for _, x := range []struct {
		name string
		bits zlpr.Bits
		use  bool
	}{{"labels", b.Labels, labels}, {"mask", b.Mask, b.Mask != nil}} {
		if !x.use {
			continue
		}
		if r, c := x.bits.Dims(); r != s.Rows || c != s.Cols {
			return fmt.Errorf("metrics: %s of %d × %d, scores of %d × %d", x.name, r, c, s.Rows, s.Cols)
		}
	}
	if b.Thresholds != nil && len(b.Thresholds) != s.Rows {
		return fmt.Errorf("metrics: %d thresholds for %d rows", len(b.Thresholds), s.Rows)
	}
	if b.ThresholdColumn < 0 || b.ThresholdColumn > classes {
		return fmt.Errorf("metrics: threshold column %d of %d classes", b.ThresholdColumn-1, classes)
	}
	if b.ThresholdColumn > 0 && b.Thresholds != nil {
		return errors.New("metrics: thresholds both in a vector and in a column")
	}
	return nil
}

// rows is the number of rows with classes.
func (b *Batch[T]) rows() int {
	if b.Scores.Cols == 0 {
		return 0
	}
	return b.Scores.Rows
}
