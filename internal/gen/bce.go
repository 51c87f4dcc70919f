package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// A bce emits a kernel of binary cross-entropy with weights and thresholds. Elements go
// through it as in selectSums, by groups of four virtual vectors.
type bce struct {
	*rowLoop
	sides *sides
	grad  bool

	x, dst               gpreg
	negWeight, posWeight gpreg

	low, sign, one op
	factor, hi, lo op // of the row
	e              *exponential
	log            *logarithms // float64
	sum            *accumulator
}

// A bceTerm is one register of elements.
type bceTerm struct {
	number int
	y      vreg // AVX2: where it is negative, sigmoid is e/(1+e)
	down   mask // AVX-512: y < 0
	keep   mask // e^-|y| is not 0
	m      vreg // max(y, 0)
	e      vreg // e^-|y|
}

func emitBCEWeighted(v *vec, grad bool) {
	b := &bce{rowLoop: newWholeLoop(v, inBuffer, 4*v.lanes), grad: grad}
	b.halved = true
	b.short = func() { b.terms(2, false) }
	b.x = b.input("x", "stride")
	if grad {
		b.dst = b.output("dst", "dstStride", false)
		b.exist = v.AllocLocal(8)
		b.copy = &sideCopy{v, v.param("to"), v.param("from"), v.param("blocks")}
	}
	b.negWeight, b.posWeight = v.param("negWeight"), v.param("posWeight")
	b.sides = &sides{vec: v, pos: v.param("pos"), neg: v.param("neg"), at: v.GP64()}
	b.sides.laneTests()

	var magic op
	magic, b.low, _ = v.naturalRange()
	b.sign, b.one = v.held(math.Copysign(0, -1)), v.constant(1)
	b.e = newExponential(v, magic, !v.double() && !grad)
	b.sum = newAccumulator(v)
	if v.double() {
		b.log = newLogarithms(v)
	}
	if grad {
		b.factor = v.place()
	}
	b.hi, b.lo = v.place(), v.place()

	b.runWhole(func() {
		b.sum.clear()
		p := b.param("p")
		for i, d := range []op{b.factor, b.hi, b.lo} {
			if d != nil {
				b.setKept(at(p, i*b.size), d)
			}
		}
	}, func() { b.terms(4, true) }, func() {
		b.sides.nextRow()
		b.ADDQ(operand.U8(3*b.size), b.file.argument("p"))
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

// terms adds the first vectors of a group; whole tells that all its elements
// exist. Elements that take no part are not read otherwise.
func (b *bce) terms(vectors int, whole bool) {
	if whole {
		for i := range vectors {
			b.prefetch(b.inRow(b.x, i*b.regs()), i*b.regs())
		}
	}
	b.halves(b.off, whole, func(h *half) { b.half(h, vectors, whole) })
	if whole {
		b.sum.endGroup()
	}
}

// half adds a half of the vectors.
func (b *bce) half(h *half, vectors int, whole bool) {
	b.sides.half(h, b.off)
	maxima := &laneTree[vreg]{join: func(x, y vreg) { b.add(x, y, x) }}
	step := 1 // registers that go through the exponential together
	if b.wide() {
		step = 2
	}
	for first := 0; first < vectors; first += step {
		var all []bceTerm
		var y, short []vreg
		for i := range step {
			t, a, c := b.argument((first+i)*b.regs()+h.number, whole)
			all, y, short = append(all, t), append(y, a), append(short, c)
		}
		p, s := b.e.evaluateShifted(y, short)
		for i := range all {
			all[i].e = p[i]
			b.mulKeep(all[i].keep, p[i], s[i], p[i])
		}
		for _, t := range all {
			if b.grad {
				b.gradient(t, whole)
			}
			b.weigh(&t)
			maxima.push(t.m)
		}
	}
	h.setOffset(b.vec, b.off)
	b.sum.take(h, maxima.done())
}

// argument returns a term without its exponential, -|y| and what that is short
// of.
func (b *bce) argument(number int, whole bool) (t bceTerm, a, short vreg) {
	t = bceTerm{number: number, m: b.reg()}
	mem := b.inRow(b.x, number)
	y := b.reg()
	pos := b.sides.mask(b.sides.pos, number)
	part := b.union(b.sides.mask(b.sides.neg, number), pos)
	if whole {
		b.move(mem, y)
	} else {
		b.load(part, mem, y)
	}
	y, short = b.difference(y, b.hi, b.lo)
	b.flip(pos, short)
	b.flip(pos, y)
	zero := b.reg()
	b.zero(zero)
	if b.wide() {
		// Where y is up, m = y + short and -|y| is short of -short.
		up := b.newMask()
		b.either(b.VCMPPS, b.VCMPPD, operand.U8(notLess), zero, y, part, up)
		b.masked(b.VADDPS_Z, b.VADDPD_Z, short, y, up, t.m)
		b.either(b.VXORPS, b.VXORPD, b.sign, short, up, short)
	} else {
		b.add(y, zero, y) // -0 is up, but its sign tells otherwise below
		b.compare(less, y, zero, zero)
		b.add(y, short, t.m)
		b.andNot(zero, t.m, t.m)
		b.and(t.m, part, t.m)
		b.andNot(zero, b.sign, zero)
		b.xor(short, zero, short)
	}
	a = y
	switch {
	case !b.grad:
	case !b.wide():
		t.y, a = y, b.reg()
	default:
		t.down = b.newMask()
		b.compare(less, y, zero, t.down)
	}
	b.or(y, b.sign, a)
	if b.wide() {
		b.either(b.VCMPPS, b.VCMPPD, operand.U8(notLess), b.low, a, part, part)
		t.keep = part
	} else {
		k := b.reg()
		b.compare(notLess, a, b.low, k)
		b.and(k, part, k)
		t.keep = k
	}
	return t, a, short
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

// gradient stores the derivatives: ±factor/(1+e), times e where y is negative.
func (b *bce) gradient(t bceTerm, whole bool) {
	g, d := b.reg(), b.reg()
	pos := b.sides.mask(b.sides.pos, t.number)
	b.move(b.factor, g)
	w := b.weight(t.number, pos)
	b.mul(g, w, g)
	b.flip(pos, g)
	part := b.union(b.sides.mask(b.sides.neg, t.number), pos)
	if b.wide() {
		b.either(b.VMULPS, b.VMULPD, t.e, g, t.down, g)
		b.add(t.e, b.one, d)
		b.masked(b.VDIVPS_Z, b.VDIVPD_Z, d, g, part, g)
	} else {
		b.mul(g, t.e, d)
		b.choose(t.y, d, g, g)
		b.add(t.e, b.one, d)
		b.either(b.VDIVPS, b.VDIVPD, d, g, g)
		b.and(g, part, g)
	}
	mem := b.inRow(b.dst, t.number)
	if whole {
		b.store(nil, g, mem)
	} else {
		b.store(b.sides.maskAt(b.exist, t.number), g, mem)
	}
}

// weight returns the weights of the elements.
func (b *bce) weight(number int, pos mask) vreg {
	w := b.reg()
	n := b.inRow(b.negWeight, number)
	p := b.inRegister(b.inRow(b.posWeight, number))
	b.move(n, w)
	b.choose(pos, p, w, w)
	return w
}

// weigh makes m the weighted term.
func (b *bce) weigh(t *bceTerm) {
	var l vreg
	if b.double() {
		l, _ = b.log.log1p(t.e)
	} else {
		l = b.log1pUnit(t.e)
	}
	b.add(t.m, l, t.m)
	w := b.weight(t.number, b.sides.mask(b.sides.pos, t.number))
	b.mul(w, t.m, t.m)
}

// log1pUnit returns log(1+e), 0 ≤ e ≤ 1, in float32:
//
//	s = e/(2+e);  z = s²;  log(1+e) = s·z·(c0 + c1·z + …) + 2s
//
// Products are rounded on their own.
func (b *bce) log1pUnit(e vreg) vreg {
	s, z, r := b.reg(), b.reg(), b.reg()
	b.add(e, b.constant(2), s)
	b.VDIVPS(s, e, s)
	b.mul(s, s, z)
	c := coefficients(coef.Log1pUnit32[:])
	b.move(b.constant(c[len(c)-1]), r)
	for i := len(c) - 2; i >= 0; i-- {
		b.mul(r, z, r)
		b.add(r, b.constant(c[i]), r)
	}
	b.mul(z, s, z)
	b.mul(r, z, r)
	b.add(s, s, s)
	b.add(r, s, r)
	return r
}

// masked emits the float32 or the float64 form of an instruction with a mask.
func (v *vec) masked(single, double func(m, a, k, d op), m, a, k, d op) {
	if v.double() {
		double(m, a, k, d)
	} else {
		single(m, a, k, d)
	}
}
