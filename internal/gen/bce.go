package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// A bce emits binary cross-entropy with weights and thresholds, of hard labels or, where t
// is not nil, of soft ones. Elements go through it as in selectSums, by groups of four
// virtual vectors; what is left at the end of a row is a whole group of which the bits tell
// what takes part. The gradient and the terms are left out at run time.
type bce struct {
	*rowLoop
	sides *sides

	x, t, dst, terms     gpreg
	negWeight, posWeight gpreg

	low, sign, one op
	factor, hi, lo op          // of the row
	shifted        operand.Mem // whether there are hi and lo
	e              *exponential
	log            *logarithms // float64
	sum            *accumulator
}

// A bceTerm is one register of elements, y = x - s0.
type bceTerm struct {
	number   int
	label    vreg // t
	up, part mask // y ≥ 0; the element takes part
	keep     mask // e^-|y| is not 0
	a, short vreg // -|y|, and what that is short of
	m        vreg // -|y|, complete
}

func emitWeightedBCE(v *vec) {
	kind := withBits
	if !v.wide() {
		kind = inBuffer
		v.Attributes(0) // the frame is too large for NOSPLIT
	}
	b := &bce{rowLoop: newWholeLoop(v, kind, 4*v.lanes)}
	b.halved = true
	b.x, b.t, b.dst = b.input("x", "stride"), b.optionalInput("t", "tStride"), b.output("dst", "dstStride", true)
	b.negWeight, b.posWeight, b.terms = v.param("negWeight"), v.param("posWeight"), v.param("terms")
	b.sides = &sides{vec: v, pos: v.param("pos"), neg: v.param("neg"), at: v.GP64()}
	b.sides.laneTests()

	var magic op
	magic, b.low, _ = v.naturalRange()
	b.sign, b.one = v.held(math.Copysign(0, -1)), v.held(1)
	b.e = newExponential(v, magic, false)
	b.sum = newAccumulator(v)
	if v.double() {
		b.log = newLogarithms(v)
	}
	b.factor, b.hi, b.lo = v.place(), v.place(), v.place()
	b.shifted = v.argument("shifted")

	b.runWhole(func() {
		b.sum.clear()
		p := b.param("p")
		for i, d := range []op{b.factor, b.hi, b.lo} {
			b.setKept(at(p, i*b.size), d)
		}
		b.ADDQ(operand.U8(3*b.size), b.file.argument("p"))
	}, b.group, func() {
		b.sides.nextRow()
		sum := b.param("sum")
		b.sum.store(at(sum, 0))
		b.ADDQ(operand.U8(8), b.file.argument("sum"))
	})
}

// place returns a place for a number of the row: on AVX2 in memory.
func (v *vec) place() op {
	if v.wide() {
		return v.reg()
	}
	return v.AllocLocal(v.bytes)
}

// group adds a group.
func (b *bce) group() {
	for i := range 4 {
		b.prefetch(b.inRow(b.x, i*b.regs()), 0)
	}
	b.halves(b.off, true, b.half)
	b.sum.endGroup()
}

// half adds a register of each of the four virtual vectors: with a = (1-t)·w of the weight
// of a negative, b = t·w of that of a positive, c = a where y ≥ 0, else b, and e = e^-|y|,
//
//	m = (a+b)·log1p(e) + c·|y|,  g = ±(c - (a+b)·e/(1+e))·factor
func (b *bce) half(h *half) {
	b.sides.half(h, b.off)
	sum := b.two(0)
	// The end of a row may have nothing in the other two.
	left, short := b.param("n"), b.newLabel("short")
	b.SHLQ(operand.U8(log2(b.size)), left)
	b.SUBQ(b.off, left)
	b.CMPQ(left, operand.U32(128))
	b.JLE(operand.LabelRef(short))
	b.add(sum, b.two(2), sum)
	b.Label(short)
	h.setOffset(b.vec, b.off)
	b.sum.take(h, sum)
}

// two returns the sum of the terms of two of the virtual vectors.
func (b *bce) two(first int) vreg {
	step := 1 // there are few registers
	if b.wide() {
		step = 2
	}
	var sums []vreg
	for ; len(sums) < 2; first += step {
		var all []bceTerm
		var y, short []vreg
		for i := first; i < first+step; i++ {
			t := b.argument(i * b.regs()) // in a loop of halves registers are numbered as those of the first
			all, y, short = append(all, t), append(y, t.a), append(short, t.short)
		}
		p, s := b.e.evaluateShifted(y, short)
		for i, t := range all {
			b.mulKeep(t.keep, p[i], s[i], p[i])
			sums = append(sums, b.weigh(t, p[i]))
		}
	}
	b.add(sums[0], sums[1], sums[0])
	return sums[0]
}

