package gen

import (
	"github.com/zlpr/zlpr/internal/coef"
)

// A neonBCEJoin emits a kernel without weights, as a bceJoin does. Two registers go
// through the exponential together; the accumulators lie on the stack.
type neonBCEJoin struct {
	*neonLoop
	shifted, grad bool

	x, dst      *stream
	pos, either *neonSide
	others      genReg // not 0 if elements take no part

	low, high      *vecReg
	factor, hi, lo *vecReg // of the row
	magic          address
	e              *neonExponential
	log            *neonLogarithms  // float64
	total          *neonAccumulator // float64: of the logarithms; float32: the products
	slope          *neonAccumulator // of the derivatives of float32, with thresholds; nil for none
}

// A neonJoinTerm is one register of elements.
type neonJoinTerm struct {
	h, number int
	sign      *vecReg // the signs of the positives
	w         *vecReg
}

func emitNeonBCEJoin(v *neonVec, shifted, grad bool) {
	b := &neonBCEJoin{shifted: shifted, grad: grad, x: v.input("x", "stride")}
	streams := []*stream{b.x}
	if grad {
		b.dst = v.output("dst", "dstStride")
		streams = append(streams, b.dst)
	}
	l := newNeonLoop(v, 4, streams...)
	b.neonLoop = l
	b.begin()
	l.accumulators()
	b.total = newNeonStackAccumulator(v, l.acc)
	var slopes genReg
	if shifted && grad && !v.double() {
		b.slope = newNeonStackAccumulator(v, l.acc.offset(128))
		slopes = v.param("slope")
	}
	const turns = coef.JoinBlock * 4 / 256 // of a block
	out, block := v.param(map[bool]string{true: "sum", false: "product"}[v.double()]), v.gp()
	if !v.double() {
		b.total.product = true
		l.each = func(whole bool) {
			v.op("SUB", imm(1), block)
			if whole {
				more := v.newLabel("more")
				v.op("CBNZ", block, more)
				b.total.store(out)
				b.total.clear()
				v.op("MOVD", imm(turns), block)
				v.label(more)
			}
		}
	}
	var p genReg
	var params []*vecReg
	if shifted {
		p = v.param("p")
		params = v.regs(3)
		b.hi, b.lo = params[1], params[2]
	}
	var scale genReg
	if grad {
		scale, b.factor = v.param("scale"), v.reg()
	}
	b.constants()
	if v.double() {
		b.log = newNeonLogarithms(v, false, false)
	}

	l.run(func() {
		b.total.clear()
		if b.slope != nil {
			b.slope.clear()
		}
		v.op("MOVD", imm(turns), block)
		if params != nil {
			v.broadcasts(p, params...)
			v.op("ADD", imm(3*v.size), p)
		}
		if grad {
			v.setFactor(scale, b.factor)
		}
	}, b.terms, func() {
		if b.slope != nil {
			none := v.newLabel("none")
			v.op("CBZ", slopes, none)
			b.slope.store(slopes)
			v.label(none)
		}
		if v.double() {
			b.total.store(out)
			return
		}
		complete := v.newLabel("complete") // the last block
		v.op("CMP", imm(turns), block)
		v.op("BEQ", complete)
		b.total.store(out)
		v.label(complete)
	})
}

// begin has the bits of the sides loaded.
func (b *neonBCEJoin) begin() {
	b.halves(16)
	b.withSides(false)
	b.pos = b.sides[1]
	b.either = b.eitherSide()
	b.others = b.gp()
}

// constants loads what stays.
func (b *neonBCEJoin) constants() {
	b.loadConstants()
	bias, least, most := zeroToInf(b.elem)
	b.low, b.high = b.inRegister(b.constant(least)), b.inRegister(b.constant(most))
	b.magic = b.constant(bias)
	b.e = newNeonExponential(b.neonVec, b.inRegister(b.magic))
}

// setFactor loads that of a row from scale, and moves on.
func (v *neonVec) setFactor(scale genReg, factor *vecReg) {
	v.op("FMOVD.P", address{scale, 8}, factor)
	if !v.double() {
		v.op("FCVTDS", factor, factor)
		v.op("VDUP", factor.as("S").String()+"[0]", v.lanes(factor))
		return
	}
	v.op("VDUP", factor.as("D").String()+"[0]", v.lanes(factor))
}

