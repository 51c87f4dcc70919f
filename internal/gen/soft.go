package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// A softBCE emits binary cross-entropy with soft labels. Elements go through it as
// through a bce, by groups of four virtual vectors; what is left at the end of a row
// is a whole group of which the bits tell what takes part. The gradient is left out at
// run time.
type softBCE struct {
	*rowLoop
	sides                  *sides
	x, t, dst              gpreg
	low, sign, one, factor op
	e                      *exponential
	log                    *logarithms // float64
	sum                    *accumulator
	product                *accumulator // float32
}

func emitSoftBCE(v *vec) {
	kind := withBits
	if !v.wide() {
		kind = inBuffer
		v.Attributes(0) // the frame is too large for NOSPLIT
	}
	b := &softBCE{rowLoop: newWholeLoop(v, kind, 4*v.lanes)}
	b.halved = true
	b.x, b.t, b.dst = b.input("x", "stride"), b.input("t", "tStride"), b.output("dst", "dstStride", true)
	b.sides = &sides{vec: v, neg: v.param("part"), at: v.GP64()}
	b.sides.laneTests()
	var magic op
	magic, b.low, _ = v.naturalRange()
	b.sign, b.one, b.factor = v.held(math.Copysign(0, -1)), v.held(1), v.place()
	b.e = newExponential(v, magic, false)
	b.sum = newAccumulator(v)
	if v.double() {
		b.log = newLogarithms(v)
	} else {
		b.product = newProduct(v)
	}

	if b.product != nil {
		b.follow = func() {
			more := b.newLabel("more")
			b.TESTQ(operand.U32(bceBlockBytes-1), b.off)
			b.JNZ(operand.LabelRef(more))
			b.storeProduct()
			b.Label(more)
		}
	}
	b.runWhole(func() {
		b.sum.clear()
		if b.product != nil {
			b.product.clear()
		}
		without := v.newLabel("without")
		v.TESTQ(b.dst, b.dst)
		v.JZ(operand.LabelRef(without))
		f := v.param("f")
		v.setKept(at(f, 0), b.factor)
		v.ADDQ(operand.U8(v.size), v.file.argument("f"))
		v.Label(without)
	}, b.group, func() {
		if b.product != nil {
			// The last block's, unless it was complete.
			complete := b.newLabel("complete")
			b.TESTQ(operand.U32(bceBlockBytes-1), b.off)
			b.JZ(operand.LabelRef(complete))
			b.storeProduct()
			b.Label(complete)
		}
		b.sides.nextRow()
		out := v.param("sum")
		b.sum.store(at(out, 0))
		v.ADDQ(operand.U8(8), v.file.argument("sum"))
	})
}

// group adds a group.
func (b *softBCE) group() {
	for i := range 4 {
		b.prefetch(b.inRow(b.x, i*b.regs()), 0)
		b.prefetch(b.inRow(b.t, i*b.regs()), 0)
	}
	b.halves(b.off, true, b.half)
	b.sum.endGroup()
	if b.product != nil {
		b.product.endGroup()
	}
}

// bceBlockBytes is the size of the elements of float32 that share a logarithm.
const bceBlockBytes = 4 * coef.BCEBlock

func (b *softBCE) storeProduct() {
	out := b.param("product")
	b.product.store(at(out, 0))
	b.product.clear()
	b.ADDQ(operand.U8(8), b.file.argument("product"))
}

