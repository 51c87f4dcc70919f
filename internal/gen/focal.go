package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// A focalKind is a form of the kernel: with thresholds and weights, or one that
// writes terms in place of their sum.
type focalKind struct{ weighted, terms bool }

// An x86Focal emits the kernel of focal binary cross-entropy in two loops, on AVX-512
// three, each through all elements: a processor cannot look far enough ahead to hide the
// latency of the whole formula.
type x86Focal struct {
	*vec
	focalKind
	arithmetic  x86Arithmetic
	focal       focal[[]vreg]
	side        int         // registers that go through a formula side by side
	sides       *sides      // of the last loop
	some, ready string      // AVX2: labels
	kept, off   gpreg       // what the loops leave for the next: of four registers keptLen quantities
	dst, out    gpreg       // of the last loop
	factor, f   op          // of the row, and the exponent
	exist       operand.Mem // AVX-512: the elements that exist, as bits
	buffer      operand.Mem // AVX2: of a rest
}

// emitFocal emits the kernel.
func emitFocal(v *vec, kind focalKind) {
	f := &x86Focal{vec: v, focalKind: kind, off: v.GP64()}
	if !v.wide() {
		f.buffer = v.AllocLocal(128)
	}
	last := v.newLabel("last")
	v.CMPQ(v.argument("rows"), operand.U8(0))
	v.JEQ(operand.LabelRef(last))
	f.exponentials()
	if !f.ahead() {
		f.quotients()
	}
	f.elements()
	v.Label(last)
	v.VZEROUPPER()
	v.RET()
}

// begin sets the arithmetic of a loop: at most so many registers side by side, and
// constants in registers.
func (f *x86Focal) begin(most int, constants ...float64) {
	if f.side = min(most, 2); f.wide() && !f.double() {
		f.side = most
	} else if f.double() && !f.wide() {
		f.side = 1
	}
	a := newX86Arithmetic(f.vec)
	if !f.double() {
		a.hold(constants...)
	}
	f.arithmetic = a
	f.focal = focal[[]vreg]{arithmetic: sideBySide[vreg]{a, f.side}, elem: f.elem}
}

// exponentials emits the first loop.
func (f *x86Focal) exponentials() {
	v := f.vec
	log2e, ln2Hi, ln2Lo, coefs := expConstants(v.elem)
	magic, _, _ := pivot0(v.elem)
	side := 4
	if f.weighted {
		side = 2
	}
	f.begin(side, append(coefs, 1, magic, log2e, -ln2Hi, -ln2Lo)...)
	f.kept = v.param("kept")
	x, rows, left := v.param("x"), v.param("rows"), v.GP64()
	s := &sides{vec: v, pos: v.param("pos"), neg: v.param("neg"), at: v.GP64()}
	var p gpreg
	if f.weighted {
		p = v.param("p")
	}
	group := v.newLabel("exponentials")
	some, ready := v.newLabel("some"), v.newLabel("ready")
	from := x
	if f.buffered() {
		from = v.GP64()
	}
	(&rowLoop{vec: v, rows: rows, some: true}).eachRow(func() {
		v.XORQ(f.off, f.off)
		v.Load(v.Param("n"), left)
		v.Label(group)
		s.group(f.off)
		if f.buffered() {
			v.MOVQ(x, from)
			s.unlessAll(some)
			v.Label(ready)
		}
		for first := 0; first < 4; first += f.side {
			var down, lacks []vreg
			for i := first; i < first+f.side; i++ {
				y, d, short := f.argument(s, i, f.place(from, i), p)
				if down = append(down, d); f.weighted {
					lacks = append(lacks, short)
				}
				v.move(y, f.keptAt(i, 0))
			}
			var short *[]vreg
			if f.weighted {
				short = &lacks
			}
			e, c := f.focal.exponential(down, short)
			for k := range e {
				i := first + k
				v.move(e[k], f.keptAt(i, 1))
				v.move(c[k], f.keptAt(i, 2))
			}
		}
		f.next()
		v.SUBQ(operand.U8(4*f.perReg()), left)
		v.JG(operand.LabelRef(group))
		v.ADDQ(v.stride("stride"), x)
		s.nextRow()
		if f.weighted {
			v.ADDQ(operand.U8(3*v.size), p)
		}
	})
	if !f.buffered() {
		return
	}
	// A group of which not all take part goes through the buffer.
	done := v.newLabel("done")
	v.JMP(operand.LabelRef(done))
	v.Label(some)
	for i := range 4 {
		part, y := s.leading(i), v.reg()
		v.load(part, f.place(x, i), y) // nothing beyond the row
		v.move(v.partOf(part, y), f.register(f.buffer, i))
	}
	v.LEAQ(f.buffer, from)
	v.SUBQ(f.off, from)
	v.JMP(operand.LabelRef(ready))
	v.Label(done)
}

