package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// An arithmetic emits the instructions of a formula on registers R of any
// architecture. Arguments come in the order of the formula, the destination last;
// c are constants.
type arithmetic[R any] interface {
	temp() R
	drop(r ...R) // those that are not used any more
	constantIn(c float64) R
	copyTo(a, d R)

	plus(a, b, d R)
	minus(a, b, d R)
	times(a, b, d R)
	over(a, b, d R)
	rootOf(a, d R)
	addProduct(a, b, d R) // d += a·b, one rounding
	subProduct(a, b, d R) // d -= a·b, one rounding
	exponentOf(t R)       // of the low bits

	productLess(a, b, d R) // d = a·b - d, one rounding

	plusConstant(a R, c float64, d R)
	minusConstant(a R, c float64, d R)
	maxConstant(a R, c float64, d R)
	addProductConstant(a R, c float64, d R) // d += a·c, one rounding
	// fmaConstant is p = p·a + c, one rounding; the result may be another register.
	fmaConstant(p, a R, c float64) R

	repeat(argument string, body func()) // as many times as an argument says
}

// A focal emits the arithmetic that kernel.focalElement specifies, in three stages.
// A processor that looks ahead finds enough to do where some registers go through
// one stage before the next.
type focal[R any] struct {
	arithmetic[R]
	elem
	exponent func(a, d R) // d += a·f
	// down returns new registers: e, 1, c where m is 0, else 1, e, 0.
	down func(e, c, m R) (x, z, less R)
	log  func(e R) R // float64: log(1+e); a new register
}

func (f focal[R]) double() bool { return f.elem == float64s }

// evenOdd is c[0] + c[1]·x + …, as kernel.evenOdd.
func (f focal[R]) evenOdd(c []float64, x, square R) R {
	n := len(c)
	p, q := f.constantIn(c[n-1]), f.constantIn(c[n-2])
	for i := n - 3; i >= 0; i-- {
		p, q = q, f.fmaConstant(p, square, c[i])
	}
	f.addProduct(p, x, q)
	f.drop(p)
	return q
}

// power is the first stage: e^(y+short) as e and c, in the lanes that keep leaves.
// It drops y and short, nil for none.
func (f focal[R]) power(y R, short *R, scale func(a, s R)) (e, c R) {
	log2e, ln2Hi, ln2Lo, coefs := expConstants(f.elem)
	magic, _, _ := pivot0(f.elem)
	s := f.constantIn(magic)
	f.addProductConstant(y, log2e, s)
	n := f.temp()
	f.minusConstant(s, magic, n)
	r := y
	f.addProductConstant(n, -ln2Hi, r)
	f.addProductConstant(n, -ln2Lo, r)
	if short != nil {
		f.plus(r, *short, r)
		f.drop(*short)
	}
	square := n
	f.times(r, r, square)
	one, low := f.temp(), f.temp()
	f.plusConstant(r, 1, one)
	f.minusConstant(one, 1, low)
	f.minus(r, low, low)
	p := f.evenOdd(coefs, r, square)
	f.addProduct(square, p, low)
	f.plus(one, low, p)
	f.minus(p, one, one)
	f.minus(low, one, low)
	f.exponentOf(s)
	scale(p, s)
	scale(low, s)
	f.drop(s, r, square, one)
	return p, low
}

// logarithm is the second stage: what log1p of e needs of e alone.
func (f focal[R]) logarithm(e R) R {
	if f.double() {
		return f.log(e)
	}
	square := f.temp()
	f.times(e, e, square)
	k := f.evenOdd(coefficients(coef.Log1pRest32[:]), e, square)
	f.times(square, k, k)
	f.drop(square)
	return k
}

