package gen

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/operand"
)

// narrowRows emits the loop through the rows on AVX2. Groups that are whole, every
// element being of a side, follow each other through a pipeline; others, the rest
// of a row among them, are masked.
func (k *selectKernel) narrowRows(e *exponential, low, high op) {
	var (
		row, enter  = k.newLabel("row"), k.newLabel("enter")
		group, last = k.newLabel("group"), k.newLabel("next")
		some, done  = k.newLabel("some"), k.newLabel("done")
		alone       = k.newLabel("alone")
		size        = 4 * k.lanes // of a group
		goTo        = func(label string) operand.LabelRef { return operand.LabelRef(label) }
		n           = &narrowGroup{selectKernel: k, e: e, low: low, high: high, part: k.AllocLocal(8)}
		line        = newNarrowPipeline(e, low, high)
		next        = k.GP64() // the next group's offset, if that is whole, else this one's
	)
	n.low, n.high = line.low, line.high
	k.Label(row)
	for _, s := range k.selected {
		s.clear()
	}
	k.XORQ(k.off, k.off)
	k.MOVQ(k.length, k.left)
	k.Label(enter)
	k.TESTQ(k.left, k.left)
	k.JLE(goTo(done))
	k.group(k.off)
	n.ifNotWhole(0, some)
	emit(line.reduced(0, n.argument(k.off, 0)))
	k.Label(group)
	k.copy.block()
	k.MOVQ(k.off, next)
	k.CMPQ(k.left, operand.U32(2*size))
	k.JL(goTo(last))
	k.group(k.off)
	n.ifNotWhole(1, last)
	k.ADDQ(operand.I32(256), next)
	k.Label(last)
	steps := func(off gpreg, h int) []func() {
		return append([]func(){func() { k.group(off) }}, line.reduced(h, n.argument(off, h))...)
	}
	half := func(h int, meanwhile []func()) {
		p, s := line.powersOf(h, meanwhile)
		n.terms(&half{number: h}, n.numbers(4, h), p, s, true)
	}
	half(0, steps(k.off, 1))
	k.SUBQ(operand.U32(size), k.left)
	k.CMPQ(k.off, next)
	k.JEQ(goTo(alone))
	half(1, steps(next, 0))
	k.MOVQ(next, k.off)
	k.TESTQ(k.left, k.left)
	k.JNZ(goTo(group)) // always: the next one is whole
	k.Label(alone)
	half(1, nil)
	k.ADDQ(operand.I32(256), k.off)
	k.JMP(goTo(enter))
	k.Label(done)
	k.nextRow(row)
	k.writeSums(func() { k.JMP(operand.LabelRef(row)) })
	end := k.newLabel("end")
	k.JMP(goTo(end))

	k.Label(some)
	k.copy.block()
	for vectors := 1; vectors <= 4; vectors *= 2 {
		more := k.newLabel("more")
		if vectors < 4 {
			k.CMPQ(k.left, operand.U8(vectors*k.lanes))
			k.JG(goTo(more))
		}
		n.add(vectors)
		k.ADDQ(operand.I32(256), k.off)
		k.SUBQ(operand.U32(size), k.left)
		k.JMP(goTo(enter))
		k.Label(more)
	}
	k.Label(end)
}

// A narrowGroup adds a group of selectSums on AVX2.
type narrowGroup struct {
	*selectKernel
	e         *exponential
	low, high op
	part      operand.Mem // the bits of both sides, where the group is not whole
}

// ifNotWhole leaves the bits of both sides of the group, or of the one after so
// many, in part and jumps if they are not all set.
func (g *narrowGroup) ifNotWhole(after int, label string) {
	bits := g.GP64()
	side := func(base gpreg) operand.Mem {
		return operand.Mem{Base: base, Index: g.at, Scale: 1, Disp: after * g.lanes / 2}
	}
	if g.double() {
		g.MOVL(side(g.neg), bits.As32())
		if g.pos != nil {
			g.ORL(side(g.pos), bits.As32())
		}
		g.MOVL(bits.As32(), g.part)
		g.CMPL(bits.As32(), operand.I8(-1))
	} else {
		g.MOVQ(side(g.neg), bits)
		if g.pos != nil {
			g.ORQ(side(g.pos), bits)
		}
		g.MOVQ(bits, g.part)
		g.CMPQ(bits, operand.I8(-1))
	}
	g.JNE(operand.LabelRef(label))
}

// numbers returns those of the registers of a half of so many vectors.
func (g *narrowGroup) numbers(vectors, h int) (numbers []int) {
	for i := range vectors {
		numbers = append(numbers, i*g.regs()+h)
	}
	return numbers
}

// place is that of the register of that number of the group at off.
func (g *narrowGroup) place(base, off gpreg, number int) operand.Mem {
	return operand.Mem{Base: base, Index: off, Scale: 1, Disp: number * g.bytes}
}

// argument returns what loads the argument and the magic number of a register of
// the whole group at off, of one of its halves.
func (g *narrowGroup) argument(off gpreg, h int) func(i int) (op, op) {
	numbers := g.numbers(4, h)
	return func(i int) (_, magic op) {
		from := g.place(g.x, off, numbers[i])
		if h == 0 {
			g.prefetch(from, numbers[i])
		}
		if g.pos == nil {
			return from, g.e.magic
		}
		y := g.reg()
		sign := g.expanded(g.positives(), numbers[i:i+1])[0]
		g.and(sign, g.constant(math.Copysign(0, -1)), sign)
		g.xor(sign, from, y)
		g.signedMagic(sign)
		return y, sign
	}
}