// again loads a quantity of the registers from first on.
func (f *x86Focal) again(quantity, first int) (r []vreg) {
	for i := first; i < first+f.side; i++ {
		r = append(r, f.inRegister(f.keptAt(i, quantity)))
	}
	return r
}

// keptLen is the number of quantities that are kept of an element: y, e, what e lacks and on
// AVX-512 later the error of q, and q.
const keptLen = 4

// buffered reports whether the formula takes it that all elements of a group take
// part, and others are copied to the buffer: of float32 on AVX2, where masks are dear.
func (f *x86Focal) buffered() bool { return !f.wide() && !f.double() && !f.weighted }

// bitsOf is the place of the bits of a group.
func (s *sides) bitsOf(side gpreg) operand.Mem {
	return operand.Mem{Base: side, Index: s.at, Scale: 1}
}

// unlessAll jumps, on AVX2, unless every element of the group takes part.
func (s *sides) unlessAll(label string) {
	part := s.GP64()
	if s.double() {
		more := s.GP64()
		s.MOVWLZX(s.bitsOf(s.pos), part.As32())
		s.MOVWLZX(s.bitsOf(s.neg), more.As32())
		s.ORQ(more, part)
		s.CMPQ(part, operand.I32(1<<16-1))
	} else {
		s.MOVL(s.bitsOf(s.pos), part.As32())
		s.ORL(s.bitsOf(s.neg), part.As32())
		s.CMPL(part.As32(), operand.I8(-1))
	}
	s.JNE(operand.LabelRef(label))
}

// leading returns, on AVX2, a register whose signs tell which elements of register i take
// part.
func (s *sides) leading(i int) vreg {
	part := s.leadingBits(s.bitsOf(s.pos), i)
	s.or(part, s.leadingBits(s.bitsOf(s.neg), i), part)
	return part
}

// argument returns y of register i, whose elements are at x, -|y|, and with thresholds what
// it is short of.
func (f *x86Focal) argument(s *sides, i int, x operand.Mem, p gpreg) (y, down, short vreg) {
	f.prefetch(x, i)
	var pos, part mask // of AVX2 their signs
	if f.wide() {
		pos = s.mask(s.pos, i)
		part = f.union(s.mask(s.neg, i), pos)
	} else {
		positive := f.leadingBits(s.bitsOf(s.pos), i)
		if !f.buffered() {
			either := f.leadingBits(s.bitsOf(s.neg), i)
			f.or(positive, either, either)
			part = either
		}
		f.and(positive, f.constant(math.Copysign(0, -1)), positive)
		pos = positive
	}
	y = f.reg()
	switch {
	case f.weighted:
		f.load(part, x, y)
		y, down, short = f.sigmoidArgument(y, pos, part, p)
		return y, down, short
	case f.buffered():
		f.xor(pos, x, y)
	case f.wide():
		y = f.partOf(part, x)
		f.flip(pos, y)
	default:
		f.load(part, x, y) // nothing beyond the row
		y = f.partOf(part, y)
		f.xor(y, pos, y)
	}
	return y, f.minusMagnitude(y), nil
}

// keptAt is the place of a quantity of register i of the group.
func (f *x86Focal) keptAt(i, quantity int) operand.Mem {
	return at(f.kept, (4*quantity+i)*f.bytes)
}

// next moves on to the next group.
func (f *x86Focal) next() {
	f.ADDQ(operand.I32(keptLen*4*f.bytes), f.kept)
	f.ADDQ(operand.I32(4*f.bytes), f.off)
}

