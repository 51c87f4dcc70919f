package zlpr

import (
	"fmt"
	"math"
	"reflect"

	"github.com/zlpr/zlpr/internal/partial"
	"github.com/zlpr/zlpr/internal/power"
)

// Results that travel from one process to another, as docs/partial.md describes.

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

// MarshalBinary returns the scores that a has seen, as far as their LogSumExp
// goes, for UnmarshalBinary in another process: at most 300 bytes, however many
// there were. The format is that of docs/partial.md.
func (a *Accumulator[T]) MarshalBinary() ([]byte, error) {
	a.take()
	defer a.give()
	s := &a.sum
	w := partial.NewWriter(partial.Exponential)
	w.Text(typeName[T]())
	w.Uint(uint64(s.class))
	s.powers.Encode(w)
	w.Count(s.blocks)
	w.Float(s.alone)
	w.Bool(s.topped)
	w.Float(s.top)
	return w.Bytes(), nil
}

// UnmarshalBinary makes a the Accumulator that was marshalled, of the same type of
// scores. The errors are those of Total.UnmarshalBinary; after one a stays as it
// is.
func (a *Accumulator[T]) UnmarshalBinary(data []byte) error {
	a.take()
	defer a.give()
	var s expSum
	r, err := partial.NewReader(data, partial.Exponential)
	if err == nil {
		if name := r.Text(); name != typeName[T]() && r.Check(name != "") {
			return fmt.Errorf("zlpr: Accumulator: of %q scores, not of %s", name, typeName[T]())
		}
		s.class = power.Class(min(r.Uint(), math.MaxUint8))
		s.powers.Decode(r)
		s.blocks, s.alone, s.topped, s.top = r.Count(), r.Float(), r.Bool(), r.Float()
		finite := func(x float64) bool { return x-x == 0 }
		r.Check(s.class <= power.NotANumber && finite(s.alone) && finite(s.top) &&
			(s.class != power.Finite || s.powers.Terms()))
		err = r.End()
	}
	if err != nil {
		return fmt.Errorf("zlpr: Accumulator: %w", err)
	}
	a.sum = s
	return nil
}

// typeName is the name of the type of scores: float32, float64, BFloat16, Float16.
func typeName[T Score]() string { return reflect.TypeFor[T]().Name() }
