package metrics

import (
	"errors"
	"fmt"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/crew"
)

// An accumulator is an Accumulator of scores of the type that is computed in.
type accumulator[T zlpr.Float] struct {
	turn crew.Turn
	state[T]
	split    *split
	batch    Batch[T]      // of the call of Add that is under way
	counters []*counter[T] // of the workers
	parts    []*binned     // theirs
	fork     fork[T]
}

// A fork is what an Accumulator has to do with Fork.
type fork[T zlpr.Float] struct {
	of      *accumulator[T] // which it is to be merged into, nil for none
	merged  bool            // into that
	out     int             // those of this one that are not merged
	workers int             // of those that are
}

// state is what MarshalBinary keeps of an Accumulator.
type state[T zlpr.Float] struct {
	made    bool // by NewAccumulator
	classes int
	options Options
	metrics []metric
	kinds   needs
	inverse []float64 // of the propensities
	total   part[T]
}

// needs says what the metrics need of a row.
type needs struct {
	thresholded, byClass, ranking, keep, keepByClass bool
	binned, binnedByClass                            bool // in place of keep and keepByClass
	samples                                          []metric
	tops                                             []metric
	k                                                int // the largest
	slots                                            int
}

// part is what one worker, or all of them, gathered.
type part[T zlpr.Float] struct {
	tally   tally
	weighed *weighed // of rows with weights; nil before the first
	scores  scores[T]
	binned  binned
}

// mostClasses is the largest number of classes.
const mostClasses = 1 << 30

func newState[T zlpr.Float](classes int, names []string, options Options) (s state[T], err error) {
	if classes < 0 || classes > mostClasses {
		return s, fmt.Errorf("metrics: %d classes, not in 0..%d", classes, mostClasses)
	}
	if options.Sparse {
		options.Rule = options.Rule.Listed()
	}
	if err := errors.Join(options.Rule.check(classes), options.ZeroDivision.check(), options.checkBins()); err != nil {
		return s, err
	}
	s = state[T]{made: true, classes: classes, options: options}
	for _, name := range names {
		m, err := parse(name)
		if err != nil {
			return s, err
		}
		if m.weighs() && s.inverse == nil {
			if s.inverse, err = inverses(options.Propensities, classes); err != nil {
				return s, fmt.Errorf("metrics: %s: %w", name, err)
			}
		}
		m.zero = options.ZeroDivision
		s.metrics = append(s.metrics, s.kinds.include(m))
	}
	if options.ByClass {
		s.kinds.includeClasses()
	}
	if !s.kinds.keep {
		s.options.MicroBits, s.options.ClassBits = 0, 0
	} else if options.MicroBits > 0 {
		s.kinds.count()
	}
	s.total = s.newPart()
	return s, nil
}

