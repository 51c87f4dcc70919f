package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// A bceForm is a form of the kernels of binary cross-entropy: plain, with
// thresholds, and with those and weights.
type bceForm struct {
	name              string
	shifted, weighted bool
}

// A bce emits one kernel. Elements go through it as in selectSums, by groups of
// four virtual vectors.
type bce struct {
	*vec
	*sides
	bceForm
	grad bool
	full bool // what is emitted is for groups of which every element takes part

	x, dst               gpreg
	negWeight, posWeight gpreg
	off                  gpreg // of the group, in bytes
	exist                operand.Mem
	copy                 *sideCopy // with the gradient
	buffer               *restBuffer

	low, sign, one op
	factor, hi, lo op // of the row
	e              *exponential
	log            *logarithms // float64
	sum            *selected
	product        *product
}

// A bceTerm is one register of elements.
type bceTerm struct {
	number int
	y      vreg // AVX2: where it is negative, sigmoid is e/(1+e)
	down   mask // AVX-512, with thresholds: y < 0
	keep   mask // e^-|y| is not 0
	m      vreg // max(y, 0)
	e      vreg // e^-|y|
}

func emitBCE(v *vec, form bceForm, grad bool) {
	b := &bce{vec: v, bceForm: form, grad: grad}
	if !v.double() && !b.weighted {
		b.product = newProduct(v)
	}
	b.buffer = newRestBuffer(v)
	if grad {
		b.dst = v.param("dst")
		b.exist = v.AllocLocal(8)
		b.copy = &sideCopy{v, v.param("to"), v.param("from"), v.param("blocks")}
	}
	b.x = v.param("x")
	if b.weighted {
		b.negWeight, b.posWeight = v.param("negWeight"), v.param("posWeight")
	}
	b.sides = &sides{vec: v, pos: v.param("pos"), neg: v.param("neg"), at: v.GP64()}
	b.laneTests()
	b.off = v.GP64()

	var magic op
	magic, b.low, _ = v.naturalRange()
	b.sign, b.one = v.constant(math.Copysign(0, -1)), v.constant(1)
	if v.wide() {
		b.sign = v.inRegister(b.sign.(operand.Mem))
	}
	b.e = newExponential(v, magic, !v.double() && !grad)
	if b.unmasked() && !v.double() {
		// Loads of constants are what bounds the loop.
		b.sign, b.one = v.inRegister(b.sign.(operand.Mem)), v.inRegister(b.one.(operand.Mem))
		for i := range 2 {
			b.e.rest[len(b.e.rest)-1-i] = b.one
		}
	}
	b.sum = newSelected(v)
	if v.double() {
		b.log = newLogarithms(v)
	}
	if grad {
		b.factor = b.place()
	}
	if b.shifted {
		b.hi, b.lo = b.place(), b.place()
	}

	row, last := v.newLabel("row"), v.newLabel("last")
	rows := v.argument("rows")
	v.CMPQ(rows, operand.U8(0))
	v.JEQ(operand.LabelRef(last))
	v.Label(row)
	b.beginRow()
	b.row()
	b.endRow()
	v.DECQ(rows)
	v.JNZ(operand.LabelRef(row))
	v.Label(last)
	b.copy.rest()
	v.VZEROUPPER()
	v.RET()
}

// beginRow clears the sums and loads what is the row's.
func (b *bce) beginRow() {
	b.sum.clear()
	if b.product != nil {
		b.product.clear()
	}
	if b.grad || b.shifted {
		p := b.param("p")
		for i, d := range []op{b.factor, b.hi, b.lo} {
			if d != nil {
				b.broadcastTo(at(p, i*b.size), d)
			}
		}
	}
}

