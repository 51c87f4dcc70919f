package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/metrics"
	reports "github.com/zlpr/zlpr/report"
)

// A number is a float64 in JSON, null where that has no name for it.
type number = reports.Number

// An evalReport is what eval prints.
type evalReport struct {
	Rows              int                     `json:"rows"`
	Classes           int                     `json:"classes"`
	LabelsPerRow      number                  `json:"labels_per_row"`
	Losses            map[string]reports.Loss `json:"losses"`
	Skipped           map[string]string       `json:"skipped"`
	Metrics           map[string]number       `json:"-"`
	Areas             map[string]area         `json:"metrics"` // all metrics, of which areas may have bounds
	ByClass           []classReport           `json:"by_class,omitempty"`
	Tuned             *tunedReport            `json:"tuned,omitempty"`
	Warnings          []string                `json:"warnings"`
	Seconds           number                  `json:"seconds"`
	ElementsPerSecond number                  `json:"elements_per_second"`
	Tier              string                  `json:"tier"`
	Version           string                  `json:"version"`
	Inputs            []inputReport           `json:"inputs"`
	Parameters        evalParameters          `json:"parameters"`

	read     string // what the scores are
	labels   string // what the labels are, and the file of the teacher; "" without
	teacher  string
	order    []string // of the losses
	elements bool     // whether losses have means over elements
	results  []metrics.Result
	worst    []worstRow
	show     int  // how many classes
	binned   bool // whether areas are of scores in bins
}

// fill takes in the results.
func (r *evalReport) fill(e *evaluation, result *evalResult) error {
	r.Rows, r.Classes = e.scores.rows(), e.scores.classes()
	r.LabelsPerRow = number(float64(result.positives) / float64(r.Rows))
	if e.labels == nil {
		r.LabelsPerRow = number(math.NaN())
	}
	r.Losses = map[string]reports.Loss{}
	r.elements = e.elements
	for i, l := range e.losses {
		v := &result.losses[i]
		loss, err := v.Result(zlpr.Mean)
		switch {
		case errors.Is(err, zlpr.ErrNoRows) && (e.all || e.partial):
			r.Skipped[l.name] = "no row counts"
			continue
		case errors.Is(err, zlpr.ErrNoRows):
			return e.noRows(l.name)
		case err != nil:
			return err
		}
		r.Losses[l.name] = reports.NewLoss(&loss)
		if e.elements {
			l := r.Losses[l.name]
			mean := number(meanOfElements(&loss, v.elements.Float64()))
			l.MeanClasses = &mean
			r.Losses[e.losses[i].name] = l
		}
		r.order = append(r.order, l.name)
		if r.worst == nil || l.name == "zlpr" {
			r.worst = v.worst
		}
		if sum := loss.Sum; math.IsNaN(sum) || math.IsInf(sum, 0) {
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s is %v; --strict names the first score that is NaN or infinite", l.name, sum))
		}
	}
	if len(r.order) == 0 && !e.partial && !e.all {
		return e.noRows("any loss")
	}
	if result.metrics == nil && len(e.metrics) > 0 {
		r.Warnings = append(r.Warnings, "no metrics: no row counts")
	}
	r.results, r.Tuned = result.metrics, result.tuned
	r.Metrics, r.Areas = map[string]number{}, map[string]area{}
	r.binned = e.microBits > 0
	for _, m := range result.metrics {
		r.Metrics[m.Name], r.Areas[m.Name] = number(m.Value), area{Value: m.Value, Bounds: m.Bounds}
	}
	if !result.logits && r.Rows > 0 {
		r.Warnings = append(r.Warnings, "all scores lie in [0, 1]: are they probabilities? The losses take logits, before any sigmoid or softmax")
	}
	if result.lost > 0 {
		r.Warnings = append(r.Warnings, unlisted(result.lost))
	}
	if r.Warnings == nil {
		r.Warnings = []string{}
	}
	r.Seconds = number(result.seconds)
	r.ElementsPerSecond = number(float64(r.Rows) * float64(r.Classes) / result.seconds)
	return nil
}

// unlisted is the warning of positive labels whose scores a sparse matrix does not list.
func unlisted(n int) string {
	return array.Counted(n, "positive label") + " without a listed score: that counts as -Inf, the loss of the row is infinite"
}

