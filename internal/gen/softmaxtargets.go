package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// A softTargetSums emits what softmax cross-entropy with soft labels takes of a row whose
// highest score is known, by groups of four virtual vectors. The elements with that score
// are the peak: they have an exponential, but it is in no sum, and neither are their labels.
// Few groups have one: what it takes lies behind the loop.
//
// On AVX2 the arguments of one half of a group are reduced while the other is in the
// polynomial, the first half of the next group beside the second.
type softTargetSums struct {
	*rowLoop
	x, t, w  gpreg
	low, top op
	e        *exponential
	line     *narrowPipeline // AVX2
	acc      [3]*accumulator // of exponentials, products and labels
	peak     *peak
	most     *labelBits
	aside    []func() // what lies behind the loop
}

func softTargets(v *vec) {
	v.Attributes(0) // the frame is too large for NOSPLIT
	s := &softTargetSums{rowLoop: newWholeLoop(v, inBuffer, 4*v.lanes)}
	s.x, s.t, s.w = s.input("x", "stride"), s.input("t", "tStride"), s.output("w", "wStride", true)
	s.streams[2].buffer = v.AllocLocal(s.groupSize * v.size)
	s.low = v.held(v.pick(coef.ScaleLow32, coef.ScaleLow64))
	s.streams[0].fill = s.low
	magic := v.place()
	s.e = newExponential(v, magic, !v.double())
	s.top = v.place()
	s.peak = newPeak(v)
	s.most = newMostBits(v, v.place())
	s.last = s.most.report
	for i := range s.acc {
		s.acc[i] = newAccumulator(v)
	}
	if !v.wide() {
		s.line = newNarrowPipeline(s.e, s.low, nil)
		s.line.atLeast = s.atLeast
		s.enter = func() { emit(s.reduced(0, s.off)) }
	}
	s.runWhole(func() {
		top := v.reg()
		v.broadcast(at(v.param("top"), 0), top)
		v.add(top, v.constant(0), top) // -0 is 0
		v.move(top, s.top)
		v.ADDQ(operand.U8(v.size), v.file.argument("top"))
		s.setMagic(magic)
		s.peak.clear()
		for _, a := range s.acc {
			a.clear()
		}
	}, s.group, func() {
		out := v.param("a")
		s.acc[0].store(at(out, 0))
		v.ADDQ(operand.U8(8), v.file.argument("a"))
		out = v.param("sums")
		s.acc[1].store(at(out, 0))
		s.acc[2].store(at(out, 8))
		v.ADDQ(operand.U8(16), v.file.argument("sums"))
		s.peak.write(v.param("peaks"))
		v.ADDQ(operand.U8(2*v.size), v.file.argument("peaks"))
	})
	for _, f := range s.aside {
		f()
	}
}

// group adds a group.
func (s *softTargetSums) group() {
	for i := range 4 {
		s.prefetch(s.inRow(s.x, i*s.regs()), 0)
		s.prefetch(s.inRow(s.t, i*s.regs()), 0)
	}
	if s.wide() {
		y := s.newRegs(4)
		below := s.asRegister(s.low)
		for i, r := range y {
			s.atLeast(below, s.inRow(s.x, i), r)
		}
		p, scale := s.e.evaluate(y)
		s.half(&half{}, p, operands(scale))
		return
	}
	p, scale := s.line.powersOf(0, s.reduced(1, s.off))
	s.half(&half{}, p, scale)
	// After the last whole group the same is reduced again.
	next := s.GP64()
	s.LEAQ(at(s.off, s.groupSize*s.size), next)
	s.CMPQ(s.left, operand.U8(s.groupSize))
	s.CMOVQLT(s.off, next)
	p, scale = s.line.powersOf(1, s.reduced(0, next))
	s.half(&half{number: 1}, p, scale)
}

// reduced returns the steps that reduce the arguments of a half of the group at off.
func (s *softTargetSums) reduced(number int, off gpreg) []func() {
	return s.line.reduced(number, func(i int) (_, magic op) { return s.element(s.x, off, 2*i+number), s.e.magic })
}

