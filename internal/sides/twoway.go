package sides

import (
	"math"
	"math/bits"

	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/power"
	"github.com/zlpr/zlpr/internal/scalar"
)

// A TwoWay evaluates, for one worker,
//
//	L = softplus(z),  z = T-·log Σ_N e^(s/T-) + T+·log Σ_P e^(-s/T+)
//
// With h for the highest negative and l for the lowest positive score, z is h - l, which
// is formed exactly, and the logarithms of sums between 1 and the number of classes. The
// exponentials of several short rows are taken at once.
type TwoWay[T kernel.Float] struct {
	temperature  [2]float64 // of the negatives, of the positives
	grad         []T
	rows         [][2]waySide
	powers, rest []float64 // e^((sign·s-top)/T) of the classes of the rows, row after row
}

// wayBlock is the number of exponentials that are taken at once, wayRows the most rows
// that they come from.
const wayBlock, wayRows = 1 << 10, 128

// NewTwoWay returns a TwoWay with temperatures of negatives and of positives.
func NewTwoWay[T kernel.Float](negative, positive float64) *TwoWay[T] {
	return &TwoWay[T]{temperature: [2]float64{negative, positive}}
}

// Eval evaluates the rows of a chunk.
func (w *TwoWay[T]) Eval(c *chunk.Chunk[T]) {
	c.Unpack()
	block := min(max(1, wayBlock/max(1, c.N)), wayRows)
	for i := 0; i < c.Rows; i += block {
		w.block(c, i, min(i+block, c.Rows))
	}
}

// block evaluates the rows from ≤ i < to.
func (w *TwoWay[T]) block(c *chunk.Chunk[T], from, to int) {
	m := (to - from) * c.N
	room := (m + kernel.Lanes64 - 1) &^ (kernel.Lanes64 - 1)
	w.rows, w.powers = kernel.Resize(w.rows, to-from), kernel.Resize(w.powers, room)
	if !kernel.IsFloat32[T]() {
		w.rest = kernel.Resize(w.rest, room)
	}
	for i := range w.rows {
		w.prepare(&w.rows[i], c, from+i, i*c.N)
	}
	clear(w.powers[m:])
	kernel.TiltExp(w.powers, w.powers, 1, 0)
	for i := range w.rows {
		if sides := &w.rows[i]; sides[0].any && sides[1].any {
			w.row(sides, c, from+i, i*c.N)
		}
	}
}

// A waySide is one side of a row.
type waySide struct {
	set      []uint64
	sign     float64
	top      float64 // the highest sign·s
	any, nan bool
	sum      float64 // Σ e^((sign·s-top)/T)
	log      pair    // its logarithm
	infinite bool
}

// prepare sets the sides of row i and, from at on, the arguments of its exponentials.
// Rows that need none are finished, and left without sides.
func (w *TwoWay[T]) prepare(sides *[2]waySide, c *chunk.Chunk[T], i, at int) {
	pos, neg := c.Sides(i)
	x, y := c.Row(i), w.powers[at:][:c.N]
	*sides = [2]waySide{{set: neg, sign: 1}, {set: pos, sign: -1}}
	clear(y)
	for k := range sides {
		find(&sides[k], x)
	}
	a, b := &sides[0], &sides[1]
	switch {
	case a.nan || b.nan:
		c.SetNaN(i)
	case !a.any || !b.any:
		c.SetNothing(i)
	case math.IsInf(a.top, 1) && math.IsInf(b.top, -1) || math.IsInf(a.top, -1) && math.IsInf(b.top, 1):
		c.SetNaN(i)
	case math.IsInf(a.top, -1) || math.IsInf(b.top, -1):
		c.SetNothing(i)
	default:
		for k := range sides {
			if s := &sides[k]; !s.infinite {
				w.arguments(s, x, k, at)
			}
		}
		return
	}
	a.any = false
}

// arguments writes (sign·s-top)/T of a side's classes, and for float64 what it lacks, for
// float32 what float64 rounds of it does not count. Below -1000 the power is 0 anyhow.
func (w *TwoWay[T]) arguments(s *waySide, x []T, side, at int) {
	const lowest = -1000
	t, y := w.temperature[side], w.powers[at:][:len(x)]
	if kernel.IsFloat32[T]() {
		for k, v := range s.set {
			for ; v != 0; v &= v - 1 {
				j := 64*k + bits.TrailingZeros64(v)
				y[j] = max((float64(s.sign*float64(x[j]))-s.top)/t, lowest)
			}
		}
		return
	}
	rest := w.rest[at:][:len(x)]
	for k, v := range s.set {
		for ; v != 0; v &= v - 1 {
			j := 64*k + bits.TrailingZeros64(v)
			d, err := difference(float64(s.sign*float64(x[j])), s.top)
			q := d / t
			if rest[j] = 0; q > lowest {
				rest[j] = (math.FMA(-q, t, d) + err) / t
			}
			y[j] = max(q, lowest)
		}
	}
}

