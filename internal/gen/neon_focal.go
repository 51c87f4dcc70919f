package gen

import "math"

// neonArithmetic is the arithmetic of neonVec.
type neonArithmetic struct {
	*neonVec
	held map[float64]*vecReg // constants that are in registers
}

func newNeonArithmetic(v *neonVec) neonArithmetic {
	return neonArithmetic{v, map[float64]*vecReg{}}
}

func (a neonArithmetic) temp() *vecReg                { return a.reg() }
func (a neonArithmetic) drop(r ...*vecReg)            { a.free(r...) }
func (a neonArithmetic) constantIn(c float64) *vecReg { return a.inRegister(a.constant(c)) }
func (a neonArithmetic) copyTo(x, d *vecReg)          { a.copy(x, d) }
func (a neonArithmetic) plus(x, y, d *vecReg)         { a.add(x, y, d) }
func (a neonArithmetic) minus(x, y, d *vecReg)        { a.sub(x, y, d) }
func (a neonArithmetic) times(x, y, d *vecReg)        { a.mul(x, y, d) }
func (a neonArithmetic) over(x, y, d *vecReg)         { a.div(x, y, d) }
func (a neonArithmetic) rootOf(x, d *vecReg)          { a.VFSQRT(a.lanes(x), a.lanes(d)) }
func (a neonArithmetic) addProduct(x, y, d *vecReg)   { a.fmaAcc(x, y, d) }
func (a neonArithmetic) subProduct(x, y, d *vecReg)   { a.fmaSub(x, y, d) }
func (a neonArithmetic) exponentOf(t *vecReg)         { a.shiftToExponent(t, t) }

func (a neonArithmetic) sharing(c float64, body func()) {
	a.constantly(c, func(r *vecReg) {
		a.held[c] = r
		body()
		delete(a.held, c)
	})
}

// constantly emits f with a constant in a register.
func (a neonArithmetic) constantly(c float64, f func(r *vecReg)) {
	if r, ok := a.held[c]; ok {
		f(r)
		return
	}
	a.with(a.place(c, false), f)
}

func (a neonArithmetic) plusConstant(x *vecReg, c float64, d *vecReg) {
	a.constantly(c, func(r *vecReg) { a.add(x, r, d) })
}

func (a neonArithmetic) minusConstant(x *vecReg, c float64, d *vecReg) {
	a.constantly(c, func(r *vecReg) { a.sub(x, r, d) })
}

func (a neonArithmetic) maxConstant(x *vecReg, c float64, d *vecReg) {
	a.constantly(c, func(r *vecReg) { a.max(x, r, d) })
}

func (a neonArithmetic) addProductConstant(x *vecReg, c float64, d *vecReg) {
	a.constantly(c, func(r *vecReg) { a.fmaAcc(x, r, d) })
}

func (a neonArithmetic) productError(x, y, p *vecReg) *vecReg {
	d := a.reg()
	a.VFNEG(a.lanes(p), a.lanes(d))
	a.fmaAcc(x, y, d)
	return d
}

func (a neonArithmetic) addPositive(x, d *vecReg) {
	m := a.cleared(1)[0]
	a.max(m, x, m)
	a.add(m, d, d)
	a.free(m)
}

func (a neonArithmetic) negative(x *vecReg) *vecReg {
	zero := a.cleared(1)[0]
	a.min(zero, x, zero)
	return zero
}

func (a neonArithmetic) productPlus(x, y, z *vecReg) *vecReg {
	d := a.copied(z)
	a.fmaAcc(x, y, d)
	a.free(x)
	return d
}

func (a neonArithmetic) larger(x, y, d *vecReg)  { a.max(x, y, d) }
func (a neonArithmetic) smaller(x, y, d *vecReg) { a.min(x, y, d) }
func (a neonArithmetic) flip(x, sign, d *vecReg) { a.xor(x, sign, d) }

func (a neonArithmetic) otherSign(y, d *vecReg) {
	a.constantly(math.Copysign(0, -1), func(r *vecReg) { a.VBIC(y.b16(), r.b16(), d.b16()) })
}

func (a neonArithmetic) whereSign(y, b, c *vecReg) *vecReg {
	k := a.below(y)
	a.neonVec.choose(k, b, c)
	return k
}

// below returns the lanes in which y is negative.
func (v *neonVec) below(y *vecReg) *vecReg {
	k := v.cleared(1)[0]
	v.above(k, y, k)
	return k
}

func (a neonArithmetic) whereHalf(e, f *vecReg, head, tail float64) (g, h, t *vecReg) {
	g = a.constantIn(0.5)
	a.atLeast(e, g, g)
	h, t = a.constantIn(head), a.constantIn(tail)
	a.and(h, g, h)
	a.and(t, g, t)
	a.neonVec.choose(g, f, e)
	a.free(f)
	return g, h, t
}

