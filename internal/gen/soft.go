package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// A softBCE emits binary cross-entropy with soft labels, by groups of four virtual vectors.
// A group of which not every element takes part, the end of a row among them, goes through
// buffers, in which the others have a score whose exponential is 0, and the label 0. The
// gradient is left out at run time.
type softBCE struct {
	*vec
	x, t, dst, off gpreg // of the row or, less the offset, of the buffers
	left           gpreg // elements of the row with those of the group
	sides          *sides
	buffers        operand.Mem // of scores, and of the gradient; of labels
	saved          operand.Mem // of x, t and dst meanwhile
	inBuffers      operand.Mem
	aside          []func() // what lies behind the loop

	linear       *softLinearPart
	none, factor op
	e            *exponential
	log          *logarithms // float64
	sum          *accumulator
	product      *products // float32
}

func emitSoftBCE(v *vec) {
	v.Attributes(0) // the frame is too large for NOSPLIT
	b := &softBCE{vec: v, x: v.param("x"), t: v.param("t"), dst: v.param("dst"), off: v.GP64(), left: v.GP64()}
	b.sides = &sides{vec: v, neg: v.param("part"), at: v.GP64()}
	b.sides.laneTests()
	b.buffers, b.saved, b.inBuffers = v.AllocLocal(512), v.AllocLocal(24), v.AllocLocal(8)
	v.MOVQ(operand.U32(0), b.inBuffers)
	b.linear, b.factor = newSoftLinearPart(v), v.place()
	b.none = v.constant(v.pick(coef.NoScore32, coef.NoScore64))
	bias, _, _ := zeroToInf(v.elem)
	b.e = newExponential(v, v.held(bias), !v.double())
	b.sum = newAccumulator(v)
	if v.double() {
		b.log = newLogarithms(v)
	} else {
		b.product = newProducts(v)
	}

	rows, last := v.argument("rows"), v.newLabel("last")
	row, group, done := v.newLabel("row"), v.newLabel("group"), v.newLabel("done")
	v.CMPQ(rows, operand.U8(0))
	v.JZ(operand.LabelRef(last))
	v.Label(row)
	b.beginRow()
	v.TESTQ(b.left, b.left)
	v.JZ(operand.LabelRef(done))
	v.Label(group)
	b.enter()
	b.group()
	b.leave()
	b.endHalves(b.off)
	b.endBlock()
	v.SUBQ(operand.U8(4*v.lanes), b.left)
	v.JG(operand.LabelRef(group))
	v.Label(done)
	b.endRow()
	v.DECQ(rows)
	v.JNZ(operand.LabelRef(row))
	if b.product != nil {
		b.product.last()
	}
	v.Label(last)
	v.VZEROUPPER()
	v.RET()
	for _, f := range b.aside {
		f()
	}
}

func (b *softBCE) beginRow() {
	b.sum.clear()
	if b.product != nil {
		b.product.clear()
	}
	b.XORQ(b.off, b.off)
	b.Load(b.Param("n"), b.left)
	without := b.newLabel("without")
	b.TESTQ(b.dst, b.dst)
	b.JZ(operand.LabelRef(without))
	f := b.param("f")
	b.setKept(at(f, 0), b.factor)
	b.ADDQ(operand.U8(b.size), b.file.argument("f"))
	b.Label(without)
}

// endRow writes the sum, and the last block's product unless it was complete, and moves on.
func (b *softBCE) endRow() {
	if b.product != nil {
		complete := b.newLabel("complete")
		b.TESTQ(operand.U32(bceBlockBytes-1), b.off)
		b.JZ(operand.LabelRef(complete))
		b.product.end()
		b.Label(complete)
	}
	b.sides.nextRow()
	out := b.param("sum")
	b.sum.store(at(out, 0))
	b.ADDQ(operand.U8(8), b.file.argument("sum"))
	b.ADDQ(b.vec.stride("stride"), b.x)
	b.ADDQ(b.vec.stride("tStride"), b.t)
	none := b.newLabel("none")
	b.TESTQ(b.dst, b.dst)
	b.JZ(operand.LabelRef(none))
	b.ADDQ(b.vec.stride("dstStride"), b.dst)
	b.Label(none)
}

