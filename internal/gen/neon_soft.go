package gen

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
)

// A neonSoftBCE emits binary cross-entropy with soft labels, as a softBCE does.
type neonSoftBCE struct {
	*neonLoop
	x, t, dst    *stream
	part         *neonSide
	others       genReg // not 0 if elements take no part
	linear       *neonSoftLinearPart
	factor       *vecReg
	e            *neonExponential
	log          *neonLogarithms  // float64
	sum, product *neonAccumulator // product of float32
}

func emitNeonSoftBCE(v *neonVec) {
	b := &neonSoftBCE{x: v.input("x", "stride"), t: v.input("t", "tStride"), dst: v.output("dst", "dstStride")}
	b.dst.optional = true
	l := newNeonLoop(v, 4, b.x, b.t, b.dst)
	b.neonLoop = l
	l.halves(16)
	l.accumulators()
	l.withPart()
	b.part, b.others = l.sides[0], v.gp()
	sum := v.param("sum")
	b.sum = newNeonStackAccumulator(v, l.acc)
	accumulators := []*neonAccumulator{b.sum}
	var products, block genReg
	const turns = coef.BCEBlock * 4 / 256 // of a block
	if !v.double() {
		products, block = v.param("product"), v.gp()
		b.product = newNeonStackAccumulator(v, l.acc.offset(128))
		b.product.product = true
		accumulators = append(accumulators, b.product)
		l.each = func(bool) {
			more := v.newLabel("more")
			v.op("SUB", imm(1), block)
			v.op("CBNZ", block, more)
			b.product.store(products)
			b.product.clear()
			v.op("MOVD", imm(turns), block)
			v.label(more)
		}
	}
	f := v.param("f")
	v.loadConstants()
	bias, _, _ := zeroToInf(v.elem)
	b.linear, b.factor = newNeonSoftLinearPart(v), v.reg()
	b.e = newNeonExponential(v, v.inRegister(v.constant(bias)))
	if v.double() {
		b.log = newNeonLogarithms(v, false, false)
	}

	l.run(func() {
		for _, a := range accumulators {
			a.clear()
		}
		if b.product != nil {
			v.op("MOVD", imm(turns), block)
		}
		none := v.newLabel("none")
		v.op("CBZ", b.dst.base, none)
		v.broadcasts(f, b.factor)
		v.op("ADD", imm(v.size), f)
		v.label(none)
	}, b.terms, func() {
		if b.product != nil {
			complete := v.newLabel("complete") // the last block
			v.op("CMP", imm(turns), block)
			v.op("BEQ", complete)
			b.product.store(products)
			v.label(complete)
		}
		b.sum.store(sum)
	})
}

// terms adds the elements of a half of a turn, and stores the gradient.
func (b *neonSoftBCE) terms(turn neonTurn) {
	maxima, joins := &laneTree[*vecReg]{}, &laneTree[*vecReg]{}
	all := b.part.words[0]
	if len(b.part.words) > 1 {
		all = b.reg()
		b.and(b.part.words[0], b.part.words[1], all)
	}
	b.op("VMOV", all.as("S").String()+"[0]", b.others)
	b.op("ADDW", imm(1), b.others)
	var logs []*vecReg
	for numbers := turn.numbers(); len(numbers) > 0; numbers = numbers[2:] {
		var m, a []*vecReg
		for _, number := range numbers[:2] {
			linear, y := b.linear.argument(b.x.place(number), b.t.place(number))
			m, a = append(m, linear), append(a, y)
		}
		p, s := b.e.evaluate(a)
		for i := range p {
			b.mul(p[i], s[i], p[i])
			b.free(s[i])
		}
		b.takePart(numbers[:2], m, p)
		none := b.newLabel("none")
		b.op("CBZ", b.dst.base, none)
		var g []*vecReg
		for i, number := range numbers[:2] {
			g = append(g, b.linear.gradient(p[i], b.x.place(number), b.t.place(number)))
		}
		b.takePart(numbers[:2], g)
		for i, number := range numbers[:2] {
			b.mul(g[i], b.factor, g[i])
			b.store(g[i], b.dst.place(number))
		}
		b.free(g...)
		b.neonVec.label(none)
		for i, number := range numbers[:2] {
			if number < neonRegs { // the first of its lanes
				maxima = &laneTree[*vecReg]{join: func(x, y *vecReg) { b.add(x, y, x); b.free(y) }}
				joins = &laneTree[*vecReg]{join: b.joinProducts}
			}
			maxima.push(m[i])
			joins.push(p[i])
			if number/neonRegs < turn.vectors-1 {
				continue
			}
			h := number % neonRegs
			b.sum.take(h, maxima.done())
			if b.double() {
				logs = append(logs, joins.done())
			} else {
				b.product.take(h, joins.done())
			}
		}
	}
	if b.double() {
		for i, r := range b.log.log1p(logs) {
			b.sum.take(turn.lanes[i], r)
		}
	}
}

