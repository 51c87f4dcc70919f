package gen

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/zlpr/zlpr/internal/coef"
)

// whileAtLeast emits a loop that runs while at least step of the elements left
// remain. The body sees to the pointers.
func (v *vec) whileAtLeast(step int, left reg.Register, body func()) {
	loop, done := v.newLabel("loop"), v.newLabel("done")
	v.CMPQ(left, operand.U32(step))
	v.JL(operand.LabelRef(done))
	v.Label(loop)
	body()
	v.SUBQ(operand.U32(step), left)
	v.CMPQ(left, operand.U32(step))
	v.JGE(operand.LabelRef(loop))
	v.Label(done)
}

// cleared returns n registers of zeros.
func (v *vec) cleared(n int) []vreg {
	r := v.newRegs(n)
	for _, x := range r {
		v.zero(x)
	}
	return r
}

func (v *vec) newRegs(n int) []vreg {
	r := make([]vreg, n)
	for i := range r {
		r[i] = v.reg()
	}
	return r
}

// loadWide is d = the elements of type e at mem as float64.
func (v *vec) loadWide(e elem, mem operand.Mem, d vreg) {
	if e == float64s {
		v.move(mem, d)
	} else {
		v.VCVTPS2PD(mem, d)
	}
}

// storeNarrow writes the float64 lanes of a as elements of type e to mem.
func (v *vec) storeNarrow(e elem, a vreg, mem operand.Mem) {
	switch {
	case e == float64s:
		v.move(a, mem)
	case v.wide():
		y := v.YMM()
		v.VCVTPD2PS(a, y)
		v.VMOVUPS(y, mem)
	default:
		x := v.XMM()
		v.VCVTPD2PSY(a, x)
		v.VMOVUPS(x, mem)
	}
}

// storeSums combines the 8 lanes of each of the quantities by join and returns
// them as the kernel's results.
func (v *vec) storeSums(quantities [][]vreg, join func(a, b vreg)) {
	for i, q := range quantities {
		r := v.eight([][]vreg{q}, func(a, b []vreg) { join(a[0], b[0]) })
		v.VMOVSD(r[0], v.result(i))
	}
}

// tiltExp emits the exponentials of differences from the pivot, of float32 or
// float64 scores.
func tiltExp(v *vec) {
	in := v.elem
	v = &vec{v.file, v.tier, float64s}
	e, x, n := v.param("e"), v.param("x"), v.param("n")
	sign, pivot := v.reg(), v.reg()
	v.broadcast(v.argument("sign"), sign)
	v.broadcast(v.argument("pivot"), pivot)
	magic := v.inRegister(v.constant(coef.Magic64))
	low, high, one := v.constant(coef.TiltLowest), v.constant(coef.TiltHighest), v.constant(1)
	exponential := newExponential(v, magic, !v.double())
	s1, s2 := v.cleared(v.regs()), v.cleared(v.regs())

	// body takes registers first to first+count-1 of the elements at hand.
	body := func(first, count int) {
		d, errs, y := v.newRegs(count), v.newRegs(count), v.newRegs(count)
		for i := range count {
			s, b := y[i], v.reg()
			v.loadWide(in, at(x, (first+i)*v.perReg()*in.size), s)
			v.mul(s, sign, s)
			v.sub(s, pivot, d[i])
			// ε = (s - (d - b)) - (pivot + b), b = d - s
			v.sub(d[i], s, b)
			v.sub(d[i], b, errs[i])
			v.sub(s, errs[i], errs[i])
			v.add(b, pivot, b)
			v.sub(errs[i], b, errs[i])

			v.move(low, y[i])
			v.max(y[i], d[i], y[i])
			v.move(high, b)
			v.min(b, y[i], y[i])
		}
		w, scale := exponential.evaluate(y)
		for i := range count {
			normal := v.newMask()
			v.compare(greaterOrEqual, d[i], low, normal)
			v.mulKeep(normal, w[i], scale[i], w[i])
			v.fmaAcc(w[i], errs[i], w[i])
			v.move(w[i], at(e, (first+i)*v.bytes))
			m, lane := scale[i], (first+i)%v.regs()
			v.move(one, m)
			v.min(m, w[i], m)
			v.add(s1[lane], m, s1[lane])
			v.fmaAcc(m, m, s2[lane])
		}
	}
	advance := func(elements int) {
		v.ADDQ(operand.U32(8*elements), e)
		v.ADDQ(operand.U32(in.size*elements), x)
	}
	if v.wide() {
		v.whileAtLeast(16, n, func() {
			body(0, 2)
			advance(16)
		})
	}
	v.whileAtLeast(8, n, func() {
		for i := range v.regs() {
			body(i, 1)
		}
		advance(8)
	})
	v.storeSums([][]vreg{s1, s2}, func(a, b vreg) { v.VADDPD(b, a, a) })
	v.VZEROUPPER()
	v.RET()
}

