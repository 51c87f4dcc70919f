package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
)

// x86Arithmetic is the arithmetic of vec.
type x86Arithmetic struct {
	*vec
	zeros vreg             // AVX-512
	held  map[float64]vreg // constants that are in registers
}

func newX86Arithmetic(v *vec) x86Arithmetic {
	a := x86Arithmetic{vec: v, held: map[float64]vreg{}}
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

// hold brings constants into registers, on AVX-512: there are enough, and a load takes
// as long as an operation.
func (a x86Arithmetic) hold(constants ...float64) {
	for _, c := range constants {
		if a.wide() {
			a.held[c] = a.inRegister(a.vec.constant(c))
		}
	}
}

// constant is a constant where it is.
func (a x86Arithmetic) constant(c float64) op {
	if r, ok := a.held[c]; ok {
		return r
	}
	return a.vec.constant(c)
}

func (a x86Arithmetic) sharing(c float64, body func()) {
	if _, ok := a.held[c]; !ok {
		a.held[c] = a.inRegister(a.vec.constant(c))
		defer delete(a.held, c)
	}
	body()
}

func (a x86Arithmetic) temp() vreg                              { return a.reg() }
func (a x86Arithmetic) drop(...vreg)                            {}
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

func (a x86Arithmetic) constantIn(c float64) vreg {
	r := a.reg()
	a.move(a.constant(c), r)
	return r
}

func (a x86Arithmetic) productError(x, y, p vreg) vreg {
	d := a.reg()
	a.move(p, d)
	a.either(a.VFMSUB231PS, a.VFMSUB231PD, y, x, d)
	return d
}

func (a x86Arithmetic) addPositive(x, d vreg) {
	m := a.reg()
	a.max(a.zeroed(), x, m)
	a.add(m, d, d)
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

func (a x86Arithmetic) larger(x, y, d vreg)  { a.max(x, y, d) }
func (a x86Arithmetic) smaller(x, y, d vreg) { a.min(x, y, d) }
func (a x86Arithmetic) otherSign(y, d vreg)  { a.andNot(y, a.constant(math.Copysign(0, -1)), d) }
func (a x86Arithmetic) flip(x, sign, d vreg) { a.xor(x, sign, d) }
func (a x86Arithmetic) whereSign(y, b, c vreg) vreg {
	d := a.reg()
	a.vec.choose(a.signs(y), b, c, d)
	return d
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

// blend is d = x in the lanes of k, where it has a sign, y elsewhere, on AVX2.
func (a x86Arithmetic) blend(k mask, x, y, d vreg) {
	switch {
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
	if a.wide() {
		a.vec.choose(k, f, e, g)
	} else {
		a.blend(k, f, e, g)
	}
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
