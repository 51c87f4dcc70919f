package metrics

import (
	"errors"
	"math"
	"math/big"
	"slices"
)

var nan = math.NaN()

func (a *accumulator[T]) Results() ([]Result, error) {
	if err := a.enter(); err != nil {
		return nil, err
	}
	defer a.turn.Give()
	t, err := a.totals()
	if err != nil {
		return nil, err
	}
	areas, err := a.areas()
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(a.metrics))
	for i, m := range a.metrics {
		results[i].Name = m.name
		if m.keepsScores() {
			results[i].Value, results[i].Bounds = areas[m.average][m.kind-auc].value, areas[m.average][m.kind-auc].Bounds
		} else {
			results[i].Value = result(t, m)
			results[i].Bounds = exactly(results[i].Value)
		}
	}
	return results, nil
}

// totals are the sums over all rows.
func (a *accumulator[T]) totals() (totals, error) {
	switch {
	case a.total.rowsCounted() == 0:
		return nil, ErrNoRows
	case a.total.weighed != nil:
		return a.total.weighed.with(&a.total.tally), nil
	}
	return &a.total.tally, nil
}

// ErrNoRows is the error of results of nothing: no row was added of which
// something takes part and whose weight is above 0.
var ErrNoRows = errors.New("metrics: no row counts")

// totals are the sums over all rows.
type totals interface {
	// over is number a over number b, NaN where that is 0.
	over(a, b int) float64
	// all is the measure of the counts of all elements.
	all(m metric) measured
	// class is the measure of the counts of a class.
	class(m metric, j int) measured
	// countsOf are those of a class, rounded to float64.
	countsOf(j int) (positive, predicted, both, missed, wrong float64)
	// classMean is the mean of a measure over the classes, weighted by their
	// positives where that is asked for; see meanOfNothing where these weights
	// are all 0.
	classMean(m metric) float64
}

// result is the value of a metric that needs no scores.
func result(t totals, m metric) float64 {
	if a, b := m.quotient(); b >= 0 {
		return t.over(a, b)
	}
	if m.average == Micro {
		return t.all(m).float64()
	}
	return t.classMean(m)
}

// quotient returns the numbers of a tally of which the metric is the quotient, -1 for
// none.
func (m metric) quotient() (a, b int) {
	switch m.kind {
	case subsetAccuracy:
		return numExact, numRows
	case hammingLoss:
		return numWrong, numElements
	case lrap:
		return numPrecision, numRows
	case coverageError:
		return numCoverage, numRows
	case rankingLoss:
		return numLoss, numRows
	case oneError:
		return numOneErrors, numPositiveRows
	case precisionAt, recallAt, ndcgAt:
		return numSlots + m.slot, numRows
	case pspAt, psndcgAt:
		return numSlots + m.slot, numSlots + m.slot + 1
	}
	if m.bySample() {
		if m.zero == ZeroDivisionNaN {
			return numSlots + m.slot, numSlots + m.slot + 1
		}
		return numSlots + m.slot, numRows
	}
	return -1, -1
}

func (t *tally) over(a, b int) float64 {
	var x, y fixed
	i := 0
	t.each(func(v fixed) {
		if i == a {
			x = v
		}
		if i == b {
			y = v
		}
		i++
	})
	return quotient(x, y)
}

func (t *tally) all(m metric) measured {
	return m.settled(m.ofAll(t.Positive, t.Predicted, t.TruePositive), t.Positive > 0, t.Predicted > 0)
}

func (t *tally) class(m metric, j int) measured {
	positive, predicted := t.ByClass[classPositive][j], t.ByClass[classPredicted][j]
	return m.settled(m.ofAll(positive, predicted, t.ByClass[classTrue][j]), positive > 0, predicted > 0)
}

func (t *tally) countsOf(j int) (positive, predicted, both, missed, wrong float64) {
	y, p, b := t.ByClass[classPositive][j], t.ByClass[classPredicted][j], t.ByClass[classTrue][j]
	return float64(y), float64(p), float64(b), float64(y - b), float64(p - b)
}

func (t *tally) classMean(m metric) float64 {
	var sum fixed
	var weights uint64
	for j, positive := range t.ByClass[classPositive] {
		v, weight := t.class(m, j), uint64(1)
		if m.average == weighted {
			weight = positive
		}
		if !v.none {
			weights += weight
			sum.add(v.times(weight))
		}
	}
	if weights == 0 && m.average == weighted {
		return meanOfNothing(t, m)
	}
	return sum.over(weights)
}

// meanOfNothing is the mean over the classes weighted by their positives where
// there are none, scikit-learn's: of a Jaccard index the mean without weights,
// of the others the measure of all counts.
func meanOfNothing(t totals, m metric) float64 {
	if m.kind == jaccard {
		m.average = Macro
		return t.classMean(m)
	}
	return t.all(m).float64()
}