// elements emits the last loop.
func (f *x86Focal) elements() {
	v := f.vec
	f.begin(2, append(coefficients(coef.Log1pHyperbolic32[:]), 1, 0.5)...)
	f.Load(f.Param("kept"), f.kept)
	f.dst = v.param("dst")
	rows := v.param("rows")
	f.sides = &sides{vec: v, pos: v.param("pos"), neg: v.param("neg"), at: v.GP64()}
	if f.terms {
		f.out = v.param("terms")
	}
	f.f, f.factor = v.kept(at(v.param("exponent"), 0)), v.kept(at(v.param("p"), 0))
	if v.wide() {
		f.exist = v.AllocLocal(8)
	}
	f.focal.exponent = func() []vreg {
		r := v.asRegister(f.f)
		return repeated(f.side, func() vreg { return r })
	}
	for first := 0; first < 4 && f.ahead(); first += f.side {
		f.laterQuotients(first, 0)
	}
	var sum *accumulator
	if !f.terms {
		sum = newAccumulator(v)
	}
	(&rowLoop{vec: v, rows: rows, some: true}).eachRow(func() {
		v.setKept(at(v.param("p"), 0), f.factor)
		if sum != nil {
			sum.clear()
		}
		f.row(sum)
		next := f.file.argument("dst")
		v.MOVQ(v.stride("dstStride"), f.dst)
		v.ADDQ(next, f.dst)
		v.MOVQ(f.dst, next)
		words := f.sides.nextRow()
		v.SHLQ(operand.U8(3+log2(v.size)), words)
		v.ADDQ(words, f.file.argument("powers"))
		v.ADDQ(operand.U8(3*v.size), f.file.argument("p"))
		if sum != nil {
			out := v.param("sum")
			sum.store(at(out, 0))
			v.ADDQ(operand.U8(8), f.file.argument("sum"))
		}
	})
	if v.wide() {
		return
	}
	done := v.newLabel("done")
	v.JMP(operand.LabelRef(done))
	v.Label(f.some)
	zeros := f.arithmetic.zeroed()
	for i := range 4 {
		g, place := v.reg(), f.place(f.dst, i)
		v.move(place, g)
		v.choose(f.sides.leading(i), g, zeros, g)
		v.move(g, place)
	}
	v.JMP(operand.LabelRef(f.ready))
	v.Label(done)
}

// row emits the last loop through a row. On AVX2 the derivatives of what is left at the end go
// through the buffer.
func (f *x86Focal) row(sum *accumulator) {
	var (
		size  = 4 * f.perReg() // elements of a group
		left  = f.GP64()
		group = f.newLabel("group")
		whole = f.newLabel("whole")
		goTo  = func(label string) operand.LabelRef { return operand.LabelRef(label) }
	)
	f.XORQ(f.off, f.off)
	f.Load(f.Param("n"), left)
	f.Label(group)
	if f.wide() {
		bits := f.GP64()
		f.MOVQ(operand.I32(-1), bits)
		f.CMPQ(left, operand.U8(size))
		f.JAE(goTo(whole))
		f.BZHIQ(left, bits, bits)
		f.Label(whole)
		f.MOVQ(bits, f.exist)
	} else {
		f.CMPQ(left, operand.U8(size))
		f.JAE(goTo(whole))
		f.LEAQ(f.buffer, f.dst)
		f.SUBQ(f.off, f.dst)
		f.Label(whole)
	}
	f.sides.group(f.off)
	f.four(sum)
	if !f.wide() {
		// The derivatives of elements that take no part are 0.
		f.some, f.ready = f.newLabel("some"), f.newLabel("ready")
		f.sides.unlessAll(f.some)
		f.Label(f.ready)
	}
	f.next()
	f.SUBQ(operand.U8(size), left)
	f.JG(goTo(group))
	if f.wide() {
		return
	}
	direct, out, n := f.newLabel("direct"), f.param("dst"), f.param("n")
	f.CMPQ(out, f.dst)
	f.JEQ(goTo(direct))
	f.ANDQ(operand.U8(size-1), n)
	for i, k := range f.tailMasks(n, 4) {
		r := f.reg()
		f.move(f.register(f.buffer, i), r)
		m := f.place(out, i)
		m.Disp -= 4 * f.bytes
		f.store(k, r, m)
	}
	f.Label(direct)
}

// place is the place of register i of the group.
func (f *x86Focal) place(base gpreg, i int) operand.Mem {
	return f.element(base, f.off, i)
}

// four evaluates a group, stores the derivatives and adds or stores the terms.
func (f *x86Focal) four(sum *accumulator) {
	var waiting [2]op
	for first := 0; first < 4; first += f.side {
		terms := f.beside(first)
		for k, term := range terms {
			// Registers of the same lanes in the two virtual vectors of a group.
			i, lanes := first+k, (first+k)%f.regs()
			switch {
			case f.terms:
				f.move(term, f.place(f.out, i))
			case i/f.regs()%2 == 0:
				waiting[lanes] = f.later(term, i)
			default:
				f.add(term, waiting[lanes], term)
				sum.take(&half{number: lanes}, term)
			}
		}
	}
}