// row evaluates row i, whose powers are those from at on.
func (w *TwoWay[T]) row(sides *[2]waySide, c *chunk.Chunk[T], i, at int) {
	for k := range sides {
		w.sum(&sides[k], at, k)
	}
	a, b := &sides[0], &sides[1]
	p := w.product(a, b)
	arg, rest := p.Log1pArgument()
	c.Loss[i] = scalar.Log1p(arg) + rest
	if a.infinite || b.infinite {
		c.Loss[i] = math.Inf(1)
		p = power.Number{Hi: 1, Shift: math.Inf(1)}
	}
	if c.Grad == nil {
		return
	}
	w.grad = kernel.Resize(w.grad, c.N)
	clear(w.grad)
	slope := waySlope(p, c.Scale[i])
	for k := range sides {
		s := &sides[k]
		if s.infinite {
			w.limit(s, c.Row(i), slope)
		} else {
			w.gradient(s, c.Row(i), k, at, slope)
		}
	}
	copy(c.GradRow(i), w.grad)
}

// waySlope returns p/(1+p)·scale: rounded to float64 where that and p are ordinary numbers.
func waySlope(p power.Number, scale float64) power.Number {
	if a := math.Abs(scale); -400 < p.Exp && p.Exp < 400 && p.Shift == 0 && a >= 0x1p-100 && a <= 0x1p100 {
		u := pairOf(p)
		return power.Number{Hi: u.times(pair{scale, 0}).over1p(u)}
	}
	return p.Share().Times(power.Number{Hi: scale})
}

// limit sets the derivatives of a side with an infinite score: all at that class, NaN
// where there are several.
func (w *TwoWay[T]) limit(s *waySide, x []T, slope power.Number) {
	one, first := T(s.sign*slope.Float()), -1
	for word, v := range s.set {
		for ; v != 0; v &= v - 1 {
			switch j := 64*word + bits.TrailingZeros64(v); {
			case !math.IsInf(s.sign*float64(x[j]), 1):
			case first < 0:
				first, w.grad[j] = j, one
			default:
				w.grad[first], w.grad[j] = kernel.CanonicalNaN[T](), kernel.CanonicalNaN[T]()
			}
		}
	}
}

// gradient sets the derivatives of a side, which are its powers times ±slope over their sum.
func (w *TwoWay[T]) gradient(s *waySide, x []T, side, at int, slope power.Number) {
	least, lowest := 0x1p-900, 0x1p-100 // no product is subnormal; of float32 it would be 0
	if kernel.IsFloat32[T]() {
		least, lowest = 0, 0
	}
	factor, powers := float64(s.sign*slope.Float())/s.sum, w.powers[at:][:len(x)]
	plain := math.Abs(factor) >= lowest && math.Abs(factor) <= 0x1p100
	for word, v := range s.set {
		for ; v != 0; v &= v - 1 {
			j := 64*word + bits.TrailingZeros64(v)
			if e := powers[j]; plain && e >= least {
				w.grad[j] = T(e * factor)
			} else {
				e := w.term(float64(s.sign*float64(x[j])), s.top, side)
				f := slope.Times(power.Number{Hi: s.sign * s.sum}.Inverse())
				w.grad[j] = T(e.Times(f).Float())
			}
		}
	}
}

// find sets what is known without an exponential.
func find[T kernel.Float](s *waySide, x []T) {
	top, sign := math.Inf(-1), s.sign
	for k, v := range s.set {
		s.any = s.any || v != 0
		for ; v != 0; v &= v - 1 {
			if y := float64(sign * float64(x[64*k+bits.TrailingZeros64(v)])); y > top {
				top = y
			} else if y != y {
				s.nan = true
			}
		}
	}
	s.top, s.infinite = top, math.IsInf(top, 1)
}

// sum sets the sum and its logarithm.
func (w *TwoWay[T]) sum(s *waySide, at, side int) {
	if s.sum = 1; s.infinite {
		return
	}
	var sum, err float64
	powers := w.powers[at:]
	for k, v := range s.set {
		for ; v != 0; v &= v - 1 {
			j := 64*k + bits.TrailingZeros64(v)
			if !kernel.IsFloat32[T]() {
				powers[j] = math.FMA(powers[j], w.rest[at+j], powers[j])
			}
			sum, err = kernel.TwoSum(sum, err, powers[j])
		}
	}
	s.sum = sum + err
	if s.sum == 1 {
		return
	}
	f, n := math.Frexp(s.sum)
	l := pair{coef.Ln2Hi64, coef.Ln2Lo64}.times(pair{float64(n), 0})
	rest := scalar.Log(f)
	hi := l.hi + rest
	s.log = pair{hi, (l.hi - (hi - (hi - l.hi))) + (rest - (hi - l.hi)) + l.lo}
}

// term returns e^((y-top)/T).
func (w *TwoWay[T]) term(y, top float64, side int) power.Number {
	if y == top {
		return power.Number{Hi: 1}
	}
	if math.IsInf(y, -1) {
		return power.Number{}
	}
	t := w.temperature[side]
	d, err := difference(y, top)
	q := d / t
	if math.IsInf(q, -1) {
		return power.Number{}
	}
	if kernel.IsFloat32[T]() && q > -600 {
		return power.Number{Hi: scalar.Exp(q)}
	}
	return power.ExpPair(q, (math.FMA(-q, t, d)+err)/t)
}

// product returns e^z.
func (w *TwoWay[T]) product(a, b *waySide) power.Number {
	if a.infinite || b.infinite {
		return power.Number{}
	}
	hi, lo := difference(a.top, -b.top)
	for k, s := range [2]*waySide{a, b} {
		l := s.log.times(pair{w.temperature[k], 0})
		sum := hi + l.hi
		t := sum - hi
		if math.Abs(sum) <= math.MaxFloat64 {
			lo += (hi - (sum - t)) + (l.hi - t) + l.lo
		}
		hi = sum
	}
	return power.ExpPair(hi, lo)
}
