package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// This file emits the kernels of short rows that take the elements of many rows as one
// row (see kernel/short.go).

// shortExp emits the exponentials of elements one after the other, with the signs
// of their sides. Groups of which not every element exists lie behind the loop.
func shortExp(v *vec) {
	l := newFlatLoop(v)
	l.pos, l.part = v.param("pos"), v.param("part")
	magic, low, high := v.naturalRange()
	e := newExponential(v, magic, true)
	smallest, given := v.inRegister(v.constant(1)), v.GP64()
	v.MOVQ(l.part, given) // which moves on
	some, ready := v.newLabel("some"), v.newLabel("ready")
	var terms []vreg
	l.run(e, low, high, func(p, q []vreg) {
		for i := range p {
			v.mul(p[i], q[i], p[i])
			v.min(p[i], smallest, smallest) // which stays where p is NaN
		}
		v.TESTQ(given, given)
		v.JNZ(operand.LabelRef(some))
		v.Label(ready)
		terms = p
		for i := range p {
			if k := l.sign(i); v.wide() {
				v.flip(k, p[i])
			} else {
				v.xor(p[i], k, p[i])
			}
			v.move(p[i], at(l.w, i*v.bytes))
		}
	})
	below, bits := v.newMask(), v.GP64()
	v.compare(less, smallest, v.constant(coef.LeastExp32), below)
	if v.wide() {
		v.KMOVW(below, bits.As32())
	} else {
		v.VMOVMSKPS(below, bits.As32())
	}
	v.Store(bits, v.ReturnIndex(0))
	v.VZEROUPPER()
	v.RET()
	v.Label(some)
	for i, p := range terms {
		v.keep(l.exists(i), p, p)
	}
	v.JMP(operand.LabelRef(ready))
}

// shortOdds emits the exponentials and, unless dst is nil, the gradient of elements one
// after the other. Groups of which not every element takes part lie behind the loop.
func shortOdds(v *vec) {
	l := newFlatLoop(v)
	l.pos, l.part = v.param("pos"), v.param("part")
	lost, dst := v.param("lost"), v.param("dst")
	bias, least, most := zeroToInf(v.elem)
	without, factor := v.newLabel("without"), v.reg()
	var minus vreg
	v.TESTQ(dst, dst)
	v.JZ(operand.LabelRef(without))
	v.VBROADCASTSD(at(v.param("scale"), 0), factor)
	v.toElement(factor)
	if !v.wide() {
		minus = v.reg()
		v.xor(factor, v.asRegister(v.constant(math.Copysign(0, -1))), minus)
	}
	v.Label(without)
	magic, low, high := v.held(bias), v.held(least), v.held(most)
	e := newExponential(v, magic, !v.double())
	some, ready, none := v.newLabel("some"), v.newLabel("ready"), v.newLabel("none")
	var terms []vreg
	l.run(e, low, high, func(p, q []vreg) {
		for i := range p {
			v.mul(p[i], q[i], p[i])
		}
		complete := v.newLabel("complete")
		v.TESTQ(lost, lost)
		v.JZ(operand.LabelRef(complete))
		for i := range p {
			r, mem := v.reg(), at(lost, i*v.bytes)
			if v.wide() {
				v.move(mem, r)
				v.flip(l.sign(i), r)
			} else {
				v.xor(l.sign(i), mem, r)
			}
			v.fmaAcc(p[i], r, p[i])
		}
		v.ADDQ(operand.I32(4*v.bytes), lost)
		v.Label(complete)
		l.unlessAll(some)
		v.Label(ready)
		for i := range p {
			v.move(p[i], at(l.w, i*v.bytes))
		}
		terms = p
		v.TESTQ(dst, dst)
		v.JZ(operand.LabelRef(none))
		one := v.shared(v.constant(1), len(p))
		for i := range p {
			g := v.reg()
			v.add(p[i], one, g)
			v.either(v.VDIVPS, v.VDIVPD, g, p[i], g)
			if v.wide() {
				v.flip(l.sign(i), g)
				v.mul(g, factor, g)
			} else {
				f := v.reg()
				v.choose(v.leadingBits(at(l.pos, 0), i), minus, factor, f)
				v.mul(g, f, g)
			}
			v.move(g, at(dst, i*v.bytes))
		}
		v.ADDQ(operand.I32(4*v.bytes), dst)
		v.Label(none)
	})
	v.VZEROUPPER()
	v.RET()
	v.Label(some)
	var zeros vreg
	if !v.wide() {
		zeros = v.reg()
		v.zero(zeros)
	}
	for i, p := range terms {
		if v.wide() {
			v.keep(l.exists(i), p, p)
			continue
		}
		kept := v.reg()
		v.choose(v.leadingBits(at(l.part, 0), i), p, zeros, kept)
		v.move(kept, p)
	}
	v.JMP(operand.LabelRef(ready))
}

