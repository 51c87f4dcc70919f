package metrics

import (
	"iter"

	"github.com/zlpr/zlpr"
)

// A Tuner finds the thresholds that are best for F1 on a validation set. It
// keeps all scores that take part, or counts them in bins: CountScores.
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
type Tuner[T zlpr.Score] struct {
	// That of the type that is computed in, and what 16-bit scores need.
	single tuner[float32]
	double tuner[float64]
	half   half[T]
}

// NewTuner returns a Tuner for scores of that number of classes. Workers is
// the number of goroutines; 0: as many as GOMAXPROCS. It panics if the number of
// classes is negative or above 2^30.
func NewTuner[T zlpr.Score](classes, workers int) *Tuner[T] {
	if classes < 0 || classes > mostClasses {
		panic("zlpr: Tuner of a number of classes below 0 or above 2^30")
	}
	t := new(Tuner[T])
	if isDouble[T]() {
		t.double.begin(classes, workers)
	} else {
		t.single.begin(classes, workers)
	}
	return t
}

// Add takes in the rows of b, which has no thresholds of its own. After an
// error the Tuner is as it was before.
func (t *Tuner[T]) Add(b *Batch[T]) error {
	if t == nil {
		return errTunerMade
	}
	if isDouble[T]() {
		return t.double.add(func(classes int) (Batch[float64], halfScores, error) {
			c, err := checked(any(b).(*Batch[float64]), classes, true)
			return c, nil, err
		})
	}
	return t.single.add(func(classes int) (Batch[float32], halfScores, error) { return t.half.checked(b, classes, true) })
}

// Merge adds the rows that o has seen, which stays as it is.
func (t *Tuner[T]) Merge(o *Tuner[T]) error {
	switch {
	case t == nil || o == nil:
		return errTunerMade
	case isDouble[T]():
		return t.double.merge(&o.double)
	}
	return t.single.merge(&o.single)
}

// CountScores counts the scores in bins, those that were kept and those that are added
// later: by the leading bits, in [8, 22], of the score; so many for all classes
// together, and so many for every class. Memory is then constant. Thresholds are those
// between bins, of which one is 0, and what they achieve is exact. It is an error where
// scores are in bins of other bits; Tuners are merged that have the same.
func (t *Tuner[T]) CountScores(microBits, classBits int) error {
	if t == nil {
		return errTunerMade
	}
	return t.of().CountScores(microBits, classBits)
}

// A Point of a curve is what one threshold achieves. Its values are within 1 ULP
// plus 2^-64 of the exact ones.
type Point struct {
	Threshold             float64
	Precision, Recall, F1 float64
}

// tuning is what does not depend on the type of scores.
type tuning interface {
	CountScores(microBits, classBits int) error
	MarshalBinary() ([]byte, error)
	UnmarshalBinary(data []byte) error
	Curve(average Average) iter.Seq[Point]
	ClassCurve(class int) iter.Seq[Point]
	Best(average Average) (threshold, f1 float64, err error)
	BestEach(average Average) (thresholds []float64, f1 float64, err error)
}

func (t *Tuner[T]) of() tuning {
	if isDouble[T]() {
		return &t.double
	}
	return &t.single
}

// Curve goes through the thresholds for all classes together, from the one
// that predicts nothing down to the one that predicts all. Its precision,
// recall and F1 are those of the average, Micro or Macro; it panics for another.
func (t *Tuner[T]) Curve(average Average) iter.Seq[Point] { return t.of().Curve(average) }

// ClassCurve goes through the thresholds for one class in the same way. It
// panics if there is no such class.
func (t *Tuner[T]) ClassCurve(class int) iter.Seq[Point] { return t.of().ClassCurve(class) }

// Best returns the threshold for all classes that has the highest F1 of that
// average, Micro or Macro, and that F1. It is an error if there are no scores.
func (t *Tuner[T]) Best(average Average) (threshold, f1 float64, err error) {
	if t == nil {
		return 0, 0, errTunerMade
	}
	return t.of().Best(average)
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
	if t == nil {
		return nil, 0, errTunerMade
	}
	return t.of().BestEach(average)
}

// MarshalBinary returns the scores of t, so that another process can merge them:
// in the format of docs/partial.md. The number of workers is not part of it.
func (t *Tuner[T]) MarshalBinary() ([]byte, error) {
	if t == nil {
		return nil, errTunerMade
	}
	return t.of().MarshalBinary()
}

// UnmarshalBinary makes t the Tuner that was marshalled, of the same type of
// scores; its number of workers stays. After an error t is as it was before.
func (t *Tuner[T]) UnmarshalBinary(data []byte) error {
	if t == nil {
		return errTunerMade
	}
	return t.of().UnmarshalBinary(data)
}