// enter has a group that is not whole go through the buffers.
func (b *softBCE) enter() {
	some, ready := b.newLabel("some"), b.newLabel("ready")
	b.sides.group(b.off)
	if bits := b.sides.bitsOf(b.sides.neg); b.double() {
		b.CMPL(bits, operand.I8(-1))
	} else {
		b.CMPQ(bits, operand.I8(-1))
	}
	b.JNE(operand.LabelRef(some))
	b.Label(ready)
	b.aside = append(b.aside, func() {
		b.Label(some)
		x, t := b.GP64(), b.GP64()
		b.LEAQ(b.buffers, x)
		b.SUBQ(b.off, x)
		b.LEAQ(b.register(b.buffers, b.bufferRegs()), t)
		b.SUBQ(b.off, t)
		b.halves(b.off, true, func(h *half) {
			b.sides.half(h, b.off)
			for i := range 4 {
				number := i * b.regs()
				k, r := b.sides.mask(b.sides.neg, number), b.reg()
				b.loadOver(k, b.element(b.x, b.off, number), b.inRegister(b.none.(operand.Mem)), r)
				b.move(r, b.element(x, b.off, number))
				b.load(k, b.element(b.t, b.off, number), r)
				b.move(r, b.element(t, b.off, number))
			}
		})
		if !b.wide() {
			b.SUBQ(operand.U8(64), b.off)
		}
		for i, r := range []gpreg{b.x, b.t, b.dst} {
			b.MOVQ(r, b.savedAt(i))
		}
		b.MOVQ(x, b.x)
		b.MOVQ(t, b.t)
		b.MOVQ(operand.U32(1), b.inBuffers)
		b.TESTQ(b.dst, b.dst)
		b.JZ(operand.LabelRef(ready))
		b.MOVQ(x, b.dst)
		b.JMP(operand.LabelRef(ready))
	})
}

// bufferRegs is the number of registers of a buffer.
func (b *softBCE) bufferRegs() int { return 256 / b.bytes }

func (b *softBCE) savedAt(i int) operand.Mem {
	m := b.saved
	m.Disp += 8 * i
	return m
}

// leave writes the gradient that is in the buffer, as far as the row goes.
func (b *softBCE) leave() {
	some, ready := b.newLabel("leave"), b.newLabel("left")
	b.CMPQ(b.inBuffers, operand.U8(0))
	b.JNE(operand.LabelRef(some))
	b.Label(ready)
	b.aside = append(b.aside, func() {
		b.Label(some)
		for i, r := range []gpreg{b.x, b.t, b.dst} {
			b.MOVQ(b.savedAt(i), r)
		}
		b.MOVQ(operand.U32(0), b.inBuffers)
		b.TESTQ(b.dst, b.dst)
		b.JZ(operand.LabelRef(ready))
		count, size := b.GP64(), b.GP64()
		b.MOVQ(b.left, count)
		b.MOVQ(operand.U32(4*b.lanes), size)
		b.CMPQ(count, size)
		b.CMOVQGT(size, count)
		before := 0 // b.off has gone on
		if !b.wide() {
			before = -64
		}
		for i, k := range b.tailMasks(count, b.bufferRegs()) {
			place := b.element(b.dst, b.off, i)
			place.Disp += before
			b.store(k, b.inRegister(b.register(b.buffers, i)), place)
		}
		b.JMP(operand.LabelRef(ready))
	})
}

// group adds a group.
func (b *softBCE) group() {
	for i := range 4 {
		b.prefetch(b.element(b.x, b.off, i*b.regs()), 0)
		b.prefetch(b.element(b.t, b.off, i*b.regs()), 0)
	}
	b.halves(b.off, true, b.half)
	b.sum.endGroup()
	if b.product != nil {
		b.product.endGroup()
	}
}

