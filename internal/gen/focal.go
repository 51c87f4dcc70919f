package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
)

// A focalKind is a form of the kernel: with thresholds and weights, or one that
// writes terms in place of their sum.
type focalKind struct{ weighted, terms bool }

// An x86Focal emits the kernel of focal binary cross-entropy. Registers go through
// the stages by four.
type x86Focal struct {
	*rowLoop
	focalKind
	focal     focal[vreg]
	sides     *sides
	x, dst    gpreg
	out       gpreg // of terms
	factor, f op
	kept      [4 * 3]operand.Mem // e, c and y of four registers; nowhere for what stays in registers
	factors   []operand.Mem      // of their derivatives
}

// emitFocal emits the kernel.
func emitFocal(v *vec, kind focalKind) {
	rest := withBits
	if !v.wide() {
		rest = inBuffer
	}
	f := &x86Focal{rowLoop: newWholeLoop(v, rest, 4*v.perReg()), focalKind: kind}
	f.x, f.dst = f.input("x", "stride"), f.output("dst", "dstStride", false)
	if f.terms {
		f.out = v.param("terms")
	}
	f.sides = &sides{vec: v, pos: v.param("pos"), neg: v.param("neg"), at: v.GP64()}
	f.sides.laneTests()
	f.f = v.kept(at(v.param("exponent"), 0))
	f.factor = v.kept(at(v.param("p"), 0))
	for range 4 {
		if !v.wide() && !v.double() { // else the frame is too large
			f.factors = append(f.factors, v.AllocLocal(v.bytes))
		}
	}
	for i := range f.kept {
		if !v.wide() || i%3 > 0 {
			f.kept[i] = v.AllocLocal(v.bytes)
		}
	}
	f.focal = focal[vreg]{arithmetic: newX86Arithmetic(v), elem: v.elem}
	f.focal.exponent = func() vreg { return v.inRegisterOf(f.f) }
	var sum *accumulator
	if !f.terms {
		sum = newPairSums(v, 1)[0]
	}
	f.runWhole(func() {
		v.setKept(at(v.param("p"), 0), f.factor)
		if sum != nil {
			sum.clear()
		}
	}, func() { f.four(sum) }, func() {
		words := f.sides.nextRow()
		v.SHLQ(operand.U8(3+log2(v.size)), words)
		v.ADDQ(words, f.file.argument("powers"))
		v.ADDQ(operand.U8(3*v.size), f.file.argument("p"))
		if sum != nil {
			out := v.param("sum")
			sum.store(at(out, 0))
			v.ADDQ(operand.U8(8), f.file.argument("sum"))
		}
	})
}

// four evaluates four registers of elements, stores the derivatives and adds or
// stores the terms.
func (f *x86Focal) four(sum *accumulator) {
	f.sides.group(f.off)
	var e, c, y, v, terms [4]vreg
	keep := func(i, j int, r *vreg) {
		if f.kept[3*i+j].Base != nil {
			f.move(*r, f.kept[3*i+j])
		}
	}
	again := func(i, j int, r vreg) vreg {
		if f.kept[3*i+j].Base == nil {
			return r
		}
		return f.inRegister(f.kept[3*i+j])
	}
	for i := range e {
		var down vreg
		var short *vreg
		y[i], down, short = f.argument(i)
		keep(i, 2, &y[i])
		e[i], c[i] = f.focal.exponential(down, short)
		keep(i, 0, &e[i])
		keep(i, 1, &c[i])
	}
	for i := range e {
		// On AVX2 it waits where the derivative will be.
		if v[i] = f.focal.logarithm(again(i, 0, e[i])); !f.wide() {
			f.move(v[i], f.inRow(f.dst, i))
		}
	}
	for i := range e {
		if !f.wide() {
			v[i] = f.inRegister(f.inRow(f.dst, i))
		}
		f.focal.powers = func(d vreg) { f.move(f.inRow(f.param("powers"), i), d) }
		term, g := f.focal.element(again(i, 2, y[i]), again(i, 0, e[i]), again(i, 1, c[i]), v[i])
		f.finish(i, term, g)
		if f.terms {
			f.move(term, f.inRow(f.out, i))
			continue
		}
		// Registers of the same lanes in the two virtual vectors of a group.
		if terms[i] = term; i%(2*f.regs()) >= f.regs() {
			other := terms[i-f.regs()]
			f.add(other, term, other)
			sum.take(&half{number: i % f.regs()}, other)
		}
	}
}

// argument returns y of register i, -|y| and, with thresholds, what it is short of.
func (f *x86Focal) argument(i int) (y, down vreg, short *vreg) {
	f.prefetch(f.inRow(f.x, i), i)
	pos := f.sides.mask(f.sides.pos, i)
	part := f.union(f.sides.mask(f.sides.neg, i), pos)
	if f.factors != nil {
		f.move(f.signedFactor(i, pos, part), f.factors[i])
	}
	if !f.weighted {
		y = f.partOf(part, f.inRow(f.x, i))
		f.flip(pos, y)
		return y, f.minusMagnitude(y), nil
	}
	y = f.reg()
	if f.wide() {
		f.load(part, f.inRow(f.x, i), y)
	} else {
		f.move(f.inRow(f.x, i), y)
	}
	y, down, s := f.sigmoidArgument(y, pos, part, f.param("p"))
	return y, down, &s
}

