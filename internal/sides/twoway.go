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
// is formed exactly, and the logarithms of sums between 1 and the number of classes.
type TwoWay[T kernel.Float] struct {
	temperature [2]float64 // of the negatives, of the positives
	grad        []T
	powers      [2][]float64 // float32: e^((sign·s-top)/T) of the classes of a side, in order
}

// NewTwoWay returns a TwoWay with temperatures of negatives and of positives.
func NewTwoWay[T kernel.Float](negative, positive float64) *TwoWay[T] {
	return &TwoWay[T]{temperature: [2]float64{negative, positive}}
}

// Eval evaluates the rows of a chunk.
func (w *TwoWay[T]) Eval(c *chunk.Chunk[T]) {
	c.Unpack()
	for i := range c.Rows {
		w.row(c, i)
	}
}

// A waySide is one side of a row.
type waySide struct {
	set      []uint64
	sign     float64
	top      float64 // the highest sign·s
	tops     int     // so many classes have it
	any, nan bool
	sum      float64 // Σ e^((sign·s-top)/T)
	log      pair    // its logarithm
	infinite bool
}

// row evaluates row i.
func (w *TwoWay[T]) row(c *chunk.Chunk[T], i int) {
	pos, neg := c.Sides(i)
	x := c.Row(i)
	sides := [2]waySide{{set: neg, sign: 1}, {set: pos, sign: -1}}
	for k := range sides {
		find(&sides[k], x)
	}
	a, b := &sides[0], &sides[1]
	switch {
	case a.nan || b.nan:
		c.SetNaN(i)
		return
	case !a.any || !b.any:
		c.SetNothing(i)
		return
	case math.IsInf(a.top, 1) && math.IsInf(b.top, -1) || math.IsInf(a.top, -1) && math.IsInf(b.top, 1):
		c.SetNaN(i)
		return
	case math.IsInf(a.top, -1) || math.IsInf(b.top, -1):
		c.SetNothing(i)
		return
	}
	for k := range sides {
		w.sum(&sides[k], x, k)
	}
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
	slope := p.Share().Times(power.Number{Hi: c.Scale[i]})
	for k := range sides {
		s := &sides[k]
		f := slope.Times(power.Number{Hi: s.sum}.Inverse())
		f.Hi, f.Lo = s.sign*f.Hi, s.sign*f.Lo
		if kernel.IsFloat32[T]() && !s.infinite {
			w.gradient(s, x, k, f)
			continue
		}
		for word, v := range s.set {
			for ; v != 0; v &= v - 1 {
				j := 64*word + bits.TrailingZeros64(v)
				y := s.sign * float64(x[j])
				switch {
				case !s.infinite:
					w.grad[j] = T(w.term(y, s.top, k).Times(f).Float())
				case math.IsInf(y, 1) && s.tops > 1:
					w.grad[j] = kernel.CanonicalNaN[T]()
				case math.IsInf(y, 1):
					w.grad[j] = T(f.Float())
				}
			}
		}
	}
	copy(c.GradRow(i), w.grad)
}

// gradient sets the derivatives of a side, which are its powers times f, for float32.
func (w *TwoWay[T]) gradient(s *waySide, x []T, side int, f power.Number) {
	factor, powers := f.Float(), w.powers[side]
	plain := math.Abs(factor) >= 0x1p-100 && math.Abs(factor) <= 0x1p100
	at := 0
	for word, v := range s.set {
		for ; v != 0; v &= v - 1 {
			j := 64*word + bits.TrailingZeros64(v)
			if e := powers[at]; plain && e >= 0x1p-800 {
				w.grad[j] = T(e * factor)
			} else {
				w.grad[j] = T(w.term(s.sign*float64(x[j]), s.top, side).Times(f).Float())
			}
			at++
		}
	}
}

// find sets what is known without an exponential.
func find[T kernel.Float](s *waySide, x []T) {
	s.top = math.Inf(-1)
	for k, v := range s.set {
		for ; v != 0; v &= v - 1 {
			y := s.sign * float64(x[64*k+bits.TrailingZeros64(v)])
			s.any = true
			switch {
			case y != y:
				s.nan = true
			case y > s.top:
				s.top, s.tops = y, 1
			case y == s.top:
				s.tops++
			}
		}
	}
	s.infinite = math.IsInf(s.top, 1)
}

// sum sets the sum and its logarithm.
func (w *TwoWay[T]) sum(s *waySide, x []T, side int) {
	if s.sum = 1; s.infinite {
		return
	}
	var sum, err float64
	if kernel.IsFloat32[T]() {
		for _, e := range w.exponentials(s, x, side) {
			sum, err = kernel.TwoSum(sum, err, e)
		}
	} else {
		for k, v := range s.set {
			for ; v != 0; v &= v - 1 {
				y := s.sign * float64(x[64*k+bits.TrailingZeros64(v)])
				sum, err = kernel.TwoSum(sum, err, w.term(y, s.top, side).Float())
			}
		}
	}
	s.sum = sum + err
	f, n := math.Frexp(s.sum)
	l := pair{coef.Ln2Hi64, coef.Ln2Lo64}.times(pair{float64(n), 0})
	rest := scalar.Log(f)
	hi := l.hi + rest
	s.log = pair{hi, (l.hi - (hi - (hi - l.hi))) + (rest - (hi - l.hi)) + l.lo}
	if s.sum == 1 {
		s.log = pair{}
	}
}

// exponentials returns the powers of a side, for float32: what float64 rounds of their
// arguments does not count then. They are 0 from some e^-700 on.
func (w *TwoWay[T]) exponentials(s *waySide, x []T, side int) []float64 {
	y, t := kernel.Resize(w.powers[side], (len(x)+31)&^31), w.temperature[side]
	w.powers[side] = y
	m := 0
	for k, v := range s.set {
		for ; v != 0; v &= v - 1 {
			y[m] = (float64(s.sign*float64(x[64*k+bits.TrailingZeros64(v)])) - s.top) / t
			m++
		}
	}
	room := y[:(m+31)&^31]
	clear(room[m:])
	kernel.TiltExp(room, room, 1, 0)
	return y[:m]
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