// row emits the loop through a row's groups: whole ones, and a last one of more
// than two virtual vectors in the buffer as a whole one; less have bodies of
// their own.
func (b *bce) row() {
	var (
		group, added = b.newLabel("group"), b.newLabel("added")
		rest, short  = b.newLabel("rest"), b.newLabel("short")
		one, done    = b.newLabel("one"), b.newLabel("done")
		goTo         = func(label string) operand.LabelRef { return operand.LabelRef(label) }
		size         = 4 * b.lanes // of a group
		left         = b.GP64()    // elements, less size
	)
	b.XORQ(b.off, b.off)
	b.Load(b.Param("n"), left)
	b.SUBQ(operand.U32(size), left)
	b.JL(goTo(rest))
	b.Label(group)
	b.copy.block()
	if b.unmasked() {
		some := b.newLabel("some")
		b.ifNotFull(some)
		b.full = true
		b.terms(4, true)
		b.full = false
		b.JMP(goTo(added))
		b.Label(some)
	}
	b.terms(4, true)
	b.Label(added)
	b.endHalves(b.off)
	if b.product != nil {
		more := b.newLabel("more")
		b.TESTQ(operand.U32(bceBlockBytes-1), b.off)
		b.JNZ(goTo(more))
		b.storeProduct()
		b.Label(more)
	}
	b.SUBQ(operand.U32(size), left)
	b.JGE(goTo(group))
	b.Label(rest)
	b.ADDQ(operand.U32(size), left)
	b.JLE(goTo(done))
	b.CMPQ(left, operand.U8(2*b.lanes))
	b.JBE(goTo(short))
	b.buffer.read(b.x, b.off, left)
	if b.grad {
		b.MOVQ(b.x, b.dst)
	}
	b.XORQ(left, left)
	b.JMP(goTo(group))

	b.Label(short)
	b.copy.block()
	if b.grad {
		// The elements that exist, as bits.
		bits := b.GP64()
		b.MOVQ(operand.I32(-1), bits)
		b.BZHIQ(left, bits, bits)
		b.MOVQ(bits, b.exist)
	}
	b.CMPQ(left, operand.U8(b.lanes))
	b.JBE(goTo(one))
	b.terms(2, false)
	b.XORQ(left, left)
	b.JMP(goTo(added))
	b.Label(one)
	b.terms(1, false)
	b.XORQ(left, left)
	b.JMP(goTo(added))
	b.Label(done)
}

// unmasked reports whether groups of which every element takes part have a body
// without masks.
func (b *bce) unmasked() bool { return !b.wide() && !b.shifted && !b.weighted }

// ifNotFull jumps if not every element of the group takes part.
func (b *bce) ifNotFull(label string) {
	bits := b.GP64()
	b.sides.group(b.off)
	side := func(base gpreg) operand.Mem { return operand.Mem{Base: base, Index: b.at, Scale: 1} }
	if b.double() {
		b.MOVL(side(b.neg), bits.As32())
		b.ORL(side(b.pos), bits.As32())
		b.CMPL(bits.As32(), operand.I8(-1))
	} else {
		b.MOVQ(side(b.neg), bits)
		b.ORQ(side(b.pos), bits)
		b.CMPQ(bits, operand.I8(-1))
	}
	b.JNE(operand.LabelRef(label))
}

// endRow writes what is left of a row, and moves on to the next.
func (b *bce) endRow() {
	if b.product != nil {
		// Unless the last block is complete.
		complete := b.newLabel("complete")
		b.TESTQ(operand.U32(bceBlockBytes-1), b.off)
		b.JZ(operand.LabelRef(complete))
		b.storeProduct()
		b.Label(complete)
	}
	sum := b.param("sum")
	b.sum.store(at(sum, 0))
	b.ADDQ(operand.U8(8), b.file.argument("sum"))
	if b.grad {
		direct, out := b.newLabel("direct"), b.param("dst")
		b.CMPQ(out, b.dst)
		b.JEQ(operand.LabelRef(direct))
		n := b.param("n")
		b.ANDQ(operand.U8(4*b.lanes-1), n)
		b.buffer.write(out, b.off, n)
		b.Label(direct)
		b.advance(b.dst, "dst", "dstStride")
	}
	b.advance(b.x, "x", "stride")
	words := b.param("words")
	b.SHLQ(operand.U8(3), words)
	b.ADDQ(words, b.pos)
	b.ADDQ(words, b.neg)
	if b.grad || b.shifted {
		b.ADDQ(operand.U8(3*b.size), b.file.argument("p"))
	}
}