func (r *evalReport) writeJSON(w io.Writer) error { return writeJSON(w, r) }

// writeJSON writes a value as an object that people can read.
func writeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

func (r *evalReport) writeTable(w io.Writer) error {
	t := newTable(w)
	t.row("scores", r.read)
	if r.labels != "" {
		t.row("labels", r.labels)
	}
	if r.teacher != "" {
		t.row("teacher", r.teacher)
	}
	t.row("rows × classes", fmt.Sprintf("%d × %d", r.Rows, r.Classes))
	if v := float64(r.LabelsPerRow); !math.IsNaN(v) {
		t.row("labels a row", short(v))
	}
	t.gap()
	head := []string{"loss", "mean", "sum", "min", "max"}
	if r.elements {
		head = append(head, "mean of elements")
	}
	t.row(head...)
	for _, name := range r.order {
		l := r.Losses[name]
		row := []string{name, short(float64(l.Mean)), short(float64(l.Sum)), short(float64(l.Min)), short(float64(l.Max))}
		if l.MeanClasses != nil {
			row = append(row, short(float64(*l.MeanClasses)))
		}
		t.row(row...)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Skipped)) {
		t.row(name, "skipped: "+r.Skipped[name])
	}
	if len(r.results) > 0 {
		t.gap()
		writeMetrics(t, r.results)
	}
	if len(r.worst) > 0 {
		t.gap()
		rows, losses := []string{"worst rows"}, []string{"loss"}
		for _, v := range r.worst {
			rows = append(rows, strconv.Itoa(v.row))
			losses = append(losses, short(v.loss))
		}
		t.row(rows...)
		t.row(losses...)
	}
	r.writeHint(t)
	r.writeClasses(t)
	t.gap()
	t.row("time", fmt.Sprintf("%s s, %s elements/s, %s kernels", short(float64(r.Seconds)), short(float64(r.ElementsPerSecond)), r.Tier))
	for _, warning := range r.Warnings {
		t.row("warning", warning)
	}
	return t.flush()
}

// A rowTaker takes the rows of a table.
type rowTaker interface{ row(cells ...string) }

// writeMetrics writes metrics with averages side by side, then the others.
func writeMetrics(t rowTaker, results []metrics.Result) {
	values := map[string]string{}
	for _, r := range results {
		values[r.Name] = shown(r)
	}
	averages := []string{"micro", "macro", "weighted", "samples"}
	head := false
	done := map[string]bool{}
	for _, m := range []string{"f1", "precision", "recall", "jaccard", "auc", "average_precision"} {
		row, any := []string{m}, false
		for _, a := range averages {
			v, ok := values[a+"_"+m]
			any = any || ok
			done[a+"_"+m] = true
			row = append(row, v)
		}
		if !any {
			continue
		}
		if !head {
			t.row(append([]string{"metric"}, averages...)...)
			head = true
		}
		t.row(row...)
	}
	for _, r := range results {
		if !done[r.Name] {
			t.row(r.Name, values[r.Name])
		}
	}
}

// short returns a number in five digits.
func short(x float64) string { return strconv.FormatFloat(x, 'g', 5, 64) }

// A table is written with aligned columns.
type table struct {
	w    *tabwriter.Writer
	text bytes.Buffer
	to   io.Writer
}

func newTable(to io.Writer) *table {
	t := &table{to: to}
	t.w = tabwriter.NewWriter(&t.text, 0, 0, 2, ' ', 0)
	return t
}

func (t *table) row(cells ...string) {
	for len(cells) > 0 && cells[len(cells)-1] == "" {
		cells = cells[:len(cells)-1]
	}
	fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

// gap leaves a line free; columns go on below it.
func (t *table) gap() { fmt.Fprintln(t.w, "\t") }

// flush writes the table, no line with spaces at its end.
func (t *table) flush() error {
	if err := t.w.Flush(); err != nil {
		return err
	}
	_, err := t.to.Write(trailing.ReplaceAll(t.text.Bytes(), []byte("\n")))
	return err
}

var trailing = regexp.MustCompile(` +\n`)
