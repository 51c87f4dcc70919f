package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// A softTargetSums emits what softmax cross-entropy with soft labels takes of rows, by groups
// of four virtual vectors. The elements with that score
// are the peak: they have an exponential, but it is in no sum, and neither are their labels.
// Few groups have one: what it takes lies behind the loop.
//
// Arguments are reduced while those before them are in the polynomial.
type softTargetSums struct {
	*softRows
	w    gpreg
	top  gpreg // the place of the row's highest score
	low  op
	e    *exponential
	line *narrowPipeline
	acc  []*accumulator // of exponentials, products and labels
	most *labelBits
}

func softTargets(v *vec) {
	v.Attributes(0) // the frame is too large for NOSPLIT
	last := v.newLabel("last")
	s := &softTargetSums{most: newMostBits(v, v.place())}
	v.CMPQ(v.argument("rows"), operand.U8(0))
	v.JEQ(operand.LabelRef(last))
	s.w = v.param("w")
	sums := newRowSums(v, 3)
	s.softRows = newSoftRows(v, "wStride")
	s.low = v.held(v.pick(coef.ScaleLow32, coef.ScaleLow64))
	s.fill = s.low
	s.top = v.param("top")
	s.e = newExponential(v, v.reg(), !v.double())
	s.e.minusLn2Hi = s.asRegister(s.e.minusLn2Hi)
	for range 3 {
		s.acc = append(s.acc, newAccumulator(v))
	}
	s.begin = func() {
		r, out := v.asNew(s.highest), v.param("top")
		v.reduceMax(r)
		r = r.AsX().(vreg)
		v.either(v.VADDSS, v.VADDSD, v.constant(0), r, r) // -0 is 0
		v.storeLow(r, at(out, 0))
		v.ADDQ(operand.U8(v.size), v.argument("top"))
		s.setMagic(r)
	}
	sums.begin()
	v.move(s.rowTop(), s.highest)
	s.enter()

	row, group := v.newLabel("row"), v.newLabel("group")
	v.Label(row)
	for _, a := range s.acc {
		a.clear()
	}
	peaks := v.param("peaks")
	for i := 0; i < 2*v.size; i += 8 {
		v.MOVQ(operand.U32(0), at(peaks, i))
	}
	v.MOVQ(v.argument("n"), s.left)
	v.Label(group)
	s.takeGroup()
	v.ADDQ(operand.I32(256), s.w)
	v.SUBQ(operand.U8(s.group), s.left)
	v.JG(operand.LabelRef(group))
	for i, a := range s.acc {
		sums.put(i, 0, a.lanes())
	}
	v.ADDQ(operand.U8(2*v.size), v.argument("peaks"))
	v.ADDQ(operand.U8(v.size), s.top)
	v.ADDQ(s.skip[2], s.w)
	sums.next(1, v.argument("rows"))
	v.JL(operand.LabelRef(row))
	sums.write(v.argument("a"), v.argument("distance"), v.argument("others"))
	v.CMPQ(v.argument("rows"), operand.U8(0))
	v.JG(operand.LabelRef(row))
	v.Label(last)
	s.most.report()
	v.VZEROUPPER()
	v.RET()
	for _, f := range s.aside {
		f()
	}
}

// enter goes to the first group.
func (s *softTargetSums) enter() {
	s.softRows.enter()
	s.line = newNarrowPipeline(s.e, s.low, nil)
	s.line.atLeast = s.atLeast
	if s.alternates() {
		emit(s.reduced(0))
		return
	}
	s.line.twoAhead()
	for h := range s.regs() {
		emit(s.reduced(h))
	}
	s.line.swap()
}

// alternates reports whether arguments are reduced half a group ahead, not a whole one.
func (s *softTargetSums) alternates() bool { return s.double() && !s.wide() }

// takeGroup adds a group.
func (s *softTargetSums) takeGroup() {
	if s.alternates() {
		p, scale := s.line.powersOf(0, s.reduced(1))
		s.goOn()
		s.half(&half{}, p, scale)
		s.takeHighest()
		s.prepare()
		p, scale = s.line.powersOf(1, s.reduced(0))
		s.half(&half{number: 1}, p, scale)
		return
	}
	s.goOn()
	s.takeHighest()
	s.prepare()
	for h := range s.regs() {
		p, scale := s.line.powersOf(h, s.reduced(h))
		s.half(&half{number: h}, p, scale)
	}
	s.line.swap()
}

