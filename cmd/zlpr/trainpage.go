package main

import (
	"fmt"
	"github.com/zlpr/zlpr/internal/array"
	"strconv"
	"strings"

	"github.com/zlpr/zlpr/cmd/zlpr/internal/figure"
	"github.com/zlpr/zlpr/cmd/zlpr/internal/page"
)

// page is the page of a training: the models side by side, how they were found,
// and their scores.
func (f *trainFlags) page(d *dataset, main *trainReport, reports []*trainReport, plots [3]*figure.Plot) *page.Page {
	p := &page.Page{Title: "Training on " + quoted(d.describe), Inputs: pageInputs(f.inputs), Warnings: f.warnings}
	p.Decision = append(p.Decision, fmt.Sprintf("%s: micro F1 %.4f, macro F1 %.4f on %s of %s", main.Loss,
		float64(main.Metrics["micro_f1"]), float64(main.Metrics["macro_f1"]), groupedOf(d.measured().x.Rows, main.MetricsRows+" row"), groupedOf(d.classes, "class")))
	if main.choice != nil {
		p.Decision = append(p.Decision, fmt.Sprintf("%s of validation rows chose λ = %.4g and %s: micro F1 %.4f, macro F1 %.4f there", f.measure, float64(main.L2),
			main.choice.shown(), float64(main.MetricsAtThreshold["micro_f1"]), float64(main.MetricsAtThreshold["macro_f1"])))
	}
	if main.MetricsRows == "train" {
		p.Warnings = append(p.Warnings, "There are no test rows: the measures are of the rows that the model was trained on, and say little of new ones.")
	}
	if len(reports) > 1 {
		p.Decision = append(p.Decision, compared(reports))
	}
	for _, r := range reports {
		if !r.Converged {
			p.Warnings = append(p.Warnings, fmt.Sprintf("%s has not converged in %s", r.Loss, array.Counted(r.Iterations, "iteration")))
		}
	}
	start := ""
	if f.seed != 0 {
		start = ", start from seed " + strconv.FormatUint(f.seed, 10)
	}
	p.Parts = []page.Part{{Title: "Measures of the " + main.MetricsRows + " rows", Tables: []page.Table{trainTable(reports)}}, {Title: "Training",
		Note: fmt.Sprintf("%s, %s, λ = %s%s", groupedOf(d.train.x.Rows, "train row"), groupedOf(d.features, "feature"), short(float64(main.L2)), start)}}
	t := page.Table{Head: []string{"loss", "objective", "gradient norm", "above the minimum", "iterations", "seconds"}}
	for _, r := range reports {
		t.Rows = append(t.Rows, page.Texts(r.Loss, fmt.Sprintf("%.10g", float64(r.Objective)), fmt.Sprintf("%.3g", float64(r.GradientNorm)), r.aboveMinimum(),
			r.ending(), fmt.Sprintf("%.3g", float64(r.Seconds))))
	}
	p.Parts[1].Tables = []page.Table{t}
	for _, r := range reports {
		if r.choice != nil {
			p.Parts[1].Tables = append(p.Parts[1].Tables, pathTable(r, f.measure))
		}
	}
	for _, plot := range plots {
		addFigure(&p.Parts[1], plot, "")
	}
	if len(p.Inputs) == 0 {
		p.Inputs = []page.Input{{Part: "features and labels", Name: d.describe, Shape: fmt.Sprintf("%d×%d", d.train.x.Rows+d.test.x.Rows, d.features)}}
	}
	return p
}

// lower are the metrics of which less is better.
var lower = map[string]bool{"hamming_loss": true, "coverage_error": true, "ranking_loss": true, "one_error": true}

// shown is the threshold in words.
func (c *choice) shown() string {
	if c.tuning.Thresholds != nil {
		return "a threshold for each class"
	}
	return fmt.Sprintf("threshold %.4g", c.tuning.Threshold)
}

// pathTable is the path of λ that was tried, the chosen one in bold.
func pathTable(r *trainReport, measure string) page.Table {
	t := page.Table{Head: []string{r.Loss + ": λ", measure, "threshold"}}
	for _, point := range r.choice.path {
		row := page.Texts(point.texts()...)
		for i := range row {
			row[i].Best = float64(point.L2) == r.choice.l2
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// trainTable is the metrics of the models side by side, the best in bold; with thresholds
// chosen, also at these.
func trainTable(reports []*trainReport) page.Table {
	t := page.Table{Head: []string{"metric"}}
	for _, r := range reports {
		t.Head = append(t.Head, r.Loss)
	}
	for _, r := range reports {
		if r.choice != nil {
			t.Head = append(t.Head, r.Loss+", at "+r.choice.shown())
		}
	}
	for i, m := range reports[0].results {
		row := page.Texts(m.Name)
		best := m.Value
		for _, r := range reports {
			if v := r.results[i].Value; lower[m.Name] && v < best || !lower[m.Name] && v > best {
				best = v
			}
		}
		for _, r := range reports {
			v := r.results[i].Value
			row = append(row, page.Cell{Text: fmt.Sprintf("%.4f", v), Best: len(reports) > 1 && v == best})
		}
		for _, r := range reports {
			if r.choice != nil {
				row = append(row, page.Cell{Text: fmt.Sprintf("%.4f", r.atThreshold[i].Value)})
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// compared says which loss is best by the F1 measures.
func compared(reports []*trainReport) string {
	var parts []string
	for _, name := range []string{"micro_f1", "macro_f1", "samples_f1"} {
		best := reports[0]
		for _, r := range reports {
			if r.Metrics[name] > best.Metrics[name] {
				best = r
			}
		}
		parts = append(parts, fmt.Sprintf("%s by %s", best.Loss, name))
	}
	return "Best: " + strings.Join(parts, ", ") + ". Whether the difference is more than chance zlpr diff tells, of their --test-scores."
}
