package divergence

import (
	"math"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/power"
	"github.com/zlpr/zlpr/internal/scalar"
)

// This file evaluates rows whose scores are far apart, infinite or NaN, or whose factors
// are: exponentials are powers, so that nothing overflows and nothing that counts
// underflows.

// slow is memory for it.
type slow struct {
	class []float64 // weights of the classes that take part
	items []item
}

// An item is a class. Where the teacher excludes a label the law has no mass at
// it, but a term e^δ of its own may count.
type item struct {
	d, short      float64      // d of a class with mass
	mass          power.Number // not normalized; 0 for none
	rel, relShort float64      // d less that of the largest mass
	own           [2]power.Number
	far, farShort [2]float64      // of ZLPR: its terms are e^(far/T)
	weight        power.Number    // times this: its weight and max(t, 1-t)
	share         [2]power.Number // of the sums E e^δ and E e^-δ, for the gradient
	limit         [2]bool         // its term is infinite
}

// slowRow evaluates a row. The gradient is multiplied by scale and T.
func (w *Work[T]) slowRow(scale float64) float64 {
	for k, v := range w.z[:w.n] {
		if v != v || w.s[k] != w.s[k] {
			return w.nothing()
		}
	}
	w.slow.items = kernel.Resize(w.slow.items, w.n)
	clear(w.slow.items)
	factor := power.Number{Hi: scale}.Times(power.Number{Hi: w.rule.Temperature})
	var d power.Number
	switch w.rule.Kind {
	case Softmax:
		d = w.slowSoftmax(factor)
	case BCE:
		d = w.slowBernoulli(factor)
	default:
		d = w.slowTwoSided(factor)
	}
	switch {
	case d.Hi != d.Hi:
		return w.nothing()
	case d.Shift > 0:
		return math.Inf(1)
	}
	t := power.Number{Hi: w.rule.Temperature}
	return d.Times(t).Times(t).Float()
}

// nothing makes the row's gradient NaN, and returns the loss NaN.
func (w *Work[T]) nothing() float64 {
	nan := kernel.CanonicalNaN[float64]()
	for k := range w.grad[:w.n] {
		w.grad[k] = nan
	}
	return nan
}

// remote is a distance e^-remote beyond which a class has no mass of its own.
const remote = 1e6

var (
	notANumber = power.Number{Hi: math.NaN()}
	infinite   = power.Number{Hi: 1, Shift: math.Inf(1)}
	unit       = power.Number{Hi: 1}
)

// over returns (a - b)/T as two numbers.
func (w *Work[T]) over(a, b float64) (q, short float64) {
	return w.overPair(differencePair(a, b))
}

// differencePair returns a - b and what it lacks, 0 of an infinite one.
func differencePair(a, b float64) (d, short float64) {
	d = a - b
	if math.IsInf(d, 0) {
		return d, 0
	}
	return d, differenceShort(a, b, d)
}

// overPair returns (d + rest)/T as two numbers.
func (w *Work[T]) overPair(d, rest float64) (q, short float64) {
	t := w.rule.Temperature
	q = d / t
	if math.IsInf(d, 0) || math.Abs(q) < 0x1p-900 || math.Abs(q) > 0x1p900 {
		return q, 0
	}
	return q, (math.FMA(-q, t, d) + rest) / t
}

// exponential returns e^((a-b)/T).
func (w *Work[T]) exponential(a, b float64) power.Number {
	return w.exponentialPair(differencePair(a, b))
}

// exponentialPair returns e^((d+rest)/T).
func (w *Work[T]) exponentialPair(d, rest float64) power.Number {
	q, short := w.overPair(d, rest)
	if math.IsInf(q, -1) {
		return power.Number{}
	}
	return power.ExpPair(q, short)
}

