package gen

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// above emits the comparison of scores with thresholds, to bits.
//
//	for i := range words {
//		bits[i] = the bits x[64·i+j] > t[64·i+j], j < 64
//		bad |= 1 where a score is NaN
//	}
func above(v *vec) {
	bits, x, t, words := v.param("dst"), v.param("x"), v.param("t"), v.param("words")
	unorderedAny := v.newMask()
	v.clearMask(unorderedAny)
	loop, done := v.newLabel("word"), v.newLabel("done")

	v.Label(loop)
	var parts []mask
	for i := 0; i < 64/v.perReg(); i++ {
		r, k, n := v.reg(), v.newMask(), v.newMask()
		v.move(at(x, i*v.bytes), r)
		v.prefetch(at(x, i*v.bytes), i)
		v.compare(greater, r, at(t, i*v.bytes), k)
		v.compare(unordered, r, r, n)
		v.orMask(n, unorderedAny)
		parts = append(parts, k)
		if v.wide() {
			parts = v.join(parts, i+1)
		} else {
			parts = v.storeByte(parts, at(bits, i*v.perReg()/8))
		}
	}
	if v.wide() {
		v.KMOVQ(parts[0].(reg.Register), at(bits, 0))
	}
	v.ADDQ(operand.U8(8), bits)
	v.ADDQ(operand.I32(64*v.size), x)
	v.ADDQ(operand.I32(64*v.size), t)
	v.DECQ(words)
	v.JNZ(operand.LabelRef(loop))

	bad := v.GP64()
	v.XORQ(bad, bad)
	v.jumpIfEmpty(unorderedAny, done)
	v.INCQ(bad)
	v.Label(done)
	v.Store(bad, v.ReturnIndex(0))
	v.VZEROUPPER()
	v.RET()
}

// storeByte writes the AVX2 masks as bits to mem once they cover 8 lanes, and
// returns those that it did not write.
func (v *vec) storeByte(masks []mask, mem operand.Mem) []mask {
	if len(masks)*v.perReg() < 8 {
		return masks
	}
	low := v.GP32()
	if v.double() {
		high := v.GP32()
		v.VMOVMSKPD(masks[0], low)
		v.VMOVMSKPD(masks[1], high)
		v.SHLL(operand.U8(4), high)
		v.ORL(high, low)
	} else {
		v.VMOVMSKPS(masks[0], low)
	}
	v.MOVB(low.As8(), mem)
	return nil
}

// join pairs AVX-512 masks of equal width, the first of them the lower half,
// as a binary counter carries: n is how many registers' masks there have been.
func (v *vec) join(masks []mask, n int) []mask {
	for lanes := v.perReg(); n%2 == 0; n, lanes = n/2, lanes*2 {
		low, high := masks[len(masks)-2], masks[len(masks)-1]
		k := v.K()
		switch lanes {
		case 8:
			v.KUNPCKBW(low, high, k)
		case 16:
			v.KUNPCKWD(low, high, k)
		case 32:
			v.KUNPCKDQ(low, high, k)
		}
		masks = append(masks[:len(masks)-2], k)
	}
	return masks
}
