package metrics

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
	// (1+β²)·both / (β²·positive + predicted)
	b := float64(m.beta * m.beta)
	return toFixed(float64((1+b)*float64(both)) / (float64(b*float64(positive)) + float64(predicted)))
}