// setMagic sets the magic number, NaN where scores are above the range or NaN.
func (s *softTargetSums) setMagic(d op) {
	magic, _, high := pivot0(s.elem)
	r, above := s.asNew(s.top), s.newMask()
	s.compare(notLessOrEqual, r, s.constant(high), above)
	s.move(s.constant(magic), r)
	if s.wide() {
		s.either(s.VMOVUPS, s.VMOVUPD, s.inRegister(s.constant(math.NaN())), above, r)
	} else {
		s.or(r, above, r)
	}
	s.move(r, d)
}

// half adds a register of each of the four virtual vectors, of which the exponentials are
// products of p and scale.
func (s *softTargetSums) half(h *half, p []vreg, scale []op) {
	in := func(base gpreg) func(i int) operand.Mem {
		return func(i int) operand.Mem { return s.inRow(base, i*s.regs()+h.number) }
	}
	x, t, w := in(s.x), in(s.t), in(s.w)
	for i, r := range p {
		s.mul(r, scale[i], r)
	}
	label := []vreg{s.inRegister(t(0)), s.inRegister(t(1)), s.inRegister(t(2)), s.inRegister(t(3))}
	product, least := s.products(s.asRegister(s.top), x, label)
	s.most.take(label...)
	s.keepPowers(func() {
		for i, r := range p {
			s.move(r, w(i))
		}
	})

	there, joined := s.newLabel("peak"), s.newLabel("joined")
	s.jumpIfZero(least, there)
	labels := label[0]
	s.add(labels, label[1], labels)
	s.add(label[2], label[3], label[2])
	s.add(labels, label[2], labels)
	s.Label(joined)
	s.aside = append(s.aside, func() {
		s.Label(there)
		s.outside(p, labels, x, t)
		s.JMP(operand.LabelRef(joined))
	})
	s.add(p[0], p[1], p[0])
	s.add(p[2], p[3], p[2])
	s.add(p[0], p[2], p[0])
	for i, r := range []vreg{p[0], product, labels} {
		s.acc[i].take(h, r)
	}
}

// atLeast is d = x, at least low, a negative number. Of float32 it is by bits: those of
// negative numbers are in the order of their distance from 0, and above those of the others.
// What it is for NaN is open.
func (s *softTargetSums) atLeast(low, x, d op) {
	if s.double() {
		s.max(low, x, d)
	} else {
		s.VPMINUD(x, low, d)
	}
}

// products returns the sum of the products of four registers, and the least distance from the
// highest score of every lane.
func (s *softTargetSums) products(top vreg, x func(i int) operand.Mem, t []vreg) (product, least vreg) {
	for i := range 4 {
		d := s.reg()
		s.sub(top, x(i), d)
		if i == 0 {
			product = s.reg()
			s.mul(d, t[i], product)
		} else {
			s.fmaAcc(d, t[i], product)
		}
		switch {
		case i == 0:
			least = d
		case s.double():
			s.min(least, d, least)
		default:
			s.VPMINUD(d, least, least)
		}
	}
	return product, least
}

// jumpIfZero jumps where the least distance is 0, that of the peak.
func (s *softTargetSums) jumpIfZero(least vreg, label string) {
	zero, k := s.reg(), s.newMask()
	s.zero(zero)
	s.compare(equal, least, zero, k)
	s.jumpIfAny(k, label)
}

// outside takes in the elements of the peak: it clears their exponentials and sets labels
// to the sum of the others'.
func (s *softTargetSums) outside(powers []vreg, labels vreg, x, t func(i int) operand.Mem) {
	top := s.asRegister(s.top)
	var pair vreg
	for i, p := range powers {
		others := s.peak.split(top, x(i), t(i))
		r := labels
		if i > 0 {
			r = s.reg()
		}
		if s.wide() {
			s.keep(others, p, p)
			s.load(others, t(i), r)
		} else {
			s.andNot(others, p, p)
			s.andNot(others, t(i), r)
		}
		switch i {
		case 1:
			s.add(labels, r, labels)
		case 2:
			pair = r
		case 3:
			s.add(pair, r, pair)
			s.add(labels, pair, labels)
		}
	}
}