// later keeps terms of register i of the group for a while, on AVX2 in place of their
// arguments.
func (f *x86Focal) later(terms vreg, i int) op {
	if f.wide() {
		return terms
	}
	f.move(terms, f.keptAt(i, 0))
	return f.keptAt(i, 0)
}

// ahead reports whether the quotients of a group are made with the one before, where they
// keep nothing waiting, and their errors with the rest: on AVX2. With the slower
// operations of AVX-512 the loads for that take longer.
func (f *x86Focal) ahead() bool { return !f.wide() }

// quotients emits, on AVX-512, the loop that makes q and its error.
func (f *x86Focal) quotients() {
	v, end := f.vec, f.GP64()
	f.begin(4, 1, math.Copysign(0, -1))
	v.MOVQ(f.kept, end)
	v.Load(v.Param("kept"), f.kept)
	group := v.newLabel("quotients")
	v.Label(group)
	for first := 0; first < 4; first += f.side {
		e, y := f.again(1, first), f.again(0, first)
		u := f.focal.numerator(y, e)
		q := f.focal.quotient(e, u)
		excess := f.focal.excess(y, e, f.again(2, first), u, q, f.focal.complement(q))
		for k := range q {
			v.move(excess[k], f.keptAt(first+k, 2))
			v.move(q[k], f.keptAt(first+k, 3))
		}
	}
	v.ADDQ(operand.I32(keptLen*4*v.bytes), f.kept)
	v.CMPQ(f.kept, end)
	v.JNE(operand.LabelRef(group))
}

// laterQuotients keeps the quotients of the registers from first on of a later group.
func (f *x86Focal) laterQuotients(first, later int) {
	group := operand.Mem{Base: f.kept, Disp: later * keptLen * 4 * f.bytes}
	var y, e []vreg
	for i := first; i < first+f.side; i++ {
		y, e = append(y, f.inRegister(f.register(group, i))), append(e, f.inRegister(f.register(group, 4+i)))
	}
	for k, q := range f.focal.quotient(e, f.focal.numerator(y, e)) {
		f.move(q, f.register(group, 4*3+first+k))
	}
}

// beside evaluates the registers from first on, as many as go side by side, stores their
// derivatives and returns their terms.
func (f *x86Focal) beside(first int) []vreg {
	f.focal.powers = func(d []vreg) {
		for k, r := range d {
			f.move(f.place(f.param("powers"), first+k), r)
		}
	}
	y, e, q := func() []vreg { return f.again(0, first) }, f.again(1, first), f.again(3, first)
	p, excess := f.focal.complement(q), f.again(2, first)
	if f.ahead() {
		sign := y()
		excess = f.focal.excess(sign, e, excess, f.focal.numerator(sign, e), q, p)
	}
	terms, g := f.focal.element(y, e, q, p, excess)
	for k, term := range terms {
		f.finish(first+k, term, g[k])
	}
	if f.ahead() {
		f.laterQuotients(first, 1)
	}
	return terms
}

// minusMagnitude returns -|y|.
func (v *vec) minusMagnitude(y vreg) vreg {
	d := v.reg()
	v.or(y, v.constant(math.Copysign(0, -1)), d)
	return d
}

// partOf returns x in the lanes of part, else the least number.
func (v *vec) partOf(part mask, x op) vreg {
	least := -math.MaxFloat64
	if !v.double() {
		least = -math.MaxFloat32
	}
	y := v.inRegister(v.constant(least))
	if v.wide() {
		v.either(v.VMOVUPS, v.VMOVUPD, x, part, y)
	} else {
		v.choose(part, x, y, y)
	}
	return y
}

// sigmoidArgument returns y = ±(x - threshold), its sign that of the side, -|y| and what
// this is short of, as kernel.focalArgument; x is overwritten. The threshold is at p.
func (v *vec) sigmoidArgument(x vreg, pos, part mask, p gpreg) (y, down, short vreg) {
	hi, lo := v.reg(), v.reg()
	v.broadcast(at(p, v.size), hi)
	v.broadcast(at(p, 2*v.size), lo)
	y, short = v.difference(x, hi, lo)
	v.flip(pos, y)
	v.flip(pos, short)
	y = v.partOf(part, y)
	k, s := v.newMask(), v.reg()
	v.compare(greater, v.minusMagnitude(y), v.constant(v.scaleLow()), k)
	v.keep(k, short, short)
	v.add(y, short, s)
	v.sub(s, y, y)
	v.sub(short, y, short)
	v.keep(k, short, short)
	// That of -|y| has the other sign where y is up.
	v.andNot(s, v.constant(math.Copysign(0, -1)), y)
	v.xor(short, y, y)
	return s, v.minusMagnitude(s), y
}