// shortDifferences emits the differences of the elements of short rows and their thresholds.
// What is written after a row's end is overwritten by the next one.
func shortDifferences(v *vec) {
	y, lost, x, s0 := v.param("y"), v.param("lost"), v.param("x"), v.param("s0")
	rows, stride, off := v.param("rows"), v.stride("n"), v.GP64()
	row, group, done := v.newLabel("row"), v.newLabel("group"), v.newLabel("done")
	v.TESTQ(rows, rows)
	v.JZ(operand.LabelRef(done))
	v.Label(row)
	hi, lo := v.reg(), v.reg()
	v.VBROADCASTSD(at(s0, 0), hi)
	if v.double() {
		v.zero(lo)
	} else {
		s := v.reg()
		v.move(hi, s)
		v.toElement(hi)
		low, _ := v.split(hi)
		v.VCVTPS2PD(low, lo)
		v.VSUBPD(lo, s, lo)
		v.toElement(lo)
	}
	v.XORQ(off, off)
	v.Label(group)
	place := func(base gpreg) operand.Mem { return operand.Mem{Base: base, Index: off, Scale: 1} }
	d, short := v.difference(v.inRegister(place(x)), hi, lo)
	v.move(d, place(y))
	v.move(short, place(lost))
	v.ADDQ(operand.I32(v.bytes), off)
	v.CMPQ(off, stride)
	v.JL(operand.LabelRef(group))
	for _, r := range []gpreg{y, lost, x} {
		v.ADDQ(stride, r)
	}
	v.ADDQ(operand.U8(8), s0)
	v.DECQ(rows)
	v.JNZ(operand.LabelRef(row))
	v.Label(done)
	v.VZEROUPPER()
	v.RET()
}

// shortSoft emits the exponentials, the linear parts and, unless dst is nil, the gradient of
// elements with soft labels. What is to be 0 is made so behind the loop.
func shortSoft(v *vec) {
	l := newFlatLoop(v)
	l.part = v.param("part")
	t, m, dst := v.param("t"), v.param("m"), v.param("dst")
	linear, factor := newSoftLinearPart(v), v.place()
	l.absolute = linear.sign
	bias, _, _ := zeroToInf(v.elem)
	e := newExponential(v, v.held(bias), false)
	without := v.newLabel("without")
	v.TESTQ(dst, dst)
	v.JZ(operand.LabelRef(without))
	f := v.reg()
	v.VBROADCASTSD(at(v.param("scale"), 0), f)
	v.toElement(f)
	v.move(f, factor)
	v.Label(without)
	some, ready, none := v.newLabel("some"), v.newLabel("ready"), v.newLabel("none")
	l.run(e, linear.low, nil, func(p, q []vreg) {
		for i := range p {
			v.mul(p[i], q[i], p[i])
			v.move(p[i], at(l.w, i*v.bytes))
		}
		for i := range p {
			r, _ := linear.part(at(l.x, i*v.bytes), at(t, i*v.bytes))
			v.move(r, at(m, i*v.bytes))
		}
		v.TESTQ(dst, dst)
		v.JZ(operand.LabelRef(none))
		for i := range p {
			v.move(linear.gradient(p[i], at(l.x, i*v.bytes), at(t, i*v.bytes), factor), at(dst, i*v.bytes))
		}
		v.ADDQ(operand.I32(4*v.bytes), dst)
		v.Label(none)
		l.unlessAll(some)
		v.Label(ready)
		for _, p := range []gpreg{t, m} {
			v.ADDQ(operand.I32(4*v.bytes), p)
		}
	})
	v.VZEROUPPER()
	v.RET()
	v.Label(some)
	keep := func(base gpreg, disp int) {
		for i := range 4 {
			r, mem := v.reg(), at(base, disp+i*v.bytes)
			if v.wide() {
				v.load(l.exists(i), mem, r)
			} else {
				zeros := v.reg()
				v.zero(zeros)
				v.choose(v.leadingBits(at(l.part, 0), i), v.inRegister(mem), zeros, r)
			}
			v.move(r, mem)
		}
	}
	keep(l.w, 0)
	keep(m, 0)
	v.TESTQ(dst, dst)
	v.JZ(operand.LabelRef(ready))
	keep(dst, -4*v.bytes)
	v.JMP(operand.LabelRef(ready))
}