func (w *weighed) over(a, b int) float64 { return quotientBig(w.number(a), w.number(b)) }

func (w *weighed) all(m metric) measured {
	return m.settledWide(w.Sums.at(numPositive), w.Sums.at(numPredicted), w.Sums.at(numTruePositive))
}

func (w *weighed) class(m metric, j int) measured {
	return m.settledWide(w.ByClass.at(3*j+classPositive), w.ByClass.at(3*j+classPredicted), w.ByClass.at(3*j+classTrue))
}

// settledWide is the measure of long counts, settled.
func (m metric) settledWide(positive, predicted, both []uint64) measured {
	return m.settled(m.ofWide(positive, predicted, both), !isZero(positive), !isZero(predicted))
}

func (w *weighed) countsOf(j int) (positive, predicted, both, missed, wrong float64) {
	y, p, b := w.ByClass.at(3*j+classPositive), w.ByClass.at(3*j+classPredicted), w.ByClass.at(3*j+classTrue)
	less := func(a []uint64) []uint64 {
		rest := slices.Clone(a)
		subWide(rest, b)
		return rest
	}
	of := w.ByClass.float64
	return of(y), of(p), of(b), of(less(y)), of(less(p))
}

func (w *weighed) classMean(m metric) float64 {
	classes := w.ByClass.n / 3
	var mean fixed
	var defined uint64
	sum, weights := make([]uint64, w.ByClass.Words+3), make([]uint64, w.ByClass.Words+1)
	for j := range classes {
		v := w.class(m, j)
		if v.none {
			continue
		}
		if m.average != weighted {
			mean.add(v.fixed)
			defined++
			continue
		}
		positive := w.ByClass.at(3*j + classPositive)
		addWide(weights, positive)
		addMul(sum, positive, []uint64{v.Frac, v.Int})
	}
	switch {
	case m.average != weighted:
		return mean.over(defined)
	case isZero(weights):
		return meanOfNothing(w, m)
	}
	return quotientBig(toBig(sum), new(big.Int).Lsh(toBig(weights), 64))
}

// areas returns the area under the ROC curve and the average precision, micro
// and macro, those that are asked for.
func (a *accumulator[T]) areas() (areas [2][2]binnedArea, err error) {
	asked := func(average Average) bool {
		return slices.ContainsFunc(a.metrics, func(m metric) bool { return m.keepsScores() && m.average == average })
	}
	var classes [][2]binnedArea
	if asked(Macro) {
		if classes, err = a.areasOfClasses(); err != nil {
			return areas, err
		}
	}
	if asked(Micro) {
		if a.kinds.binned {
			a.total.binned.ready()
			areas[Micro][0], areas[Micro][1] = a.total.binned.micro.areas(new(stepsDown))
		} else {
			var k ranker[T]
			all := a.total.scores.all()
			auc, ap := all.areas(&k)
			areas[Micro] = [2]binnedArea{{auc, exactly(auc)}, {ap, exactly(ap)}}
		}
	}
	if !asked(Macro) {
		return areas, nil
	}
	// The mean over the classes that have both labels. The classes' values are
	// added in fixed point, so their order does not matter.
	var sums [2][3]fixed
	var both uint64
	for j, class := range classes {
		if !a.hasBoth(j) {
			continue
		}
		both++
		for kind, area := range class {
			for i, v := range [3]float64{area.value, area.Low, area.High} {
				sums[kind][i].add(toFixed(v))
			}
		}
	}
	for kind, sum := range sums {
		areas[Macro][kind] = binnedArea{sum[0].over(both), Bounds{sum[1].over(both), sum[2].over(both)}}
	}
	return areas, nil
}

// hasBoth reports whether a class has positives and negatives.
func (a *accumulator[T]) hasBoth(j int) bool {
	if a.kinds.binned {
		return a.total.binned.class[j].hasBoth()
	}
	return a.total.scores.Lists[j].hasBoth()
}

// areasOfClasses returns the areas of every class.
func (a *accumulator[T]) areasOfClasses() ([][2]binnedArea, error) {
	areas := make([][2]binnedArea, a.classes)
	workers := numWorkers(a.options.Workers)
	if a.kinds.binned {
		steps := make([]stepsDown, workers)
		b := &a.total.binned
		b.readyEach(func(worker, j int) { areas[j][0], areas[j][1] = b.class[j].areas(&steps[worker]) })
		return areas, nil
	}
	rankers := make([]ranker[T], workers)
	err := newSplit(func(worker, j, _ int) error {
		auc, ap := a.total.scores.Lists[j].areas(&rankers[worker])
		areas[j] = [2]binnedArea{{auc, exactly(auc)}, {ap, exactly(ap)}}
		return nil
	}).run(a.classes, 1, workers)
	return areas, err
}