// keepPowers emits the stores of exponentials, if they are wanted.
func (s *softTargetSums) keepPowers(stores func()) {
	none := s.newLabel("none")
	s.TESTQ(s.w, s.w)
	s.JZ(operand.LabelRef(none))
	stores()
	s.Label(none)
}

// asNew returns a new register with a.
func (v *vec) asNew(a op) vreg {
	r := v.reg()
	v.move(a, r)
	return r
}

// A peak is the label and the number of the elements with a row's highest score: of several
// the bits of the labels together. On AVX2 both are on the stack, and the number is an
// integer.
type peak struct {
	*vec
	label, count op
	one          op
}

func newPeak(v *vec) *peak { return &peak{v, v.place(), v.place(), v.held(1)} }

func (p *peak) clear() {
	zero := p.reg()
	p.zero(zero)
	p.move(zero, p.label)
	p.move(zero, p.count)
}

// split takes in the elements whose score at x is top, and returns the mask of the others;
// on AVX2 that of the peak's.
func (p *peak) split(top vreg, x, label op) (others mask) {
	some := p.newMask()
	p.compare(equal, top, x, some)
	if p.wide() {
		others = p.newMask()
		p.compare(notEqual, top, x, others)
		p.either(p.VORPS, p.VORPD, label, p.label, some, p.label)
		p.either(p.VADDPS, p.VADDPD, p.one, p.count, some, p.count)
		return others
	}
	r := p.reg()
	p.and(some, label, r)
	p.or(r, p.label, r)
	p.move(r, p.label)
	p.move(p.count, r)
	p.either(p.VPSUBD, p.VPSUBQ, some, r, r) // all ones are -1
	p.move(r, p.count)
	return some
}

// write writes the label, then the number.
func (p *peak) write(out gpreg) {
	label, count := p.asNew(p.label), p.asNew(p.count)
	if !p.wide() {
		// The integer is the low bits of itself plus 2^23, or 2^52.
		unit := p.inRegister(p.constant(p.pick(0x1p23, 0x1p52)))
		p.or(count, unit, count)
		p.sub(count, unit, count)
	}
	p.reduce(label, p.or)
	p.storeLow(label, at(out, 0))
	p.reduce(count, p.add)
	p.storeLow(count, at(out, p.size))
}

