package main

import (
	"fmt"
	"io"
	"math"

	reports "github.com/zlpr/zlpr/report"
)

// A calibrateReport is what calibrate prints, and writes to its output.
type calibrateReport struct {
	By          string                       `json:"by"`
	Fit         string                       `json:"fit"`
	Scale       number                       `json:"scale"`
	Shift       number                       `json:"shift"`
	Rows        int                          `json:"rows"`
	Elements    uint64                       `json:"elements"`
	Before      calibrationErrors            `json:"before"`
	After       calibrationErrors            `json:"after"`
	Bias        map[string]binnedErrors      `json:"bias"`
	TopLabel    map[string]binnedErrors      `json:"top_label,omitempty"` // of the softmax
	Reliability map[string]reliabilityData   `json:"reliability"`
	Links       map[string]calibrationErrors `json:"links"`
	Warnings    []string                     `json:"warnings"`
	Inputs      []inputReport                `json:"inputs"`
	Seconds     number                       `json:"seconds"`
	Tier        string                       `json:"tier"`
	Version     string                       `json:"version"`

	all   []reports.Calibration
	found []reports.Errors
}

type calibrationErrors struct {
	Brier    number `json:"brier"`
	LogLoss  number `json:"log_loss"`
	ECEWidth number `json:"ece_width"`
	ECEMass  number `json:"ece_mass"`
}

type binnedErrors struct {
	ECEWidth number `json:"ece_width"`
	ECEMass  number `json:"ece_mass"`
}

type reliabilityData struct {
	Width []binReport `json:"width"`
	Mass  []binReport `json:"mass"`
}

type binReport struct {
	Low         number `json:"low"`
	High        number `json:"high"`
	Count       uint64 `json:"count"`
	Probability number `json:"probability"`
	Positive    number `json:"positive"`
}

// newCalibrateReport makes a report of what was found of all calibrations: before,
// after, and the other links.
func newCalibrateReport(f *calibrateFlags, after reports.Calibration, all []reports.Calibration, found []reports.Errors, rows int) *calibrateReport {
	r := &calibrateReport{By: f.by, Fit: f.fit, Scale: number(after.Scale), Shift: number(after.Shift), Rows: rows, Elements: found[0].Elements,
		Bias: map[string]binnedErrors{}, Reliability: map[string]reliabilityData{}, Links: map[string]calibrationErrors{}, all: all, found: found}
	list := func(bins []reports.Bin) []binReport {
		out := []binReport{}
		for _, b := range bins {
			out = append(out, binReport{number(b.Low), number(b.High), b.Count, number(b.Probability), number(b.Positive)})
		}
		return out
	}
	for i, v := range found {
		errs := calibrationErrors{number(v.Brier), number(v.LogLoss), number(v.ECEWidth), number(v.ECEMass)}
		if i != 1 {
			r.Links[all[i].Link.String()] = errs
		}
		if i > 1 {
			continue
		}
		when := []string{"before", "after"}[i]
		*[]*calibrationErrors{&r.Before, &r.After}[i] = errs
		r.Bias[when] = binnedErrors{number(v.BiasWidth), number(v.BiasMass)}
		r.Reliability[when] = reliabilityData{list(v.Width), list(v.Mass)}
		if !math.IsNaN(v.TopWidth) {
			if r.TopLabel == nil {
				r.TopLabel = map[string]binnedErrors{}
			}
			r.TopLabel[when] = binnedErrors{number(v.TopWidth), number(v.TopMass)}
		}
	}
	return r
}

// formula is the probability by a calibration, as people write it.
func formula(c reports.Calibration) string {
	inside := "s"
	factor := c.Scale
	if c.Link == reports.Sigmoid2 {
		factor *= 2
	}
	if factor != 1 {
		inside = short(factor) + "·s"
	}
	if c.Shift != 0 {
		shift := c.Shift
		if c.Link == reports.Sigmoid2 {
			shift *= 2
		}
		inside += fmt.Sprintf(" %c %s", "+-"[boolInt(shift < 0)], short(math.Abs(shift)))
	}
	name := "sigmoid"
	if c.Link == reports.Softmax {
		name = "softmax"
	}
	return name + "(" + inside + ")"
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// decision says in words whether the probabilities can be trusted.
func (r *calibrateReport) decision() string {
	best := 0
	for i := range r.found {
		if i != 1 && r.found[i].LogLoss < r.found[best].LogLoss {
			best = i
		}
	}
	text := fmt.Sprintf("Of the links, %s fits best: log loss %s.", formula(r.all[best]), short(r.found[best].LogLoss))
	ece := func(e reports.Errors) (ece, chance float64) {
		if !math.IsNaN(e.TopMass) {
			return e.TopMass, e.BiasMass
		}
		return e.ECEMass, e.BiasMass
	}
	before, chance := ece(r.found[0])
	if r.Fit == "none" {
		return text + fmt.Sprintf(" %s is off by %s on average (%s by chance).", formula(r.all[0]), short(before), short(chance))
	}
	after, left := ece(r.found[1])
	what := fmt.Sprintf("temperature %s", short(1/float64(r.Scale)))
	if r.Fit == "platt" {
		what += fmt.Sprintf(" and shift %s", short(float64(r.Shift)))
	}
	return text + fmt.Sprintf(" With %s, %s has log loss %s instead of %s, and is off by %s on average instead of %s (%s by chance).",
		what, formula(r.all[1]), short(r.found[1].LogLoss), short(r.found[0].LogLoss), short(after), short(before), short(left))
}

func (r *calibrateReport) writeText(w io.Writer) error {
	fmt.Fprintln(w, r.decision())
	fmt.Fprintln(w)
	t := newTable(w)
	t.row("p", "Brier", "log loss", "ECE, width", "by chance", "ECE, mass", "by chance")
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
		t.row(name, short(v.Brier), short(v.LogLoss), short(width), short(v.BiasWidth), short(mass), short(v.BiasMass))
	}
	t.gap()
	last := r.found[boolInt(r.Fit != "none")]
	t.row("p of "+formula(r.all[boolInt(r.Fit != "none")]), "elements", "mean p", "positive")
	for _, b := range last.Width {
		if b.Count > 0 {
			t.row(fmt.Sprintf("%.3f to %.3f", b.Low, b.High), fmt.Sprint(b.Count), short(b.Probability), short(b.Positive))
		}
	}
	t.gap()
	t.row("rows, elements", fmt.Sprintf("%d, %d", r.Rows, r.Elements))
	t.row("time", fmt.Sprintf("%s s, %s kernels", short(float64(r.Seconds)), r.Tier))
	for _, warning := range r.Warnings {
		t.row("warning", warning)
	}
	return t.flush()
}
