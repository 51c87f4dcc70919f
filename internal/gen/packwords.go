package gen

import (
	"github.com/mmcloughlin/avo/operand"
)

// packWords emits the packing of rows of elements of 4 or 8 bytes, each one or
// zero, into bits, a byte of them at a time, or on AVX-512 two.
func packWords(v *vec) {
	dst, dstStride := v.param("dst"), v.param("dstStride")
	src, stride := v.param("src"), v.stride("stride")
	rows, n := v.param("rows"), v.param("n")
	v.SHLQ(operand.U8(3), dstStride)
	step := 8
	if v.wide() {
		step = 16
	}
	one, seen, zero := v.reg(), v.reg(), v.reg()
	v.broadcast(v.slot(v.param("one")), one)
	v.zero(seen)
	v.zero(zero)
	var (
		word, rest, next    = v.newLabel("word"), v.newLabel("rest"), v.newLabel("next")
		goTo                = func(label string) operand.LabelRef { return operand.LabelRef(label) }
		in, out, left, none = v.GP64(), v.GP64(), v.GP64(), v.GP64()
		last                = v.GP64() // offset of a row's last word
	)
	v.XORQ(none, none)
	v.LEAQ(operand.Mem{Base: n, Disp: -1}, last)
	v.SHRQ(operand.U8(6), last)
	pack := func(i int) { v.packStep(step, in, i*step*v.size, at(out, i*step/8), one, zero, seen) }
	(&rowLoop{vec: v, rows: rows, some: true}).eachRow(func() {
		v.MOVQ(src, in)
		v.MOVQ(dst, out)
		v.MOVQ(n, left)
		v.MOVQ(none, operand.Mem{Base: dst, Index: last, Scale: 8})
		v.SUBQ(operand.U8(64), left)
		v.JL(goTo(rest))
		v.Label(word)
		for i := range 64 / step {
			if i*step*v.size%64 == 0 {
				v.prefetch(at(in, i*step*v.size), 0)
			}
			pack(i)
		}
		v.ADDQ(operand.I32(64*v.size), in)
		v.ADDQ(operand.U8(8), out)
		v.SUBQ(operand.U8(64), left)
		v.JGE(goTo(word))
		v.Label(rest)
		v.ADDQ(operand.U8(64), left)
		v.JZ(goTo(next))
		some := v.newLabel("some")
		v.Label(some)
		pack(0)
		v.ADDQ(operand.I32(step*v.size), in)
		v.ADDQ(operand.U8(step/8), out)
		v.SUBQ(operand.U8(step), left)
		v.JNZ(goTo(some))
		v.Label(next)
		v.ADDQ(stride, src)
		v.ADDQ(dstStride, dst)
	})
	allowed := v.reg()
	v.broadcast(v.slot(v.param("zero")), allowed)
	v.reportBeyond(seen, allowed)
}

// packStep packs so many elements at in + disp into bits at out, and adds those
// that are not one to seen.
func (v *vec) packStep(step int, in gpreg, disp int, out operand.Mem, one, zero, seen vreg) {
	equals := func(a, b op, d mask) { v.either(v.VPCMPEQD, v.VPCMPEQQ, b, a, d) }
	per := v.perReg()
	if v.wide() {
		for i := range step / per {
			r, k, bits := v.reg(), v.K(), v.GP64()
			v.move(at(in, disp+i*v.bytes), r)
			equals(one, r, k)
			v.either(v.VMOVAPS, v.VMOVAPD, zero, k, r)
			v.VPORQ(r, seen, seen)
			out.Disp += i * per / 8
			if v.double() {
				v.KMOVB(k, bits.As32())
				v.MOVB(bits.As8(), out)
			} else {
				v.KMOVW(k, bits.As32())
				v.MOVW(bits.As16(), out)
			}
		}
		return
	}
	var bits []gpreg
	for i := range step / per {
		r, k, b := v.reg(), v.reg(), v.GP64()
		v.move(at(in, disp+i*v.bytes), r)
		equals(one, r, k)
		v.andNot(k, r, r)
		v.VPOR(r, seen, seen)
		if v.double() {
			v.VMOVMSKPD(k, b.As32())
		} else {
			v.VMOVMSKPS(k, b.As32())
		}
		bits = append(bits, b)
	}
	if len(bits) == 2 {
		v.SHLL(operand.U8(4), bits[1].As32())
		v.ORL(bits[1].As32(), bits[0].As32())
	}
	v.MOVB(bits[0].As8(), out)
}
