package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/zlpr/zlpr/cmd/zlpr/internal/figure"
	"github.com/zlpr/zlpr/cmd/zlpr/internal/page"
	reports "github.com/zlpr/zlpr/report"
)

// page is the page of a comparison: the decision, every loss and metric side by
// side, and the classes, those that moved most first.
func (d *diffReport) page() *page.Page {
	var names []string
	for _, name := range d.names {
		names = append(names, quoted(name))
	}
	p := &page.Page{Title: "Comparison of " + strings.Join(names, " and "), Warnings: d.Warnings, Inputs: pageInputs(d.Inputs),
		Time: short(float64(d.Seconds)) + " s"}
	p.Decision = append(p.Decision, d.Decision)
	for _, r := range d.Further {
		p.Decision = append(p.Decision, r.Decision)
	}
	if len(d.found) > 1 {
		p.Parts = append(p.Parts, page.Part{Title: "All models", Note: "The best of each line is in bold.", Tables: []page.Table{d.valueTable()}})
	}
	for k := range d.found {
		p.Parts = append(p.Parts, d.comparisonPart(k))
	}
	for k := range d.found {
		if len(d.found[k].Classes) > 0 {
			p.Parts = append(p.Parts, d.classPart(k))
			break // one table that is sorted and searched
		}
	}
	drawn := groupedOf(d.Units, "row")
	if d.Units != d.Rows {
		drawn = groupedOf(d.Units, "group") + " of " + groupedOf(d.Rows, "row")
	}
	p.Parameters = [][2]string{{"drawn", drawn}, {"resamples", grouped(d.Resamples)}, {"seed", fmt.Sprint(d.Seed)}, {"confidence", short(float64(d.Confidence))}}
	for name, why := range d.Skipped {
		p.Parameters = append(p.Parameters, [2]string{name, "skipped: " + why})
	}
	slices.SortFunc(p.Parameters[4:], func(a, b [2]string) int { return cmp.Compare(a[0], b[0]) })
	return p
}

// valueTable is the losses and metrics of all models.
func (d *diffReport) valueTable() page.Table {
	t := page.Table{Head: append([]string{"loss or metric"}, d.names...)}
	for i, v := range values(d.found[0]) {
		x := []float64{v.A}
		for _, c := range d.found {
			x = append(x, values(c)[i].B)
		}
		best := math.NaN()
		for _, y := range x {
			if math.IsNaN(best) || v.LowerIsBetter && y < best || !v.LowerIsBetter && y > best {
				best = y
			}
		}
		row := page.Texts(v.Name)
		for _, y := range x {
			row = append(row, page.Cell{Text: short(y), Best: y == best})
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// comparisonPart is the comparison of file k+1 with the first.
func (d *diffReport) comparisonPart(k int) page.Part {
	c := d.found[k]
	part := page.Part{Title: fmt.Sprintf("%s against %s", d.names[k+1], d.names[0]),
		Note: fmt.Sprintf("A is %s, B is %s; what is better by the interval is in bold.", quoted(d.names[0]), quoted(d.names[k+1]))}
	interval := fmt.Sprintf("%s %% interval", short(100*float64(d.Confidence)))
	var drawn []figure.Interval
	for _, list := range []struct {
		title string
		of    []reports.Difference
	}{{"loss", c.Losses}, {"metric", c.Metrics}} {
		if len(list.of) == 0 {
			continue
		}
		t := page.Table{Head: []string{list.title, "A", "B", "B - A", interval, "p"}}
		for _, v := range list.of {
			better := v.Better()
			row := page.Texts(v.Name, short(v.A), short(v.B), signed(v.Difference), between(v.Low, v.High), page.Short(v.P))
			row[1].Best, row[2].Best = better < 0, better > 0
			t.Rows = append(t.Rows, row)
			share := func(x float64) bool { return x >= 0 && x <= 1 }
			if list.title == "metric" && share(v.A) && share(v.B) && !math.IsNaN(v.Low) {
				drawn = append(drawn, figure.Interval{Name: v.Name, Value: v.Difference, Low: v.Low, High: v.High, Better: better})
			}
		}
		part.Tables = append(part.Tables, t)
	}
	if len(drawn) == 0 {
		return part
	}
	addFigure(&part, figure.Intervals("Difference B - A, with its interval", "B - A", drawn), "An interval that leaves out 0 tells a difference: blue where B is better, orange where A is.")
	return part
}

// classPart is the classes, those that moved most first.
func (d *diffReport) classPart(k int) page.Part {
	c := d.found[k]
	order := slices.Clone(c.Classes)
	slices.SortStableFunc(order, func(a, b reports.ClassDifference) int {
		x, y := math.Abs(a.Difference), math.Abs(b.Difference)
		switch {
		case x == y || x != x && y != y:
			return 0
		case x > y || y != y:
			return -1
		}
		return 1
	})
	t := &page.Classes{All: len(order), Named: d.classNames != nil, Head: []page.Column{{Name: "A", Bar: true, Help: "F1 of A"}, {Name: "B", Bar: true, Help: "F1 of B"},
		{Name: "B - A"}, {Name: "low"}, {Name: "high"}}}
	for _, v := range order[:min(len(order), page.MaxClasses)] {
		class := page.Class{Class: v.Class, Values: []float64{v.A, v.B, v.Difference, v.Low, v.High}}
		if d.classNames != nil {
			class.Name = d.classNames[v.Class]
		}
		t.Rows = append(t.Rows, class)
	}
	part := page.Part{Title: "F1 of the classes, those that moved most first", Classes: t}
	if t.All > len(t.Rows) {
		part.Note = fmt.Sprintf("%s of %s classes.", grouped(len(t.Rows)), grouped(t.All))
	}
	return part
}
