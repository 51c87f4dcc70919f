package main

import (
	"math"
	"slices"

	"github.com/zlpr/zlpr/cmd/zlpr/internal/figure"
	"github.com/zlpr/zlpr/internal/atomicfile"
	"github.com/zlpr/zlpr/metrics"
)

// barsOf are score bins as a histogram has them.
func barsOf(bins []metrics.ScoreBin) []figure.Bar {
	bars := make([]figure.Bar, len(bins))
	for i, b := range bins {
		bars[i] = figure.Bar{Low: b.Low, High: b.High, Negative: b.Negative, Positive: b.Positive}
	}
	return bars
}

// histogramOf draws the scores with the threshold, NaN for none.
func histogramOf(bins []metrics.ScoreBin, threshold float64) *figure.Plot {
	return figure.Histogram("Scores of positive and negative labels", barsOf(bins), threshold)
}

// plotTraining draws the objective by iteration, the precision by the recall
// and the histogram of the scores of the last model.
func plotTraining(reports []*trainReport, measured part) (plots [3]*figure.Plot, err error) {
	var objective, curves []figure.Curve
	var bins []metrics.ScoreBin // at last of the last model
	for _, r := range reports {
		c := figure.Curve{Name: r.Loss}
		last := float64(r.Objective)
		for i, v := range r.model.History {
			c.X, c.Y = append(c.X, float64(i)), append(c.Y, (v-last)/last) // the end itself has no logarithm
		}
		objective = append(objective, c)
		if bins, err = binsOf(r.scores, measured); err != nil {
			return plots, err
		}
		curves = append(curves, precisionRecall(r.Loss, bins))
	}
	descent := figure.Lines("Objective above its final value, relative", "iteration", "", true, objective...)
	curve := figure.Lines("All labels of the "+reports[0].MetricsRows+" rows", "recall", "precision", false, curves...)
	curve.Unit()
	last := reports[len(reports)-1]
	histogram := figure.Histogram("Scores of "+last.Loss, barsOf(bins), 0)
	return [...]*figure.Plot{descent, curve, histogram}, nil
}

// binsOf counts the scores of a part in bins.
func binsOf(scores []float64, measured part) ([]metrics.ScoreBin, error) {
	a, err := metrics.NewAccumulator[float64](measured.y.Cols, []string{"micro_auc"}, pictureOptions)
	if err != nil {
		return nil, err
	}
	if err := a.Add(&metrics.Batch[float64]{Scores: matrix(scores, measured.y.Cols), Labels: measured.y}); err != nil {
		return nil, err
	}
	return a.ScoreBins()
}

// pictureOptions are those of an Accumulator for pictures alone.
var pictureOptions = metrics.Options{MicroBits: 20, ClassBits: 16, Workers: 1}

// precisionRecall returns the curve over all labels as scikit-learn has it: from
// recall 0 and precision 1 to that of all classes predicted, of thresholds between
// bins. Of points closer than what a picture shows only some are kept. Without
// positives it is empty.
func precisionRecall(name string, bins []metrics.ScoreBin) figure.Curve {
	c := figure.Curve{Name: name}
	total := 0.0
	for _, b := range bins {
		total += b.Positive
	}
	if total == 0 {
		return c
	}
	const step = 0.002
	add := func(recall, precision float64) {
		c.X, c.Y = append(c.X, recall), append(c.Y, precision)
	}
	add(0, 1)
	kept := 0
	tp, fp := 0.0, 0.0
	for i, b := range slices.Backward(bins) {
		tp, fp = tp+b.Positive, fp+b.Negative
		recall, precision := tp/total, tp/(tp+fp)
		if i == 0 {
			recall = 1
		}
		if len(c.X)-1 > kept { // the last point may go
			if math.Abs(recall-c.X[kept]) < step && math.Abs(precision-c.Y[kept]) < step {
				c.X, c.Y = c.X[:kept+1], c.Y[:kept+1]
			} else {
				kept = len(c.X) - 1
			}
		}
		add(recall, precision)
	}
	return c
}

// plotEndings are how the names of plots end.
var plotEndings = []string{".svg", ".png"}

func writePlots(files map[string]*atomicfile.File, paths []string, plots ...*figure.Plot) error {
	for _, path := range paths {
		if err := fileError(path, figure.Write(files[path], path, plots...)); err != nil {
			return err
		}
	}
	return nil
}
