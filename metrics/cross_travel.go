package metrics

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/partial"
)

// A span is rows from Begin up to, not with, End.
type span struct{ Begin, End int }

var (
	errNoClassBins = errors.New("metrics: thresholds by class need bins of classes; give their bits to CountScores")
	errRowNumber   = errors.New("metrics: the number of a row is not in [0, 2^48)")
)

// overlaps is an error if rows of the span are there already.
func (t *CrossTuner[T]) overlaps(s span) error {
	i, _ := slices.BinarySearchFunc(t.seen, s, func(a, b span) int { return cmp.Compare(a.End, b.Begin+1) })
	if i < len(t.seen) && t.seen[i].Begin < s.End && s.Begin < s.End {
		return fmt.Errorf("metrics: rows %d to %d are there already; number those of another part by StartAt",
			max(s.Begin, t.seen[i].Begin), min(s.End, t.seen[i].End)-1)
	}
	return nil
}

// note notes a span that overlaps with none.
func (t *CrossTuner[T]) note(s span) {
	if s.Begin == s.End {
		return
	}
	i, _ := slices.BinarySearchFunc(t.seen, s, func(a, b span) int { return cmp.Compare(a.Begin, b.Begin) })
	t.seen = slices.Insert(t.seen, i, s)
	if i+1 < len(t.seen) && t.seen[i+1].Begin == s.End {
		t.seen[i].End = t.seen[i+1].End
		t.seen = slices.Delete(t.seen, i+1, i+2)
	}
	if i > 0 && t.seen[i-1].End == s.Begin {
		t.seen[i-1].End = t.seen[i].End
		t.seen = slices.Delete(t.seen, i, i+1)
	}
}

// StartAt says that the rows that are added next are those from row on, in [0, 2^48):
// those of a part of all rows, whose CrossTuners are merged. Without it they are
// numbered from 0.
func (t *CrossTuner[T]) StartAt(row int) error {
	if err := t.enter(); err != nil {
		return err
	}
	defer t.turn.Give()
	if row < 0 || int64(row) >= 1<<48 {
		return errRowNumber
	}
	t.rows = row
	return nil
}

// CountScores counts the scores in bins, those that were kept and those that are added
// later: by the leading bits, in [8, 22], of the score, so many for all classes
// together, and so many for every class; these may be 0 where one threshold of a micro
// or a samples average is all that is asked for. Memory is then constant. Thresholds
// are those between bins, of which one is 0, and what they achieve is exact. It is an
// error where scores are in bins of other bits; CrossTuners are merged that have the
// same.
func (t *CrossTuner[T]) CountScores(microBits, classBits int) error {
	if err := t.enter(); err != nil {
		return err
	}
	defer t.turn.Give()
	average := t.objective.m.average
	micro, class := t.folds[0].microBits, t.folds[0].classBits
	if average == samples {
		micro, class = 0, classBits
		if t.inBins != nil {
			micro = t.inBins.bins.Bits
		}
	}
	if err := checkTunerBits(microBits, classBits, micro, class); err != nil {
		return err
	}
	switch {
	case average == Macro && classBits == 0:
		return errNoClassBins
	case average != samples:
		for f := range t.folds {
			t.folds[f].count(microBits, classBits)
		}
	case t.inBins == nil:
		t.inBins = newSampleBins[T](microBits)
		t.inBins.count(&t.objective, t.bySample)
		t.bySample = nil
	}
	t.parts, t.binParts = nil, nil
	return nil
}

// Merge adds the rows that o has seen, which stays as it is. Both have the same
// objective and number of classes, and their scores are kept or in the same bins. Rows
// are numbered, for the folds, by StartAt; rows of the same numbers are an error. The
// next rows to be added follow the last of all.
func (t *CrossTuner[T]) Merge(o *CrossTuner[T]) error {
	leave, err := enterBoth(t, o)
	if err != nil {
		return err
	}
	defer leave()
	if what := t.differs(o); what != "" {
		return errors.New("metrics: merge of " + what)
	}
	for _, s := range o.seen {
		if err := t.overlaps(s); err != nil {
			return err
		}
	}
	switch {
	case t.inBins != nil:
		t.inBins.take(o.inBins, false)
	case t.bySample != nil:
		t.bySample.take(o.bySample)
	default:
		for f := range t.folds {
			t.folds[f].merge(&o.folds[f])
		}
	}
	for _, s := range slices.Clone(o.seen) {
		t.note(s)
	}
	t.rows = max(t.rows, o.rows)
	return nil
}

