package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/zlpr/zlpr/internal/coef"
)

// logarithm emits scalar.LogNormal(x, 0) and scalar.Log1pFinite(x), x ≥ 0, for
// many x.
func logarithm(v *vec, plus1 bool) {
	name, what := "log", "log(x[i]) for positive normal x[i]"
	if plus1 {
		name, what = "log1p", "log(1+x[i]) for finite x[i] ≥ 0"
	}
	v.kernel(name, "dst, x *float64, n int", "writes dst[i] = "+what+", i < n.")
	dst, x := v.param("dst"), v.param("x")
	l := newVectorLoop(v)
	one := v.inRegister(v.constant(1))
	bits := func(b uint64) op { return v.constant(math.Float64frombits(b)) }
	significand, half, offset := bits(1<<52-1), bits(coef.SqrtHalfBits), bits(coef.LogOffset)

	l.row(func(off reg.Register, pairs []pair) {
		for _, t := range terms(pairs) {
			in := operand.Mem{Base: x, Index: off, Scale: 1, Disp: t.reg * v.bytes}
			out := operand.Mem{Base: dst, Index: off, Scale: 1, Disp: t.reg * v.bytes}
			u, b, k := v.reg(), v.reg(), v.reg()
			var y vreg
			if t.mask == nil {
				v.move(in, u)
			} else {
				v.load(t.mask, in, u)
			}
			if plus1 {
				y = u
				u = v.reg()
				v.add(y, one, u)
			}
			// u = 2^k·(1+f)
			v.VPADDQ(offset, u, b)
			v.VPSRLQ(operand.U8(52), b, k)
			v.or(k, v.constant(0x1p52), k)
			v.sub(k, v.constant(0x1p52+1023), k)
			f := b
			v.and(f, significand, f)
			v.VPADDQ(half, f, f)
			v.sub(f, one, f)
			var c vreg
			if plus1 {
				// c = (1 + y - u)/u, the larger of 1 and y first; where k is
				// 0, f is y and c is 0.
				c = v.reg()
				big := v.reg()
				v.max(y, one, big)
				v.min(y, one, c)
				v.sub(u, big, big)
				v.sub(c, big, c)
				v.VDIVPD(u, c, c)
				zero, near := v.reg(), v.newMask()
				v.zero(zero)
				v.compare(equal, k, zero, near)
				v.choose(near, y, f, f)
				v.choose(near, zero, c, c)
			}
			v.store(t.mask, v.logSum(k, f, c), out)
		}
	})
	v.VZEROUPPER()
	v.RET()
}

// logSum returns k·ln(2) + log(1+f) + c, c nil for 0, as scalar.logSum does.
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
	if c == nil {
		c = v.reg()
		v.mul(k, v.constant(coef.Ln2Tail), c)
	} else {
		v.fmaAcc(k, v.constant(coef.Ln2Tail), c)
	}
	v.fmaAcc(s, r, c)
	v.sub(h, c, h)
	v.sub(f, h, f)
	v.fmaAcc(k, v.constant(coef.Ln2Head), f)
	return f
}

// choose is d = a in the lanes of k, b elsewhere.
func (v *vec) choose(k mask, a, b, d vreg) {
	switch {
	case v.wide():
		v.either(v.VBLENDMPS, v.VBLENDMPD, a, b, k, d)
	case v.double():
		v.VBLENDVPD(k, a, b, d)
	default:
		v.VBLENDVPS(k, a, b, d)
	}
}