// minusMagnitude returns -|y|.
func (v *vec) minusMagnitude(y vreg) vreg {
	d := v.reg()
	v.or(y, v.constant(math.Copysign(0, -1)), d)
	return d
}

// partOf returns x in the lanes of part, else the least number.
func (v *vec) partOf(part mask, x op) vreg {
	least := -math.MaxFloat64
	if !v.double() {
		least = -math.MaxFloat32
	}
	y := v.inRegister(v.constant(least))
	if v.wide() {
		v.either(v.VMOVUPS, v.VMOVUPD, x, part, y)
	} else {
		v.choose(part, x, y, y)
	}
	return y
}

// sigmoidArgument returns y = ±(x - threshold), its sign that of the side, -|y| and what
// this is short of, as kernel.focalArgument; x is overwritten. The threshold is at p.
func (v *vec) sigmoidArgument(x vreg, pos, part mask, p gpreg) (y, down, short vreg) {
	hi, lo := v.reg(), v.reg()
	v.broadcast(at(p, v.size), hi)
	v.broadcast(at(p, 2*v.size), lo)
	y, short = v.difference(x, hi, lo)
	v.flip(pos, y)
	v.flip(pos, short)
	y = v.partOf(part, y)
	k, s := v.newMask(), v.reg()
	v.compare(greater, v.minusMagnitude(y), v.constant(v.scaleLow()), k)
	v.keep(k, short, short)
	v.add(y, short, s)
	v.sub(s, y, y)
	v.sub(short, y, short)
	v.keep(k, short, short)
	// That of -|y| has the other sign where y is up.
	v.andNot(s, v.constant(math.Copysign(0, -1)), y)
	v.xor(short, y, y)
	return s, v.minusMagnitude(s), y
}

// inRegisterOf is a itself, or what it holds in a new register.
func (v *vec) inRegisterOf(a op) vreg {
	if m, ok := a.(operand.Mem); ok {
		return v.inRegister(m)
	}
	return a.(vreg)
}

// signedFactor is the factor of the derivatives of register i, less where y = -x, and
// 0 where no part is taken.
func (f *x86Focal) signedFactor(i int, pos, part mask) vreg {
	factor := f.reg()
	f.move(f.factor, factor)
	if f.weighted {
		f.mul(factor, f.weight(i, pos), factor)
	}
	f.flip(pos, factor)
	f.keep(part, factor, factor)
	return factor
}

// finish multiplies the terms and the derivatives of register i by the factors and
// stores these. Where no part is taken the terms are 0.
func (f *x86Focal) finish(i int, term, g vreg) {
	if f.factors != nil {
		f.mul(g, f.factors[i], g)
	} else {
		pos := f.sides.mask(f.sides.pos, i)
		part := f.union(f.sides.mask(f.sides.neg, i), pos)
		f.mul(g, f.signedFactor(i, pos, part), g)
	}
	if f.weighted {
		f.mul(term, f.weight(i, f.sides.mask(f.sides.pos, i)), term)
	}
	if f.wide() {
		f.store(f.sides.maskAt(f.exist, i), g, f.inRow(f.dst, i))
	} else {
		f.move(g, f.inRow(f.dst, i))
	}
}

// weight returns the weights of the elements of register i.
func (f *x86Focal) weight(i int, pos mask) vreg {
	w, p := f.inRegister(f.inRow(f.param("negWeight"), i)), f.inRegister(f.inRow(f.param("posWeight"), i))
	f.choose(pos, p, w, w)
	return w
}

// sigmoidPowers emits the kernel, which takes two registers at a time.
func sigmoidPowers(v *vec) {
	h, x, p := v.param("h"), v.param("x"), v.param("p")
	s := &sides{vec: v, pos: v.param("pos"), neg: v.param("neg"), at: v.GP64()}
	s.laneTests()
	exponent := v.kept(at(v.param("f"), 0))
	a := newX86Arithmetic(v)
	low := v.kept(at(v.param("f"), v.size))
	f := focal[vreg]{
		arithmetic: a, elem: v.elem,
		exponent: func() vreg { return v.inRegisterOf(exponent) }, exponentLow: func() vreg { return v.inRegisterOf(low) },
	}
	l := newWholeLoop(v, padded, 2*v.perReg())
	l.step(v.stride("stride"), x)
	l.runWhole(func() {}, func() {
		s.elements(l.off)
		for i := range 2 {
			pos := s.mask(s.pos, i)
			part := v.union(s.mask(s.neg, i), pos)
			y := v.reg()
			v.load(part, l.inRow(x, i), y) // nothing beyond the row
			y, down, short := v.sigmoidArgument(y, pos, part, p)
			shortDown := v.reg()
			if k := a.signs(y); v.wide() {
				v.keep(k, short, shortDown)
			} else {
				a.blend(k, short, a.zeroed(), shortDown)
			}
			v.move(f.sigmoidPower(y, down, short, shortDown), l.inRow(h, i))
		}
	}, func() {
		words := s.nextRow()
		v.SHLQ(operand.U8(3+log2(v.size)), words)
		v.ADDQ(words, h)
		v.ADDQ(operand.U8(3*v.size), p)
	})
}
