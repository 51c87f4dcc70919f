package metrics

import (
	"fmt"
	"iter"
	"math"
	"math/bits"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/crew"
)

// Folds is the number of folds of a CrossTuner: row r is in fold r mod Folds.
const Folds = 5

// A CrossTuner finds the thresholds that are best for an Objective on a validation
// set, and what they are worth on rows that had no part in finding them. It keeps
// all scores that take part, or counts them in bins: CountScores.
//
// Thresholds are those of a Tuner: halfway between two scores, the highest of
// those that are equally good; a score of -Inf is never predicted. F-scores,
// precision and recall are those of the metrics of these names, of ratios each cut
// to a multiple of 2^-64, RowWeights included.
//
// It is for one goroutine at a time; a second one gets an error.
type CrossTuner[T zlpr.Float] struct {
	turn      crew.Turn
	objective Objective
	classes   int
	workers   int
	rows      int // the number of the next one
	seen      []span
	folds     [Folds]gathered[T]
	parts     [][Folds]gathered[T] // of the workers

	// Of an average over rows, in place of the folds: one of the two.
	bySample *sampleScores[T]
	inBins   *sampleBins[T]
	binParts []*sampleBins[T] // of the workers
}

// A Tuning is what a CrossTuner found.
type Tuning struct {
	// Threshold is that of all classes, NaN where every class has its own.
	Threshold float64
	// Thresholds are those of the classes, nil where one is that of all. A class
	// without scores has threshold 0.
	Thresholds []float64

	// Value is the metric with these thresholds, on the rows that they were tuned
	// on: it is optimistic.
	Value float64
	// CrossFitted is the metric of all rows where every fold is predicted by
	// thresholds tuned on the other folds. It is NaN where a fold is all there is.
	CrossFitted float64

	// Untuned is the metric with threshold 0 for all classes.
	Untuned float64

	// Unmet is how many classes of those with scores do not reach the target by
	// any threshold of their own: they are never predicted.
	Unmet int
}

// NewCrossTuner returns a CrossTuner for scores of that number of classes. Workers
// is the number of goroutines; 0: as many as GOMAXPROCS.
func NewCrossTuner[T zlpr.Float](classes, workers int, objective Objective) (*CrossTuner[T], error) {
	switch {
	case objective.one == 0:
		return nil, errObjective
	case classes < 0 || classes > mostClasses:
		return nil, fmt.Errorf("metrics: %d classes, not in 0..%d", classes, mostClasses)
	}
	t := &CrossTuner[T]{objective: objective, classes: classes, workers: workers}
	if objective.m.average == samples {
		t.bySample = &sampleScores[T]{}
	}
	t.folds = newFolds[T](classes, 0, 0)
	return t, nil
}

func newFolds[T zlpr.Float](classes, microBits, classBits int) (folds [Folds]gathered[T]) {
	for f := range folds {
		folds[f] = newGathered[T](classes, microBits, classBits)
	}
	return folds
}

// enter takes the turn, and reports why it cannot.
func (t *CrossTuner[T]) enter() error {
	switch {
	case t == nil:
		return errObjective
	case !t.turn.Take():
		return errTunerUsed
	case t.objective.one == 0:
		t.turn.Give()
		return errObjective
	}
	return nil
}

func (t *CrossTuner[T]) leave() { t.turn.Give() }

