package gen

import (
	"math"
	"slices"

	"github.com/zlpr/zlpr/internal/coef"
)

// neonLogarithm emits scalar.LogPair(hi, lo), with lo or for 0, and
// scalar.Log1pFinite(x), x ≥ 0, for many numbers.
func neonLogarithm(v *neonVec, plus1, low bool) {
	dst := v.output("dst", "")
	var x, hi, lo *stream
	streams := []*stream{dst}
	if plus1 {
		x = v.input("x", "")
		streams = append(streams, x)
	} else {
		hi = v.input("hi", "")
		streams = append(streams, hi)
	}
	if low {
		lo = v.input("lo", "")
		streams = append(streams, lo)
	}
	l := newNeonVectorLoop(v, 1, streams...)
	g := newNeonLogarithms(v, true, true)

	l.run(func() {}, func(t neonTurn) {
		var r neonReduced
		switch {
		case plus1:
			r = g.reduce1p(l.loadTurn(x, t))
		case low:
			r = g.reduce(l.loadTurn(hi, t), l.loadTurn(lo, t), nil)
		default:
			r.c = v.cleared(len(t.numbers()))
			for _, u := range l.loadTurn(hi, t) {
				k, f := v.reg(), v.reg()
				g.reduceTo(u, k, f)
				r.k, r.f = append(r.k, k), append(r.f, f)
				v.free(u)
			}
		}
		v.free(r.inverse...)
		l.storeTurn(dst, t, g.log(r))
	}, func() {})
}

// A neonConstant is a constant in a register, or in memory where there are no
// registers to spare.
type neonConstant struct {
	r   *vecReg
	mem address
}

// place returns the constant of those bits.
func (v *neonVec) place(x float64, inRegister bool) neonConstant {
	c := neonConstant{mem: v.constant(x)}
	if inRegister {
		c.r = v.inRegister(c.mem)
	}
	return c
}

// with emits f with the constant in a register.
func (v *neonVec) with(c neonConstant, f func(r *vecReg)) {
	if c.r != nil {
		f(c.r)
		return
	}
	r := v.inRegister(c.mem)
	f(r)
	v.free(r)
}

// neonLogarithms evaluates logarithms of float64 numbers, two registers at a
// time.
type neonLogarithms struct {
	*neonVec
	one, significand, half, offset neonConstant
	unit, bias                     neonConstant
	sum                            *neonLogSum
}

// newNeonLogarithms keeps the constants of the reduction, and those of the sum, in
// registers or not.
func newNeonLogarithms(v *neonVec, reduction, sum bool) *neonLogarithms {
	g := newNeonReduction(v, reduction)
	g.sum = newNeonLogSum(v, sum)
	return g
}

// newNeonReduction returns logarithms for log1pSum alone, with the constants of the reduction
// in registers or not.
func newNeonReduction(v *neonVec, inRegisters bool) *neonLogarithms {
	v.loadConstants()
	place := func(x float64) neonConstant { return v.place(x, inRegisters) }
	bits := func(b uint64) neonConstant { return place(math.Float64frombits(b)) }
	return &neonLogarithms{neonVec: v, one: place(1), significand: bits(1<<52 - 1), half: bits(coef.SqrtHalfBits), offset: bits(coef.LogOffset),
		unit: place(0x1p52), bias: place(0x1p52 + 1023)}
}

// A neonReduced is numbers u·(1+c), u = 2^k·(1+f), and 1/u.
type neonReduced struct{ k, f, c, inverse []*vecReg }

// reduce1p reduces 1+y, y ≥ 0, and frees y.
func (v *neonLogarithms) reduce1p(y []*vecReg) neonReduced {
	h, c := v.regs(len(y)), v.regs(len(y))
	v.with(v.one, func(one *vecReg) {
		for j := range y {
			v.max(y[j], one, h[j])
			v.min(y[j], one, c[j])
		}
	})
	return v.reduce(h, c, y)
}

// reduce reduces h + c. If it is not nil, y is h + c - 1 exactly. It frees all
// of them.
func (v *neonLogarithms) reduce(h, c, y []*vecReg) neonReduced {
	k, f := v.regs(len(h)), v.regs(len(h))
	for j := range h {
		v.comment("u = h + c rounded, c = (c - (u - h))·(1/u)")
		u := v.reg()
		v.add(h[j], c[j], u)
		v.sub(u, h[j], h[j])
		v.sub(c[j], h[j], c[j])
		v.with(v.one, func(r *vecReg) { v.div(r, u, h[j]) })
		v.mul(c[j], h[j], c[j])
		v.reduceTo(u, k[j], f[j])
		if y != nil {
			v.comment("where k is 0, f = y and c = 0")
			v.op("VCMTST", k[j].d2(), k[j].d2(), u.d2())
			v.keepOr(u, y[j], f[j])
			v.and(c[j], u, c[j])
			v.free(y[j])
		}
		v.free(u)
	}
	return neonReduced{k, f, c, h}
}