// storeProduct writes a block's product.
func (b *bce) storeProduct() {
	out := b.param("product")
	b.product.store(at(out, 0))
	b.ADDQ(operand.U8(8), b.file.argument("product"))
}

// bceBlockBytes is the size of the elements of float32 that share a logarithm.
const bceBlockBytes = 4 * coef.BCEBlock

// place returns a place for a number of the row: on AVX2 in memory.
func (b *bce) place() op {
	if b.wide() {
		return b.reg()
	}
	return b.AllocLocal(b.bytes)
}

// broadcastTo fills a place.
func (b *bce) broadcastTo(mem operand.Mem, d op) {
	r, ok := d.(vreg)
	if !ok {
		r = b.reg()
	}
	b.broadcast(mem, r)
	if !ok {
		b.move(r, d)
	}
}

// step is the number of registers that go through the exponential together.
func (b *bce) step(vectors int) int {
	switch {
	case !b.wide() && (b.shifted || b.grad && !b.double() && !b.full):
		return 1
	case !b.wide() || b.shifted:
		return min(2, vectors)
	}
	return vectors
}

// terms adds the first vectors of a group; whole tells that all its elements
// exist. Elements that take no part are not read otherwise.
func (b *bce) terms(vectors int, whole bool) {
	if whole {
		for i := range vectors {
			b.prefetch(b.element(b.x, i*b.regs()), i*b.regs())
		}
	}
	b.halves(b.off, whole, func(h *half) { b.half(h, vectors, whole) })
	b.sum.endGroup(whole)
	if b.product != nil {
		b.product.endGroup(whole)
	}
}

// half adds a half of the vectors.
func (b *bce) half(h *half, vectors int, whole bool) {
	b.sides.half(h, b.off)
	maxima := &laneTree[vreg]{join: func(x, y vreg) { b.add(x, y, x) }}
	joins := &laneTree[vreg]{join: b.joinProducts}
	step := b.step(vectors)
	early := !b.wide() && !b.weighted // m is read no more, and leaves its register
	for first := 0; first < vectors; first += step {
		var all []bceTerm
		var y, short []vreg
		for i := range step {
			t, a, c := b.argument((first+i)*b.regs()+h.number, whole)
			if early {
				maxima.push(t.m)
			}
			all, y = append(all, t), append(y, a)
			if b.shifted {
				short = append(short, c)
			}
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
			if b.weighted {
				b.weigh(&t)
			} else {
				joins.push(t.e)
			}
			if !early {
				maxima.push(t.m)
			}
		}
	}
	h.setOffset(b.vec, b.off)
	b.sum.group = maxima.done()
	b.sum.lanes(h)
	switch {
	case b.weighted:
	case b.double():
		b.sum.group, _ = b.log.log1p(joins.done())
		b.sum.lanes(h)
	default:
		b.product.lanes(h, joins.done())
	}
}

func (b *bce) element(base gpreg, number int) operand.Mem {
	return operand.Mem{Base: base, Index: b.off, Scale: 1, Disp: number * b.bytes}
}

