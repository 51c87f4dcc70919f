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
	v.loadConstants()
	bits := func(b uint64) address { return v.constant(math.Float64frombits(b)) }
	one := v.inRegister(v.constant(1))
	significand, half, offset := v.inRegister(bits(1<<52-1)), v.inRegister(bits(coef.SqrtHalfBits)), v.inRegister(bits(coef.LogOffset))
	unit, bias := v.inRegister(v.constant(0x1p52)), v.inRegister(v.constant(0x1p52+1023))
	g := newNeonLogSum(v)

	l.row(func(pairs []pair) {
		load := func(s *stream, t term) *vecReg {
			r := v.reg()
			v.load(s.place(t), r)
			return r
		}
		all := terms(pairs)
		for i := 0; i < len(all); i += 2 {
			k, f, c := make([]*vecReg, 2), make([]*vecReg, 2), make([]*vecReg, 2)
			for j, t := range all[i : i+2] {
				var y, h *vecReg
				if plus1 {
					y, h, c[j] = load(x, t), v.reg(), v.reg()
					v.max(y, one, h)
					v.min(y, one, c[j])
				} else {
					h, c[j] = load(hi, t), load(lo, t)
				}
				v.comment("u = h + c rounded, c = (c - (u - h))·(1/u)")
				u := v.reg()
				v.add(h, c[j], u)
				v.sub(u, h, h)
				v.sub(c[j], h, c[j])
				v.div(one, u, h)
				v.mul(c[j], h, c[j])
				v.free(h)
				v.comment("u = 2^k·(1+f)")
				k[j], f[j] = v.reg(), v.reg()
				b := f[j]
				v.op("VADD", offset.d2(), u.d2(), b.d2())
				v.op("VUSHR", imm(52), b.d2(), k[j].d2())
				v.or(k[j], unit, k[j])
				v.sub(k[j], bias, k[j])
				v.and(b, significand, b)
				v.op("VADD", half.d2(), b.d2(), b.d2())
				v.sub(b, one, b)
				if plus1 {
					v.comment("where k is 0, f = y and c = 0")
					v.op("VCMTST", k[j].d2(), k[j].d2(), u.d2())
					v.keepOr(u, y, f[j])
					v.and(c[j], u, c[j])
					v.free(y)
				}
				v.free(u)
			}
			g.evaluate(k, f, c)
			for j, t := range all[i : i+2] {
				v.store(f[j], dst.place(t))
			}
			v.free(f...)
			v.free(k...)
		}
	})
	v.op("RET")
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
