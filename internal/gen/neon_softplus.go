package gen

import (
	"fmt"
	"math"

	"github.com/zlpr/zlpr/internal/coef"
)

// neonBCEKernels emits the arm64 form of bceKernels.
func neonBCEKernels(f *neonFile) {
	for _, e := range elems {
		for _, form := range bceForms {
			emitNeonBCE(newNeonVec(f, e), form, false)
			emitNeonBCE(newNeonVec(f, e), form, true)
		}
	}
}

// A neonBCE emits one kernel, as a bce does. Two registers go through the
// exponential together; the accumulators lie on the stack.
type neonBCE struct {
	*neonVec
	bceForm
	grad bool

	pos, neg             *neonSide
	negWeight, posWeight genReg // of the group

	low            *vecReg
	factor, hi, lo *vecReg // of the row
	e              *neonExponential
	log            *neonLogarithms // float64
	sum            *neonSelected
	product        *neonProduct // float32 without weights
}

// A neonBCETerm is one register of elements.
type neonBCETerm struct {
	h, number int
	down      *vecReg // y < 0
	keep      *vecReg // where e^-|y| is not 0
	m, e      *vecReg // max(y, 0), e^-|y|
}

func emitNeonBCE(v *neonVec, form bceForm, grad bool) {
	const (
		bytes = 256 // of a group
		// The stack: the rest of a row, then the accumulators.
		stack = bytes + 128 + 64
	)
	name, signature, doc := form.signature(v.elem, grad)
	v.loaded = false
	v.function(name+v.bits+"NEON", signature, stack, doc)
	b := &neonBCE{neonVec: v, bceForm: form, grad: grad}
	sum, base, rows := v.param("sum"), v.param("x"), v.param("rows")
	v.loadConstants()
	bits := bytes / v.size // of a group
	b.pos, b.neg = newNeonSides(v, max(1, bits/32))
	x, groups, left, rest, buffer := v.gp(), v.gp(), v.gp(), v.gp(), v.gp()
	n := v.param("n")
	v.op("LSR", imm(log2(bits)), n, groups)
	v.op("LSL", imm(log2(v.size)), n, rest)
	v.release(n)
	v.op("AND", imm(bytes-1), rest)
	v.op("MOVD", fmt.Sprintf("$rest-%d(SP)", stack), buffer)
	b.sum = &neonSelected{neonVec: v, stack: address{buffer, bytes}}
	var products, block, p, dst, out genReg
	if !v.double() && !b.weighted {
		products, block = v.param("product"), v.gp()
		b.product = &neonProduct{neonVec: v, stack: address{buffer, bytes + 128}}
	}
	var params []*vecReg
	if grad || b.shifted {
		p = v.param("p")
		params = v.regs(3)
		b.factor, b.hi, b.lo = params[0], params[1], params[2]
	}
	if grad {
		dst, out = v.param("dst"), v.gp()
	}
	if b.weighted {
		b.negWeight, b.posWeight = v.gp(), v.gp()
	}
	magic, low, high := v.naturalRange()
	v.free(high)
	b.low = low
	b.e = newNeonExponential(v, magic)
	if v.double() {
		b.log = newNeonLogarithms(v, false)
	}

	row, group, last := v.newLabel("row"), v.newLabel("group"), v.newLabel("last")
	partial, copied, done := v.newLabel("rest"), v.newLabel("copied"), v.newLabel("done")
	v.op("CBZ", rows, last)
	v.label(row)
	b.sum.clear()
	if b.product != nil {
		b.product.clear()
		v.op("MOVD", imm(bceBlockBytes/bytes), block)
	}
	if params != nil {
		v.broadcasts(p, params...)
		v.op("ADD", imm(3*v.size), p)
	}
	if b.weighted {
		v.reload("negWeight", b.negWeight)
		v.reload("posWeight", b.posWeight)
	}
	b.pos.begin()
	b.neg.begin()
	v.op("MOVD", base, x)
	if grad {
		v.op("MOVD", dst, out)
	}
	v.op("CBZ", groups, partial)
	v.op("MOVD", groups, left)
	v.label(group)
	b.terms(x, out, 4)
	v.op("ADD", imm(bytes), x)
	if grad {
		v.op("ADD", imm(bytes), out)
	}
	if b.weighted {
		v.op("ADD", imm(bytes), b.negWeight)
		v.op("ADD", imm(bytes), b.posWeight)
	}
	if b.product != nil {
		more := v.newLabel("more")
		v.op("SUB", imm(1), block)
		v.op("CBNZ", block, more)
		b.product.store(products)
		v.op("MOVD", imm(bceBlockBytes/bytes), block)
		v.label(more)
	}
	v.op("SUB", imm(1), left)
	v.op("CBNZ", left, group)
	v.label(partial)
	v.op("CBZ", rest, done)
	if b.product != nil {
		v.op("SUB", imm(1), block)
	}
	v.copyRest(rest, 128, address{x, 0}, address{buffer, 0})
	for _, vectors := range []int{1, 2} {
		more := v.newLabel("more")
		v.op("CMP", imm(64*vectors), rest)
		v.op("BHI", more)
		b.terms(buffer, buffer, vectors)
		v.op("B", copied)
		v.label(more)
	}
	b.terms(buffer, buffer, 4)
	v.label(copied)
	if grad {
		v.copyRest(rest, 128, address{buffer, 0}, address{out, 0})
	}
	v.label(done)
	if b.product != nil {
		// Unless the last block is complete.
		complete := v.newLabel("complete")
		v.op("CMP", imm(bceBlockBytes/bytes), block)
		v.op("BEQ", complete)
		b.product.store(products)
		v.label(complete)
	}
	b.sum.store(sum)
	v.advance("stride", base)
	if grad {
		v.advance("dstStride", dst)
	}
	b.pos.next()
	b.neg.next()
	v.op("SUB", imm(1), rows)
	v.op("CBNZ", rows, row)
	v.label(last)
	v.op("RET")
}