// softTargetScale emits gradients of softmax cross-entropy with soft labels.
func softTargetScale(v *vec) {
	dst, dstStride := v.param("dst"), v.stride("dstStride")
	w, wStride := v.param("w"), v.stride("wStride")
	t, tStride := v.param("t"), v.stride("tStride")
	off := v.GP64() // of the row's factors
	v.XORQ(off, off)
	names := []string{"f", "scale", "most", "peak"}
	var factors []vreg
	for range names {
		factors = append(factors, v.reg())
	}
	l, least := newRowLoop(v), newLeastBits(v)
	l.last = least.report
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
			least.take(label)
			v.mul(e, factors[0], g)
			v.either(v.VFNMADD231PS, v.VFNMADD231PD, label, factors[1], g)
			k, d := v.newMask(), v.reg()
			v.compare(greaterOrEqual, e, factors[2], k)
			v.choose(k, factors[3], g, d)
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
	w.optional = true
	v.accumulatorBytes = 3 * 128
	l := newNeonLoop(v, 4, x, t, w)
	l.halves(16)
	l.accumulators()
	l.allWhole = true
	v.loadConstants()
	magic, low, high := v.naturalRange()
	v.load(v.constant(v.pick(coef.ScaleLow32, coef.ScaleLow64)), low)
	always := magic
	magic = v.reg()
	x.fill, t.fill = low, v.cleared(1)[0]
	e := newNeonExponential(v, magic)
	top, label, count := v.reg(), v.reg(), v.reg()
	most := newNeonMostBits(v)
	var acc [3]*neonAccumulator
	for i := range acc {
		acc[i] = newNeonStackAccumulator(v, l.acc.offset(128*i))
	}

	l.run(func() {
		v.broadcasts(tops, top)
		v.op("ADD", imm(v.size), tops)
		v.atLeast(high, top, magic)
		v.load(v.constant(math.NaN()), label)
		v.choose(magic, always, label)
		v.zero(label)
		v.zero(count)
		for _, a := range acc {
			a.clear()
		}
	}, func(turn neonTurn) {
		var trees [2]laneTree[*vecReg] // of exponentials and labels
		var products *vecReg
		for all := turn.numbers(); len(all) > 0; all = all[2:] {
			if all[0] < neonRegs { // the first of its lanes
				for i := range trees {
					trees[i] = laneTree[*vecReg]{join: func(x, y *vecReg) { v.add(x, y, x); v.free(y) }}
				}
				products = nil
			}
			var y []*vecReg
			for _, number := range all[:2] {
				r := v.inRegister(x.place(number))
				v.max(low, r, r)
				y = append(y, r)
			}
			p, s := e.evaluate(y)
			for i := range p {
				v.mul(p[i], s[i], p[i])
				v.free(s[i])
			}
			// The rest of a row has its exponentials where its scores were.
			var peaks, distances []*vecReg
			for _, number := range all[:2] {
				k, d := v.inRegister(x.place(number)), v.reg()
				v.sub(top, k, d)
				v.VFCMEQ(v.lanes(t.fill), v.lanes(d), v.lanes(k))
				peaks, distances = append(peaks, k), append(distances, d)
			}
			none := v.newLabel("none")
			v.op("CBZ", w.base, none)
			for i, number := range all[:2] {
				v.store(p[i], w.place(number))
			}
			v.label(none)
			for i, number := range all[:2] {
				k, d, r := peaks[i], distances[i], v.inRegister(t.place(number))
				most.take(r)
				if products == nil {
					v.mul(d, r, d)
					products = d
				} else {
					v.fmaAcc(d, r, products)
					v.free(d)
				}
				v.op("VSUB", v.lanes(k), v.lanes(count), v.lanes(count)) // all ones are -1
				v.keepOut(k, p[i])
				v.and(r, k, k)
				v.or(k, label, label)
				v.xor(r, k, r)
				v.free(k)
				trees[0].push(p[i])
				trees[1].push(r)
			}
			if h := all[1]; h >= (turn.vectors-1)*neonRegs {
				h %= neonRegs
				acc[0].take(h, trees[0].done())
				acc[1].take(h, products)
				acc[2].take(h, trees[1].done())
			}
		}
	}, func() {
		acc[0].store(a)
		acc[1].store(sums)
		acc[2].store(sums)
		v.scope(func() {
			// The integer is the low bits of itself plus 2^23, or 2^52.
			unit := v.inRegister(v.constant(v.pick(0x1p23, 0x1p52)))
			number := v.reg()
			v.or(count, unit, number)
			v.sub(number, unit, number)
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
			fold(label, v.or)
			fold(number, v.add)
		})
		most.report()
	})
}

// neonSoftTargetScale emits softTargetScale.
func neonSoftTargetScale(v *neonVec) {
	dst, w, t := v.output("dst", "dstStride"), v.input("w", "wStride"), v.input("t", "tStride")
	places := []genReg{v.param("f"), v.param("scale"), v.param("most"), v.param("peak")}
	factors, least := v.regs(len(places)), newNeonLeastBits(v)
	l := newNeonLoop(v, 2, dst, w, t)
	t.fill = v.cleared(1)[0]
	l.run(func() {
		for i, p := range places {
			v.broadcasts(p, factors[i])
			v.op("ADD", imm(v.size), p)
		}
	}, func(turn neonTurn) {
		a, b := l.loadTurn(w, turn), l.loadTurn(t, turn)
		for i := range a {
			least.take(b[i])
			d := v.reg()
			v.mul(a[i], factors[0], d)
			v.fmaSub(b[i], factors[1], d)
			v.atLeast(a[i], factors[2], b[i])
			v.choose(b[i], factors[3], d)
			v.free(d)
		}
		l.storeTurn(dst, turn, b)
		v.free(a...)
	}, least.report)
}
