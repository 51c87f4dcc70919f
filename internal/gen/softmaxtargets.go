package gen

import (
	"github.com/mmcloughlin/avo/operand"
)

// softTargets emits what softmax cross-entropy with soft labels takes of a row whose
// highest score is known, the sums in the order of sideSums. An element with the highest
// score is one of the peak: it has no exponential, and its label is no sum's.
func softTargets(v *vec) {
	x, t, w := v.param("x"), v.param("t"), v.param("w")
	l := newPartLoop(v, x, strided{t, "tStride"}, strided{w, "wStride"})
	l.single = true
	magic, low, high := v.naturalRange()
	e := newExponential(v, magic, !v.double())
	top := v.kept(at(v.param("top"), 0))
	p := newPeak(v)
	acc := [3]*accumulator{newAccumulator(v), newAccumulator(v), newAccumulator(v)}

	l.run(func() {
		v.setKept(at(v.param("top"), 0), top)
		v.ADDQ(operand.U8(v.size), v.file.argument("top"))
		p.clear()
		for _, a := range acc {
			a.clear()
		}
	}, func(pairs []pair) {
		l.sides.group(l.off)
		for _, q := range pairs {
			var y []vreg
			above := v.asRegister(high)
			for _, r := range q {
				a := v.reg()
				v.load(r.mask, l.inRow(l.x, r.reg), a)
				v.clampAbove(a, above) // what is below the range is left out
				y = append(y, a)
			}
			exp, scale := e.evaluate(y)
			var of [3]vreg // exponentials, products and labels of the pair, added
			for i, r := range q {
				a := v.reg()
				in := l.sides.mask(l.sides.neg, r.reg)
				v.load(r.mask, l.inRow(l.x, r.reg), a)
				some, others := p.split(a, top, in)
				normal := v.newMask()
				if v.wide() {
					v.either(v.VCMPPS, v.VCMPPD, operand.U8(notLess), low, a, others, normal)
				} else {
					v.compare(notLess, a, low, normal)
					v.and(normal, others, normal)
				}
				v.mulKeep(normal, exp[i], scale[i], exp[i])
				v.store(r.mask, exp[i], l.inRow(w, r.reg))
				d, label := v.asNew(top), v.reg()
				if v.wide() {
					v.load(others, l.inRow(t, r.reg), label)
					v.subKeep(others, d, a, d)
				} else {
					v.sub(d, a, d)
					v.and(d, others, d)
					v.load(r.mask, l.inRow(t, r.reg), label)
					v.and(label, others, label)
				}
				p.take(some, r.mask, exp[i], l.inRow(t, r.reg), l.inRow(w, r.reg))
				if i == 0 {
					v.mul(d, label, d)
					of = [3]vreg{exp[i], d, label}
					continue
				}
				v.add(of[0], exp[i], of[0])
				v.fmaAcc(d, label, of[1])
				v.add(of[2], label, of[2])
			}
			for i, a := range acc {
				a.take(q.half(v), of[i])
			}
		}
	}, func() {
		out := v.param("a")
		acc[0].store(at(out, 0))
		v.ADDQ(operand.U8(8), v.file.argument("a"))
		out = v.param("sums")
		acc[1].store(at(out, 0))
		acc[2].store(at(out, 8))
		v.ADDQ(operand.U8(16), v.file.argument("sums"))
		p.write(v.param("peaks"))
		v.ADDQ(operand.U8(2*v.size), v.file.argument("peaks"))
	})
}

// subKeep is d = a - m in the lanes of k, 0 elsewhere, on AVX-512.
func (v *vec) subKeep(k mask, a, m, d op) {
	if v.double() {
		v.VSUBPD_Z(m, a, k, d)
	} else {
		v.VSUBPS_Z(m, a, k, d)
	}
}

// asNew returns a new register with a.
func (v *vec) asNew(a op) vreg {
	r := v.reg()
	v.move(a, r)
	return r
}

// A peak is the highest label and the number of the elements with a row's highest score,
// on AVX2 on the stack. There are few such elements: a branch leads past what they take.
type peak struct {
	*vec
	label, count op
}

func newPeak(v *vec) *peak {
	p := &peak{vec: v}
	if v.wide() {
		p.label, p.count = v.reg(), v.reg()
	} else {
		p.label, p.count = v.AllocLocal(v.bytes), v.AllocLocal(v.bytes)
	}
	return p
}

