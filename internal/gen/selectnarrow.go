package gen

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/operand"
)

// A narrowRows runs through the groups of all rows on AVX2. While one half of a group
// is in the polynomial the arguments of the same half of the next group are reduced, of
// float64 those of the other half or of the next group's first; that may be of the next
// row.
type narrowRows struct {
	*selectKernel
	rowsAhead
	e    *exponential
	line *narrowPipeline
	part [2]operand.Mem // the bits of either side of this group and of the next
}

func (k *selectKernel) narrowRows(e *exponential, low, high op) {
	g := &narrowRows{selectKernel: k, e: e, line: newNarrowPipeline(e, low, high)}
	g.rowsAhead = rowsAhead{vec: k.vec, n: k.length, groupSize: 4 * k.lanes, from: k.x, bitsAt: k.bitSides(), buffer: k.AllocLocal(256), look: g.look, fill: g.fill}
	g.part = [2]operand.Mem{k.AllocLocal(8), k.AllocLocal(8)}
	again := ""
	if k.double() {
		again = k.newLabel("vectors")
		g.rowsOfAVector(again)
	}
	length, rows, strides := k.GP64(), k.GP64(), []gpreg{k.stride}
	k.MOVQ(k.length, length)
	k.MOVQ(k.rows, rows)
	if k.w != nil {
		wStride := k.GP64()
		k.MOVQ(k.wStride, wStride)
		strides = append(strides, wStride)
	}
	g.begin(length, rows, k.step, strides...)
	if k.sixteen != nil {
		g.rowsAhead.sixteen = k.sixteen
		k.sixteen.rows([]string{"x16"}, []gpreg{k.x}, g.skip[1])
		g.rowsAhead.readSixteen(g.lookSixteen, nil, g.part[1])
	}
	if !k.double() {
		g.line.twoAhead()
	}
	var (
		group, row    = k.newLabel("group"), k.newLabel("row")
		more, last    = k.newLabel("more"), k.newLabel("last")
		part          = k.GP64()
		this, next    = g.part[0], g.part[1]
		goTo          = func(label string) operand.LabelRef { return operand.LabelRef(label) }
		clearSelected = func() {
			for _, s := range k.selected {
				s.clear()
			}
		}
	)
	clearSelected()
	k.MOVQ(k.length, k.left)
	k.TESTQ(k.left, k.left)
	k.JZ(goTo(row))
	g.prepare()
	k.MOVQ(next, part)
	k.MOVQ(part, this)
	emit(g.reduced(0))
	if k.double() {
		k.Label(group)
		k.copy.block()
		g.half(0, g.reduced(1))
		g.prepare()
		g.half(1, g.reduced(0))
	} else {
		emit(g.reduced(1))
		g.line.swap()
		k.Label(group)
		k.copy.block()
		g.prepare()
		g.half(0, g.reduced(0))
		g.half(1, g.reduced(1))
		g.line.swap()
	}
	k.MOVQ(next, part)
	k.MOVQ(part, this)
	if k.w != nil {
		k.ADDQ(operand.I32(256), k.w)
	}
	k.SUBQ(operand.U8(g.groupSize), k.left)
	k.JG(goTo(group))
	if k.w != nil {
		k.ADDQ(g.skip[2], k.w)
	}
	k.Label(row)
	if k.sums == nil {
		k.selected[0].storeParts(k.out)
		clearSelected()
		k.DECQ(k.rows)
	} else {
		for i, s := range k.selected {
			k.sums.put(i, 0, s.lanes())
		}
		clearSelected()
		k.sums.next(1, k.rows)
		k.JL(goTo(more))
		k.sums.write(k.out...)
		k.CMPQ(k.rows, operand.U8(0))
	}
	k.JLE(goTo(last))
	if again != "" {
		k.CMPQ(k.length, operand.U8(k.lanes))
		k.JLE(goTo(again))
	}
	k.Label(more)
	k.MOVQ(k.length, k.left)
	k.TESTQ(k.left, k.left)
	k.JZ(goTo(row))
	k.JMP(goTo(group))
	for _, f := range g.aside {
		f()
	}
	k.Label(last)
}

