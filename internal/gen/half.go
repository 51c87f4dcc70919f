package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
)

// A conversion between 16-bit and 32-bit floats runs through multiples of this many
// elements.
const halfStep = 16

// bits32 is the constant of those bits of float32, which are not those of a NaN.
func (v *vec) bits32(bits uint32) operand.Mem {
	return v.constant(float64(math.Float32frombits(bits)))
}

// halfLoop emits a loop over n elements, a multiple of halfStep: body is for the
// registers of a step.
func (v *vec) halfLoop(fromSize, toSize int, body func(dst, src func(i int) operand.Mem, registers int)) {
	dst, src, n := v.param("dst"), v.param("src"), v.param("n")
	loop, last, rest, done := v.newLabel("loop"), v.newLabel("last"), v.newLabel("rest"), v.newLabel("done")
	perReg := v.perReg()
	steps := func(count int) {
		for i := range count {
			if i*halfStep*fromSize%64 == 0 {
				v.prefetch(at(src, i*halfStep*fromSize), 0)
			}
			body(
				func(r int) operand.Mem { return at(dst, i*halfStep*toSize+r*perReg*toSize) },
				func(r int) operand.Mem { return at(src, i*halfStep*fromSize+r*perReg*fromSize) },
				halfStep/perReg)
		}
		v.ADDQ(operand.I32(count*halfStep*toSize), dst)
		v.ADDQ(operand.I32(count*halfStep*fromSize), src)
		v.SUBQ(operand.U8(count*halfStep), n)
	}
	v.SUBQ(operand.U8(4*halfStep), n)
	v.JL(operand.LabelRef(rest))
	v.Label(loop)
	steps(4)
	v.JGE(operand.LabelRef(loop))
	v.Label(rest)
	v.ADDQ(operand.U8(4*halfStep), n)
	v.JZ(operand.LabelRef(done))
	v.Label(last)
	steps(1)
	v.JNZ(operand.LabelRef(last))
	v.Label(done)
	v.VZEROUPPER()
	v.RET()
}

// widenBFloat16 emits float32 of bfloat16, the upper half of its bits.
func widenBFloat16(v *vec) {
	v.halfLoop(2, 4, func(dst, src func(int) operand.Mem, registers int) {
		for i := range registers {
			r := v.reg()
			v.VPMOVZXWD(src(i), r)
			v.VPSLLD(operand.U8(16), r, r)
			v.move(r, dst(i))
		}
	})
}

// widenFloat16 emits float32 of float16.
func widenFloat16(v *vec) {
	v.halfLoop(2, 4, func(dst, src func(int) operand.Mem, registers int) {
		for i := range registers {
			r := v.reg()
			v.VCVTPH2PS(src(i), r)
			v.move(r, dst(i))
		}
	})
}

// narrowFloat16 emits float16 of float32, to nearest even.
func narrowFloat16(v *vec) {
	v.halfLoop(4, 2, func(dst, src func(int) operand.Mem, registers int) {
		for i := range registers {
			r := v.reg()
			v.move(src(i), r)
			v.VCVTPS2PH(operand.U8(0), r, dst(i))
		}
	})
}

// narrowBFloat16 emits bfloat16 of float32, to nearest even: the upper half of the
// bits plus half a last place, less 1 where that one is even. A NaN becomes quiet.
func narrowBFloat16(v *vec) {
	one, half, quiet := v.inRegister(v.bits32(1)), v.inRegister(v.bits32(0x7fff)), v.inRegister(v.bits32(0x400000))
	v.halfLoop(4, 2, func(dst, src func(int) operand.Mem, registers int) {
		var upper []vreg
		for i := range registers {
			x, r, k := v.reg(), v.reg(), v.newMask()
			v.move(src(i), x)
			v.VPSRLD(operand.U8(16), x, r)
			v.and(r, one, r)
			v.VPADDD(half, r, r)
			v.VPADDD(x, r, r)
			v.compare(unordered, x, x, k)
			v.or(x, quiet, x)
			v.choose(k, x, r, r)
			v.VPSRLD(operand.U8(16), r, r)
			upper = append(upper, r)
		}
		if v.wide() {
			v.VPMOVDW(upper[0], dst(0))
			return
		}
		// Of each register the lower half comes first.
		r := v.reg()
		v.VPACKUSDW(upper[1], upper[0], r)
		v.VPERMQ(operand.U8(0b11011000), r, r)
		v.VMOVDQU(r, dst(0))
	})
}