// takePart clears what two registers have of elements that take no part.
func (b *neonSoftBCE) takePart(numbers []int, of ...[]*vecReg) {
	there, back := b.newLabel("part"), b.newLabel("parted")
	b.op("CBNZW", b.others, there)
	b.neonVec.label(back)
	b.late = append(b.late, b.aside(func() {
		b.neonVec.label(there)
		for i, number := range numbers {
			in := b.laneTest(number)
			b.part.selected(number, in, in)
			for _, r := range of {
				b.and(r[i], in, r[i])
			}
			b.free(in)
		}
		b.op("B", back)
	}))
}

// A neonSoftLinearPart is a softLinearPart.
type neonSoftLinearPart struct {
	*neonVec
	low, sign, one, zero *vecReg
}

func newNeonSoftLinearPart(v *neonVec) *neonSoftLinearPart {
	_, least, _ := zeroToInf(v.elem)
	place := func(x float64) *vecReg { return v.inRegister(v.constant(x)) }
	return &neonSoftLinearPart{v, place(least), place(math.Copysign(0, -1)), place(1), v.cleared(1)[0]}
}

// argument returns m and the argument of e, of scores and labels in memory.
func (l *neonSoftLinearPart) argument(x, t address) (m, y *vecReg) {
	l.comment("m = max(y, 0) - t·y")
	y, m = l.inRegister(x), l.reg()
	label := l.inRegister(t)
	l.max(l.zero, y, m)
	l.fmaSub(label, y, m)
	l.or(y, l.sign, y)
	l.max(l.low, y, y)
	l.free(label)
	return m, y
}

// gradient returns g without its factor.
func (l *neonSoftLinearPart) gradient(e *vecReg, x, t address) *vecReg {
	q, u, label, down := l.reg(), l.reg(), l.inRegister(t), l.inRegister(x)
	l.add(e, l.one, q)
	l.div(e, q, q)
	l.above(l.zero, down, down)
	l.VBIC(down.b16(), l.sign.b16(), u.b16())
	l.xor(q, u, q)
	l.VBIC(down.b16(), l.one.b16(), u.b16())
	l.sub(u, label, u)
	l.add(q, u, q)
	l.free(u, label, down)
	return q
}

// neonPlainBits emits plainBits.
func neonPlainBits(v *neonVec, l *neonLoop, t *stream) {
	high := v.inRegister(v.constant(1))
	low := v.inRegister(v.constant(float64(math.Float32frombits(math.Float32bits(coef.PlainLabel32) - 1))))
	r := v.cleared(4) // the highest, the lowest less one, 1, and 0 after the rest
	most, least, one, zero := r[0], r[1], r[2], r[3]
	t.fill = zero
	v.op("VCMEQ", least.b16(), least.b16(), least.b16())
	v.op("VSUB", least.as("S4"), one.as("S4"), one.as("S4"))
	l.run(func() {}, func(turn neonTurn) {
		for _, label := range l.loadTurn(t, turn) {
			v.op("VUMAX", label.as("S4"), most.as("S4"), most.as("S4"))
			v.op("VSUB", one.as("S4"), label.as("S4"), label.as("S4"))
			v.op("VUMIN", label.as("S4"), least.as("S4"), least.as("S4"))
			v.free(label)
		}
	}, func() {
		v.op("VUMAX", high.as("S4"), most.as("S4"), most.as("S4"))
		v.op("VUMIN", low.as("S4"), least.as("S4"), least.as("S4"))
		v.scope(func() {
			bad, below := v.reg(), v.reg()
			v.xor(most, high, bad)
			v.xor(least, low, below)
			v.or(bad, below, bad)
			v.report(bad, false)
		})
	})
}

