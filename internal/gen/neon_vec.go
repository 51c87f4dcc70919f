package gen

// A neonVec emits vector instructions of arm64 for one element type, with the
// methods of vec: named after what they compute, arguments in the order of the
// formula, the destination last. A register has 16 bytes.
type neonVec struct {
	*neonFile
	elem
	form   string // of the lanes
	set    string // of the constants
	table  genReg // address of the constants, once loaded
	loaded bool
	tests  genReg // address of the tests of lanes

	accumulatorBytes int // of the frame, where they are more than usual
}

func newNeonVec(f *neonFile, e elem) *neonVec {
	v := &neonVec{neonFile: f, elem: e, form: "S4"}
	if e == float64s {
		v.form = "D2"
	}
	return v
}

// report sets the result bad: to 0 where all bits of r are set or, unless all is true,
// where none is.
func (v *neonVec) report(r *vecReg, all bool) {
	low, bad := v.gp(), v.gp()
	v.op("VMOV", r.as("D").String()+"[0]", low)
	v.op("VMOV", r.as("D").String()+"[1]", bad)
	if all {
		v.op("AND", low, bad)
		v.op("MVN", bad, bad)
	} else {
		v.op("ORR", low, bad)
	}
	v.op("MOVD", bad, v.argument("bad"))
	v.release(low, bad)
}

// neonRegs is the number of registers of a virtual vector.
const neonRegs = 4

func (v *neonVec) double() bool { return v.elem == float64s }

// lanes is a register with the lanes of the element type.
func (v *neonVec) lanes(r *vecReg) lanes { return r.as(v.form) }

// Arithmetic.

func (v *neonVec) add(a, b, d *vecReg) { v.VFADD(v.lanes(b), v.lanes(a), v.lanes(d)) }
func (v *neonVec) sub(a, b, d *vecReg) { v.VFSUB(v.lanes(b), v.lanes(a), v.lanes(d)) }
func (v *neonVec) mul(a, b, d *vecReg) { v.VFMUL(v.lanes(b), v.lanes(a), v.lanes(d)) }
func (v *neonVec) div(a, b, d *vecReg) { v.VFDIV(v.lanes(b), v.lanes(a), v.lanes(d)) }

// max and min are NaN where either argument is.
func (v *neonVec) max(a, b, d *vecReg) { v.VFMAX(v.lanes(b), v.lanes(a), v.lanes(d)) }
func (v *neonVec) min(a, b, d *vecReg) { v.VFMIN(v.lanes(b), v.lanes(a), v.lanes(d)) }

// fmaSub is d -= a·b, one rounding.
func (v *neonVec) fmaSub(a, b, d *vecReg) { v.op("VFMLS", v.lanes(b), v.lanes(a), v.lanes(d)) }

// fmaAcc is d += a·b, one rounding.
func (v *neonVec) fmaAcc(a, b, d *vecReg) { v.op("VFMLA", v.lanes(b), v.lanes(a), v.lanes(d)) }

// and, or and xor act on bits.
func (v *neonVec) and(a, b, d *vecReg) { v.op("VAND", b.b16(), a.b16(), d.b16()) }
func (v *neonVec) or(a, b, d *vecReg)  { v.op("VORR", b.b16(), a.b16(), d.b16()) }
func (v *neonVec) xor(a, b, d *vecReg) { v.op("VEOR", b.b16(), a.b16(), d.b16()) }

// copy is d = a.
func (v *neonVec) copy(a, d *vecReg) { v.op("VMOV", a.b16(), d.b16()) }

// zero clears d.
func (v *neonVec) zero(d *vecReg) { v.xor(d, d, d) }

// shiftToExponent moves the low bits of a into the exponent field.
func (v *neonVec) shiftToExponent(a, d *vecReg) {
	shift := 23
	if v.double() {
		shift = 52
	}
	v.op("VSHL", imm(shift), v.lanes(a), v.lanes(d))
}

// above is d = all ones in the lanes where a > b.
func (v *neonVec) above(a, b, d *vecReg) { v.VFCMGT(v.lanes(b), v.lanes(a), v.lanes(d)) }

// atLeast is d = all ones in the lanes where a ≥ b.
func (v *neonVec) atLeast(a, b, d *vecReg) { v.VFCMGE(v.lanes(b), v.lanes(a), v.lanes(d)) }

// keepOr replaces d by a outside of the mask k.
func (v *neonVec) keepOr(k, a, d *vecReg) { v.op("VBIF", k.b16(), a.b16(), d.b16()) }

// keepOut clears d in the mask k.
func (v *neonVec) keepOut(k, d *vecReg) { v.VBIC(k.b16(), d.b16(), d.b16()) }

// Memory.