func (p *peak) clear() {
	if p.wide() {
		p.zero(p.label.(vreg))
		p.zero(p.count.(vreg))
		return
	}
	zero := p.reg()
	p.zero(zero)
	p.move(zero, p.label)
	p.move(zero, p.count)
}

// split returns the elements of in where a is top, and the others.
func (p *peak) split(a vreg, top op, in mask) (some, others mask) {
	some = p.newMask()
	if p.wide() {
		others = p.newMask()
		p.either(p.VCMPPS, p.VCMPPD, operand.U8(equal), top, a, in, some)
		p.either(p.VCMPPS, p.VCMPPD, operand.U8(notEqual), top, a, in, others)
		return some, others
	}
	p.compare(equal, a, top, some)
	p.and(some, in, some)
	p.andNot(some, in, in)
	return some, in
}

// take takes in some elements, the labels of which are at label, and marks them by -1 in
// the exponentials exp that are stored at w, both in the lanes of exist.
func (p *peak) take(some, exist mask, exp vreg, label, w operand.Mem) {
	none := p.newLabel("others")
	p.jumpIfEmpty(some, none)
	if p.wide() {
		r := p.inRegister(p.constant(1))
		p.either(p.VADDPS, p.VADDPD, r, p.count, some, p.count)
		p.load(some, label, r)
		p.either(p.VMAXPS, p.VMAXPD, p.label, r, some, p.label)
		p.store(some, p.inRegister(p.constant(-1)), w)
	} else {
		r := p.reg()
		p.and(some, p.constant(1), r)
		p.add(r, p.count, r)
		p.move(r, p.count)
		p.load(exist, label, r)
		p.and(r, some, r)
		p.max(r, p.label, r)
		p.move(r, p.label)
		p.choose(some, p.constant(-1), exp, r)
		p.store(exist, r, w)
	}
	p.Label(none)
}

// write writes the label, then the number.
func (p *peak) write(out gpreg) {
	label, count := p.asNew(p.label), p.asNew(p.count)
	p.reduceMax(label)
	p.storeLow(label, at(out, 0))
	for count.Size() > 16 {
		h := p.XMM()
		if count.Size() == 64 {
			h = p.YMM()
		}
		p.high(count, h)
		if count.Size() == 64 {
			count = count.AsY().(vreg)
		} else {
			count = count.AsX().(vreg)
		}
		p.add(count, h, count)
	}
	h := p.XMM()
	p.VUNPCKHPD(count, count, h)
	p.add(count, h, count)
	if !p.double() {
		p.VMOVSHDUP(count, h)
		p.add(count, h, count)
	}
	p.storeLow(count, at(out, p.size))
}

// softTargetScale emits gradients of softmax cross-entropy with soft labels.
func softTargetScale(v *vec) {
	dst, dstStride := v.param("dst"), v.stride("dstStride")
	w, wStride := v.param("w"), v.stride("wStride")
	t, tStride := v.param("t"), v.stride("tStride")
	off := v.GP64() // of the row's factors
	v.XORQ(off, off)
	names := []string{"f", "scale", "peak"}
	var factors []vreg
	for range names {
		factors = append(factors, v.reg())
	}
	zero := v.reg()
	v.zero(zero)
	l := newRowLoop(v)
	l.run(func() {
		for i, name := range names {
			v.broadcast(operand.Mem{Base: v.param(name), Index: off, Scale: 1}, factors[i])
		}
		v.ADDQ(operand.U8(v.size), off)
	}, func(pairs []pair) {
		for _, r := range terms(pairs) {
			e, g, label := v.reg(), v.reg(), v.reg()
			v.load(r.mask, l.inRow(w, r.reg), e)
			v.load(r.mask, l.inRow(t, r.reg), label)
			v.mul(e, factors[0], g)
			v.either(v.VFNMADD231PS, v.VFNMADD231PD, label, factors[1], g)
			k := mask(e) // its signs
			if v.wide() {
				k = v.newMask()
				v.compare(less, e, zero, k)
			}
			d := v.reg()
			v.choose(k, factors[2], g, d)
			v.store(r.mask, d, l.inRow(dst, r.reg))
		}
	}, func() {
		v.ADDQ(dstStride, dst)
		v.ADDQ(wStride, w)
		v.ADDQ(tStride, t)
	})
}