// slowSoftmax evaluates a row of softmax.
func (w *Work[T]) slowSoftmax(factor power.Number) power.Number {
	items, z, s := w.slow.items, w.z[:w.n], w.s[:w.n]
	top, best, certain := 0, 0, 0
	for k, v := range z {
		if v > z[top] {
			top = k
		}
		if s[k] > s[best] {
			best = k
		}
		if math.IsInf(v, 1) {
			certain++
		}
	}
	if certain > 1 || math.IsInf(z[top], -1) || math.IsInf(s[best], -1) {
		return notANumber
	}
	endless, infinitely := false, 0
	for k := range items {
		it := &items[k]
		if math.IsInf(z[k], 1) || certain == 0 && k == top {
			it.mass = unit
		} else if certain == 0 {
			it.mass = w.exponential(z[k], z[top])
		}
		if math.IsInf(s[k], 1) {
			infinitely++
		}
	}
	for k := range items {
		mass := items[k].mass.Hi != 0
		endless = endless || mass && math.IsInf(s[k], -1) || infinitely > 0 && mass && !math.IsInf(s[k], 1)
	}
	if endless || infinitely > 0 {
		w.differences(factor, best, infinitely)
		switch {
		case endless:
			return infinite
		case infinitely == 1:
			return power.Number{}
		}
		return notANumber
	}
	// Relative to the class top, whose d is 0.
	beyond := false
	for k := range items {
		it := &items[k]
		if it.mass.Hi != 0 {
			it.d, it.short = w.over(s[k], s[top])
			b, short := w.over(z[k], z[top])
			if certain > 0 {
				b, short = 0, 0
			}
			it.d, it.short = lessPair(it.d, it.short, b, short)
			if !math.IsInf(it.d, 0) && b > -remote {
				continue
			}
			beyond = beyond || it.d < 0 && b > -remote
			it.mass = power.Number{}
		}
		it.own[0] = w.exponential(s[k], s[top])
	}
	d := w.finish(factor, 1, power.Number{})
	if beyond { // the teacher's labels of a class lie beyond all numbers below the others
		return infinite
	}
	return d
}

// lessPair returns (a + a') - (b + b').
func lessPair(a, aShort, b, bShort float64) (d, short float64) {
	d = a - b
	if math.IsInf(d, 0) {
		return d, 0
	}
	return normalized(d, differenceShort(a, b, d)+(aShort-bShort))
}

// differences writes the gradient q - p of a row with infinite scores, the law q of the
// student being that of infinitely many scores +Inf, or having its highest score at best.
func (w *Work[T]) differences(factor power.Number, best, infinitely int) {
	items, s := w.slow.items, w.s[:w.n]
	var masses, shares power.Number
	for k := range items {
		it := &items[k]
		masses = plus(masses, it.mass)
		switch {
		case infinitely == 0:
			it.share[0] = w.exponential(s[k], s[best])
		case math.IsInf(s[k], 1):
			it.share[0] = unit
		}
		shares = plus(shares, it.share[0])
	}
	for k := range items {
		it := &items[k]
		if infinitely > 1 && math.IsInf(s[k], 1) {
			w.grad[k] = math.NaN()
			continue
		}
		w.grad[k] = minus(it.share[0].Times(shares.Inverse()), it.mass.Times(masses.Inverse())).Times(factor).Float()
	}
}

// plus returns a + b, of any size.
func plus(a, b power.Number) power.Number {
	switch {
	case b.Hi == 0 || a.Hi != 0 && a.Shift > b.Shift:
		return a
	case a.Hi == 0 || b.Shift > a.Shift:
		return b
	}
	shift := a.Shift
	a.Shift, b.Shift = 0, 0
	a = a.Plus(b)
	a.Shift = shift
	return a
}

// minus returns a - b.
func minus(a, b power.Number) power.Number {
	b.Hi, b.Lo = -b.Hi, -b.Lo
	return plus(a, b)
}

