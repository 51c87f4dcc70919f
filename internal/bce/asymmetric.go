package bce

import (
	"math"

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
	pos, neg *Work[T]
	twice    twice[T]
	none     []uint64
	shifted  *shiftedBlock // of negatives with a shift
}

// NewAsymmetric returns an Asymmetric for the rule.
func NewAsymmetric[T kernel.Float](rule AsymmetricRule) *Asymmetric[T] {
	return &Asymmetric[T]{rule: rule, pos: New[T](Rule{Focal: rule.Positive}), neg: New[T](Rule{Focal: rule.Negative})}
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
			a.shiftedRows(c)
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
