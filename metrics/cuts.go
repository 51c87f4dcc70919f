package metrics

import (
	"iter"
	"math"

	"github.com/zlpr/zlpr"
)

// A cut is a threshold: all scores from score up are above it.
type cut[T zlpr.Float, C count] struct {
	score T    // the lowest score predicted
	next  T    // the one below
	none  bool // nothing is predicted, and score is the highest
	last  bool // there is no score below, or scores are in bins

	positive, predicted, tp C // of the list

	// Of macro averages, sums over so many classes; else 0.
	precision, recall, f1 fixed
	classes               uint64
}

// threshold returns a threshold between the scores.
func (c *cut[T, C]) threshold() float64 {
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

func (c *cut[T, C]) point() Point {
	if c.classes == 0 {
		precision, recall := ratioOf(&c.tp, &c.predicted), ratioOf(&c.tp, &c.positive)
		return Point{c.threshold(), precision.over(1), recall.over(1), c.sumF1().over(1)}
	}
	return Point{c.threshold(), c.precision.over(c.classes), c.recall.over(c.classes), c.f1.over(c.classes)}
}

// sumF1 is F1, of macro averages the sum over the classes.
func (c *cut[T, C]) sumF1() fixed {
	if c.classes == 0 {
		return f1Of(&c.positive, &c.predicted, &c.tp)
	}
	return c.f1
}

// cuts are those of the list, which it sorts, with counts in units of 2^low. A cut
// is valid until the next.
func cuts[T zlpr.Float, C count](l *list[T], low int) iter.Seq[*cut[T, C]] {
	return func(yield func(*cut[T, C]) bool) {
		var c cut[T, C]
		c.positive = positives[T, C](l, low)
		started, stopped := false, false
		c.last = l.Bins != nil
		emit := func(next T) {
			if stopped || (c.score != c.score || math.IsInf(float64(c.score), -1)) && !c.none {
				return
			}
			c.next = next
			stopped = !yield(&c)
		}
		steps(l, low, func(s T, pos, neg *C) {
			if !started {
				started, c.none, c.score = true, true, l.highest(s)
			}
			emit(s)
			c.none, c.score = false, s
			plus(&c.tp, pos)
			plus(&c.predicted, pos)
			plus(&c.predicted, neg)
		})
		if started {
			c.last = true
			emit(c.score)
		}
	}
}

// highest is the highest score, which is s but for scores in bins.
func (l *list[T]) highest(s T) T {
	if l.Bins == nil {
		return s
	}
	return highest[T](l.Bins, l.Bins.top())
}

// positives is the sum of the weights of the positives of l.
func positives[T zlpr.Float, C count](l *list[T], low int) (sum C) {
	switch b := l.Bins; {
	case b != nil && !b.hasWeights():
		set(&sum, b.sum.Pos, -low)
		return sum
	case b != nil:
		binSteps(b, low, func(_ int, _ uint64, pos, _ *C) { plus(&sum, pos) })
		return sum
	}
	if n := len(l.Pos); n > 0 {
		set(&sum, uint64(n), -low)
	}
	var other C
	for _, x := range l.Weighed {
		if x.Weight > 0 {
			addWeight(&sum, &other, x.Weight, low)
		}
	}
	return sum
}

// f1Of is 2·both/(positive + predicted).
func f1Of[C count](positive, predicted, both *C) fixed {
	sum, twice := *positive, *both
	plus(&sum, predicted)
	plus(&twice, both)
	return ratioOf(&twice, &sum)
}

// A solver finds the cuts of scores by class.
type solver interface {
	curve(average Average, yield func(Point) bool)
	classCurve(class int, yield func(Point) bool)
	best(average Average) (threshold, f1 float64, err error)
	bestEach(average Average) (thresholds []float64, f1 float64, err error)
}

// solver returns the solver of the scores.
func (t *tuner[T]) solver() solver {
	s := t.all()
	return s.solver(t.workers)
}

// windowOf is the window of all weights, and about how many there are.
func (s *scores[T]) windowOf() (w window, n int) {
	for i := range s.Lists {
		l := &s.Lists[i]
		w.unite(l.window())
		n += l.len()
	}
	if s.micro != nil {
		w.unite(s.micro.window())
		n += s.micro.len()
	}
	return w, n
}

// solver returns the solver with counts as long as the weights need.
func (s *scores[T]) solver(workers int) solver {
	w, n := s.windowOf()
	switch wordsFor(w, n) {
	case 1:
		return &solverOf[T, [1]uint64]{scores: s, workers: workers, low: w.Low}
	case 3:
		return &solverOf[T, [3]uint64]{scores: s, workers: workers, low: w.Low}
	}
	return &solverOf[T, [34]uint64]{scores: s, workers: workers, low: w.Low}
}

// solverOf is a solver with counts in units of 2^low.
type solverOf[T zlpr.Float, C count] struct {
	scores  *scores[T]
	workers int
	low     int
	o       *Objective // nil: F1
}

// fOf is the F-score of the objective, cut to a multiple of 2^-64.
func (v *solverOf[T, C]) fOf(positive, predicted, both *C) fixed {
	if v.o == nil || v.o.m.kind != fBeta {
		return f1Of(positive, predicted, both)
	}
	return valueOf(v.o, positive, predicted, both)
}

func (v *solverOf[T, C]) cuts(average Average) iter.Seq[*cut[T, C]] {
	if average == Macro {
		return v.macroCuts
	}
	all := v.scores.all()
	return cuts[T, C](&all, v.low)
}

func (v *solverOf[T, C]) curve(average Average, yield func(Point) bool) {
	for c := range v.cuts(average) {
		if !yield(c.point()) {
			return
		}
	}
}

func (v *solverOf[T, C]) classCurve(class int, yield func(Point) bool) {
	for c := range cuts[T, C](&v.scores.Lists[class], v.low) {
		if !yield(c.point()) {
			return
		}
	}
}

func (v *solverOf[T, C]) best(average Average) (threshold, f1 float64, err error) {
	var best cut[T, C]
	var most fixed
	found := false
	for c := range v.cuts(average) {
		if f := c.sumF1(); !found || most.less(f) {
			best, most, found = *c, f, true
		}
	}
	if !found {
		return 0, 0, errNoScores
	}
	return best.threshold(), most.over(max(1, best.classes)), nil
}
