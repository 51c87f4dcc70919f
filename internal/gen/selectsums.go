package gen

import (
	"github.com/mmcloughlin/avo/operand"
)

// selectSums emits the sums of e^x over the negative and of e^-x over the
// positive classes, one exponential an element.
//
// A row is cut into groups of four virtual vectors v0 … v3. The terms of a side
// are added lane by lane as (v0+v1) + (v2+v3), 0 where an element is of the
// other side or of none. float32: then lane l+8 to lane l, and these 8 to
// float64 accumulators. float64: to 8 accumulators, exactly.
//
// selectExp keeps the exponentials as well.
func selectSums(v *vec, keep bool) {
	k := &selectKernel{}
	// There are registers for all but these.
	k.length, k.rows = v.argument("n"), v.argument("rows")
	k.a, k.b, k.row = v.argument("a"), v.argument("b"), v.argument("x")
	if keep {
		k.w, k.wStride = v.param("w"), v.argument("wStride")
		v.SHLQ(operand.U8(log2(v.size)), k.wStride)
		k.copy = &sideCopy{v, v.param("to"), v.param("from"), v.param("blocks")}
	}
	k.x, k.stride = v.param("x"), v.stride("stride")
	k.sides = newSides(v)
	magic, low, high := v.naturalRange()
	e := newExponential(v, magic, !v.double())
	k.negative, k.positive = newSelected(v), newSelected(v)
	v.Attributes(0) // the frame is too large for NOSPLIT
	k.sums = newRowSums(v, 2)
	k.off, k.left = v.GP64(), v.GP64()

	last := v.newLabel("last")
	v.CMPQ(k.rows, operand.U8(0))
	v.JEQ(operand.LabelRef(last))
	k.sums.begin()
	if v.wide() {
		k.wideRows(newPipeline(e, low, high))
	} else {
		k.narrowRows(e, low, high)
	}
	v.Label(last)
	k.copy.rest()
	v.VZEROUPPER()
	v.RET()
}

// A selectKernel is the state of selectSums.
type selectKernel struct {
	*sides
	length, rows, a, b operand.Mem // arguments
	x, stride          gpreg
	row                operand.Mem // AVX2: x at the row's begin, an argument
	w                  gpreg       // nil where the exponentials are not kept
	wStride            operand.Mem
	copy               *sideCopy
	negative, positive *selected
	sums               *rowSums
	off, left          gpreg   // of the row: bytes done, elements left
	cut                [2]mask // AVX-512: of the last vectors of short rows
}

// nextRow puts down the lanes of a row and goes to the next, at label again, or on
// to writeSums.
func (k *selectKernel) nextRow(again string) {
	k.ADDQ(k.stride, k.x)
	if !k.wide() {
		k.MOVQ(k.x, k.row)
	}
	if k.w != nil {
		k.ADDQ(k.wStride, k.w)
	}
	k.sides.next()
	k.sums.put(0, 0, k.negative.quantities())
	k.sums.put(1, 0, k.positive.quantities())
	k.sums.next(1, k.rows)
	k.JNE(operand.LabelRef(again))
}

// writeSums emits the tree of the rows' sums, and what follows when there are no
// more rows.
func (k *selectKernel) writeSums(goOn func()) {
	k.sums.write(k.a, k.b)
	last := k.newLabel("last")
	k.CMPQ(k.rows, operand.U8(0))
	k.JEQ(operand.LabelRef(last))
	goOn()
	k.Label(last)
}

