package metrics

import (
	"fmt"
	"strconv"
	"strings"
)

// Average is the way in which the counts of all elements become one number.
type Average uint8

const (
	Micro    Average = iota // of all counts together
	Macro                   // the mean over the classes
	weighted                // the same, weighted by the positives
	samples                 // the mean over the rows
)

var averages = [...]string{"micro", "macro", "weighted", "samples"}

// kind is what a metric measures.
type kind uint8

const (
	precision kind = iota // these four with an average
	recall
	fBeta
	jaccard

	subsetAccuracy
	hammingLoss

	lrap
	coverageError
	rankingLoss

	oneError
	precisionAt // these five with k
	recallAt
	ndcgAt
	pspAt
	psndcgAt

	auc // these two with an average
	averagePrecision
)

// metric is a metric that Parse understood.
type metric struct {
	name    string
	kind    kind
	average Average
	beta    float64 // of fBeta
	k       int     // of the metrics at k
	slot    int     // of its sum over rows, where it has one
	zero    ZeroDivision
}

// thresholded reports whether the metric looks at predicted classes.
func (m metric) thresholded() bool { return m.kind <= hammingLoss }

// byClass reports whether the metric needs the counts of each class.
func (m metric) byClass() bool {
	return m.kind <= jaccard && (m.average == Macro || m.average == weighted)
}

// bySample reports whether the metric is a mean over rows of counts.
func (m metric) bySample() bool { return m.kind <= jaccard && m.average == samples }

// ranking reports whether the metric compares all scores of a row.
func (m metric) ranking() bool { return m.kind >= lrap && m.kind <= rankingLoss }

// top reports whether the metric looks at the k highest scores of a row.
func (m metric) top() bool { return m.kind >= oneError && m.kind <= psndcgAt }

// weighs reports whether the metric needs propensities.
func (m metric) weighs() bool { return m.kind == pspAt || m.kind == psndcgAt }

// keepsScores reports whether the metric needs all scores at the end.
func (m metric) keepsScores() bool { return m.kind >= auc }

var plainNames = map[string]kind{
	"subset_accuracy": subsetAccuracy,
	"hamming_loss":    hammingLoss,
	"lrap":            lrap,
	"coverage_error":  coverageError,
	"ranking_loss":    rankingLoss,
	"one_error":       oneError,
}

var averagedNames = map[string]kind{
	"precision":         precision,
	"recall":            recall,
	"jaccard":           jaccard,
	"auc":               auc,
	"average_precision": averagePrecision,
}

var topNames = map[string]kind{
	"precision_at_": precisionAt,
	"recall_at_":    recallAt,
	"ndcg_at_":      ndcgAt,
	"psp_at_":       pspAt,
	"psndcg_at_":    psndcgAt,
}

// parse reads the name of a metric.
func parse(name string) (metric, error) {
	if k, ok := plainNames[name]; ok {
		m := metric{name: name, kind: k}
		if k == oneError {
			m.k = 1
		}
		return m, nil
	}
	for prefix, k := range topNames {
		if digits, ok := strings.CutPrefix(name, prefix); ok {
			n, err := strconv.Atoi(digits)
			if err != nil || n < 1 || strconv.Itoa(n) != digits {
				return metric{}, fmt.Errorf("metrics: %q: %q is not a positive number", name, digits)
			}
			return metric{name: name, kind: k, k: n}, nil
		}
	}
	for a, prefix := range averages {
		rest, ok := strings.CutPrefix(name, prefix+"_")
		if !ok {
			continue
		}
		m := metric{name: name, average: Average(a)}
		if k, ok := averagedNames[rest]; ok {
			m.kind = k
			if m.keepsScores() && m.average > Macro {
				break
			}
			return m, nil
		}
		if digits, ok := strings.CutPrefix(rest, "f"); ok {
			beta, err := strconv.ParseFloat(digits, 64)
			if err != nil || !(beta > 0 && beta <= 1e6) {
				return metric{}, fmt.Errorf("metrics: %q: β = %q is not in (0, 10^6]", name, digits)
			}
			m.kind, m.beta = fBeta, beta
			return m, nil
		}
	}
	return metric{}, fmt.Errorf("metrics: there is no metric %q", name)
}

// All returns the names of the metrics that need no propensities, those at k
// for each of the ks. The names of the others are psp_at_K and psndcg_at_K.
func All(ks ...int) []string {
	var names []string
	for _, measure := range []string{"f1", "precision", "recall"} {
		for _, a := range averages {
			names = append(names, a+"_"+measure)
		}
	}
	names = append(names, "subset_accuracy", "hamming_loss", "samples_jaccard",
		"lrap", "coverage_error", "ranking_loss", "one_error")
	for _, prefix := range []string{"precision_at_", "recall_at_", "ndcg_at_"} {
		for _, k := range ks {
			names = append(names, prefix+strconv.Itoa(k))
		}
	}
	return append(names, "micro_auc", "macro_auc",
		"micro_average_precision", "macro_average_precision")
}

// NeedsScores reports whether the metric of that name needs all scores at
// once, so that an Accumulator that computes it keeps them.
func NeedsScores(name string) bool {
	m, err := parse(name)
	return err == nil && m.keepsScores()
}

// NeedsRule reports whether the metric of that name looks at predicted classes,
// so that Options.Rule matters to it.
func NeedsRule(name string) bool {
	m, err := parse(name)
	return err == nil && m.thresholded()
}