// finish returns the divergence of a row from its items, of one side or of both, and
// writes the gradient. The mass rest has d = 0.
func (w *Work[T]) finish(factor power.Number, sides int, rest power.Number) power.Number {
	items := w.slow.items
	sum := rest
	for k := range items {
		sum = plus(sum, items[k].mass)
	}
	over := sum.Inverse()
	// d relative to that of the largest mass: see quotients.
	most, d0 := -1, [2]float64{}
	for k := range items {
		if m := items[k].mass; m.Hi != 0 && (rest.Hi == 0 || minus(m, rest).Hi > 0) && (most < 0 || minus(m, items[most].mass).Hi > 0) {
			most = k
			d0 = [2]float64{items[k].d, items[k].short}
		}
	}
	for k := range items {
		it := &items[k]
		it.rel, it.relShort = lessPair(it.d, it.short, d0[0], d0[1])
	}
	c := -float64(rest.Times(over).Float() * d0[0])
	for k := range items {
		if it := &items[k]; it.mass.Hi != 0 {
			c += float64(it.mass.Times(over).Float() * it.rel)
		}
	}
	// S and m, and 1+S+m = E.
	var s [2]power.Number
	var mean total
	base, baseShort := lessPair(-d0[0], -d0[1], c, 0) // of rest, and of terms without mass
	mean.add(float64(rest.Times(over).Float() * base))
	for side := range sides {
		s[side] = term(rest.Times(over), signed(side, base), signed(side, baseShort))
	}
	for k := range items {
		it := &items[k]
		if it.mass.Hi != 0 {
			p := it.mass.Times(over)
			x, short := lessPair(it.rel, it.relShort, c, 0)
			mean.add(float64(p.Float() * (x + short)))
			for side := range sides {
				s[side] = plus(s[side], term(p, signed(side, x), signed(side, short)))
			}
		}
		for side := range sides {
			if it.own[side].Hi != 0 {
				s[side] = plus(s[side], it.own[side].Times(power.ExpPair(signed(side, base), signed(side, baseShort))).Times(over))
			}
		}
	}
	var d power.Number
	var e [2]power.Number
	var l [2]float64
	for side := range sides {
		m := signed(side, mean.value())
		arg := plus(s[side], power.Number{Hi: m})
		if x := s[side].Float(); x < 0.5 {
			d = plus(d, minus(s[side], power.Number{Hi: psi[float64](x + m)}))
			l[side] = scalar.Log1p(x + m)
		} else {
			x, more := arg.Log1pArgument()
			l[side] = scalar.Log1p(x) + more
			d = plus(d, power.Number{Hi: l[side] - m})
		}
		e[side] = plus(unit, arg)
	}
	if max(l[0], l[1]) >= 1 {
		if sides == 1 {
			w.differences(factor, highest(w.s[:w.n]), 0)
		} else {
			w.limits(factor, [2]int{})
		}
		return d
	}
	shift, size := l[0], unit
	if sides == 2 {
		shift, size = (l[0]-l[1])/2, power.Exp(-(l[0]+l[1])/2)
	}
	for k := range items {
		it := &items[k]
		var g power.Number
		x, short := lessPair(it.rel, it.relShort, c, 0)
		y := (x - shift) + short
		p := it.mass.Times(over)
		switch {
		case it.mass.Hi != 0 && math.Abs(y) < 1 && sides == 1:
			g = p.Times(power.Number{Hi: y * exponentSeries(y, 1, 18)})
		case it.mass.Hi != 0 && math.Abs(y) < 1:
			g = p.Times(size).Times(power.Number{Hi: 2 * y * sinhSeries(y, 18)})
		default:
			for side := range sides {
				a := it.own[side].Times(power.ExpPair(signed(side, base), signed(side, baseShort))).Times(over)
				if it.mass.Hi != 0 {
					a = p.Times(power.ExpPair(signed(side, x), signed(side, short)))
				}
				a = a.Times(e[side].Inverse())
				if side == 1 {
					g = minus(g, a)
				} else {
					g = a
				}
			}
			if sides == 1 {
				g = minus(g, p)
			}
		}
		w.grad[k] = g.Times(factor).Float()
	}
	return d
}

// highest returns the place of the highest score.
func highest(x []float64) int {
	top := 0
	for k, v := range x {
		if v > x[top] {
			top = k
		}
	}
	return top
}

// signed returns x, or -x of the second side.
func signed(side int, x float64) float64 {
	if side == 1 {
		return -x
	}
	return x
}

