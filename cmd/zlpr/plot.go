package main

import (
	"math"
	"slices"

	"github.com/zlpr/zlpr/cmd/zlpr/internal/figure"
	"github.com/zlpr/zlpr/internal/atomicfile"
)

// plotElements is about how many scores a picture is made of.
const plotElements = 1 << 21

// A scoreSample is the scores of an evaluation by their labels: of all rows, or
// of evenly spaced ones where there are many. Classes that a mask leaves out and
// NaN are not in it.
type scoreSample struct {
	negative, positive []float64
	step               int // every so manieth row
}

// sampleScores reads the scores again.
func sampleScores(e *evaluation) (*scoreSample, error) {
	rows, n := e.scores.rows(), e.scores.classes()
	s := &scoreSample{step: max(1, rows*n/plotElements)}
	width := (n + 63) / 64
	words, mask := make([]uint64, width), make([]uint64, width)
	var buffer, soft []float64
	for r := 0; r < rows; r += s.step {
		x := block(e.scores, &buffer, r, r+1)
		if e.labels != nil {
			if err := e.labels.block(r, r+1).ReadRows(words, 0, 1); err != nil {
				return nil, e.explain(err, r)
			}
		}
		if e.mask != nil {
			if err := e.mask.block(r, r+1).ReadRows(mask, 0, 1); err != nil {
				return nil, e.explain(err, r)
			}
		}
		for j, v := range x {
			if v != v || e.mask != nil && mask[j/64]>>(j%64)&1 == 0 || j == e.thresholdColumn-1 {
				continue
			}
			is := words[j/64]>>(j%64)&1 == 1
			if e.soft != nil {
				is = elements(e.soft, &soft, r*n+j, r*n+j+1)[0] > 0.5
			}
			if is {
				s.positive = append(s.positive, v)
			} else {
				s.negative = append(s.negative, v)
			}
		}
	}
	return s, nil
}

// histogram draws the scores with the threshold, NaN for none.
func (s *scoreSample) histogram(threshold float64) (*figure.Plot, error) {
	return figure.Histogram("Scores of positive and negative labels", finiteOf(s.negative), finiteOf(s.positive), threshold)
}

// finiteOf returns the numbers that are neither infinite nor NaN.
func finiteOf(x []float64) []float64 {
	if !slices.ContainsFunc(x, func(v float64) bool { return v-v != 0 }) {
		return x
	}
	return slices.DeleteFunc(slices.Clone(x), func(v float64) bool { return v-v != 0 })
}

// plotTraining draws the objective by iteration, the precision by the recall
// and the histogram of the scores of the last model.
func plotTraining(reports []*trainReport, measured part) (plots [3]*figure.Plot, err error) {
	var objective, curves []figure.Curve
	var negative, positive []float64 // scores, at last of the last model
	for _, r := range reports {
		c := figure.Curve{Name: r.Loss}
		last := float64(r.Objective)
		for i, v := range r.model.History {
			c.X, c.Y = append(c.X, float64(i)), append(c.Y, (v-last)/last) // the end itself has no logarithm
		}
		objective = append(objective, c)
		negative, positive = byLabels(r.scores, measured)
		curves = append(curves, precisionRecall(r.Loss, negative, positive))
	}
	descent, err := figure.Lines("Objective above its final value, relative", "iteration", "", true, objective...)
	if err != nil {
		return plots, err
	}
	curve, err := figure.Lines("All labels of the "+reports[0].MetricsRows+" rows", "recall", "precision", false, curves...)
	if err != nil {
		return plots, err
	}
	curve.Unit()
	last := reports[len(reports)-1]
	histogram, err := figure.Histogram("Scores of "+last.Loss, negative, positive, 0)
	if err != nil {
		return plots, err
	}
	return [...]*figure.Plot{descent, curve, histogram}, nil
}

// byLabels returns the scores of a part by its labels.
func byLabels(scores []float64, measured part) (negative, positive []float64) {
	n := measured.y.Cols
	for i, v := range scores {
		if measured.y.Words[i/n*measured.y.Stride+i%n/64]>>(i%n%64)&1 == 1 {
			positive = append(positive, v)
		} else {
			negative = append(negative, v)
		}
	}
	return negative, positive
}

// walkThresholds calls f for every score that occurs, from the highest on, with
// how many positives and negatives have at least that score. It sorts its
// arguments.
func walkThresholds(negative, positive []float64, f func(score float64, positives, negatives int)) {
	slices.Sort(negative)
	slices.Sort(positive)
	i, j := len(positive), len(negative)
	for i > 0 || j > 0 {
		score := math.Inf(-1)
		if i > 0 {
			score = positive[i-1]
		}
		if j > 0 {
			score = max(score, negative[j-1])
		}
		for i > 0 && positive[i-1] == score {
			i--
		}
		for j > 0 && negative[j-1] == score {
			j--
		}
		f(score, len(positive)-i, len(negative)-j)
	}
}

// precisionRecall returns the curve over all labels as scikit-learn has it: from
// recall 0 and precision 1 to that of all classes predicted. Of points closer
// than what a picture shows only some are kept. Without positives it is empty.
func precisionRecall(name string, negative, positive []float64) figure.Curve {
	c := figure.Curve{Name: name}
	if len(positive) == 0 {
		return c
	}
	const step = 0.002
	add := func(recall, precision float64) {
		c.X, c.Y = append(c.X, recall), append(c.Y, precision)
	}
	add(0, 1)
	kept := 0
	walkThresholds(negative, positive, func(_ float64, tp, fp int) {
		recall, precision := float64(tp)/float64(len(positive)), float64(tp)/float64(tp+fp)
		if len(c.X)-1 > kept { // the last point may go
			if math.Abs(recall-c.X[kept]) < step && math.Abs(precision-c.Y[kept]) < step {
				c.X, c.Y = c.X[:kept+1], c.Y[:kept+1]
			} else {
				kept = len(c.X) - 1
			}
		}
		add(recall, precision)
	})
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
