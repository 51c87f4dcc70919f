package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// This file emits the kernels of short rows that take the elements of many rows as one
// row (see kernel/short.go).

// shortExp emits the exponentials of elements one after the other, with the signs
// of their sides.
func shortExp(v *vec, part bool) {
	w, x, n := v.param("w"), v.param("x"), v.param("n")
	s := &shortBits{vec: v, pos: v.param("pos")}
	if part {
		s.part = v.param("part")
	}
	magic, low, high := v.naturalRange()
	e := newExponential(v, magic, true)
	smallest := v.inRegister(v.constant(1))
	// finish writes the exponentials p·q of registers from number first on.
	finish := func(p, q []vreg, first int) {
		for i := range p {
			v.mul(p[i], q[i], p[i])
			v.min(p[i], smallest, smallest) // which stays where p is NaN
			v.keep(s.exists(first+i), p[i], p[i])
			s.change(s.sign(first+i), p[i])
			v.move(p[i], at(w, (first+i)*v.bytes))
		}
	}
	loop, done := v.newLabel("group"), v.newLabel("done")
	v.TESTQ(n, n)
	v.JZ(operand.LabelRef(done))
	if v.wide() {
		s.wideGroups(newPipeline(e, low, high), x, w, n, 64, loop, func(p, q []vreg) { finish(p, q, 0) })
	} else {
		v.Label(loop)
		v.prefetch(at(x, 0), 0)
		v.prefetch(at(x, 64), 0)
		var y []vreg
		for i := range 4 {
			r := v.reg()
			v.move(at(x, i*v.bytes), r)
			s.change(s.sign(i), r)
			y = append(y, r)
		}
		below, above := v.asRegister(low), v.asRegister(high)
		for _, r := range y {
			v.clamp(r, below, above)
		}
		p, q := e.evaluate(y)
		finish(p, q, 0)
		s.next()
		v.ADDQ(operand.I32(128), x)
		v.ADDQ(operand.I32(128), w)
		v.SUBQ(operand.U8(32), n)
	}
	v.JNZ(operand.LabelRef(loop))
	v.Label(done)
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
}

// shortOdds emits the exponentials, and with grad the gradient, of elements one after
// the other. Groups of which not every element takes part lie behind the loop.
func shortOdds(v *vec, grad bool) {
	w, x, n := v.param("w"), v.param("x"), v.param("n")
	s := &shortBits{vec: v, pos: v.param("pos"), part: v.param("part")}
	size := 4 * v.perReg() // of a group
	bias, least, most := zeroToInf(v.elem)
	var factor, minus vreg
	var dst gpreg
	if grad {
		dst, factor = v.param("dst"), v.reg()
		scale := v.param("scale")
		v.VBROADCASTSD(at(scale, 0), factor)
		v.toElement(factor)
		if !v.wide() {
			minus = v.reg()
			v.xor(factor, v.asRegister(v.constant(math.Copysign(0, -1))), minus)
		}
	}
	magic, low, high := v.held(bias), v.held(least), v.held(most)
	e := newExponential(v, magic, !v.double())
	loop, done := v.newLabel("group"), v.newLabel("done")
	some, ready := v.newLabel("some"), v.newLabel("ready")
	// finish writes the exponentials p·q, and the gradient.
	finish := func(p, q []vreg, sign func(i int) mask) {
		for i := range p {
			v.mul(p[i], q[i], p[i])
		}
		switch size {
		case 64:
			v.CMPQ(at(s.part, 0), operand.I8(-1))
		case 32:
			v.CMPL(at(s.part, 0), operand.I8(-1))
		default:
			v.CMPW(at(s.part, 0), operand.I8(-1))
		}
		v.JNE(operand.LabelRef(some))
		v.Label(ready)
		for i := range p {
			v.move(p[i], at(w, i*v.bytes))
		}
		if !grad {
			return
		}
		one := v.shared(v.constant(1), len(p))
		for i := range p {
			g := v.reg()
			v.add(p[i], one, g)
			v.either(v.VDIVPS, v.VDIVPD, g, p[i], g)
			if v.wide() {
				v.flip(sign(i), g)
				v.mul(g, factor, g)
			} else {
				f := v.reg()
				v.choose(v.leadingBits(at(s.pos, 0), i), minus, factor, f)
				v.mul(g, f, g)
			}
			v.move(g, at(dst, i*v.bytes))
		}
		v.ADDQ(operand.I32(4*v.bytes), dst)
	}
	var terms []vreg
	v.TESTQ(n, n)
	v.JZ(operand.LabelRef(done))
	if v.wide() {
		s.wideGroups(newPipeline(e, low, high), x, w, n, size, loop, func(p, q []vreg) {
			finish(p, q, s.sign)
			terms = p
		})
	} else {
		v.Label(loop)
		v.prefetch(at(x, 0), 0)
		v.prefetch(at(x, 64), 0)
		var y []vreg
		for i := range 4 {
			r := s.sign(i)
			v.xor(r, at(x, i*v.bytes), r)
			y = append(y, r.(vreg))
		}
		below, above := v.asRegister(low), v.asRegister(high)
		for _, r := range y {
			v.clamp(r, below, above)
		}
		p, q := e.evaluate(y)
		finish(p, q, nil)
		terms = p
		v.ADDQ(operand.U8(size/8), s.pos)
		v.ADDQ(operand.U8(size/8), s.part)
		v.ADDQ(operand.I32(128), x)
		v.ADDQ(operand.I32(128), w)
		v.SUBQ(operand.U8(size), n)
	}
	v.JNZ(operand.LabelRef(loop))
	v.Label(done)
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
			v.keep(s.exists(i), p, p)
			continue
		}
		kept := v.reg()
		v.choose(v.leadingBits(at(s.part, 0), i), p, zeros, kept)
		v.move(kept, p)
	}
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
// and l+24, in 8 lanes.
func shortLogs(v *vec) {
	q, w, rows, n := v.param("q"), v.param("w"), v.param("rows"), v.param("n")
	stride, rest := v.GP64(), v.GP64()
	v.MOVQ(n, stride)
	v.SHLQ(operand.U8(3), stride)
	v.LEAQ(operand.Mem{Base: n, Disp: -1}, rest)
	v.ANDQ(operand.U8(7), rest)
	v.INCQ(rest)
	halves := 64 / v.bytes
	tail := v.tailMasks(rest, halves)
	if !v.wide() {
		for i, m := range tail {
			tail[i] = v.inRegister(m.(operand.Mem))
		}
	}
	g := newLogarithms(v)
	loop, joined, done := v.newLabel("rows"), v.newLabel("joined"), v.newLabel("done")
	v.TESTQ(rows, rows)
	v.JZ(operand.LabelRef(done))
	v.Label(loop)
	unit := func(u int, last bool) (r []vreg) {
		for i := range halves {
			x, m := v.reg(), at(w, 64*u+i*v.bytes)
			switch {
			case !last:
				v.move(m, x)
			case v.wide():
				v.load(tail[i], m, x)
			default:
				v.and(tail[i], m, x) // what follows may be read
			}
			r = append(r, x)
		}
		return r
	}
	join := func(x, y []vreg) {
		for i := range x {
			v.joinProducts(x[i], y[i])
		}
	}
	sum := v.newRegs(halves)
	begin := func(last bool) {
		for i, x := range unit(0, last) {
			v.move(x, sum[i])
		}
	}
	for units := 1; units <= 4; units++ {
		more := v.newLabel("more")
		if units < 4 {
			v.CMPQ(n, operand.U8(8*units))
			v.JG(operand.LabelRef(more))
		}
		begin(units == 1)
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
			v.JMP(operand.LabelRef(joined))
			v.Label(more)
		}
	}
	v.Label(joined)
	for i, x := range sum {
		none := v.reg()
		v.sub(x, x, none) // 0, or NaN
		log, _ := g.log1p(x)
		v.add(log, none, log)
		v.move(log, at(q, i*v.bytes))
	}
	v.ADDQ(operand.U8(64), q)
	v.ADDQ(stride, w)
	v.DECQ(rows)
	v.JNZ(operand.LabelRef(loop))
	v.Label(done)
	v.VZEROUPPER()
	v.RET()
}

