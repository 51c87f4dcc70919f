package main

import (
	"fmt"
	"github.com/zlpr/zlpr/internal/array"
	"io"
	"math"
	"os"
	"regexp"
	"strconv"

	"golang.org/x/term"

	reports "github.com/zlpr/zlpr/report"
)

// A diffReport is what diff prints.
type diffReport struct {
	comparisonReport                    // of the second file with the first
	Further          []comparisonReport `json:"further,omitempty"` // of the others with the first
	Rows             int                `json:"rows"`
	Units            int                `json:"units"` // rows, or groups, that are drawn
	Resamples        int                `json:"resamples"`
	Seed             uint64             `json:"seed"`
	Confidence       number             `json:"confidence"`
	Skipped          map[string]string  `json:"skipped"`
	Warnings         []string           `json:"warnings"`
	Inputs           []inputReport      `json:"inputs"`
	Seconds          number             `json:"seconds"`
	Tier             string             `json:"tier"`
	Version          string             `json:"version"`

	names      []string // of the files
	classNames []string
	measure    string // that decides
	show       int
	found      []*reports.Comparison
}

// A comparisonReport is what JSON has of two models.
type comparisonReport struct {
	A        string                      `json:"a"`
	B        string                      `json:"b"`
	Decision string                      `json:"decision"`
	Losses   map[string]differenceReport `json:"losses"`
	Metrics  map[string]differenceReport `json:"metrics"`
	Classes  []classDifference           `json:"classes"`
}

type differenceReport struct {
	A          number `json:"a"`
	B          number `json:"b"`
	Difference number `json:"difference"`
	Low        number `json:"low"`
	High       number `json:"high"`
	P          number `json:"p"`
}

type classDifference struct {
	Class      int     `json:"class"`
	Name       *string `json:"name"`
	A          number  `json:"a"`
	B          number  `json:"b"`
	Difference number  `json:"difference"`
	Low        number  `json:"low"`
	High       number  `json:"high"`
}

// add takes in the comparison of file k with the first.
func (d *diffReport) add(c *reports.Comparison, k int) {
	d.found = append(d.found, c)
	d.Units = c.Units
	measure := d.measure
	if measure == "" {
		measure = c.Leading()
	}
	a, b := d.names[0], d.names[k]
	r := comparisonReport{A: a, B: b, Decision: c.Decision(quoted(a), quoted(b), measure),
		Losses: differences(c.Losses), Metrics: differences(c.Metrics), Classes: []classDifference{}}
	for j, v := range c.Classes {
		class := classDifference{v.Class, nil, number(v.A), number(v.B), number(v.Difference), number(v.Low), number(v.High)}
		if d.classNames != nil {
			class.Name = &d.classNames[j]
		}
		r.Classes = append(r.Classes, class)
	}
	if k == 1 {
		d.comparisonReport = r
	} else {
		d.Further = append(d.Further, r)
	}
}

func differences(list []reports.Difference) map[string]differenceReport {
	m := map[string]differenceReport{}
	for _, v := range list {
		m[v.Name] = differenceReport{number(v.A), number(v.B), number(v.Difference), number(v.Low), number(v.High), number(v.P)}
	}
	return m
}

func (d *diffReport) writeJSON(w io.Writer) error { return writeJSON(w, d) }

// writeText writes the decision, then the classes that moved, then the tables.
func (d *diffReport) writeText(w io.Writer) error {
	fmt.Fprintln(w, d.Decision)
	for _, r := range d.Further {
		fmt.Fprintln(w, r.Decision)
	}
	fmt.Fprintln(w)
	if len(d.found) > 1 {
		if err := d.writeValues(w); err != nil {
			return err
		}
	}
	for k := range d.found {
		if err := d.writeComparison(w, k); err != nil {
			return err
		}
	}
	t := newTable(w)
	drawn := "rows"
	if d.Units != d.Rows {
		drawn = fmt.Sprintf("groups of %s", array.Counted(d.Rows, "row"))
	}
	t.row("drawn", fmt.Sprintf("%d %s, %d times, seed %d", d.Units, drawn, d.Resamples, d.Seed))
	t.row("time", fmt.Sprintf("%s s, %s kernels", short(float64(d.Seconds)), d.Tier))
	for name, why := range d.Skipped {
		t.row(name, "skipped: "+why)
	}
	for _, warning := range d.Warnings {
		t.row("warning", warning)
	}
	return t.flush()
}

