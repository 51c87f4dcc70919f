package metrics

import (
	"errors"
	"fmt"
	"math"
	"math/big"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/partial"
)

// GradientShares tells where a loss comes from: the share that every class has
// in Σ |∂L/∂s| over all rows and classes.
//
// The sums are exact: shares do not depend, in any bit, on the order of the rows,
// nor on how they are cut into batches and shared between workers. Memory is
// constant.
//
// It is for one goroutine at a time.
type GradientShares struct {
	classes int
	sums    sums
	special bool // whether a derivative is NaN or infinite
}

// NewGradientShares returns the shares of that number of classes. It panics if
// the number is negative or above 2^30.
func NewGradientShares(classes int) *GradientShares {
	if classes < 0 || classes > mostClasses {
		panic("zlpr: GradientShares of a number of classes below 0 or above 2^30")
	}
	return &GradientShares{classes: classes, sums: newSums(classes, roomOfRows)}
}

var errShares = errors.New("metrics: the GradientShares were not made by NewGradientShares")

// AddGradient takes in the gradient of rows, as an Evaluator with the reduction
// Sum writes it. It allocates nothing once derivatives of that size were added. A
// gradient of 16 bits is widened by the caller.
func AddGradient[T zlpr.Float](s *GradientShares, grad zlpr.Matrix[T]) error {
	if s == nil || s.sums.room == 0 {
		return errShares
	}
	b := zlpr.Batch[T]{Scores: grad}
	c, err := checked(&b, s.classes, false)
	if err != nil {
		return err
	}
	g := c.Scores
	least, most := math.Inf(1), 0.0
	for r := range g.Rows {
		for _, v := range g.Data[r*g.Stride:][:g.Cols] {
			switch x := math.Abs(float64(v)); {
			case x > 0 && x <= math.MaxFloat64:
				least, most = min(least, x), max(most, x)
			case x != 0:
				s.special = true
			}
		}
	}
	if most == 0 || s.special {
		return nil
	}
	low := math.Ilogb(least) - 52
	s.sums.cover(window{max(low, -1074), math.Ilogb(most) + 1}, 0)
	for r := range g.Rows {
		for j, v := range g.Data[r*g.Stride:][:g.Cols] {
			if v != 0 {
				m, e := significand(math.Abs(float64(v)))
				addShifted(s.sums.at(j), m, s.sums.place(e))
			}
		}
	}
	return nil
}

// significand returns a positive finite number as m·2^e, with 53 bits at most.
func significand(x float64) (m uint64, e int) {
	b := math.Float64bits(x)
	m, e = b&(1<<52-1), int(b>>52)
	if e == 0 {
		e = 1 // subnormal
	} else {
		m |= 1 << 52
	}
	return m, e - 1075
}

// Merge adds the rows that o has seen, which stays as it is.
func (s *GradientShares) Merge(o *GradientShares) error {
	switch {
	case s == nil || o == nil || s.sums.room == 0 || o.sums.room == 0:
		return errShares
	case s.classes != o.classes:
		return fmt.Errorf("metrics: merge of %d and %d classes", s.classes, o.classes)
	}
	s.special = s.special || o.special
	s.sums.merge(&o.sums)
	return nil
}

// Shares returns the share of every class, rounded once. All are NaN where all
// derivatives are 0, or where one is NaN or infinite.
func (s *GradientShares) Shares() []float64 {
	shares := make([]float64, s.classes)
	total := new(big.Int)
	if !s.special && s.sums.Words > 0 {
		for j := range shares {
			total.Add(total, toBig(s.sums.at(j)))
		}
	}
	for j := range shares {
		if total.Sign() == 0 {
			shares[j] = nan
		} else {
			shares[j] = quotientBig(toBig(s.sums.at(j)), total)
		}
	}
	return shares
}

// MarshalBinary returns s, so that another process can merge it: in the format of
// docs/partial.md.
func (s *GradientShares) MarshalBinary() ([]byte, error) {
	if s == nil || s.sums.room == 0 {
		return nil, errShares
	}
	w := partial.NewWriter(partial.Shares)
	w.Count(s.classes)
	w.Bool(s.special)
	s.sums.encode(w)
	return w.Bytes(), nil
}

// UnmarshalBinary makes s the shares that were marshalled. After an error s is as
// it was before.
func (s *GradientShares) UnmarshalBinary(data []byte) error {
	r, err := partial.NewReader(data, partial.Shares)
	var t GradientShares
	if err == nil {
		t.classes, t.special = r.Count(), r.Bool()
		if r.Check(t.classes <= mostClasses) {
			t.sums = newSums(t.classes, roomOfRows)
			t.sums.decode(r)
			r.Check(t.sums.Words > 0 || t.sums.Low == 0)
		}
		err = r.End()
	}
	if err != nil {
		return fmt.Errorf("metrics: GradientShares: %w", err)
	}
	*s = t
	return nil
}
