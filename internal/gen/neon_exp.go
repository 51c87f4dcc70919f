package gen

import "slices"

// A neonExponential evaluates e^x·2^-c on registers, in the steps of an
// exponential. Multiply-adds overwrite the addend: the coefficients come from
// memory, two registers a load, where they are used up.
type neonExponential struct {
	*neonVec
	magic      *vecReg
	log2e      *vecReg
	minusLn2Hi *vecReg
	minusLn2Lo *vecReg
	highest    *vecReg
	rest       []address // the coefficients from the second highest down to 1, 1
}

func newNeonExponential(v *neonVec, magic *vecReg) *neonExponential {
	v.loadConstants()
	log2e, ln2Hi, ln2Lo, c := expConstants(v.elem)
	e := &neonExponential{neonVec: v, magic: magic}
	e.log2e = v.inRegister(v.constant(log2e))
	e.minusLn2Hi = v.inRegister(v.constant(-ln2Hi))
	e.minusLn2Lo = v.inRegister(v.constant(-ln2Lo))
	e.highest = v.inRegister(v.constant(c[len(c)-1]))
	for _, x := range slices.Backward(c[:len(c)-1]) {
		e.rest = append(e.rest, v.constant(x))
	}
	one := v.constant(1)
	e.rest = append(e.rest, one, one)
	return e
}

// evaluate returns p and s with e^x·2^-c = p·s for every x, whose registers it
// frees. The steps of the different x are interleaved.
func (e *neonExponential) evaluate(x []*vecReg) (p, s []*vecReg) {
	return e.evaluateShifted(x, nil)
}

// evaluateShifted is evaluate of x + shift, a small number that is added to r,
// whose registers it frees; nil for none.
func (e *neonExponential) evaluateShifted(x, shift []*vecReg) (p, s []*vecReg) {
	t := make([]*vecReg, len(x))
	n := make([]*vecReg, len(x))
	e.comment("t = x·log2(e) + magic; n = t - magic")
	for i := range x {
		t[i] = e.reg()
		e.copy(e.magic, t[i])
		e.fmaAcc(x[i], e.log2e, t[i])
	}
	for i := range x {
		n[i] = e.reg()
		e.sub(t[i], e.magic, n[i])
	}
	return e.finish(x, t, n, shift)
}

// finish goes on from t and n, and frees x, n and shift.
func (e *neonExponential) finish(x, t, n, shift []*vecReg) (p, s []*vecReg) {
	e.comment("r = x - n·ln2Hi - n·ln2Lo")
	for i := range x {
		e.fmaAcc(n[i], e.minusLn2Hi, x[i])
	}
	for i := range x {
		e.fmaAcc(n[i], e.minusLn2Lo, x[i])
	}
	e.free(n...)
	for i := range shift {
		e.add(x[i], shift[i], x[i])
		e.free(shift[i])
	}
	return e.powers(x, t)
}

// powers returns p and s for the reduced arguments r, which it frees; t holds n
// as an integer.
func (e *neonExponential) powers(r, t []*vecReg) (p, s []*vecReg) {
	e.comment("p = e^r")
	p = e.horner(e.highest, e.rest, r)
	e.free(r...)
	e.comment("s = 2^(n-c)")
	for i := range t {
		e.shiftToExponent(t[i], t[i])
	}
	return p, t
}

// quotients is powers that returns q, e^r = 1 + r·q, in place of p, and leaves r.
func (e *neonExponential) quotients(r, t []*vecReg) (q, s []*vecReg) {
	e.comment("q = (e^r - 1)/r")
	q = e.horner(e.highest, e.rest[:len(e.rest)-1], r)
	e.comment("s = 2^(n-c)")
	for i := range t {
		e.shiftToExponent(t[i], t[i])
	}
	return q, t
}
