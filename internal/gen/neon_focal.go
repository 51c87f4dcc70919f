package gen

import "math"

// neonArithmetic is the arithmetic of neonVec.
type neonArithmetic struct{ *neonVec }

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

// constantly emits f with a constant in a register.
func (a neonArithmetic) constantly(c float64, f func(r *vecReg)) { a.with(a.place(c, false), f) }

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

func (a neonArithmetic) productLess(x, y, d *vecReg) {
	a.VFNEG(a.lanes(d), a.lanes(d))
	a.fmaAcc(x, y, d)
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

// A neonFocal emits the kernel of focal binary cross-entropy, as an x86Focal.
type neonFocal struct {
	*neonLoop
	focalKind
	focal          focal[*vecReg]
	x, dst         *stream
	weights        [2]*stream // of negatives, of positives
	pos, either    *neonSide
	exponent, low  *vecReg
	factor, hi, lo *vecReg
	log            *neonLogarithms
}

func emitNeonFocal(v *neonVec, kind focalKind) {
	f := &neonFocal{focalKind: kind}
	f.x, f.dst = v.input("x", "stride"), v.output("dst", "dstStride")
	streams := []*stream{f.x, f.dst}
	if f.weighted {
		f.weights = [2]*stream{v.padded("negWeight", ""), v.padded("posWeight", "")}
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
	exponent := v.param("exponent")
	f.exponent = v.reg()
	v.broadcasts(exponent, f.exponent)
	v.release(exponent)
	f.focal = focal[*vecReg]{
		arithmetic: neonArithmetic{v}, elem: v.elem, down: f.down, log: f.logarithm,
		exponent: func(a, d *vecReg) { v.fmaAcc(a, f.exponent, d) },
	}
	magic, low, high := v.naturalRange()
	v.free(magic, high)
	f.low = low
	row := v.regs(3)
	f.factor, f.hi, f.lo = row[0], row[1], row[2]
	if v.double() {
		f.log = newNeonLogarithms(v, false, false)
	}

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
	})
}

// register evaluates a register of elements, stores the derivatives and returns the
// terms.
func (f *neonFocal) register(number int) *vecReg {
	v := f.neonVec
	y := v.inRegister(f.x.place(number))
	test, pos, part := v.laneTest(number), v.reg(), v.reg()
	f.pos.selected(number, test, pos)
	f.either.selected(number, test, part)
	v.free(test)
	var short *vecReg
	if f.weighted {
		y, short = v.difference(y, f.hi, f.lo)
	}
	v.flip(pos, y) // pos has signs then
	if f.weighted {
		v.xor(short, pos, short)
	}
	v.free(pos)
	m, sign := v.reg(), v.inRegister(v.constant(math.Copysign(0, -1)))
	zero := v.cleared(1)[0]
	if f.weighted {
		// m = y + short where y is up; there -|y| is short of -short.
		down := v.reg()
		v.above(zero, y, down)
		v.add(y, short, m)
		v.keepOut(down, m)
		v.copy(sign, zero)
		v.keepOut(down, zero)
		v.xor(short, zero, short)
		v.free(down)
	} else {
		v.max(zero, y, m)
	}
	v.and(m, part, m)
	v.or(y, sign, y)
	v.above(f.low, y, zero)
	v.keepOut(zero, part)
	v.free(zero, sign)
	shift := &short
	if !f.weighted {
		shift = nil
	}
	e, c := f.focal.power(y, shift, func(a, s *vecReg) {
		v.mul(a, s, a)
		v.and(a, part, a)
	})
	result, g := f.focal.element(e, c, m, f.focal.logarithm(e))

	factor, pos := v.reg(), v.reg()
	v.copy(f.factor, factor)
	test = v.laneTest(number)
	f.pos.selected(number, test, pos)
	f.either.selected(number, test, part)
	v.free(test)
	if f.weighted {
		w := v.reg()
		v.copy(pos, w)
		n, p := v.inRegister(f.weights[0].place(number)), v.inRegister(f.weights[1].place(number))
		v.choose(w, p, n)
		v.mul(factor, w, factor)
		v.mul(result, w, result)
		v.free(w, n, p)
	}
	v.flip(pos, factor)
	v.mul(g, factor, g)
	v.and(g, part, g)
	v.store(g, f.dst.place(number))
	v.and(result, part, result)
	v.free(factor, pos, part, g)
	return result
}

// down exchanges e and 1 where m is not 0, and clears c there.
func (f *neonFocal) down(e, c, m *vecReg) (x, z, less *vecReg) {
	v := f.neonVec
	k, one := v.cleared(1)[0], v.inRegister(v.constant(1))
	v.VFCMEQ(v.lanes(m), v.lanes(k), v.lanes(k))
	x, z, less = v.reg(), v.reg(), k
	v.copy(k, x)
	v.choose(x, e, one)
	v.copy(k, z)
	v.choose(z, one, e)
	v.and(k, c, less)
	v.free(one)
	return x, z, less
}

// logarithm returns log(1+e).
func (f *neonFocal) logarithm(e *vecReg) *vecReg {
	two := f.regs(2) // the logarithms go two registers at a time
	f.copy(e, two[0])
	f.copy(e, two[1])
	r := f.log.log1p(two)
	f.free(r[1])
	return r[0]
}
