package zlpr

import (
	"fmt"
	"math"

	"github.com/zlpr/zlpr/internal/exact"
	"github.com/zlpr/zlpr/internal/partial"
)

// A Total is the loss of any number of rows, of any number of batches and
// Evaluators: Output.Total adds a batch to it. The sums are exact, so that the
// Result has the same bits however the rows are cut into batches, shared among
// Totals and merged: those of one batch of all rows. The zero value is a Total
// of no rows.
//
// A Total is for one goroutine at a time.
type Total struct {
	sum, weight exact.Sum // Σ w_i·L_i and Σ w_i
	rows        int       // that count
	min, max    float64   // of the weighted losses, where any is there
	any         bool      // a loss that is no NaN
}

// Merge adds the rows of u, which stays as it is. It panics if u is nil.
func (t *Total) Merge(u *Total) {
	if u == nil {
		panic("zlpr: Merge of a nil Total")
	}
	t.sum.Merge(&u.sum)
	t.weight.Merge(&u.weight)
	t.rows += u.rows
	if u.any {
		t.span(u.min, u.max)
	}
}

// Result returns the loss of all rows: their sum for None and Sum, their mean
// for Mean, rounded as Result says. The mean is right where the sums are beyond
// the float64 or below its normal numbers, too. A mean over no rows, or over rows whose
// weights are 0, is ErrNoRows.
func (t *Total) Result(reduction Reduction) (Result, error) {
	r := Result{Sum: t.sum.Float64(), Weight: t.weight.Float64(), Rows: t.rows, Min: t.min, Max: t.max}
	r.Loss = r.Sum
	switch reduction {
	case None, Sum:
	case Mean:
		if !(r.Weight > 0) {
			return Result{}, ErrNoRows
		}
		r.Loss = quotient(&t.sum, r.Sum, &t.weight, r.Weight)
	default:
		return Result{}, badReduction(reduction)
	}
	return r, nil
}

// quotient returns the quotient of two sums, of which a and b are the values:
// also where these are less accurate than the sums, because they are beyond the
// normal float64, as the weights of rows may be.
func quotient(sum *exact.Sum, a float64, by *exact.Sum, b float64) float64 {
	if (a == 0 || normal(a)) && normal(b) {
		return a / b
	}
	m, e := sum.Scaled()
	n, f := by.Scaled()
	return math.Ldexp(m/n, e-f)
}

// normal reports whether x is a normal number.
func normal(x float64) bool { return math.Abs(x) >= 0x1p-1022 && finiteNumber(x) }

// badReduction is the error of a Reduction that is none.
func badReduction(r Reduction) error {
	return fieldError("Reduction", "%d, want None, Sum or Mean", int(r))
}

// extremes takes in the losses of the live rows. NaN are neither smallest nor
// largest.
func (t *Total) extremes(loss []float64, live []bool) {
	lo, hi := math.Inf(1), math.Inf(-1)
	for i, l := range loss {
		if live[i] && l == l {
			lo, hi = min(lo, l), max(hi, l)
		}
	}
	if lo <= hi {
		t.span(lo, hi)
	}
}

// span extends min and max by lo ≤ hi.
func (t *Total) span(lo, hi float64) {
	if !t.any {
		t.min, t.max, t.any = lo, hi, true
	}
	t.min, t.max = min(t.min, lo), max(t.max, hi)
}

// MarshalBinary returns t, exactly, for UnmarshalBinary in another process. The
// format is that of docs/partial.md, which later releases read; it ends with a
// checksum.
func (t *Total) MarshalBinary() ([]byte, error) {
	w := partial.NewWriter(partial.Total)
	t.sum.Encode(w)
	t.weight.Encode(w)
	w.Count(t.rows)
	w.Bool(t.any)
	if t.any {
		w.Float(t.min)
		w.Float(t.max)
	}
	return w.Bytes(), nil
}

// UnmarshalBinary makes t the Total that was marshalled. What is no Total, is
// damaged, or comes from a later format or from kernels of another specification,
// whose results have other bits, is an error that says so; then t stays as it is.
func (t *Total) UnmarshalBinary(data []byte) error {
	var u Total
	r, err := partial.NewReader(data, partial.Total)
	if err == nil {
		u.sum.Decode(r)
		u.weight.Decode(r)
		u.rows = r.Count()
		if u.any = r.Bool(); u.any {
			u.min, u.max = r.Float(), r.Float()
			r.Check(u.min <= u.max)
		}
		r.Check(u.weight.Weighs() && (u.rows > 0 || !u.any))
		err = r.End()
	}
	if err != nil {
		return fmt.Errorf("zlpr: Total: %w", err)
	}
	*t = u
	return nil
}
