package gen

import "github.com/mmcloughlin/avo/operand"

// This file has what kernels share that run through a row by groups of four
// virtual vectors.

// A half is a register of every virtual vector of a group: on AVX-512 there is
// one, on AVX2 there are two.
type half struct {
	number int   // 1 for the second half, unless a loop runs through both
	loop   bool  // one runs
	offset gpreg // in the loop, once lanes are added: 32 in the second half, else 0
}

// at is the place of the half's register, mem being that of the first.
func (h *half) at(mem operand.Mem) operand.Mem {
	if h.loop {
		mem.Index, mem.Scale = h.offset, 1
	}
	mem.Disp += h.number * avx2.bytes
	return mem
}

// halves emits body for the halves, on AVX2 in a loop or one after the other. off
// is the offset of the group in bytes; in the loop it is that of the half, and
// after it on AVX2 that of the next virtual vector.
func (v *vec) halves(off gpreg, loop bool, body func(h *half)) {
	switch {
	case v.wide():
		body(&half{})
	case loop:
		label := v.newLabel("half")
		v.Label(label)
		body(&half{loop: true})
		v.ADDQ(operand.U8(v.bytes), off)
		v.TESTQ(operand.U32(v.bytes), off)
		v.JNZ(operand.LabelRef(label))
	default:
		for i := range v.regs() {
			body(&half{number: i})
		}
		v.ADDQ(operand.U8(64), off)
	}
}

// endHalves moves off from where halves has left it to the next group.
func (v *vec) endHalves(off gpreg) {
	if v.wide() {
		v.ADDQ(operand.I32(256), off)
	} else {
		v.ADDQ(operand.I32(256-64), off)
	}
}

// setOffset sets the half's offset from that in the row.
func (h *half) setOffset(v *vec, off gpreg) {
	if h.loop {
		h.offset = v.GP64()
		v.MOVQ(off, h.offset)
		v.ANDQ(operand.U8(v.bytes), h.offset)
	}
}
