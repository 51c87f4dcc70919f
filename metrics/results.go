package metrics

import (
	"errors"
	"math"
)

var nan = math.NaN()

// Results returns the values of the metrics, in the order in which
// NewAccumulator had their names. It is an error if no row counts. More
// batches may be added afterwards.
func (a *Accumulator[T]) Results() ([]Result, error) {
	if a.total.tally.Rows == 0 {
		return nil, errors.New("metrics: no row counts")
	}
	areas := a.areas()
	results := make([]Result, len(a.metrics))
	for i, m := range a.metrics {
		results[i].Name = m.name
		if m.keepsScores() {
			results[i].Value = areas[m.average][m.kind-auc]
		} else {
			results[i].Value = a.total.tally.result(m)
		}
	}
	return results, nil
}

// result is the value of a metric that needs no scores.
func (t *tally) result(m metric) float64 {
	switch m.kind {
	case subsetAccuracy:
		return fixed{Int: t.Exact}.over(t.Rows)
	case hammingLoss:
		return fixed{Int: t.Positive + t.Predicted - 2*t.TruePositive}.over(t.Elements)
	case lrap:
		return t.Precision.over(t.Rows)
	case coverageError:
		return t.Coverage.over(t.Rows)
	case rankingLoss:
		return t.Loss.over(t.Rows)
	case oneError:
		return fixed{Int: t.OneErrors}.over(t.PositiveRows)
	case precisionAt, recallAt, ndcgAt:
		return t.Sums[m.slot].over(t.Rows)
	case pspAt, psndcgAt:
		return quotient(t.Sums[m.slot], t.Sums[m.slot+1])
	}
	switch m.average {
	case samples:
		return t.Sums[m.slot].over(t.Rows)
	case Micro:
		return m.of(t.Positive, t.Predicted, t.TruePositive).over(1)
	}
	return t.classMean(m)
}

// classMean is the mean of a measure over the classes, weighted by their
// positives where that is asked for; 0 where these weights are all 0.
func (t *tally) classMean(m metric) float64 {
	var sum fixed
	var weights uint64
	for j, positive := range t.ByClass[classPositive] {
		weight := uint64(1)
		if m.average == weighted {
			weight = positive
		}
		weights += weight
		sum.add(m.of(positive, t.ByClass[classPredicted][j], t.ByClass[classTrue][j]).times(weight))
	}
	if weights == 0 && m.average == weighted {
		return 0
	}
	return sum.over(weights)
}

// areas returns the area under the ROC curve and the average precision, micro
// and macro, those that are asked for.
func (a *Accumulator[T]) areas() (areas [2][2]float64) {
	s := &a.total.scores
	var k ranker[T]
	var scratch []T
	for _, m := range a.metrics {
		if m.keepsScores() && m.average == Micro {
			areas[Micro][0], areas[Micro][1] = s.all().areas(&k, &scratch)
			break
		}
	}
	if !a.kinds.keepByClass {
		return areas
	}
	// The mean over the classes that have both labels. The classes' values are
	// added in fixed point, so their order does not matter.
	values := make([][2]float64, len(s.Lists))
	_ = split(len(s.Lists), 1, numWorkers(a.options.Workers), func() func(j, _ int) error {
		var k ranker[T]
		var scratch []T
		return func(j, _ int) error {
			values[j][0], values[j][1] = s.Lists[j].areas(&k, &scratch)
			return nil
		}
	})
	var sums [2]fixed
	var classes uint64
	for j, l := range s.Lists {
		if len(l.Pos) > 0 && len(l.Neg) > 0 {
			classes++
			sums[0].add(toFixed(values[j][0]))
			sums[1].add(toFixed(values[j][1]))
		}
	}
	areas[Macro] = [2]float64{sums[0].over(classes), sums[1].over(classes)}
	return areas
}