// element is the third stage: the term and the derivative. It drops e, c, m and v,
// which is from the second.
func (f focal[R]) element(e, c, m, v R) (term, derivative R) {
	d, w, rest := f.temp(), f.temp(), f.temp()
	f.plusConstant(e, 1, d)
	rho := f.constantIn(1)
	f.over(rho, d, w)
	f.minusConstant(d, 1, rest)
	f.minus(e, rest, rest)
	f.plus(rest, c, rest)
	f.subProduct(d, w, rho)
	f.subProduct(rest, w, rho)
	f.drop(d, rest)
	// s = m + log(1+e)
	s := v
	if f.double() {
		f.addProduct(w, c, s)
	} else {
		f.productLess(w, c, s)
		f.plus(e, s, s)
	}
	f.plus(m, s, s)
	// x, z, less = e, 1, c where y is down, else 1, e, 0
	x, z, less := f.down(e, c, m)
	f.drop(e, c, m)
	q, excess := f.temp(), f.temp()
	f.times(x, w, q)
	f.copyTo(q, excess)
	f.subProduct(x, w, excess)
	f.subProduct(q, rho, excess)
	f.subProduct(w, less, excess)
	f.drop(less)
	// z = w·(f·(z·s) + x)
	f.times(z, s, z)
	f.exponent(z, x)
	f.times(w, x, z)
	f.times(z, rho, rho)
	f.drop(x, w)
	// h - k, the power
	h, k, p := f.temp(), f.temp(), f.temp()
	f.copyTo(q, h)
	f.copyTo(excess, k)
	f.repeat("root", func() {
		f.rootOf(q, h)
		f.copyTo(q, p)
		f.subProduct(h, h, p)
		f.minus(excess, p, k)
		f.plus(h, h, p)
		f.maxConstant(p, leastFocalRoot, p)
		f.over(k, p, k)
	})
	f.repeat("steps", func() {
		f.times(h, q, p)
		rest := f.temp()
		f.copyTo(p, rest)
		f.subProduct(h, q, rest)
		f.addProduct(h, excess, rest)
		f.addProduct(k, q, rest)
		f.copyTo(rest, k)
		f.copyTo(p, h)
		f.drop(rest)
	})
	f.drop(q, excess)
	// term = h·s - k·s; derivative = h·z - (k·z - h·z·rho)
	f.times(k, s, p)
	f.productLess(h, s, p)
	f.times(k, z, k)
	f.subProduct(h, rho, k)
	f.productLess(h, z, k)
	f.drop(h, s, z, rho)
	return p, k
}

// leastFocalRoot is the least divisor of the error of a root.
const leastFocalRoot = 0x1p-100

// x86Arithmetic is the arithmetic of vec.
type x86Arithmetic struct{ *vec }

func (a x86Arithmetic) temp() vreg                              { return a.reg() }
func (a x86Arithmetic) drop(...vreg)                            {}
func (a x86Arithmetic) constantIn(c float64) vreg               { return a.inRegister(a.constant(c)) }
func (a x86Arithmetic) copyTo(x, d vreg)                        { a.move(x, d) }
func (a x86Arithmetic) plus(x, y, d vreg)                       { a.add(x, y, d) }
func (a x86Arithmetic) minus(x, y, d vreg)                      { a.sub(x, y, d) }
func (a x86Arithmetic) times(x, y, d vreg)                      { a.mul(x, y, d) }
func (a x86Arithmetic) over(x, y, d vreg)                       { a.either(a.VDIVPS, a.VDIVPD, y, x, d) }
func (a x86Arithmetic) rootOf(x, d vreg)                        { a.either(a.VSQRTPS, a.VSQRTPD, x, d) }
func (a x86Arithmetic) addProduct(x, y, d vreg)                 { a.fmaAcc(x, y, d) }
func (a x86Arithmetic) subProduct(x, y, d vreg)                 { a.either(a.VFNMADD231PS, a.VFNMADD231PD, y, x, d) }
func (a x86Arithmetic) exponentOf(t vreg)                       { a.shiftToExponent(t, t) }
func (a x86Arithmetic) plusConstant(x vreg, c float64, d vreg)  { a.add(x, a.constant(c), d) }
func (a x86Arithmetic) minusConstant(x vreg, c float64, d vreg) { a.sub(x, a.constant(c), d) }
func (a x86Arithmetic) maxConstant(x vreg, c float64, d vreg)   { a.max(x, a.constant(c), d) }
func (a x86Arithmetic) addProductConstant(x vreg, c float64, d vreg) {
	a.fmaAcc(x, a.constant(c), d)
}

func (a x86Arithmetic) productLess(x, y, d vreg) { a.either(a.VFMSUB231PS, a.VFMSUB231PD, y, x, d) }

func (a x86Arithmetic) fmaConstant(p, x vreg, c float64) vreg {
	a.fmaMul(x, a.constant(c), p)
	return p
}

func (a x86Arithmetic) repeat(argument string, body func()) {
	again, done := a.newLabel("again"), a.newLabel("enough")
	count := a.param(argument)
	a.TESTQ(count, count)
	a.JZ(operand.LabelRef(done))
	a.Label(again)
	body()
	a.DECQ(count)
	a.JNZ(operand.LabelRef(again))
	a.Label(done)
}

