package main

import (
	"math"

	"github.com/zlpr/zlpr/cmd/zlpr/internal/figure"
	"github.com/zlpr/zlpr/cmd/zlpr/internal/page"
)

// page is the page of a calibration: the decision, the errors of every link, and
// how often what was predicted is so, before and after.
func (r *calibrateReport) page(scores string) *page.Page {
	p := &page.Page{Title: "Calibration of " + quoted(scores), Decision: []string{r.decision()}, Warnings: r.Warnings, Inputs: pageInputs(r.Inputs),
		Parameters: [][2]string{{"by", r.By}, {"fit", r.Fit}}, Time: short(float64(r.Seconds)) + " s"}
	t := page.Table{Head: []string{"probability", "Brier", "log loss", "ECE, width", "by chance", "ECE, mass", "by chance"}}
	best := math.Inf(1)
	for _, v := range r.found {
		best = min(best, v.LogLoss)
	}
	var curves []figure.Curve
	for i, v := range r.found {
		if i == 1 && r.Fit == "none" {
			continue
		}
		name := formula(r.all[i])
		if i == 1 {
			name += ", fitted"
		}
		width, mass := v.ECEWidth, v.ECEMass
		if !math.IsNaN(v.TopWidth) {
			width, mass = v.TopWidth, v.TopMass
		}
		row := page.Texts(name, short(v.Brier), short(v.LogLoss), short(width), short(v.BiasWidth), short(mass), short(v.BiasMass))
		row[2].Best = v.LogLoss == best
		t.Rows = append(t.Rows, row)
		if i > 1 {
			continue // of the others the table is enough
		}
		c := figure.Curve{Name: name}
		for _, b := range v.Width {
			if b.Count > 0 {
				c.X, c.Y = append(c.X, b.Probability), append(c.Y, b.Positive)
			}
		}
		curves = append(curves, c)
	}
	part := page.Part{Title: "Errors of the probabilities", Note: "Over " + groupedOf(r.Rows, "row") + "; ECE is the expected calibration error in 15 bins of equal width, or of equal mass, and what it would be of right probabilities by chance.",
		Tables: []page.Table{t}}
	addFigure(&part, figure.Reliability("Reliability", curves...), "On the dashed line the probabilities are right: below it too high, above it too low.")
	p.Parts = append(p.Parts, part)
	return p
}