// rowsOfAVector emits the loop, at label again, through rows of at most one virtual vector
// of float64: four of them are a group, one below the other in the buffer. Longer rows go
// on behind it. Where less than four are left the first stands for those that are not
// there, in whose place nothing is written.
func (g *narrowRows) rowsOfAVector(again string) {
	var (
		long     = g.newLabel("long")
		existing = [2]operand.Mem{g.AllocLocal(g.bytes), g.AllocLocal(g.bytes)} // elements of a row: signs
		positive = g.AllocLocal(8)
		terms    []operand.Mem // of the first half of each side
	)
	for range g.selected {
		terms = append(terms, g.AllocLocal(4*g.bytes))
	}
	g.CMPQ(g.length, operand.U8(g.lanes))
	g.JG(operand.LabelRef(long))
	n, bits := g.GP64(), g.GP64()
	g.MOVQ(g.length, n)
	g.MOVQ(operand.I32(-1), bits)
	g.BZHIQ(n, bits, bits)
	g.MOVQ(bits, g.part[0])
	for h, m := range existing {
		g.move(g.signs(g.part[0], h)(0), m)
	}
	g.Label(again)
	g.copy.block()
	x := g.GP64()
	g.MOVQ(g.x, x)
	g.fourRows(func(row int) {
		for h, m := range existing {
			r := g.reg()
			g.load(g.inRegister(m), at(x, h*g.bytes), r)
			g.move(r, g.register(g.buffer, 2*row+h))
		}
	}, walk{x, g.x, g.stride})
	// The bits of a side of the four rows follow each other.
	sideBits := func(side gpreg) gpreg {
		from, all := g.GP64(), g.GP64()
		g.MOVQ(side, from)
		g.XORQ(all, all)
		g.fourRows(func(row int) {
			b := g.GP64()
			g.MOVBLZX(at(from, 0), b.As32())
			g.SHLL(operand.U8(8*row), b.As32())
			g.ORL(b.As32(), all.As32())
		}, walk{from, side, g.step})
		return all
	}
	if g.pos != nil {
		g.MOVQ(sideBits(g.pos), positive)
	}
	part := sideBits(g.neg)
	if g.pos != nil {
		g.ORQ(positive, part)
	}
	g.MOVQ(part, g.part[0])

	arguments := func(half int) []func() {
		return g.arguments(half, func(i int) operand.Mem { return g.register(g.buffer, 2*i+half) }, positive)
	}
	emit(arguments(0))
	for h, steps := range [][]func(){arguments(1), nil} {
		w := g.exponentials(h, steps)
		if g.w != nil {
			to := g.GP64()
			g.MOVQ(g.w, to)
			g.fourRows(func(row int) { g.move(w[row], at(to, h*g.bytes)) }, walk{to, g.w, g.wStride})
		}
		zero := g.reg()
		g.zero(zero)
		for row, r := range w {
			sides := []vreg{r}
			if g.pos != nil {
				sides = []vreg{g.split(r, zero), r}
				g.sub(zero, r, r)
			}
			for i, r := range sides {
				if m := g.register(terms[i], row); h == 0 {
					g.move(r, m)
				} else {
					err, none := g.reg(), g.reg()
					g.zero(err)
					g.zero(none)
					g.sums.put(i, row, [][]vreg{{g.inRegister(m), r}, {err, none}})
				}
			}
		}
	}
	step := g.GP64()
	for _, m := range []struct{ at, step op }{{g.x, g.stride}, {g.neg, g.step}, {g.pos, g.step}, {g.w, g.wStride}} {
		if base, ok := m.at.(gpreg); ok && base != nil {
			g.MOVQ(m.step, step)
			g.LEAQ(operand.Mem{Base: base, Index: step, Scale: 4}, base)
		}
	}
	g.SUBQ(operand.U8(4), g.selectKernel.rows)
	g.JMP(operand.LabelRef(g.sums.tree))
	g.Label(long)
}

// A walk goes from row to row, or back to the first one where there are no more.
type walk struct {
	at, first gpreg
	step      op
}

// fourRows emits what is done with each of four rows.
func (g *narrowRows) fourRows(do func(row int), walks ...walk) {
	for row := range 4 {
		do(row)
		if row == 3 {
			return
		}
		for _, w := range walks {
			g.ADDQ(w.step, w.at)
		}
		g.CMPQ(g.selectKernel.rows, operand.U8(row+1))
		for _, w := range walks {
			g.CMOVQLE(w.first, w.at)
		}
	}
}

// look leaves the bits of either side of the next group in part[1]. It is whole where its
// row goes on to its end.
func (g *narrowRows) look(bits gpreg, other string) {
	if g.neg == nil {
		left, whole := g.GP64(), g.newLabel("whole")
		g.MOVQ(g.toLoad, left)
		g.MOVQ(operand.I32(-1), bits)
		g.CMPQ(left, operand.U8(g.groupSize))
		g.JGE(operand.LabelRef(whole))
		g.BZHIQ(left, bits, bits)
		g.Label(whole)
	} else if g.double() {
		g.MOVL(at(g.neg, 0), bits.As32())
		if g.pos != nil {
			g.ORL(at(g.pos, 0), bits.As32())
		}
	} else {
		g.MOVQ(at(g.neg, 0), bits)
		if g.pos != nil {
			g.ORQ(at(g.pos, 0), bits)
		}
	}
	g.MOVQ(bits, g.part[1])
	g.CMPQ(g.toLoad, operand.U8(g.groupSize))
	g.JL(operand.LabelRef(other))
}

// lookSixteen is look of groups of 16-bit floats.
func (g *narrowRows) lookSixteen(bits gpreg) {
	g.MOVQ(at(g.neg, 0), bits)
	g.ORQ(at(g.pos, 0), bits)
	g.MOVQ(bits, g.part[1])
}

// fill fills the buffer with the elements of either side.
func (g *narrowRows) fill(gpreg) {
	sign := [2]func(int) vreg{g.signs(g.part[1], 0), g.signs(g.part[1], 1)}
	for h, sign := range sign {
		for i := range 4 {
			r := g.reg()
			g.load(sign(i), at(g.x, (2*i+h)*g.bytes), r)
			g.move(r, g.register(g.buffer, 2*i+h))
		}
	}
}