// term returns p·φ(x + short).
func term(p power.Number, x, short float64) power.Number {
	switch {
	case p.Hi == 0:
		return p
	case math.Abs(x) < 1:
		return p.Times(power.Number{Hi: phi[float64](x, short, scalar.Exp(x))})
	case x < 0:
		return p.Times(power.Number{Hi: scalar.Exp(x) - 1 - x - short})
	}
	a := power.ExpPair(x, short)
	if x < 700 {
		a = a.Plus(power.Number{Hi: -1 - x - short})
	}
	return p.Times(a)
}

// slowTwoSided evaluates a row of ZLPR.
func (w *Work[T]) slowTwoSided(factor power.Number) power.Number {
	items := w.slow.items
	endless := [2]int{}
	for k := range items {
		it := &items[k]
		z, s := w.z[k], w.s[k]
		weight := unit
		if w.class != nil {
			weight = power.Number{Hi: w.class[k]}
		}
		it.d, it.short = w.over(s, z)
		it.far, it.farShort = [2]float64{s, -s}, [2]float64{}
		if z != 0 {
			// (1-t)·e^a = e^(a-2b)/(1+e^-2b) for b > 0, t·e^-a = e^(2b-a)/(1+e^2b) for b < 0.
			side := 0
			if z < 0 {
				side = 1
			}
			if it.far[side] = math.Inf(-1); !math.IsInf(z, 0) {
				it.far[side], it.farShort[side] = differencePair(signed(side, s), 2*math.Abs(z))
			}
		}
		e := w.exponential(-math.Abs(z), 0)
		over := e.Times(e).Over1p()
		it.weight = weight.Times(over)
		if b, _ := w.over(z, 0); math.Abs(b) > remote || math.IsInf(it.d, 0) {
			// t is 0 or 1, or almost: one side is left, and what its remote rest multiplies.
			side := 0
			if z > 0 {
				side = 1
			}
			y := signed(side, s)
			if it.limit[side] = math.IsInf(y, 1); it.limit[side] {
				endless[side]++
			} else {
				it.own[side] = weight.Times(w.exponential(y, 0))
				if !math.IsInf(z, 0) && !math.IsInf(s, 0) {
					it.own[1-side] = weight.Times(w.exponentialPair(it.far[1-side], it.farShort[1-side]))
				}
			}
			if math.IsInf(s, 0) && !math.IsInf(z, 0) && !it.limit[side] {
				it.limit[1-side] = true
				endless[1-side]++
			}
			continue
		}
		it.mass = weight.Times(e).Times(over)
	}
	if endless[0]+endless[1] > 0 {
		w.limits(factor, endless)
		return infinite
	}
	return w.finish(factor, 2, unit)
}

// limits writes the gradient of a row of ZLPR with so many infinite terms on each side.
func (w *Work[T]) limits(factor power.Number, endless [2]int) {
	items := w.slow.items
	for side := range 2 {
		// The terms over the farthest exponential: none is larger than its weight, and
		// those that count together have all their digits. That of no class is 1.
		most, mostShort := 0.0, 0.0
		for k := range items {
			it := &items[k]
			if d, _ := lessPair(it.far[side], it.farShort[side], most, mostShort); d > 0 && !it.limit[side] && it.weight.Hi != 0 {
				most, mostShort = it.far[side], it.farShort[side]
			}
		}
		sum := w.exponentialPair(-most, -mostShort)
		for k := range items {
			it := &items[k]
			if it.limit[side] {
				continue
			}
			it.share[side] = it.weight.Times(w.exponentialPair(lessPair(it.far[side], it.farShort[side], most, mostShort)))
			sum = plus(sum, it.share[side])
		}
		for k := range items {
			it := &items[k]
			switch {
			case it.limit[side] && endless[side] > 1:
				it.share[side] = notANumber
			case it.limit[side]:
				it.share[side] = unit
			case endless[side] > 0:
				it.share[side] = power.Number{}
			default:
				it.share[side] = it.share[side].Times(sum.Inverse())
			}
		}
	}
	for k := range items {
		it := &items[k]
		if it.share[0].Hi != it.share[0].Hi || it.share[1].Hi != it.share[1].Hi {
			w.grad[k] = math.NaN()
			continue
		}
		w.grad[k] = minus(it.share[0], it.share[1]).Times(factor).Float()
	}
}

