package metrics

import (
	"errors"
	"fmt"
	"iter"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/crew"
)

// A tuner is a Tuner of scores of the type that is computed in.
type tuner[T zlpr.Float] struct {
	turn    crew.Turn
	made    bool
	workers int
	gathered[T]
	parts []gathered[T] // of the workers, where they count in bins
}

var (
	errTunerMade = errors.New("metrics: the Tuner was not made by NewTuner")
	errTunerUsed = errors.New("metrics: Tuner used by two goroutines, or within the loop over one of its curves")
	errTuned     = errors.New("metrics: the rows have thresholds already")
	errNoScores  = errors.New("metrics: no scores")
	errAverage   = errors.New("metrics: a Tuner averages by Micro or Macro")
)

// begin makes the tuner ready.
func (t *tuner[T]) begin(classes, workers int) {
	t.made, t.workers, t.gathered = true, workers, newGathered[T](classes, 0, 0)
}

// enter takes the turn, and reports why it cannot.
func (t *tuner[T]) enter() error {
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

func (t *tuner[T]) leave() { t.turn.Give() }

// add is Add of the batch that prepare returns for the number of classes.
func (t *tuner[T]) add(prepare func(classes int) (Batch[T], halfScores, error)) error {
	if err := t.enter(); err != nil {
		return err
	}
	defer t.turn.Give()
	c, half, err := prepare(t.classes)
	if err != nil {
		return err
	}
	if c.Thresholds != nil || c.ThresholdColumn > 0 {
		return errTuned
	}
	rows := usedRows(c.Scores)
	size := chunkRows(t.classes, rows)
	workers := workersFor(t.workers, rows, size)
	chunks := make([]*chunk[T], workers)
	for len(t.parts) < workers {
		t.parts = append(t.parts, t.fresh())
	}
	for i := range chunks {
		chunks[i] = newChunk[T](t.classes, Rule{}, true, size)
		chunks[i].begin(&c, half)
	}
	err = newSplit(func(worker, r0, r1 int) error {
		if err := chunks[worker].read(r0, r1); err != nil {
			return err
		}
		t.parts[worker].add(chunks[worker], 0, 1)
		return nil
	}).run(rows, size, workers)
	if err != nil {
		t.parts = nil // they may have a part
		return err
	}
	for i := range t.parts {
		t.take(&t.parts[i])
	}
	return nil
}

func (t *tuner[T]) merge(o *tuner[T]) error {
	leave, err := enterBoth(t, o)
	if err != nil {
		return err
	}
	defer leave()
	if t.classes != o.classes {
		return fmt.Errorf("metrics: merge of %d and %d classes", t.classes, o.classes)
	}
	if t.microBits != o.microBits || t.classBits != o.classBits {
		return fmt.Errorf("metrics: merge of scores in bins of %d and %d bits, and of %d and %d; see CountScores", t.microBits, t.classBits, o.microBits, o.classBits)
	}
	t.gathered.merge(&o.gathered)
	return nil
}

func (t *tuner[T]) CountScores(microBits, classBits int) error {
	if err := t.enter(); err != nil {
		return err
	}
	defer t.turn.Give()
	if classBits == 0 {
		return errBins
	}
	if err := checkTunerBits(microBits, classBits, t.microBits, t.classBits); err != nil {
		return err
	}
	t.count(microBits, classBits)
	t.parts = nil
	return nil
}

func (t *tuner[T]) Curve(average Average) iter.Seq[Point] {
	if average > Macro {
		panic("zlpr: a Tuner averages by Micro or Macro")
	}
	return func(yield func(Point) bool) {
		t.mustEnter()
		defer t.turn.Give()
		t.solver().curve(average, yield)
	}
}

func (t *tuner[T]) ClassCurve(class int) iter.Seq[Point] {
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
func (t *tuner[T]) mustEnter() {
	if !t.turn.Take() {
		panic("zlpr: Tuner used by two goroutines, or within the loop over one of its curves")
	}
}

func (t *tuner[T]) Best(average Average) (threshold, f1 float64, err error) {
	if err := t.enter(); err != nil {
		return 0, 0, err
	}
	defer t.turn.Give()
	if average > Macro {
		return 0, 0, errAverage
	}
	return t.solver().best(average)
}

func (t *tuner[T]) BestEach(average Average) (thresholds []float64, f1 float64, err error) {
	if err := t.enter(); err != nil {
		return nil, 0, err
	}
	defer t.turn.Give()
	if average > Macro {
		return nil, 0, errAverage
	}
	return t.solver().bestEach(average)
}
