package gen

import (
	"math"

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
	doc := []string{
		"writes for every row i the sum of e^y, y clamped to the range of pivot 0, to a[i] over the elements",
		"of neg, y = x[i·stride+j], and to b[i] over those of pos, y = -x. Bits beyond n are 0; a and b have",
		"room for a multiple of 8 rows.",
	}
	source := "x *" + v.goType + ", stride, rows, n int, pos, neg *uint64, words int"
	if keep {
		v.kernel("selectExp", "a, b *float64, w *"+v.goType+", wStride int, "+source+", to, from *"+v.goType+", blocks int",
			append(doc, "It writes e^y, for pos -e^y, for others 0, to w[i·wStride+j], and anything on to the end of the row's",
				"last group. Meanwhile it copies blocks of 256 bytes, past the caches, to a multiple of 64 bytes,",
				"without a fence.")...)
	} else {
		v.kernel("selectSums", "a, b *float64, "+source, doc...)
	}
	// There are registers for all but these.
	length, rows, wStride := v.argument("n"), v.argument("rows"), operand.Mem{}
	a, b := v.argument("a"), v.argument("b")
	var w gpreg
	var side *sideCopy
	if keep {
		w, wStride = v.param("w"), v.argument("wStride")
		v.SHLQ(operand.U8(log2(v.size)), wStride)
		side = &sideCopy{v, v.param("to"), v.param("from"), v.param("blocks")}
	}
	x, stride := v.param("x"), v.stride("stride")
	s := newSides(v)
	magic, low, high := v.naturalRange()
	e := newExponential(v, magic, !v.double())
	negative, positive := newSelected(v), newSelected(v)
	v.Attributes(0) // the frame is too large for NOSPLIT
	sums := newRowSums(v, 2)
	sums.slot = v.GP64()

	var (
		row, group, last = v.newLabel("row"), v.newLabel("group"), v.newLabel("last")
		rest, half, done = v.newLabel("rest"), v.newLabel("half"), v.newLabel("done")
		one              = v.newLabel("one")
		goTo             = func(label string) operand.LabelRef { return operand.LabelRef(label) }
		off, left        = v.GP64(), v.GP64()
		size             = 4 * v.lanes // of a group
	)
	// terms adds the first vectors of a group; whole tells that all its
	// elements exist. Elements that take no part are not read otherwise.
	terms := func(vectors int, whole bool) {
		s.group(off)
		for h := range v.regs() {
			// The registers of the same lanes, two at a time, or four where
			// there are registers enough.
			step := min(2, vectors)
			if v.wide() && !v.double() {
				step = vectors
			}
			for first := 0; first < vectors; first += step {
				var y []vreg
				var k []mask // of the positives
				for i := range step {
					number := (first+i)*v.regs() + h
					mem := operand.Mem{Base: x, Index: off, Scale: 1, Disp: number * v.bytes}
					r, of := v.reg(), s.mask(s.pos, number)
					if whole {
						v.move(mem, r)
					} else {
						v.load(v.union(s.mask(s.neg, number), of), mem, r)
					}
					if h == 0 {
						mem.Disp += prefetchAhead
						v.PREFETCHT0(mem)
					}
					v.flip(of, r)
					v.clamp(r, low, high)
					y, k = append(y, r), append(k, of)
				}
				p, q := e.evaluate(y)
				if !v.wide() {
					k = nil // AVX2 has no registers for masks
				}
				for i := 0; i < step; i += 2 {
					number, end := (first+i)*v.regs()+h, min(i+2, step)
					p, q, k, more := p[i:end], q[i:end], k[min(i, len(k)):], first+i > 0
					if !keep {
						negative.pair(v.masks(s, s.neg, nil, number, len(p)), more, p, q)
						positive.pair(v.masks(s, s.pos, k, number, len(p)), more, p, q)
						continue
					}
					of := func(side gpreg, k []mask) func(i int) mask {
						return func(i int) mask {
							if len(k) > 0 {
								return k[i]
							}
							return s.mask(side, number+i*v.regs())
						}
					}
					n, t := v.signed(p, q, of(s.neg, nil), of(s.pos, k), func(i int) operand.Mem {
						return operand.Mem{Base: w, Index: off, Scale: 1, Disp: (number + i*v.regs()) * v.bytes}
					})
					negative.pair(nil, more, n, nil)
					positive.pair(nil, more, t, nil)
				}
			}
			negative.lanes(h)
			positive.lanes(h)
		}
	}

	v.CMPQ(rows, operand.U8(0))
	v.JEQ(goTo(last))
	sums.begin()
	var line *pipeline
	if v.wide() {
		line = newPipeline(e, low, high)
		at := &rowPlaces{x: x, stride: stride, w: w, wStride: wStride}
		for vectors := 1; vectors <= 4; vectors *= 2 {
			long := v.newLabel("long")
			v.CMPQ(length, operand.U8(vectors*v.lanes))
			v.JG(goTo(long))
			groupsOfRows(line, s, sums, side, at, vectors, length, rows, a, b)
			v.CMPQ(rows, operand.U8(0))
			v.JEQ(goTo(last))
			v.JMP(goTo(row))
			v.Label(long)
		}
	}
	v.Label(row)
	negative.clear()
	positive.clear()
	v.XORQ(off, off)
	v.MOVQ(length, left)
	v.SUBQ(operand.U32(size), left)
	v.JL(goTo(rest))
	if v.wide() {
		next := v.GP64()
		this, following := s.groupAt(x, off, w, off), s.groupAt(x, next, w, off)
		line.begin(this)
		// The lanes of a group are added while the next is evaluated.
		negative.group, positive.group = v.reg(), v.reg()
		v.zero(negative.group)
		v.zero(positive.group)
		lanes := func() {
			n, t := negative.group, positive.group
			negative.lanes(0)
			positive.lanes(0)
			negative.group, positive.group = n, t
		}
		v.Label(group)
		side.block()
		// After the last one the same is loaded again.
		v.LEAQ(operand.Mem{Base: off, Disp: 256}, next)
		v.SUBQ(operand.U32(size), left)
		v.CMOVQLT(off, next)
		n, t := line.group(this, following, lanes)
		v.move(v.groupSum(n), negative.group)
		v.move(v.groupSum(t), positive.group)
		v.ADDQ(operand.I32(256), off)
		v.TESTQ(left, left)
		v.JGE(goTo(group))
		lanes()
	} else {
		v.Label(group)
		side.block()
		terms(4, true)
		v.ADDQ(operand.I32(256), off)
		v.SUBQ(operand.U32(size), left)
		v.JGE(goTo(group))
	}
	v.Label(rest)
	v.ADDQ(operand.U32(size), left)
	v.JZ(goTo(done))
	side.block()
	v.CMPQ(left, operand.U8(2*v.lanes))
	v.JBE(goTo(half))
	terms(4, false)
	v.JMP(goTo(done))
	v.Label(half)
	v.CMPQ(left, operand.U8(v.lanes))
	v.JBE(goTo(one))
	terms(2, false)
	v.JMP(goTo(done))
	v.Label(one)
	terms(1, false)
	v.Label(done)
	v.ADDQ(stride, x)
	if keep {
		v.ADDQ(wStride, w)
	}
	s.next()
	sums.put(0, 0, negative.quantities())
	sums.put(1, 0, positive.quantities())
	sums.next(1, rows, row, a, b)
	v.Label(last)
	side.rest()
	v.VZEROUPPER()
	v.RET()
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
	// As the root package computes them.
	scale, most, least, bias := math.Ln2, 126.9, -125.9, 0x1.8p23+127
	if v.double() {
		most, least, bias = 1022.9, -1021.9, 0x1.8p52+1023
	}
	place := func(x float64) op {
		if v.wide() {
			return v.inRegister(v.constant(x))
		}
		return v.constant(x)
	}
	return place(bias), place(least * scale), place(most * scale)
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
	sum, err []vreg        // AVX-512, and the sums of float32 on AVX2
	stack    []operand.Mem // of float64 on AVX2: sum, err of lanes 0-3, then of 4-7
	group    vreg          // the group's sum so far, lanes of one register
	low      vreg          // AVX2, float32: the group's sum of lanes 0-7
}