// wideGroups emits, on AVX-512, a turn of the loop at label loop through groups of size
// elements at x: factors p and q of their exponentials go to finish while the arguments of
// the next group are loaded. It moves x, the bits and w on, counts n down and tests it.
func (s *shortBits) wideGroups(line *pipeline, x, w, n gpreg, size int, loop string, finish func(p, q []vreg)) {
	next, nextPos := s.GP64(), s.GP64()
	group := func(x, pos gpreg) *registerGroup {
		of := *s
		of.pos = pos
		return &registerGroup{x: func(i int) operand.Mem { return at(x, i*s.bytes) }, pos: of.sign}
	}
	line.begin(group(x, s.pos))
	s.Label(loop)
	// After the last group the same is loaded again.
	s.LEAQ(at(x, 256), next)
	s.LEAQ(at(s.pos, size/8), nextPos)
	s.SUBQ(operand.U8(size), n)
	s.CMOVQEQ(x, next)
	s.CMOVQEQ(s.pos, nextPos)
	finish(line.exponentials(group(next, nextPos), func() {}))
	s.MOVQ(next, x)
	s.MOVQ(nextPos, s.pos)
	if s.part != nil {
		s.ADDQ(operand.U8(size/8), s.part)
	}
	s.ADDQ(operand.I32(256), w)
	s.TESTQ(n, n)
}

// A shortBits has the sides of 32 elements, and which of them exist.
type shortBits struct {
	*vec
	pos, part gpreg // part is nil where all elements exist
}

// next moves on.
func (s *shortBits) next() {
	s.ADDQ(operand.U8(4), s.pos)
	if s.part != nil {
		s.ADDQ(operand.U8(4), s.part)
	}
}

// sign returns the sides of register i: on AVX2 as signs.
func (s *shortBits) sign(i int) mask {
	if s.wide() {
		k := s.newMask()
		s.loadMask(at(s.pos, s.perReg()/8*i), k)
		return k
	}
	r := s.leadingBits(at(s.pos, 0), i)
	s.and(r, s.constant(math.Copysign(0, -1)), r)
	return r
}

// change gives y the sign of its side, or takes it.
func (s *shortBits) change(k mask, y vreg) {
	if s.wide() {
		s.flip(k, y)
	} else {
		s.xor(y, k, y)
	}
}

// exists returns the elements of register i that exist; nil for all.
func (s *shortBits) exists(i int) mask {
	switch {
	case s.part == nil:
		return nil
	case s.wide():
		k := s.newMask()
		s.loadMask(at(s.part, s.perReg()/8*i), k)
		return k
	}
	r := s.leadingBits(at(s.part, 0), i)
	s.VPSRAD(operand.U8(31), r, r)
	return r
}
