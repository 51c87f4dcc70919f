package gen

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// offset emits the difference from two numbers a row, taken in float64.
func offset(v *vec) {
	dst, dstStride := v.param("dst"), v.stride("dstStride")
	x, stride := v.param("x"), v.stride("stride")
	tops, logs := v.param("m"), v.param("l")
	l := newRowLoop(v)
	m, s := v.reg(), v.reg()

	l.run(func() {
		v.VBROADCASTSD(at(tops, 0), m)
		v.VBROADCASTSD(at(logs, 0), s)
	}, func(off reg.Register, pairs []pair) {
		for _, t := range terms(pairs) {
			r := v.reg()
			mem := operand.Mem{Base: x, Index: off, Scale: 1, Disp: t.reg * v.bytes}
			v.load(t.mask, mem, r)
			if t.mask == nil {
				v.prefetch(mem, t.reg)
			}
			if v.double() {
				v.sub(r, m, r)
				v.sub(r, s, r)
			} else {
				low, high := v.widen(r)
				for _, half := range []vreg{low, high} {
					v.VSUBPD(m, half, half)
					v.VSUBPD(s, half, half)
				}
				r = v.narrow(low, high)
			}
			v.store(t.mask, r, operand.Mem{Base: dst, Index: off, Scale: 1, Disp: t.reg * v.bytes})
		}
	}, func() {
		v.ADDQ(dstStride, dst)
		v.ADDQ(stride, x)
		v.ADDQ(operand.U8(8), tops)
		v.ADDQ(operand.U8(8), logs)
	})
}

// narrow returns the float64 lanes of two registers as float32 lanes of one.
func (v *vec) narrow(low, high vreg) vreg {
	r := v.reg()
	if v.wide() {
		l, h := v.YMM(), v.YMM()
		v.VCVTPD2PS(low, l)
		v.VCVTPD2PS(high, h)
		v.VINSERTF64X4(operand.U8(1), h, l.AsZ(), r)
	} else {
		l, h := v.XMM(), v.XMM()
		v.VCVTPD2PSY(low, l)
		v.VCVTPD2PSY(high, h)
		v.VINSERTF128(operand.U8(1), h, l.AsY(), r)
	}
	return r
}
