package gen

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
)

// A neonBCE emits the kernel with weights, as a bce does. Two registers go through the
// exponential together; the accumulators lie on the stack.
type neonBCE struct {
	*neonLoop

	x, t, dst, out       *stream // out: the terms
	negWeight, posWeight *stream
	pos, either          *neonSide

	low            *vecReg
	factor, hi, lo *vecReg // of the row
	e              *neonExponential
	log            *neonLogarithms // float64
	sum            *neonAccumulator
}

// A neonBCETerm is one register of elements, y = x - s0.
type neonBCETerm struct {
	number int
	down   *vecReg // y < 0
	m      *vecReg // -|y|, complete
	keep   *vecReg // where e^-|y| is not 0
}

func emitNeonWeightedBCE(v *neonVec) {
	b := &neonBCE{x: v.input("x", "stride"), t: v.input("t", "tStride"), dst: v.output("dst", "dstStride")}
	b.t.optional, b.dst.optional = true, true
	b.negWeight, b.posWeight, b.out = v.remote("negWeight"), v.remote("posWeight"), v.padded("terms", "")
	l := newNeonLoop(v, 4, b.x, b.t, b.dst, b.negWeight, b.posWeight, b.out)
	b.neonLoop = l
	l.halves(16)
	l.accumulators()
	l.allWhole = true
	l.withSides(false)
	b.pos, b.either = l.sides[1], l.eitherSide()
	b.sum = newNeonStackAccumulator(v, l.acc)
	params := v.regs(3)
	b.factor, b.hi, b.lo = params[0], params[1], params[2]
	v.loadConstants()
	magic, low, high := v.naturalRange()
	v.free(high)
	b.low = low
	b.e = newNeonExponential(v, magic)
	if v.double() {
		b.log = newNeonLogarithms(v, false, false)
	}
	l.run(func() {
		b.sum.clear()
		v.inMemory("p", func(p genReg) {
			v.broadcasts(p, params...)
			v.op("ADD", imm(3*v.size), p)
		})
	}, b.terms, func() { v.inMemory("sum", func(sum genReg) { b.sum.store(sum) }) })
}

// inMemory emits what moves an argument on that stays in memory: there are few registers.
func (v *neonVec) inMemory(argument string, move func(r genReg)) {
	r := v.param(argument)
	move(r)
	v.op("MOVD", r, v.neonFile.argument(argument))
	v.release(r)
}

// terms adds the elements of a half of a turn, and stores the gradient.
func (b *neonBCE) terms(turn neonTurn) {
	sums := &laneTree[*vecReg]{}
	for numbers := turn.numbers(); len(numbers) > 0; numbers = numbers[2:] {
		var two [2]neonBCETerm
		y, short := b.differences(numbers[:2])
		for i, number := range numbers[:2] {
			two[i] = b.argument(number, y[i], short[i])
		}
		p, s := b.e.evaluateShifted(y, short)
		for i, t := range two {
			b.mul(p[i], s[i], p[i])
			b.and(p[i], t.keep, p[i])
			b.free(s[i], t.keep)
		}
		for i, m := range b.weigh(two, p) {
			number := two[i].number
			if number < neonRegs { // the first of its lanes
				sums = &laneTree[*vecReg]{join: b.addTo}
			}
			sums.push(m)
			if number/neonRegs == turn.vectors-1 {
				b.sum.take(number%neonRegs, sums.done())
			}
		}
	}
}

// differences returns y = x - s0 of two registers, and what that is short of.
func (b *neonBCE) differences(numbers []int) (y, short []*vecReg) {
	b.comment("y = x - s0")
	for _, number := range numbers {
		y = append(y, b.inRegister(b.x.place(number)))
	}
	short = b.cleared(2)
	plain, shifted := b.newLabel("plain"), b.param("shifted")
	b.op("CBZ", shifted, plain)
	b.release(shifted)
	b.scope(func() {
		d, u := b.reg(), b.reg()
		for i, x := range y {
			t := short[i]
			b.sub(x, b.hi, d)
			b.sub(d, x, t)
			b.sub(d, t, u)
			b.sub(x, u, u)
			b.add(t, b.hi, t)
			b.sub(u, t, u)
			b.sub(u, b.lo, short[i])
			b.copy(d, x)
		}
	})
	b.neonVec.label(plain)
	return y, short
}

// argument returns a term; y becomes -|y|, and short what that is short of.
func (b *neonBCE) argument(number int, y, short *vecReg) neonBCETerm {
	b.comment("m = -|y|")
	t := neonBCETerm{number: number, down: b.reg(), keep: b.part(number), m: b.reg()}
	test := b.cleared(1)[0]
	b.above(test, y, t.down)
	b.load(b.constant(math.Copysign(0, -1)), test)
	b.or(y, test, y)
	b.keepOut(t.down, test)
	b.xor(short, test, short)
	b.add(y, short, t.m)
	b.above(b.low, y, test)
	b.keepOut(test, t.keep)
	b.free(test)
	return t
}