// A focalKind is a form of the kernel: with thresholds and weights, or one that
// writes terms in place of their sum.
type focalKind struct{ weighted, terms bool }

// An x86Focal emits the kernel of focal binary cross-entropy. Registers go through
// the stages by four.
type x86Focal struct {
	*vec
	focalKind
	focal            focal[vreg]
	sides            *sides
	x, dst, out, off gpreg
	factor, f        op
	low              op
	exist            operand.Mem        // AVX-512: the elements that exist, as bits
	buffer           operand.Mem        // AVX2: of a rest
	kept             [3 * 4]operand.Mem // e, c and m of four registers; nowhere for what stays in registers
	factors          []operand.Mem      // of their derivatives
}

// emitFocal emits the kernel.
func emitFocal(v *vec, kind focalKind) {
	f := &x86Focal{vec: v, focalKind: kind, off: v.GP64()}
	f.x, f.dst = v.param("x"), v.param("dst")
	if f.terms {
		f.out = v.param("terms")
	}
	f.sides = &sides{vec: v, pos: v.param("pos"), neg: v.param("neg"), at: v.GP64()}
	f.sides.laneTests()
	f.f = v.kept(at(v.param("exponent"), 0))
	_, f.low, _ = v.naturalRange()
	f.factor = v.kept(at(v.param("p"), 0))
	for range 4 {
		if !v.wide() && !v.double() { // else the frame is too large
			f.factors = append(f.factors, v.AllocLocal(v.bytes))
		}
	}
	if v.wide() {
		f.exist = v.AllocLocal(8)
	} else {
		f.buffer = v.AllocLocal(128)
	}
	for i := range f.kept {
		if !v.wide() || v.double() && i%3 > 0 || i%3 == 2 {
			f.kept[i] = v.AllocLocal(v.bytes)
		}
	}
	f.focal = focal[vreg]{arithmetic: x86Arithmetic{v}, elem: v.elem, down: f.down}
	f.focal.exponent = func(a, d vreg) { v.fmaAcc(a, f.f, d) }
	if v.double() {
		log := newLogarithms(v)
		f.focal.log = func(e vreg) vreg {
			y, _ := log.log1p(e)
			return y
		}
	}
	var sum *sideSum
	if !f.terms {
		sum = newSideSum(v)
	}
	row, last := v.newLabel("row"), v.newLabel("last")
	rows := v.argument("rows")
	v.CMPQ(rows, operand.U8(0))
	v.JEQ(operand.LabelRef(last))
	v.Label(row)
	v.setKept(at(v.param("p"), 0), f.factor)
	if sum != nil {
		sum.clear()
	}
	f.row(sum)
	f.advance(f.x, "x", "stride")
	f.advance(f.dst, "dst", "dstStride")
	words := v.param("words")
	v.SHLQ(operand.U8(3), words)
	v.ADDQ(words, f.sides.pos)
	v.ADDQ(words, f.sides.neg)
	v.ADDQ(operand.U8(3*v.size), f.file.argument("p"))
	if sum != nil {
		out := v.param("sum")
		sum.store(at(out, 0))
		v.ADDQ(operand.U8(8), f.file.argument("sum"))
	}
	v.DECQ(rows)
	v.JNZ(operand.LabelRef(row))
	v.Label(last)
	v.VZEROUPPER()
	v.RET()
}

