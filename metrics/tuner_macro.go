package metrics

import (
	"math"

	"github.com/zlpr/zlpr"
)

// An entry is a score with its weight and class. The weight is negative where the
// label is. Of scores in bins it is a bin: its lowest number, and the place of its
// weights.
type entry[T zlpr.Float] struct {
	weighedScore[T]
	class, bin uint32
}

// macroCuts are the cuts for all classes together, with macro averages. The
// scores are gone through from the highest down; with each only the measures
// of its class change.
func (v *solverOf[T, C]) macroCuts(yield func(*cut[T, C]) bool) {
	entries, bins := v.entries()
	if len(entries) == 0 {
		return
	}
	classes := uint64(len(v.scores.Lists))
	type counts struct{ positive, predicted, both C }
	of := make([]counts, classes)
	for j := range of {
		of[j].positive = positives[T, C](&v.scores.Lists[j], v.low)
	}
	var p, r, f fixed // sums over the classes
	emit := func(c cut[T, C]) bool {
		c.precision, c.recall, c.f1, c.classes = p, r, f, classes
		return yield(&c)
	}
	none := cut[T, C]{score: entries[0].Score, none: true}
	if bins != nil {
		for j := range v.scores.Lists {
			if l := &v.scores.Lists[j]; l.len() > 0 {
				none.score = max(none.score, l.highest(none.score))
			}
		}
	}
	if !emit(none) {
		return
	}
	for len(entries) > 0 {
		c := cut[T, C]{score: entries[0].Score, last: bins != nil}
		if c.score != c.score || math.IsInf(float64(c.score), -1) {
			return
		}
		for ; len(entries) > 0 && entries[0].Score == c.score; entries = entries[1:] {
			e := &entries[0]
			n := &of[e.class]
			p.sub(ratioOf(&n.both, &n.predicted))
			r.sub(ratioOf(&n.both, &n.positive))
			f.sub(v.fOf(&n.positive, &n.predicted, &n.both))
			if bins != nil {
				at := &bins[e.bin]
				plus(&n.predicted, &at.positive)
				plus(&n.predicted, &at.negative)
				plus(&n.both, &at.positive)
			} else {
				addWeight(&n.predicted, &n.predicted, e.Weight, v.low)
				if e.Weight > 0 {
					addWeight(&n.both, nil, e.Weight, v.low)
				}
			}
			p.add(ratioOf(&n.both, &n.predicted))
			r.add(ratioOf(&n.both, &n.positive))
			f.add(v.fOf(&n.positive, &n.predicted, &n.both))
		}
		if len(entries) > 0 {
			c.next = entries[0].Score
		} else {
			c.last = true
		}
		if !emit(c) {
			return
		}
	}
}

// A binWeight is the weights of a bin.
type binWeight[C count] struct{ positive, negative C }

// entries returns all scores, falling, and the weights of those in bins.
func (v *solverOf[T, C]) entries() (entries []entry[T], weights []binWeight[C]) {
	n := 0
	for i := range v.scores.Lists {
		n += v.scores.Lists[i].len()
	}
	entries = make([]entry[T], 0, n)
	for j, l := range v.scores.Lists {
		if l.Bins != nil {
			steps(&l, v.low, func(s T, pos, neg *C) {
				entries = append(entries, entry[T]{weighedScore[T]{s, 0}, uint32(j), uint32(len(weights))})
				weights = append(weights, binWeight[C]{*pos, *neg})
			})
			continue
		}
		for _, s := range l.Pos {
			entries = append(entries, entry[T]{weighedScore[T]{s, 1}, uint32(j), 0})
		}
		for _, s := range l.Neg {
			entries = append(entries, entry[T]{weighedScore[T]{s, -1}, uint32(j), 0})
		}
		for _, s := range l.Weighed {
			entries = append(entries, entry[T]{s, uint32(j), 0})
		}
	}
	return radixSort(entries, make([]entry[T], len(entries)), func(e entry[T]) uint64 { return ^sortKey(e.Score) }), weights
}