// part returns where elements take part.
func (b *neonBCE) part(number int) *vecReg {
	part := b.laneTest(number)
	b.either.selected(number, part, part)
	return part
}

// weigh returns two terms, whose exponentials are e, and stores what is wanted of them and
// their derivatives.
func (b *neonBCE) weigh(two [2]neonBCETerm, e []*vecReg) []*vecReg {
	var either, choice [2]*vecReg
	one := b.inRegister(b.constant(1))
	for i, t := range two {
		either[i], choice[i] = b.weights(t, one)
	}
	none := b.newLabel("none")
	b.op("CBZ", b.dst.base, none)
	minus := b.inRegister(b.constant(math.Copysign(0, -1)))
	for i, t := range two {
		q, f, g := b.reg(), b.reg(), b.reg()
		b.add(e[i], one, q)
		b.div(e[i], q, q)
		b.mul(either[i], b.factor, f)
		b.mul(choice[i], b.factor, g)
		b.xor(g, minus, g)
		b.fmaAcc(f, q, g)
		b.VBIC(t.down.b16(), minus.b16(), f.b16())
		b.xor(g, f, g)
		part := b.part(t.number)
		b.and(g, part, g)
		b.store(g, b.dst.place(t.number))
		b.free(q, f, g, part)
	}
	b.free(minus)
	b.label(none)
	b.free(one)
	for i, t := range two {
		b.mul(choice[i], t.m, choice[i])
		b.free(t.down, t.m)
	}
	var l []*vecReg
	if b.double() {
		l = b.log.log1p(e)
	} else {
		l = []*vecReg{b.log1pUnit(e[0]), b.log1pUnit(e[1])}
	}
	for i, t := range two {
		b.mul(l[i], either[i], l[i])
		b.sub(l[i], choice[i], l[i])
		part := b.part(t.number)
		b.and(l[i], part, l[i])
		b.free(either[i], choice[i], part)
	}
	without := b.newLabel("without")
	b.op("CBZ", b.out.base, without)
	for i, t := range two {
		b.store(l[i], b.out.place(t.number))
	}
	b.label(without)
	return l
}

// weights returns the weights of a term's logarithm and of |y|.
func (b *neonBCE) weights(t neonBCETerm, one *vecReg) (either, choice *vecReg) {
	label := b.laneTest(t.number)
	b.pos.selected(t.number, label, label)
	b.and(label, one, label)
	hard := b.newLabel("hard")
	b.op("CBZ", b.t.base, hard)
	b.load(b.t.place(t.number), label)
	b.neonVec.label(hard)
	either, choice = b.reg(), b.inRegister(b.posWeight.place(t.number))
	weight := b.inRegister(b.negWeight.place(t.number))
	b.copy(weight, either)
	b.fmaSub(label, weight, either)
	b.free(weight)
	b.mul(choice, label, label)
	b.copy(t.down, choice)
	b.choose(choice, label, either)
	b.add(either, label, either)
	b.free(label)
	return either, choice
}

// difference returns y = x - hi, and what that and lo leave out. It frees x.
func (v *neonVec) difference(x, hi, lo *vecReg) (y, short *vecReg) {
	y, t, u := v.reg(), v.reg(), v.reg()
	v.sub(x, hi, y)
	v.sub(y, x, t)
	v.sub(y, t, u)
	v.sub(x, u, u)
	v.add(t, hi, t)
	v.sub(u, t, u)
	v.sub(u, lo, u)
	v.free(x, t)
	return y, u
}

// log1pUnit returns log(1+e), 0 ≤ e ≤ 1, in float32, as that of bce does. It
// frees e.
func (b *neonBCE) log1pUnit(e *vecReg) *vecReg {
	s, z := b.reg(), b.reg()
	constant := func(x float64, f func(r *vecReg)) { b.with(b.place(x, false), f) }
	constant(2, func(two *vecReg) { b.add(e, two, s) })
	b.div(e, s, s)
	b.mul(s, s, z)
	c := coefficients(coef.Log1pUnit32[:])
	r := b.inRegister(b.constant(c[len(c)-1]))
	for i := len(c) - 2; i >= 0; i-- {
		x := b.inRegister(b.constant(c[i]))
		b.fmaAcc(r, z, x)
		b.free(r)
		r = x
	}
	b.mul(z, s, z)
	b.add(s, s, s)
	b.fmaAcc(r, z, s)
	b.free(e, r, z)
	return s
}