func (v *neonVec) load(a address, d *vecReg)  { v.op("FMOVQ", a, d) }
func (v *neonVec) store(a *vecReg, m address) { v.op("FMOVQ", a, m) }

// farthestPair is how far loadPair reaches.
const farthestPair = 1008

// loadPair loads two registers from consecutive places.
func (v *neonVec) loadPair(a address, d, e *vecReg) {
	if a.disp > farthestPair {
		v.fail("%v is beyond what a pair of loads reaches", a)
	}
	v.check("FLDPQ", d)
	v.check("FLDPQ", e)
	v.op("FLDPQ", a, "("+d.String()+", "+e.String()+")")
}

// storePair stores two registers in consecutive places.
func (v *neonVec) storePair(a, b *vecReg, m address) {
	v.check("FSTPQ", a)
	v.check("FSTPQ", b)
	v.op("FSTPQ", "("+a.String()+", "+b.String()+")", m)
}

// broadcasts fills each register with one of the consecutive elements at p.
func (v *neonVec) broadcasts(p genReg, registers ...*vecReg) {
	at := v.gp()
	v.op("MOVD", p, at)
	for _, r := range registers {
		v.check("VLD1R", r)
		v.op("VLD1R.P", address{at, v.size}, "["+v.lanes(r).String()+"]")
	}
	v.release(at)
}

// storeLow writes the lowest lane of a to the place of p and moves p on.
func (v *neonVec) storeLow(a *vecReg, p genReg) {
	name := "FMOVS.P"
	if v.double() {
		name = "FMOVD.P"
	}
	v.op(name, a, address{p, v.size})
}

// loadConstants brings the address of the constants into a register.
func (v *neonVec) loadConstants() {
	if !v.loaded {
		v.table, v.loaded = v.gp(), true
		v.op("MOVD", "$"+v.set+"constants"+v.bits+"<>(SB)", v.table)
	}
}

// constant returns the place of a constant, repeated to 32 bytes.
func (v *neonVec) constant(x float64) address {
	if !v.loaded {
		v.fail("constants not loaded")
	}
	return address{v.table, v.neonFile.constant(v.elem, v.set, x)}
}

// regs returns n new registers.
func (v *neonVec) regs(n int) []*vecReg {
	r := make([]*vecReg, n)
	for i := range r {
		r[i] = v.reg()
	}
	return r
}

// cleared returns n registers of zeros.
func (v *neonVec) cleared(n int) []*vecReg {
	r := v.regs(n)
	for _, x := range r {
		v.zero(x)
	}
	return r
}

// inRegister loads a constant into a new register.
func (v *neonVec) inRegister(a address) *vecReg {
	r := v.reg()
	v.load(a, r)
	return r
}

// horner returns p = (…(c[0]·x + c[1])·x + …)·x + c[last] for each x, one
// rounding a step. An even number of x share the loads of the coefficients.
func (v *neonVec) horner(highest *vecReg, rest []address, x []*vecReg) []*vecReg {
	p := make([]*vecReg, len(x))
	for step, c := range rest {
		for i := 0; i < len(x); i += 2 {
			q := []*vecReg{v.reg(), v.reg()}
			v.loadPair(c, q[0], q[1])
			for j := range q {
				if step == 0 {
					v.fmaAcc(highest, x[i+j], q[j])
				} else {
					v.fmaAcc(p[i+j], x[i+j], q[j])
					v.free(p[i+j])
				}
				p[i+j] = q[j]
			}
		}
	}
	return p
}

// widen returns the float32 lanes of a as float64 lanes in two registers.
func (v *neonVec) widen(a *vecReg) (low, high *vecReg) {
	low, high = v.reg(), v.reg()
	v.VFCVTL(a, low)
	v.VFCVTL2(a, high)
	return low, high
}

// narrow returns the float64 lanes of two registers as float32 lanes of one.
func (v *neonVec) narrow(low, high *vecReg) *vecReg {
	r := v.reg()
	v.VFCVTN(low, r)
	v.VFCVTN2(high, r)
	return r
}

// eight brings 8 float64 lanes, in 4 registers, down to 1 by the tree
// (l, l+4), (l, l+2), (l, l+1); join combines b into a. Where several
// quantities stand side by side, each has its list of registers.
func (v *neonVec) eight(quantities [][]*vecReg, join func(a, b []*vecReg)) []*vecReg {
	column := func(i int) (c []*vecReg) {
		for _, q := range quantities {
			c = append(c, q[i])
		}
		return c
	}
	join(column(0), column(2))
	join(column(1), column(3))
	join(column(0), column(1))
	for _, q := range quantities {
		v.op("VDUP", q[0].as("D").String()+"[1]", q[1].d2())
	}
	join(column(0), column(1))
	return column(0)
}