// argument returns a term.
func (b *bce) argument(number int) bceTerm {
	t := bceTerm{number: number, label: b.reg(), up: b.newMask(), m: b.reg(), keep: b.newMask()}
	x, mem := b.reg(), b.inRow(b.x, number)
	pos := b.sides.mask(b.sides.pos, number)
	t.part = b.union(b.sides.mask(b.sides.neg, number), pos)
	if b.wide() {
		b.keep(pos, b.one, t.label)
	} else {
		b.and(pos, b.one, t.label)
	}
	hard := b.newLabel("hard")
	b.TESTQ(b.t, b.t)
	b.JZ(operand.LabelRef(hard))
	b.load(b.inPlace(t.part), b.inRow(b.t, number), t.label)
	b.Label(hard)
	if b.wide() {
		b.load(t.part, mem, x)
	} else {
		b.move(mem, x)
	}
	t.a, t.short = x, b.reg()
	b.zero(t.short)
	plain := b.newLabel("plain")
	b.CMPQ(b.shifted, operand.U8(0))
	b.JEQ(operand.LabelRef(plain))
	y, short := b.difference(x, b.hi, b.lo)
	b.move(y, t.a)
	b.move(short, t.short)
	b.Label(plain)
	zero := b.reg()
	b.zero(zero)
	b.compare(notLess, t.a, zero, t.up)
	b.flip(t.up, t.short)
	b.or(t.a, b.sign, t.a)
	b.add(t.a, t.short, t.m)
	if b.wide() {
		b.either(b.VCMPPS, b.VCMPPD, operand.U8(notLess), b.low, t.a, t.part, t.keep)
	} else {
		b.compare(notLess, t.a, b.low, t.keep)
		b.and(t.keep, t.part, t.keep)
	}
	return t
}

// weigh returns the term, whose exponential is e, and stores what is wanted of it and its
// derivative.
func (b *bce) weigh(t bceTerm, e vreg) vreg {
	label, either, choice := t.label, b.reg(), b.reg()
	weight := b.inRow(b.negWeight, t.number)
	b.move(weight, either)
	b.either(b.VFNMADD231PS, b.VFNMADD231PD, weight, label, either)
	b.mul(label, b.inRow(b.posWeight, t.number), label)
	b.choose(t.up, either, label, choice)
	b.add(either, label, either)

	none := b.newLabel("none")
	b.TESTQ(b.dst, b.dst)
	b.JZ(operand.LabelRef(none))
	d, q, g := b.reg(), b.reg(), b.reg()
	b.add(e, b.one, d)
	b.either(b.VDIVPS, b.VDIVPD, d, e, q)
	b.mul(either, b.factor, d)
	b.mul(choice, b.factor, g)
	b.either(b.VFMSUB231PS, b.VFMSUB231PD, q, d, g)
	b.flip(t.up, g)
	b.keep(t.part, g, g)
	b.store(b.existing(t.number), g, b.inRow(b.dst, t.number))
	b.Label(none)

	var l vreg
	if b.double() {
		l, _ = b.log.log1p(e)
	} else {
		l = b.log1pUnit(e)
	}
	b.mul(l, either, l)
	b.mul(choice, t.m, choice)
	b.sub(l, choice, l)
	b.keep(t.part, l, l)
	without := b.newLabel("without")
	b.TESTQ(b.terms, b.terms)
	b.JZ(operand.LabelRef(without))
	b.move(l, b.inRow(b.terms, t.number))
	b.Label(without)
	return l
}

// inPlace returns the mask of what may be read in place: on AVX2 there is a buffer.
func (b *bce) inPlace(part mask) mask {
	if b.wide() {
		return part
	}
	return nil
}

// existing returns the mask of the elements that exist: on AVX2 there is a buffer.
func (b *bce) existing(number int) mask {
	if b.wide() {
		return b.sides.maskAt(b.exist, number)
	}
	return nil
}

// difference returns y = x - hi, and what that and lo leave out.
func (v *vec) difference(x vreg, hi, lo op) (y, short vreg) {
	y, t, u := v.reg(), v.reg(), v.reg()
	v.sub(x, hi, y)
	v.sub(y, x, t)
	v.sub(y, t, u)
	v.sub(x, u, u)
	v.add(t, hi, t)
	v.sub(u, t, u)
	v.sub(u, lo, u)
	return y, u
}

// log1pUnit returns log(1+e), 0 ≤ e ≤ 1, in float32:
//
//	s = e/(2+e);  z = s²;  log(1+e) = s·z·(c0 + c1·z + …) + 2s
func (b *bce) log1pUnit(e vreg) vreg {
	s, z, r := b.reg(), b.reg(), b.reg()
	b.add(e, b.constant(2), s)
	b.VDIVPS(s, e, s)
	b.mul(s, s, z)
	c := coefficients(coef.Log1pUnit32[:])
	b.move(b.constant(c[len(c)-1]), r)
	for i := len(c) - 2; i >= 0; i-- {
		b.fmaMul(z, b.constant(c[i]), r)
	}
	b.mul(z, s, z)
	b.add(s, s, s)
	b.fmaMul(z, s, r)
	return r
}
