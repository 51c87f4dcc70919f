package report

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/zlpr/zlpr/internal/exact"
	"github.com/zlpr/zlpr/metrics"
)

// Rows has what the losses and metrics of a model are made of, row by row: what
// Compare draws from. For every row it keeps the losses, the terms of the metrics
// (see metrics.Formula), and, for metrics by class, the list of the classes that
// are positive or predicted.
//
// Rows are set in any order, also by several goroutines at once, each of which
// sets others.
type Rows struct {
	// Values has the losses and then the metrics of all rows, as zlpr.Total and
	// metrics.Accumulator know them; nil: Compare makes them of the rows, but for
	// the areas, which are made of all scores.
	Values []float64

	rows, classes int
	losses        []string
	formulas      []metrics.Formula
	zero          metrics.ZeroDivision
	terms         int       // of an Accumulator's row
	columns       []int     // the terms that are kept
	x             []float64 // rows × (losses and columns)
	byClass       bool
	lists         [][]uint32 // of every row: class·4 + 2 if it is positive + 1 if it is predicted
}

// mostClasses is the largest number of classes: eight entries for each are
// counted by 32 bits.
const mostClasses = 1 << 29

// NewRows returns Rows of losses and metrics of these names, whose divisions by zero give
// 0. Rows may have weights: losses are those that an Evaluator hands out, weighted.
func NewRows(rows, classes int, losses, names []string) (*Rows, error) {
	return NewRowsZeroDivision(rows, classes, losses, names, metrics.ZeroDivisionZero)
}

// NewRowsZeroDivision is NewRows of metrics whose divisions by zero give what zero says, as
// metrics.Options of the Accumulator of the rows have it.
func NewRowsZeroDivision(rows, classes int, losses, names []string, zero metrics.ZeroDivision) (*Rows, error) {
	if rows < 0 || int64(rows) >= 1<<31 {
		return nil, fmt.Errorf("report: %d rows, not in 0..2^31-1", rows)
	}
	if classes < 0 || classes > mostClasses {
		return nil, fmt.Errorf("report: %d classes, not in 0..%d", classes, mostClasses)
	}
	formulas, terms, err := metrics.FormulasZeroDivision(names, zero)
	if err != nil {
		return nil, err
	}
	r := &Rows{rows: rows, classes: classes, losses: slices.Clone(losses), formulas: formulas, zero: zero, terms: terms, columns: []int{metrics.RowsTerm}}
	for _, f := range formulas {
		r.byClass = r.byClass || f.ByClass()
		for _, t := range f.Terms() {
			if !slices.Contains(r.columns, t) {
				r.columns = append(r.columns, t)
			}
		}
	}
	r.x = make([]float64, rows*r.width())
	if r.byClass {
		r.lists = make([][]uint32, rows)
	}
	return r, nil
}

// width is the number of losses and terms of a row.
func (r *Rows) width() int { return len(r.losses) + len(r.columns) }

// Terms is the number of terms that AddRows writes for a row.
func (r *Rows) Terms() int { return r.terms }

// ByClass reports whether there is a metric by class: Set takes positive and
// predicted classes then.
func (r *Rows) ByClass() bool { return r.byClass }

// Set sets n rows from row first on: of each loss those of the rows, and what
// metrics.Accumulator.AddRows wrote of them.
func (r *Rows) Set(first, n int, losses [][]float64, out *metrics.RowOutput) error {
	words := (r.classes + 63) / 64
	switch {
	case first < 0 || n < 0 || first > r.rows-n:
		return fmt.Errorf("report: rows %d to %d of %d", first, first+n-1, r.rows)
	case len(losses) != len(r.losses):
		return fmt.Errorf("report: %d losses, want %d", len(losses), len(r.losses))
	case len(out.Terms) != n*r.terms:
		return fmt.Errorf("report: %d terms for %d rows of %d", len(out.Terms), n, r.terms)
	case r.byClass && (len(out.Positive) != n*words || len(out.Predicted) != n*words):
		return fmt.Errorf("report: classes of other than %d rows", n)
	}
	for k, l := range losses {
		if len(l) != n {
			return fmt.Errorf("report: %d losses %s for %d rows", len(l), r.losses[k], n)
		}
	}
	for i := range n {
		x := r.x[(first+i)*r.width():][:r.width()]
		for k, l := range losses {
			x[k] = l[i]
		}
		for k, c := range r.columns {
			x[len(losses)+k] = out.Terms[i*r.terms+c]
		}
	}
	if r.byClass {
		r.list(first, n, out, words)
	}
	return nil
}

// list lists the classes of rows.
func (r *Rows) list(first, n int, out *metrics.RowOutput, words int) {
	size := 0
	for i, p := range out.Positive {
		size += bits.OnesCount64(p | out.Predicted[i])
	}
	all := make([]uint32, 0, size)
	for i := range n {
		begin := len(all)
		for k, p := range out.Positive[i*words:][:words] {
			q := out.Predicted[i*words+k]
			for both := p | q; both != 0; both &= both - 1 {
				j := bits.TrailingZeros64(both)
				all = append(all, uint32(64*k+j)<<2|uint32(p>>j&1)<<1|uint32(q>>j&1))
			}
		}
		r.lists[first+i] = all[begin:len(all):len(all)]
	}
}

// sums returns the exact sums of losses and columns over all rows.
func (r *Rows) sums() []float64 {
	sums := make([]float64, r.width())
	for k := range sums {
		var s exact.Sum
		for i := range r.rows {
			s.Add(r.x[i*r.width()+k])
		}
		sums[k] = s.Float64()
	}
	return sums
}

// value returns loss or metric k of sums of the losses and columns: NaN where it
// is made of something else. spread is room for the terms.
func (r *Rows) value(k int, sums, spread []float64) float64 {
	n := len(r.losses)
	if k < n {
		return sums[k] / sums[n] // the first column is the number of rows
	}
	for i, c := range r.columns {
		spread[c] = sums[n+i]
	}
	return r.formulas[k-n].OfSums(spread)
}

// alike is an error if two Rows cannot be compared.
func (r *Rows) alike(o *Rows) error {
	same := func(a, b metrics.Formula) bool { return a.Name() == b.Name() }
	switch {
	case r.rows != o.rows || r.classes != o.classes:
		return fmt.Errorf("report: %d rows of %d classes beside %d of %d", r.rows, r.classes, o.rows, o.classes)
	case r.zero != o.zero:
		return fmt.Errorf("report: other divisions by zero")
	case !slices.Equal(r.losses, o.losses) || !slices.EqualFunc(r.formulas, o.formulas, same):
		return fmt.Errorf("report: other losses or metrics")
	}
	return nil
}