// Add takes in the rows of b, which follow those before and have no thresholds of
// their own. After an error the CrossTuner is as it was before.
func (t *CrossTuner[T]) Add(b *Batch[T]) error {
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
	if err := t.overlaps(span{t.rows, t.rows + rows}); err != nil {
		return err
	}
	chunks, bySample := make([]*chunk[T], workers), make([]sampleScores[T], workers)
	for i := range chunks {
		chunks[i] = newChunk[T](t.classes, Rule{}, true, size)
		chunks[i].begin(&c, nil)
		switch {
		case t.inBins != nil && len(t.binParts) <= i:
			t.binParts = append(t.binParts, newSampleBins[T](t.inBins.bins.Bits))
		case t.inBins == nil && t.bySample == nil && len(t.parts) <= i:
			t.parts = append(t.parts, newFolds[T](t.classes, t.folds[0].microBits, t.folds[0].classBits))
		}
	}
	err = newSplit(func(worker, r0, r1 int) error {
		chunk := chunks[worker]
		if err := chunk.read(r0, r1); err != nil {
			return err
		}
		switch {
		case t.inBins != nil:
			t.binParts[worker].add(&t.objective, chunk, t.rows)
			return nil
		case t.bySample != nil:
			bySample[worker].add(chunk, t.rows)
			return nil
		}
		for f := range t.parts[worker] {
			// The first row of the chunk that is in the fold.
			t.parts[worker][f].add(chunk, (f+Folds-(t.rows+r0)%Folds)%Folds, Folds)
		}
		return nil
	}).run(rows, size, workers)
	if err != nil {
		t.parts, t.binParts = nil, nil // they may have a part
		return err
	}
	for i := range bySample {
		if t.bySample != nil {
			t.bySample.take(&bySample[i])
		}
	}
	for _, part := range t.binParts {
		t.inBins.take(part, true)
	}
	for i := range t.parts {
		for f := range t.folds {
			t.folds[f].take(&t.parts[i][f])
		}
	}
	t.note(span{t.rows, t.rows + rows})
	t.rows += rows
	return nil
}

// Tune finds one threshold for all classes, or one for each. It is an error if
// there are no scores, or if no threshold for all classes reaches the target.
//
// One for each class is
//
//   - by macro F-scores, for every class by itself the best;
//   - by micro F-scores what Dinkelbach's method finds, see Tuner.BestEach;
//   - with a target, for every class by itself the best that reaches it;
//   - not there for samples F-scores: no exact method is known.
func (t *CrossTuner[T]) Tune(each bool) (Tuning, error) {
	if err := t.enter(); err != nil {
		return Tuning{}, err
	}
	defer t.turn.Give()
	if t.objective.m.average == samples {
		switch {
		case each:
			return Tuning{}, fmt.Errorf("metrics: %s is tuned by one threshold for all classes", t.objective.m.name)
		case t.inBins != nil:
			return t.inBins.tune(&t.objective)
		}
		return t.bySample.tune(&t.objective)
	}
	if each && t.folds[0].microBits > 0 && t.folds[0].classBits == 0 {
		return Tuning{}, errNoClassBins
	}
	var w window
	n := 0
	for f := range t.folds {
		s := t.counted(&t.folds[f], each)
		v, k := s.windowOf()
		w.unite(v)
		n += k
	}
	if n == 0 {
		return Tuning{}, errNoScores
	}
	gathered := t.without(-1)
	all := t.counted(&gathered, each)
	w.High += bits.Len64(t.objective.b + t.objective.one) // by which counts are multiplied
	switch wordsFor(w, n) {
	case 1:
		return crossOf[T, [1]uint64]{t, w.Low}.tune(&all, each)
	case 3:
		return crossOf[T, [3]uint64]{t, w.Low}.tune(&all, each)
	}
	return crossOf[T, [34]uint64]{t, w.Low}.tune(&all, each)
}

// Curve goes through the thresholds for all classes together, as Tuner.Curve does
// for the average of the objective; for one over rows there is no curve. It panics
// where the CrossTuner is in use.
func (t *CrossTuner[T]) Curve() iter.Seq[Point] {
	return func(yield func(Point) bool) {
		if err := t.enter(); err != nil {
			panic("zlpr: CrossTuner used by two goroutines, or within the loop over its curve")
		}
		defer t.turn.Give()
		if t.objective.m.average != samples {
			gathered := t.without(-1)
			all := t.counted(&gathered, false)
			all.solver(t.workers).curve(t.objective.m.average, yield)
		}
	}
}

// without returns the scores of all folds but one, -1 for none.
func (t *CrossTuner[T]) without(fold int) gathered[T] {
	s := t.folds[0].fresh()
	for f := range t.folds {
		if f != fold {
			s.merge(&t.folds[f])
		}
	}
	return s
}

// counted are the scores that thresholds are looked for in, and that measures are of:
// by class, or those of all classes together where their bins are the ones that count.
func (t *CrossTuner[T]) counted(g *gathered[T], each bool) scores[T] {
	s := g.all()
	if s.micro != nil && !each && t.objective.m.average == Micro {
		return scores[T]{Lists: []list[T]{*s.micro}}
	}
	s.micro = nil
	return s
}

