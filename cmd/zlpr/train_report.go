package main

import (
	"fmt"
	"github.com/zlpr/zlpr/internal/array"
	"io"
	"math"

	"github.com/zlpr/zlpr/cmd/zlpr/internal/linear"
	"github.com/zlpr/zlpr/metrics"
)

// A trainReport is what train prints of one model.
type trainReport struct {
	Loss         string            `json:"loss"`
	L2           number            `json:"l2"`
	Objective    number            `json:"objective"`
	GradientNorm number            `json:"gradient_norm"`
	Gap          number            `json:"gap"` // what the objective is above its minimum, at most
	Iterations   int               `json:"iterations"`
	Converged    bool              `json:"converged"`
	Seconds      number            `json:"seconds"`
	Metrics      map[string]number `json:"metrics"`
	MetricsRows  string            `json:"metrics_rows"` // test or train

	// By --l2 auto.
	Threshold          any               `json:"threshold,omitempty"` // a number, or a list of one a class
	MetricsAtThreshold map[string]number `json:"metrics_at_threshold,omitempty"`
	Path               []pathPoint       `json:"path,omitempty"`

	results []metrics.Result
	model   *linear.Result
	scores  []float64 // of the rows measured
	rule    metrics.Rule

	choice      *choice // or nil
	atThreshold []metrics.Result
}

// relativeGap is the gap relative to the objective.
func (r *trainReport) relativeGap() float64 {
	if r.Gap == 0 {
		return 0
	}
	return float64(r.Gap) / math.Abs(float64(r.Objective))
}

// ending returns the number of iterations, and whether they were too few.
func (r *trainReport) ending() string {
	if r.Converged {
		return fmt.Sprint(r.Iterations)
	}
	return fmt.Sprintf("%d, not converged (%.1g)", r.Iterations, r.relativeGap())
}

// aboveMinimum says how far the objective is above its minimum, at most.
func (r *trainReport) aboveMinimum() string {
	if r.L2 == 0 {
		return "no bound without λ"
	}
	return fmt.Sprintf("at most %.2g of it", r.relativeGap())
}

func writeTrainJSON(w io.Writer, main *trainReport, reports []*trainReport, compare bool) error {
	if !compare {
		return writeJSON(w, main)
	}
	byLoss := map[string]*trainReport{}
	for _, r := range reports {
		byLoss[r.Loss] = r
	}
	return writeJSON(w, struct {
		*trainReport
		Compare map[string]*trainReport `json:"compare"`
	}{main, byLoss})
}

func writeTrainTable(w io.Writer, d *dataset, reports []*trainReport) error {
	t := newTable(w)
	t.row("data", d.describe)
	t.row("rows", fmt.Sprintf("%d train, %d test", d.train.x.Rows, d.test.x.Rows))
	t.row("size", fmt.Sprintf("%s, %s, %s labels a train row", array.Counted(d.features, "feature"), array.Counted(d.classes, "class"), short(float64(countPositives(d.train.y))/float64(d.train.x.Rows))))
	t.gap()
	column := func(name string, cell func(*trainReport) string) {
		row := []string{name}
		for _, r := range reports {
			row = append(row, cell(r))
		}
		t.row(row...)
	}
	column("loss", func(r *trainReport) string { return r.Loss })
	if reports[0].choice != nil {
		column("λ", func(r *trainReport) string { return fmt.Sprintf("%.4g", float64(r.L2)) })
	}
	column("objective", func(r *trainReport) string { return fmt.Sprintf("%.10g", float64(r.Objective)) })
	column("gradient norm", func(r *trainReport) string { return fmt.Sprintf("%.3g", float64(r.GradientNorm)) })
	column("above the minimum", (*trainReport).aboveMinimum)
	column("iterations", (*trainReport).ending)
	column("seconds", func(r *trainReport) string { return fmt.Sprintf("%.3g", float64(r.Seconds)) })
	t.gap()
	t.row(reports[0].MetricsRows + " rows")
	for i, m := range reports[0].results {
		column(m.Name, func(r *trainReport) string { return fmt.Sprintf("%.4f", r.results[i].Value) })
	}
	if reports[0].choice != nil {
		t.gap()
		column(reports[0].MetricsRows+" rows, at threshold", func(r *trainReport) string {
			if r.choice.tuning.Thresholds != nil {
				return "one a class"
			}
			return fmt.Sprintf("%.4g", r.choice.tuning.Threshold)
		})
		for i, m := range reports[0].atThreshold {
			column(m.Name, func(r *trainReport) string { return fmt.Sprintf("%.4f", r.atThreshold[i].Value) })
		}
	}
	return t.flush()
}