// finish multiplies the terms and the derivatives of register i by the factors and
// stores these. Where no part is taken both are 0; on AVX2 the sign may be wrong.
func (f *x86Focal) finish(i int, term, g vreg) {
	var pos mask
	var factor op
	if f.wide() {
		pos = f.sides.mask(f.sides.pos, i)
		r := f.reg()
		f.move(f.factor, r)
		f.flip(pos, r)
		factor = r
	} else {
		pos = f.leadingBits(f.sides.bitsOf(f.sides.pos), i)
		r := f.reg()
		f.and(pos, f.constant(math.Copysign(0, -1)), r)
		f.xor(r, f.factor, r)
		factor = r
	}
	if f.weighted {
		w, p := f.inRegister(f.place(f.param("negWeight"), i)), f.inRegister(f.place(f.param("posWeight"), i))
		f.choose(pos, p, w, w)
		f.mul(term, w, term)
		f.mul(w, factor, w)
		factor = w
	}
	if f.wide() {
		f.mulKeep(f.union(f.sides.mask(f.sides.neg, i), pos), g, factor, g)
		f.store(f.sides.maskAt(f.exist, i), g, f.place(f.dst, i))
	} else {
		f.mul(g, factor, g)
		f.move(g, f.place(f.dst, i))
	}
}

// sigmoidPowers emits the kernel, which takes some registers at a time: their logarithms,
// then the powers.
func sigmoidPowers(v *vec) {
	h, x, p := v.param("h"), v.param("x"), v.param("p")
	s := &sides{vec: v, pos: v.param("pos"), neg: v.param("neg"), at: v.GP64()}
	s.laneTests()
	exponent, low := v.kept(at(v.param("f"), 0)), v.kept(at(v.param("f"), v.size))
	a, side, group := newX86Arithmetic(v), 1, 4
	if v.wide() {
		side, group = 2, 2
	}
	if _, _, _, coefs := expConstants(v.elem); !v.double() {
		a.hold(append(coefs, 1, 0.5)...)
	}
	copies := func(m op) func() []vreg {
		return func() []vreg { return repeated(side, func() vreg { return v.asRegister(m) }) }
	}
	f := focal[[]vreg]{
		arithmetic: sideBySide[vreg]{a, side}, elem: v.elem, exponent: copies(exponent), exponentLow: copies(low),
	}
	powers := focal[[]vreg]{arithmetic: sideBySide[vreg]{a, 2}, elem: v.elem}
	lacks := v.AllocLocal(group * v.bytes) // of the logarithms, which wait where the powers will be
	l := newWholeLoop(v, group*v.perReg())
	l.step(v.stride("stride"), x)
	l.runWhole(func() {}, func() {
		s.elements(l.off)
		for first := 0; first < group; first += side {
			var y, down, short, shortDown []vreg
			for i := first; i < first+side; i++ {
				pos := s.mask(s.pos, i)
				part := v.union(s.mask(s.neg, i), pos)
				scores := v.reg()
				v.load(part, l.inRow(x, i), scores) // nothing beyond the row
				up, below, lack := v.sigmoidArgument(scores, pos, part, p)
				lackDown := v.reg()
				if k := a.signs(up); v.wide() {
					v.keep(k, lack, lackDown)
				} else {
					a.blend(k, lack, a.zeroed(), lackDown)
				}
				y, down, short, shortDown = append(y, up), append(down, below), append(short, lack), append(shortDown, lackDown)
			}
			product, more := f.sigmoidLogarithm(y, down, short, shortDown)
			for i := range side {
				v.move(product[i], l.inRow(h, first+i))
				v.move(more[i], v.register(lacks, first+i))
			}
		}
		for first := 0; first < group; first += 2 {
			var product, more []vreg
			for i := first; i < first+2; i++ {
				product = append(product, v.inRegister(l.inRow(h, i)))
				more = append(more, v.inRegister(v.register(lacks, i)))
			}
			power, _ := powers.power(product, &more, true)
			for i, r := range power {
				v.move(r, l.inRow(h, first+i))
			}
		}
	}, func() {
		words := s.nextRow()
		v.SHLQ(operand.U8(3+log2(v.size)), words)
		v.ADDQ(words, h)
		v.ADDQ(operand.U8(3*v.size), p)
	})
}
