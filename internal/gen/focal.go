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

	// productError returns a·b - p, one rounding, in a new register.
	productError(a, b, p R) R

	plusConstant(a R, c float64, d R)
	minusConstant(a R, c float64, d R)
	maxConstant(a R, c float64, d R)
	addProductConstant(a R, c float64, d R) // d += a·c, one rounding
	// fmaConstant is p = p·a + c, one rounding; the result may be another register.
	fmaConstant(p, a R, c float64) R

	positive(a R) R // max(a, 0), NaN where a is; a new register
	negative(a R) R // min(a, 0)
	// productPlus returns a·b + c, one rounding, in another register. It drops a.
	productPlus(a, b, c R) R

	// choose returns new registers: b, a, c where y is negative, else a, b, d. It
	// drops a, b, c and d.
	choose(y, a, b, c, d R) (q, p, excess R)
	// whereHalf returns new registers: where e is 1/2 or more a, head and tail, else e
	// and 0. It drops a.
	whereHalf(e, a R, head, tail float64) (f, h, t R)

	repeat(argument string, body func())               // as many times as an argument says
	ifAtLeast(argument string, least int, body func()) // only if an argument is
}

// A focal emits the arithmetic that kernel.focalElement specifies, in three stages.
// A processor that looks ahead finds enough to do where some registers go through
// one stage before the next.
type focal[R any] struct {
	arithmetic[R]
	elem
	exponent, exponentLow func() R  // f in a new register, and what it lacks
	powers                func(d R) // loads the powers of the register's elements
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

// reduced returns r and s of e^(y+short) = s·e^r, and r². It drops y and short, nil for
// none.
func (f focal[R]) reduced(y R, short *R) (r, s, square R) {
	log2e, ln2Hi, ln2Lo, _ := expConstants(f.elem)
	magic, _, _ := pivot0(f.elem)
	f.maxConstant(y, f.scaleLow(), y)
	s = f.constantIn(magic)
	f.addProductConstant(y, log2e, s)
	n := f.temp()
	f.minusConstant(s, magic, n)
	r = y
	f.addProductConstant(n, -ln2Hi, r)
	f.addProductConstant(n, -ln2Lo, r)
	if short != nil {
		f.plus(r, *short, r)
		f.drop(*short)
	}
	f.exponentOf(s)
	square = n
	f.times(r, r, square)
	return r, s, square
}

// power is kernel.focalPower: e^(y+short) as e and, unless only that is wanted, c. It
// drops y and short, nil for none.
func (f focal[R]) power(y R, short *R, alone bool) (e, c R) {
	_, _, _, coefs := expConstants(f.elem)
	r, s, square := f.reduced(y, short)
	one, low := f.temp(), f.temp()
	f.plusConstant(r, 1, one)
	f.minusConstant(one, 1, low)
	f.minus(r, low, low)
	p := f.evenOdd(coefs, r, square)
	f.addProduct(square, p, low)
	f.plus(one, low, p)
	if !alone {
		f.minus(p, one, one)
		f.minus(low, one, low)
		f.times(low, s, low)
	}
	f.times(p, s, p)
	f.drop(s, r, square, one)
	if alone {
		f.drop(low)
	}
	return p, low
}

// exponential is the first stage, which gives e and c as power does: of float32 in fewer
// steps.
func (f focal[R]) exponential(y R, short *R) (e, c R) {
	if f.double() {
		return f.power(y, short, false)
	}
	_, _, _, coefs := expConstants(f.elem)
	r, s, square := f.reduced(y, short)
	p := f.evenOdd(coefs, r, square)
	c = f.productPlus(square, p, r)
	f.plusConstant(c, 1, p)
	f.minusConstant(p, 1, r)
	f.minus(c, r, c)
	f.times(c, s, c)
	f.times(p, s, p)
	f.drop(r, s)
	return p, c
}

// scaleLow is the argument at which the scale of an exponential is 0.
func (e elem) scaleLow() float64 {
	if e == float64s {
		return coef.ScaleLow64
	}
	return coef.ScaleLow32
}

// logarithm is the second stage: what log1p of e + c needs of e alone.
func (f focal[R]) logarithm(e R) R {
	if f.double() {
		g, head, tail := f.reduce(e)
		h, low := f.logParts(g, tail)
		f.minus(h, low, h)
		f.minus(g, h, g)
		f.plus(g, head, g)
		f.drop(h, low, head)
		return g
	}
	l := coefficients(coef.Log1pQuotient32[:])
	h := f.constantIn(l[len(l)-1])
	for i := len(l) - 2; i >= 0; i-- {
		h = f.fmaConstant(h, e, l[i])
	}
	return h
}

// reduce is kernel.focalReduce.
func (f focal[R]) reduce(e R) (g, head, tail R) {
	above := f.constantIn(0.5)
	half := f.constantIn(-0.5)
	f.addProduct(e, above, half)
	f.drop(above)
	if f.double() {
		return f.whereHalf(e, half, coef.Ln2Head, coef.Ln2Tail)
	}
	return f.whereHalf(e, half, coef.Ln2Hi32, coef.Ln2Lo32)
}

// logParts is kernel.focalLogParts; low is c.
func (f focal[R]) logParts(g, c R) (h, low R) {
	s, z := f.temp(), f.temp()
	f.plusConstant(g, 2, s)
	f.over(g, s, s)
	f.times(s, s, z)
	l := coef.LogWide64[:]
	if !f.double() {
		l = coefficients(coef.Log1pUnit32[:])
	}
	r := f.constantIn(l[len(l)-1])
	for i := len(l) - 2; i >= 0; i-- {
		r = f.fmaConstant(r, z, l[i])
	}
	h = f.constantIn(0.5)
	f.times(g, h, h)
	f.times(h, g, h)
	t := f.temp()
	f.copyTo(h, t)
	f.addProduct(r, z, t)
	f.addProduct(s, t, c)
	f.drop(s, z, r, t)
	return h, c
}

// element is the third stage: the term and the derivative. It drops y, e, c and v,
// which is from the second.
func (f focal[R]) element(y, e, c, v R) (term, derivative R) {
	one := f.constantIn(1)
	w, rho := f.temp(), f.temp()
	f.plus(e, one, w)
	f.over(one, w, w)
	f.minus(one, w, rho)
	f.drop(one)
	f.subProduct(e, w, rho)
	f.subProduct(c, w, rho)
	b := f.temp()
	f.times(e, w, b)
	excess := f.productError(e, w, b)
	f.addProduct(c, w, excess)
	f.addProduct(b, rho, excess)
	// s = max(y, 0) + log(1+e)
	s := v
	if f.double() {
		f.addProduct(w, c, s)
	} else {
		f.times(e, b, e)
		s = f.productPlus(e, v, excess)
		e = v
		f.plus(b, s, s)
	}
	m := f.positive(y)
	f.plus(m, s, s)
	f.drop(m, e, c)
	f.times(w, rho, rho)
	q, p, excess := f.choose(y, w, b, excess, rho)
	f.drop(y)
	corrected, h := f.temp(), f.temp()
	f.plus(q, excess, corrected)
	f.plus(q, q, h)
	f.times(h, excess, h)
	f.addProduct(q, q, h)
	f.ifAtLeast("root", 1, func() {
		f.copyTo(corrected, h)
		f.ifAtLeast("root", 2, func() {
			f.rootOf(h, h)
			f.ifAtLeast("root", 3, func() { f.powers(h) })
		})
	})
	f.repeat("steps", func() {
		t := f.temp()
		f.times(h, excess, t)
		f.addProduct(h, q, t)
		f.copyTo(t, h)
		f.drop(t)
	})
	f.drop(q, excess)
	// term = h·s; derivative = h·(f·p·s + σ)
	f.times(p, s, p)
	x := f.exponent()
	f.addProduct(p, x, corrected)
	f.times(h, s, s)
	f.times(h, corrected, corrected)
	f.drop(p, h, x)
	return s, corrected
}

// sigmoidPower is kernel.sigmoidPower, y being of the sign of its argument. down is -|y|
// and short what it is short of; shortDown is that where y is negative, else 0. It drops
// all of them.
func (f focal[R]) sigmoidPower(y, down, short, shortDown R) R {
	e, c := f.power(down, &short, false)
	one := f.constantIn(1)
	w := f.temp()
	f.plus(e, one, w)
	f.over(one, w, w)
	g, head, low := f.reduce(e)
	f.addProduct(w, c, low)
	f.drop(one, w, e, c)
	h, low := f.logParts(g, low)
	// low less what h lacks of g²/2
	half := f.constantIn(0.5)
	f.times(half, g, half)
	lack := f.productError(half, g, h)
	f.minus(low, lack, low)
	f.drop(half, lack)
	t, u := f.temp(), f.temp()
	f.minus(g, h, t)
	f.plus(head, t, u)
	// rest = ((u - head) - t) + ((t - g) + h) - low
	rest := f.temp()
	f.minus(u, head, rest)
	f.minus(rest, t, rest)
	f.minus(t, g, t)
	f.plus(t, h, t)
	f.plus(rest, t, rest)
	f.minus(rest, low, rest)
	f.drop(head, t, g, h, low)
	// a = m - u, and its error
	m := f.negative(y)
	f.drop(y)
	f.maxConstant(m, f.scaleLow(), m)
	a, v, d := f.temp(), f.temp(), f.temp()
	f.minus(m, u, a)
	f.minus(a, m, v)
	f.minus(a, v, d)
	f.minus(m, d, d)
	f.plus(u, v, v)
	f.minus(d, v, d)
	f.plus(d, shortDown, d)
	f.plus(d, rest, rest)
	f.drop(m, v, d, shortDown)
	// f·a and what that lacks
	f.plus(a, rest, u)
	f.minus(u, a, a)
	f.minus(rest, a, rest)
	x, product := f.exponent(), f.temp()
	f.times(x, u, product)
	more := f.productError(x, u, product)
	lo := f.exponentLow()
	f.addProduct(lo, u, more)
	f.addProduct(x, rest, more)
	f.drop(x, lo, a, u, rest)
	power, _ := f.power(product, &more, true)
	return power
}

// x86Arithmetic is the arithmetic of vec.
type x86Arithmetic struct {
	*vec
	zeros vreg // AVX-512
}

func newX86Arithmetic(v *vec) x86Arithmetic {
	a := x86Arithmetic{vec: v}
	if v.wide() {
		a.zeros = v.reg()
		v.zero(a.zeros)
	}
	return a
}

// zeroed returns zeros in a register that may not be written.
func (a x86Arithmetic) zeroed() vreg {
	if a.wide() {
		return a.zeros
	}
	r := a.reg()
	a.zero(r)
	return r
}

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

func (a x86Arithmetic) productError(x, y, p vreg) vreg {
	d := a.reg()
	a.move(p, d)
	a.either(a.VFMSUB231PS, a.VFMSUB231PD, y, x, d)
	return d
}

func (a x86Arithmetic) positive(x vreg) vreg {
	m := a.reg()
	a.max(a.zeroed(), x, m)
	return m
}

func (a x86Arithmetic) negative(x vreg) vreg {
	m := a.reg()
	a.min(a.zeroed(), x, m)
	return m
}

func (a x86Arithmetic) productPlus(x, y, z vreg) vreg {
	a.fmaMul(y, z, x)
	return x
}

func (a x86Arithmetic) choose(y, b, c, d, e vreg) (q, p, excess vreg) {
	q, p, excess = a.reg(), a.reg(), a.reg()
	k := a.signs(y)
	a.blend(k, c, b, q)
	a.blend(k, b, c, p)
	a.blend(k, d, e, excess)
	return q, p, excess
}

// signs is the lanes in which y is negative, -0 or not, as a mask of blend.
func (a x86Arithmetic) signs(y vreg) mask {
	if !a.wide() {
		return y
	}
	k := a.newMask()
	a.compare(less, y, a.zeros, k)
	return k
}

// blend is d = x in the lanes of k, on AVX2 where it has a sign, y elsewhere.
func (a x86Arithmetic) blend(k mask, x, y, d vreg) {
	switch {
	case a.wide():
		a.either(a.VBLENDMPS, a.VBLENDMPD, x, y, k, d)
	case a.double():
		a.VBLENDVPD(k, x, y, d)
	default:
		a.VBLENDVPS(k, x, y, d)
	}
}

func (a x86Arithmetic) whereHalf(e, f vreg, head, tail float64) (g, h, t vreg) {
	k := a.newMask()
	a.compare(notLess, e, a.constantIn(0.5), k)
	g, h, t = a.reg(), a.reg(), a.reg()
	a.blend(k, f, e, g)
	a.keep(k, a.constantIn(head), h)
	a.keep(k, a.constantIn(tail), t)
	return g, h, t
}

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

func (a x86Arithmetic) ifAtLeast(argument string, least int, body func()) {
	done := a.newLabel("less")
	a.CMPQ(a.argument(argument), operand.U8(least))
	a.JL(operand.LabelRef(done))
	body()
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
	exist            operand.Mem        // AVX-512: the elements that exist, as bits
	buffer           operand.Mem        // AVX2: of a rest
	kept             [4 * 3]operand.Mem // e, c and y of four registers; nowhere for what stays in registers
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
		if !v.wide() || i%3 > 0 {
			f.kept[i] = v.AllocLocal(v.bytes)
		}
	}
	f.focal = focal[vreg]{arithmetic: newX86Arithmetic(v), elem: v.elem}
	f.focal.exponent = func() vreg { return v.inRegisterOf(f.f) }
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
	v.SHLQ(operand.U8(3+log2(v.size)), words)
	v.ADDQ(words, f.file.argument("powers"))
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
	var e, c, y, v, terms [4]vreg
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
		var down vreg
		var short *vreg
		y[i], down, short = f.argument(i)
		keep(i, 2, &y[i])
		e[i], c[i] = f.focal.exponential(down, short)
		keep(i, 0, &e[i])
		keep(i, 1, &c[i])
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
		f.focal.powers = func(d vreg) { f.move(f.place(f.param("powers"), i), d) }
		term, g := f.focal.element(again(i, 2, y[i]), again(i, 0, e[i]), again(i, 1, c[i]), v[i])
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

// argument returns y of register i, -|y| and, with thresholds, what it is short of.
func (f *x86Focal) argument(i int) (y, down vreg, short *vreg) {
	f.prefetch(f.place(f.x, i), i)
	pos := f.sides.mask(f.sides.pos, i)
	part := f.union(f.sides.mask(f.sides.neg, i), pos)
	if f.factors != nil {
		f.move(f.signedFactor(i, pos, part), f.factors[i])
	}
	if !f.weighted {
		y = f.partOf(part, f.place(f.x, i))
		f.flip(pos, y)
		return y, f.minusMagnitude(y), nil
	}
	y = f.reg()
	if f.wide() {
		f.load(part, f.place(f.x, i), y)
	} else {
		f.move(f.place(f.x, i), y)
	}
	y, down, s := f.sigmoidArgument(y, pos, part, f.param("p"))
	return y, down, &s
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

// inRegisterOf is a itself, or what it holds in a new register.
func (v *vec) inRegisterOf(a op) vreg {
	if m, ok := a.(operand.Mem); ok {
		return v.inRegister(m)
	}
	return a.(vreg)
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

// sigmoidPowers emits the kernel, which takes two registers at a time.
func sigmoidPowers(v *vec) {
	h, x, p := v.param("h"), v.param("x"), v.param("p")
	s := &sides{vec: v, pos: v.param("pos"), neg: v.param("neg"), at: v.GP64()}
	s.laneTests()
	exponent := v.kept(at(v.param("f"), 0))
	a := newX86Arithmetic(v)
	low := v.kept(at(v.param("f"), v.size))
	f := focal[vreg]{
		arithmetic: a, elem: v.elem,
		exponent: func() vreg { return v.inRegisterOf(exponent) }, exponentLow: func() vreg { return v.inRegisterOf(low) },
	}
	off, left := v.GP64(), v.GP64()
	row, group := v.newLabel("row"), v.newLabel("group")
	last, done := v.newLabel("last"), v.newLabel("done")
	rows := v.argument("rows")
	v.CMPQ(rows, operand.U8(0))
	v.JEQ(operand.LabelRef(last))
	v.Label(row)
	v.XORQ(off, off)
	v.Load(v.Param("n"), left)
	v.TESTQ(left, left)
	v.JZ(operand.LabelRef(done))
	v.Label(group)
	s.group(off)
	for i := range 2 {
		place := func(base gpreg) operand.Mem {
			return operand.Mem{Base: base, Index: off, Scale: 1, Disp: i * v.bytes}
		}
		pos := s.mask(s.pos, i)
		part := v.union(s.mask(s.neg, i), pos)
		y := v.reg()
		v.load(part, place(x), y) // nothing beyond the row
		y, down, short := v.sigmoidArgument(y, pos, part, p)
		shortDown := v.reg()
		if k := a.signs(y); v.wide() {
			v.keep(k, short, shortDown)
		} else {
			a.blend(k, short, a.zeroed(), shortDown)
		}
		v.move(f.sigmoidPower(y, down, short, shortDown), place(h))
	}
	v.ADDQ(operand.I32(2*v.bytes), off)
	v.SUBQ(operand.U8(2*v.perReg()), left)
	v.JG(operand.LabelRef(group))
	v.Label(done)
	v.ADDQ(v.stride("stride"), x)
	words := v.param("words")
	v.SHLQ(operand.U8(3), words)
	v.ADDQ(words, s.pos)
	v.ADDQ(words, s.neg)
	v.SHLQ(operand.U8(3+log2(v.size)), words)
	v.ADDQ(words, h)
	v.ADDQ(operand.U8(3*v.size), p)
	v.DECQ(rows)
	v.JNZ(operand.LabelRef(row))
	v.Label(last)
	v.VZEROUPPER()
	v.RET()
}