// argument returns a term without its exponential, -|y| and what that is short
// of.
func (b *bce) argument(number int, whole bool) (t bceTerm, a, short vreg) {
	t = bceTerm{number: number, m: b.reg()}
	mem := b.element(b.x, number)
	y := b.reg()
	var pos, part mask
	if !b.full {
		pos = b.mask(b.pos, number)
		part = b.union(b.mask(b.neg, number), pos)
	}
	if whole {
		b.move(mem, y)
	} else {
		b.load(part, mem, y)
	}
	if b.shifted {
		y, short = b.difference(y, b.hi, b.lo)
		b.flip(pos, short)
	}
	b.flipPositive(number, pos, y)
	zero := b.reg()
	b.zero(zero)
	switch {
	case !b.shifted && b.wide():
		b.masked(b.VMAXPS_Z, b.VMAXPD_Z, y, zero, part, t.m)
	case !b.shifted:
		b.max(zero, y, t.m)
		b.only(part, t.m)
	case b.wide():
		// Where y is up, m = y + short and -|y| is short of -short.
		up := b.newMask()
		b.either(b.VCMPPS, b.VCMPPD, operand.U8(notLess), zero, y, part, up)
		b.masked(b.VADDPS_Z, b.VADDPD_Z, short, y, up, t.m)
		b.either(b.VXORPS, b.VXORPD, b.sign, short, up, short)
	default:
		b.add(y, zero, y) // -0 is up, but its sign tells otherwise below
		b.compare(less, y, zero, zero)
		b.add(y, short, t.m)
		b.andNot(zero, t.m, t.m)
		b.only(part, t.m)
		b.andNot(zero, b.sign, zero)
		b.xor(short, zero, short)
	}
	a = y
	switch {
	case !b.grad:
	case !b.wide():
		t.y, a = y, b.reg()
	case b.shifted:
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
		b.only(part, k)
		t.keep = k
	}
	return t, a, short
}

// flipPositive changes the signs of y, of the register of that number, in the lanes
// of pos.
func (b *bce) flipPositive(number int, pos mask, y vreg) {
	switch {
	case !b.full:
		b.flip(pos, y)
	case b.double():
		b.flip(b.mask(b.pos, number), y)
	default:
		t := b.reg()
		b.VPBROADCASTB(operand.Mem{Base: b.pos, Index: b.at, Scale: 1, Disp: number}, t)
		b.VPSLLVD(b.byteSigns(), t, t)
		b.and(t, b.sign, t)
		b.xor(y, t, y)
	}
}

// byteSigns is how far the bits of a byte are from the sign, if all bytes of a lane
// are that byte.
func (v *vec) byteSigns() operand.Mem {
	return v.data("byteSigns", func() {
		for l := range v.perReg() {
			v.AppendDatum(operand.U32(7 - l))
		}
	})
}

// only clears, on AVX2, what is not in part; nil is everything.
func (b *bce) only(part mask, r vreg) {
	if part != nil {
		b.and(r, part, r)
	}
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
	var pos, part mask
	if !b.full {
		pos = b.mask(b.pos, t.number)
	}
	b.move(b.factor, g)
	if b.weighted {
		w := b.weight(t.number, pos)
		b.mul(g, w, g)
	}
	b.flipPositive(t.number, pos, g)
	if !b.full {
		part = b.union(b.mask(b.neg, t.number), pos)
	}
	if b.wide() {
		down := t.down
		if down == nil {
			// There are not masks enough to keep it; and e is 1 where y is 0.
			zero := b.reg()
			b.zero(zero)
			down = b.newMask()
			b.compare(equal, t.m, zero, down)
		}
		b.either(b.VMULPS, b.VMULPD, t.e, g, down, g)
		b.add(t.e, b.one, d)
		b.masked(b.VDIVPS_Z, b.VDIVPD_Z, d, g, part, g)
	} else {
		b.mul(g, t.e, d)
		b.choose(t.y, d, g, g)
		b.add(t.e, b.one, d)
		b.either(b.VDIVPS, b.VDIVPD, d, g, g)
		b.only(part, g)
	}
	mem := b.element(b.dst, t.number)
	if whole {
		b.store(nil, g, mem)
	} else {
		b.store(b.maskAt(b.exist, t.number), g, mem)
	}
}

