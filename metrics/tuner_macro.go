package metrics

import (
	"math"

	"github.com/zlpr/zlpr"
)

// An entry is a score, by its key, with the class and the label.
type entry[T zlpr.Float] struct {
	score    T
	positive bool
	class    uint32
}

// macroCuts are the cuts for all classes together, with macro averages. The
// scores are gone through from the highest down; with each only the measures
// of its class change.
func (t *Tuner[T]) macroCuts(yield func(cut[T]) bool) {
	entries := t.entries()
	if len(entries) == 0 {
		return
	}
	classes := uint64(t.classes)
	type counts struct{ positive, predicted, both uint64 }
	of := make([]counts, classes)
	for j, l := range t.scores.Lists {
		of[j].positive = uint64(len(l.Pos))
	}
	var p, r, f fixed // sums over the classes
	emit := func(c cut[T]) bool {
		c.precision, c.recall, c.f1 = p.part(classes), r.part(classes), f.part(classes)
		return yield(c)
	}
	highest := entries[len(entries)-1].score
	if !emit(cut[T]{score: highest, none: true}) {
		return
	}
	for i := len(entries); i > 0; {
		c := cut[T]{score: entries[i-1].score}
		if math.IsInf(float64(c.score), -1) {
			return
		}
		for ; i > 0 && entries[i-1].score == c.score; i-- {
			n := &of[entries[i-1].class]
			p.sub(ratio(n.both, n.predicted))
			r.sub(ratio(n.both, n.positive))
			f.sub(ratio(2*n.both, n.positive+n.predicted))
			n.predicted++
			if entries[i-1].positive {
				n.both++
			}
			p.add(ratio(n.both, n.predicted))
			r.add(ratio(n.both, n.positive))
			f.add(ratio(2*n.both, n.positive+n.predicted))
		}
		if i > 0 {
			c.next = entries[i-1].score
		} else {
			c.last = true
		}
		if !emit(c) {
			return
		}
	}
}

// entries returns all scores, rising.
func (t *Tuner[T]) entries() []entry[T] {
	n := 0
	for _, l := range t.scores.Lists {
		n += len(l.Pos) + len(l.Neg)
	}
	entries := make([]entry[T], 0, n)
	for j, l := range t.scores.Lists {
		for _, s := range l.Pos {
			entries = append(entries, entry[T]{s, true, uint32(j)})
		}
		for _, s := range l.Neg {
			entries = append(entries, entry[T]{s, false, uint32(j)})
		}
	}
	return radixSort(entries, make([]entry[T], n), func(e entry[T]) uint64 { return sortKey(e.score) })
}
