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

// An AsymmetricRule has the parameters of the asymmetric loss of p = sigmoid(s),
//
//	Σ_P (1-p)^γ+·(-log p) + Σ_N r^γ-·(-log(1-r)),   r = max(p-m, 0)
type AsymmetricRule struct {
	Positive, Negative float64 // γ+ and γ-
	Shift              float64 // m
}

// An Asymmetric evaluates it for one worker: the positives as focal binary
// cross-entropy, and without a shift the negatives, too.
type Asymmetric[T kernel.Float] struct {
	rule     AsymmetricRule
	whole    int // γ-, where wholeTerm takes it
	pos, neg *Work[T]
	twice    twice[T]
	none     []uint64

	block  *block // of negatives with a shift, float32
	odds   [2][]float64
	powers []float64
}

// NewAsymmetric returns an Asymmetric for the rule.
func NewAsymmetric[T kernel.Float](rule AsymmetricRule) *Asymmetric[T] {
	return &Asymmetric[T]{rule: rule, whole: wholeExponent(rule.Negative), pos: New[T](Rule{Focal: rule.Positive}), neg: New[T](Rule{Focal: rule.Negative})}
}

// Eval evaluates the rows of a chunk.
func (a *Asymmetric[T]) Eval(c *chunk.Chunk[T]) {
	if a.rule.Shift == 0 && a.rule.Positive == a.rule.Negative {
		a.pos.Eval(c)
		return
	}
	c.Unpack()
	a.none = kernel.Resize(a.none, len(c.Pos))
	clear(a.none)
	restore := a.twice.keep(c)
	pos, neg, full := c.Pos, c.Neg, c.Full
	c.Full = false
	c.Pos = a.none
	a.twice.apart(c, func() {
		if a.rule.Shift == 0 {
			a.neg.Eval(c)
		} else {
			a.negatives(c)
		}
	})
	c.Pos, c.Neg = pos, a.none
	a.pos.Eval(c)
	c.Neg, c.Full = neg, full
	restore()
	a.twice.addGradients(c)
	for i, l := range a.twice.loss[:c.Rows] {
		if c.Loss[i] += l; c.Loss[i] != c.Loss[i] {
			c.SetNaN(i)
		}
	}
}

// negatives evaluates the negatives with a shift.
func (a *Asymmetric[T]) negatives(c *chunk.Chunk[T]) {
	for i := range c.Rows {
		a.row(c, i)
	}
}

// row evaluates the negatives of row i.
func (a *Asymmetric[T]) row(c *chunk.Chunk[T], i int) {
	_, neg := c.Sides(i)
	var grad []T
	if c.Grad != nil {
		grad = c.GradRow(i)
		clear(grad)
	}
	var sum, err float64
	x := c.Row(i)
	if kernel.IsFloat32[T]() {
		a.blocks(c, i, grad)
		return
	}
	for k, v := range neg {
		for ; v != 0; v &= v - 1 {
			j := 64*k + bits.TrailingZeros64(v)
			s, class := float64(x[j]), power.Number{Hi: 1}
			if s != s {
				c.SetNaN(i)
				return
			}
			if c.Class != nil {
				class.Hi = c.Class[j]
			}
			scale := 0.0
			if grad != nil {
				scale = c.Scale[i]
			}
			value, slope, ok := a.wholeTerm(s, class.Hi, scale)
			if ok && middling(scale) {
				sum, err = kernel.TwoSum(sum, err, value)
				if grad != nil {
					grad[j] = T(slope)
				}
				continue
			}
			t, d := a.term(s)
			if !ok { // else the loss has its bits without the gradient, too
				value = t.Times(class).Float()
			}
			sum, err = kernel.TwoSum(sum, err, value)
			if grad != nil {
				grad[j] = T(d.Times(class).Times(power.Number{Hi: c.Scale[i]}).Float())
			}
		}
	}
	if c.Loss[i] = sum; sum <= math.MaxFloat64 {
		c.Loss[i] += err
	}
}