// weight returns the weights of the elements.
func (b *bce) weight(number int, pos mask) vreg {
	w := b.reg()
	n := b.element(b.negWeight, number)
	p := b.inRegister(b.element(b.posWeight, number))
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
	w := b.weight(t.number, b.mask(b.pos, t.number))
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

// joinProducts is x = x·y + (x+y).
func (v *vec) joinProducts(x, y vreg) {
	sum := v.like(x)
	v.add(x, y, sum)
	if v.double() {
		v.fmaMul(y, sum, x)
		return
	}
	v.mul(x, y, x)
	v.add(x, sum, x)
}

// A laneTree joins registers as (0, 1), (2, 3), then these.
type laneTree[R any] struct {
	join    func(x, y R) // x is the result
	pending []R
	levels  []int
}

func (t *laneTree[R]) push(x R) {
	level := 0
	for n := len(t.pending); n > 0 && t.levels[n-1] == level; n-- {
		t.join(t.pending[n-1], x)
		x = t.pending[n-1]
		t.pending, t.levels = t.pending[:n-1], t.levels[:n-1]
		level++
	}
	t.pending, t.levels = append(t.pending, x), append(t.levels, level)
}

// done returns what 1, 2 or 4 registers make.
func (t *laneTree[R]) done() R { return t.pending[0] }

// A product is the products of 1 + e of a block of a row less 1, in 8 float64
// lanes: on AVX2 on the stack.
type product struct {
	*vec
	lane   vreg          // AVX-512
	mem    []operand.Mem // AVX2: lanes 0-3, 4-7
	halves operand.Mem   // AVX2: the group's joins of lanes 0-7 and 8-15, in a loop
	low    vreg          // AVX2: the first of them, else
}

func newProduct(v *vec) *product {
	if v.wide() {
		return &product{vec: v, lane: v.reg()}
	}
	return &product{vec: v, mem: []operand.Mem{v.AllocLocal(32), v.AllocLocal(32)}, halves: v.AllocLocal(64)}
}

func (a *product) clear() {
	if a.wide() {
		a.zero(a.lane)
		return
	}
	zero := a.reg()
	a.zero(zero)
	for _, m := range a.mem {
		a.move(zero, m)
	}
}

// join64 is a = a·b + (a+b).
func (a *product) join64(x, y vreg) {
	sum := a.like(x)
	a.VADDPD(x, y, sum)
	a.VFMADD213PD(sum, y, x)
}

// lanes joins the group's lanes of a half. On AVX2 those of both halves are joined
// first: after a loop through them, by endGroup.
func (a *product) lanes(h *half, group vreg) {
	switch {
	case a.wide():
		low, high := a.split(group)
		a.joinProducts(low, high)
		r := a.reg()
		a.VCVTPS2PD(low, r)
		a.join64(a.lane, r)
	case h.loop:
		a.move(group, h.at(a.halves))
	case h.number == 0:
		a.low = group
	default:
		a.joinHalves(a.low, group)
	}
}

// endGroup completes what lanes began in a loop through the halves.
func (a *product) endGroup(loop bool) {
	if !a.wide() && loop {
		second := half{number: 1}
		a.joinHalves(a.inRegister(a.halves), a.inRegister(second.at(a.halves)))
	}
}

func (a *product) joinHalves(first, second vreg) {
	a.joinProducts(first, second)
	low, high := a.widen(first)
	for i, r := range []vreg{low, high} {
		sum := a.inRegister(a.mem[i])
		a.join64(sum, r)
		a.move(sum, a.mem[i])
	}
}

// store writes the block's product and begins the next one.
func (a *product) store(out operand.Mem) {
	lanes := []vreg{a.lane}
	if !a.wide() {
		lanes = []vreg{a.inRegister(a.mem[0]), a.inRegister(a.mem[1])}
	}
	r := a.eight([][]vreg{lanes}, func(x, y []vreg) { a.join64(x[0], y[0]) })
	a.VMOVSD(r[0], out)
	a.clear()
}
