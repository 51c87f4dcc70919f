package metrics

import "math/big"

// A tally holds what the metrics need of the rows seen, except all scores. All
// of it are sums.
type tally struct {
	Rows         uint64 // rows that count: something of them takes part
	PositiveRows uint64 // those of them with a positive
	Exact        uint64 // those predicted without an error
	Elements     uint64 // elements that take part
	Positive     uint64 // positive elements
	Predicted    uint64 // predicted elements
	TruePositive uint64 // elements positive and predicted
	OneErrors    uint64 // rows with a positive whose first class is none
	Coverage     fixed
	Precision    fixed       // of label ranking
	Loss         fixed       // of label ranking
	Sums         []fixed     // of the metrics that have a slot
	ByClass      [3][]uint64 // positive, predicted, both; nil where not needed
}

const (
	classPositive = iota
	classPredicted
	classTrue
)

// The numbers of a tally, but for those by class. That of a slot is numSlots plus
// the slot.
const (
	numRows = iota
	numPositiveRows
	numExact
	numElements
	numPositive
	numPredicted
	numTruePositive
	numWrong // elements
	numOneErrors
	numCoverage
	numPrecision
	numLoss
	numSlots
)

// each visits the numbers.
func (t *tally) each(visit func(fixed)) {
	for _, n := range [...]uint64{t.Rows, t.PositiveRows, t.Exact, t.Elements, t.Positive, t.Predicted,
		t.TruePositive, t.Positive + t.Predicted - 2*t.TruePositive, t.OneErrors} {
		visit(fixed{Int: n})
	}
	visit(t.Coverage)
	visit(t.Precision)
	visit(t.Loss)
	for _, v := range t.Sums {
		visit(v)
	}
}

func newTally(slots, classes int, byClass bool) tally {
	t := tally{Sums: make([]fixed, slots)}
	if byClass {
		for i := range t.ByClass {
			t.ByClass[i] = make([]uint64, classes)
		}
	}
	return t
}

// clear makes t empty.
func (t *tally) clear() {
	sums, byClass := t.Sums, t.ByClass
	clear(sums)
	for _, counts := range byClass {
		clear(counts)
	}
	*t = tally{Sums: sums, ByClass: byClass}
}

// merge adds o to t.
func (t *tally) merge(o *tally) {
	t.Rows += o.Rows
	t.PositiveRows += o.PositiveRows
	t.Exact += o.Exact
	t.Elements += o.Elements
	t.Positive += o.Positive
	t.Predicted += o.Predicted
	t.TruePositive += o.TruePositive
	t.OneErrors += o.OneErrors
	t.Coverage.add(o.Coverage)
	t.Precision.add(o.Precision)
	t.Loss.add(o.Loss)
	for i := range t.Sums {
		t.Sums[i].add(o.Sums[i])
	}
	for i, counts := range o.ByClass {
		for j, n := range counts {
			t.ByClass[i][j] += n
		}
	}
}

// of returns the measure m of counts. Divisions by zero give 0.
func (m metric) of(positive, predicted, both uint64) fixed {
	switch m.kind {
	case precision:
		return ratio(both, predicted)
	case recall:
		return ratio(both, positive)
	case jaccard:
		return ratio(both, positive+predicted-both)
	}
	if m.beta == 1 {
		return ratio(2*both, positive+predicted)
	}
	if both == 0 {
		return fixed{}
	}
	return m.betaOf(float64(positive), float64(predicted), float64(both))
}

// betaOf is (1+β²)·both / (β²·positive + predicted).
func (m metric) betaOf(positive, predicted, both float64) fixed {
	b := float64(m.beta * m.beta)
	return toFixed(float64((1+b)*both) / (float64(b*positive) + predicted))
}

// ofWide is of for long numbers of the same length.
func (m metric) ofWide(positive, predicted, both []uint64) fixed {
	switch m.kind {
	case precision:
		return ratioWide(both, predicted)
	case recall:
		return ratioWide(both, positive)
	}
	if m.kind == fBeta && m.beta != 1 {
		return m.betaWide(positive, predicted, both)
	}
	sum, double := make([]uint64, len(both)+1), make([]uint64, len(both)+1)
	addWide(sum, positive)
	addWide(sum, predicted)
	copy(double, both)
	if m.kind == jaccard {
		subWide(sum, double)
		return ratioWide(double, sum)
	}
	addWide(double, both)
	return ratioWide(double, sum)
}

// betaWide is F-beta of long numbers, in the arithmetic of that of counts: the
// numbers go over to float64 in units that make the largest about 1.
func (m metric) betaWide(positive, predicted, both []uint64) fixed {
	if isZero(both) {
		return fixed{}
	}
	p, q, b := toBig(positive), toBig(predicted), toBig(both)
	unit := -max(p.BitLen(), q.BitLen())
	float := func(x *big.Int) float64 {
		y := new(big.Float).SetInt(x)
		f, _ := y.SetMantExp(y, unit).Float64()
		return f
	}
	return m.betaOf(float(p), float(q), float(b))
}