// narrowRows emits the loop through the rows on AVX2. The last group of a row, if
// more than two of its vectors exist, goes through the loop in the buffer.
func (k *selectKernel) narrowRows(e *exponential, low, high op) {
	var (
		row, group  = k.newLabel("row"), k.newLabel("group")
		added, rest = k.newLabel("added"), k.newLabel("rest")
		one, short  = k.newLabel("one"), k.newLabel("short")
		done        = k.newLabel("done")
		goTo        = func(label string) operand.LabelRef { return operand.LabelRef(label) }
		size        = 4 * k.lanes // of a group
		terms       = func(vectors int, whole bool) { k.narrowTerms(e, low, high, vectors, whole) }
		buffer      = newRestBuffer(k.vec)
	)
	k.Label(row)
	k.negative.clear()
	k.positive.clear()
	k.XORQ(k.off, k.off)
	k.MOVQ(k.length, k.left)
	k.SUBQ(operand.U32(size), k.left)
	k.JL(goTo(rest))
	k.Label(group)
	k.copy.block()
	terms(4, true)
	k.Label(added)
	k.endHalves(k.off)
	k.SUBQ(operand.U32(size), k.left)
	k.JGE(goTo(group))
	k.Label(rest)
	k.ADDQ(operand.U32(size), k.left)
	k.JLE(goTo(done))
	k.CMPQ(k.left, operand.U8(2*k.lanes))
	k.JBE(goTo(short))
	buffer.read(k.x, k.off, k.left)
	k.XORQ(k.left, k.left)
	k.JMP(goTo(group))

	k.Label(short)
	k.copy.block()
	k.CMPQ(k.left, operand.U8(k.lanes))
	k.JBE(goTo(one))
	terms(2, false)
	k.XORQ(k.left, k.left)
	k.JMP(goTo(added))
	k.Label(one)
	terms(1, false)
	k.XORQ(k.left, k.left)
	k.JMP(goTo(added))
	k.Label(done)
	k.MOVQ(k.row, k.x)
	k.nextRow(row)
	k.writeSums(func() { k.JMP(operand.LabelRef(row)) })
}

// narrowTerms adds the first vectors of a group; whole tells that all its
// elements exist. Elements that take no part are not read otherwise.
func (k *selectKernel) narrowTerms(e *exponential, low, high op, vectors int, whole bool) {
	v := k.vec
	for i := range vectors {
		v.prefetch(operand.Mem{Base: k.x, Index: k.off, Scale: 1, Disp: 64 * i}, i*v.regs())
	}
	loop := whole && v.double() // of float32 it would be slower
	v.halves(k.off, loop, func(h *half) { k.narrowHalf(e, low, high, h, vectors, whole) })
	k.negative.endGroup(loop)
	k.positive.endGroup(loop)
}

// narrowHalf adds a half of the vectors, two registers at a time.
func (k *selectKernel) narrowHalf(e *exponential, low, high op, h *half, vectors int, whole bool) {
	v, s := k.vec, k.sides
	s.half(h, k.off)
	for first := 0; first < vectors; first += 2 {
		var y []vreg
		numbers := []int{first*v.regs() + h.number, (first+1)*v.regs() + h.number}[:min(2, vectors)]
		place := func(base gpreg, i int) operand.Mem {
			return operand.Mem{Base: base, Index: k.off, Scale: 1, Disp: numbers[i] * v.bytes}
		}
		for i, number := range numbers {
			mem, r, of := place(k.x, i), v.reg(), s.mask(s.pos, number)
			if whole {
				v.move(mem, r)
			} else {
				v.load(v.union(s.mask(s.neg, number), of), mem, r)
			}
			v.flip(of, r)
			v.clamp(r, low, high)
			y = append(y, r)
		}
		p, q := e.evaluate(y)
		masks := func(side gpreg) func(i int) mask {
			return func(i int) mask { return s.mask(side, numbers[i]) }
		}
		if k.w == nil {
			k.negative.products(masks(s.neg), first > 0, p, q)
			k.positive.products(masks(s.pos), first > 0, p, q)
			continue
		}
		n, t := v.signed(p, q, masks(s.neg), masks(s.pos), func(i int) operand.Mem { return place(k.w, i) })
		k.negative.terms(first > 0, n)
		k.positive.terms(first > 0, t)
	}
	h.setOffset(v, k.off)
	k.negative.lanes(h)
	k.positive.lanes(h)
}

// A sideCopy copies blocks of 256 bytes past the caches while a kernel computes:
// the memory is written while the arithmetic goes on. A nil one copies nothing.
type sideCopy struct {
	*vec
	to, from, blocks gpreg
}