// reload loads an argument into a register.
func (v *neonVec) reload(name string, r genReg) {
	p := v.param(name)
	v.op("MOVD", p, r)
	v.release(p)
}

// advance moves to the next row.
func (v *neonVec) advance(stride string, base genReg) {
	s := v.stride(stride)
	v.op("ADD", s, base)
	v.release(s)
}

// terms adds the first vectors of the group at from; the gradient goes to out.
func (b *neonBCE) terms(from, out genReg, vectors int) {
	b.pos.load(4)
	b.neg.load(4)
	type lane struct{ maxima, joins *laneTree[*vecReg] }
	lanes := map[int]*lane{}
	var order []neonBCETerm
	for _, h := range []int{0, 2, 1, 3} { // registers of a virtual vector
		lanes[h] = &lane{
			&laneTree[*vecReg]{join: func(x, y *vecReg) { b.add(x, y, x); b.free(y) }},
			&laneTree[*vecReg]{join: b.joinProducts},
		}
		for k := range vectors {
			order = append(order, neonBCETerm{h: h, number: k*neonRegs + h})
		}
	}
	var logs []neonBCETerm // of which the product's logarithm is wanted
	for ; len(order) > 0; order = order[2:] {
		two := order[:2]
		var y, short []*vecReg
		for i := range two {
			a, c := b.argument(&two[i], from)
			y = append(y, a)
			if b.shifted {
				short = append(short, c)
			}
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
				b.gradient(&two[i], out)
			}
			if two[i].down != nil {
				b.free(two[i].down)
			}
		}
		if b.weighted {
			b.weigh(two)
		}
		for _, t := range two {
			l := lanes[t.h]
			l.maxima.push(t.m)
			if !b.weighted {
				l.joins.push(t.e)
			}
			if t.number/neonRegs < vectors-1 {
				continue
			}
			b.sum.lanes(t.h, l.maxima.done())
			switch {
			case b.weighted:
			case b.double():
				logs = append(logs, neonBCETerm{h: t.h, e: l.joins.done()})
			default:
				b.product.lanes(t.h, l.joins.done())
			}
		}
		if len(logs) == 2 {
			r := b.log.log1p([]*vecReg{logs[0].e, logs[1].e})
			for i, t := range logs {
				b.sum.lanes(t.h, r[i])
			}
			logs = nil
		}
	}
}

// argument completes a term but for its exponential, and returns -|y| and what
// that is short of.
func (b *neonBCE) argument(t *neonBCETerm, from genReg) (a, short *vecReg) {
	b.comment("y = ±(x - s0), m = max(y, 0)")
	y := b.inRegister(address{from, 16 * t.number})
	test, pos, part := b.laneTest(t.number), b.reg(), b.reg()
	b.pos.selected(t.number, test, pos)
	b.neg.selected(t.number, test, part)
	b.or(part, pos, part)
	b.free(test)
	if b.shifted {
		y, short = b.difference(y)
	}
	b.neonVec.flip(pos, y) // pos has signs then
	if b.shifted {
		b.xor(short, pos, short)
	}
	b.free(pos)
	zero := b.cleared(1)[0]
	t.m = b.reg()
	if b.shifted || b.grad {
		t.down = b.reg()
		b.above(zero, y, t.down)
	}
	sign := b.inRegister(b.constant(math.Copysign(0, -1)))
	if b.shifted {
		b.add(y, short, t.m)
		b.keepOut(t.down, t.m)
		up := zero
		b.copy(sign, up)
		b.keepOut(t.down, up)
		b.xor(short, up, short)
	} else {
		b.max(zero, y, t.m)
	}
	b.and(t.m, part, t.m)
	b.or(y, sign, y)
	b.above(b.low, y, zero)
	b.keepOut(zero, part)
	t.keep = part
	b.free(zero, sign)
	return y, short
}

