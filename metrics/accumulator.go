package metrics

import (
	"errors"
	"fmt"
	"slices"

	"github.com/zlpr/zlpr"
)

// Options are the settings of an Accumulator.
type Options struct {
	// Rule says which classes are predicted. The zero Rule predicts those with
	// a score above 0.
	Rule Rule

	// Propensities has the propensity of every class, in (0, 1], for the
	// metrics psp_at_K and psndcg_at_K; see Propensities.
	Propensities []float64

	// Workers is the number of goroutines; 0: as many as GOMAXPROCS. Results
	// do not depend on it.
	Workers int
}

// An Accumulator computes metrics of batches of rows. Everything is kept as
// integers and sums in fixed point: the results do not depend, in any bit, on
// the order of the rows, nor on how they are cut into batches and shared
// between workers and Accumulators.
//
// Memory is constant, except for the metrics of which NeedsScores reports
// true: for these every score that takes part is kept.
//
// Its methods are not for concurrent use; Add works in parallel itself.
type Accumulator[T zlpr.Float] struct {
	classes int
	options Options
	metrics []metric
	kinds   needs
	inverse []float64 // of the propensities
	total   part[T]
	idle    []*counter[T] // workers of earlier calls of Add
}

// needs says what the metrics need of a row.
type needs struct {
	thresholded, byClass, ranking, keep, keepByClass bool
	samples                                          []metric
	tops                                             []metric
	k                                                int // the largest
	slots                                            int
}

// part is what one worker, or all of them, gathered.
type part[T zlpr.Float] struct {
	tally  tally
	scores scores[T]
}

// A Result is the value of a metric.
type Result struct {
	Name string
	// Value is NaN where there is nothing to take the metric of: an area under
	// the ROC curve without positives or without negatives, a macro average of
	// areas over no class, one_error and the propensity-scored metrics without
	// a positive.
	Value float64
}

// NewAccumulator returns an Accumulator for scores of that number of classes
// and the metrics of these names.
func NewAccumulator[T zlpr.Float](classes int, names []string, options Options) (*Accumulator[T], error) {
	if classes < 0 {
		return nil, fmt.Errorf("metrics: %d classes", classes)
	}
	if err := options.Rule.check(classes); err != nil {
		return nil, err
	}
	a := &Accumulator[T]{classes: classes, options: options}
	for _, name := range names {
		m, err := parse(name)
		if err != nil {
			return nil, err
		}
		if m.weighs() && a.inverse == nil {
			if a.inverse, err = inverses(options.Propensities, classes); err != nil {
				return nil, fmt.Errorf("metrics: %s: %w", name, err)
			}
		}
		a.metrics = append(a.metrics, a.kinds.include(m))
	}
	a.total = a.newPart()
	return a, nil
}

// include notes what m needs and returns m with its slot.
func (n *needs) include(m metric) metric {
	m.slot = n.slots
	switch {
	case m.bySample():
		n.samples = append(n.samples, m)
		n.slots++
	case m.top():
		n.tops = append(n.tops, m)
		n.k = max(n.k, m.k)
		if m.kind != oneError {
			n.slots++
		}
		if m.weighs() {
			n.slots++ // for the best possible sum
		}
	}
	n.thresholded = n.thresholded || m.thresholded()
	n.byClass = n.byClass || m.byClass()
	n.ranking = n.ranking || m.ranking()
	n.keep = n.keep || m.keepsScores()
	n.keepByClass = n.keepByClass || m.keepsScores() && m.average == Macro
	return m
}

func (a *Accumulator[T]) newPart() part[T] {
	p := part[T]{tally: newTally(a.kinds.slots, a.classes, a.kinds.byClass)}
	if a.kinds.keep {
		p.scores = newScores[T](a.classes, a.kinds.keepByClass)
	}
	return p
}

// take adds o to p and makes it empty.
func (p *part[T]) take(o *part[T]) {
	p.tally.merge(&o.tally)
	o.tally.clear()
	p.scores.take(o.scores)
}

// merge adds o to p.
func (p *part[T]) merge(o *part[T]) {
	p.tally.merge(&o.tally)
	p.scores.merge(o.scores)
}

// Add takes in the rows of b. The error is a *zlpr.DataError where an element
// is at fault: a NaN score that takes part, a label that is no label. After an
// error the Accumulator is as it was before.
func (a *Accumulator[T]) Add(b *Batch[T]) error {
	if err := b.check(a.classes, true); err != nil {
		return err
	}
	rows := b.rows()
	size := chunkRows(a.classes, rows)
	var counters []*counter[T]
	err := split(rows, size, numWorkers(a.options.Workers), func() func(r0, r1 int) error {
		var c *counter[T]
		if i := len(counters); i < len(a.idle) && a.idle[i].maxRows >= size {
			c = a.idle[i]
		} else {
			c = newCounter(a, size)
		}
		c.begin(b)
		counters = append(counters, c)
		return c.count
	})
	if err != nil {
		a.idle = nil // they have counted
		return err
	}
	for _, c := range counters {
		c.finish()
		a.total.take(&c.part)
		c.batch = nil
	}
	if len(counters) >= len(a.idle) {
		a.idle = counters
	}
	return nil
}

// Merge adds the rows that o has seen. Both have the same number of classes
// and the same metrics in the same order; equal options are the caller's duty.
func (a *Accumulator[T]) Merge(o *Accumulator[T]) error {
	if a.classes != o.classes {
		return fmt.Errorf("metrics: merge of %d and %d classes", a.classes, o.classes)
	}
	if !slices.Equal(a.metrics, o.metrics) {
		return errors.New("metrics: merge of different metrics")
	}
	a.total.merge(&o.total)
	return nil
}

// Rows returns the number of rows that count.
func (a *Accumulator[T]) Rows() int { return int(a.total.tally.Rows) }
