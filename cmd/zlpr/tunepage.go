package main

import (
	"fmt"
	"math"
	"strconv"

	"github.com/zlpr/zlpr/cmd/zlpr/internal/figure"
	"github.com/zlpr/zlpr/cmd/zlpr/internal/page"
	"github.com/zlpr/zlpr/metrics"
)

// tuneCurves are precision, recall and F1 by the threshold: of points that are
// closer than a picture shows only some. Where nothing is predicted there is no
// precision.
func tuneCurves(points []metrics.Point) []figure.Curve {
	curves := []figure.Curve{{Name: "precision"}, {Name: "recall"}, {Name: "F1"}}
	span := math.Abs(points[0].Threshold - points[len(points)-1].Threshold)
	var last metrics.Point
	for i, v := range points {
		if v.Recall == 0 && v.Precision == 0 {
			continue
		}
		const step = 0.002
		far := math.Abs(v.Threshold-last.Threshold) >= step*span || math.Abs(v.Precision-last.Precision) >= step || math.Abs(v.Recall-last.Recall) >= step
		if len(curves[0].X) > 0 && !far && i < len(points)-1 {
			continue
		}
		last = v
		for k, y := range [...]float64{v.Precision, v.Recall, v.F1} {
			curves[k].X, curves[k].Y = append(curves[k].X, v.Threshold), append(curves[k].Y, y)
		}
	}
	return curves
}

// page is the page of thresholds that were tuned: the curve over all thresholds,
// the scores, and the thresholds of the classes.
func (f *tuneFlags) page(e *evaluation, r *tuneReport, points []metrics.Point, bins []metrics.ScoreBin) *page.Page {
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
		p.Warnings = append(p.Warnings, r.neverReached())
	}
	values := page.Table{Head: []string{r.what(), "value"}, Rows: [][]page.Cell{page.Texts("threshold 0", short(float64(r.Untuned))),
		page.Texts("tuned", short(float64(r.Value))), page.Texts("cross-fitted", page.Short(float64(r.CrossFitted)))}}
	part := page.Part{Title: "The measure", Note: fmt.Sprintf("Over %s of %s.", groupedOf(r.Rows, "row"), groupedOf(r.Classes, "class")), Tables: []page.Table{values}}
	if len(points) > 0 {
		plot := figure.Lines("One threshold for all classes", "threshold", "", false, tuneCurves(points)...)
		plot.Y.Min, plot.Y.Max = 0, 1
		addFigure(&part, plot, "")
	}
	addFigure(&part, histogramOf(bins, line), "Each histogram has area 1.")
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
	return p
}