// reduceTo sets k and f, u = 2^k·(1+f), 1+f in [√½, √2).
func (v *neonLogarithms) reduceTo(u, k, f *vecReg) {
	v.comment("u = 2^k·(1+f)")
	v.with(v.offset, func(r *vecReg) { v.op("VADD", r.d2(), u.d2(), f.d2()) })
	v.op("VUSHR", imm(52), f.d2(), k.d2())
	v.with(v.unit, func(r *vecReg) { v.or(k, r, k) })
	v.with(v.bias, func(r *vecReg) { v.sub(k, r, k) })
	v.with(v.significand, func(r *vecReg) { v.and(f, r, f) })
	v.with(v.half, func(r *vecReg) { v.op("VADD", r.d2(), f.d2(), f.d2()) })
	v.with(v.one, func(r *vecReg) { v.sub(f, r, f) })
}

// log returns the logarithms of reduced numbers, and frees those but for the
// inverse.
func (v *neonLogarithms) log(r neonReduced) []*vecReg {
	v.sum.evaluate(r.k, r.f, r.c)
	v.free(r.k...)
	return r.f
}

// log1p returns log(1+y), y ≥ 0, and frees y.
func (v *neonLogarithms) log1p(y []*vecReg) []*vecReg {
	r := v.reduce1p(y)
	v.free(r.inverse...)
	return v.log(r)
}

// A neonLogSum evaluates k·ln(2) + log(1+f) + c as scalar.logSum does.
type neonLogSum struct {
	*neonVec
	two, oneHalf, ln2Tail, ln2Head neonConstant
	highest                        neonConstant
	rest                           []address
}

func newNeonLogSum(v *neonVec, inRegisters bool) *neonLogSum {
	g := &neonLogSum{neonVec: v}
	c := coef.Log64[:]
	for _, x := range slices.Backward(c[:len(c)-1]) {
		g.rest = append(g.rest, v.constant(x))
	}
	place := func(x float64) neonConstant { return v.place(x, inRegisters) }
	g.highest = place(c[len(c)-1])
	g.two, g.oneHalf = place(2), place(0.5)
	g.ln2Tail, g.ln2Head = place(coef.Ln2Tail), place(coef.Ln2Head)
	return g
}

// evaluate leaves the results in f and frees c.
func (g *neonLogSum) evaluate(k, f, c []*vecReg) {
	s, z := g.regs(len(f)), g.regs(len(f))
	g.comment("s = f/(2+f); r = R(s²)")
	for i := range f {
		g.with(g.two, func(two *vecReg) { g.add(f[i], two, s[i]) })
		g.div(f[i], s[i], s[i])
		g.mul(s[i], s[i], z[i])
	}
	var r []*vecReg
	g.with(g.highest, func(highest *vecReg) { r = g.horner(highest, g.rest, z) })
	g.comment("h = f²/2; low = s·(r·z + h) + (k·Ln2Tail + c)")
	for i := range f {
		h, u := g.reg(), g.reg()
		g.with(g.oneHalf, func(half *vecReg) { g.mul(f[i], half, h) })
		g.mul(h, f[i], h)
		g.copy(h, u)
		g.fmaAcc(r[i], z[i], u)
		g.with(g.ln2Tail, func(tail *vecReg) { g.fmaAcc(k[i], tail, c[i]) })
		g.fmaAcc(s[i], u, c[i])
		g.comment("k·Ln2Head + (f - (h - low))")
		g.sub(h, c[i], h)
		g.sub(f[i], h, f[i])
		g.with(g.ln2Head, func(head *vecReg) { g.fmaAcc(k[i], head, f[i]) })
		g.free(h, u, c[i], s[i], z[i], r[i])
	}
}

// log1pSum returns scalar.Log1pSum(y), y ≥ 0, and frees y.
func (v *neonLogarithms) log1pSum(y []*vecReg) []*vecReg {
	k, f := v.regs(len(y)), v.regs(len(y))
	for j := range y {
		u := v.reg()
		v.with(v.one, func(r *vecReg) { v.add(y[j], r, u) })
		v.reduceTo(u, k[j], f[j])
		v.comment("where k is 0, f = y")
		v.op("VCMTST", k[j].d2(), k[j].d2(), u.d2())
		v.keepOr(u, y[j], f[j])
		v.free(u, y[j])
	}
	s, z := v.regs(len(y)), v.regs(len(y))
	v.comment("s = f/(2+f); r = R(s²)/s²")
	two := v.both(2)
	for j := range f {
		v.add(f[j], two[j], s[j])
		v.div(f[j], s[j], s[j])
		v.mul(s[j], s[j], z[j])
	}
	var rest []address
	c := coef.LogShort64[:]
	for _, x := range slices.Backward(c[:len(c)-1]) {
		rest = append(rest, v.constant(x))
	}
	highest := v.inRegister(v.constant(c[len(c)-1]))
	r := v.horner(highest, rest, z)
	v.comment("s·(2 + R(s²)) + k·ln(2)")
	ln2 := v.inRegister(v.constant(math.Ln2))
	for j := range f {
		v.fmaAcc(r[j], z[j], two[j])
		v.mul(k[j], ln2, k[j])
		v.fmaAcc(s[j], two[j], k[j])
	}
	for _, registers := range [][]*vecReg{f, s, z, r, two, {highest, ln2}} {
		v.free(registers...)
	}
	return k
}