// tiltSums emits the sums of the probabilities and of their squares.
func tiltSums(v *vec) {
	e, n := v.param("e"), v.param("n")
	g := v.reg()
	v.broadcast(v.argument("odds"), g)
	one := v.inRegister(v.constant(1))
	s1, s2 := v.cleared(v.regs()), v.cleared(v.regs())
	body := func(first, count int) {
		t, u := v.newRegs(count), v.newRegs(count)
		for i := range count {
			v.mul(g, at(e, (first+i)*v.bytes), t[i])
			v.add(t[i], one, u[i])
			v.VDIVPD(u[i], t[i], t[i])
		}
		for i := range count {
			lane := (first + i) % v.regs()
			v.add(s1[lane], t[i], s1[lane])
			v.fmaAcc(t[i], t[i], s2[lane])
		}
	}
	v.whileAtLeast(16, n, func() {
		body(0, 2*v.regs())
		v.ADDQ(operand.U32(128), e)
	})
	v.whileAtLeast(8, n, func() {
		body(0, v.regs())
		v.ADDQ(operand.U32(64), e)
	})
	v.storeSums([][]vreg{s1, s2}, func(a, b vreg) { v.VADDPD(b, a, a) })
	v.VZEROUPPER()
	v.RET()
}

// tiltSplit emits the separation of the odds by size.
func tiltSplit(v *vec) {
	r, above, e, n := v.param("r"), v.param("above"), v.param("e"), v.param("n")
	g, cut := v.reg(), v.reg()
	v.broadcast(v.argument("odds"), g)
	v.broadcast(v.argument("cut"), cut)
	highest := v.cleared(v.regs())
	v.whileAtLeast(8, n, func() {
		bits := v.GP64()
		for i := range v.regs() {
			t, over := v.reg(), v.newMask()
			v.mul(g, at(e, i*v.bytes), t)
			v.compare(greater, t, cut, over)
			if v.wide() {
				v.KMOVB(over, bits.As32())
				v.KNOTB(over, over)
				v.keep(over, t, t)
			} else {
				b := v.GP64()
				v.VMOVMSKPD(over, b.As32())
				if i == 0 {
					v.MOVQ(b, bits)
				} else {
					v.SHLQ(operand.U8(4), b)
					v.ORQ(b, bits)
				}
				v.VANDNPD(t, over, t)
			}
			v.move(t, at(r, i*v.bytes))
			v.max(t, highest[i], highest[i])
		}
		v.MOVB(bits.As8(), at(above, 0))
		v.ADDQ(operand.U32(64), e)
		v.ADDQ(operand.U32(64), r)
		v.INCQ(above)
	})
	v.storeSums([][]vreg{highest}, func(a, b vreg) { v.VMAXPD(b, a, a) })
	v.VZEROUPPER()
	v.RET()
}

// espStages is the number of items that one sweep of espForward takes.
const espStages = 4

