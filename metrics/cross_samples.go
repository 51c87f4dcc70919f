package metrics

import (
	"cmp"
	"math"
	"math/bits"
	"slices"

	"github.com/zlpr/zlpr"
)

// sampleScores are scores with their rows, for averages over rows.
type sampleScores[T zlpr.Float] struct {
	entries []sampleEntry[T]
	rows    []sampleRow
}

// A sampleEntry is a score that takes part, with its row.
type sampleEntry[T zlpr.Float] struct {
	score    T
	row      int // of the file; as tune orders them, the place in rows
	positive bool
}

// A sampleRow is a row that counts.
type sampleRow struct {
	row      int
	positive uint64
	weight   float64
}

// add takes in the rows of a chunk; those of its batch follow row first.
func (s *sampleScores[T]) add(c *chunk[T], first int) {
	for r := range c.rows {
		if row, ok := rowOf(c, r, first); ok {
			s.rows = append(s.rows, row)
			s.entries = appendEntries(s.entries, c, r, row.row)
		}
	}
}

// rowOf is row r of a chunk whose batch follows row first, and whether it counts.
func rowOf[T zlpr.Float](c *chunk[T], r, first int) (row sampleRow, ok bool) {
	row = sampleRow{row: first + c.r0 + r, weight: 1, positive: uint64(ones(c.row(c.positive, r)))}
	if c.batch.RowWeights != nil {
		row.weight = c.batch.RowWeights[c.r0+r]
	}
	return row, ones(c.row(c.part, r)) > 0
}

// appendEntries appends the scores of row r of a chunk that take part.
func appendEntries[T zlpr.Float](entries []sampleEntry[T], c *chunk[T], r, row int) []sampleEntry[T] {
	part, positive := c.row(c.part, r), c.row(c.positive, r)
	for j, v := range c.scores(r) {
		if part[j/64]>>(j%64)&1 != 0 {
			entries = append(entries, sampleEntry[T]{v, row, positive[j/64]>>(j%64)&1 != 0})
		}
	}
	return entries
}

func (s *sampleScores[T]) take(o *sampleScores[T]) {
	s.entries, s.rows = append(s.entries, o.entries...), append(s.rows, o.rows...)
}

// tune finds the threshold and its cross-fitted value.
func (s *sampleScores[T]) tune(o *Objective) (Tuning, error) {
	if len(s.rows) == 0 {
		return Tuning{}, errNoScores
	}
	s = s.ordered()
	threshold, met := s.search(o, -1)
	if !met {
		return Tuning{}, errTarget
	}
	r := Tuning{Threshold: threshold, CrossFitted: nan}
	var thresholds [Folds]float64
	r.Untuned = s.value(o, thresholds)
	for f := range thresholds {
		thresholds[f] = threshold
	}
	r.Value = s.value(o, thresholds)
	for f := range thresholds {
		inFold := func(v sampleRow) bool { return v.row%Folds == f }
		if !slices.ContainsFunc(s.rows, inFold) {
			continue
		}
		if !slices.ContainsFunc(s.rows, func(v sampleRow) bool { return !inFold(v) }) {
			return r, nil
		}
		thresholds[f], _ = s.search(o, f)
	}
	r.CrossFitted = s.value(o, thresholds)
	return r, nil
}

// ordered returns the rows in their order and the scores falling, each with the
// place of its row.
func (s *sampleScores[T]) ordered() *sampleScores[T] {
	o := &sampleScores[T]{entries: slices.Clone(s.entries), rows: slices.Clone(s.rows)}
	slices.SortFunc(o.rows, func(a, b sampleRow) int { return cmp.Compare(a.row, b.row) })
	place := make(map[int]int, len(o.rows))
	for i, r := range o.rows {
		place[r.row] = i
	}
	for i := range o.entries {
		o.entries[i].row = place[o.entries[i].row]
	}
	o.entries = radixSort(o.entries, s.scratch(), func(e sampleEntry[T]) uint64 { return ^sortKey(e.score) })
	return o
}

