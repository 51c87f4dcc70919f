package metrics

import (
	"errors"
	"fmt"
	"iter"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/crew"
)

// A Tuner finds the thresholds that are best for F1 on a validation set. It
// keeps all scores that take part.
//
// A threshold between two scores is their mean. The threshold that predicts
// all is the next number below the lowest score; the one that predicts nothing
// is the highest score. Of thresholds that are equally good the highest is
// taken. A score of -Inf is never predicted.
//
// Precision, recall and F1 are those of the metrics of these names, weighted by
// RowWeights as those are, and compared exactly but for their being cut to
// multiples of 2^-64.
//
// It is for one goroutine at a time, a loop over a curve being one use until it
// ends. A second use meanwhile gets an error, that of a curve a panic.
type Tuner[T zlpr.Float] struct {
	turn    crew.Turn
	made    bool
	classes int
	workers int
	scores  scores[T]
}

// NewTuner returns a Tuner for scores of that number of classes. Workers is
// the number of goroutines; 0: as many as GOMAXPROCS. It panics if the number of
// classes is negative or above 2^30.
func NewTuner[T zlpr.Float](classes, workers int) *Tuner[T] {
	if classes < 0 || classes > mostClasses {
		panic("zlpr: Tuner of a number of classes below 0 or above 2^30")
	}
	return &Tuner[T]{made: true, classes: classes, workers: workers, scores: newScores[T](classes, true)}
}

var (
	errTunerMade = errors.New("metrics: the Tuner was not made by NewTuner")
	errTunerUsed = errors.New("metrics: Tuner used by two goroutines, or within the loop over one of its curves")
	errTuned     = errors.New("metrics: the rows have thresholds already")
	errNoScores  = errors.New("metrics: no scores")
	errAverage   = errors.New("metrics: a Tuner averages by Micro or Macro")
)

// enter takes the turn, and reports why it cannot.
func (t *Tuner[T]) enter() error {
	if t == nil {
		return errTunerMade
	}
	if !t.turn.Take() {
		return errTunerUsed
	}
	if !t.made {
		t.turn.Give()
		return errTunerMade
	}
	return nil
}

// Add takes in the rows of b, which has no thresholds of its own. After an
// error the Tuner is as it was before.
func (t *Tuner[T]) Add(b *Batch[T]) error {
	if err := t.enter(); err != nil {
		return err
	}
	defer t.turn.Give()
	c, err := checked(b, t.classes, true)
	if err != nil {
		return err
	}
	if c.Thresholds != nil || c.ThresholdColumn > 0 {
		return errTuned
	}
	rows := usedRows(c.Scores)
	size := chunkRows(t.classes, rows)
	workers := workersFor(t.workers, rows, size)
	parts, chunks := make([]scores[T], workers), make([]*chunk[T], workers)
	for i := range parts {
		parts[i] = newScores[T](t.classes, true)
		chunks[i] = newChunk[T](t.classes, Rule{}, true, size)
		chunks[i].begin(&c)
	}
	err = newSplit(func(worker, r0, r1 int) error {
		if err := chunks[worker].read(r0, r1); err != nil {
			return err
		}
		parts[worker].add(chunks[worker])
		return nil
	}).run(rows, size, workers)
	if err != nil {
		return err
	}
	for _, part := range parts {
		t.scores.take(part)
	}
	return nil
}

// Merge adds the rows that o has seen, which stays as it is.
func (t *Tuner[T]) Merge(o *Tuner[T]) error {
	if err := t.enter(); err != nil {
		return err
	}
	defer t.turn.Give()
	if t != o {
		if err := o.enter(); err != nil {
			return err
		}
		defer o.turn.Give()
	}
	if t.classes != o.classes {
		return fmt.Errorf("metrics: merge of %d and %d classes", t.classes, o.classes)
	}
	t.scores.merge(o.scores)
	return nil
}

// A Point of a curve is what one threshold achieves. Its values are within 1 ULP
// plus 2^-64 of the exact ones.
type Point struct {
	Threshold             float64
	Precision, Recall, F1 float64
}

// Curve goes through the thresholds for all classes together, from the one
// that predicts nothing down to the one that predicts all. Its precision,
// recall and F1 are those of the average, Micro or Macro; it panics for another.
func (t *Tuner[T]) Curve(average Average) iter.Seq[Point] {
	if average > Macro {
		panic("zlpr: a Tuner averages by Micro or Macro")
	}
	return func(yield func(Point) bool) {
		t.mustEnter()
		defer t.turn.Give()
		t.solver().curve(average, yield)
	}
}

// ClassCurve goes through the thresholds for one class in the same way. It
// panics if there is no such class.
func (t *Tuner[T]) ClassCurve(class int) iter.Seq[Point] {
	if class < 0 || class >= t.classes {
		panic("zlpr: the Tuner has no such class")
	}
	return func(yield func(Point) bool) {
		t.mustEnter()
		defer t.turn.Give()
		t.solver().classCurve(class, yield)
	}
}

// mustEnter takes the turn or panics.
func (t *Tuner[T]) mustEnter() {
	if !t.turn.Take() {
		panic("zlpr: Tuner used by two goroutines, or within the loop over one of its curves")
	}
}

// Best returns the threshold for all classes that has the highest F1 of that
// average, Micro or Macro, and that F1. It is an error if there are no scores.
func (t *Tuner[T]) Best(average Average) (threshold, f1 float64, err error) {
	if err := t.enter(); err != nil {
		return 0, 0, err
	}
	defer t.turn.Give()
	if average > Macro {
		return 0, 0, errAverage
	}
	return t.solver().best(average)
}

// BestEach returns thresholds, one per class, that together have the highest
// F1 of that average, Micro or Macro, and that F1. A class without scores has
// threshold 0. It is an error if there are no scores.
//
// For the macro average the classes are independent of each other. For the
// micro average, F1 = 2·TP/(positives + predicted) is the largest λ for which
//
//	Σ over the classes of max (2·TP - λ·predicted) ≥ λ·positives
//
// where the maximum is over the thresholds of the class. Dinkelbach's method
// (Management Science 13(7), 1967) raises λ to the F1 of the maximising
// thresholds until it stays.
func (t *Tuner[T]) BestEach(average Average) (thresholds []float64, f1 float64, err error) {
	if err := t.enter(); err != nil {
		return nil, 0, err
	}
	defer t.turn.Give()
	if average > Macro {
		return nil, 0, errAverage
	}
	return t.solver().bestEach(average)
}