// espForward emits the recurrence of the elementary symmetric polynomials in 8
// lanes.
//
// A sweep takes 4 items at a time through the coefficients: f_j goes through
// four stages, f_j + r1·f_(j-1) and so on, each needing what the stage before
// gave for j-1. What stage s gives for j stays in the register that held its
// operand for j-1; so the registers change their parts at every j, and have
// their old parts back after 5.
func espForward(v *vec) {
	f, r, sweeps, fives := v.param("f"), v.param("r"), v.param("sweeps"), v.param("fives")
	none := v.newLabel("none")
	v.TESTQ(sweeps, sweeps)
	v.JZ(operand.LabelRef(none))
	for half := range v.regs() {
		sweep, step := v.newLabel("sweep"), v.newLabel("step")
		items, left := v.GP64(), v.GP64()
		v.MOVQ(r, items)
		v.MOVQ(sweeps, left)
		q := v.newRegs(espStages)
		was := v.newRegs(espStages + 1) // was[s]: of stage s for j-1; the last is free

		v.Label(sweep)
		for s := range q {
			v.move(at(items, 64*s+half*v.bytes), q[s])
		}
		// All stages have the constant coefficient.
		for _, w := range was[:espStages] {
			v.move(at(f, half*v.bytes), w)
		}
		at0, steps := v.GP64(), v.GP64()
		v.MOVQ(f, at0)
		v.MOVQ(fives, steps)
		v.Label(step)
		for j := range espStages + 1 {
			place := at(at0, 64*(j+1)+half*v.bytes)
			now := was[espStages]
			v.move(place, now)
			last := now
			for s := range q {
				v.fmaMul(q[s], last, was[s]) // was = was·q + last
				last = was[s]
			}
			v.move(last, place)
			was = append([]vreg{now}, was[:espStages]...)
		}
		v.ADDQ(operand.U32(64*(espStages+1)), at0)
		v.DECQ(steps)
		v.JNZ(operand.LabelRef(step))
		v.ADDQ(operand.U32(64*espStages), items)
		v.DECQ(left)
		v.JNZ(operand.LabelRef(sweep))
	}
	v.Label(none)
	v.VZEROUPPER()
	v.RET()
}

// inclusion emits Horner's rule at many points.
func inclusion(v *vec) {
	out := v.elem
	v = &vec{v.file, v.tier, float64s}
	dst, r, n := v.param("dst"), v.param("r"), v.param("n")
	c, terms := v.param("c"), v.param("terms")
	scale := v.reg()
	v.broadcast(v.argument("scale"), scale)
	last := v.GP64()
	v.LEAQ(operand.Mem{Base: c, Index: terms, Scale: 8, Disp: -8}, last)

	body := func(count int) {
		point, done := v.newLabel("horner"), v.newLabel("end")
		x, h := v.newRegs(count), v.newRegs(count)
		for i := range x {
			v.move(at(r, i*v.bytes), x[i])
			v.broadcast(at(last, 0), h[i])
		}
		at0 := v.GP64()
		v.MOVQ(last, at0)
		v.CMPQ(at0, c)
		v.JE(operand.LabelRef(done))
		v.Label(point)
		v.SUBQ(operand.U8(8), at0)
		t := v.reg()
		v.broadcast(at(at0, 0), t)
		for i := range x {
			v.VFNMADD213PD(t, x[i], h[i])
		}
		v.CMPQ(at0, c)
		v.JNE(operand.LabelRef(point))
		v.Label(done)
		for i := range x {
			v.mul(x[i], h[i], x[i])
			v.mul(x[i], scale, x[i])
			v.storeNarrow(out, x[i], at(dst, i*v.perReg()*out.size))
		}
		v.ADDQ(operand.U32(count*v.bytes), r)
		v.ADDQ(operand.U32(count*v.perReg()*out.size), dst)
	}
	many := 8
	if !v.wide() {
		many = 6 // 2·6 registers and 3 more
	}
	many -= many % v.regs()
	v.whileAtLeast(many*v.perReg(), n, func() { body(many) })
	v.whileAtLeast(8, n, func() { body(v.regs()) })
	v.VZEROUPPER()
	v.RET()
}

// correlate emits the correlation of two sequences.
func correlate(v *vec) {
	dst, n, x, y, terms := v.param("dst"), v.param("n"), v.param("x"), v.param("y"), v.param("terms")
	body := func(count int) {
		loop, done := v.newLabel("term"), v.newLabel("end")
		acc := v.cleared(count)
		factor := v.reg()
		i := v.GP64()
		v.XORQ(i, i)
		v.TESTQ(terms, terms)
		v.JZ(operand.LabelRef(done))
		v.Label(loop)
		v.broadcast(operand.Mem{Base: y, Index: i, Scale: 8}, factor)
		for k, a := range acc {
			v.fmaAcc(factor, operand.Mem{Base: x, Index: i, Scale: 8, Disp: k * v.bytes}, a)
		}
		v.INCQ(i)
		v.CMPQ(i, terms)
		v.JNE(operand.LabelRef(loop))
		v.Label(done)
		for k, a := range acc {
			v.move(a, at(dst, k*v.bytes))
		}
		v.ADDQ(operand.U32(count*v.bytes), x)
		v.ADDQ(operand.U32(count*v.bytes), dst)
	}
	v.whileAtLeast(32, n, func() { body(32 / v.perReg()) })
	v.whileAtLeast(8, n, func() { body(v.regs()) })
	v.VZEROUPPER()
	v.RET()
}
