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

// halfBlock is how many elements the inner loop of a conversion takes at once.
const halfBlock = 4 * halfStep

// A halfBody converts a step: registers of float32, number r of which is at src(r) or
// goes to dst(r).
type halfBody func(dst, src func(r int) operand.Mem, registers int)

// halfLoop emits a loop over n elements, a multiple of halfStep, by body. Where block
// is not nil it takes blocks of halfBlock elements; where it jumps to the label, body
// takes that block.
func (v *vec) halfLoop(fromSize, toSize int, body halfBody, block func(dst, src func(r int) operand.Mem, unfit string)) {
	dst, src, n := v.param("dst"), v.param("src"), v.param("n")
	loop, last, rest, done := v.newLabel("loop"), v.newLabel("last"), v.newLabel("rest"), v.newLabel("done")
	perReg := v.perReg()
	// register is that number of a step or a block.
	register := func(p gpreg, size, first int) func(r int) operand.Mem {
		return func(r int) operand.Mem { return at(p, (first+r*perReg)*size) }
	}
	advance := func(elements int) {
		v.ADDQ(operand.I32(elements*toSize), dst)
		v.ADDQ(operand.I32(elements*fromSize), src)
	}
	step := func() {
		body(register(dst, toSize, 0), register(src, fromSize, 0), halfStep/perReg)
		advance(halfStep)
	}
	v.SUBQ(operand.U8(halfBlock), n)
	v.JL(operand.LabelRef(rest))
	v.Label(loop)
	// What is narrowed has just been computed. What is widened comes to the second cache
	// only: within it, lines that come early push out of the nearest what is needed sooner.
	if fromSize < toSize {
		for disp := 0; disp < halfBlock*fromSize; disp += 64 {
			v.PREFETCHT1(at(src, disp+prefetchAhead))
		}
	}
	unfit := v.newLabel("unfit")
	if block != nil {
		block(register(dst, toSize, 0), register(src, fromSize, 0), unfit)
	} else {
		for i := 0; i < halfBlock; i += halfStep {
			body(register(dst, toSize, i), register(src, fromSize, i), halfStep/perReg)
		}
	}
	advance(halfBlock)
	v.SUBQ(operand.U8(halfBlock), n)
	v.JGE(operand.LabelRef(loop))
	v.Label(rest)
	v.ADDQ(operand.U8(halfBlock), n)
	v.JZ(operand.LabelRef(done))
	v.Label(last)
	step()
	v.SUBQ(operand.U8(halfStep), n)
	v.JNZ(operand.LabelRef(last))
	v.Label(done)
	v.VZEROUPPER()
	v.RET()
	if block == nil {
		return
	}
	steps, next := v.GP64(), v.newLabel("next")
	v.Label(unfit)
	v.MOVQ(operand.U32(halfBlock/halfStep), steps)
	v.Label(next)
	step()
	v.DECQ(steps)
	v.JNZ(operand.LabelRef(next))
	v.SUBQ(operand.U8(halfBlock), n)
	v.JGE(operand.LabelRef(loop))
	v.JMP(operand.LabelRef(rest))
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
	}, nil)
}

// widenFloat16 emits float32 of float16.
func widenFloat16(v *vec) {
	v.halfLoop(2, 4, func(dst, src func(int) operand.Mem, registers int) {
		for i := range registers {
			r := v.reg()
			v.VCVTPH2PS(src(i), r)
			v.move(r, dst(i))
		}
	}, nil)
}