// neonPlainLabels emits plainLabels.
func neonPlainLabels(v *neonVec) {
	t := v.input("t", "stride")
	l := newNeonLoop(v, 2, t)
	v.loadConstants()
	if !v.double() {
		neonPlainBits(v, l, t)
		return
	}
	least, one := v.inRegister(v.constant(coef.PlainLabel64)), v.inRegister(v.constant(1))
	zero, plain := v.cleared(1)[0], v.reg()
	l.streams[0].fill = zero
	v.op("VCMEQ", plain.b16(), plain.b16(), plain.b16())
	l.run(func() {}, func(turn neonTurn) {
		for _, label := range l.loadTurn(t, turn) {
			k := v.reg()
			v.atLeast(one, label, k)
			v.and(plain, k, plain)
			v.above(zero, label, k)
			v.keepOut(k, plain)
			v.above(least, label, k)
			v.above(label, zero, label)
			v.and(k, label, k)
			v.keepOut(k, plain)
			v.free(k, label)
		}
	}, func() {
		v.report(plain, true)
	})
}

// neonSoftTerms emits softTerms.
func neonSoftTerms(v *neonVec) {
	sum := v.param("sums")
	x, t := v.input("x", "stride"), v.input("t", "tStride")
	first, second := v.output("u", "wStride"), v.output("v", "wStride")
	second.changed = true // a place of its own
	l := newNeonLoop(v, 2, x, t, first, second)
	l.halves(16)
	l.accumulators()
	l.withPart()
	v.loadConstants()
	magic, low, high := v.naturalRange()
	e := newNeonExponential(v, magic)
	acc := [2]*neonAccumulator{newNeonStackAccumulator(v, l.acc), newNeonStackAccumulator(v, l.acc.offset(128))}

	l.run(func() {
		for _, a := range acc {
			a.clear()
		}
	}, func(turn neonTurn) {
		for all := turn.numbers(); len(all) > 0; all = all[2:] {
			var y, below, over []*vecReg
			for _, number := range all[:2] {
				r, k, o := v.inRegister(x.place(number)), v.reg(), v.reg()
				v.above(low, r, k)
				v.above(r, high, o)
				v.max(low, r, r)
				v.min(high, r, r)
				y, below, over = append(y, r), append(below, k), append(over, o)
			}
			p, s := e.evaluate(y)
			var of [2][2]*vecReg // of both sides
			for i, number := range all[:2] {
				label, in, test := v.inRegister(t.place(number)), v.reg(), v.laneTest(number)
				l.sides[0].selected(number, test, in)
				v.mul(p[i], s[i], p[i])
				v.keepOut(below[i], p[i])
				v.or(p[i], over[i], p[i]) // NaN
				v.free(over[i])
				a, b := v.reg(), s[i]
				v.div(label, p[i], b)
				v.copy(p[i], a)
				v.fmaSub(label, p[i], a)
				v.and(a, in, a)
				v.and(b, in, b)
				v.zero(test) // 0/0 is 0
				v.above(label, test, test)
				v.and(b, test, b)
				v.free(below[i])
				v.store(a, first.place(number))
				v.store(b, second.place(number))
				v.free(label, in, test, p[i])
				of[0][i], of[1][i] = a, b
			}
			for side, a := range acc {
				v.add(of[side][0], of[side][1], of[side][0])
				v.free(of[side][1])
				a.take(all[0], of[side][0])
			}
		}
	}, func() {
		for _, a := range acc {
			a.store(sum)
		}
	})
}

// neonLessLabels emits gradients less a multiple of the labels.
func neonLessLabels(v *neonVec) {
	dst, old, t := v.output("dst", "dstStride"), v.input("dst", "dstStride"), v.input("t", "tStride")
	f, factor := v.param("f"), v.reg()
	l := newNeonLoop(v, 2, dst, old, t)
	l.run(func() {
		v.broadcasts(f, factor)
		v.op("ADD", imm(v.size), f)
	}, func(turn neonTurn) {
		a, b := l.loadTurn(old, turn), l.loadTurn(t, turn)
		for i := range a {
			v.fmaSub(b[i], factor, a[i])
		}
		l.storeTurn(dst, turn, a)
		v.free(b...)
	}, func() {})
}
