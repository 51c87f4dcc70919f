package bce

import (
	"math"
	"math/bits"

	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/power"
	"github.com/zlpr/zlpr/internal/scalar"
)

// This file evaluates the negatives of the asymmetric loss with a shift. Those with p > m,
// the others have no term, are collected from anywhere in the rows and go to the kernels
// (see kernel/shifted.go) many at a time.

// shiftedRoom is the number of elements from which on the kernels take them; the rest of a
// word of 64 may come on top.
const shiftedRoom = coef.ShiftedPlane - 8 - 64

// A shiftedBlock is memory for the elements that are collected.
type shiftedBlock struct {
	w     [coef.ShiftedLen]float64
	at    [coef.ShiftedPlane]int32 // their classes; ^class for those that go by term
	parts []shiftedPart
	count int

	sum, err []float64  // of the rows
	nan      []int      // rows with one
	p        [3]float64 // m, 1-m, and what that lacks
	cut      float64    // p ≤ m up to it
	far      float64    // scores from which on, in magnitude, term evaluates
}

// A shiftedPart is elements of a row, up to one in the block.
type shiftedPart struct{ row, end int }

// newShiftedBlock returns memory for a rule.
func newShiftedBlock[T kernel.Float](rule AsymmetricRule) *shiftedBlock {
	const most = 200
	m := rule.Shift
	b := &shiftedBlock{far: most}
	b.p[0], b.p[1] = m, 1-m
	b.p[2] = (1 - b.p[1]) - m
	cut := scalar.Log(m) - scalar.Log1p(-m)
	b.cut = cut - float64(0x1p-40*(1+math.Abs(cut)))
	if !kernel.IsFloat32[T]() && rule.Negative > kernel.MostFocalExponent {
		b.far = -1
	}
	return b
}

// shiftedRows evaluates the negatives of all rows.
func (a *Asymmetric[T]) shiftedRows(c *chunk.Chunk[T]) {
	if a.shifted == nil {
		a.shifted = newShiftedBlock[T](a.rule)
	}
	b := a.shifted
	b.sum, b.err, b.nan = kernel.Resize(b.sum, c.Rows), kernel.Resize(b.err, c.Rows), b.nan[:0]
	clear(b.sum)
	clear(b.err)
	for i := range c.Rows {
		if c.Grad != nil {
			clear(c.GradRow(i))
		}
		a.collect(c, i)
	}
	a.shiftedMany(c)
	for i, sum := range b.sum {
		if c.Loss[i] = sum; sum <= math.MaxFloat64 {
			c.Loss[i] += b.err[i]
		}
	}
	for _, i := range b.nan {
		c.SetNaN(i)
	}
}

// collect collects the negatives of row i.
func (a *Asymmetric[T]) collect(c *chunk.Chunk[T], i int) {
	b := a.shifted
	_, neg := c.Sides(i)
	x := c.Row(i)
	for k, v := range neg {
		n := b.count
		for ; v != 0; v &= v - 1 {
			j := 64*k + bits.TrailingZeros64(v)
			s := float64(x[j])
			if s <= b.cut {
				continue
			}
			b.w[coef.ShiftedY+n], b.at[n] = -s, int32(j)
			if !(math.Abs(s) <= b.far) {
				if s != s {
					b.nan = append(b.nan, i)
				}
				b.w[coef.ShiftedY+n], b.at[n] = 0, ^int32(j)
			}
			n++
		}
		if b.count = n; n >= shiftedRoom {
			b.endPart(i)
			a.shiftedMany(c)
		}
	}
	b.endPart(i)
}

// endPart notes that the elements up to now are of row i.
func (b *shiftedBlock) endPart(i int) { b.parts = append(b.parts, shiftedPart{i, b.count}) }

// shiftedMany evaluates the elements that have been collected.
func (a *Asymmetric[T]) shiftedMany(c *chunk.Chunk[T]) {
	b, plain := a.shifted, kernel.IsFloat32[T]()
	if b.count == 0 {
		b.parts = b.parts[:0]
		return
	}
	n := (b.count + 7) &^ 7
	w := &b.w
	clear(w[coef.ShiftedY+b.count : coef.ShiftedY+n])
	kernel.ShiftedOdds64(w[:], n, b.p[:], plain)
	if logs := w[coef.ShiftedLog:][:n]; a.rule.Negative == 0 {
		clear(logs) // nothing comes of them
	} else {
		kernel.LogPair64(logs, w[coef.ShiftedR:][:n], nil)
	}
	kernel.Log1p64(w[coef.ShiftedLog1p:][:n], w[coef.ShiftedOddsAt:][:n])
	kernel.ShiftedTerms64(w[:], n, a.rule.Negative, plain)
	from := 0
	for _, p := range b.parts {
		if p.end > from {
			a.shiftedPart(c, p.row, from, p.end)
		}
		from = p.end
	}
	b.count, b.parts = 0, b.parts[:0]
}

// shiftedPart adds the terms of a part of row i and sets their derivatives.
func (a *Asymmetric[T]) shiftedPart(c *chunk.Chunk[T], i, from, to int) {
	const least = 0x1p-190 // terms whose factors are numbers beyond doubt, and p > m
	var (
		b           = a.shifted
		at          = b.at[from:to]
		r           = b.w[coef.ShiftedR+from:][:len(at)]
		terms       = b.w[coef.ShiftedTerm+from:][:len(at)]
		derivatives = b.w[coef.ShiftedDerivative+from:][:len(at)]
		sum, err    = b.sum[i], b.err[i]
		grad        []T
		scale       float64
	)
	if c.Grad != nil {
		grad, scale = c.GradRow(i), c.Scale[i]
	}
	usual := middling(scale)
	for k, j := range at {
		t, class := terms[k], 1.0
		if c.Class != nil {
			class = c.Class[max(j, ^j)]
		}
		if j < 0 || !(t >= least && middling(class)) {
			if j < 0 || r[k] > coef.ShiftedLeast { // else p ≤ m
				sum, err = a.shiftedAlone(c, i, int(max(j, ^j)), class, scale, sum, err)
			}
			continue
		}
		sum, err = kernel.TwoSum(sum, err, float64(t*class))
		switch {
		case grad == nil:
		case usual:
			// the product of the factors as two numbers: a rounding less
			d, f := derivatives[k], float64(class*scale)
			grad[j] = T(math.FMA(d, f, float64(d*math.FMA(class, scale, -f))))
		default:
			_, d := a.term(float64(c.Row(i)[j]))
			grad[j] = T(d.Times(power.Number{Hi: class}).Times(power.Number{Hi: scale}).Float())
		}
	}
	b.sum[i], b.err[i] = sum, err
}

// shiftedAlone evaluates class j of row i, whatever the size of the score or of the factors,
// and adds the term to the sum.
func (a *Asymmetric[T]) shiftedAlone(c *chunk.Chunk[T], i, j int, class, scale, sum, err float64) (_, _ float64) {
	t, d := a.term(float64(c.Row(i)[j]))
	factor := power.Number{Hi: class}
	if c.Grad != nil {
		c.GradRow(i)[j] = T(d.Times(factor).Times(power.Number{Hi: scale}).Float())
	}
	return kernel.TwoSum(sum, err, t.Times(factor).Float())
}