// bceBlockBytes is the size of the elements of float32 that share a logarithm.
const bceBlockBytes = 4 * coef.BCEBlock

// endBlock writes the product of a block that is complete.
func (b *softBCE) endBlock() {
	if b.product == nil {
		return
	}
	more := b.newLabel("more")
	b.TESTQ(operand.U32(bceBlockBytes-1), b.off)
	b.JNZ(operand.LabelRef(more))
	b.product.end()
	b.Label(more)
}

// products are those of blocks, one after the other. The lanes of one are combined when
// that of the next is at its end: the processor does not look far enough ahead to go on while
// it waits for them.
type products struct {
	*accumulator
	before *accumulator // the last one's lanes
	to     operand.Mem  // its place
}

func newProducts(v *vec) *products {
	p := &products{newProduct(v), newProduct(v), v.AllocLocal(16)}
	nowhere := p.to // for the product before the first
	nowhere.Disp += 8
	at := v.GP64()
	v.LEAQ(nowhere, at)
	v.MOVQ(at, p.to)
	p.before.clear()
	return p
}

// end ends a product, and begins another.
func (p *products) end() {
	p.last()
	p.before.copy(p.accumulator)
	p.clear()
	out := p.param("product")
	p.MOVQ(out, p.to)
	p.ADDQ(operand.U8(8), p.file.argument("product"))
}

// last writes the last product that is at its end.
func (p *products) last() {
	to := p.GP64()
	p.MOVQ(p.to, to)
	p.before.store(at(to, 0))
}

// half adds a register of each of the four virtual vectors. Arguments are reduced before the
// polynomial of those before them, and the gradient is later than it: in what the processor
// sees at a time are then several short chains in place of a long one.
func (b *softBCE) half(h *half) {
	maxima := &laneTree[vreg]{join: func(x, y vreg) { b.add(x, y, x) }}
	joins := &laneTree[vreg]{join: b.joinProducts}
	step := 1 // there are few registers
	if b.wide() {
		step = 2
	}
	var r, t, free, e [4][]vreg // of step registers each
	place := func(base gpreg, k, i int) operand.Mem { return b.element(base, b.off, (k*step+i)*b.regs()) }
	reduce := func(k int) {
		var a []vreg
		for i := range step {
			m, y := b.linear.argument(place(b.x, k, i), place(b.t, k, i))
			a = append(a, y)
			maxima.push(m)
		}
		r[k], t[k], free[k] = b.e.reduce(a, false)
	}
	powers := func(k int) {
		p, s := b.e.powers(r[k], t[k], free[k])
		for i := range p {
			b.mul(p[i], s[i], p[i])
		}
		e[k] = p
	}
	gradient := func(k int) {
		none := b.newLabel("none")
		b.TESTQ(b.dst, b.dst)
		b.JZ(operand.LabelRef(none))
		for i, x := range e[k] {
			b.move(b.linear.gradient(x, place(b.x, k, i), place(b.t, k, i), b.factor), place(b.dst, k, i))
		}
		b.Label(none)
		for _, x := range e[k] {
			joins.push(x)
		}
	}
	stages := []func(k int){reduce, powers, gradient}
	count := 4 / step
	for turn := range count + len(stages) - 1 {
		for i, stage := range stages {
			if k := turn - i; 0 <= k && k < count {
				stage(k)
			}
		}
	}
	h.setOffset(b.vec, b.off)
	b.sum.take(h, maxima.done())
	if b.double() {
		log, _ := b.log.log1p(joins.done())
		b.sum.take(h, log)
	} else {
		b.product.take(h, joins.done())
	}
}

// A softLinearPart is what soft labels t add to the exponentials e = e^-|y|:
//
//	m = max(y, 0) - t·y,  g = ((h-t) ∓ e/(1+e))·factor
//
// with h = 1 and the upper sign where y ≥ 0, else h = 0.
type softLinearPart struct {
	*vec
	low             vreg
	sign, one, zero op
}