// narrowFloat16 emits float16 of float32, to nearest even. (A conversion to memory
// takes longer than one to a register and its store.)
func narrowFloat16(v *vec) {
	const nearest = operand.U8(0)
	v.halfLoop(4, 2, func(dst, src func(int) operand.Mem, registers int) {
		if v.wide() {
			x, h := v.reg(), v.YMM()
			v.move(src(0), x)
			v.VCVTPS2PH(nearest, x, h)
			v.VMOVDQU(h, dst(0))
			return
		}
		low, high := v.reg(), v.reg()
		v.move(src(0), low)
		v.move(src(1), high)
		v.VCVTPS2PH(nearest, low, low.AsX())
		v.VCVTPS2PH(nearest, high, high.AsX())
		v.VINSERTF128(operand.U8(1), high.AsX(), low.AsY(), low.AsY())
		v.move(low, dst(0))
	}, nil)
}

// narrowBFloat16 emits bfloat16 of float32, to nearest even: the upper half of the
// bits plus half a last place, less 1 where that one is even. A NaN becomes quiet.
//
// Blocks are for numbers that no tie is among, whose lower half would become 0: they
// have half a last place added, and a test tells that all are such.
func narrowBFloat16(v *vec) {
	half, zero := v.inRegister(v.bits32(0x8000)), v.reg()
	v.zero(zero)
	one, below, quiet := v.inRegister(v.bits32(1)), v.inRegister(v.bits32(0x7fff)), v.inRegister(v.bits32(0x400000))
	var odd op
	if v.wide() {
		odd = v.inRegister(v.oddWords())
	}
	// pack stores the upper halves of two registers, of which AVX2 takes the lower
	// halves first.
	pack := func(low, high vreg, dst operand.Mem) {
		if v.wide() {
			v.VPERMT2W(high, odd, low)
			v.move(low, dst)
			return
		}
		v.VPSRLD(operand.U8(16), low, low)
		v.VPSRLD(operand.U8(16), high, high)
		v.VPACKUSDW(high, low, low)
		v.VPERMQ(operand.U8(0b11011000), low, low)
		v.VMOVDQU(low, dst)
	}
	body := func(dst, src func(int) operand.Mem, registers int) {
		var upper []vreg
		for i := range registers {
			x, r, k := v.reg(), v.reg(), v.newMask()
			v.move(src(i), x)
			v.VPSRLD(operand.U8(16), x, r)
			v.and(r, one, r)
			v.VPADDD(below, r, r)
			v.VPADDD(x, r, r)
			v.compare(unordered, x, x, k)
			v.or(x, quiet, x)
			v.choose(k, x, r, r)
			upper = append(upper, r)
		}
		if v.wide() {
			v.VPSRLD(operand.U8(16), upper[0], upper[0])
			v.VPMOVDW(upper[0], dst(0))
			return
		}
		pack(upper[0], upper[1], dst(0))
	}
	v.halfLoop(4, 2, body, func(dst, src func(int) operand.Mem, unfit string) {
		var nan, tie mask
		var least vreg // of the lower halves
		for i := 0; i < halfBlock/v.perReg(); i += 2 {
			x, y, k := v.reg(), v.reg(), v.newMask()
			v.move(src(i), x)
			v.move(src(i+1), y)
			v.compare(unordered, x, y, k)
			v.VPADDD(half, x, x)
			v.VPADDD(half, y, y)
			if nan == nil {
				nan, least = k, v.reg()
				v.VPMINUW(x, y, least)
			} else {
				v.orMask(k, nan)
				v.VPMINUW(x, least, least)
				v.VPMINUW(y, least, least)
			}
			pack(x, y, dst(i))
		}
		tie = v.newMask()
		v.VPSLLD(operand.U8(16), least, least)
		v.VPCMPEQD(zero, least, tie)
		v.orMask(tie, nan)
		v.jumpIfAny(nan, unfit)
	})
}

// oddWords are the numbers of the upper halves of the lanes of two registers.
func (v *vec) oddWords() operand.Mem {
	return v.words("odd_words", func(i int) int { return 2*i + 1 })
}

// words is the constant of 32 words, word i being of(i).
func (v *vec) words(name string, of func(i int) int) operand.Mem {
	return v.data(name, func() {
		for i := range 32 {
			v.AppendDatum(operand.U16(of(i)))
		}
	})
}