// toElement makes float64 lanes of one number lanes of the element type.
func (v *vec) toElement(r vreg) {
	if v.double() {
		return
	}
	if v.wide() {
		v.VCVTPD2PS(r, r.AsY())
	} else {
		v.VCVTPD2PSY(r, r.AsX())
	}
	v.VBROADCASTSS(r.AsX(), r)
}

// shortLogs emits the logarithms of the joins of a short row's elements l, l+8, l+16
// and l+24, in 8 lanes, and adds linear parts to them.
func shortLogs(v *vec) {
	q, w, m, rows, n := v.param("q"), v.param("w"), v.param("m"), v.param("rows"), v.param("n")
	stride := v.GP64()
	v.MOVQ(n, stride)
	v.SHLQ(operand.U8(3), stride)
	r := &rowLanes{vec: v, n: n, tail: v.lastUnit(n, 8)}
	g := newLogarithms(v)
	loop, without, done := v.newLabel("rows"), v.newLabel("without"), v.newLabel("done")
	v.TESTQ(rows, rows)
	v.JZ(operand.LabelRef(done))
	v.Label(loop)
	for i, x := range r.joined(w, v.joinProducts) {
		none := v.reg()
		v.sub(x, x, none) // 0, or NaN
		log, _ := g.log1p(x)
		v.add(log, none, log)
		v.move(log, at(q, i*v.bytes))
	}
	v.TESTQ(m, m)
	v.JZ(operand.LabelRef(without))
	for i, x := range r.joined(m, func(x, y vreg) { v.add(x, y, x) }) {
		v.add(x, at(q, i*v.bytes), x)
		v.move(x, at(q, i*v.bytes))
	}
	v.ADDQ(stride, m)
	v.Label(without)
	v.ADDQ(operand.U8(64), q)
	v.ADDQ(stride, w)
	v.DECQ(rows)
	v.JNZ(operand.LabelRef(loop))
	v.Label(done)
	v.VZEROUPPER()
	v.RET()
}

// rowLanes brings short rows of float64 to 8 lanes.
type rowLanes struct {
	*vec
	n    gpreg
	tail []mask // of the registers of the last 8 elements
}

// joined returns the elements l, l+8, l+16 and l+24 of the row at base, joined.
func (r *rowLanes) joined(base gpreg, one func(x, y vreg)) (sum []vreg) {
	unit := func(u int, last bool) (x []vreg) {
		for i := range 64 / r.bytes {
			d, m := r.reg(), at(base, 64*u+i*r.bytes)
			switch {
			case !last:
				r.move(m, d)
			case r.wide():
				r.load(r.tail[i], m, d)
			default:
				r.and(r.tail[i], m, d) // what follows may be read
			}
			x = append(x, d)
		}
		return x
	}
	join := func(x, y []vreg) {
		for i := range x {
			one(x[i], y[i])
		}
	}
	sum = r.newRegs(64 / r.bytes)
	joined := r.newLabel("joined")
	for units := 1; units <= 4; units++ {
		more := r.newLabel("more")
		if units < 4 {
			r.CMPQ(r.n, operand.U8(8*units))
			r.JG(operand.LabelRef(more))
		}
		for i, x := range unit(0, units == 1) {
			r.move(x, sum[i])
		}
		if units > 1 {
			join(sum, unit(1, units == 2))
		}
		if units > 2 {
			x := unit(2, units == 3)
			if units > 3 {
				join(x, unit(3, true))
			}
			join(sum, x)
		}
		if units < 4 {
			r.JMP(operand.LabelRef(joined))
			r.Label(more)
		}
	}
	r.Label(joined)
	return sum
}

// A flatLoop runs through elements one after the other, whatever their rows, by groups of
// four registers: there are no rests.
type flatLoop struct {
	*vec
	w, x, n   gpreg // terms and scores of the group; elements left
	pos, part gpreg // the bits of its positives and of those that exist; nil for none and for all
	absolute  op    // the sign, with which the arguments are -|x|; nil for others
}

func newFlatLoop(v *vec) *flatLoop {
	return &flatLoop{vec: v, w: v.param("w"), x: v.param("x"), n: v.param("n")}
}

// size is the number of elements of a group.
func (l *flatLoop) size() int { return 4 * l.perReg() }