// differs says in what two differ so that they cannot be merged, "" if they do not.
func (t *CrossTuner[T]) differs(o *CrossTuner[T]) string {
	switch a, b := t.objective, o.objective; {
	case t.classes != o.classes:
		return fmt.Sprintf("%d and %d classes", t.classes, o.classes)
	case a.m.name != b.m.name:
		return fmt.Sprintf("different objectives: %s and %s", a.m.name, b.m.name)
	case a.target != b.target:
		return fmt.Sprintf("targets %v and %v", a.target, b.target)
	}
	m, c := t.bits()
	if n, d := o.bits(); m != n || c != d {
		return fmt.Sprintf("scores in bins of %d and %d bits, and of %d and %d; see CountScores", m, c, n, d)
	}
	return ""
}

// bits are those of the bins, 0 where scores are kept.
func (t *CrossTuner[T]) bits() (micro, class int) {
	if t.inBins != nil {
		return t.inBins.bins.Bits, 0
	}
	return t.folds[0].microBits, t.folds[0].classBits
}

// MarshalBinary returns what t has seen, so that another process can merge it: in the
// format of docs/partial.md. The number of workers is not part of it.
func (t *CrossTuner[T]) MarshalBinary() ([]byte, error) {
	if err := t.enter(); err != nil {
		return nil, err
	}
	defer t.turn.Give()
	w := partial.NewWriter(partial.CrossTuner)
	w.Count(scoreSize[T]())
	w.Count(t.classes)
	w.Text(t.objective.m.name)
	w.Float(t.objective.target)
	w.Count(t.rows)
	w.Count(len(t.seen))
	at := 0
	for _, s := range t.seen {
		w.Count(s.Begin - at)
		w.Count(s.End - s.Begin)
		at = s.End
	}
	switch {
	case t.inBins != nil:
		w.Count(t.inBins.bins.Bits)
		t.inBins.encode(w)
	case t.bySample != nil:
		w.Count(0)
		t.bySample.encode(w)
	default:
		for f := range t.folds {
			t.folds[f].encode(w)
		}
	}
	return w.Bytes(), nil
}

// UnmarshalBinary makes t the CrossTuner that was marshalled, of the same type of
// scores; its number of workers stays. After an error t is as it was before.
func (t *CrossTuner[T]) UnmarshalBinary(data []byte) error {
	if t == nil {
		return errObjective
	}
	if !t.turn.Take() {
		return errTunerUsed
	}
	defer t.turn.Give()
	x, err := decodeCrossTuner[T](data)
	if err != nil {
		return fmt.Errorf("metrics: CrossTuner: %w", err)
	}
	t.objective, t.classes, t.rows, t.seen = x.objective, x.classes, x.rows, x.seen
	t.folds, t.bySample, t.inBins, t.parts, t.binParts = x.folds, x.bySample, x.inBins, nil, nil
	return nil
}

// decodeCrossTuner reads what MarshalBinary wrote.
func decodeCrossTuner[T zlpr.Float](data []byte) (*CrossTuner[T], error) {
	r, err := partial.NewReader(data, partial.CrossTuner)
	if err != nil {
		return nil, err
	}
	if err := readSize[T](r); err != nil {
		return nil, err
	}
	x := &CrossTuner[T]{classes: r.Count()}
	name, target := r.Text(), r.Float()
	x.rows = r.Count()
	at := 0
	for range r.Length(2) {
		s := span{r.Count(), r.Count()}
		if !r.Check(int64(s.Begin) <= 1<<49 && int64(s.End) <= 1<<49 && s.End > 0 && (s.Begin > 0 || at == 0)) {
			break
		}
		s = span{at + s.Begin, at + s.Begin + s.End}
		x.seen, at = append(x.seen, s), s.End
		r.Check(at >= 0 && int64(at) <= 1<<49)
	}
	if !r.Check(int64(x.rows) <= 1<<49 && x.classes <= mostClasses && !math.IsNaN(target)) {
		return nil, r.End()
	}
	if x.objective, err = NewObjective(name, target); err != nil {
		r.Fail()
		return nil, r.End()
	}
	switch bits := 0; {
	case x.objective.m.average != samples:
		for f := range x.folds {
			x.folds[f] = decodeGathered[T](r, x.classes)
			m, c := x.folds[0].microBits, x.folds[0].classBits
			r.Check(m == x.folds[f].microBits && c == x.folds[f].classBits && (c > 0 || m == 0 || x.objective.m.average == Micro))
		}
	default:
		x.folds = newFolds[T](0, 0, 0)
		if bits = r.Count(); bits == 0 {
			x.bySample = &sampleScores[T]{}
			x.bySample.decode(r)
			break
		}
		if r.Check(leastBinBits <= bits && bits <= mostBinBits) {
			x.inBins = newSampleBins[T](bits)
			x.inBins.decode(r)
		}
	}
	return x, r.End()
}