// neonSoftTargets emits softTargets.
func neonSoftTargets(v *neonVec) {
	a, sums, peaks, tops := v.param("a"), v.param("sums"), v.param("peaks"), v.param("top")
	x, t, w := v.input("x", "stride"), v.input("t", "tStride"), v.output("w", "wStride")
	v.accumulatorBytes = 3 * 128
	l := newNeonLoop(v, 2, x, t, w)
	l.halves(16)
	l.accumulators()
	l.withPart()
	v.loadConstants()
	magic, low, high := v.naturalRange()
	e := newNeonExponential(v, magic)
	top, most, count := v.reg(), v.reg(), v.reg()
	var acc [3]*neonAccumulator
	for i := range acc {
		acc[i] = newNeonStackAccumulator(v, l.acc.offset(128*i))
	}

	l.run(func() {
		v.broadcasts(tops, top)
		v.op("ADD", imm(v.size), tops)
		v.zero(most)
		v.zero(count)
		for _, a := range acc {
			a.clear()
		}
	}, func(turn neonTurn) {
		for all := turn.numbers(); len(all) > 0; all = all[2:] {
			var y []*vecReg
			for _, number := range all[:2] {
				r := v.inRegister(x.place(number))
				v.max(low, r, r)
				v.min(high, r, r)
				y = append(y, r)
			}
			p, s := e.evaluate(y)
			var of [3]*vecReg
			for i, number := range all[:2] {
				v.mul(p[i], s[i], p[i])
				v.free(s[i])
				a, label, in, k := v.inRegister(x.place(number)), v.inRegister(t.place(number)), v.reg(), v.laneTest(number)
				l.sides[0].selected(number, k, in)
				d := v.reg()
				v.sub(top, a, d)
				v.above(low, a, k)
				v.keepOut(k, p[i])
				v.VFCMEQ(v.lanes(a), v.lanes(top), v.lanes(k))
				v.and(k, in, k)
				v.keepOut(k, in)
				v.and(d, in, d)
				v.and(label, k, a)
				v.max(a, most, most)
				v.load(v.constant(1), a)
				v.and(a, k, a)
				v.add(a, count, count)
				v.and(p[i], in, p[i])
				v.and(label, in, label)
				v.load(v.constant(-1), a)
				v.choose(k, a, p[i])
				v.store(k, w.place(number))
				v.free(a, in, k)
				if i == 0 {
					v.mul(d, label, d)
					of = [3]*vecReg{p[i], d, label}
					continue
				}
				v.add(of[0], p[i], of[0])
				v.fmaAcc(d, label, of[1])
				v.add(of[2], label, of[2])
				v.free(p[i], d, label)
			}
			for i, a := range acc {
				a.take(all[0], of[i])
			}
		}
	}, func() {
		acc[0].store(a)
		acc[1].store(sums)
		acc[2].store(sums)
		v.scope(func() {
			fold := func(r *vecReg, join func(a, b, d *vecReg)) {
				h := v.reg()
				v.op("VEXT", imm(8), r.b16(), r.b16(), h.b16())
				join(r, h, r)
				if !v.double() {
					v.op("VEXT", imm(4), r.b16(), r.b16(), h.b16())
					join(r, h, r)
				}
				v.free(h)
				v.storeLow(r, peaks)
			}
			fold(most, v.max)
			fold(count, v.add)
		})
	})
}

// neonSoftTargetScale emits softTargetScale.
func neonSoftTargetScale(v *neonVec) {
	dst, w, t := v.output("dst", "dstStride"), v.input("w", "wStride"), v.input("t", "tStride")
	places := []genReg{v.param("f"), v.param("scale"), v.param("peak")}
	factors, zero := v.regs(len(places)), v.cleared(1)[0]
	l := newNeonLoop(v, 2, dst, w, t)
	l.run(func() {
		for i, p := range places {
			v.broadcasts(p, factors[i])
			v.op("ADD", imm(v.size), p)
		}
	}, func(turn neonTurn) {
		a, b := l.loadTurn(w, turn), l.loadTurn(t, turn)
		for i := range a {
			d := v.reg()
			v.mul(a[i], factors[0], d)
			v.fmaSub(b[i], factors[1], d)
			v.above(zero, a[i], b[i])
			v.choose(b[i], factors[2], d)
			v.free(d)
		}
		l.storeTurn(dst, turn, b)
		v.free(a...)
	}, func() {})
}