// A crossOf is a CrossTuner with counts in units of 2^low.
type crossOf[T zlpr.Float, C count] struct {
	*CrossTuner[T]
	low int
}

// counts are those of the classes with some thresholds.
type classCounts[C count] struct{ positive, predicted, both []C }

func (x crossOf[T, C]) tune(all *scores[T], each bool) (Tuning, error) {
	thresholds, unmet, err := x.search(all, each)
	if err != nil {
		return Tuning{}, err
	}
	r := Tuning{Threshold: thresholds[0], Unmet: unmet, CrossFitted: nan}
	if each {
		r.Threshold, r.Thresholds = nan, thresholds
	}
	var counts, crossed, untuned classCounts[C]
	x.count(&untuned, all, make([]float64, len(all.Lists)))
	r.Untuned = x.value(&untuned)
	x.count(&counts, all, thresholds)
	r.Value = x.value(&counts)
	for f := range x.folds {
		fold := x.counted(&x.folds[f], each)
		if fold.empty() {
			continue
		}
		gathered := x.without(f)
		train := x.counted(&gathered, each)
		if train.empty() {
			return r, nil
		}
		thresholds, _, err := x.search(&train, each)
		if err != nil && err != errTarget {
			return r, err
		}
		x.count(&crossed, &fold, thresholds)
	}
	r.CrossFitted = x.value(&crossed)
	return r, nil
}

// empty reports whether there are no scores.
func (s *scores[T]) empty() bool {
	for i := range s.Lists {
		if s.Lists[i].len() > 0 {
			return false
		}
	}
	return true
}

// search returns the best thresholds of the classes: where one is that of all, it
// says so for each. With errTarget they come as near to the target as can be.
func (x crossOf[T, C]) search(s *scores[T], each bool) (thresholds []float64, unmet int, err error) {
	v := &solverOf[T, C]{scores: s, workers: x.workers, low: x.low, o: &x.objective}
	thresholds = make([]float64, len(s.Lists))
	if !each {
		best, ok := x.best(v, v.cuts(x.objective.m.average))
		if !ok {
			err = errTarget
		}
		for j := range thresholds {
			thresholds[j] = best.threshold()
		}
		return thresholds, 0, err
	}
	var best []cut[T, C]
	met := make([]bool, x.classes)
	err = newSplit(func(_, j, _ int) error {
		best[j], met[j] = x.best(v, cuts[T, C](&s.Lists[j], x.low))
		if !met[j] && s.Lists[j].len() > 0 {
			for c := range cuts[T, C](&s.Lists[j], x.low) {
				best[j] = *c // which predicts nothing
				break
			}
		}
		return nil
	}).run(x.begin(&best), 1, numWorkers(x.workers))
	if err != nil {
		return nil, 0, err
	}
	if x.objective.m.kind == fBeta && x.objective.m.average == Micro {
		if best, err = x.dinkelbach(v, best); err != nil {
			return nil, 0, err
		}
	}
	for j := range thresholds {
		if s.Lists[j].len() > 0 {
			thresholds[j] = best[j].threshold()
			if !met[j] {
				unmet++
			}
		}
	}
	return thresholds, unmet, nil
}

// begin makes room for a cut of every class, and returns their number.
func (x crossOf[T, C]) begin(best *[]cut[T, C]) int {
	*best = make([]cut[T, C], x.classes)
	return x.classes
}

// best returns the best of the cuts, and whether one reaches the target; if none
// does, that which comes nearest to it.
func (x crossOf[T, C]) best(v *solverOf[T, C], list func(yield func(*cut[T, C]) bool)) (best cut[T, C], met bool) {
	var so choice
	for c := range list {
		if value, other, n := x.measures(c); so.takes(&x.objective, value, other, n) {
			best = *c
		}
	}
	return best, so.met
}

