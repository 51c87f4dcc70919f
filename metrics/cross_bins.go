package metrics

import (
	"cmp"
	"math"
	"math/big"
	"slices"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/partial"
)

// sampleBins are what an average over rows becomes, by the threshold, in constant
// memory: of every fold and every bin of scores, how much the sums over the rows of
// weight × measure rise, and how much they fall, where the bin is predicted, too.
type sampleBins[T zlpr.Float] struct {
	bins  bins // of all folds together
	room  binScratch
	folds [Folds]sampleFold
	sums  keyedSums
	row   []sampleEntry[T]
}

// A sampleFold is that of a fold.
type sampleFold struct {
	keyedSums // by bins: what the value rises, what it falls, and so of the other measure
	weights   sums
	rows      uint64
	pending   []sampleStep // not there yet
}

// A sampleStep is what a bin changes in a row.
type sampleStep struct {
	key          uint32
	weight       float64
	value, other change
}

// A change is by so much up or down.
type change struct {
	fixed
	down bool
}

func changeOf(from, to fixed) change {
	if to.less(from) {
		from.sub(to)
		return change{from, true}
	}
	to.sub(from)
	return change{to, false}
}

func newSampleBins[T zlpr.Float](digits int) *sampleBins[T] {
	s := &sampleBins[T]{bins: bins{Bits: digits}, sums: newKeyedSums(4)}
	for f := range s.folds {
		s.folds[f] = sampleFold{keyedSums: newKeyedSums(4), weights: newSums(1, roomOfRows)}
	}
	return s
}

// addRow takes in a row with its scores that take part, which it sorts.
func (s *sampleBins[T]) addRow(o *Objective, r *sampleRow, entries []sampleEntry[T]) {
	fold := &s.folds[r.row%Folds]
	var w window
	w.include(r.weight)
	fold.weights.cover(w, 0)
	m, e := parts(r.weight)
	addShifted(fold.weights.at(0), m, fold.weights.place(e))
	fold.rows++
	slices.SortFunc(entries, func(a, b sampleEntry[T]) int { return cmp.Compare(sortKey(b.score), sortKey(a.score)) })
	for i := range entries {
		place(&s.bins, entries[i].score, entries[i].positive, r.weight, &s.room)
	}
	positive, predicted, both := [1]uint64{r.positive}, [1]uint64{}, [1]uint64{}
	value, other := valueOf(o, &positive, &predicted, &both), otherOf(o, &positive, &predicted, &both)
	for i := range entries {
		if math.IsInf(float64(entries[i].score), -1) {
			break // never predicted
		}
		predicted[0]++
		if entries[i].positive {
			both[0]++
		}
		key := s.key(entries[i].score)
		if i+1 < len(entries) && s.key(entries[i+1].score) == key {
			continue
		}
		v, w := valueOf(o, &positive, &predicted, &both), otherOf(o, &positive, &predicted, &both)
		fold.pending = append(fold.pending, sampleStep{key, r.weight, changeOf(value, v), changeOf(other, w)})
		value, other = v, w
	}
	if len(fold.pending) >= max(1<<(s.bins.Bits-5), len(fold.Key)) {
		s.finish(fold)
	}
}

// key is the bin of a score.
func (s *sampleBins[T]) key(score T) uint32 {
	place, _ := represent(score)
	return uint32(place >> (64 - s.bins.Bits))
}

// finish adds all that is pending in a fold.
func (s *sampleBins[T]) finish(f *sampleFold) {
	if len(f.pending) == 0 {
		return
	}
	slices.SortFunc(f.pending, func(a, b sampleStep) int { return cmp.Compare(a.key, b.key) })
	var w window
	for i := range f.pending {
		w.include(f.pending[i].weight)
	}
	sum := &s.sums
	sum.reset(w, 64)
	for i := range f.pending {
		v := &f.pending[i]
		if i == 0 || f.pending[i-1].key != v.key {
			sum.push(v.key)
		}
		m, e := parts(v.weight)
		at := sum.place(e - 64)
		for k, c := range [2]change{v.value, v.other} {
			if c.down {
				k = 2*k + 1
			} else {
				k *= 2
			}
			addProduct(sum.last(k), m, c.fixed, at)
		}
		if !v.value.down && v.value.fixed != (fixed{}) {
			sum.N[len(sum.N)-1]++
		}
	}
	f.pending = f.pending[:0]
	f.merge(sum)
}

