package main

import (
	"fmt"
	"math"
	"strconv"

	"github.com/zlpr/zlpr/cmd/zlpr/internal/figure"
	"github.com/zlpr/zlpr/cmd/zlpr/internal/page"
	"github.com/zlpr/zlpr/metrics"
)

// page is the page of thresholds that were tuned: the curve over all thresholds,
// the scores, and the thresholds of the classes.
func (f *tuneFlags) page(e *evaluation, r *tuneReport, points []metrics.Point) (*page.Page, error) {
	p := &page.Page{Title: "Thresholds for " + quoted(e.files["scores"]), Inputs: pageInputs(f.inputs), Warnings: f.warnings}
	first := fmt.Sprintf("%s %.4f", r.what(), float64(r.Value))
	line := math.NaN()
	if r.each == nil {
		line = float64(r.Thresholds.(number))
		first = fmt.Sprintf("Threshold %s: %s", short(line), first)
	} else {
		first = "A threshold for each class: " + first
	}
	p.Decision = append(p.Decision, fmt.Sprintf("%s; threshold 0 has %.4f", first, float64(r.Untuned)))
	if v := float64(r.CrossFitted); v == v {
		p.Decision = append(p.Decision, fmt.Sprintf("On rows that the thresholds were not tuned on: %.4f (cross-fitted). That is what to expect of new rows.", v))
	}
	if f.out != "" {
		p.Decision = append(p.Decision, "To use them: zlpr eval or predict, with --thresholds "+page.Shell([]string{f.out}))
	}
	if r.Unmet != nil && *r.Unmet > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%d classes do not reach the target: they are never predicted", *r.Unmet))
	}
	values := page.Table{Head: []string{r.what(), "value"}, Rows: [][]page.Cell{page.Texts("threshold 0", short(float64(r.Untuned))),
		page.Texts("tuned", short(float64(r.Value))), page.Texts("cross-fitted", page.Short(float64(r.CrossFitted)))}}
	part := page.Part{Title: "The measure", Note: fmt.Sprintf("Over %s rows of %s classes.", grouped(r.Rows), grouped(r.Classes)), Tables: []page.Table{values}}
	if len(points) > 0 {
		curves := make([]figure.Curve, 3)
		lines := min(len(points), curveLines)
		for i := range lines {
			v := points[i*(len(points)-1)/max(1, lines-1)]
			for k, y := range [...]float64{v.Precision, v.Recall, v.F1} {
				curves[k].Name = [...]string{"precision", "recall", "F1"}[k]
				curves[k].X, curves[k].Y = append(curves[k].X, v.Threshold), append(curves[k].Y, y)
			}
		}
		plot, err := figure.Lines("One threshold for all classes", "threshold", "", false, curves...)
		if err != nil {
			return nil, err
		}
		plot.Y.Min, plot.Y.Max = 0, 1
		if err := addFigure(&part, plot, ""); err != nil {
			return nil, err
		}
	}
	sample, err := sampleScores(e)
	if err != nil {
		return nil, err
	}
	histogram, err := sample.histogram(line)
	if err != nil {
		return nil, err
	}
	caption := "Each histogram has area 1."
	if sample.step > 1 {
		caption += fmt.Sprintf(" Of every %s row.", ordinal(sample.step))
	}
	if err := addFigure(&part, histogram, caption); err != nil {
		return nil, err
	}
	p.Parts = append(p.Parts, part)
	if r.each != nil {
		classes := &page.Classes{All: len(r.each), Head: []page.Column{{Name: "threshold"}}}
		for j, v := range r.each[:min(len(r.each), page.MaxClasses)] {
			classes.Rows = append(classes.Rows, page.Class{Class: j, Values: []float64{v}})
		}
		part := page.Part{Title: "Thresholds by class", Classes: classes}
		if rest := classes.All - len(classes.Rows); rest > 0 {
			part.Note = fmt.Sprintf("The first %s of %s.", grouped(len(classes.Rows)), grouped(classes.All))
		}
		p.Parts = append(p.Parts, part)
	}
	p.Parameters = [][2]string{{"measure", r.Measure}, {"per class", strconv.FormatBool(r.each != nil)}}
	if r.Target != nil {
		p.Parameters = append(p.Parameters, [2]string{"target", short(float64(*r.Target))})
	}
	return p, nil
}
