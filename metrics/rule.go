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
	listed    bool // but never one of score -Inf
}

// Above predicts the classes whose score is above s0.
func Above(s0 float64) Rule { return Rule{threshold: s0} }

// AboveEach predicts class j when its score is above s0[j].
func AboveEach(s0 []float64) Rule { return Rule{each: s0} }

// Top predicts the k classes with the highest scores, the rule of the softmax
// (k = 1) and of the subset softmax. Of equal scores the one of the lowest
// index counts as higher. A row with fewer classes has all of them predicted,
// those of score -Inf too; see Listed.
func Top(k int) Rule { return Rule{k: k, topOnly: true} }

// AtMost keeps of the classes that r predicts the k with the highest scores:
// Above(s0).AtMost(k) is the rule of the padded subset softmax.
func (r Rule) AtMost(k int) Rule {
	if r.k == 0 || k < r.k {
		r.k = k
	}
	return r
}

// Listed is r for scores that come from a sparse matrix, where a class that the
// matrix does not list has score -Inf: it is never predicted. Without Listed
// -Inf is a score like others, and Top(k) may predict it.
func (r Rule) Listed() Rule {
	r.listed = true
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
