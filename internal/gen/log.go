package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// logarithm emits scalar.LogPair(hi, lo), with lo or for 0, and
// scalar.Log1pFinite(x), x ≥ 0, for many numbers.
func logarithm(v *vec, plus1, low bool) {
	dst := v.param("dst")
	var x, hi, lo gpreg
	if plus1 {
		x = v.param("x")
	} else {
		hi = v.param("hi")
	}
	if low {
		lo = v.param("lo")
	}
	l := newVectorLoop(v)
	g := newLogarithms(v)

	l.row(func(pairs []pair) {
		for _, t := range terms(pairs) {
			load := func(base gpreg) vreg {
				r := v.reg()
				v.load(t.mask, l.inRow(base, t.reg), r)
				return r
			}
			var y vreg
			switch {
			case plus1:
				y, _ = g.log1p(load(x))
			case low:
				y, _ = g.pair(load(hi), load(lo), nil)
			default:
				k, f := g.reduce(load(hi))
				c := v.reg()
				v.zero(c)
				y = v.logSum(k, f, c)
			}
			v.store(t.mask, y, l.inRow(dst, t.reg))
		}
	})
	v.VZEROUPPER()
	v.RET()
}

// logarithms evaluates logarithms of float64 numbers.
type logarithms struct {
	*vec
	one                       vreg
	significand, half, offset op
	two                       op
}

func newLogarithms(v *vec) *logarithms {
	bits := func(b uint64) op { return v.constant(math.Float64frombits(b)) }
	return &logarithms{v, v.inRegister(v.constant(1)), bits(1<<52 - 1), bits(coef.SqrtHalfBits), bits(coef.LogOffset), v.constant(2)}
}

// log1p returns log(1+y) and 1/(1+y), y ≥ 0.
func (g *logarithms) log1p(y vreg) (log, inverse vreg) {
	h, c := g.reg(), g.reg()
	g.max(y, g.one, h)
	g.min(y, g.one, c)
	return g.pair(h, c, y)
}

// log1pSum returns scalar.Log1pSum(y), y ≥ 0, and 1+y.
func (g *logarithms) log1pSum(y vreg) (log, u vreg) {
	u = g.reg()
	g.add(y, g.one, u)
	k, f := g.reduce(u)
	g.choose(g.below(u, math.Sqrt2), y, f, f)
	s, z, r, q := g.reg(), g.reg(), g.reg(), g.reg()
	two := g.asRegister(g.two)
	g.add(f, two, s)
	g.VDIVPD(s, f, s)
	g.mul(s, s, z)
	c := coef.LogShort64
	g.move(g.constant(c[3]), r)
	for i := 2; i >= 0; i-- {
		g.fmaMul(z, g.constant(c[i]), r)
	}
	g.fmaMul(z, two, r)
	g.mul(k, g.constant(math.Ln2), q)
	g.fmaAcc(s, r, q)
	return q, u
}

// below returns the lanes of u, which is positive, that are below a bound: on AVX2 as signs.
func (g *logarithms) below(u vreg, bound float64) mask {
	k := g.newMask()
	if g.wide() {
		g.compare(less, u, g.constant(bound), k)
	} else {
		g.VPADDQ(g.constant(math.Float64frombits(-math.Float64bits(bound))), u, k)
	}
	return k
}

// reduce returns k and f, u = 2^k·(1+f), 1+f in [√½, √2).
func (g *logarithms) reduce(u vreg) (k, f vreg) {
	v := g.vec
	f, k = v.reg(), v.reg()
	v.VPADDQ(g.offset, u, f)
	v.VPSRLQ(operand.U8(52), f, k)
	v.or(k, v.constant(0x1p52), k)
	v.sub(k, v.constant(0x1p52+1023), k)
	v.and(f, g.significand, f)
	v.VPADDQ(g.half, f, f)
	v.sub(f, g.one, f)
	return k, f
}

// pair returns log(h + c), whose registers it overwrites, and 1/(h + c). If it is
// not nil, y is h + c - 1 exactly.
func (g *logarithms) pair(h, c, y vreg) (log, inverse vreg) {
	v := g.vec
	// u = h + c rounded, c = (c - (u - h))·(1/u)
	u := v.reg()
	v.add(h, c, u)
	v.sub(u, h, h)
	v.sub(c, h, c)
	inverse = v.reg()
	v.VDIVPD(u, g.one, inverse)
	v.mul(c, inverse, c)
	k, f := g.reduce(u)
	if y != nil {
		// Where k is 0, f is y and c is 0.
		zero, near := v.reg(), v.newMask()
		v.zero(zero)
		v.compare(equal, k, zero, near)
		v.choose(near, y, f, f)
		v.choose(near, zero, c, c)
	}
	return v.logSum(k, f, c), inverse
}

// logSum returns k·ln(2) + log(1+f) + c, as scalar.logSum does.
func (v *vec) logSum(k, f, c vreg) vreg {
	s, z, r, h := v.reg(), v.reg(), v.reg(), v.reg()
	v.add(f, v.constant(2), s)
	v.VDIVPD(s, f, s)
	v.mul(s, s, z)
	coefficients := coef.Log64
	v.move(v.constant(coefficients[6]), r)
	for i := 5; i >= 0; i-- {
		v.fmaMul(z, v.constant(coefficients[i]), r)
	}
	v.mul(f, v.constant(0.5), h)
	v.mul(h, f, h)
	// low = s·(r·z + h) + (k·Ln2Tail + c)
	v.fmaMul(z, h, r)
	v.fmaAcc(k, v.constant(coef.Ln2Tail), c)
	v.fmaAcc(s, r, c)
	v.sub(h, c, h)
	v.sub(f, h, f)
	v.fmaAcc(k, v.constant(coef.Ln2Head), f)
	return f
}