// values are the losses and metrics of a comparison.
func values(c *reports.Comparison) []reports.Difference {
	return append(c.Losses[:len(c.Losses):len(c.Losses)], c.Metrics...)
}

// A mark stands for what is best: a star, or bold letters on a terminal.
const mark = "*"

var marked = regexp.MustCompile(`(\S+)\` + mark)

// writeValues writes the values of all files, the best of each line marked.
func (d *diffReport) writeValues(w io.Writer) error {
	bold := term.IsTerminal(int(os.Stdout.Fd()))
	t := newTable(w)
	if bold {
		t = newTable(boldWriter{w})
	}
	head := []string{""}
	for _, name := range d.names {
		head = append(head, shortName(name))
	}
	t.row(head...)
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
		cells := []string{v.Name}
		for _, y := range x {
			cell := short(y)
			if y == best {
				cell += mark
			}
			cells = append(cells, cell)
		}
		t.row(cells...)
	}
	if !bold {
		t.row("(" + mark + " the best)")
	}
	t.gap()
	return t.flush()
}

// A boldWriter writes what is marked in bold letters, of the same width.
type boldWriter struct{ to io.Writer }

func (w boldWriter) Write(p []byte) (int, error) {
	_, err := w.to.Write(marked.ReplaceAll(p, []byte("\x1b[1m$1\x1b[0m ")))
	return len(p), err
}

// writeComparison writes the classes that moved and the differences of a comparison.
func (d *diffReport) writeComparison(w io.Writer, k int) error {
	c := d.found[k]
	a, b := shortName(d.names[0]), shortName(d.names[k+1])
	t := newTable(w)
	gained, lost := c.Moved(d.show)
	for _, part := range []struct {
		title   string
		classes []reports.ClassDifference
	}{{"gained most", gained}, {"lost most", lost}} {
		if len(part.classes) == 0 {
			continue
		}
		t.row(part.title, a, b, "difference", fmt.Sprintf("%s %% interval", short(100*float64(d.Confidence))))
		for _, v := range part.classes {
			name := "class " + strconv.Itoa(v.Class)
			if d.classNames != nil {
				name += " " + shortName(d.classNames[v.Class])
			}
			t.row(name, short(v.A), short(v.B), signed(v.Difference), between(v.Low, v.High))
		}
		t.gap()
	}
	for _, part := range []struct {
		title string
		list  []reports.Difference
	}{{"loss", c.Losses}, {"metric", c.Metrics}} {
		if len(part.list) == 0 {
			continue
		}
		t.row(part.title, a, b, "difference", fmt.Sprintf("%s %% interval", short(100*float64(d.Confidence))), "p", "better")
		for _, v := range part.list {
			p, better := "", ""
			if !math.IsNaN(v.P) {
				p = short(v.P)
			}
			if s := v.Better(); s > 0 {
				better = b
			} else if s < 0 {
				better = a
			}
			t.row(v.Name, short(v.A), short(v.B), signed(v.Difference), between(v.Low, v.High), p, better)
		}
		t.gap()
	}
	return t.flush()
}

// signed is short with the sign.
func signed(x float64) string {
	if x > 0 && x <= math.MaxFloat64 { // +Inf has its sign
		return "+" + short(x)
	}
	return short(x)
}

// between is an interval as text, "" for none.
func between(low, high float64) string {
	if math.IsNaN(low) || math.IsNaN(high) {
		return ""
	}
	return signed(low) + " to " + signed(high)
}