func (a neonArithmetic) fmaConstant(p, x *vecReg, c float64) *vecReg {
	q := a.constantIn(c)
	a.fmaAcc(p, x, q)
	a.free(p)
	return q
}

func (a neonArithmetic) repeat(argument string, body func()) {
	again, done := a.newLabel("again"), a.newLabel("enough")
	count := a.param(argument)
	a.op("CBZ", count, done)
	a.label(again)
	body()
	a.op("SUB", imm(1), count)
	a.op("CBNZ", count, again)
	a.label(done)
	a.release(count)
}

func (a neonArithmetic) ifAtLeast(argument string, least int, body func()) {
	done := a.newLabel("less")
	count := a.param(argument)
	a.op("CMP", imm(least), count)
	a.op("BLT", done)
	a.release(count)
	body()
	a.label(done)
}

// A neonFocal emits the kernel of focal binary cross-entropy, as an x86Focal.
type neonFocal struct {
	*neonLoop
	focalKind
	focal          focal[*vecReg]
	x, dst, powers *stream
	weights        [2]*stream // of negatives, of positives
	pos, either    *neonSide
	exponent       *vecReg
	factor, hi, lo *vecReg
}

func emitNeonFocal(v *neonVec, kind focalKind) {
	f := &neonFocal{focalKind: kind}
	f.x, f.dst = v.input("x", "stride"), v.output("dst", "dstStride")
	f.powers = v.remote("powers")
	streams := []*stream{f.x, f.dst, f.powers}
	if f.weighted {
		f.weights = [2]*stream{v.remote("negWeight"), v.remote("posWeight")}
		streams = append(streams, f.weights[:]...)
	}
	var out *stream
	if f.terms {
		out = v.padded("terms", "")
		streams = append(streams, out)
	}
	l := newNeonLoop(v, 2, streams...)
	f.neonLoop = l
	l.halves(16)
	if !f.terms {
		l.accumulators()
	}
	l.withSides(false)
	f.pos = l.sides[1]
	f.either = l.eitherSide()
	p := v.param("p")
	var sum genReg
	var acc *neonAccumulator
	if !f.terms {
		sum = v.param("sum")
		acc = newNeonStackAccumulator(v, l.acc)
	}
	v.loadConstants()
	f.exponent = v.broadcastOf("exponent", 1)[0]
	f.focal = focal[*vecReg]{
		arithmetic: newNeonArithmetic(v), elem: v.elem,
		exponent: func() *vecReg { return v.copied(f.exponent) },
	}
	row := v.regs(3)
	f.factor, f.hi, f.lo = row[0], row[1], row[2]

	l.run(func() {
		v.broadcasts(p, row...)
		v.op("ADD", imm(3*v.size), p)
		if acc != nil {
			acc.clear()
		}
	}, func(t neonTurn) {
		numbers := t.numbers()
		for ; len(numbers) > 0; numbers = numbers[t.vectors:] {
			var w []*vecReg
			for _, number := range numbers[:t.vectors] {
				w = append(w, f.register(number))
				if f.terms {
					v.store(w[0], out.place(number))
					v.free(w[0])
					w = nil
				}
			}
			if f.terms {
				continue
			}
			if len(w) == 2 {
				v.add(w[0], w[1], w[0])
				v.free(w[1])
			}
			acc.take(numbers[0], w[0])
		}
	}, func() {
		if acc != nil {
			acc.store(sum)
		}
		base := v.param("powers")
		v.advanceWords(base)
		v.op("MOVD", base, v.argument("powers"))
		v.release(base)
	})
}

// advanceWords moves the base of numbers of a row on by 64 for each of its words.
func (v *neonVec) advanceWords(base genReg) {
	free := v.gp()
	v.advance(free, base, "words", 64*v.size)
	v.release(free)
}

// broadcastOf returns registers of the n numbers that an argument points to.
func (v *neonVec) broadcastOf(name string, n int) []*vecReg {
	p, r := v.param(name), v.regs(n)
	v.broadcasts(p, r...)
	v.release(p)
	return r
}

// copied returns a new register like r.
func (v *neonVec) copied(r *vecReg) *vecReg {
	c := v.reg()
	v.copy(r, c)
	return c
}

