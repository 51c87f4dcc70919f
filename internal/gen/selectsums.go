package gen

import (
	"github.com/mmcloughlin/avo/operand"
)

// selectSums emits the sums of e^x over the negative and of e^-x over the
// positive classes, one exponential an element; with one, those over the negative
// classes alone.
//
// A row is cut into groups of four virtual vectors v0 … v3. The terms of a side
// are added lane by lane as (v0+v1) + (v2+v3), 0 where an element is of the
// other side or of none. float32: then lane l+8 to lane l, and these 8 to
// float64 accumulators. float64: to 8 accumulators, exactly. A NaN of either
// side is in both sums.
//
// selectExp keeps the exponentials as well.
func selectSums(v *vec, one, keep bool) {
	k := &selectKernel{}
	// There are registers for all but these.
	k.length, k.rows = v.argument("n"), v.argument("rows")
	k.out = []operand.Mem{v.argument("a")}
	if !one {
		k.out = append(k.out, v.argument("b"))
	}
	if keep {
		k.w, k.wStride = v.param("w"), v.argument("wStride")
		v.SHLQ(operand.U8(log2(v.size)), k.wStride)
		k.copy = &sideCopy{v, v.param("to"), v.param("from"), v.param("blocks")}
	}
	k.x, k.stride = v.param("x"), v.stride("stride")
	k.sides = newSides(v, one)
	magic, low, high := v.naturalRange()
	e := newExponential(v, magic, !v.double())
	for range k.out {
		k.selected = append(k.selected, newAccumulator(v))
	}
	v.Attributes(0) // the frame is too large for NOSPLIT
	k.sums = newRowSums(v, len(k.out))
	k.left = v.GP64()
	if !v.double() && !one {
		registers := 4 * v.lanes / v.perReg()
		k.sixteen = newSixteenBits(v, registers, v.AllocLocal((registers+1)*v.bytes))
		if v.wide() {
			k.sixteen.rows([]string{"x16"}, []gpreg{k.x}, k.stride)
			k.row = v.AllocLocal(8)
		}
	}

	last := v.newLabel("last")
	v.CMPQ(k.rows, operand.U8(0))
	v.JEQ(operand.LabelRef(last))
	k.sums.begin()
	if v.wide() {
		k.off = v.GP64()
		k.wideRows(newPipeline(e, low, high))
	} else {
		k.narrowRows(e, low, high)
	}
	v.Label(last)
	k.copy.rest()
	v.VZEROUPPER()
	v.RET()
}

// A selectKernel is the state of selectSums, or without sides of narrowSumExp.
type selectKernel struct {
	*sides
	length, rows operand.Mem   // arguments
	out          []operand.Mem // arguments: where the sums go
	x, stride    gpreg
	w            gpreg // nil where the exponentials are not kept
	wStride      operand.Mem
	copy         *sideCopy
	selected     []*accumulator // negatives, positives
	sums         *rowSums       // of sides
	off, left    gpreg          // of the row: bytes done, on AVX-512; elements left
	sixteen      *sixteenBits
	row          operand.Mem // with that x, while it points at the next group
}

// nextRow puts down the lanes of a row and goes to the next, at label again, or on.
func (k *selectKernel) nextRow(again string) {
	move := func(step op, registers ...gpreg) {
		for _, r := range registers {
			if r != nil {
				k.ADDQ(step, r)
			}
		}
	}
	move(k.stride, k.x)
	move(k.step, k.pos, k.neg)
	if k.w != nil {
		k.ADDQ(k.wStride, k.w)
	}
	for i, s := range k.selected {
		k.sums.put(i, 0, s.lanes())
	}
	k.sums.next(1, k.rows)
	k.JL(operand.LabelRef(again))
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
	return v.held(bias), v.held(least), v.held(most)
}

// held returns a constant: on AVX-512 in a register.
func (v *vec) held(x float64) op {
	if v.wide() {
		return v.inRegister(v.constant(x))
	}
	return v.constant(x)
}

// clamp is y = min(max(y, low), high), y where it is NaN.
func (v *vec) clamp(y vreg, low, high op) {
	v.clampBelow(y, low)
	v.clampAbove(y, high)
}

// The instructions return their second source where either is NaN: that has to be
// y, and the other in a register.

func (v *vec) clampBelow(y vreg, low op)  { v.max(v.asRegister(low), y, y) }
func (v *vec) clampAbove(y vreg, high op) { v.min(v.asRegister(high), y, y) }

// asRegister returns a constant that may be in memory in a register.
func (v *vec) asRegister(x op) vreg {
	if r, ok := x.(vreg); ok {
		return r
	}
	return v.inRegister(x.(operand.Mem))
}

// shared returns a constant as an operand of so many instructions: where these are
// more than two, in a register, for a load takes as long as an operation.
func (v *vec) shared(x op, uses int) op {
	if uses > 2 && !v.wide() {
		return v.asRegister(x)
	}
	return x
}

// signed returns the terms p·q of the negatives, and of the positives, 0
// elsewhere, on AVX-512. Unless place is nil it writes the differences: a term's
// sign tells its side. Without pos there are no positives.
func (v *vec) signed(p, q []vreg, neg, pos func(i int) mask, place func(i int) operand.Mem) (n, t []vreg) {
	for i := range p {
		if pos == nil {
			v.mulKeep(neg(i), p[i], q[i], p[i])
			if place != nil {
				v.move(p[i], place(i))
			}
			n = append(n, p[i])
			continue
		}
		a, b := v.reg(), p[i]
		v.mulKeep(neg(i), p[i], q[i], a)
		v.mulKeep(pos(i), p[i], q[i], b)
		if place != nil {
			v.sub(a, b, q[i])
			v.move(q[i], place(i))
		}
		n, t = append(n, a), append(t, b)
	}
	return n, t
}