// block copies a block, if there is one.
func (c *sideCopy) block() {
	if c == nil {
		return
	}
	none := c.newLabel("none")
	c.TESTQ(c.blocks, c.blocks)
	c.JZ(operand.LabelRef(none))
	c.copy()
	c.Label(none)
}

// rest copies all that is left.
func (c *sideCopy) rest() {
	if c == nil {
		return
	}
	more, none := c.newLabel("more"), c.newLabel("none")
	c.TESTQ(c.blocks, c.blocks)
	c.JZ(operand.LabelRef(none))
	c.Label(more)
	c.copy()
	c.JNZ(operand.LabelRef(more))
	c.Label(none)
}

func (c *sideCopy) copy() {
	c.translate(c.to, 256)
	for i := 0; i < 256; i += c.bytes {
		r := c.reg()
		c.move(at(c.from, i), r)
		c.stream(r, at(c.to, i))
	}
	c.ADDQ(operand.I32(256), c.from)
	c.ADDQ(operand.I32(256), c.to)
	c.DECQ(c.blocks)
}

// naturalRange returns the magic number of pivot 0 and the limits to which
// scores are clamped for it.
func (v *vec) naturalRange() (magic, low, high op) {
	bias, least, most := pivot0(v.elem)
	place := func(x float64) op {
		if v.wide() {
			return v.inRegister(v.constant(x))
		}
		return v.constant(x)
	}
	return place(bias), place(least), place(most)
}

// clamp is y = min(max(y, low), high), y where it is NaN.
func (v *vec) clamp(y vreg, low, high op) {
	// The instructions return their second source where either is NaN: that
	// has to be y, and the other in a register.
	for i, bound := range []op{low, high} {
		b, ok := bound.(vreg)
		if !ok {
			b = v.reg()
			v.move(bound, b)
		}
		if i == 0 {
			v.max(b, y, y)
		} else {
			v.min(b, y, y)
		}
	}
}

// selected accumulates the terms of one side of a row in 8 float64 lanes. On
// AVX2 what does not fit the registers lies on the stack.
type selected struct {
	*vec
	sum, err []vreg      // AVX-512, and the sums of float32 on AVX2
	stack    operand.Mem // AVX2. float64: the sums, then the errors; float32: the group's halves, in a loop
	group    vreg        // the group's sum so far, lanes of one register
	low      vreg        // AVX2, float32, no loop: the group's sum of the first half
}

func newSelected(v *vec) *selected {
	a := &selected{vec: v}
	switch {
	case v.wide() && v.double():
		a.sum, a.err = []vreg{v.reg()}, []vreg{v.reg()}
	case v.wide():
		a.sum = []vreg{v.reg()}
	case v.double():
		a.stack = v.AllocLocal(4 * v.bytes)
	default:
		a.sum = []vreg{v.reg(), v.reg()}
		a.stack = v.AllocLocal(2 * v.bytes)
	}
	return a
}

// onStack is the place of a register of the accumulators on the stack.
func (a *selected) onStack(i int) operand.Mem {
	m := a.stack
	m.Disp += i * a.bytes
	return m
}

func (a *selected) clear() {
	var stack []operand.Mem
	if !a.wide() && a.double() {
		for i := range 4 {
			stack = append(stack, a.onStack(i))
		}
	}
	a.clearLanes(stack, a.sum, a.err)
}

// clearLanes clears accumulators in registers and on the stack.
func (v *vec) clearLanes(stack []operand.Mem, registers ...[]vreg) {
	for _, list := range registers {
		for _, r := range list {
			v.zero(r)
		}
	}
	if stack != nil {
		zero := v.reg()
		v.zero(zero)
		for _, m := range stack {
			v.move(zero, m)
		}
	}
}