// difference returns y = x - hi, and what that and lo leave out. It frees x.
func (b *neonBCE) difference(x *vecReg) (y, short *vecReg) {
	y, t, u := b.reg(), b.reg(), b.reg()
	b.sub(x, b.hi, y)
	b.sub(y, x, t)
	b.sub(y, t, u)
	b.sub(x, u, u)
	b.add(t, b.hi, t)
	b.sub(u, t, u)
	b.sub(u, b.lo, u)
	b.free(x, t)
	return y, u
}

// gradient stores the derivatives: ±factor/(1+e), times e where y is negative.
func (b *neonBCE) gradient(t *neonBCETerm, out genReg) {
	b.comment("the gradient")
	g, d, k, test := b.reg(), b.reg(), b.reg(), b.laneTest(t.number)
	b.copy(b.factor, g)
	if b.weighted {
		w := b.weight(t.number)
		b.mul(g, w, g)
		b.free(w)
	}
	b.pos.selected(t.number, test, k)
	b.neg.selected(t.number, test, test)
	b.or(test, k, test)
	b.neonVec.flip(k, g)
	b.mul(g, t.e, d)
	b.copy(t.down, k)
	b.choose(k, d, g)
	one := b.inRegister(b.constant(1))
	b.add(t.e, one, d)
	b.div(k, d, k)
	b.and(k, test, k)
	b.store(k, address{out, 16 * t.number})
	b.free(g, d, k, test, one)
}

// weight returns the weights of the elements.
func (b *neonBCE) weight(number int) *vecReg {
	n, p := b.inRegister(address{b.negWeight, 16 * number}), b.inRegister(address{b.posWeight, 16 * number})
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

// joinProducts is x = x·y + (x+y); it frees y.
func (v *neonVec) joinProducts(x, y *vecReg) {
	sum := v.reg()
	v.add(x, y, sum)
	if v.double() {
		v.fmaAcc(x, y, sum)
		v.copy(sum, x)
	} else {
		v.mul(x, y, x)
		v.add(x, sum, x)
	}
	v.free(sum, y)
}

// A neonProduct is the products of 1 + e of a block of a row less 1, in 8 float64
// lanes on the stack.
type neonProduct struct {
	*neonVec
	stack address
	low   *vecReg // the group's join of lanes l
}

func (a *neonProduct) clear() {
	zero := a.cleared(1)[0]
	a.storePair(zero, zero, a.stack)
	a.storePair(zero, zero, a.stack.offset(32))
	a.free(zero)
}

// join64 is x = x·y + (x+y) in float64.
func (a *neonProduct) join64(x, y *vecReg) {
	sum := a.reg()
	a.VFADD(x.d2(), y.d2(), sum.d2())
	a.op("VFMLA", x.d2(), y.d2(), sum.d2())
	a.copy(sum, x)
	a.free(sum)
}

// lanes joins the group's lanes of register h of a virtual vector, h = 0, 2, 1, 3
// in order, and frees it.
func (a *neonProduct) lanes(h int, group *vecReg) {
	if h < 2 {
		a.low = group
		return
	}
	place := a.stack.offset(32 * (h - 2))
	a.joinProducts(a.low, group)
	low, high := a.widen(a.low)
	r := a.regs(2)
	a.loadPair(place, r[0], r[1])
	a.join64(r[0], low)
	a.join64(r[1], high)
	a.storePair(r[0], r[1], place)
	a.free(append(r, low, high, a.low)...)
}

// store writes the block's product and begins the next one.
func (a *neonProduct) store(out genReg) {
	a.scope(func() {
		r := a.regs(4)
		a.loadPair(a.stack, r[0], r[1])
		a.loadPair(a.stack.offset(32), r[2], r[3])
		r = a.eight([][]*vecReg{r}, func(x, y []*vecReg) { a.join64(x[0], y[0]) })
		a.op("FMOVD.P", r[0], address{out, 8})
	})
	a.clear()
}
