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
	l := newSoftLoop(v, 8, t, part, neg, pos)
	d := &vec{v.file, v.tier, float64s} // the arithmetic is in float64
	sides := &sides{vec: d, at: v.GP64()}
	sides.laneTests()
	shift := 0
	if v.double() {
		shift = coef.SoftShift64
	}
	integer := func(bits uint64) operand.Mem { return d.constant(math.Float64frombits(bits)) }
	l.runWhole(func() {}, func() {
		sides.elements(l.off)
		// The weights' offset: whole vectors have twice their length.
		place := v.GP64()
		v.MOVQ(l.off, place)
		v.ANDQ(operand.I32(-v.lanes), place)
		v.ADDQ(l.off, place)
		for h := range d.regs() {
			first := h * d.perReg()
			label := d.reg()
			from := operand.Mem{Base: t, Index: l.off, Scale: uint8(v.size), Disp: first * v.size}
			d.loadWide(v.elem, from, label)
			in := sides.mask(part, h)
			for side, out := range []gpreg{neg, pos} {
				u, bias := d.reg(), 1023
				weights := operand.Mem{Base: class, Index: l.off, Scale: 8, Disp: 8 * first}
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
				var exponent op = fromE
				if !v.double() {
					r := d.reg()
					v.VCVTPS2PD(fromE, r)
					exponent = r
				}
				d.add(e, exponent, e)
				d.keep(k, e, e)
				d.storeNarrow(v.elem, m, to)
				d.storeNarrow(v.elem, e, toE)
			}
		}
	}, func() {})
}

// newSoftLoop returns the loop of the weights of soft labels, padded, through groups of
// so many elements.
func newSoftLoop(v *vec, size int, t, part gpreg, out ...gpreg) *rowLoop {
	l := newWholeLoop(v, size)
	l.rows, l.some = v.param("rows"), true
	for _, r := range out {
		l.advance(r, "wStride", log2(v.size))
	}
	l.advance(t, "stride", log2(v.size))
	l.advance(part, "words", 3)
	return l
}