// slowBernoulli evaluates a row of BCE.
func (w *Work[T]) slowBernoulli(factor power.Number) power.Number {
	var sum power.Number
	for k := range w.slow.items {
		d, g := w.anyBernoulli(w.z[k], w.s[k])
		if w.class != nil {
			weight := power.Number{Hi: w.class[k]}
			d, g = d.Times(weight), g.Times(weight)
		}
		sum = plus(sum, d)
		w.grad[k] = g.Times(factor).Float()
	}
	return sum
}

// anyBernoulli returns the divergence of a class and its derivative.
func (w *Work[T]) anyBernoulli(z, s float64) (d, g power.Number) {
	if z == s {
		return d, g
	}
	sign := 1.0 // for s > z
	if s < z {
		z, s, sign = -z, -s, -1
	}
	p, q := w.logistic(z)
	x, short := w.over(s, z)
	e := w.exponential(z, s) // e^-x
	lost := power.Number{Hi: 1 - e.Float()}
	if x < 1 {
		lost = power.Number{Hi: -expm1[float64](-x, -short, e.Float())}
	}
	switch {
	case math.IsInf(s, 1):
		return infinite, power.Number{Hi: sign}.Times(q)
	case x > 50:
		// Of very remote ones the quotients of exponentials say nothing.
		pa, qa := w.logistic(s)
		if g = minus(pa, p); q.Float() <= 0.5 {
			g = minus(q, qa)
		}
	default:
		g = p.Times(q).Times(lost).Times(plus(p, q.Times(e)).Inverse())
	}
	slope := g
	g = g.Times(power.Number{Hi: sign})
	distance := minus(power.Number{Hi: s}, power.Number{Hi: z}).Times(power.Number{Hi: w.rule.Temperature}.Inverse())
	switch {
	case math.IsInf(z, -1):
		d = w.softplus(s)
	case q.Float() <= 0.5:
		rest := minus(distance, lost)
		if x < 1 {
			rest = power.Number{Hi: phi[float64](-x, -short, e.Float())}
		}
		d = minus(q.Times(rest), power.Number{Hi: psi[float64](-q.Times(lost).Float())})
	case x > 50:
		d = minus(minus(w.softplus(s), w.softplus(z)), p.Times(distance))
	case x <= 4:
		// Around the mean p·x, with two terms of one sign.
		s := plus(term(p, float64(q.Float()*x), 0), term(q, -float64(p.Float()*x), 0))
		if v := s.Float(); v < 0.5 {
			d = minus(s, power.Number{Hi: psi[float64](v)})
		} else {
			d = power.Number{Hi: scalar.Log1p(v)}
		}
		d = plus(d, slope.Times(power.Number{Hi: short}))
	default:
		y := p.Times(minus(e.Inverse(), unit)).Float()
		if y < 0.25 {
			d = minus(term(p, x, short), power.Number{Hi: psi[float64](y)})
		} else {
			d = power.Number{Hi: scalar.Log1p(y) - float64(p.Float()*(x+short))}
		}
	}
	return d, g
}

// logistic returns p = sigmoid(x/T) and 1-p.
func (w *Work[T]) logistic(x float64) (p, q power.Number) {
	e := w.exponential(-math.Abs(x), 0)
	p = e.Over1p()
	q = e.Times(p)
	if x < 0 {
		p, q = q, p
	}
	return p, q
}

// softplus returns log(1 + e^(x/T)).
func (w *Work[T]) softplus(x float64) power.Number {
	e := w.exponential(-math.Abs(x), 0)
	l := e
	if v := e.Float(); v > 0x1p-60 {
		l = power.Number{Hi: scalar.Log1p(v)}
	}
	if x > 0 {
		l = plus(l, power.Number{Hi: x}.Times(power.Number{Hi: w.rule.Temperature}.Inverse()))
	}
	return l
}