func newSoftLinearPart(v *vec) *softLinearPart {
	_, least, _ := zeroToInf(v.elem)
	return &softLinearPart{v, v.inRegister(v.constant(least)), v.held(math.Copysign(0, -1)), v.held(1), v.held(0)}
}

// part returns m and y, of scores and labels in memory.
func (l *softLinearPart) part(x, t operand.Mem) (m, y vreg) {
	m, y = l.reg(), l.reg()
	l.move(x, y)
	l.max(y, l.zero, m)
	l.either(l.VFNMADD231PS, l.VFNMADD231PD, t, y, m)
	return m, y
}

// argument returns m and the argument of e.
func (l *softLinearPart) argument(x, t operand.Mem) (m, a vreg) {
	m, a = l.part(x, t)
	l.or(a, l.sign, a)
	l.max(l.low, a, a) // a where it is NaN
	return m, a
}

// gradient returns g.
func (l *softLinearPart) gradient(e vreg, x, t operand.Mem, factor op) vreg {
	u, d, up := l.reg(), l.reg(), l.newMask()
	l.move(x, u)
	l.compare(notLess, u, l.zero, up)
	l.add(e, l.one, d)
	l.either(l.VDIVPS, l.VDIVPD, d, e, d)
	if l.wide() {
		l.keep(up, l.one, u)
		l.either(l.VXORPS, l.VXORPD, l.sign, d, up, d)
	} else {
		l.and(up, l.one, u)
		l.and(up, l.sign, up)
		l.xor(d, up, d)
	}
	l.sub(u, t, u)
	l.add(d, u, d)
	l.mul(d, factor, d)
	return d
}

// plainBits emits plainLabels of float32, by the bits as integers: they are in the order of
// the labels, and less one those of 0 are the highest.
func plainBits(v *vec) {
	t, stride := v.param("t"), v.stride("stride")
	l := newRowLoop(v)
	most, least, minusOne := v.reg(), v.reg(), v.reg()
	v.zero(most)
	v.allOnes(minusOne)
	v.move(minusOne, least)
	result := v.result(0)
	v.MOVQ(operand.U32(0), result)
	l.run(func() {}, func(pairs []pair) {
		for _, r := range terms(pairs) {
			less, m := v.reg(), op(l.inRow(t, r.reg))
			if r.mask != nil {
				label := v.reg()
				v.load(r.mask, m.(operand.Mem), label)
				m = label
			} else {
				v.prefetch(m.(operand.Mem), r.reg)
			}
			v.VPMAXUD(m, most, most)
			v.VPADDD(m, minusOne, less)
			v.VPMINUD(less, least, least)
		}
	}, func() {
		v.ADDQ(stride, t)
		// What changes these limits is out of them.
		bits := math.Float32bits(coef.PlainLabel32) - 1
		high, low := v.inRegister(v.constant(1)), v.inRegister(v.constant(float64(math.Float32frombits(bits))))
		above, below := v.reg(), v.reg()
		v.VPMAXUD(most, high, above)
		v.VPMINUD(least, low, below)
		v.xor(above, high, above)
		v.xor(below, low, below)
		v.or(above, below, above)
		var bad mask = above
		if v.wide() {
			bad = v.newMask()
			v.VPTESTMD(above, above, bad)
		}
		none := v.newLabel("none")
		v.jumpIfEmpty(bad, none)
		v.MOVQ(operand.U32(1), result)
		v.Label(none)
	})
}

// plainLabels emits a look at soft labels.
func plainLabels(v *vec) {
	if !v.double() {
		plainBits(v)
		return
	}
	t, stride := v.param("t"), v.stride("stride")
	l := newRowLoop(v)
	place := func(x float64) vreg { return v.inRegister(v.constant(x)) }
	least, one, zero := place(coef.PlainLabel64), place(1), place(0)
	bad := v.newMask()
	v.clearMask(bad)
	result := v.result(0)
	v.MOVQ(operand.U32(0), result)
	l.run(func() {}, func(pairs []pair) {
		for _, r := range terms(pairs) {
			label, k := v.reg(), v.newMask()
			v.load(r.mask, l.inRow(t, r.reg), label)
			v.compare(less, label, least, k)
			v.restrict(k, notEqual, label, zero)
			v.orMask(k, bad)
			v.compare(notLessOrEqual, label, one, k)
			v.orMask(k, bad)
		}
	}, func() {
		v.ADDQ(stride, t)
		none := v.newLabel("none")
		v.jumpIfEmpty(bad, none)
		v.MOVQ(operand.U32(1), result)
		v.Label(none)
	})
}