// blocks evaluates the negatives of row i, float32, many at a time. As r + (1-r) = 1,
//
//	l = log1p(r/(1-r)),  log(r) = -log1p((1-r)/r)
//
// The roundings of float64 do not count. What is far from the numbers goes by term32.
func (a *Asymmetric[T]) blocks(c *chunk.Chunk[T], i int, grad []T) {
	if a.block == nil {
		a.block = new(block)
		for k := range a.odds {
			a.odds[k] = make([]float64, blockLen)
		}
		a.powers = make([]float64, blockLen)
	}
	_, neg := c.Sides(i)
	x, b := c.Row(i), a.block
	scale := 0.0
	if grad != nil {
		scale = c.Scale[i]
	}
	var sum, err float64
	m := 0
	for k := range neg {
		for v := neg[k]; v != 0; v &= v - 1 {
			j := 64*k + bits.TrailingZeros64(v)
			s := float64(x[j])
			if s != s {
				c.SetNaN(i)
				return
			}
			b.x[m], b.at[m] = s, j
			m++
		}
		if m > blockLen-64 || k == len(neg)-1 && m > 0 {
			sum, err = a.evaluateBlock(c, m, grad, scale, sum, err)
			m = 0
		}
	}
	if c.Loss[i] = sum; sum <= math.MaxFloat64 {
		c.Loss[i] += err
	}
}

// evaluateBlock evaluates m terms, sets their derivatives and adds the terms to sum.
func (a *Asymmetric[T]) evaluateBlock(c *chunk.Chunk[T], m int, grad []T, scale, sum, err float64) (_, _ float64) {
	const far = 600
	b, shift, gamma := a.block, a.rule.Shift, a.rule.Negative
	up, down, powers := a.odds[0][:m], a.odds[1][:m], a.powers
	b.exponentials(m)
	for k, s := range b.x[:m] {
		e := b.e[k]
		p := 1 / (1 + e)
		q := e * p
		if s < 0 {
			p, q = q, p
		}
		r := p - shift
		rest := q + shift
		b.factor[k], b.positive[k] = r, p*q
		if !(r > 0) {
			r, rest = 0.5, 0.5 // nothing comes of it
		}
		up[k], down[k] = r/rest, rest/r
	}
	l := b.log1p[:m]
	kernel.Log1p64(l, up)
	room := powers[:(m+31)&^31]
	if gamma != 0 {
		kernel.Log1p64(down, down)
		for k, v := range down {
			room[k] = -gamma * v
		}
		clear(room[m:])
		kernel.TiltExp(room, room, 1, 0)
	}
	for k, s := range b.x[:m] {
		j, r := b.at[k], b.factor[k]
		if !(r > 0) {
			continue
		}
		class, w := 1.0, 1.0
		if c.Class != nil {
			class = c.Class[j]
		}
		if gamma != 0 {
			w = powers[k]
		}
		factor := class * scale
		if !(math.Abs(s) <= far && w >= 0x1p-800) || !middling(class) || grad != nil && !middling(factor) {
			t, d := a.term32(s)
			number := power.Number{Hi: class}
			sum, err = kernel.TwoSum(sum, err, t.Times(number).Float())
			if grad != nil {
				grad[j] = T(d.Times(number).Times(power.Number{Hi: scale}).Float())
			}
			continue
		}
		sum, err = kernel.TwoSum(sum, err, float64(float64(w*l[k])*class))
		if grad != nil {
			// 1/(1-r) = 1 + r/(1-r)
			slope := float64(gamma*(l[k]/r)) + (1 + up[k])
			grad[j] = T(b.positive[k] * w * slope * factor)
		}
	}
	return sum, err
}

// middling reports whether a factor leaves float32 terms numbers of float64.
func middling(v float64) bool { return math.Abs(v) >= 0x1p-100 && math.Abs(v) <= 0x1p100 || v == 0 }