// terms adds the elements of a half of a turn, and stores the gradient.
func (b *neonBCEJoin) terms(turn neonTurn) {
	var order []neonJoinTerm
	for _, i := range turn.numbers() {
		order = append(order, neonJoinTerm{h: i % neonRegs, number: i})
	}
	all := b.either.words[0]
	if len(b.either.words) > 1 {
		all = b.reg()
		b.and(b.either.words[0], b.either.words[1], all)
	}
	b.op("VMOV", all.as("S").String()+"[0]", b.others)
	b.op("ADDW", imm(1), b.others)
	joins := map[int][]*vecReg{} // of pairs of virtual vectors, by h
	sums := map[int][]*vecReg{}  // of their derivatives
	tests := map[int]*vecReg{}   // by place
	for ; len(order) > 0; order = order[2:] {
		two := order[:2]
		var y, short []*vecReg
		for i := range two {
			place := two[i].number % (2 * b.size)
			test, ok := tests[place]
			if !ok {
				test = b.laneTest(place)
			}
			a, c := b.argument(&two[i], test)
			if tests[place] = test; ok || b.double() {
				// Of float32, the second of two that have it.
				b.free(test)
				delete(tests, place)
			}
			y = append(y, a)
			if b.shifted {
				short = append(short, c)
			}
		}
		p, s := b.powers(y, short)
		for i := range two {
			b.mul(p[i], s[i], p[i])
			two[i].w = p[i]
			b.free(s[i])
		}
		b.takePart(two)
		if b.grad {
			if sum := b.gradient(two); sum != nil {
				sums[two[0].h] = append(sums[two[0].h], sum)
			}
		}
		for _, t := range two {
			b.free(t.sign)
			if t.number/neonRegs%2 == 1 {
				last := joins[t.h][len(joins[t.h])-1]
				b.joinProducts(last, t.w)
			} else {
				joins[t.h] = append(joins[t.h], t.w)
			}
		}
	}
	for k := range sums[turn.lanes[0]] {
		for _, h := range turn.lanes {
			b.slope.take(h, sums[h][k])
		}
	}
	first, second := joins[turn.lanes[0]], joins[turn.lanes[1]]
	if b.double() {
		b.logs(turn.lanes, first, second)
		return
	}
	b.total.update(0, func(p, q *vecReg) {
		for i, x := range first {
			b.joinProducts(x, second[i])
			low, high := b.widen(x)
			b.total.join(p, low)
			b.total.join(q, high)
			b.free(x, low, high)
		}
	})
}

// powers returns e^(y+short) as products, and frees both.
func (b *neonBCEJoin) powers(y, short []*vecReg) (p, s []*vecReg) {
	b.comment("t = y·log2(e) + magic; n = t - magic")
	t, n := b.regs(2), b.regs(2)
	b.loadPair(b.magic, t[0], t[1])
	for i := range y {
		b.fmaAcc(y[i], b.e.log2e, t[i])
	}
	for i := range y {
		b.sub(t[i], b.e.magic, n[i])
	}
	return b.e.finish(y, t, n, short)
}

// takePart clears the terms that take no part.
func (b *neonBCEJoin) takePart(two []neonJoinTerm) {
	there, back := b.newLabel("part"), b.newLabel("parted")
	b.op("CBNZW", b.others, there)
	b.label(back)
	b.late = append(b.late, b.aside(func() {
		b.label(there)
		for _, t := range two {
			part := b.laneTest(t.number)
			b.either.selected(t.number, part, part)
			b.and(t.w, part, t.w)
			b.free(part)
		}
		b.op("B", back)
	}))
}

// logs adds the logarithms of float64. One of no number is NaN.
func (b *neonBCEJoin) logs(lanes []int, joins ...[]*vecReg) {
	var q, none []*vecReg
	for _, x := range joins {
		if len(x) == 2 {
			b.joinProducts(x[0], x[1])
		}
		zero := b.reg()
		b.sub(x[0], x[0], zero) // or NaN
		q, none = append(q, x[0]), append(none, zero)
	}
	for i, r := range b.log.log1p(q) {
		b.add(r, none[i], r)
		b.free(none[i])
		b.total.take(lanes[i], r)
	}
}

// argument completes a term but for its exponential, and returns y and what that is
// short of.
func (b *neonBCEJoin) argument(t *neonJoinTerm, test *vecReg) (y, short *vecReg) {
	b.comment("y = ±(x - s0)")
	y = b.inRegister(b.x.place(t.number))
	t.sign = b.reg()
	b.pos.selected(t.number, test, t.sign)
	if b.shifted {
		y, short = b.difference(y, b.hi, b.lo)
	}
	b.flip(t.sign, y) // which has signs then
	if b.shifted {
		b.xor(short, t.sign, short)
	}
	b.max(b.low, y, y)
	b.min(b.high, y, y)
	return y, short
}

// gradient stores the derivatives ±factor·(w/(1+w)), and returns the sum of the two where that
// is wanted.
func (b *neonBCEJoin) gradient(two []neonJoinTerm) (sum *vecReg) {
	b.comment("the gradient")
	one := b.inRegister(b.constant(1))
	for i, t := range two {
		g := b.reg()
		b.add(t.w, one, g)
		b.div(t.w, g, g)
		b.xor(g, t.sign, g)
		b.mul(g, b.factor, g)
		b.store(g, b.dst.place(t.number))
		switch {
		case b.slope == nil:
			b.free(g)
		case i == 0:
			sum = g
		default:
			b.add(sum, g, sum)
			b.free(g)
		}
	}
	b.free(one)
	return sum
}