// register evaluates a register of elements, stores the derivatives and returns the
// terms.
func (f *neonFocal) register(number int) *vecReg {
	v := f.neonVec
	test, pos, part := v.laneTest(number), v.reg(), v.reg()
	f.pos.selected(number, test, pos)
	f.either.selected(number, test, part)
	v.free(test)
	y := v.inRegister(f.x.place(number))
	if !f.weighted {
		y = v.partOf(v.copied(part), y)
	}
	sign := v.copied(pos)
	v.op("VSHL", imm(8*v.size-1), v.lanes(sign), v.lanes(sign))
	factor := v.reg()
	v.xor(f.factor, sign, factor)
	v.and(factor, part, factor)
	var down *vecReg
	var short *vecReg
	shift := &short
	if f.weighted {
		y, down, short = v.sigmoidArgument(y, sign, part, f.hi, f.lo)
		n, p := v.inRegister(f.weights[0].place(number)), v.inRegister(f.weights[1].place(number))
		v.choose(pos, p, n)
		v.free(n, p)
		v.mul(factor, pos, factor)
	} else {
		v.xor(y, sign, y)
		down, shift = v.minusMagnitude(y), nil
		v.free(pos, part)
	}
	v.free(sign)
	e, c := f.focal.exponential(down, shift)
	f.focal.powers = func(d *vecReg) { v.load(f.powers.place(number), d) }
	again := func() *vecReg { return v.copied(y) }
	sign = again()
	u := f.focal.numerator(sign, e)
	q := f.focal.quotient(e, u)
	p := f.focal.complement(q)
	excess := f.focal.excess(sign, e, c, u, q, p)
	result, g := f.focal.element(again, e, q, p, excess)
	v.free(y)
	v.mul(g, factor, g)
	v.store(g, f.dst.place(number))
	v.free(factor, g)
	if f.weighted {
		v.mul(result, pos, result)
		v.free(pos)
	}
	return result
}

// partOf returns x in the lanes of part, which it overwrites, else the least number; it
// frees x.
func (v *neonVec) partOf(part, x *vecReg) *vecReg {
	least := -math.MaxFloat64
	if !v.double() {
		least = -math.MaxFloat32
	}
	no := v.inRegister(v.constant(least))
	v.choose(part, x, no)
	v.free(x, no)
	return part
}

// minusMagnitude returns -|y|.
func (v *neonVec) minusMagnitude(y *vecReg) *vecReg {
	d := v.inRegister(v.constant(math.Copysign(0, -1)))
	v.or(y, d, d)
	return d
}

// sigmoidArgument is that of vec; sign is the sign of the positives. It overwrites x.
func (v *neonVec) sigmoidArgument(x, sign, part, hi, lo *vecReg) (y, down, short *vecReg) {
	y, short = v.difference(x, hi, lo)
	v.xor(y, sign, y)
	v.xor(short, sign, short)
	y = v.partOf(part, y)
	far, s := v.minusMagnitude(y), v.reg()
	low := v.inRegister(v.constant(v.scaleLow()))
	v.above(far, low, far)
	v.and(short, far, short)
	v.add(y, short, s)
	v.sub(s, y, y)
	v.sub(short, y, short)
	v.and(short, far, short)
	v.free(far, low, y)
	// That of -|y| has the other sign where y is up.
	down = v.minusMagnitude(s)
	other := v.reg()
	v.xor(down, s, other)
	v.xor(short, other, short)
	v.free(other)
	return s, down, short
}

// neonSigmoidPowers emits the kernel, two registers at a time.
func neonSigmoidPowers(v *neonVec) {
	h, x := v.padded("h", ""), v.input("x", "stride")
	l := newNeonLoop(v, 2, x, h)
	l.halves(16)
	l.withSides(false)
	pos, either := l.sides[1], l.eitherSide()
	p, again := v.param("p"), v.gp()
	v.loadConstants()
	exponent := v.broadcastOf("f", 2)
	f := focal[*vecReg]{
		arithmetic: newNeonArithmetic(v), elem: v.elem,
		exponent: func() *vecReg { return v.copied(exponent[0]) }, exponentLow: func() *vecReg { return v.copied(exponent[1]) },
	}
	row := v.regs(2)
	move := func(op string) {
		for _, r := range []genReg{x.at, h.at, v.tests} {
			v.op(op, imm(32), r)
		}
	}
	l.run(func() {
		v.op("ADD", imm(v.size), p)
		v.broadcasts(p, row...)
		v.op("ADD", imm(2*v.size), p)
	}, func(t neonTurn) {
		// The registers 0 and 4, of each virtual vector, then 2 and 6.
		label := v.newLabel("registers")
		v.op("MOVD", imm(2), again)
		v.label(label)
		for k := range t.vectors {
			number := t.lanes[0] + k*neonRegs
			test, sign, part := v.laneTest(number), v.reg(), v.reg()
			pos.selected(number, test, sign)
			either.selected(number, test, part)
			v.free(test)
			v.op("VSHL", imm(8*v.size-1), v.lanes(sign), v.lanes(sign))
			y, down, short := v.sigmoidArgument(v.inRegister(x.place(number)), sign, part, row[0], row[1])
			v.free(sign)
			shortDown := v.below(y)
			v.and(shortDown, short, shortDown)
			r := f.sigmoidPower(y, down, short, shortDown)
			v.store(r, h.place(number))
			v.free(r)
		}
		move("ADD")
		v.op("SUB", imm(1), again)
		v.op("CBNZ", again, label)
		for range 2 {
			move("SUB")
		}
	}, func() { v.advanceWords(h.base) })
}
