package gen

import (
	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
	"math"
)

// look finds the bits of the next stage's positives, and whether it is whole.
func (b *bceJoin) look(bits gpreg, other string) {
	t, pos, neg := b.GP64(), at(b.bitsAt[0], 0), at(b.bitsAt[1], 0)
	full := operand.Op(operand.I8(-1))
	switch b.groupSize {
	case 64:
		b.MOVQ(pos, bits)
		b.MOVQ(bits, b.of(1, b.bits))
		b.ORQ(neg, bits)
		b.CMPQ(bits, full)
	case 32:
		b.MOVL(pos, bits.As32())
		b.MOVQ(bits, b.of(1, b.bits))
		b.ORL(neg, bits.As32())
		b.CMPL(bits.As32(), full)
	default:
		b.MOVWLZX(pos, bits.As32())
		b.MOVQ(bits, b.of(1, b.bits))
		b.ORW(neg, bits.As16())
		b.CMPL(bits.As32(), operand.U32(0xffff))
	}
	b.SETEQ(t.As8())
	if b.weights != nil {
		b.MOVQ(bits, b.of(1, b.weights.part))
	}
	b.MOVB(t.As8(), b.of(1, b.whole))
	b.JNE(operand.LabelRef(other))
}

// lookSixteen is look of groups that go through the buffer.
func (b *bceJoin) lookSixteen(bits gpreg) {
	pos, neg := at(b.bitsAt[0], 0), at(b.bitsAt[1], 0)
	if b.wide() {
		b.MOVQ(pos, bits)
		b.MOVQ(bits, b.of(1, b.bits))
		b.ORQ(neg, bits)
	} else {
		b.MOVL(pos, bits.As32())
		b.MOVQ(bits, b.of(1, b.bits))
		b.ORL(neg, bits.As32())
		b.MOVQ(bits, b.part)
	}
	if b.grad {
		b.MOVB(operand.U8(1), b.of(1, b.whole))
	}
}

// fill fills the buffer with those elements whose bits are set.
func (b *bceJoin) fill(bits gpreg) {
	var part vreg
	if !b.wide() {
		b.MOVQ(bits, b.part)
		part = b.lanesBits(b.part)
	}
	var none vreg
	if b.weights != nil {
		none = b.asRegister(b.hi) // y = +0
	} else if none = b.inRegister(b.constant(b.pick(coef.NoScore32, coef.NoScore64))); b.shifted {
		b.add(none, b.hi, none)
	}
	for i := range 4 {
		r, from := b.reg(), at(b.from, i*b.bytes)
		if b.wide() {
			k := b.K()
			if i > 0 {
				b.SHRQ(operand.U8(b.lanes), bits)
			}
			b.loadMask(bits.As32(), k)
			b.move(none, r)
			b.either(b.VMOVUPS, b.VMOVUPD, from, k, r)
		} else {
			k, read := b.bitsSigns(part, i), b.reg()
			b.load(k, from, read)
			b.choose(k, read, none, r)
		}
		b.move(r, b.register(b.buffer, i))
	}
}

// enterBuffer has the gradient of a stage that is not whole go to the buffer, and
// leaveBuffer writes it, as far as the row goes.
func (b *bceJoin) enterBuffer() {
	if !b.grad {
		return
	}
	some, ready := b.newLabel("into"), b.newLabel("entered")
	b.CMPB(b.of(0, b.whole), operand.U8(0))
	b.JEQ(operand.LabelRef(some))
	b.Label(ready)
	b.aside = append(b.aside, func() {
		b.Label(some)
		b.MOVQ(b.dst, b.saved)
		b.LEAQ(b.buffer, b.dst)
		b.JMP(operand.LabelRef(ready))
	})
}

func (b *bceJoin) leaveBuffer() {
	if !b.grad {
		return
	}
	some, ready := b.newLabel("out"), b.newLabel("left")
	b.CMPB(b.of(0, b.whole), operand.U8(0))
	b.JEQ(operand.LabelRef(some))
	b.Label(ready)
	b.aside = append(b.aside, func() {
		b.Label(some)
		b.MOVQ(b.saved, b.dst)
		if b.weights != nil {
			b.CMPQ(b.file.argument("dst"), operand.U8(0))
			b.JEQ(operand.LabelRef(ready))
		}
		count := b.GP64()
		b.MOVQ(operand.U32(b.groupSize), count)
		b.CMPQ(b.left, count)
		b.CMOVQLT(b.left, count)
		for i, k := range b.tailMasks(count, 4) {
			b.store(k, b.inRegister(b.register(b.buffer, i)), at(b.dst, i*b.bytes))
		}
		b.JMP(operand.LabelRef(ready))
	})
}

// leadingBits returns a register whose signs are, on AVX2, the bits of register i of
// the stage whose bits are at mem; what else is in it is open.
func (v *vec) leadingBits(mem operand.Mem, i int) vreg {
	r := v.reg()
	if v.double() {
		v.VPBROADCASTW(mem, r)
	} else {
		v.VPBROADCASTD(mem, r)
	}
	v.either(v.VPSLLVD, v.VPSLLVQ, v.signShifts(i*v.perReg()), r, r)
	return r
}

// reduced returns the steps that load the arguments of the next stage.
func (b *bceJoin) reduced() (steps []func()) {
	from := func(i int) operand.Mem { return at(b.src, i*b.bytes) }
	if !b.wide() {
		return b.line.reducedShifted(1, func(i int) (r, magic op, short vreg) {
			if i == 0 && b.weights == nil {
				b.next = b.lanesBits(b.of(1, b.bits))
			}
			if b.weights != nil {
				r, short = b.weightArgument(from(i), i)
				return r, b.e.magic, short
			}
			y := b.reg()
			b.prefetch(from(i), i)
			if b.shifted {
				b.move(from(i), y)
				y, short = b.difference(y, b.hi, b.lo)
				sign := b.sign(i)
				b.xor(short, sign, short)
				b.xor(y, sign, y)
			} else {
				b.xor(b.sign(i), from(i), y)
			}
			return y, b.e.magic, short
		})
	}
	for i, y := range b.args {
		if b.weights != nil {
			steps = append(steps, func() {
				a, short := b.weightArgument(from(i), i)
				b.move(a, y)
				b.move(short, b.rem[i])
			}, func() { b.max(b.asRegister(b.low), y, y) })
			continue
		}
		steps = append(steps, func() {
			k := b.positives(1, i)
			b.prefetch(from(i), i)
			b.move(from(i), y)
			if b.shifted {
				d, short := b.difference(y, b.hi, b.lo)
				b.move(d, y)
				b.move(short, b.rem[i])
				b.flip(k, b.rem[i])
			}
			b.flip(k, y)
		}, func() { b.clamp(y, b.low, b.high) })
	}
	return steps
}

// positives returns, on AVX-512, those of register i of this stage or of the next.
func (b *bceJoin) positives(stage, i int) mask {
	return b.maskOf(b.of(stage, b.bits), i)
}

// maskOf returns, on AVX-512, the bits at mem of register i.
func (v *vec) maskOf(mem operand.Mem, i int) mask {
	k := v.newMask()
	mem.Disp += i * v.perReg() / 8
	v.loadMask(mem, k)
	return k
}

// sign returns, on AVX2, the signs of register i of the next stage.
func (b *bceJoin) sign(i int) vreg {
	r := b.bitsSigns(b.next, i)
	b.and(r, b.constant(math.Copysign(0, -1)), r)
	return r
}