// include notes what m needs and returns m with its slot.
func (n *needs) include(m metric) metric {
	m.slot = n.slots
	switch {
	case m.bySample():
		n.samples = append(n.samples, m)
		n.slots++
		if m.zero == ZeroDivisionNaN {
			n.slots++ // for the weights of the rows that have a value
		}
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

// includeClasses notes what Classes needs.
func (n *needs) includeClasses() {
	n.thresholded, n.byClass, n.keep, n.keepByClass = true, true, true, true
}

// count has scores counted in bins, and not kept.
func (n *needs) count() {
	n.binned, n.binnedByClass = n.keep, n.keepByClass
	n.keep, n.keepByClass = false, false
}

func (s *state[T]) newPart() part[T] {
	p := part[T]{tally: newTally(s.kinds.slots, s.classes, s.kinds.byClass)}
	if s.kinds.keep {
		p.scores = newScores[T](s.classes, s.kinds.keepByClass)
	}
	if s.kinds.binned {
		p.binned = newBinned(s.options.MicroBits, s.options.ClassBits, s.classes, s.kinds.binnedByClass, numWorkers(s.options.Workers))
	}
	return p
}

func (s *state[T]) newWeighed() *weighed {
	return newWeighed(s.kinds.slots, s.classes, s.kinds.byClass)
}

// rowsCounted is the number of rows that count.
func (p *part[T]) rowsCounted() uint64 {
	n := p.tally.Rows
	if p.weighed != nil {
		n += p.weighed.Rows
	}
	return n
}

var (
	errMade = errors.New("metrics: the Accumulator was not made by NewAccumulator")
	errUsed = errors.New("metrics: Accumulator used by two goroutines")
	errFork = errors.New("metrics: an Accumulator that Fork made takes rows until it is merged into its origin, which until then takes rows, too, and nothing else")
)

// enter takes the turn, and reports why it cannot; so it does of what is in parts.
func (a *accumulator[T]) enter() error {
	if err := a.enterPart(); err != nil {
		return err
	}
	if a.fork.of != nil || a.fork.out > 0 {
		a.turn.Give()
		return errFork
	}
	return nil
}

// enterPart is enter of what may be one of several parts.
func (a *accumulator[T]) enterPart() error {
	if a == nil {
		return errMade
	}
	if !a.turn.Take() {
		return errUsed
	}
	if !a.made {
		a.turn.Give()
		return errMade
	}
	return nil
}

func (a *accumulator[T]) leave() { a.turn.Give() }

// A partly is an accumulator that may be one of several parts.
type partly[T zlpr.Float] struct{ *accumulator[T] }

func (p partly[T]) enter() error { return p.enterPart() }

// enterBoth enters what is merged, once where both are the same, and returns the way
// out.
func enterBoth[E interface {
	comparable
	enter() error
	leave()
}](t, o E) (leave func(), err error) {
	if err := t.enter(); err != nil {
		return nil, err
	}
	if t == o {
		return t.leave, nil
	}
	if err := o.enter(); err != nil {
		t.leave()
		return nil, err
	}
	return func() { o.leave(); t.leave() }, nil
}

// add is AddRows of the batch that prepare returns for the number of classes.
func (a *accumulator[T]) add(prepare func(classes int) (Batch[T], halfScores, error), out *RowOutput) error {
	if err := a.enterPart(); err != nil {
		return err
	}
	if a.fork.merged {
		a.turn.Give()
		return errFork
	}
	counted := false
	defer func() {
		if !counted {
			a.counters = nil // they may have counted a part
		}
		a.batch = Batch[T]{}
		a.turn.Give()
	}()
	batch, half, err := prepare(a.classes)
	if err != nil {
		counted = true // nothing
		return err
	}
	a.batch = batch
	rows := usedRows(a.batch.Scores)
	size := chunkRows(a.classes, rows)
	workers := workersFor(a.options.Workers, rows, size)
	if len(a.counters) > 0 && a.counters[0].maxRows < size {
		a.counters = nil
	}
	for len(a.counters) < workers {
		a.counters = append(a.counters, newCounter(&a.state, size))
	}
	used := a.counters[:workers]
	weights := windowOf(a.batch.RowWeights)
	if out != nil {
		if why := out.fault(a.batch.Scores.Rows, numSlots+a.kinds.slots, (a.classes+63)/64); why != "" {
			counted = true // nothing
			return fmt.Errorf("metrics: AddRows: the %s are not for %d rows", why, a.batch.Scores.Rows)
		}
		out.begin()
	}
	for _, c := range used {
		c.out = out
		c.begin(&a.batch, half, weights)
	}
	if a.split == nil {
		a.split = newSplit(func(worker, r0, r1 int) error { return a.counters[worker].count(r0, r1) })
	}
	if err := a.split.run(rows, size, workers); err != nil {
		return err
	}
	for _, c := range used {
		c.finish()
		c.out = nil
		a.take(&c.part)
	}
	if a.kinds.binned {
		a.parts = a.parts[:0]
		for _, c := range used {
			a.parts = append(a.parts, &c.part.binned)
		}
		to := a
		if a.fork.of != nil {
			to = a.fork.of
		}
		to.total.binned.take(a.parts...)
	}
	counted = true
	return nil
}

// take adds p to the total, but for scores in bins, and makes it empty.
func (s *state[T]) take(p *part[T]) {
	s.total.tally.merge(&p.tally)
	p.tally.clear()
	if p.weighed != nil && p.weighed.Rows > 0 {
		s.mergeWeighed(p.weighed)
		p.weighed.clear()
	}
	s.total.scores.take(p.scores)
}

func (s *state[T]) mergeWeighed(w *weighed) {
	if s.total.weighed == nil {
		s.total.weighed = s.newWeighed()
	}
	s.total.weighed.merge(w)
}

func (a *accumulator[T]) merge(o *accumulator[T]) error {
	leave, err := enterBoth(partly[T]{a}, partly[T]{o})
	if err != nil {
		return err
	}
	defer leave()
	if o.fork.of == a && !o.fork.merged {
		a.join(o)
		return nil
	}
	if a.fork.of != nil || o.fork.of != nil || a.fork.out+o.fork.out > 0 {
		return errFork
	}
	if what := a.differs(&o.state); what != "" {
		return errors.New("metrics: merge of " + what)
	}
	a.total.tally.merge(&o.total.tally)
	if o.total.weighed != nil {
		a.mergeWeighed(o.total.weighed)
	}
	a.total.scores.merge(o.total.scores)
	if a.kinds.binned {
		a.total.binned.merge(&o.total.binned)
	}
	return nil
}

// forkTo makes o, which is new, an accumulator without rows whose scores in bins are those of a.
func (a *accumulator[T]) forkTo(o *accumulator[T]) error {
	if err := a.enterPart(); err != nil {
		return err
	}
	defer a.turn.Give()
	if a.fork.of != nil {
		return errFork
	}
	o.state = a.state
	o.total = o.newPart()
	o.total.binned = binned{}
	o.fork.of = a
	a.fork.out++
	return nil
}

// join adds the rows of o, which forkTo made of a, and gives a its workers.
func (a *accumulator[T]) join(o *accumulator[T]) {
	a.take(&o.total)
	o.total, o.counters, o.parts = part[T]{}, nil, nil
	o.fork.merged = true
	a.fork.out--
	a.fork.workers += numWorkers(o.options.Workers)
	if a.fork.out == 0 {
		own := numWorkers(a.options.Workers)
		a.options.Workers = min(own+a.fork.workers, max(own, numWorkers(0)))
		a.total.binned.workers = a.options.Workers
		a.fork.workers = 0
	}
}

func (a *accumulator[T]) Rows() int {
	if !a.turn.Take() {
		panic("zlpr: Accumulator used by two goroutines")
	}
	defer a.turn.Give()
	return int(a.total.rowsCounted())
}