// reduced returns the steps that reduce the arguments of a half of the next group.
func (s *softTargetSums) reduced(number int) []func() {
	return s.line.reduced(number, func(i int) (_, magic op) {
		return at(s.next[0], (i*s.regs()+number)*s.bytes), s.e.magic
	})
}

// setMagic sets the magic number, NaN where top, of the row whose arguments are reduced next, is
// above the range or NaN: few are.
func (s *softTargetSums) setMagic(top vreg) {
	magic, _, high := pivot0(s.elem)
	beyond, set, limit := s.newLabel("beyond"), s.newLabel("set"), s.XMM()
	s.either(s.VMOVSS, s.VMOVSD, s.constant(high), limit)
	compare := s.VUCOMISS
	if s.double() {
		compare = s.VUCOMISD
	}
	compare(top, limit)
	s.move(s.constant(magic), s.e.magic)
	s.JCS(operand.LabelRef(beyond))
	s.Label(set)
	s.aside = append(s.aside, func() {
		s.Label(beyond)
		s.move(s.constant(math.NaN()), s.e.magic)
		s.JMP(operand.LabelRef(set))
	})
}

// rowTop returns the row's highest score in all lanes.
func (s *softTargetSums) rowTop() vreg {
	r := s.reg()
	s.broadcast(at(s.top, 0), r)
	return r
}

