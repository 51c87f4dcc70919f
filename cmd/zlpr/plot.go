package main

import (
	"maps"
	"math"
	"slices"

	"github.com/zlpr/zlpr/cmd/zlpr/internal/figure"
	"github.com/zlpr/zlpr/internal/atomicfile"
)

// plotElements is about how many scores a histogram is made of.
const plotElements = 1 << 21

// plotScores draws the histogram of the scores of an evaluation: of all rows,
// or of evenly spaced ones where there are many.
func plotScores(e *evaluation, threshold float64, files map[string]*atomicfile.File) error {
	rows, n := e.scores.rows(), e.scores.classes()
	step := max(1, rows*n/plotElements)
	width := (n + 63) / 64
	words, mask := make([]uint64, width), make([]uint64, width)
	var buffer, soft []float64
	var negative, positive []float64
	for r := 0; r < rows; r += step {
		x := block(e.scores, &buffer, r, r+1)
		if e.labels != nil {
			if err := e.labels.block(r, r+1).ReadRows(words, 0, 1); err != nil {
				return e.explain(err, r)
			}
		}
		if e.mask != nil {
			if err := e.mask.block(r, r+1).ReadRows(mask, 0, 1); err != nil {
				return e.explain(err, r)
			}
		}
		for j, v := range x {
			if v-v != 0 || e.mask != nil && mask[j/64]>>(j%64)&1 == 0 {
				continue
			}
			is := words[j/64]>>(j%64)&1 == 1
			if e.soft != nil {
				is = elements(e.soft, &soft, r*n+j, r*n+j+1)[0] > 0.5
			}
			if is {
				positive = append(positive, v)
			} else {
				negative = append(negative, v)
			}
		}
	}
	p, err := figure.Histogram("Scores of positive and negative labels", negative, positive, threshold)
	if err != nil {
		return err
	}
	return writePlots(files, slices.Collect(maps.Keys(files)), p)
}

// plotTraining draws the objective by iteration, the precision by the recall
// and the histogram of the scores of the last model.
func plotTraining(reports []*trainReport, measured part, files map[string]*atomicfile.File, paths []string) error {
	var objective, curves []figure.Curve
	for _, r := range reports {
		c := figure.Curve{Name: r.Loss}
		last := float64(r.Objective)
		for i, v := range r.model.History {
			c.X, c.Y = append(c.X, float64(i)), append(c.Y, (v-last)/last) // the end itself has no logarithm
		}
		objective = append(objective, c)
		curves = append(curves, precisionRecall(r.Loss, r.scores, measured))
	}
	descent, err := figure.Lines("Objective above its final value, relative", "iteration", "", true, objective...)
	if err != nil {
		return err
	}
	curve, err := figure.Lines("All labels of the "+reports[0].MetricsRows+" rows", "recall", "precision", false, curves...)
	if err != nil {
		return err
	}
	curve.Unit()
	last := reports[len(reports)-1]
	var negative, positive []float64
	n := measured.y.Cols
	for i, v := range last.scores {
		if label(measured, i/n, i%n) {
			positive = append(positive, v)
		} else {
			negative = append(negative, v)
		}
	}
	histogram, err := figure.Histogram("Scores of "+last.Loss, negative, positive, 0)
	if err != nil {
		return err
	}
	return writePlots(files, paths, descent, curve, histogram)
}

func label(p part, row, class int) bool {
	return p.y.Words[row*p.y.Stride+class/64]>>(class%64)&1 == 1
}

// precisionRecall returns the curve over all labels, at most a few hundred
// points of it.
func precisionRecall(name string, scores []float64, measured part) figure.Curve {
	n := measured.y.Cols
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	total := float64(countPositives(measured.y))
	c := figure.Curve{Name: name}
	found, last := 0.0, -1.0
	for k, i := range order {
		if label(measured, i/n, i%n) {
			found++
		}
		tied := k+1 < len(order) && scores[order[k+1]] == scores[i]
		if recall := found / math.Max(1, total); !tied && (recall-last >= 0.002 || found == total) {
			c.X, c.Y = append(c.X, recall), append(c.Y, found/float64(k+1))
			last = recall
			if found == total {
				break
			}
		}
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