// softTerms emits the terms of both sides of soft labels, and their sums in the order of
// sideSums.
func softTerms(v *vec) {
	x, t, first, second := v.param("x"), v.param("t"), v.param("u"), v.param("v")
	l := newPartLoop(v, x, strided{t, "tStride"}, strided{first, "wStride"}, strided{second, "wStride"})
	magic, low, high := v.naturalRange()
	e := newExponential(v, magic, true)
	zero := v.reg()
	v.zero(zero)
	nan := v.held(math.NaN())
	acc := newPairSums(v, 2)

	l.run(func() {
		for _, a := range acc {
			a.clear()
		}
	}, func(pairs []pair) {
		l.sides.group(l.off)
		for _, q := range pairs {
			var y []vreg
			below, above := v.asRegister(low), v.asRegister(high)
			for _, r := range q {
				a := v.reg()
				v.load(r.mask, l.inRow(l.x, r.reg), a)
				v.clamp(a, below, above)
				y = append(y, a)
			}
			p, scale := e.evaluate(y)
			var sums [2]vreg
			for i, r := range q {
				in, label, a, b := l.sides.mask(l.sides.neg, r.reg), v.reg(), v.reg(), v.reg()
				k := v.newMask()
				v.load(r.mask, l.inRow(l.x, r.reg), a)
				v.compare(notLess, a, low, k)
				v.mulKeep(k, p[i], scale[i], p[i])
				v.compare(greater, a, high, k)
				v.choose(k, nan, p[i], p[i])
				v.load(r.mask, l.inRow(t, r.reg), label)
				v.VDIVPS(p[i], label, b)
				v.move(p[i], a)
				v.VFNMADD231PS(label, p[i], a)
				labelled := v.newMask() // 0/0 is 0
				if v.wide() {
					v.VCMPPS(operand.U8(notEqual), zero, label, in, labelled)
				} else {
					v.compare(notEqual, label, zero, labelled)
					v.and(labelled, in, labelled)
				}
				for side, w := range []vreg{a, b} {
					v.keep([]mask{in, labelled}[side], w, w)
					v.store(r.mask, w, l.inRow([]gpreg{first, second}[side], r.reg))
					if i == 0 {
						sums[side] = w
					} else {
						v.add(sums[side], w, sums[side])
					}
				}
			}
			for side, a := range acc {
				a.take(q.half(v), sums[side])
			}
		}
	}, func() {
		sum := v.param("sums")
		for i, a := range acc {
			a.store(at(sum, 8*i))
		}
		v.ADDQ(operand.U8(16), v.file.argument("sums"))
	})
}

// lessLabels emits gradients less a multiple of the labels.
func lessLabels(v *vec) {
	dst, dstStride := v.param("dst"), v.stride("dstStride")
	t, stride := v.param("t"), v.stride("tStride")
	f := v.param("f")
	factor := v.reg()
	l := newRowLoop(v)
	l.run(func() {
		v.broadcast(at(f, 0), factor)
		v.ADDQ(operand.U8(v.size), f)
	}, func(pairs []pair) {
		for _, r := range terms(pairs) {
			g, label := v.reg(), v.reg()
			v.load(r.mask, l.inRow(dst, r.reg), g)
			v.load(r.mask, l.inRow(t, r.reg), label)
			v.either(v.VFNMADD231PS, v.VFNMADD231PD, label, factor, g)
			v.store(r.mask, g, l.inRow(dst, r.reg))
		}
	}, func() {
		v.ADDQ(dstStride, dst)
		v.ADDQ(stride, t)
	})
}