// term returns the term of the negative s and its derivative. With q = 1-p,
//
//	r^γ·l,  p·q·r^γ·(γ·l/r + 1/(1-r)),  l = -log(1-r),  1-r = q+m
//
// For float64 scores all that the difference p - m or an exponent makes worse is
// computed to twice the precision.
func (a *Asymmetric[T]) term(s float64) (t, d power.Number) {
	if kernel.IsFloat32[T]() {
		return a.term32(s)
	}
	m, gamma := pair{a.rule.Shift, 0}, a.rule.Negative
	e, tiny := pair{}, power.Number{}
	if math.Abs(s) < 690 {
		e = expPair(-math.Abs(s), 0)
	} else if math.Abs(s) <= math.MaxFloat64 {
		tiny = power.Exp(-math.Abs(s))
	}
	one := pair{1, 0}.plusSmaller(e)
	p, q := one.inverse(), e.over(one)
	if s < 0 {
		p, q = q, p
	}
	r := p.plus(pair{-m.hi, 0})
	if r = normal(r.hi, r.lo); !(r.hi > 0) {
		return t, d
	}
	rest := q.plus(m) // 1 - r
	var l float64
	if r.hi <= 0.5 {
		l = log1pPair(r.over(rest)).hi
	} else {
		l = -logPair(rest).hi
	}
	t = power.Number{Hi: l}
	if d = (power.Number{Hi: q.hi}); tiny.Hi != 0 && s > 0 {
		d = tiny
	}
	d = d.Times(power.Number{Hi: p.hi * (float64(gamma*(l/r.hi)) + 1/rest.hi)})
	if gamma != 0 {
		var logR pair
		if r.hi > 0.5 {
			logR = log1pPair(pair{-rest.hi, -rest.lo}) // relative to it, however near 1 r is
		} else {
			logR = logPair(r)
		}
		y := logR.times(pair{gamma, 0})
		y = normal(y.hi, y.lo)
		w := power.ExpPair(y.hi, y.lo)
		t, d = t.Times(w), d.Times(w)
	}
	return t, d
}

// term32 is term for float32 scores: the roundings of float64 do not count.
func (a *Asymmetric[T]) term32(s float64) (t, d power.Number) {
	m, gamma := a.rule.Shift, a.rule.Negative
	e := scalar.Exp(-math.Abs(s))
	p := 1 / (1 + e)
	q := e * p
	dq := power.Number{Hi: q}
	if s < 0 {
		p, q = q, p
		dq.Hi = q
	} else if s > 700 && s <= math.MaxFloat64 {
		dq = power.Exp(-s)
	}
	r := p - m
	if !(r > 0) {
		return t, d
	}
	rest := q + m
	l := 0.0
	if r <= 0.5 {
		l = scalar.Log1p(r / rest)
	} else {
		l = -scalar.Log(rest)
	}
	t = power.Number{Hi: l}
	d = dq.Times(power.Number{Hi: p * (float64(gamma*(l/r)) + 1/rest)})
	if gamma != 0 {
		logR := 0.0
		if r > 0.5 {
			logR = scalar.Log1p(-rest)
		} else {
			logR = scalar.Log(r)
		}
		w := power.Exp(gamma * logR)
		t, d = t.Times(w), d.Times(w)
	}
	return t, d
}

// inverse returns 1/a.
func (a pair) inverse() pair { return pair{1, 0}.over(a) }

// logPair returns log(a), a being a normal number. Its error is below 2^-60 for
// |log(a)| up to 700, and relative to it where a is not near 1.
func logPair(a pair) pair {
	f, n := math.Frexp(a.hi)
	f, n = 2*f, n-1
	l := log1pPair(normal(f-1, scalar.Ldexp(a.lo, -n)))
	if n == 0 {
		return l
	}
	return pair{coef.Ln2Hi64, coef.Ln2Lo64}.times(pair{float64(n), 0}).plus(l)
}
