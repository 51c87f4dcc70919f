package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// softWeights emits the weights of soft labels, 8 elements at a time.
func softWeights(v *vec) {
	neg, pos, t := v.param("neg"), v.param("pos"), v.param("t")
	part, class, exponents := v.param("part"), v.param("class"), v.param("exponents")
	rows, n := v.param("rows"), v.param("n")
	l := &rowLoop{vec: v}
	for _, r := range []gpreg{neg, pos} {
		l.advance(r, "wStride", log2(v.size))
	}
	l.advance(t, "stride", log2(v.size))
	l.advance(part, "words", 3)

	var (
		d         = &vec{v.file, v.tier, float64s} // the arithmetic is in float64
		bits      = []operand.Mem{d.laneBits(0)}
		row, loop = v.newLabel("row"), v.newLabel("loop")
		off, at8  = v.GP64(), v.GP64()
		shift     = 0
	)
	if v.double() {
		shift = coef.SoftShift64
	}
	if !v.wide() {
		bits = append(bits, d.laneBits(4))
	}
	integer := func(bits uint64) operand.Mem { return d.constant(math.Float64frombits(bits)) }
	v.Label(row)
	v.XORQ(off, off)
	v.Label(loop)
	v.MOVQ(off, at8)
	v.SHRQ(operand.U8(3), at8)
	// The weights' offset: whole vectors have twice their length.
	place := v.GP64()
	v.MOVQ(off, place)
	v.ANDQ(operand.I32(-v.lanes), place)
	v.ADDQ(off, place)
	for h := range d.regs() {
		first := h * d.perReg()
		label := d.reg()
		from := operand.Mem{Base: t, Index: off, Scale: uint8(v.size), Disp: first * v.size}
		if v.double() {
			d.move(from, label)
		} else {
			v.VCVTPS2PD(from, label)
		}
		in := d.newMask()
		mem := operand.Mem{Base: part, Index: at8, Scale: 1}
		if v.wide() {
			v.KMOVB(mem, in)
		} else {
			v.VPBROADCASTB(mem, in)
			d.and(in, bits[h], in)
			v.VPCMPEQQ(bits[h], in, in)
		}
		for side, out := range []gpreg{neg, pos} {
			u, bias := d.reg(), 1023
			weights := operand.Mem{Base: class, Index: off, Scale: 8, Disp: 8 * first}
			if side == 0 {
				d.move(weights, u)
				v.VFNMADD231PD(u, label, u)
			} else if shift != 0 {
				d.mul(label, d.constant(math.Ldexp(1, shift)), u)
				d.mul(u, weights, u)
				bias += shift
			} else {
				d.mul(label, weights, u)
			}
			var k mask
			if v.wide() {
				k = v.K()
				zero := d.inRegister(d.constant(0))
				v.VCMPPD(operand.U8(notEqual), u, zero, in, k)
			} else {
				zero := d.inRegister(d.constant(0))
				d.compare(notEqual, zero, u, zero)
				d.and(zero, in, zero)
				k = zero
			}
			// e: the exponent's bits as the low bits of 2^52, less 2^52 and bias.
			e, m := d.reg(), d.reg()
			v.VPSRLQ(operand.U8(52), u, e)
			d.or(e, integer(math.Float64bits(0x1p52)), e)
			d.sub(e, d.constant(0x1p52+float64(bias)), e)
			d.and(u, integer(1<<52-1), m)
			d.or(m, d.constant(1), m)
			to := operand.Mem{Base: out, Index: place, Scale: uint8(v.size), Disp: first * v.size}
			toE := to
			toE.Disp += 64
			fromE := operand.Mem{Base: exponents, Index: place, Scale: uint8(v.size), Disp: first*v.size + 64}
			d.keep(k, m, m)
			if v.double() {
				d.add(e, fromE, e)
				d.keep(k, e, e)
				d.move(m, to)
				d.move(e, toE)
				continue
			}
			r := d.reg()
			v.VCVTPS2PD(fromE, r)
			d.add(e, r, e)
			d.keep(k, e, e)
			for _, x := range []struct {
				r  vreg
				to operand.Mem
			}{{m, to}, {e, toE}} {
				if v.wide() {
					y := v.YMM()
					v.VCVTPD2PS(x.r, y)
					v.VMOVUPS(y, x.to)
				} else {
					y := v.XMM()
					v.VCVTPD2PSY(x.r, y)
					v.VMOVUPS(y, x.to)
				}
			}
		}
	}
	v.ADDQ(operand.U8(8), off)
	v.CMPQ(off, n)
	v.JB(operand.LabelRef(loop))
	for _, f := range l.next {
		f()
	}
	v.DECQ(rows)
	v.JNZ(operand.LabelRef(row))
	v.VZEROUPPER()
	v.RET()
}

// softUnit emits the weights of soft labels where all classes have weight 1, a
// virtual vector at a time, in float32.
func softUnit(v *vec) {
	neg, pos, t, part := v.param("neg"), v.param("pos"), v.param("t"), v.param("part")
	rows, n := v.param("rows"), v.param("n")
	l := &rowLoop{vec: v}
	for _, r := range []gpreg{neg, pos} {
		l.advance(r, "wStride", log2(v.size))
	}
	l.advance(t, "stride", log2(v.size))
	l.advance(part, "words", 3)
	const shift = coef.SoftShift32
	place := func(x float64) vreg { return v.inRegister(v.constant(x)) }
	one, zero, scale := place(1), place(0), place(math.Ldexp(1, shift))
	implicit, mantissa := place(0x1p23), place(float64(math.Float32frombits(1<<23-1)))
	biases := []vreg{place(0x1p23 + 127), place(0x1p23 + 127 + shift)}
	row, loop := v.newLabel("row"), v.newLabel("loop")
	off := v.GP64()
	sides := &sides{vec: v, at: v.GP64()}
	if !v.wide() {
		sides.bits = []op{v.laneBits(0)}
	}
	v.Label(row)
	v.XORQ(off, off)
	v.Label(loop)
	v.MOVQ(off, sides.at)
	v.SHRQ(operand.U8(3), sides.at)
	for h := range v.regs() {
		label := v.reg()
		v.move(operand.Mem{Base: t, Index: off, Scale: 4, Disp: h * v.bytes}, label)
		in := sides.mask(part, h)
		for side, out := range []gpreg{neg, pos} {
			u := v.reg()
			if side == 0 {
				v.sub(one, label, u)
			} else {
				v.mul(label, scale, u)
			}
			var k mask
			if v.wide() {
				k = v.K()
				v.VCMPPS(operand.U8(notEqual), u, zero, in, k)
			} else {
				k = v.reg()
				v.compare(notEqual, zero, u, k)
				v.and(k, in, k)
			}
			// e: the exponent's bits as the low bits of 2^23, less 2^23 and bias.
			e, m := v.reg(), v.reg()
			v.VPSRLD(operand.U8(23), u, e)
			v.or(e, implicit, e)
			v.sub(e, biases[side], e)
			v.and(u, mantissa, m)
			v.or(m, one, m)
			to := operand.Mem{Base: out, Index: off, Scale: 8, Disp: h * v.bytes}
			v.keep(k, m, m)
			v.move(m, to)
			to.Disp += 64
			v.keep(k, e, e)
			v.move(e, to)
		}
	}
	v.ADDQ(operand.U8(16), off)
	v.CMPQ(off, n)
	v.JB(operand.LabelRef(loop))
	for _, f := range l.next {
		f()
	}
	v.DECQ(rows)
	v.JNZ(operand.LabelRef(row))
	v.VZEROUPPER()
	v.RET()
}
