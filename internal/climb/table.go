package climb

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// String returns the find as an entry of the table of witnesses.
func (w Find) String() string {
	return fmt.Sprintf("{%q, %q, %s, Input%v},", w.Function, w.Quantity, strconv.FormatFloat(w.Error, 'g', 4, 64), w.Input)
}

// Key names the quantity and the function.
func (w Find) Key() string { return w.Function + ": " + w.Quantity }

// Merge returns the worst finds of every quantity of the functions, in their
// order: of known and of found, those whose bounds hold.
func Merge(functions []*Function, known, found []Find) []Find {
	worst := map[string]Find{}
	for _, w := range slices.Concat(known, found) {
		if w.Error > worst[w.Key()].Error {
			worst[w.Key()] = w
		}
	}
	var all []Find
	for _, f := range functions {
		for _, q := range f.Quantities {
			w, ok := worst[Find{Function: f.Name, Quantity: q.Name}.Key()]
			if ok && !q.Broken(w.Error) {
				all = append(all, w)
			}
		}
	}
	return all
}

// WitnessFile returns the source of the table of witnesses.
func WitnessFile(witnesses []Find) []byte {
	var b bytes.Buffer
	b.WriteString(`package climb

// Witnesses are the worst inputs found, by function, type and quantity, with the
// errors there: written by
//
//	go test -run TestClimb -climb 10m -update .   # searches, and keeps what is worse
//	go test -run TestClimbedWitnesses -update .          # takes the errors again, and sorts
//
// An input may be added by hand, as TestClimb prints it.
var Witnesses = []Find{
`)
	for _, w := range witnesses {
		fmt.Fprintf(&b, "\t%v\n", w)
	}
	b.WriteString("}\n")
	return b.Bytes()
}

// A tableRow is a row of the accuracy table.
type tableRow struct {
	label  string
	bounds []Quantity // one, or for float32 and float64
	worst  [2]float64 // of float32, float64
}

// AccuracyTable returns the table of bounds and of the worst errors found.
func AccuracyTable(functions []*Function, witnesses []Find) string {
	var rows []*tableRow
	for _, f := range functions {
		for _, q := range f.Quantities {
			i := slices.IndexFunc(rows, func(r *tableRow) bool { return r.label == q.Row })
			if i < 0 {
				i = len(rows)
				rows = append(rows, &tableRow{label: q.Row})
			}
			r := rows[i]
			q.Name, q.Row = "", ""
			if !slices.Contains(r.bounds, q) {
				r.bounds = append(r.bounds, q)
			}
		}
	}
	for _, w := range witnesses {
		for _, f := range functions {
			if f.Name != w.Function {
				continue
			}
			for _, q := range f.Quantities {
				if q.Name == w.Quantity {
					i := slices.IndexFunc(rows, func(r *tableRow) bool { return r.label == q.Row })
					kind := b2i(!f.single)
					rows[i].worst[kind] = max(rows[i].worst[kind], w.Error)
				}
			}
		}
	}
	var b strings.Builder
	b.WriteString("| | bound | worst found: float32, float64 |\n|---|---|---|\n")
	for _, r := range rows {
		slices.SortStableFunc(r.bounds, func(p, q Quantity) int { return cmp.Compare(q.Unit, p.Unit) }) // ULP last
		bounds := make([]string, len(r.bounds))
		for i, q := range r.bounds {
			bounds[i] = strings.TrimSuffix(fmt.Sprintf("%g %s", q.Bound, q.Unit), " relative")
		}
		fmt.Fprintf(&b, "| %s | %s | %s, %s |\n", r.label, strings.Join(bounds, ", "), r.found(0), r.found(1))
	}
	return b.String()
}

// found returns the worst error found of a type.
func (r *tableRow) found(kind int) string {
	if r.worst[kind] < 1e-3 {
		return fmt.Sprintf("%.1e", r.worst[kind])
	}
	return fmt.Sprintf("%.2f", r.worst[kind])
}
