package report

import (
	"errors"
	"fmt"
	"slices"

	"github.com/zlpr/zlpr/internal/partial"
)

// MarshalBinary returns r, so that another process can merge it: in the format of
// docs/partial.md, which later releases read.
func (r *Reliability) MarshalBinary() ([]byte, error) {
	w := partial.NewWriter(partial.Calibration)
	w.Count(int(r.of.Link))
	w.Float(r.of.Scale)
	w.Float(r.of.Shift)
	for _, edges := range [2][]float64{r.edges, r.tops} {
		w.Count(len(edges))
		for _, v := range edges {
			w.Float(v)
		}
	}
	w.Uint(r.n)
	r.brier.Encode(w)
	r.loss.Encode(w)
	for _, group := range [2]*[2][numBins]sums{&r.bins, &r.topped} {
		for k := range group {
			for i := range group[k] {
				s := &group[k][i]
				for _, v := range [...]uint64{s.n, s.positive, s.hi, s.lo, s.vhi, s.vlo} {
					w.Uint(v)
				}
			}
		}
	}
	return w.Bytes(), nil
}

// UnmarshalBinary makes r the Reliability that was marshalled. What is none, is
// damaged, or comes from a later format or from kernels of another specification is
// an error that says so; then r is as it was before.
func (r *Reliability) UnmarshalBinary(data []byte) error {
	d, err := partial.NewReader(data, partial.Calibration)
	var t Reliability
	if err == nil {
		link := d.Count()
		d.Check(link < len(links))
		t.of = Calibration{Link(link), d.Float(), d.Float()}
		for _, edges := range [2]*[]float64{&t.edges, &t.tops} {
			n := d.Length(8)
			d.Check(n == 0 || n == numBins-1)
			for range n {
				*edges = append(*edges, d.Float())
			}
			d.Check(slices.IsSorted(*edges) && !slices.ContainsFunc(*edges, func(v float64) bool { return v != v }))
		}
		t.n = d.Uint()
		t.brier.Decode(d)
		t.loss.Decode(d)
		for _, group := range [2]*[2][numBins]sums{&t.bins, &t.topped} {
			for k := range group {
				for i := range group[k] {
					s := &group[k][i]
					*s = sums{d.Uint(), d.Uint(), d.Uint(), d.Uint(), d.Uint(), d.Uint()}
					d.Check(s.positive <= s.n)
				}
			}
		}
		err = d.End()
	}
	if err != nil {
		return fmt.Errorf("report: Reliability: %w", err)
	}
	*r = t
	return nil
}

// Same is an error that says what keeps two Reliabilities from being merged: they
// are of two Calibrations, or of other bins of equal mass.
func (r *Reliability) Same(o *Reliability) error {
	switch {
	case r.of != o.of:
		return fmt.Errorf("report: merge of %v of %v·s + %v and %v of %v·s + %v",
			r.of.Link, r.of.Scale, r.of.Shift, o.of.Link, o.of.Scale, o.of.Shift)
	case !slices.Equal(r.edges, o.edges) || !slices.Equal(r.tops, o.tops):
		return errors.New("report: merge of bins of equal mass with other edges")
	}
	return nil
}