func (s *sampleBins[T]) finishAll() {
	s.bins.finish(&s.room)
	for f := range s.folds {
		s.finish(&s.folds[f])
	}
}

// take adds the rows of o, which stay there unless they are given away.
func (s *sampleBins[T]) take(o *sampleBins[T], give bool) {
	o.finishAll()
	s.finishAll()
	own, other := binned{micro: s.bins, scratch: &s.room}, binned{micro: o.bins, scratch: &s.room}
	own.merge(&other)
	s.bins = own.micro
	if give {
		o.bins = bins{Bits: o.bins.Bits}
	}
	for f := range s.folds {
		to, from := &s.folds[f], &o.folds[f]
		to.merge(&from.keyedSums)
		if s == o {
			weights := from.weights.clone()
			to.weights.merge(&weights)
		} else {
			to.weights.merge(&from.weights)
		}
		to.rows += from.rows
		if give {
			*from = sampleFold{keyedSums: newKeyedSums(4), weights: newSums(1, roomOfRows), pending: from.pending}
		}
	}
}

// add takes in the rows of a chunk; those of its batch follow row first.
func (s *sampleBins[T]) add(o *Objective, c *chunk[T], first int) {
	for r := range c.rows {
		row, ok := rowOf(c, r, first)
		if !ok {
			continue
		}
		s.row = appendEntries(s.row[:0], c, r, row.row)
		s.addRow(o, &row, s.row)
	}
}

// count is those of scores that were kept.
func (s *sampleBins[T]) count(o *Objective, kept *sampleScores[T]) {
	rows, entries := slices.Clone(kept.rows), slices.Clone(kept.entries)
	slices.SortFunc(rows, func(a, b sampleRow) int { return cmp.Compare(a.row, b.row) })
	slices.SortFunc(entries, func(a, b sampleEntry[T]) int { return cmp.Compare(a.row, b.row) })
	for i := range rows {
		n := 0
		for n < len(entries) && entries[n].row == rows[i].row {
			n++
		}
		s.addRow(o, &rows[i], entries[:n])
		entries = entries[n:]
	}
}

// tune finds the threshold and its cross-fitted value.
func (s *sampleBins[T]) tune(o *Objective) (Tuning, error) {
	s.finishAll()
	all := s.without(-1)
	if all.rows == 0 {
		return Tuning{}, errNoScores
	}
	key, met := s.search(o, all)
	if !met {
		return Tuning{}, errTarget
	}
	r := Tuning{CrossFitted: nan}
	r.Threshold = s.threshold(all, key)
	var cuts [Folds]int
	fill := func(key int) [Folds]int {
		for f := range cuts {
			cuts[f] = key
		}
		return cuts
	}
	r.Untuned = s.value(fill(1 << (s.bins.Bits - 1))) // the lowest bin above 0
	r.Value = s.value(fill(key))
	for f := range s.folds {
		if s.folds[f].rows == 0 {
			continue
		}
		train := s.without(f)
		if train.rows == 0 {
			return r, nil
		}
		cuts[f], _ = s.search(o, train)
	}
	r.CrossFitted = s.value(cuts)
	return r, nil
}

// without is the sum of all folds but one, -1 for none.
func (s *sampleBins[T]) without(fold int) *sampleFold {
	sum := &sampleFold{keyedSums: newKeyedSums(4), weights: newSums(1, roomOfRows)}
	for f := range s.folds {
		if f != fold {
			sum.merge(&s.folds[f].keyedSums)
			sum.weights.merge(&s.folds[f].weights)
			sum.rows += s.folds[f].rows
		}
	}
	return sum
}

// search returns the lowest key that is predicted by the best threshold, and whether
// it reaches the target; if none does, that which comes nearest to it.
func (s *sampleBins[T]) search(o *Objective, f *sampleFold) (key int, met bool) {
	value, other := make([]uint64, f.Words), make([]uint64, f.Words)
	most := make([]uint64, f.Words)
	found := false
	take := func(at int) {
		ok := o.m.kind == fBeta || f.quotient(other, &f.weights) >= o.target
		rank := value
		if !ok {
			rank = other
		}
		if !found || ok && !met || ok == met && cmpWide(rank, most) > 0 {
			copy(most, rank)
			key, met, found = at, ok, true
		}
	}
	take(s.nothing(f))
	for i := len(f.Key) - 1; i >= 0; i-- {
		f.step(i, value, other)
		take(int(f.Key[i]))
	}
	return key, met
}

