package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
)

// precisions emits the sums of areas over steps of bins (see kernel/precisions.go), whose
// numbers, two of 32 bits in a word, are whole ones that float64 has exactly:
//
//	for each step, with below = above + neg and end = before + pos,
//		stop if 64·pos > min(before + 64, 2^20)
//		last, best, first = ⌊2^64·end/(end + below)⌋, ⌊2^64·end/(end + above)⌋, ⌊2^64·(before + 1)/(before + 1 + below)⌋
//		sum pos·above, pos·below
//		sum pos·last, pos·best, ⌊pos·(first + last)/2⌋, the high and the low 32 bits apart
func precisions(v *vec) {
	p := &precisionSums{vec: v}
	sums := v.param("sums")
	counts, before, eights := v.param("counts"), v.param("before"), v.param("eights")
	done := v.GP64()
	loop, end := v.newLabel("eight"), v.newLabel("end")
	v.MOVQ(operand.U32(0), done)
	for i := range p.sum {
		p.sum[i] = p.newSum()
	}
	v.Label(loop)
	far := v.newMask()
	v.clearMask(far)
	for i := range v.regs() {
		t, n, k := v.reg(), v.reg(), v.newMask()
		p.low(at(before, i*v.bytes), t)
		v.add(t, v.constant(64), t)
		v.min(t, v.constant(1<<20), t)
		p.low(at(counts, i*v.bytes), n)
		v.mul(n, v.constant(64), n)
		v.compare(greater, n, t, k)
		v.orMask(k, far)
	}
	v.jumpIfAny(far, end)
	for i := range v.regs() {
		p.step(at(counts, i*v.bytes), at(before, i*v.bytes))
	}
	v.ADDQ(operand.U8(64), counts)
	v.ADDQ(operand.U8(64), before)
	v.ADDQ(operand.U8(8), done)
	v.DECQ(eights)
	v.JNZ(operand.LabelRef(loop))
	v.Label(end)
	for i, sum := range p.sum {
		v.move(v.asRegister(sum), at(sums, 64*i))
	}
	v.Store(done, v.ReturnIndex(0))
	v.VZEROUPPER()
	v.RET()
}

// precisionSums are the sums of precisions, in the order of kernel.PrecisionSums: on the stack
// where registers are few.
type precisionSums struct {
	*vec
	sum [8]op
}

func (p *precisionSums) newSum() op {
	r := p.reg()
	p.zero(r)
	if p.wide() {
		return r
	}
	m := p.AllocLocal(p.bytes)
	p.move(r, m)
	return m
}

// add is sum += a·b.
func (p *precisionSums) addTo(sum int, a vreg, b op) {
	if r, ok := p.sum[sum].(vreg); ok {
		p.fmaAcc(a, b, r)
		return
	}
	r := p.reg()
	p.move(p.sum[sum], r)
	p.fmaAcc(a, b, r)
	p.move(r, p.sum[sum])
}

// low is d = the low halves of the words at mem, and high the high ones.
func (p *precisionSums) low(mem operand.Mem, d vreg) {
	half := p.inRegister(p.constant(math.Float64frombits(1<<32 - 1)))
	p.and(half, mem, d)
	p.whole(d)
}

func (p *precisionSums) high(mem operand.Mem, d vreg) {
	p.move(mem, d)
	p.VPSRLQ(operand.U8(32), d, d)
	p.whole(d)
}

// whole makes of integers below 2^52 numbers: with the bits of 2^52 they are 2^52 more.
func (p *precisionSums) whole(d vreg) {
	two52 := p.inRegister(p.constant(1 << 52))
	p.or(two52, d, d)
	p.sub(d, two52, d)
}

// step adds those of a register of steps.
func (p *precisionSums) step(countsAt, beforeAt operand.Mem) {
	pos, below, above, end, first := p.reg(), p.reg(), p.reg(), p.reg(), p.reg()
	p.low(countsAt, pos)
	p.high(countsAt, below)
	p.high(beforeAt, above)
	p.low(beforeAt, end)
	p.add(below, above, below)
	p.add(end, p.constant(1), first)
	p.add(end, pos, end)
	p.addTo(0, pos, above)
	p.addTo(1, pos, below)
	p.add(above, end, above)
	high, low := p.ratio(end, above)
	p.addTo(2, pos, high)
	p.addTo(3, pos, low)
	p.add(end, below, above)
	high, low = p.ratio(end, above)
	p.addTo(4, pos, high)
	p.addTo(5, pos, low)
	p.add(below, first, below)
	high2, low2 := p.ratio(first, below)
	p.add(high, high2, high)
	p.add(low, low2, low)
	p.addTo(6, pos, high)
	p.mul(low, pos, low)
	p.mul(low, p.constant(0.5), low)
	p.floor(low)
	p.addTo(7, p.inRegister(p.constant(1)), low)
}

// ratio is ⌊2^64·a/b⌋ = 2^32·high + low, 0 < a ≤ b < 2^32, by a quotient of b that is not above
// 2^32/b and below it by at most 2^-49 of it:
//
//	high = ⌊a·(2^32/b)⌋ or one less, r = 2^32·a - high·b, exactly, and low = ⌊2^32·r/b⌋ alike
func (p *precisionSums) ratio(a, b vreg) (high, low vreg) {
	inverse := p.reg()
	p.move(p.constant((1<<32)*(1-0x1p-50)), inverse)
	p.VDIVPD(b, inverse, inverse)
	digit := func(a vreg) (q, rest vreg) {
		q, rest = p.reg(), p.reg()
		p.mul(a, inverse, q)
		p.floor(q)
		p.mul(a, p.constant(1<<32), rest)
		p.VFNMADD231PD(b, q, rest)
		less, one := p.newMask(), p.reg()
		p.compare(notLess, rest, b, less)
		p.keep(less, p.inRegister(p.constant(1)), one)
		p.add(q, one, q)
		p.keep(less, b, one)
		p.sub(rest, one, rest)
		return q, rest
	}
	high, rest := digit(a)
	low, _ = digit(rest)
	return high, low
}

// floor is the largest whole number not above a.
func (p *precisionSums) floor(a vreg) {
	const down = 9 // towards minus infinity, without an exception where this changes a
	if p.wide() {
		p.VRNDSCALEPD(operand.U8(down), a, a)
	} else {
		p.VROUNDPD(operand.U8(down), a, a)
	}
}
