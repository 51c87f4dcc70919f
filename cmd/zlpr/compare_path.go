package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/metrics"
	reports "github.com/zlpr/zlpr/report"
)

// chosenHead is the head of that table.
var chosenHead = "| set | loss | λ | threshold | micro F1 | at 0 | macro F1 | samples F1 | micro F1: difference | macro F1: difference | gradient |\n|" + strings.Repeat("---|", 11) + "\n"

// comparedMeasures are those of the test rows by which losses are compared, each at its
// own λ and threshold.
var comparedMeasures = []string{"micro_f1", "macro_f1", "samples_f1"}

// kept returns what a comparison needs of the rows measured.
func (f *trainFlags) kept(d *dataset, scores []float64, rule metrics.Rule) (*reports.Rows, error) {
	measured := d.measured()
	n := measured.x.Rows
	rows, err := reports.NewRows(n, d.classes, nil, comparedMeasures)
	if err != nil {
		return nil, err
	}
	a, err := metrics.NewAccumulator[float64](d.classes, comparedMeasures, metrics.Options{Rule: rule, Workers: f.workers})
	if err != nil {
		return nil, err
	}
	words := (d.classes + 63) / 64
	out := &metrics.RowOutput{Terms: make([]float64, n*rows.Terms()), Positive: make([]uint64, n*words), Predicted: make([]uint64, n*words)}
	if err := a.AddRows(&metrics.Batch[float64]{Scores: zlpr.Matrix[float64]{Rows: n, Cols: d.classes, Data: scores, Stride: d.classes}, Labels: measured.y}, out); err != nil {
		return nil, err
	}
	return rows, rows.Set(0, n, nil, out)
}

// resamplingFlags say how differences are resampled.
type resamplingFlags struct {
	resamples  int
	seed       uint64
	confidence float64
}

// check checks them.
func (f *resamplingFlags) check() error {
	switch {
	case f.resamples < 1 || f.resamples > 1<<24:
		return usagef("--resamples %d: from 1 to 16777216", f.resamples)
	case !(f.confidence > 0 && f.confidence < 1):
		return usagef("--confidence %v: between 0 and 1", f.confidence)
	}
	return nil
}

// eachChosen trains a data set by every loss, each by its own λ and threshold, and
// compares them with the first.
func (f *compareFlags) eachChosen(ctx context.Context, s *session, t *trainFlags, d *dataset, set string, result func(comparison) error) error {
	var err error
	t.auto, t.measure = true, f.measure
	if t.objective, err = metrics.NewObjective(f.measure, 0); err != nil {
		return err
	}
	var first *trainReport
	for _, loss := range f.losses {
		r, err := t.fit(ctx, s, d, loss)
		if err != nil {
			return fmt.Errorf("%s: %w", quoted(set), err)
		}
		c := comparison{Set: set, trainReport: r}
		if first == nil {
			first = r
		} else if c.Differences, err = f.differ(ctx, t, d, first, r); err != nil {
			return err
		}
		if err := result(c); err != nil {
			return err
		}
	}
	return nil
}

// differ compares a report with the first one, by the same resamples of the rows.
func (f *compareFlags) differ(ctx context.Context, t *trainFlags, d *dataset, first, r *trainReport) (map[string]differenceReport, error) {
	var kept [2]*reports.Rows
	for k, r := range []*trainReport{first, r} {
		var err error
		if kept[k], err = t.kept(d, r.scores, r.choice.rule()); err != nil {
			return nil, err
		}
	}
	c, err := reports.Compare(ctx, kept[0], kept[1], reports.Options{Resamples: f.resamples, Seed: f.seed, Confidence: f.confidence, Workers: f.workers})
	if err != nil {
		return nil, err
	}
	return differences(c.Metrics), nil
}

// writeChosen prints the table of trainings each at its own λ and threshold.
func writeChosen(w io.Writer, c comparison) error {
	at := c.MetricsAtThreshold
	difference := func(name string) string {
		d, ok := c.Differences[name]
		if !ok {
			return ""
		}
		return fmt.Sprintf("%+.4f [%+.4f, %+.4f]", float64(d.Difference), float64(d.Low), float64(d.High))
	}
	_, err := fmt.Fprintf(w, "| %s | %s | %.2g | %.3g | %.4f | %.4f | %.4f | %.4f | %s | %s | %.1g |\n", c.Set, c.Loss, float64(c.L2), c.choice.tuning.Threshold,
		float64(at["micro_f1"]), float64(c.Metrics["micro_f1"]), float64(at["macro_f1"]), float64(at["samples_f1"]),
		difference("micro_f1"), difference("macro_f1"), float64(c.GradientNorm))
	return err
}