// signed returns the terms p·q of the negatives, and of the positives, 0
// elsewhere. Unless place is nil it writes the differences: a term's sign tells
// its side.
func (v *vec) signed(p, q []vreg, neg, pos func(i int) mask, place func(i int) operand.Mem) (n, t []vreg) {
	for i := range p {
		a, b := v.reg(), p[i]
		if v.wide() {
			v.mulKeep(neg(i), p[i], q[i], a)
			v.mulKeep(pos(i), p[i], q[i], b)
		} else {
			v.mul(p[i], q[i], b)
			v.keep(neg(i), b, a)
			v.keep(pos(i), b, b)
		}
		if place != nil {
			v.sub(a, b, q[i])
			v.move(q[i], place(i))
		}
		n, t = append(n, a), append(t, b)
	}
	return n, t
}

// products adds the products p·q in the lanes of k, of one or two registers of
// the same lanes. more tells that they are not the group's first.
func (a *selected) products(k func(i int) mask, more bool, p, q []vreg) {
	sum := a.reg()
	first := k(0)
	if len(p) < 2 {
		a.mulKeep(first, p[0], q[0], sum)
	} else {
		second := k(1)
		a.mulKeep(first, p[0], q[0], sum)
		a.addProduct(second, p[1], q[1], sum)
	}
	a.addGroup(more, sum)
}

// terms is products of the products.
func (a *selected) terms(more bool, p []vreg) {
	if len(p) == 2 {
		a.add(p[0], p[1], p[0])
	}
	a.addGroup(more, p[0])
}

func (a *selected) addGroup(more bool, sum vreg) {
	if more {
		a.add(a.group, sum, a.group)
	} else {
		a.group = sum
	}
}

// lanes adds the group's sum of the lanes of a half. On AVX2 those of float32 are
// added to each other first: after a loop through the halves, by endGroup.
func (a *selected) lanes(h *half) {
	switch {
	case a.wide() && a.double():
		a.twoSum(a.sum[0], a.err[0], a.group)
	case a.wide():
		low, high := a.split(a.group)
		a.VADDPS(high, low, low)
		r := a.reg()
		a.VCVTPS2PD(low, r)
		a.VADDPD(r, a.sum[0], a.sum[0])
	case a.double():
		sums, errs := h.at(a.onStack(0)), h.at(a.onStack(2))
		sum, err := a.inRegister(sums), a.inRegister(errs)
		a.twoSum(sum, err, a.group)
		a.move(sum, sums)
		a.move(err, errs)
	case h.loop:
		a.move(a.group, h.at(a.stack))
	case h.number == 0:
		a.low = a.group
	default:
		a.addHalves(a.low, a.group)
	}
}

// endGroup completes what lanes began in a loop through the halves.
func (a *selected) endGroup(loop bool) {
	if !a.wide() && !a.double() && loop {
		a.addHalves(a.inRegister(a.stack), a.onStack(1))
	}
}

func (a *selected) addHalves(first vreg, second op) {
	a.add(first, second, first)
	low, high := a.widen(first)
	a.VADDPD(low, a.sum[0], a.sum[0])
	a.VADDPD(high, a.sum[1], a.sum[1])
}

// store combines the lanes and writes the row's sum.
func (a *selected) store(out operand.Mem) {
	var r []vreg
	if q := a.quantities(); !a.double() {
		r = a.eight(q, func(x, y []vreg) { a.VADDPD(y[0], x[0], x[0]) })
	} else {
		r = a.eight(q, func(x, y []vreg) {
			a.VADDPD(y[1], x[1], x[1])
			a.twoSum(x[0], x[1], y[0])
		})
		a.VADDPD(r[1], r[0], r[0])
	}
	a.VMOVSD(r[0], out)
}

// quantities returns the row's lanes: the sums and, for float64, the errors.
func (a *selected) quantities() [][]vreg {
	sum, err := a.sum, a.err
	if !a.wide() && a.double() {
		sum = []vreg{a.inRegister(a.onStack(0)), a.inRegister(a.onStack(1))}
		err = []vreg{a.inRegister(a.onStack(2)), a.inRegister(a.onStack(3))}
	}
	if a.double() {
		return [][]vreg{sum, err}
	}
	return [][]vreg{sum}
}
