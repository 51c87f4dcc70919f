package gen

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
)

// A neonBCE emits a kernel with weights, as a bce does. Two registers go through the
// exponential together; the accumulators lie on the stack.
type neonBCE struct {
	*neonLoop
	grad bool

	x, dst               *stream
	negWeight, posWeight *stream
	pos                  *neonSide
	either               *neonSide

	low            *vecReg
	factor, hi, lo *vecReg // of the row
	e              *neonExponential
	log            *neonLogarithms // float64
	sum            *neonAccumulator
}

// A neonBCETerm is one register of elements.
type neonBCETerm struct {
	h, number int
	down      *vecReg // y < 0
	keep      *vecReg // where e^-|y| is not 0
	m, e      *vecReg // max(y, 0), e^-|y|
}

func emitNeonBCEWeighted(v *neonVec, grad bool) {
	b := &neonBCE{grad: grad, x: v.input("x", "stride")}
	streams := []*stream{b.x}
	if grad {
		b.dst = v.output("dst", "dstStride")
		streams = append(streams, b.dst)
	}
	b.negWeight, b.posWeight = v.padded("negWeight", ""), v.padded("posWeight", "")
	l := newNeonLoop(v, 4, append(streams, b.negWeight, b.posWeight)...)
	b.neonLoop = l
	l.halves(16)
	l.accumulators()
	l.withSides(false)
	b.pos = l.sides[1]
	b.either = l.eitherSide()
	sum, p := v.param("sum"), v.param("p")
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
		v.broadcasts(p, params...)
		v.op("ADD", imm(3*v.size), p)
	}, b.terms, func() { b.sum.store(sum) })
}

// terms adds the elements of a half of a turn, and stores the gradient.
func (b *neonBCE) terms(turn neonTurn) {
	var order []neonBCETerm
	for _, i := range turn.numbers() {
		order = append(order, neonBCETerm{h: i % neonRegs, number: i})
	}
	maxima := &laneTree[*vecReg]{}
	for ; len(order) > 0; order = order[2:] {
		two := order[:2]
		var y, short []*vecReg
		for i := range two {
			a, c := b.argument(&two[i])
			y, short = append(y, a), append(short, c)
		}
		p, s := b.e.evaluateShifted(y, short)
		for i := range two {
			b.mul(p[i], s[i], p[i])
			b.and(p[i], two[i].keep, p[i])
			two[i].e = p[i]
			b.free(s[i], two[i].keep)
		}
		for i := range two {
			if b.grad {
				b.gradient(&two[i])
			}
			b.free(two[i].down)
		}
		b.weigh(two)
		for _, t := range two {
			if t.number < neonRegs { // the first of its lanes
				maxima = &laneTree[*vecReg]{join: b.addTo}
			}
			maxima.push(t.m)
			if t.number/neonRegs == turn.vectors-1 {
				b.sum.take(t.h, maxima.done())
			}
		}
	}
}

// argument completes a term but for its exponential, and returns -|y| and what
// that is short of.
func (b *neonBCE) argument(t *neonBCETerm) (a, short *vecReg) {
	b.comment("y = ±(x - s0), m = max(y, 0)")
	y := b.inRegister(b.x.place(t.number))
	test, pos, part := b.laneTest(t.number), b.reg(), b.reg()
	b.pos.selected(t.number, test, pos)
	b.either.selected(t.number, test, part)
	b.free(test)
	y, short = b.difference(y, b.hi, b.lo)
	b.flip(pos, y) // pos has signs then
	b.xor(short, pos, short)
	b.free(pos)
	zero := b.cleared(1)[0]
	t.m, t.down = b.reg(), b.reg()
	b.above(zero, y, t.down)
	sign := b.inRegister(b.constant(math.Copysign(0, -1)))
	b.add(y, short, t.m)
	b.keepOut(t.down, t.m)
	up := zero
	b.copy(sign, up)
	b.keepOut(t.down, up)
	b.xor(short, up, short)
	b.and(t.m, part, t.m)
	b.or(y, sign, y)
	b.above(b.low, y, zero)
	b.keepOut(zero, part)
	t.keep = part
	b.free(zero, sign)
	return y, short
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

// gradient stores the derivatives: ±factor/(1+e), times e where y is negative.
func (b *neonBCE) gradient(t *neonBCETerm) {
	b.comment("the gradient")
	g, d, k, test := b.reg(), b.reg(), b.reg(), b.laneTest(t.number)
	b.copy(b.factor, g)
	w := b.weight(t.number)
	b.mul(g, w, g)
	b.free(w)
	b.pos.selected(t.number, test, k)
	b.either.selected(t.number, test, test)
	b.flip(k, g)
	b.mul(g, t.e, d)
	b.copy(t.down, k)
	b.choose(k, d, g)
	one := b.inRegister(b.constant(1))
	b.add(t.e, one, d)
	b.div(k, d, k)
	b.and(k, test, k)
	b.store(k, b.dst.place(t.number))
	b.free(g, d, k, test, one)
}

// weight returns the weights of the elements.
func (b *neonBCE) weight(number int) *vecReg {
	n, p := b.inRegister(b.negWeight.place(number)), b.inRegister(b.posWeight.place(number))
	test, k := b.laneTest(number), b.reg()
	b.pos.selected(number, test, k)
	b.choose(k, p, n)
	b.free(n, p, test)
	return k
}

// weigh makes m of two terms the weighted ones and frees their e.
func (b *neonBCE) weigh(two []neonBCETerm) {
	var l []*vecReg
	if b.double() {
		l = b.log.log1p([]*vecReg{two[0].e, two[1].e})
	} else {
		for _, t := range two {
			l = append(l, b.log1pUnit(t.e))
		}
	}
	for i, t := range two {
		b.add(t.m, l[i], t.m)
		w := b.weight(t.number)
		b.mul(w, t.m, t.m)
		b.free(w, l[i])
	}
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
		b.mul(r, z, r)
		constant(c[i], func(x *vecReg) { b.add(r, x, r) })
	}
	b.mul(z, s, z)
	b.mul(r, z, r)
	b.add(s, s, s)
	b.add(r, s, r)
	b.free(e, s, z)
	return r
}
