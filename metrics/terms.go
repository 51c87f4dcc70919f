package metrics

// A RowOutput takes what AddRows finds of every row of a batch. All parts are
// optional.
type RowOutput struct {
	// Terms takes the row's terms of the sums over rows of which metrics are
	// made, see Formula: rows × Terms() numbers, 0 for a row that does not count.
	// A term is within 2 ULP of what the row adds to an Accumulator, times the
	// row's weight.
	Terms []float64

	// Positive and Predicted take the row's positive and its predicted classes:
	// a bit a class as in zlpr.BitLabels, each row in ⌈classes/64⌉ words. Those of
	// an element that is left out, or of a row of weight 0, are 0. Predicted is for
	// an Accumulator of metrics of predicted classes or of the K highest.
	Positive, Predicted []uint64
}

// fault says what is wrong with an output for that many rows, terms and words a
// row, "" for nothing.
func (o *RowOutput) fault(rows, terms, words int) string {
	switch {
	case o.Terms != nil && len(o.Terms) != rows*terms:
		return "terms"
	case o.Positive != nil && len(o.Positive) != rows*words:
		return "positive classes"
	case o.Predicted != nil && len(o.Predicted) != rows*words:
		return "predicted classes"
	}
	return ""
}

// begin clears the terms: rows that do not count have none.
func (o *RowOutput) begin() { clear(o.Terms) }

// row writes the terms of a row.
func (o *RowOutput) row(r int, t *tally, weight float64) {
	if o.Terms == nil {
		return
	}
	n := numSlots + len(t.Sums)
	dst, i := o.Terms[r*n:][:n], 0
	t.each(func(v fixed) {
		dst[i] = weight * v.float()
		i++
	})
}

// bits writes the classes of the rows of a chunk.
func (o *RowOutput) bits(r0 int, positive, predicted []uint64, words int) {
	if o.Positive != nil {
		copy(o.Positive[r0*words:], positive)
	}
	if o.Predicted != nil {
		copy(o.Predicted[r0*words:], predicted)
	}
}

// AddRows is Add, and hands out what it has found of every row: what a bootstrap
// draws from. out may be nil.
func (a *Accumulator[T]) AddRows(b *Batch[T], out *RowOutput) error {
	if a == nil {
		return errMade
	}
	if isDouble[T]() {
		return a.double.add(func(classes int) (Batch[float64], halfScores, error) {
			c, err := checked(any(b).(*Batch[float64]), classes, true)
			return c, nil, err
		}, out)
	}
	return a.single.add(func(classes int) (Batch[float32], halfScores, error) { return a.half.checked(b, classes, true) }, out)
}

// A Formula makes a metric of sums over rows, or of counts by class.
type Formula struct{ m metric }

// Formulas returns the formulas of the metrics of these names, and the number of
// terms that AddRows of an Accumulator of the same names in the same order writes
// for a row.
func Formulas(names []string) (formulas []Formula, terms int, err error) {
	return FormulasZeroDivision(names, ZeroDivisionZero)
}

// FormulasZeroDivision is Formulas of an Accumulator whose Options have that ZeroDivision.
func FormulasZeroDivision(names []string, zero ZeroDivision) (formulas []Formula, terms int, err error) {
	if err := zero.check(); err != nil {
		return nil, 0, err
	}
	var n needs
	for _, name := range names {
		m, err := parse(name)
		if err != nil {
			return nil, 0, err
		}
		m.zero = zero
		formulas = append(formulas, Formula{n.include(m)})
	}
	return formulas, numSlots + n.slots, nil
}

// RowsTerm is the term that is 1 for a row that counts and 0 for others, or its
// weight.
const RowsTerm = numRows

// Name returns the name of the metric.
func (f Formula) Name() string { return f.m.name }

// LowerIsBetter reports whether the metric is an error: the lower, the better.
func (f Formula) LowerIsBetter() bool {
	switch f.m.kind {
	case hammingLoss, coverageError, rankingLoss, oneError:
		return true
	}
	return false
}

// Terms returns the terms whose sums the metric is made of, nil for one that is
// made of counts by class or of all scores.
func (f Formula) Terms() []int {
	a, b := f.m.quotient()
	switch {
	case b >= 0:
		return []int{a, b}
	case f.m.kind <= jaccard && f.m.average == Micro:
		return []int{numPositive, numPredicted, numTruePositive}
	}
	return nil
}

// OfSums returns the metric of the sums of all terms: NaN where it is not
// defined, or made of something else. The error is at most 4 ULP for exact sums.
func (f Formula) OfSums(sums []float64) float64 {
	if a, b := f.m.quotient(); b >= 0 {
		if sums[b] == 0 {
			return nan
		}
		return sums[a] / sums[b]
	}
	if f.m.kind > jaccard || f.m.average != Micro {
		return nan
	}
	positive, predicted, both := sums[numPositive], sums[numPredicted], sums[numTruePositive]
	var n, d float64
	switch f.m.kind {
	case precision:
		n, d = both, predicted
	case recall:
		n, d = both, positive
	case jaccard:
		n, d = both, positive+predicted-both
	default:
		b := float64(f.m.beta * f.m.beta)
		n, d = float64((1+b)*both), float64(b*positive)+predicted
	}
	if d == 0 {
		return [...]float64{0, 1, nan}[f.m.zero]
	}
	return n / d
}

// ByClass reports whether the metric is made of counts by class: a macro or a
// weighted average.
func (f Formula) ByClass() bool { return f.m.byClass() }

// OfClasses returns the metric of counts by class, that ByClass reports: of
// positives, of predictions, and of those that are both. The bits are those of
// Accumulator.Results.
func (f Formula) OfClasses(positive, predicted, both []uint64) float64 {
	t := tally{ByClass: [3][]uint64{classPositive: positive, classPredicted: predicted, classTrue: both}}
	for j, n := range positive {
		t.Positive += n
		t.Predicted += predicted[j]
		t.TruePositive += both[j]
	}
	return t.classMean(f.m)
}