// half adds a register of each of the four virtual vectors, of which the exponentials are
// products of p and scale.
func (s *softTargetSums) half(h *half, p []vreg, scale []op) {
	place := func(base gpreg, i int) operand.Mem { return at(base, (i*s.regs()+h.number)*s.bytes) }
	var labels []vreg
	for i, r := range p {
		s.mul(r, scale[i], r)
		mem := place(s.this[1], i)
		labels = append(labels, s.inRegister(mem))
		s.prefetchBy(prefetchNear, mem, h.number)
	}
	product, least := s.products(func(i int) operand.Mem { return place(s.this[0], i) }, labels)
	s.most.take(labels...)
	s.write("w", s.w, h.number, s.regs(), p)

	there, joined := s.newLabel("peak"), s.newLabel("joined")
	s.jumpIfZero(least, there)
	s.groupSum(p)
	s.groupSum(labels)
	s.Label(joined)
	s.aside = append(s.aside, func() {
		s.Label(there)
		s.outside(h.number*s.perReg(), p, labels, func(i int) operand.Mem { return place(s.this[0], i) })
		s.JMP(operand.LabelRef(joined))
	})
	for i, r := range []vreg{p[0], product, labels[0]} { // the sums
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
func (s *softTargetSums) products(x func(i int) operand.Mem, t []vreg) (product, least vreg) {
	top := s.rowTop()
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
	k := s.newMask()
	if s.wide() && !s.double() {
		s.VPTESTNMD(least, least, k)
	} else {
		zero := s.reg()
		s.zero(zero)
		s.compare(equal, least, zero, k)
	}
	s.jumpIfAny(k, label)
}

// outside adds exponentials and labels but those of the peak's elements, of which there is one,
// and takes these in: the bits of their labels, and their number. The registers begin first
// elements behind the virtual vectors.
func (s *softTargetSums) outside(first int, powers, labels []vreg, x func(i int) operand.Mem) {
	top, all, theirs := s.rowTop(), s.GP64(), s.GP64()
	var others []mask
	lanes := uint64(0) // the bits of all
	for i := range powers {
		k, bits := s.newMask(), s.GP64()
		lanes |= (1<<s.perReg() - 1) << (i * s.lanes)
		s.compare(notEqual, top, x(i), k)
		s.signBits(k, bits)
		if s.wide() {
			others = append(others, k)
		} else {
			s.keep(k, powers[i], powers[i])
			s.keep(k, labels[i], labels[i])
		}
		if i == 0 {
			s.MOVQ(bits, all)
			continue
		}
		s.SHLQ(operand.U8(i*s.lanes), bits)
		s.ORQ(bits, all)
	}
	s.MOVQ(operand.U64(lanes), theirs)
	s.XORQ(theirs, all)
	s.sumOf(powers, others)
	s.sumOf(labels, others)
	again, peaks, i, label := s.newLabel("each"), s.param("peaks"), s.GP64(), s.GP64()
	s.Label(again)
	s.TZCNTQ(all, i)
	s.MOVQ(operand.Mem{Base: s.this[1], Index: i, Scale: uint8(s.size), Disp: first * s.size}, label)
	number, one := s.XMM(), s.constant(1)
	if s.double() {
		s.ORQ(label, at(peaks, 0))
		s.VMOVSD(at(peaks, 8), number)
		s.VADDSD(one, number, number)
	} else {
		s.ORL(label.As32(), at(peaks, 0))
		s.VMOVSS(at(peaks, 4), number)
		s.VADDSS(one, number, number)
	}
	s.storeLow(number, at(peaks, s.size))
	s.BLSRQ(all, all)
	s.JNZ(operand.LabelRef(again))
}

// sumOf is groupSum, on AVX-512 of the lanes of four masks.
func (s *softTargetSums) sumOf(x []vreg, k []mask) {
	if !s.wide() {
		s.groupSum(x)
		return
	}
	for i := 0; i < len(x); i += 2 {
		s.keep(k[i], x[i], x[i])
		s.either(s.VADDPS, s.VADDPD, x[i+1], x[i], k[i+1], x[i])
	}
	s.add(x[0], x[2], x[0])
}

// signBits moves the lanes of k to the bits of r.
func (v *vec) signBits(k mask, r gpreg) {
	switch {
	case v.wide():
		v.storeMask(k, r)
	case v.double():
		v.VMOVMSKPD(k, r.As32())
	default:
		v.VMOVMSKPS(k, r.As32())
	}
}

// storeMask is loadMask to a register of its own.
func (v *vec) storeMask(k mask, r gpreg) {
	if v.double() {
		v.KMOVB(k, r.As32())
	} else {
		v.KMOVW(k, r.As32())
	}
}

// asNew returns a new register with a.
func (v *vec) asNew(a op) vreg {
	r := v.reg()
	v.move(a, r)
	return r
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
			if r.mask == nil {
				v.prefetchBy(prefetchNear, l.inRow(w, r.reg), r.reg)
				v.prefetchBy(prefetchNear, l.inRow(t, r.reg), r.reg)
			}
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
	out := []genReg{v.param("a"), v.param("distance"), v.param("others")}
	peaks, tops := v.param("peaks"), v.param("top")
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
		v.highest(x.base, top)
		v.add(t.fill, top, top) // -0 is 0
		v.storeLow(top, tops)
		v.op("SUB", imm(v.size), tops)
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
		for i, a := range acc {
			a.store(out[i])
		}
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

// highest sets the lowest lane of top to the highest of the argument n elements at x.
func (v *neonVec) highest(x genReg, top *vecReg) {
	at, left := v.gp(), v.gp()
	v.op("MOVD", x, at)
	v.op("MOVD", v.argument("n"), left)
	v.load(v.constant(math.Inf(-1)), top)
	groups, rest, each, done := v.newLabel("groups"), v.newLabel("few"), v.newLabel("each"), v.newLabel("found")
	v.scope(func() {
		r := v.regs(4)
		v.label(groups)
		v.op("SUBS", imm(4*16/v.size), left)
		v.op("BLT", rest)
		for i, r := range r {
			v.load(address{at, 16 * i}, r)
		}
		v.op("ADD", imm(4*16), at)
		v.max(r[1], r[0], r[0])
		v.max(r[3], r[2], r[2])
		v.max(r[2], r[0], r[0])
		v.max(r[0], top, top)
		v.op("B", groups)
		v.label(rest)
		v.op("ADDS", imm(4*16/v.size), left)
		v.op("BEQ", done)
		v.label(each)
		v.broadcasts(at, r[0])
		v.op("ADD", imm(v.size), at)
		v.max(r[0], top, top)
		v.op("SUBS", imm(1), left)
		v.op("BNE", each)
	})
	v.label(done)
	if v.double() {
		v.VFMAXP(top.d2(), top)
	} else {
		v.VFMAXV(top.as("S4"), top)
	}
	v.release(at, left)
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