// row emits the loop through a row by four registers. On AVX2 what is left at the
// end goes through the buffer.
func (f *x86Focal) row(sum *sideSum) {
	var (
		size        = 4 * f.perReg() // elements of four registers
		left        = f.GP64()
		group, done = f.newLabel("group"), f.newLabel("done")
		goTo        = func(label string) operand.LabelRef { return operand.LabelRef(label) }
	)
	f.XORQ(f.off, f.off)
	f.Load(f.Param("n"), left)
	if f.wide() {
		f.TESTQ(left, left)
		f.JZ(goTo(done))
		f.Label(group)
		bits, whole := f.GP64(), f.newLabel("whole")
		f.MOVQ(operand.I32(-1), bits)
		f.CMPQ(left, operand.U8(size))
		f.JAE(goTo(whole))
		f.BZHIQ(left, bits, bits)
		f.Label(whole)
		f.MOVQ(bits, f.exist)
		f.four(sum)
		f.ADDQ(operand.I32(4*f.bytes), f.off)
		f.SUBQ(operand.U8(size), left)
		f.JG(goTo(group))
		f.Label(done)
		return
	}
	rest := f.newLabel("rest")
	f.SUBQ(operand.U8(size), left)
	f.JL(goTo(rest))
	f.Label(group)
	f.four(sum)
	f.ADDQ(operand.I32(4*f.bytes), f.off)
	f.SUBQ(operand.U8(size), left)
	f.JGE(goTo(group))
	f.Label(rest)
	f.ADDQ(operand.U8(size), left)
	f.JLE(goTo(done))
	// The rest, as a whole group in the buffer; left is 0 after it.
	for i, k := range f.tailMasks(left) {
		r := f.reg()
		f.load(k, f.place(f.x, i), r)
		f.move(r, f.bufferAt(i))
	}
	f.LEAQ(f.buffer, f.x)
	f.SUBQ(f.off, f.x)
	f.MOVQ(f.x, f.dst)
	f.XORQ(left, left)
	f.JMP(goTo(group))
	f.Label(done)
	direct, out := f.newLabel("direct"), f.param("dst")
	f.CMPQ(out, f.dst)
	f.JEQ(goTo(direct))
	n := f.param("n")
	f.ANDQ(operand.U8(size-1), n)
	for i, k := range f.tailMasks(n) {
		r := f.reg()
		f.move(f.bufferAt(i), r)
		m := f.place(out, i)
		m.Disp -= 4 * f.bytes
		f.store(k, r, m)
	}
	f.Label(direct)
}

// advance moves an argument on by a stride, and r to it.
func (v *vec) advance(r gpreg, name, stride string) {
	place := v.file.argument(name)
	v.MOVQ(v.stride(stride), r)
	v.ADDQ(place, r)
	v.MOVQ(r, place)
}

func (f *x86Focal) bufferAt(i int) operand.Mem {
	m := f.buffer
	m.Disp += i * f.bytes
	return m
}

// place is the place of register i of the group.
func (f *x86Focal) place(base gpreg, i int) operand.Mem {
	return operand.Mem{Base: base, Index: f.off, Scale: 1, Disp: i * f.bytes}
}

// four evaluates four registers of elements, stores the derivatives and adds or
// stores the terms.
func (f *x86Focal) four(sum *sideSum) {
	f.sides.group(f.off)
	var e, c, m, v, terms [4]vreg
	keep := func(i, j int, r *vreg) {
		if f.kept[3*i+j].Base != nil {
			f.move(*r, f.kept[3*i+j])
		}
	}
	again := func(i, j int, r vreg) vreg {
		if f.kept[3*i+j].Base == nil {
			return r
		}
		return f.inRegister(f.kept[3*i+j])
	}
	for i := range e {
		e[i], c[i], m[i] = f.powers(i)
		keep(i, 0, &e[i])
		keep(i, 1, &c[i])
		keep(i, 2, &m[i])
	}
	for i := range e {
		// On AVX2 it waits where the derivative will be.
		if v[i] = f.focal.logarithm(again(i, 0, e[i])); !f.wide() {
			f.move(v[i], f.place(f.dst, i))
		}
	}
	for i := range e {
		if !f.wide() {
			v[i] = f.inRegister(f.place(f.dst, i))
		}
		term, g := f.focal.element(again(i, 0, e[i]), again(i, 1, c[i]), again(i, 2, m[i]), v[i])
		f.finish(i, term, g)
		if f.terms {
			f.move(term, f.place(f.out, i))
			continue
		}
		// Registers of the same lanes in the two virtual vectors of a group.
		if terms[i] = term; i%(2*f.regs()) >= f.regs() {
			other := terms[i-f.regs()]
			f.add(other, term, other)
			sum.take(i, other)
		}
	}
}