// measures are the value of a cut and the other measure that has a target, sums
// over n classes.
func (x crossOf[T, C]) measures(c *cut[T, C]) (value, other fixed, n uint64) {
	if c.classes == 0 {
		return valueOf(&x.objective, &c.positive, &c.predicted, &c.tp), otherOf(&x.objective, &c.positive, &c.predicted, &c.tp), 1
	}
	switch x.objective.m.kind {
	case precision:
		return c.precision, c.recall, c.classes
	case recall:
		return c.recall, c.precision, c.classes
	}
	return c.f1, c.f1, c.classes
}

// dinkelbach raises the micro F-score of the cuts until it stays. With
// λ = (one + b)·n/d, where n = Σ tp and d = b·positives + one·predicted, the
// next cuts maximise (one + b)·tp - λ·one·predicted, that is d·tp - n·one·predicted.
func (x crossOf[T, C]) dinkelbach(v *solverOf[T, C], best []cut[T, C]) ([]cut[T, C], error) {
	b, one := x.objective.b, x.objective.one
	sums := func(best []cut[T, C]) (n, d C) {
		for j := range best {
			c := &best[j]
			plus(&n, &c.tp)
			positive := positives[T, C](&v.scores.Lists[j], v.low)
			p, q := multiple(&positive, b), multiple(&c.predicted, one)
			plus(&d, &p)
			plus(&d, &q)
		}
		return n, d
	}
	n, d := sums(best)
	for n != *new(C) {
		scale := multiple(&n, one)
		next, err := v.bestCuts(func(a, b *cut[T, C]) bool {
			predicted, gain := b.predicted, b.tp
			minus(&predicted, &a.predicted)
			minus(&gain, &a.tp)
			return lessProduct(&predicted, &scale, &gain, &d)
		})
		if err != nil {
			return nil, err
		}
		best = next
		n1, d1 := sums(next)
		if !lessProduct(&n, &d1, &n1, &d) { // λ stays
			break
		}
		n, d = n1, d1
	}
	return best, nil
}

// count adds the counts of scores with these thresholds.
func (x crossOf[T, C]) count(c *classCounts[C], s *scores[T], thresholds []float64) {
	if c.positive == nil {
		n := len(s.Lists)
		c.positive, c.predicted, c.both = make([]C, n), make([]C, n), make([]C, n)
	}
	for j := range s.Lists {
		l := &s.Lists[j]
		t := narrow[T](thresholds[j])
		if l.Bins != nil {
			steps(l, x.low, func(s T, pos, neg *C) {
				plus(&c.positive[j], pos)
				if s > t { // all of the bin, or nothing
					plus(&c.predicted[j], pos)
					plus(&c.predicted[j], neg)
					plus(&c.both[j], pos)
				}
			})
			continue
		}
		add := func(to *C, n int) {
			if n > 0 {
				var sum C
				set(&sum, uint64(n), -x.low)
				plus(to, &sum)
			}
		}
		pos, neg := above(l.Pos, t), above(l.Neg, t)
		add(&c.positive[j], len(l.Pos))
		add(&c.predicted[j], pos+neg)
		add(&c.both[j], pos)
		for _, v := range l.Weighed {
			w := math.Abs(v.Weight)
			if v.Weight > 0 {
				addWeight(&c.positive[j], nil, w, x.low)
			}
			if v.Score > t {
				addWeight(&c.predicted[j], nil, w, x.low)
				if v.Weight > 0 {
					addWeight(&c.both[j], nil, w, x.low)
				}
			}
		}
	}
}

// above is how many scores are above a threshold.
func above[T zlpr.Float](x []T, t T) (n int) {
	for _, v := range x {
		if v > t {
			n++
		}
	}
	return n
}

// value is the metric of counts.
func (x crossOf[T, C]) value(c *classCounts[C]) float64 {
	o := &x.objective
	if o.m.average == Macro {
		var sum fixed
		for j := range c.positive {
			sum.add(valueOf(o, &c.positive[j], &c.predicted[j], &c.both[j]))
		}
		return sum.over(uint64(len(c.positive)))
	}
	var positive, predicted, both C
	for j := range c.positive {
		plus(&positive, &c.positive[j])
		plus(&predicted, &c.predicted[j])
		plus(&both, &c.both[j])
	}
	return valueOf(o, &positive, &predicted, &both).over(1)
}