// half adds a register of each of the four virtual vectors: with h = 1 where
// y ≥ 0, else 0, and e = e^-|y|,
//
//	m = y·(h-t),  g = ((h-t) ∓ e/(1+e))·factor
func (b *softBCE) half(h *half) {
	b.sides.half(h, b.off)
	maxima := &laneTree[vreg]{join: func(x, y vreg) { b.add(x, y, x) }}
	joins := &laneTree[vreg]{join: b.joinProducts}
	step := 1 // there are few registers
	if b.wide() {
		step = 2
	}
	for first := 0; first < 4; first += step {
		var all []softTerm
		var a []vreg
		for i := first; i < first+step; i++ {
			t := b.argument(i)
			all, a = append(all, t), append(a, t.a)
			maxima.push(t.m)
		}
		p, s := b.e.evaluate(a)
		for i := range all {
			b.mulKeep(all[i].keep, p[i], s[i], p[i])
		}
		b.gradient(all, p)
		for _, e := range p {
			joins.push(e)
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

// A softTerm is a register of elements: the argument -|y| of the exponential, h-t and
// y·(h-t), and where h is 1, an element takes part, and its exponential is not 0.
type softTerm struct {
	number         int
	a, u, m        vreg
	up, part, keep mask
}

func (b *softBCE) argument(i int) softTerm {
	number := i * b.regs() // in a loop of halves registers are numbered as those of the first
	t := softTerm{number: number, a: b.reg(), u: b.reg(), m: b.reg(), up: b.newMask(), keep: b.newMask()}
	y, zero := b.reg(), b.reg()
	t.part = b.sides.mask(b.sides.neg, number)
	if b.wide() {
		b.load(t.part, b.inRow(b.x, number), y)
		b.load(t.part, b.inRow(b.t, number), t.u)
		b.zero(zero)
		b.compare(notLess, y, zero, t.up)
		b.keep(t.up, b.one, zero)
	} else {
		b.move(b.inRow(b.x, number), y)
		b.move(b.inRow(b.t, number), t.u)
		b.zero(zero)
		b.compare(notLess, y, zero, t.up)
		b.and(t.up, b.one, zero)
	}
	b.sub(zero, t.u, t.u)
	b.mulKeep(t.part, y, t.u, t.m)
	b.or(y, b.sign, t.a)
	if b.wide() {
		b.either(b.VCMPPS, b.VCMPPD, operand.U8(notLess), b.low, t.a, t.part, t.keep)
	} else {
		b.compare(notLess, t.a, b.low, t.keep)
		b.and(t.keep, t.part, t.keep)
	}
	return t
}

// gradient stores the derivatives of some registers, unless none are wanted.
func (b *softBCE) gradient(all []softTerm, e []vreg) {
	none := b.newLabel("none")
	b.TESTQ(b.dst, b.dst)
	b.JZ(operand.LabelRef(none))
	for i, t := range all {
		d, q := b.reg(), b.reg()
		b.add(e[i], b.one, d)
		b.either(b.VDIVPS, b.VDIVPD, d, e[i], q)
		place := b.inRow(b.dst, t.number)
		if b.wide() {
			b.either(b.VXORPS, b.VXORPD, b.sign, q, t.up, q)
			b.add(q, t.u, q)
			b.mulKeep(t.part, q, b.factor, q)
			b.store(b.sides.maskAt(b.exist, t.number), q, place)
			continue
		}
		b.and(t.up, b.sign, d)
		b.xor(q, d, q)
		b.add(q, t.u, q)
		b.mulKeep(t.part, q, b.factor, q)
		b.move(q, place)
	}
	b.Label(none)
}

// plainBits emits plainLabels of float32, by the bits as integers: they are in the order of
// the labels, and less one those of 0 are the highest.
func plainBits(v *vec) {
	t, stride := v.param("t"), v.stride("stride")
	l := newRowLoop(v)
	most, least, minusOne := v.reg(), v.reg(), v.reg()
	v.zero(most)
	if v.wide() {
		v.VPTERNLOGQ(operand.U8(0xff), minusOne, minusOne, minusOne)
	} else {
		v.VPCMPEQD(minusOne, minusOne, minusOne)
	}
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

// softLinear emits the linear part of binary cross-entropy with soft labels, in the
// order of sideSums.
func softLinear(v *vec) {
	t, w, m, dst := v.param("t"), v.param("w"), v.param("m"), v.param("dst")
	l := newPartLoop(v, v.param("x"), strided{t, "tStride"}, strided{m, "mStride"}, strided{dst, "dstStride"})
	one := v.held(1)
	var p [3]op // factor, hi, lo
	params := v.param("p")
	for i := range p {
		p[i] = v.kept(at(params, i*v.size))
	}
	acc := newPairSums(v, 1)[0]

	l.run(func() {
		params := v.param("p")
		for i := range p {
			v.setKept(at(params, i*v.size), p[i])
		}
		v.ADDQ(operand.U8(3*v.size), v.file.argument("p"))
		acc.clear()
	}, func(pairs []pair) {
		l.sides.group(l.off)
		for _, q := range pairs {
			var sum vreg
			for i, r := range q {
				y, u, label, in := v.reg(), v.reg(), v.reg(), l.sides.mask(l.sides.neg, r.reg)
				exist := r.mask
				if v.wide() {
					exist = in
				}
				v.load(exist, l.inRow(l.x, r.reg), y)
				v.load(exist, l.inRow(t, r.reg), label)
				up := v.newMask()
				v.compare(greater, y, p[1], up)
				if v.wide() {
					v.keep(up, one, u)
				} else {
					v.and(up, one, u)
				}
				v.sub(u, label, u)
				v.load(r.mask, l.inRow(w, r.reg), label)
				v.mulKeep(in, u, label, u)
				v.sub(y, p[1], y)
				v.sub(y, p[2], y)
				v.mulKeep(in, y, u, y)
				v.store(r.mask, y, l.inRow(m, r.reg))
				g := v.reg()
				v.load(r.mask, l.inRow(dst, r.reg), g)
				v.fmaAcc(u, p[0], g)
				v.store(r.mask, g, l.inRow(dst, r.reg))
				if i == 0 {
					sum = y
				} else {
					v.add(sum, y, sum)
				}
			}
			acc.take(q.half(v), sum)
		}
	}, func() {
		acc.store(at(v.param("sum"), 0))
		v.ADDQ(operand.U8(8), v.file.argument("sum"))
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
