package gen

import (
	"github.com/mmcloughlin/avo/operand"
)

// An exponential evaluates e^x·2^-c on registers:
//
//	t = x·log2(e) + magic            the low bits of t are n - c + bias
//	n = t - magic                    n = x·log2(e) rounded to an integer
//	r = x - n·ln2Hi - n·ln2Lo        |r| ≤ ln(2)/2, and a little more
//	p = 1 + r + r²·(c2 + c3·r + …)   = e^r
//	s = low bits of t as exponent    = 2^(n-c)
//
// The pivot c is part of magic, 1.5·2^23 + 127 - c for float32 and
// 1.5·2^52 + 1023 - c for float64.
type exponential struct {
	*vec
	magic      op
	log2e      op // a register
	minusLn2Hi op
	minusLn2Lo op
	highest    op
	rest       []op // the coefficients from the second highest down to 1, 1
}

// newExponential leaves all constants but one in memory; on AVX-512 it brings
// them into registers where enough are spare.
func newExponential(v *vec, magic op, spare bool) *exponential {
	return newExponentialBy(v, v.inRegister(v.log2e()), magic, spare)
}

// log2e is the place of that constant.
func (v *vec) log2e() operand.Mem {
	log2e, _, _, _ := expConstants(v.elem)
	return v.constant(log2e)
}

// newExponentialBy is newExponential with log2(e) where it is; where that is memory,
// the magic number is in a register.
func newExponentialBy(v *vec, log2e, magic op, spare bool) *exponential {
	constant := func(x float64) op { return v.constant(x) }
	if v.wide() && spare {
		constant = func(x float64) op { return v.inRegister(v.constant(x)) }
	}
	_, ln2Hi, ln2Lo, c := expConstants(v.elem)
	e := &exponential{vec: v, log2e: log2e, magic: magic}
	e.minusLn2Hi, e.minusLn2Lo = constant(-ln2Hi), constant(-ln2Lo)
	e.highest = constant(c[len(c)-1])
	for i := len(c) - 2; i >= 0; i-- {
		e.rest = append(e.rest, constant(c[i]))
	}
	one := constant(1)
	e.rest = append(e.rest, one, one)
	return e
}

// inRegister loads a constant into a new register.
func (v *vec) inRegister(m operand.Mem) vreg {
	r := v.reg()
	v.move(m, r)
	return r
}

// evaluate returns p and s with e^x·2^-c = p·s for every x, whose registers it
// overwrites. The steps of the different x are interleaved.
func (e *exponential) evaluate(x []vreg) (p, s []vreg) { return e.evaluateShifted(x, nil) }

// evaluateShifted is evaluate of x + shift, a small number that is added to r;
// nil for none.
func (e *exponential) evaluateShifted(x, shift []vreg) (p, s []vreg) {
	r, t, n := e.reduce(x, false)
	for i := range shift {
		e.add(r[i], shift[i], r[i])
	}
	return e.powers(r, t, n)
}

// reduce returns the reduced arguments r of the x, n as an integer, and free
// registers, one for each. r are the registers of x, but with keep new ones.
func (e *exponential) reduce(x []vreg, keep bool) (r, t, free []vreg) {
	r, t = make([]vreg, len(x)), make([]vreg, len(x))
	magic := e.shared(e.magic, len(x))
	free = e.newRegs(len(x))
	log2e := e.shared(e.log2e, len(x))
	for i := range x {
		t[i] = e.reg()
		e.move(x[i], t[i])
		e.fmaMul(log2e, magic, t[i])
	}
	for i := range x {
		e.sub(t[i], magic, free[i])
	}
	ln2Hi := e.shared(e.minusLn2Hi, len(x))
	for i := range x {
		r[i] = x[i]
		if keep {
			r[i] = e.reg()
			e.move(x[i], r[i])
		}
		e.fmaAcc(free[i], ln2Hi, r[i])
	}
	ln2Lo := e.shared(e.minusLn2Lo, len(x))
	for i := range x {
		e.fmaAcc(free[i], ln2Lo, r[i])
	}
	return r, t, free
}

// powers returns p and s for the reduced arguments r; it overwrites t, which
// holds n as an integer, and free registers, one for each r.
func (e *exponential) powers(r, t, free []vreg) (p, s []vreg) {
	return e.powersWith(r, t, free, func() {})
}

// powersWith is powers that calls between after every step of the polynomial.
func (e *exponential) powersWith(r, t, free []vreg, between func()) (p, s []vreg) {
	e.horner(r, free, e.rest, between)
	for i := range t {
		e.shiftToExponent(t[i], t[i])
	}
	return free, t
}

// quotients is powers that returns q, e^r = 1 + r·q, in place of p.
func (e *exponential) quotients(r, t, free []vreg) (q, s []vreg) {
	e.horner(r, free, e.rest[:len(e.rest)-1], func() {})
	for i := range t {
		e.shiftToExponent(t[i], t[i])
	}
	return free, t
}

// horner evaluates the polynomial with the highest coefficient and those given, and
// calls between after every step.
func (e *exponential) horner(r, p []vreg, rest []op, between func()) {
	highest := e.shared(e.highest, len(r))
	for i := range r {
		e.move(highest, p[i])
	}
	for _, c := range rest {
		c = e.shared(c, len(r))
		for i := range r {
			e.fmaMul(r[i], c, p[i])
		}
		between()
	}
}