// positives is the place of the group's bits.
func (g *narrowGroup) positives() operand.Mem { return operand.Mem{Base: g.pos, Index: g.at, Scale: 1} }

// signedMagic makes a sign, all that is set, a magic number: that of the exponential
// plus the bit before the exponent of 2^n, which will be its sign.
func (g *narrowGroup) signedMagic(sign vreg) {
	g.shiftFromSign(sign)
	g.addInteger(sign, g.e.magic, sign)
}

// add adds the first vectors of a group that is not whole, a half of all of them at
// a time.
func (g *narrowGroup) add(vectors int) {
	for h := range g.regs() {
		g.half(&half{number: h}, g.numbers(vectors, h))
	}
}

// half adds the registers of those numbers.
func (g *narrowGroup) half(h *half, numbers []int) {
	y, magic := g.newRegs(len(numbers)), []op(nil)
	for i, part := range g.expanded(g.part, numbers) {
		g.load(part, g.place(g.x, g.off, numbers[i]), y[i])
	}
	if g.pos != nil {
		sign := g.inRegister(g.constant(math.Copysign(0, -1)))
		for i, s := range g.expanded(g.positives(), numbers) {
			g.and(s, sign, s)
			g.xor(y[i], s, y[i])
			g.signedMagic(s)
			magic = append(magic, s)
		}
	}
	for _, r := range y {
		g.clamp(r, g.low, g.high)
	}
	p, s := g.e.evaluateAt(y, magic)
	g.terms(h, numbers, p, operands(s), false)
}

// terms adds the terms w·s, the sign telling the side.
func (g *narrowGroup) terms(h *half, numbers []int, w []vreg, s []op, whole bool) {
	for i := range w {
		g.mul(w[i], s[i], w[i])
	}
	if !whole {
		zero := g.reg()
		g.zero(zero)
		for i, part := range g.expanded(g.part, numbers) {
			kept := g.reg()
			g.choose(part, w[i], zero, kept)
			w[i] = kept
		}
	}
	if g.w != nil {
		for i, number := range numbers {
			g.move(w[i], g.place(g.w, g.off, number))
		}
	}
	if g.pos == nil {
		g.selected[0].group = g.groupSum(w)
		g.selected[0].lanes(h)
		return
	}
	// A NaN is of both sides.
	zero := g.reg()
	g.zero(zero)
	n := &laneTree[vreg]{join: func(x, y vreg) { g.vec.add(x, y, x) }}
	t := &laneTree[vreg]{join: n.join}
	for _, r := range w {
		negative := g.reg()
		g.max(zero, r, negative)
		g.min(zero, r, r)
		n.push(negative)
		t.push(r)
	}
	positive := t.done()
	g.sub(zero, positive, positive)
	for i, sum := range []vreg{n.done(), positive} {
		g.selected[i].group = sum
		g.selected[i].lanes(h)
	}
}

// expanded returns registers whose signs are the bits of the registers of those
// numbers of the group whose bits are at mem; what else is in them is open.
func (v *vec) expanded(mem operand.Mem, numbers []int) (r []vreg) {
	var word vreg
	for i, number := range numbers {
		first := number * v.perReg()
		if i == 0 || first%32 == 0 || first/32 != numbers[i-1]*v.perReg()/32 {
			m := mem
			m.Disp += first / 32 * 4
			word = v.reg()
			v.VPBROADCASTD(m, word)
		}
		d := v.reg()
		v.either(v.VPSLLVD, v.VPSLLVQ, v.signShifts(first%32), word, d)
		r = append(r, d)
	}
	return r
}

// lanesBits returns the bits at mem, in lane l moved down by l.
func (v *vec) lanesBits(mem operand.Mem) vreg {
	r := v.reg()
	if v.double() {
		v.VPBROADCASTQ(mem, r)
	} else {
		v.VPBROADCASTD(mem, r)
	}
	v.either(v.VPSRLVD, v.VPSRLVQ, v.laneNumbers(), r, r)
	return r
}

// bitsSigns returns a register whose signs are the bits of register i, from those of
// lanesBits; what else is in it is open.
func (v *vec) bitsSigns(bits vreg, i int) vreg {
	r := v.reg()
	v.either(v.VPSLLD, v.VPSLLQ, operand.U8(8*v.size-1-i*v.perReg()), bits, r)
	return r
}

// laneNumbers is the constant whose lane l holds l.
func (v *vec) laneNumbers() operand.Mem {
	return v.data("lanes"+v.bits, func() {
		for l := range v.perReg() {
			if v.double() {
				v.AppendDatum(operand.U64(l))
			} else {
				v.AppendDatum(operand.U32(l))
			}
		}
	})
}

// signShifts is how far the bits from first on are from the sign.
func (v *vec) signShifts(first int) operand.Mem {
	return v.data(fmt.Sprintf("signs%s_%d", v.bits, first), func() {
		for l := range v.perReg() {
			shift := 8*v.size - 1 - first - l
			if v.double() {
				v.AppendDatum(operand.U64(shift))
			} else {
				v.AppendDatum(operand.U32(shift))
			}
		}
	})
}

// shiftFromSign moves the sign, all that is set, to the bit that shiftToExponent
// moves to the sign.
func (v *vec) shiftFromSign(d vreg) {
	if v.double() {
		v.VPSRLQ(operand.U8(52), d, d)
	} else {
		v.VPSRLD(operand.U8(23), d, d)
	}
}

// addInteger is d = a + m, as integers.
func (v *vec) addInteger(a vreg, m, d op) { v.either(v.VPADDD, v.VPADDQ, m, a, d) }