// run emits the loop: factors p and q of a group's exponentials go to finish, on AVX-512
// while the arguments of the next group are loaded.
func (l *flatLoop) run(e *exponential, low, high op, finish func(p, q []vreg)) {
	loop, done := l.newLabel("group"), l.newLabel("done")
	l.TESTQ(l.n, l.n)
	l.JZ(operand.LabelRef(done))
	if l.wide() {
		l.ahead(newPipeline(e, low, high), loop, finish)
	} else {
		l.Label(loop)
		finish(e.evaluate(l.arguments(low, high)))
		l.moveOn(l.pos, l.part)
		l.ADDQ(operand.I32(4*l.bytes), l.x)
		l.ADDQ(operand.I32(4*l.bytes), l.w)
		l.SUBQ(operand.U8(l.size()), l.n)
	}
	l.JNZ(operand.LabelRef(loop))
	l.Label(done)
}

// ahead emits, on AVX-512, a turn of the loop at that label.
func (l *flatLoop) ahead(line *pipeline, loop string, finish func(p, q []vreg)) {
	next, nextPos := l.GP64(), l.GP64()
	group := func(x, pos gpreg) *registerGroup {
		g := &registerGroup{x: func(i int) operand.Mem { return at(x, i*l.bytes) }, sign: l.absolute}
		if l.pos != nil {
			of := *l
			of.pos = pos
			g.pos = of.sign
		}
		return g
	}
	line.begin(group(l.x, l.pos))
	l.Label(loop)
	// After the last group the same is loaded again.
	l.LEAQ(at(l.x, 256), next)
	if l.pos != nil {
		l.LEAQ(at(l.pos, l.size()/8), nextPos)
	}
	l.SUBQ(operand.U8(l.size()), l.n)
	l.CMOVQEQ(l.x, next)
	if l.pos != nil {
		l.CMOVQEQ(l.pos, nextPos)
	}
	finish(line.exponentials(group(next, nextPos), func() {}))
	l.MOVQ(next, l.x)
	if l.pos != nil {
		l.MOVQ(nextPos, l.pos)
	}
	l.moveOn(l.part)
	l.ADDQ(operand.I32(256), l.w)
	l.TESTQ(l.n, l.n)
}

// moveOn moves those of the bits that there are on to the next group.
func (l *flatLoop) moveOn(bits ...gpreg) {
	for _, b := range bits {
		if b != nil {
			l.ADDQ(operand.U8(l.size()/8), b)
		}
	}
}

// arguments loads the arguments of a group, on AVX2.
func (l *flatLoop) arguments(low, high op) (y []vreg) {
	l.prefetch(at(l.x, 0), 0)
	l.prefetch(at(l.x, 64), 0)
	below := l.asRegister(low)
	var sign vreg
	if l.absolute != nil {
		sign = l.asRegister(l.absolute)
	}
	for i := range 4 {
		r, x := l.reg(), at(l.x, i*l.bytes)
		switch {
		case sign != nil:
			l.or(sign, x, r)
			l.max(below, r, r)
		case l.pos == nil:
			l.max(below, x, r)
		default:
			l.xor(l.sign(i), x, r)
			l.max(below, r, r)
		}
		y = append(y, r)
	}
	if high == nil {
		return y
	}
	above := l.asRegister(high)
	for _, r := range y {
		l.min(above, r, r)
	}
	return y
}

// unlessAll jumps unless every element of the group takes part.
func (l *flatLoop) unlessAll(label string) {
	switch l.size() {
	case 64:
		l.CMPQ(at(l.part, 0), operand.I8(-1))
	case 32:
		l.CMPL(at(l.part, 0), operand.I8(-1))
	default:
		l.CMPW(at(l.part, 0), operand.I8(-1))
	}
	l.JNE(operand.LabelRef(label))
}

// sign returns the sides of register i: on AVX2 as signs.
func (l *flatLoop) sign(i int) mask {
	if l.wide() {
		return l.bitsAt(l.pos, i)
	}
	r := l.leadingBits(at(l.pos, 0), i)
	l.and(r, l.constant(math.Copysign(0, -1)), r)
	return r
}

// exists returns the elements of register i that exist; nil for all.
func (l *flatLoop) exists(i int) mask {
	switch {
	case l.part == nil:
		return nil
	case l.wide():
		return l.bitsAt(l.part, i)
	}
	r := l.leadingBits(at(l.part, 0), i)
	l.VPSRAD(operand.U8(31), r, r)
	return r
}

// bitsAt returns the bits of register i, on AVX-512.
func (l *flatLoop) bitsAt(bits gpreg, i int) mask {
	k := l.newMask()
	l.loadMask(at(bits, l.perReg()/8*i), k)
	return k
}