// scratch is as long as the entries.
func (s *sampleScores[T]) scratch() []sampleEntry[T] { return make([]sampleEntry[T], len(s.entries)) }

// fold is the fold of a score.
func (s *sampleScores[T]) fold(e *sampleEntry[T]) int { return s.rows[e.row].row % Folds }

// search returns the best threshold of the rows that are not in the fold, and
// whether it reaches the target; if none does, that which comes nearest to it. The
// scores are gone through from the highest down; with each only the measures of
// its row change. Weights are cut to multiples of 2^-40 of the largest, or, beyond
// 2^22 rows, so that their sum is below 2^63.
func (s *sampleScores[T]) search(o *Objective, fold int) (threshold float64, met bool) {
	largest := 0.0
	for _, r := range s.rows {
		if r.row%Folds != fold {
			largest = max(largest, r.weight)
		}
	}
	predicted, both, weight := make([]uint64, len(s.rows)), make([]uint64, len(s.rows)), make([]uint64, len(s.rows))
	digits := min(40, 62-bits.Len(uint(len(s.rows))))
	var weights uint64
	for i, r := range s.rows {
		if r.row%Folds != fold {
			weight[i] = uint64(math.Ldexp(r.weight/largest, digits))
			weights += weight[i]
		}
	}
	var value, other fixed
	measures := func(i int) (v, w fixed) {
		positive, p, b := [1]uint64{s.rows[i].positive}, [1]uint64{predicted[i]}, [1]uint64{both[i]}
		return valueOf(o, &positive, &p, &b).times(weight[i]), otherOf(o, &positive, &p, &b).times(weight[i])
	}
	var best cut[T, [1]uint64]
	var so choice
	take := func(c cut[T, [1]uint64]) {
		if so.takes(o, value, other, weights) {
			best = c
		}
	}
	entries := s.entries
	skip := func() {
		for len(entries) > 0 && s.fold(&entries[0]) == fold {
			entries = entries[1:]
		}
	}
	skip()
	if len(entries) == 0 {
		return 0, false
	}
	take(cut[T, [1]uint64]{score: entries[0].score, none: true})
	for len(entries) > 0 && !math.IsInf(float64(entries[0].score), -1) {
		c := cut[T, [1]uint64]{score: entries[0].score}
		for len(entries) > 0 && entries[0].score == c.score {
			i := entries[0].row
			v, w := measures(i)
			value.sub(v)
			other.sub(w)
			predicted[i]++
			if entries[0].positive {
				both[i]++
			}
			v, w = measures(i)
			value.add(v)
			other.add(w)
			entries = entries[1:]
			skip()
		}
		if len(entries) > 0 {
			c.next = entries[0].score
		} else {
			c.last = true
		}
		take(c)
	}
	return best.threshold(), so.met
}

// value is the metric where the rows of every fold are predicted by the threshold
// of the fold.
func (s *sampleScores[T]) value(o *Objective, thresholds [Folds]float64) float64 {
	predicted, both := make([]uint64, len(s.rows)), make([]uint64, len(s.rows))
	var narrowed [Folds]T
	for f, t := range thresholds {
		narrowed[f] = narrow[T](t)
	}
	var w window
	for _, r := range s.rows {
		w.include(r.weight)
	}
	for i := range s.entries {
		if e := &s.entries[i]; e.score > narrowed[s.fold(e)] {
			predicted[e.row]++
			if e.positive {
				both[e.row]++
			}
		}
	}
	total := newSums(2, roomOfNumbers)
	total.cover(w, 64)
	for i, r := range s.rows {
		positive, p, b := [1]uint64{r.positive}, [1]uint64{predicted[i]}, [1]uint64{both[i]}
		m, e := parts(r.weight)
		at := total.place(e - 64)
		addProduct(total.at(0), m, valueOf(o, &positive, &p, &b), at)
		addProduct(total.at(1), m, fixed{Int: 1}, at)
	}
	return quotientBig(toBig(total.at(0)), toBig(total.at(1)))
}