// step adds what bin i changes.
func (f *sampleFold) step(i int, value, other []uint64) {
	addWide(value, f.at(4*i))
	subWide(value, f.at(4*i+1))
	addWide(other, f.at(4*i+2))
	subWide(other, f.at(4*i+3))
}

// quotient is a sum of the fold by one of weights.
func (f *sampleFold) quotient(a []uint64, weights *sums) float64 {
	if f.Words == 0 {
		return 0
	}
	x, y := toBig(a), toBig(weights.at(0))
	if shift := 64 * (f.Low - weights.Low); shift < 0 {
		y.Lsh(y, uint(-shift))
	} else {
		x.Lsh(x, uint(shift))
	}
	return quotientBig(x, y)
}

// threshold is that by which the bins from a key on are predicted.
func (s *sampleBins[T]) threshold(f *sampleFold, key int) float64 {
	if n := len(f.Key); n > 0 && key == s.nothing(f) {
		return float64(highest[T](&s.bins, int(f.Key[n-1])))
	}
	return float64(before(lowest[T](&s.bins, key)))
}

// nothing is the key above those in use, from which on no score of the fold is; without
// scores that of threshold 0.
func (s *sampleBins[T]) nothing(f *sampleFold) int {
	if n := len(f.Key); n > 0 {
		return int(f.Key[n-1]) + 1
	}
	return 1 << (s.bins.Bits - 1)
}

// value is the metric where of every fold the bins from a key on are predicted.
func (s *sampleBins[T]) value(from [Folds]int) float64 {
	sum, weights := newSums(1, roomOfRows), newSums(1, roomOfRows)
	for i := range s.folds {
		f := &s.folds[i]
		weights.merge(&f.weights)
		value, other := make([]uint64, f.Words), make([]uint64, f.Words)
		for k := len(f.Key) - 1; k >= 0 && int(f.Key[k]) >= from[i]; k-- {
			f.step(k, value, other)
		}
		sum.merge(&sums{Low: f.Low, Words: f.Words, Word: value, n: 1, room: roomOfRows})
	}
	if sum.Words == 0 {
		return 0
	}
	x, y := toBig(sum.at(0)), toBig(weights.at(0))
	low := min(sum.Low, weights.Low)
	return quotientBig(new(big.Int).Lsh(x, uint(64*(sum.Low-low))), new(big.Int).Lsh(y, uint(64*(weights.Low-low))))
}

func (s *sampleBins[T]) encode(w *partial.Writer) {
	s.finishAll()
	s.bins.encode(w)
	for f := range s.folds {
		w.Uint(s.folds[f].rows)
		s.folds[f].weights.encode(w)
		s.folds[f].encode(w)
	}
}

func (s *sampleBins[T]) decode(r *partial.Reader) {
	s.bins.decode(r)
	for f := range s.folds {
		v := &s.folds[f]
		v.rows = r.Uint()
		v.weights.decode(r)
		v.decode(r, s.bins.Bits, 64)
		r.Check(v.rows < 1<<48 && (v.rows > 0) == (v.weights.Words > 0 && !isZero(v.weights.at(0))) && (v.rows > 0 || len(v.Key) == 0))
	}
}

// encode writes the rows, then the scores.
func (s *sampleScores[T]) encode(w *partial.Writer) {
	w.Count(len(s.rows))
	for _, r := range s.rows {
		w.Count(r.row)
		w.Uint(r.positive)
		w.Float(r.weight)
	}
	w.Count(len(s.entries))
	for _, e := range s.entries {
		writeScore(w, e.score)
		w.Count(e.row)
		w.Bool(e.positive)
	}
}

func (s *sampleScores[T]) decode(r *partial.Reader) {
	n := r.Length(10)
	known := make(map[int]uint64, n)
	for range n {
		v := sampleRow{r.Count(), r.Uint(), r.Float()}
		_, twice := known[v.row]
		if !r.Check(!twice && v.weight > 0 && v.weight <= math.MaxFloat64 && v.positive <= mostClasses) {
			return
		}
		known[v.row] = v.positive
		s.rows = append(s.rows, v)
	}
	for range r.Length(scoreSize[T]() + 2) {
		e := sampleEntry[T]{readScore[T](r), r.Count(), r.Bool()}
		positives, ok := known[e.row]
		if e.positive {
			ok = ok && positives > 0
			known[e.row] = positives - 1
		}
		if !r.Check(ok) {
			return
		}
		s.entries = append(s.entries, e)
	}
	for _, left := range known {
		r.Check(left == 0)
	}
}
