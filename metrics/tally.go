package metrics

import "math/big"

// A tally holds what the metrics need of the rows seen, except all scores. All
// of it are sums.
type tally struct {
	Rows          uint64 // rows that count: something of them takes part
	PositiveRows  uint64 // those of them with a positive
	Exact         uint64 // those predicted without an error
	Elements      uint64 // elements that take part
	Positive      uint64 // positive elements
	Predicted     uint64 // predicted elements
	TruePositive  uint64 // elements positive and predicted
	OneErrors     uint64 // rows with a positive whose first class is none
	OwnThresholds uint64 // rows, whether they count or not, that bring their threshold
	Coverage      fixed
	Precision     fixed       // of label ranking
	Loss          fixed       // of label ranking
	Sums          []fixed     // of the metrics that have a slot
	ByClass       [3][]uint64 // positive, predicted, both; nil where not needed
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
	t.OwnThresholds += o.OwnThresholds
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

// of returns the measure m of the counts of a row. Divisions by zero give 0.
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
	// (1+β²)·both / (β²·positive + predicted)
	b := float64(m.beta * m.beta)
	return toFixed(float64((1+b)*float64(both)) / (float64(b*float64(positive)) + float64(predicted)))
}

// ofAll is of for the counts of all rows: F-beta too is only cut, so that it is
// the same of weights that are all equal, whatever they are.
func (m metric) ofAll(positive, predicted, both uint64) fixed {
	if m.kind != fBeta || m.beta == 1 {
		return m.of(positive, predicted, both)
	}
	b, one := m.betaSquared()
	const most = 1 << 31
	if b.Cmp(big.NewInt(most)) <= 0 && one.Cmp(big.NewInt(most)) <= 0 && max(positive, predicted) <= most {
		b, one := b.Uint64(), one.Uint64()
		return ratio((one+b)*both, b*positive+one*predicted)
	}
	return betaRatio(b, one, toBig([]uint64{positive}), toBig([]uint64{predicted}), toBig([]uint64{both}))
}

// ofWide is ofAll for long numbers of the same length.
func (m metric) ofWide(positive, predicted, both []uint64) fixed {
	switch m.kind {
	case precision:
		return ratioWide(both, predicted)
	case recall:
		return ratioWide(both, positive)
	}
	if m.kind == fBeta && m.beta != 1 {
		b, one := m.betaSquared()
		return betaRatio(b, one, toBig(positive), toBig(predicted), toBig(both))
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

// betaSquared is β², rounded to float64, as the quotient of integers b/one.
func (m metric) betaSquared() (b, one *big.Int) {
	r := new(big.Rat).SetFloat64(m.beta * m.beta)
	return r.Num(), r.Denom()
}

// betaRatio is (one + b)·both / (b·positive + one·predicted), cut to a multiple of
// 2^-64, and 0 where the denominator is 0.
func betaRatio(b, one, positive, predicted, both *big.Int) fixed {
	d := new(big.Int).Mul(b, positive)
	if d.Add(d, new(big.Int).Mul(one, predicted)); d.Sign() == 0 {
		return fixed{}
	}
	n := new(big.Int).Add(b, one)
	n.Mul(n, both).Lsh(n, 64).Quo(n, d)
	hi := new(big.Int).Rsh(n, 64)
	return fixed{hi.Uint64(), n.Sub(n, hi.Lsh(hi, 64)).Uint64()}
}