// bitSides are the pointers to the bits.
func (s *sides) bitSides() (all []gpreg) {
	for _, side := range []gpreg{s.pos, s.neg} {
		if side != nil {
			all = append(all, side)
		}
	}
	return all
}

// signs returns what makes registers whose signs are the bits at mem of the registers
// of a half of the group, one after the other; what else is in them is open.
func (g *narrowRows) signs(mem operand.Mem, half int) func(i int) vreg {
	var bits vreg
	return func(i int) vreg {
		first := (2*i + half) * g.perReg()
		if i == 0 || first%32 < 2*g.perReg() && !g.double() {
			m := mem
			m.Disp += first / 32 * 4
			bits = g.lanesBits(m)
		}
		return g.bitsSigns(bits, first%32/g.perReg())
	}
}

// reduced returns the steps that reduce the arguments of a half of the group at src.
func (g *narrowRows) reduced(half int) []func() {
	var positive operand.Mem
	if g.pos != nil {
		positive = at(g.pos, -g.groupSize/8)
	}
	return g.arguments(half, func(i int) operand.Mem {
		from := at(g.src, (2*i+half)*g.bytes)
		if half == 0 {
			g.prefetch(from, 2*i)
		}
		return from
	}, positive)
}

// arguments returns the steps that reduce the arguments of a half of a group, those of
// register i from from(i), where the bits of the positives are at positive.
func (g *narrowRows) arguments(half int, from func(i int) operand.Mem, positive operand.Mem) []func() {
	if g.pos == nil {
		return g.line.reduced(half, func(i int) (_, magic op) { return from(i), g.e.magic })
	}
	sign := g.signs(positive, half)
	return g.line.reduced(half, func(i int) (_, magic op) {
		y, s := g.reg(), sign(i)
		g.and(s, g.constant(math.Copysign(0, -1)), s)
		g.xor(s, from(i), y)
		g.signedMagic(s)
		return y, s
	})
}

// signedMagic makes a sign, all that is set, a magic number: that of the exponential
// plus the bit before the exponent of 2^n, which will be its sign.
func (g *narrowRows) signedMagic(sign vreg) {
	g.shiftFromSign(sign)
	g.addInteger(sign, g.e.magic, sign)
}

// half adds the terms of a half of the group. Meanwhile it takes the steps.
func (g *narrowRows) half(number int, steps []func()) {
	w := g.exponentials(number, steps)
	if g.w != nil {
		for i, r := range w {
			g.move(r, at(g.w, (2*i+number)*g.bytes))
		}
	}
	h := &half{number: number}
	if g.neg == nil {
		g.selected[0].takePairSums(h, g.groupSum(w[:2]), g.groupSum(w[2:]))
		return
	}
	if g.pos == nil {
		g.selected[0].take(h, g.groupSum(w))
		return
	}
	zero := g.reg()
	g.zero(zero)
	n := &laneTree[vreg]{join: func(x, y vreg) { g.vec.add(x, y, x) }}
	t := &laneTree[vreg]{join: n.join}
	for _, r := range w {
		n.push(g.split(r, zero))
		t.push(r)
	}
	positive := t.done()
	g.sub(zero, positive, positive)
	for i, sum := range []vreg{n.done(), positive} {
		g.selected[i].take(h, sum)
	}
}

// split returns the terms of the negatives of r, and leaves those of the positives in r,
// less than 0. A NaN is of both sides.
func (g *narrowRows) split(r, zero vreg) (negative vreg) {
	negative = g.reg()
	g.max(zero, r, negative)
	g.min(zero, r, r)
	return negative
}

// exponentials returns those of a half of the group, 0 for elements of no side; the sign
// tells the side. Meanwhile it takes the steps.
func (g *narrowRows) exponentials(half int, steps []func()) []vreg {
	w, s := g.line.powersOf(half, steps)
	for i := range w {
		g.mul(w[i], s[i], w[i])
	}
	g.onlyParts(half, w)
	return w
}

// onlyParts sets the exponentials of elements of no side to 0, if there are any in the
// group.
func (g *narrowRows) onlyParts(half int, w []vreg) {
	some, ready := g.newLabel("some"), g.newLabel("all")
	if g.double() {
		g.CMPL(g.part[0], operand.I8(-1))
	} else {
		g.CMPQ(g.part[0], operand.I8(-1))
	}
	g.JNE(operand.LabelRef(some))
	g.Label(ready)
	g.aside = append(g.aside, func() {
		g.Label(some)
		sign, zero := g.signs(g.part[0], half), g.reg()
		g.zero(zero)
		for i, r := range w {
			g.choose(sign(i), r, zero, r)
		}
		g.JMP(operand.LabelRef(ready))
	})
}

// lanesBits returns the 32 bits at mem, in lane l moved down by l.
func (v *vec) lanesBits(mem operand.Mem) vreg {
	r := v.reg()
	v.VPBROADCASTD(mem, r)
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
