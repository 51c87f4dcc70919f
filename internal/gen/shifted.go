package gen

import (
	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// A shifted emits the arithmetic that internal/kernel/shifted.go specifies. at is the
// element's place of a quantity that is kept of it, of coef's names; p gives a parameter in
// a register that is not written.
type shifted[R any] struct {
	focal[R]
	plain bool
	load  func(at int) R
	store func(r R, at int)
	p     func(i int) R
}

// odds emits kernel.ShiftedOdds64.
func (f shifted[R]) odds() {
	if f.plain {
		f.plainOdds()
		return
	}
	e, c := f.expPair(f.load(coef.ShiftedY))
	// num + low = (1-m) - m·e
	m := f.p(0)
	h := f.temp()
	f.times(m, e, h)
	low := f.productError(m, e, h)
	f.addProduct(m, c, low)
	rest, restLow, num := f.p(1), f.p(2), f.temp()
	f.minus(rest, h, num)
	f.minus(restLow, low, low)
	more := f.temp()
	f.minus(rest, num, more)
	f.minus(more, h, more)
	f.plus(more, low, low)
	f.drop(h, more)
	// d + lack = 1 + e
	one, d := f.constantIn(1), f.temp()
	f.plus(e, one, d)
	larger, lack := f.temp(), f.temp()
	f.larger(e, one, larger)
	f.smaller(e, one, lack)
	f.minus(d, larger, larger)
	f.minus(lack, larger, lack)
	f.plus(lack, c, lack)
	f.drop(larger)
	// odds = num/(m·d + e)
	den, denLow, odds := f.temp(), f.temp(), f.temp()
	f.copyTo(e, den)
	f.addProduct(m, d, den)
	f.copyTo(c, denLow)
	f.addProduct(m, lack, denLow)
	inverse, left := f.temp(), f.temp()
	f.over(one, den, inverse)
	f.times(num, inverse, odds)
	f.copyTo(num, left)
	f.subProduct(odds, den, left)
	f.plus(left, low, left)
	f.subProduct(odds, denLow, left)
	f.addProduct(left, inverse, odds)
	f.maxConstant(odds, coef.ShiftedLeast, odds)
	f.store(odds, coef.ShiftedOddsAt)
	f.drop(den, denLow, odds, inverse, left)
	// r = q + left
	q := f.temp()
	inverse = one
	f.over(one, d, inverse)
	f.times(num, inverse, q)
	f.subProduct(q, d, num)
	f.plus(num, low, num)
	f.subProduct(q, lack, num)
	left = num
	f.times(left, inverse, left)
	r := low
	f.plus(q, left, r)
	f.minus(r, q, q)
	f.minus(left, q, left)
	f.store(left, coef.ShiftedLow)
	f.maxConstant(r, coef.ShiftedLeast, r)
	f.store(r, coef.ShiftedR)
	f.drop(left, q, r)
	// e/(1+e)², with what it misses by
	square, slope := f.temp(), f.temp()
	f.times(d, d, square)
	squareLow := f.productError(d, d, square)
	f.plus(lack, lack, lack)
	f.addProduct(d, lack, squareLow)
	f.times(e, inverse, slope)
	f.times(slope, inverse, slope)
	f.subProduct(slope, square, e)
	f.subProduct(slope, squareLow, e)
	f.plus(e, c, e)
	f.times(inverse, inverse, inverse)
	f.addProduct(e, inverse, slope)
	f.store(slope, coef.ShiftedSlope)
	f.drop(e, c, d, lack, inverse, square, squareLow, slope)
}

// plainOdds emits its plain form.
func (f shifted[R]) plainOdds() {
	e := f.plainExp(f.load(coef.ShiftedY))
	m, num, h := f.p(0), f.temp(), f.temp()
	f.times(m, e, h)
	f.minus(f.p(1), h, num)
	one, d, den := f.constantIn(1), f.temp(), h
	f.plus(e, one, d)
	f.copyTo(e, den)
	f.addProduct(m, d, den)
	inverse := f.temp()
	f.times(d, den, inverse)
	f.over(one, inverse, inverse)
	f.drop(one)
	f.times(den, inverse, den)
	f.times(d, inverse, d)
	f.times(num, d, d)
	f.maxConstant(d, coef.ShiftedLeast, d)
	f.store(d, coef.ShiftedOddsAt)
	f.times(num, den, num)
	f.maxConstant(num, coef.ShiftedLeast, num)
	f.store(num, coef.ShiftedR)
	f.times(e, den, e)
	f.times(e, den, e)
	f.store(e, coef.ShiftedSlope)
	f.drop(e, inverse, num, d, den)
}

// terms emits kernel.ShiftedTerms64; p(0) is γ.
func (f shifted[R]) terms() {
	logR, gamma := f.load(coef.ShiftedLog), f.p(0)
	y := f.temp()
	f.times(gamma, logR, y)
	var power R
	if f.plain {
		f.drop(logR)
		power = f.plainExp(y)
	} else {
		more := f.productError(gamma, logR, y)
		zero := f.constantIn(0)
		f.minus(zero, logR, logR)
		f.drop(zero)
		e, c := f.expPair(logR)
		r, d := f.load(coef.ShiftedR), f.constantIn(-1)
		f.addProduct(r, e, d)
		f.addProduct(r, c, d)
		f.drop(r, c)
		low := f.load(coef.ShiftedLow)
		f.addProduct(low, e, d)
		f.drop(low, e)
		f.addProduct(gamma, d, more)
		f.drop(d)
		power, _ = f.power(y, &more, true)
	}
	l, slope := f.load(coef.ShiftedLog1p), f.load(coef.ShiftedOddsAt)
	f.plusConstant(slope, 1, slope)
	r := f.load(coef.ShiftedR)
	f.over(l, r, r)
	f.addProduct(gamma, r, slope)
	f.times(power, l, l)
	f.store(l, coef.ShiftedTerm)
	f.drop(r, l)
	outer := f.load(coef.ShiftedSlope)
	f.times(outer, power, outer)
	f.times(outer, slope, outer)
	f.store(outer, coef.ShiftedDerivative)
	f.drop(outer, power, slope)
}

// plainExp is kernel.plainExp. It drops y.
func (f focal[R]) plainExp(y R) R {
	_, _, _, coefs := expConstants(f.elem)
	r, s, square := f.reduced(y, nil)
	p := f.evenOdd(coefs, r, square)
	p = f.productPlus(square, p, r)
	f.plusConstant(p, 1, p)
	f.times(p, s, p)
	f.drop(r, s)
	return p
}

// expPair is kernel.expPair. It drops y.
func (f focal[R]) expPair(y R) (hi, lo R) {
	log2e, ln2Hi, ln2Lo, _ := expConstants(f.elem)
	magic, _, _ := pivot0(f.elem)
	s, n := f.constantIn(magic), f.temp()
	f.addProductConstant(y, log2e, s)
	f.minusConstant(s, magic, n)
	f.addProductConstant(n, -ln2Hi, y)
	short := f.constantIn(-ln2Lo)
	f.times(n, short, short)
	r := n
	f.plus(y, short, r)
	f.minus(r, y, y)
	f.minus(short, y, short)
	f.exponentOf(s)
	// r², r³/6 and what they lack
	square, cube := y, f.temp()
	f.times(r, r, square)
	squareLow := f.productError(r, r, square)
	c := f.constantIn(coef.Sixth)
	sixth := f.temp()
	f.times(r, c, sixth)
	low := f.productError(r, c, sixth)
	f.drop(c)
	f.addProductConstant(r, coef.SixthLow, low)
	f.times(square, sixth, cube)
	t := f.productError(square, sixth, cube)
	f.addProduct(square, low, t)
	f.addProduct(squareLow, sixth, t)
	f.drop(low, sixth)
	low = t
	q := f.evenOdd(coef.ExpPair64[:], r, square)
	fourth := f.temp()
	f.times(square, square, fourth)
	f.addProduct(fourth, q, low)
	f.drop(q, fourth)
	f.addProductConstant(squareLow, 0.5, low)
	f.drop(squareLow)
	// a = 1 + r, then b = a + r²/2, then a = b + r³/6
	a, rest := f.temp(), f.temp()
	f.plusConstant(r, 1, a)
	f.minusConstant(a, 1, rest)
	f.minus(r, rest, rest)
	half, b := f.constantIn(0.5), r
	f.times(square, half, half)
	f.plus(a, half, b)
	f.minus(b, a, a)
	f.minus(half, a, half)
	f.plus(rest, half, rest)
	f.plus(b, cube, a)
	f.minus(a, b, b)
	f.minus(cube, b, cube)
	f.plus(rest, cube, rest)
	f.plus(rest, low, low)
	f.addProduct(a, short, low)
	f.drop(rest, half, cube, square, short)
	f.plus(a, low, b)
	f.minus(b, a, a)
	f.minus(low, a, low)
	f.times(b, s, b)
	f.times(low, s, low)
	f.drop(a, s)
	return b, low
}

// x86Shifted is the arithmetic of a register of elements, whose place is w; body emits it.
func x86Shifted(v *vec, plain bool, parameters []op, body func(f shifted[vreg])) {
	w, n, group := v.param("w"), v.param("n"), v.newLabel("group")
	a := newX86Arithmetic(v)
	if v.wide() {
		a.hold(1, coef.Magic64)
	}
	f := shifted[vreg]{
		focal: focal[vreg]{arithmetic: a, elem: v.elem}, plain: plain,
		load:  func(place int) vreg { return v.inRegister(at(w, place*v.size)) },
		store: func(r vreg, place int) { v.move(r, at(w, place*v.size)) },
		p:     func(i int) vreg { return v.asRegister(parameters[i]) },
	}
	v.Label(group)
	body(f)
	v.ADDQ(operand.U32(v.bytes), w)
	v.SUBQ(operand.U8(v.perReg()), n)
	v.JG(operand.LabelRef(group))
	v.VZEROUPPER()
	v.RET()
}

func emitShiftedOdds(v *vec, plain bool) {
	p := v.param("p")
	parameters := []op{v.kept(at(p, 0)), v.kept(at(p, v.size))}
	if !plain {
		parameters = append(parameters, v.kept(at(p, 2*v.size)))
	}
	x86Shifted(v, plain, parameters, shifted[vreg].odds)
}

func emitShiftedTerms(v *vec, plain bool) {
	x86Shifted(v, plain, []op{v.kept(v.argument("gamma"))}, shifted[vreg].terms)
}

// neonShifted is x86Shifted, of two registers, which share the loads of constants.
func neonShifted(v *neonVec, plain bool, parameters []*vecReg, body func(f shifted[[]*vecReg])) {
	w, n, group := v.param("w"), v.param("n"), v.newLabel("group")
	place := func(place, i int) address { return address{w, place*v.size + 16*i} }
	f := shifted[[]*vecReg]{
		focal: focal[[]*vecReg]{arithmetic: newNeonPair(v), elem: v.elem}, plain: plain,
		load: func(at int) []*vecReg {
			return []*vecReg{v.inRegister(place(at, 0)), v.inRegister(place(at, 1))}
		},
		store: func(r []*vecReg, at int) {
			v.store(r[0], place(at, 0))
			v.store(r[1], place(at, 1))
		},
		p: func(i int) []*vecReg { return []*vecReg{parameters[i], parameters[i]} },
	}
	v.label(group)
	body(f)
	v.op("ADD", imm(32), w)
	v.op("SUBS", imm(32/v.size), n)
	v.op("BGT", group)
	v.op("RET")
}

func emitNeonShiftedOdds(v *neonVec, plain bool) {
	v.loadConstants()
	count := 3
	if plain {
		count = 2
	}
	neonShifted(v, plain, v.broadcastOf("p", count), shifted[[]*vecReg].odds)
}

func emitNeonShiftedTerms(v *neonVec, plain bool) {
	v.loadConstants()
	neonShifted(v, plain, []*vecReg{v.same("gamma")}, shifted[[]*vecReg].terms)
}
