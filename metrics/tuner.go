package metrics

import (
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/zlpr/zlpr"
)

// A Tuner finds the thresholds that are best for F1 on a validation set. It
// keeps all scores that take part.
//
// A threshold between two scores is their mean. The threshold that predicts
// all is the next number below the lowest score; the one that predicts nothing
// is the highest score. Of thresholds that are equally good the highest is
// taken. A score of -Inf is never predicted.
type Tuner[T zlpr.Float] struct {
	classes int
	workers int
	scores  scores[T]
}

// NewTuner returns a Tuner for scores of that number of classes. Workers is
// the number of goroutines; 0: as many as GOMAXPROCS.
func NewTuner[T zlpr.Float](classes, workers int) *Tuner[T] {
	return &Tuner[T]{classes, workers, newScores[T](max(0, classes), true)}
}

// Add takes in the rows of b, which has no thresholds of its own. After an
// error the Tuner is as it was before.
func (t *Tuner[T]) Add(b *Batch[T]) error {
	if err := b.check(t.classes, true); err != nil {
		return err
	}
	if b.Thresholds != nil || b.ThresholdColumn > 0 {
		return errors.New("metrics: the rows have thresholds already")
	}
	size := chunkRows(t.classes, b.rows())
	var parts []*scores[T]
	err := split(b.rows(), size, numWorkers(t.workers), func() func(r0, r1 int) error {
		part := newScores[T](t.classes, true)
		parts = append(parts, &part)
		c := newChunk[T](t.classes, Rule{}, true, size)
		c.begin(b)
		return func(r0, r1 int) error {
			if err := c.read(r0, r1); err != nil {
				return err
			}
			part.add(c)
			return nil
		}
	})
	if err != nil {
		return err
	}
	for _, part := range parts {
		t.scores.take(*part)
	}
	return nil
}

// Merge adds the rows that o has seen.
func (t *Tuner[T]) Merge(o *Tuner[T]) error {
	if t.classes != o.classes {
		return fmt.Errorf("metrics: merge of %d and %d classes", t.classes, o.classes)
	}
	t.scores.merge(o.scores)
	return nil
}

// A Point of a curve is what one threshold achieves.
type Point struct {
	Threshold             float64
	Precision, Recall, F1 float64
}

// A cut is a threshold: all scores from score up are above it.
type cut[T zlpr.Float] struct {
	score T    // the lowest score predicted
	next  T    // the one below
	none  bool // nothing is predicted, and score is the highest
	last  bool // there is no score below

	tp, predicted         uint64
	precision, recall, f1 fixed
}

// threshold returns a threshold between the scores.
func (c cut[T]) threshold() float64 {
	s, next := float64(c.score), float64(c.next)
	switch {
	case c.none:
		return s
	case c.last || math.IsInf(next, -1):
		return float64(before(c.score))
	}
	if mean := next + (s-next)/2; next <= mean && mean < s {
		return mean
	}
	return next
}

// before returns the next number below s.
func before[T zlpr.Float](s T) T {
	if x, ok := any(s).(float32); ok {
		return T(math.Nextafter32(x, float32(math.Inf(-1))))
	}
	return T(math.Nextafter(float64(s), math.Inf(-1)))
}

func (c cut[T]) point() Point {
	return Point{c.threshold(), c.precision.over(1), c.recall.over(1), c.f1.over(1)}
}

// Curve goes through the thresholds for all classes together, from the one
// that predicts nothing down to the one that predicts all. Its precision,
// recall and F1 are those of the average.
func (t *Tuner[T]) Curve(average Average) iter.Seq[Point] {
	return func(yield func(Point) bool) {
		t.cuts(average)(func(c cut[T]) bool { return yield(c.point()) })
	}
}

// ClassCurve goes through the thresholds for one class in the same way.
func (t *Tuner[T]) ClassCurve(class int) iter.Seq[Point] {
	return func(yield func(Point) bool) {
		var scratch []T
		t.scores.Lists[class].cuts(&scratch)(func(c cut[T]) bool { return yield(c.point()) })
	}
}

// Best returns the threshold for all classes that has the highest F1, and that
// F1.
func (t *Tuner[T]) Best(average Average) (threshold, f1 float64, err error) {
	var best cut[T]
	found := false
	for c := range t.cuts(average) {
		if !found || best.f1.less(c.f1) {
			best, found = c, true
		}
	}
	if !found {
		return 0, 0, errNoScores
	}
	return best.threshold(), best.f1.over(1), nil
}

var errNoScores = errors.New("metrics: no scores")

// cuts are those of Curve.
func (t *Tuner[T]) cuts(average Average) iter.Seq[cut[T]] {
	if average != Micro {
		return t.macroCuts
	}
	var scratch []T
	return t.scores.all().cuts(&scratch)
}

// cuts are those of the list, which it sorts.
func (l list[T]) cuts(scratch *[]T) iter.Seq[cut[T]] {
	return func(yield func(cut[T]) bool) {
		positive := uint64(len(l.Pos))
		var c cut[T]
		started, stopped := false, false
		emit := func(next T) {
			if stopped || math.IsInf(float64(c.score), -1) && !c.none {
				return
			}
			c.next = next
			c.precision, c.recall = ratio(c.tp, c.predicted), ratio(c.tp, positive)
			c.f1 = ratio(2*c.tp, positive+c.predicted)
			stopped = !yield(c)
		}
		l.curve(scratch, func(s T, pos, neg uint64) {
			if !started {
				started, c.none, c.score = true, true, s
			}
			emit(s)
			c.none, c.score = false, s
			c.tp += pos
			c.predicted += pos + neg
		})
		if started {
			c.last = true
			emit(c.score)
		}
	}
}