func newSelected(v *vec) *selected {
	a := &selected{vec: v}
	switch {
	case v.wide() && v.double():
		a.sum, a.err = []vreg{v.reg()}, []vreg{v.reg()}
	case v.wide():
		a.sum = []vreg{v.reg()}
	case v.double():
		for range 4 {
			a.stack = append(a.stack, v.AllocLocal(v.bytes))
		}
	default:
		a.sum = []vreg{v.reg(), v.reg()}
	}
	return a
}

func (a *selected) clear() { a.clearLanes(a.stack, a.sum, a.err) }

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

// masks returns the masks of a side for so many registers of the same lanes,
// from number first of the group on, unless they are in k.
func (v *vec) masks(s *sides, side gpreg, k []mask, first, count int) []mask {
	if len(k) > 0 {
		return k
	}
	for i := range count {
		k = append(k, s.mask(side, first+i*v.regs()))
	}
	return k
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

// pair adds the terms p·q in the lanes of k, of two registers of the same lanes
// or one; without q the terms p. more tells that they are not the group's first.
func (a *selected) pair(k []mask, more bool, p, q []vreg) {
	sum := p[0]
	if q != nil {
		sum = a.reg()
		a.mulKeep(k[0], p[0], q[0], sum)
	}
	switch {
	case len(p) < 2:
	case q == nil:
		a.add(sum, p[1], sum)
	default:
		a.addProduct(k[1], p[1], q[1], sum)
	}
	if more {
		a.add(a.group, sum, a.group)
	} else {
		a.group = sum
	}
}

// lanes adds the group's sum of the lanes of register h of a virtual vector.
func (a *selected) lanes(h int) {
	switch {
	case a.stack != nil:
		sum, err := a.reg(), a.reg()
		a.move(a.stack[2*h], sum)
		a.move(a.stack[2*h+1], err)
		a.twoSum(sum, err, a.group)
		a.move(sum, a.stack[2*h])
		a.move(err, a.stack[2*h+1])
	case a.double():
		a.twoSum(a.sum[0], a.err[0], a.group)
	case a.wide():
		low, high := a.split(a.group)
		a.VADDPS(high, low, low)
		r := a.reg()
		a.VCVTPS2PD(low, r)
		a.VADDPD(r, a.sum[0], a.sum[0])
	case h == 0:
		a.low = a.group
	default:
		a.add(a.low, a.group, a.low)
		low, high := a.widen(a.low)
		a.VADDPD(low, a.sum[0], a.sum[0])
		a.VADDPD(high, a.sum[1], a.sum[1])
	}
}

// store combines the lanes and writes the row's sum.
func (a *selected) store(out gpreg) {
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
	a.VMOVSD(r[0], at(out, 0))
	a.ADDQ(operand.U8(8), out)
}

// quantities returns the row's lanes: the sums and, for float64, the errors.
func (a *selected) quantities() [][]vreg {
	sum, err := a.sum, a.err
	if a.stack != nil {
		sum, err = nil, nil
		for i, m := range a.stack {
			r := a.inRegister(m)
			if i%2 == 0 {
				sum = append(sum, r)
			} else {
				err = append(err, r)
			}
		}
	}
	if a.double() {
		return [][]vreg{sum, err}
	}
	return [][]vreg{sum}
}
