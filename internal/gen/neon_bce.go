package gen

import (
	"math"
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
	sum            *neonAccumulator
}

// A neonBCETerm is one register of elements, y = x - s0.
type neonBCETerm struct {
	number int
	down   *vecReg // y < 0, or -0
	m      *vecReg // -|y|, complete
}

func emitNeonWeightedBCE(v *neonVec) {
	b := &neonBCE{x: v.input("x", "stride"), t: v.input("t", "tStride"), dst: v.output("dst", "dstStride")}
	b.t.optional, b.dst.optional = true, true
	b.negWeight, b.posWeight, b.out = v.remote("negWeight"), v.remote("posWeight"), v.padded("terms", "")
	l := newNeonLoop(v, 2, b.x, b.t, b.dst, b.negWeight, b.posWeight, b.out)
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
	bias, least, _ := zeroToInf(v.elem)
	b.low = v.inRegister(v.constant(least))
	b.e = newNeonExponential(v, v.inRegister(v.constant(bias)))
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
		for i := range two {
			b.mul(p[i], s[i], p[i])
			b.free(s[i])
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
	t := neonBCETerm{number: number, down: b.reg(), m: b.reg()}
	sign := b.inRegister(b.constant(math.Copysign(0, -1)))
	b.op("VCMTST", b.lanes(sign), b.lanes(y), b.lanes(t.down))
	b.or(y, sign, y)
	b.keepOut(t.down, sign)
	b.xor(short, sign, short)
	b.add(y, short, t.m)
	b.max(b.low, y, y)
	b.free(sign)
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
	var q [2]*vecReg
	for i := range two {
		q[i] = b.reg()
		b.add(e[i], one, q[i])
		b.div(e[i], q[i], q[i])
	}
	b.free(one)
	none := b.newLabel("none")
	b.op("CBZ", b.dst.base, none)
	minus := b.inRegister(b.constant(math.Copysign(0, -1)))
	for i, t := range two {
		f, g := b.reg(), b.reg()
		b.mul(either[i], b.factor, f)
		b.mul(choice[i], b.factor, g)
		b.fmaSub(f, q[i], g)
		b.and(t.down, minus, f)
		b.xor(g, f, g)
		part := b.part(t.number)
		b.and(g, part, g)
		b.store(g, b.dst.place(t.number))
		b.free(f, g, part)
	}
	b.free(minus)
	b.label(none)
	var l []*vecReg
	for i, t := range two {
		l = append(l, b.log1pUnit(e[i], q[i]))
		b.mul(l[i], either[i], l[i])
		b.fmaSub(choice[i], t.m, l[i])
		part := b.part(t.number)
		b.and(l[i], part, l[i])
		b.free(either[i], choice[i], part, t.down, t.m)
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

// log1pUnit returns log(1+e), 0 ≤ e ≤ 1, given q = e/(1+e), as kernel.log1pUnit does. It
// frees e.
func (b *neonBCE) log1pUnit(e, q *vecReg) *vecReg {
	z := b.reg()
	b.mul(e, q, z)
	b.add(e, q, e)
	c := hyperbolic(b.elem)
	k := b.inRegister(b.constant(c[len(c)-1]))
	for i := len(c) - 2; i >= 0; i-- {
		x := b.inRegister(b.constant(c[i]))
		b.fmaAcc(k, z, x)
		b.free(k)
		k = x
	}
	rest := b.inRegister(b.constant(0.5))
	b.fmaSub(e, k, rest)
	b.fmaAcc(z, rest, q)
	b.free(e, z, k, rest)
	return q
}
