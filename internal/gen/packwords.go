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
	one, seen := v.reg(), v.reg()
	v.broadcast(v.slot(v.param("one")), one)
	v.zero(seen)
	var (
		word, rest, next    = v.newLabel("word"), v.newLabel("rest"), v.newLabel("next")
		goTo                = func(label string) operand.LabelRef { return operand.LabelRef(label) }
		in, out, left, none = v.GP64(), v.GP64(), v.GP64(), v.GP64()
		last                = v.GP64() // offset of a row's last word
	)
	v.XORQ(none, none)
	v.LEAQ(operand.Mem{Base: n, Disp: -1}, last)
	v.SHRQ(operand.U8(6), last)
	pack := func(i int) { v.packStep(step, in, i*step*v.size, at(out, i*step/8), one, seen) }
	(&rowLoop{vec: v, rows: rows, some: true}).eachRow(func() {
		v.MOVQ(src, in)
		v.MOVQ(dst, out)
		v.MOVQ(n, left)
		v.MOVQ(none, operand.Mem{Base: dst, Index: last, Scale: 8})
		v.SUBQ(operand.U8(64), left)
		v.JL(goTo(rest))
		v.Label(word)
		if v.wide() {
			v.packWhole(in, out, one, seen)
		} else {
			for i := range 64 / step {
				if i*step*v.size%64 == 0 {
					v.prefetch(at(in, i*step*v.size), 0)
				}
				pack(i)
			}
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
		if v.wide() {
			v.packPart(in, out, left, one, seen)
		} else {
			pack(0)
		}
		v.ADDQ(operand.I32(step*v.size), in)
		v.ADDQ(operand.U8(step/8), out)
		v.SUBQ(operand.U8(step), left)
		v.JG(goTo(some))
		v.Label(next)
		v.ADDQ(stride, src)
		v.ADDQ(dstStride, dst)
	})
	allowed := v.reg()
	v.broadcast(v.slot(v.param("zero")), allowed)
	v.reportBeyond(seen, allowed)
}

// others returns, on AVX-512, which elements of r are not one, and adds them to seen.
func (v *vec) others(r, one, seen vreg) mask {
	k := v.K()
	if v.double() {
		v.VPCMPUQ(operand.U8(notEqual), one, r, k)
		v.VPORQ(r, seen, k, seen)
	} else {
		v.VPCMPUD(operand.U8(notEqual), one, r, k)
		v.VPORD(r, seen, k, seen)
	}
	return k
}

// packWhole packs, on AVX-512, the 64 elements at in into the word at out.
func (v *vec) packWhole(in, out gpreg, one, seen vreg) {
	unpack := map[int]func(low, high, d op){8: v.KUNPCKBW, 16: v.KUNPCKWD, 32: v.KUNPCKDQ}
	type part struct {
		bits mask
		n    int
	}
	var parts []part // two as long become one
	for i := range 64 / v.perReg() {
		m := at(in, i*v.bytes)
		v.prefetch(m, 0)
		high := part{v.others(v.inRegister(m), one, seen), v.perReg()}
		for len(parts) > 0 && parts[len(parts)-1].n == high.n {
			low := parts[len(parts)-1]
			parts = parts[:len(parts)-1]
			unpack[low.n](low.bits, high.bits, low.bits)
			high = part{low.bits, 2 * low.n}
		}
		parts = append(parts, high)
	}
	bits := v.GP64()
	v.KMOVQ(parts[0].bits, bits)
	v.NOTQ(bits)
	v.MOVQ(bits, at(out, 0))
}

// packPart packs, on AVX-512, the first 16 of the elements at in, of which there are left.
func (v *vec) packPart(in, out, left gpreg, one, seen vreg) {
	there := v.GP64()
	v.MOVQ(operand.I32(-1), there)
	v.BZHIQ(left, there, there)
	for i := range 16 / v.perReg() {
		exist, bits, r := v.K(), v.GP64(), v.reg()
		if v.double() {
			if i > 0 {
				v.SHRQ(operand.U8(8), there)
			}
			v.KMOVB(there.As32(), exist)
		} else {
			v.KMOVW(there.As32(), exist)
		}
		v.load(exist, at(in, i*v.bytes), r)
		k := v.others(r, one, seen)
		if v.double() {
			v.KNOTB(k, k)
			v.KMOVB(k, bits.As32())
			v.MOVB(bits.As8(), at(out, i))
		} else {
			v.KNOTW(k, k)
			v.KMOVW(k, bits.As32())
			v.MOVW(bits.As16(), at(out, 0))
		}
	}
}

// packStep packs, on AVX2, so many elements at in + disp into bits at out, and adds those
// that are not one to seen.
func (v *vec) packStep(step int, in gpreg, disp int, out operand.Mem, one, seen vreg) {
	equals := func(a, b op, d mask) { v.either(v.VPCMPEQD, v.VPCMPEQQ, b, a, d) }
	per := v.perReg()
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