// powers is the first stage of register i: e, c and m.
func (f *x86Focal) powers(i int) (e, c, m vreg) {
	y := f.reg()
	if f.wide() {
		f.load(f.sides.maskAt(f.exist, i), f.place(f.x, i), y)
	} else {
		f.move(f.place(f.x, i), y)
	}
	f.prefetch(f.place(f.x, i), i)
	pos := f.sides.mask(f.sides.pos, i)
	part := f.union(f.sides.mask(f.sides.neg, i), pos)
	if f.factors != nil {
		f.move(f.signedFactor(i, pos, part), f.factors[i])
	}
	var short *vreg
	if f.weighted {
		p, hi, lo := f.param("p"), f.reg(), f.reg()
		f.broadcast(at(p, f.size), hi)
		f.broadcast(at(p, 2*f.size), lo)
		var s vreg
		y, s = f.difference(y, hi, lo)
		f.flip(pos, s)
		short = &s
	}
	f.flip(pos, y)
	zero := f.reg()
	f.zero(zero)
	m = f.reg()
	if f.weighted {
		// m = y + short where y is up; there -|y| is short of -short.
		down := f.newMask()
		f.compare(less, y, zero, down)
		f.add(y, *short, m)
		f.flipOthers(down, *short)
		f.clearWhere(down, m)
	} else {
		f.max(zero, y, m)
	}
	f.keep(part, m, m)
	f.or(y, f.constant(math.Copysign(0, -1)), y)
	k := f.newMask()
	if f.wide() {
		f.either(f.VCMPPS, f.VCMPPD, operand.U8(notLess), f.low, y, part, k)
	} else {
		f.compare(notLess, y, f.low, k)
		f.and(k, part, k)
	}
	e, c = f.focal.power(y, short, func(a, s vreg) { f.mulKeep(k, a, s, a) })
	return e, c, m
}

// down exchanges e and 1 where m is not 0, and clears c there.
func (f *x86Focal) down(e, c, m vreg) (x, z, less vreg) {
	x, z, less = f.reg(), f.reg(), c
	zero, k := f.reg(), f.newMask()
	f.zero(zero)
	f.compare(equal, m, zero, k)
	one := f.inRegister(f.constant(1))
	switch {
	case f.wide():
		f.either(f.VBLENDMPS, f.VBLENDMPD, e, one, k, x)
		f.either(f.VBLENDMPS, f.VBLENDMPD, one, e, k, z)
	case f.double():
		f.VBLENDVPD(k, e, one, x)
		f.VBLENDVPD(k, one, e, z)
	default:
		f.VBLENDVPS(k, e, one, x)
		f.VBLENDVPS(k, one, e, z)
	}
	f.keep(k, c, less)
	return x, z, less
}

// signedFactor is the factor of the derivatives of register i, less where y = -x, and
// 0 where no part is taken.
func (f *x86Focal) signedFactor(i int, pos, part mask) vreg {
	factor := f.reg()
	f.move(f.factor, factor)
	if f.weighted {
		f.mul(factor, f.weight(i, pos), factor)
	}
	f.flip(pos, factor)
	f.keep(part, factor, factor)
	return factor
}

// finish multiplies the terms and the derivatives of register i by the factors and
// stores these. Where no part is taken the terms are 0.
func (f *x86Focal) finish(i int, term, g vreg) {
	if f.factors != nil {
		f.mul(g, f.factors[i], g)
	} else {
		pos := f.sides.mask(f.sides.pos, i)
		part := f.union(f.sides.mask(f.sides.neg, i), pos)
		f.mul(g, f.signedFactor(i, pos, part), g)
	}
	if f.weighted {
		f.mul(term, f.weight(i, f.sides.mask(f.sides.pos, i)), term)
	}
	if f.wide() {
		f.store(f.sides.maskAt(f.exist, i), g, f.place(f.dst, i))
	} else {
		f.move(g, f.place(f.dst, i))
	}
}

// weight returns the weights of the elements of register i.
func (f *x86Focal) weight(i int, pos mask) vreg {
	w, p := f.inRegister(f.place(f.param("negWeight"), i)), f.inRegister(f.place(f.param("posWeight"), i))
	f.choose(pos, p, w, w)
	return w
}

// clearWhere clears r in the lanes of k.
func (v *vec) clearWhere(k mask, r vreg) {
	if v.wide() {
		v.either(v.VXORPS, v.VXORPD, r, r, k, r)
		return
	}
	v.andNot(k, r, r)
}

// flipOthers changes the sign of r outside of the lanes of k.
func (v *vec) flipOthers(k mask, r vreg) {
	sign := v.constant(math.Copysign(0, -1))
	if v.wide() {
		// All, then those of k back.
		v.either(v.VXORPS, v.VXORPD, sign, r, r)
		v.either(v.VXORPS, v.VXORPD, sign, r, k, r)
		return
	}
	t := v.reg()
	v.andNot(k, sign, t)
	v.xor(r, t, r)
}
