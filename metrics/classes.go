package metrics

import "errors"

// A ClassResult is what is known of one class.
//
// Counts are sums of the weights of the rows in which the class takes part: of
// rows without weights they are integers. They are rounded to float64 once, the
// measures are those of the metrics of these names, with their error bounds, for
// the class alone.
type ClassResult struct {
	Class   int
	Support float64 // positives

	// TruePositives are predicted positives, FalsePositives predicted negatives,
	// FalseNegatives the other positives.
	TruePositives, FalsePositives, FalseNegatives float64

	// Precision, Recall and F1 are what Options.ZeroDivision says where their
	// denominator is 0.
	Precision, Recall, F1 float64

	// AveragePrecision is 0 without positives. AUC, the area under the ROC curve, is
	// NaN without positives or without negatives. Of scores in bins they are those
	// of equal scores within each bin, and have bounds; else these are the value
	// twice.
	AveragePrecision, AUC             float64
	AveragePrecisionBounds, AUCBounds Bounds

	// Threshold is the score above which the class is predicted: that of the
	// Rule, NaN where its classes are the highest of a row alone, or where rows
	// brought thresholds of their own.
	Threshold float64
}

var errKept = errors.New("metrics: no scores are kept: no area is asked for")

// BestThreshold returns the threshold for all classes that has the highest micro
// F1 on the rows seen, and that F1, as Tuner.Best does; of scores in bins, the best
// of those between bins. It needs a metric of which NeedsScores reports true, or
// Options.ByClass.
func (a *Accumulator[T]) BestThreshold() (threshold, f1 float64, err error) {
	if a == nil {
		return 0, 0, errMade
	}
	return a.of().BestThreshold()
}

func (a *accumulator[T]) BestThreshold() (threshold, f1 float64, err error) {
	if err := a.enter(); err != nil {
		return 0, 0, err
	}
	defer a.turn.Give()
	s := a.total.scores
	switch {
	case a.kinds.binned:
		s = viewMicro[T](&a.total.binned)
	case !a.kinds.keep:
		return 0, 0, errKept
	}
	return s.solver(a.options.Workers).best(Micro)
}

var errByClass = errors.New("metrics: no counts by class; ask for them by Options.ByClass")

// Classes returns the results of every class, in the order of the classes. It
// needs Options.ByClass. It is ErrNoRows if no row counts. More batches may be
// added afterwards.
func (a *Accumulator[T]) Classes() ([]ClassResult, error) {
	if a == nil {
		return nil, errMade
	}
	return a.of().Classes()
}

func (a *accumulator[T]) Classes() ([]ClassResult, error) {
	if err := a.enter(); err != nil {
		return nil, err
	}
	defer a.turn.Give()
	if !a.options.ByClass {
		return nil, errByClass
	}
	t, err := a.totals()
	if err != nil {
		return nil, err
	}
	areas, err := a.areasOfClasses()
	if err != nil {
		return nil, err
	}
	measures := [...]metric{{kind: precision}, {kind: recall}, {kind: fBeta, beta: 1}}
	results := make([]ClassResult, a.classes)
	for j := range results {
		r := &results[j]
		r.Class, r.Threshold = j, a.threshold(j)
		r.Support, _, r.TruePositives, r.FalseNegatives, r.FalsePositives = t.countsOf(j)
		for i, to := range [...]*float64{&r.Precision, &r.Recall, &r.F1} {
			m := measures[i]
			m.zero = a.options.ZeroDivision
			*to = t.class(m, j).float64()
		}
		r.AUC, r.AUCBounds = areas[j][0].value, areas[j][0].Bounds
		r.AveragePrecision, r.AveragePrecisionBounds = areas[j][1].value, areas[j][1].Bounds
	}
	return results, nil
}

// threshold is the score above which class j is predicted, or NaN.
func (a *accumulator[T]) threshold(j int) float64 {
	switch rule := a.options.Rule; {
	case rule.topOnly || a.total.tally.OwnThresholds > 0:
		return nan
	case rule.each != nil:
		return rule.each[j]
	default:
		return rule.threshold
	}
}
