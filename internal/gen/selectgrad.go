package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// selectGrad emits the gradient of the losses made of selectSums.
func selectGrad(v *vec) {
	v.kernel("selectGrad", "dst *"+v.goType+", dstStride int, x *"+v.goType+", stride, rows, n int, pos, neg *uint64, words int, p *[6]"+v.goType,
		"writes to dst[i·dstStride+j], with {magic of c, low, factor} = p[i][:3] for the classes of neg, y = x,",
		"and p[i][3:] for those of pos, y = -x: e^y·2^-c·factor, or 0 where y < low, and 0 for other classes.",
	)
	dst, dstStride := v.param("dst"), v.stride("dstStride")
	x, stride := v.param("x"), v.stride("stride")
	s := newSides(v)
	p := v.param("p")
	l := newRowLoop(v)
	var params [6]op
	if v.wide() {
		for i := range params {
			params[i] = v.reg()
		}
	} else {
		for i := range params {
			params[i] = v.AllocLocal(v.bytes)
		}
	}
	e := newExponential(v, nil, true)

	l.run(func() {
		for i, d := range params {
			if v.wide() {
				v.broadcast(at(p, i*v.size), d)
				continue
			}
			r := v.reg()
			v.broadcast(at(p, i*v.size), r)
			v.move(r, d)
		}
	}, func(off reg.Register, pairs []pair) {
		s.group(off)
		// There are masks for two terms at a time on AVX-512, and on AVX2
		// registers for one.
		all := terms(pairs)
		step := 1
		if v.wide() {
			step = min(2, len(all))
		}
		for ; len(all) > 0; all = all[step:] {
			var y []vreg
			var magic []op
			var positive, keep []mask
			for _, t := range all[:step] {
				r, m := v.reg(), v.reg()
				v.load(t.mask, operand.Mem{Base: x, Index: off, Scale: 1, Disp: t.reg * v.bytes}, r)
				k := s.mask(s.pos, t.reg)
				v.flip(k, r)
				v.choose(k, params[3], params[0], m)
				y, magic, positive = append(y, r), append(magic, m), append(positive, k)
				// The lanes that are kept are found before y is overwritten.
				if v.wide() {
					keep = append(keep, v.keptLanes(r, k, params[4], s.mask(s.neg, t.reg), params[1]))
				} else {
					low := v.reg()
					v.choose(k, params[4], params[1], low)
					keep = append(keep, v.atLeast(r, low, v.union(k, s.mask(s.neg, t.reg))))
				}
			}
			p, q := e.evaluateWith(y, magic)
			for i, t := range all[:step] {
				factor, k := v.reg(), positive[i]
				if !v.wide() {
					k = s.mask(s.pos, t.reg) // union has overwritten it
				}
				v.choose(k, params[5], params[2], factor)
				v.mul(p[i], q[i], p[i])
				v.mulKeep(keep[i], p[i], factor, p[i])
				mem := operand.Mem{Base: dst, Index: off, Scale: 1, Disp: t.reg * v.bytes}
				v.store(t.mask, p[i], mem)
			}
		}
	}, func() {
		v.ADDQ(dstStride, dst)
		v.ADDQ(stride, x)
		s.next()
		v.ADDQ(operand.U8(6*v.size), p)
	})
}

// selectGradZero emits the gradient for rows that all have pivot 0: fewer
// choices by label.
func selectGradZero(v *vec) {
	v.kernel("selectGradZero", "dst *"+v.goType+", dstStride int, x *"+v.goType+", stride, rows, n int, pos, neg *uint64, words int, p *[6]"+v.goType,
		"is selectGrad where all magic numbers and lowest arguments in p are those of pivot 0.",
	)
	dst, dstStride := v.param("dst"), v.stride("dstStride")
	x, stride := v.param("x"), v.stride("stride")
	s := newSides(v)
	p := v.param("p")
	l := newRowLoop(v)
	magic, _, _ := v.naturalRange()
	if !v.wide() {
		magic = v.inRegister(magic.(operand.Mem))
	}
	scale, least := math.Ln2, -125.5
	if v.double() {
		least = -1021.5
	}
	var low op = v.constant(least * scale)
	if v.wide() {
		low = v.inRegister(low.(operand.Mem))
	}
	negative, positive := v.reg(), v.reg()
	e := newExponential(v, magic, true)

	l.run(func() {
		v.broadcast(at(p, 2*v.size), negative)
		v.broadcast(at(p, 5*v.size), positive)
	}, func(off reg.Register, pairs []pair) {
		s.group(off)
		all := terms(pairs)
		step := 1
		if v.wide() {
			step = min(2, len(all))
		}
		for ; len(all) > 0; all = all[step:] {
			var y []vreg
			var side, keep []mask
			for _, t := range all[:step] {
				r := v.reg()
				v.load(t.mask, operand.Mem{Base: x, Index: off, Scale: 1, Disp: t.reg * v.bytes}, r)
				k := s.mask(s.pos, t.reg)
				v.flip(k, r)
				y, side = append(y, r), append(side, k)
				in := v.union(s.mask(s.neg, t.reg), k)
				if v.wide() {
					v.either(v.VCMPPS, v.VCMPPD, operand.U8(greaterOrEqual), low, r, in, in)
				} else {
					in = v.atLeast(r, v.inRegister(low.(operand.Mem)), in)
				}
				keep = append(keep, in)
			}
			p, q := e.evaluate(y)
			for i, t := range all[:step] {
				factor := v.reg()
				v.choose(side[i], positive, negative, factor)
				v.mul(p[i], q[i], p[i])
				v.mulKeep(keep[i], p[i], factor, p[i])
				v.store(t.mask, p[i], operand.Mem{Base: dst, Index: off, Scale: 1, Disp: t.reg * v.bytes})
			}
		}
	}, func() {
		v.ADDQ(dstStride, dst)
		v.ADDQ(stride, x)
		s.next()
		v.ADDQ(operand.U8(6*v.size), p)
	})
}

// union returns the lanes of a or b, overwriting a.
func (v *vec) union(a, b mask) mask {
	v.orMask(b, a)
	return a
}

// atLeast returns the lanes of k in which y ≥ low, overwriting k and low.
func (v *vec) atLeast(y, low vreg, k mask) mask {
	v.compare(greaterOrEqual, y, low, low)
	v.and(k, low, k)
	return k
}

// keptLanes returns, on AVX-512, the lanes of k in which y ≥ a and those of n in
// which y ≥ b, overwriting n.
func (v *vec) keptLanes(y vreg, k mask, a op, n mask, b op) mask {
	of := v.newMask()
	v.either(v.VCMPPS, v.VCMPPD, operand.U8(greaterOrEqual), a, y, k, of)
	v.either(v.VCMPPS, v.VCMPPD, operand.U8(greaterOrEqual), b, y, n, n)
	return v.union(n, of)
}
