package gen

import (
	"math"
	"slices"

	"github.com/zlpr/zlpr/internal/coef"
)

// neonLogarithm emits scalar.LogPair(hi, lo) and scalar.Log1pFinite(x), x ≥ 0,
// for many numbers.
func neonLogarithm(v *neonVec, plus1 bool) {
	if plus1 {
		v.kernel("log1p", "dst, x *float64, n int", "writes dst[i] = log(1+x[i]) for finite x[i] ≥ 0, i < n.")
	} else {
		v.kernel("logPair", "dst, hi, lo *float64, n int",
			"writes dst[i] = log(hi[i]+lo[i]), i < n, for positive normal hi[i] ≥ |lo[i]|.")
	}
	dst := v.output("dst", "")
	var x, hi, lo *stream
	streams := []*stream{dst}
	if plus1 {
		x = v.input("x", "")
		streams = append(streams, x)
	} else {
		hi, lo = v.input("hi", ""), v.input("lo", "")
		streams = append(streams, hi, lo)
	}
	l := newNeonVectorLoop(v, streams...)
	g := newNeonLogarithms(v)

	l.row(func(pairs []pair) {
		load := func(s *stream, terms []term) (r []*vecReg) {
			for _, t := range terms {
				r = append(r, v.inRegister(s.place(t)))
			}
			return r
		}
		for all := terms(pairs); len(all) > 0; all = all[2:] {
			var r neonReduced
			if plus1 {
				r = g.reduce1p(load(x, all[:2]))
			} else {
				r = g.reduce(load(hi, all[:2]), load(lo, all[:2]), nil)
			}
			v.free(r.inverse...)
			log := g.log(r)
			for j, t := range all[:2] {
				v.store(log[j], dst.place(t))
			}
			v.free(log...)
		}
	})
	v.op("RET")
}

// neonLogarithms evaluates logarithms of float64 numbers, two registers at a
// time.
type neonLogarithms struct {
	*neonVec
	one, significand, half, offset, unit, bias *vecReg
	sum                                        *neonLogSum
}

func newNeonLogarithms(v *neonVec) *neonLogarithms {
	v.loadConstants()
	bits := func(b uint64) *vecReg { return v.inRegister(v.constant(math.Float64frombits(b))) }
	return &neonLogarithms{
		neonVec: v, one: v.inRegister(v.constant(1)),
		significand: bits(1<<52 - 1), half: bits(coef.SqrtHalfBits), offset: bits(coef.LogOffset),
		unit: v.inRegister(v.constant(0x1p52)), bias: v.inRegister(v.constant(0x1p52 + 1023)),
		sum: newNeonLogSum(v),
	}
}

// A neonReduced is numbers u·(1+c), u = 2^k·(1+f), and 1/u.
type neonReduced struct{ k, f, c, inverse []*vecReg }

// reduce1p reduces 1+y, y ≥ 0, and frees y.
func (g *neonLogarithms) reduce1p(y []*vecReg) neonReduced {
	h, c := g.regs(len(y)), g.regs(len(y))
	for j := range y {
		g.max(y[j], g.one, h[j])
		g.min(y[j], g.one, c[j])
	}
	return g.reduce(h, c, y)
}

// reduce reduces h + c. If it is not nil, y is h + c - 1 exactly. It frees all
// of them.
func (g *neonLogarithms) reduce(h, c, y []*vecReg) neonReduced {
	v := g.neonVec
	k, f := v.regs(len(h)), v.regs(len(h))
	for j := range h {
		v.comment("u = h + c rounded, c = (c - (u - h))·(1/u)")
		u := v.reg()
		v.add(h[j], c[j], u)
		v.sub(u, h[j], h[j])
		v.sub(c[j], h[j], c[j])
		v.div(g.one, u, h[j])
		v.mul(c[j], h[j], c[j])
		v.comment("u = 2^k·(1+f)")
		b := f[j]
		v.op("VADD", g.offset.d2(), u.d2(), b.d2())
		v.op("VUSHR", imm(52), b.d2(), k[j].d2())
		v.or(k[j], g.unit, k[j])
		v.sub(k[j], g.bias, k[j])
		v.and(b, g.significand, b)
		v.op("VADD", g.half.d2(), b.d2(), b.d2())
		v.sub(b, g.one, b)
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

// log returns the logarithms of reduced numbers, and frees those but for the
// inverse.
func (g *neonLogarithms) log(r neonReduced) []*vecReg {
	g.sum.evaluate(r.k, r.f, r.c)
	g.free(r.k...)
	return r.f
}

// A neonLogSum evaluates k·ln(2) + log(1+f) + c as scalar.logSum does.
type neonLogSum struct {
	*neonVec
	two, oneHalf, ln2Tail, ln2Head *vecReg
	highest                        *vecReg
	rest                           []address
}

func newNeonLogSum(v *neonVec) *neonLogSum {
	g := &neonLogSum{neonVec: v}
	c := coef.Log64[:]
	for _, x := range slices.Backward(c[:len(c)-1]) {
		g.rest = append(g.rest, v.constant(x))
	}
	g.highest = v.inRegister(v.constant(c[len(c)-1]))
	g.two, g.oneHalf = v.inRegister(v.constant(2)), v.inRegister(v.constant(0.5))
	g.ln2Tail, g.ln2Head = v.inRegister(v.constant(coef.Ln2Tail)), v.inRegister(v.constant(coef.Ln2Head))
	return g
}

// evaluate leaves the results in f and frees c.
func (g *neonLogSum) evaluate(k, f, c []*vecReg) {
	s, z := make([]*vecReg, len(f)), make([]*vecReg, len(f))
	g.comment("s = f/(2+f); r = R(s²)")
	for i := range f {
		s[i], z[i] = g.reg(), g.reg()
		g.add(f[i], g.two, s[i])
		g.div(f[i], s[i], s[i])
		g.mul(s[i], s[i], z[i])
	}
	r := g.horner(g.highest, g.rest, z)
	g.comment("h = f²/2; low = s·(r·z + h) + (k·Ln2Tail + c)")
	for i := range f {
		h, u := g.reg(), g.reg()
		g.mul(f[i], g.oneHalf, h)
		g.mul(h, f[i], h)
		g.copy(h, u)
		g.fmaAcc(r[i], z[i], u)
		g.fmaAcc(k[i], g.ln2Tail, c[i])
		g.fmaAcc(s[i], u, c[i])
		g.comment("k·Ln2Head + (f - (h - low))")
		g.sub(h, c[i], h)
		g.sub(f[i], h, f[i])
		g.fmaAcc(k[i], g.ln2Head, f[i])
		g.free(h, u, c[i], s[i], z[i], r[i])
	}
}
