package gen

import (
	"fmt"

	"github.com/zlpr/zlpr/internal/coef"
)

// whileAtLeast emits a loop that runs while at least step of the elements left
// remain. The body sees to the pointers.
func (v *neonVec) whileAtLeast(step int, left genReg, body func()) {
	loop, done := v.newLabel("loop"), v.newLabel("done")
	v.op("CMP", imm(step), left)
	v.op("BLT", done)
	v.label(loop)
	v.scope(body)
	v.op("SUB", imm(step), left)
	v.op("CMP", imm(step), left)
	v.op("BGE", loop)
	v.label(done)
}

// same returns a register that has a float64 argument in all lanes.
func (v *neonVec) same(argument string) *vecReg {
	r := v.reg()
	v.op("FMOVD", v.argument(argument), r)
	v.op("VDUP", r.as("D").String()+"[0]", r.d2())
	return r
}

// storeSums combines the 8 lanes of each of the quantities by join and returns
// them as the kernel's results of those names.
func (v *neonVec) storeSums(results []string, quantities [][]*vecReg, join func(a, b *vecReg)) {
	for i, q := range quantities {
		r := v.eight([][]*vecReg{q}, func(a, b []*vecReg) { join(a[0], b[0]) })
		v.op("FMOVD", r[0], v.argument(results[i]))
	}
}

// loadWide returns the elements of type e at base, registers first and first+1,
// as float64.
func (v *neonVec) loadWide(e elem, base genReg, first int) []*vecReg {
	if e == float64s {
		r := v.regs(2)
		v.loadPair(address{base, 16 * first}, r[0], r[1])
		return r
	}
	q := v.inRegister(address{base, 8 * first})
	low, high := v.widen(q)
	v.free(q)
	return []*vecReg{low, high}
}

// storeNarrow is the reverse of loadWide.
func (v *neonVec) storeNarrow(e elem, a, b *vecReg, base genReg, first int) {
	if e == float64s {
		v.storePair(a, b, address{base, 16 * first})
		return
	}
	q := v.narrow(a, b)
	v.store(q, address{base, 8 * first})
	v.free(q)
}

// neonTiltExp emits the exponentials of differences from the pivot, of float32
// or float64 scores.
func neonTiltExp(v *neonVec) {
	in := v.elem
	v = newNeonVec(v.neonFile, float64s)
	e, x, n := v.param("e"), v.param("x"), v.param("n")
	sign, pivot := v.same("sign"), v.same("pivot")
	v.loadConstants()
	exponential := newNeonExponential(v, v.inRegister(v.constant(coef.Magic64)))
	low, high, one := v.inRegister(v.constant(coef.TiltLowest)), v.inRegister(v.constant(coef.TiltHighest)), v.inRegister(v.constant(1))
	s1, s2 := v.cleared(neonRegs), v.cleared(neonRegs)

	// body takes two registers of the elements at hand.
	body := func(first int) {
		errs, y, normal := v.regs(2), v.regs(2), v.regs(2)
		for i, s := range v.loadWide(in, x, first) {
			d, b := normal[i], v.reg()
			v.mul(s, sign, s)
			v.comment("d = s - pivot; ε = (s - (d - b)) - (pivot + b), b = d - s")
			v.sub(s, pivot, d)
			v.sub(d, s, b)
			v.sub(d, b, errs[i])
			v.sub(s, errs[i], errs[i])
			v.add(b, pivot, b)
			v.sub(errs[i], b, errs[i])
			v.max(low, d, y[i])
			v.min(high, y[i], y[i])
			v.atLeast(d, low, normal[i])
			v.free(s, b)
		}
		w, scale := exponential.evaluate(y)
		for i := range w {
			v.mul(w[i], scale[i], w[i])
			v.and(w[i], normal[i], w[i])
			v.fmaAcc(w[i], errs[i], w[i])
		}
		v.storePair(w[0], w[1], address{e, 16 * first})
		for i, m := range w {
			v.min(m, one, m)
			v.add(s1[first+i], m, s1[first+i])
			v.fmaAcc(m, m, s2[first+i])
		}
	}
	v.whileAtLeast(8, n, func() {
		v.scope(func() { body(0) })
		v.scope(func() { body(2) })
		v.op("ADD", imm(64), e)
		v.op("ADD", imm(8*in.size), x)
	})
	v.storeSums([]string{"sum", "squares"}, [][]*vecReg{s1, s2}, func(a, b *vecReg) { v.add(a, b, a) })
	v.op("RET")
}

// neonTiltSums emits the sums of the probabilities and of their squares.
func neonTiltSums(v *neonVec) {
	e, n := v.param("e"), v.param("n")
	g := v.same("odds")
	v.loadConstants()
	one := v.inRegister(v.constant(1))
	s1, s2 := v.cleared(neonRegs), v.cleared(neonRegs)
	v.whileAtLeast(8, n, func() {
		t, u := v.regs(neonRegs), v.regs(neonRegs)
		for i := 0; i < neonRegs; i += 2 {
			v.loadPair(address{e, 16 * i}, t[i], t[i+1])
		}
		for i := range t {
			v.mul(g, t[i], t[i])
			v.add(t[i], one, u[i])
			v.div(t[i], u[i], t[i])
		}
		for i := range t {
			v.add(s1[i], t[i], s1[i])
			v.fmaAcc(t[i], t[i], s2[i])
		}
		v.op("ADD", imm(64), e)
	})
	v.storeSums([]string{"sum", "squares"}, [][]*vecReg{s1, s2}, func(a, b *vecReg) { v.add(a, b, a) })
	v.op("RET")
}

// neonTiltSplit emits the separation of the odds by size.
func neonTiltSplit(v *neonVec) {
	r, above, e, n := v.param("r"), v.param("above"), v.param("e"), v.param("n")
	g, cut := v.same("odds"), v.same("cut")
	v.loadConstants()
	bits := v.laneBits()
	highest := v.cleared(neonRegs)
	byteReg := v.gp()
	v.whileAtLeast(8, n, func() {
		t, over := v.regs(neonRegs), v.regs(neonRegs)
		for i := 0; i < neonRegs; i += 2 {
			v.loadPair(address{e, 16 * i}, t[i], t[i+1])
		}
		for i := range t {
			v.mul(g, t[i], t[i])
			v.above(t[i], cut, over[i])
			v.keepOut(over[i], t[i])
			v.max(t[i], highest[i], highest[i])
		}
		for i := 0; i < neonRegs; i += 2 {
			v.storePair(t[i], t[i+1], address{r, 16 * i})
		}
		v.comment("the sum of the lanes' bits")
		for i := range over {
			v.and(over[i], bits[i], over[i])
		}
		v.or(over[0], over[1], over[0])
		v.or(over[2], over[3], over[2])
		v.or(over[0], over[2], over[0])
		v.op("VADDV", over[0].b16(), fmt.Sprintf("V%d", over[0].n))
		v.op("VMOV", over[0].as("B").String()+"[0]", byteReg)
		v.op("MOVB.P", byteReg, address{above, 1})
		v.op("ADD", imm(64), e)
		v.op("ADD", imm(64), r)
	})
	v.storeSums([]string{"largest"}, [][]*vecReg{highest}, func(a, b *vecReg) { v.max(a, b, a) })
	v.op("RET")
}

// laneBits returns registers whose lane l, counted through all of them, holds
// the bit l.
func (v *neonVec) laneBits() []*vecReg {
	r := v.regs(neonRegs)
	for i := 0; i < neonRegs; i += 2 {
		first := uint64(1) << (2 * i)
		v.loadPair(address{v.table, v.entry(v.elem, v.set, [4]uint64{first, 2 * first, 4 * first, 8 * first})}, r[i], r[i+1])
	}
	return r
}

// neonEspForward emits the recurrence of the elementary symmetric polynomials
// in 8 lanes.
//
// A sweep takes 4 items at a time through the coefficients, downwards. Item s
// turns f_(j+s) into f_(j+s) + r_s·f_(j+s-1) when the first is at j: the item
// before it has just finished f_(j+s-1). Then f_(j+3) has all four. The
// multiply-add overwrites its addend, which nothing else needs. Five
// coefficients are in registers; they change their parts at every j, and have
// their old parts back after 5.
func neonEspForward(v *neonVec) {
	f, r, sweeps, fives := v.param("f"), v.param("r"), v.param("sweeps"), v.param("fives")
	none := v.newLabel("none")
	v.op("CBZ", sweeps, none)
	// top is the place of the highest coefficient.
	top, items, left, at, steps := v.gp(), v.gp(), v.gp(), v.gp(), v.gp()
	v.op("ADD", fives.String()+"<<2", fives, top)
	v.op("ADD", top.String()+"<<6", f, top)
	for half := range 2 {
		sweep, step, drain := v.newLabel("sweep"), v.newLabel("step"), v.newLabel("drain")
		part := 32 * half
		v.op("MOVD", r, items)
		v.op("MOVD", sweeps, left)
		v.scope(func() {
			// Two registers each: window[i] of f_(j-1+i), q[s] of item s.
			window, q := make([][]*vecReg, espStages+1), make([][]*vecReg, espStages)
			for i := range window {
				window[i] = v.regs(2)
			}
			for s := range q {
				q[s] = v.regs(2)
			}
			// advance goes on by one j, from the highest, i below the place at,
			// with the items that are at one of f_1 to f_d.
			advance := func(i, first, last int) {
				if first == 0 {
					v.loadPair(address{at, part - 64*(i+1)}, window[0][0], window[0][1])
				}
				for s := first; s <= last; s++ {
					for k := range 2 {
						v.fmaAcc(window[s][k], q[s][k], window[s+1][k])
					}
				}
				if last == espStages-1 {
					v.storePair(window[4][0], window[4][1], address{at, part + 64*(espStages-1-i)})
				}
				window = append([][]*vecReg{window[4]}, window[:4]...)
			}

			v.label(sweep)
			for s := range q {
				v.loadPair(address{items, 64*s + part}, q[s][0], q[s][1])
			}
			v.op("MOVD", top, at)
			v.op("SUB", imm(1), fives, steps)
			v.loadPair(address{at, part}, window[1][0], window[1][1])
			for i := range espStages + 1 {
				advance(i, 0, min(i, espStages-1))
			}
			v.op("SUB", imm(64*(espStages+1)), at)
			v.op("CBZ", steps, drain)
			v.label(step)
			for i := range espStages + 1 {
				advance(i, 0, espStages-1)
			}
			v.op("SUB", imm(64*(espStages+1)), at)
			v.op("SUB", imm(1), steps)
			v.op("CBNZ", steps, step)
			v.label(drain)
			for i := range espStages - 1 {
				advance(i, i+1, espStages-1)
			}
			v.op("ADD", imm(64*espStages), items)
			v.op("SUB", imm(1), left)
			v.op("CBNZ", left, sweep)
		})
	}
	v.label(none)
	v.op("RET")
}

// neonInclusion emits Horner's rule at many points. The multiply-subtract
// overwrites its addend, the coefficient: the values go to and fro between two
// sets of registers, two coefficients a turn.
func neonInclusion(v *neonVec) {
	out := v.elem
	v = newNeonVec(v.neonFile, float64s)
	dst, r, n := v.param("dst"), v.param("r"), v.param("n")
	c, terms := v.param("c"), v.param("terms")
	scale := v.same("scale")
	// The steps after the first coefficient, and the place of that.
	last, at, left := v.gp(), v.gp(), v.gp()
	v.op("SUB", imm(1), terms)
	v.op("ADD", terms.String()+"<<3", c, last)

	body := func(count int) {
		even, loop, done := v.newLabel("even"), v.newLabel("horner"), v.newLabel("end")
		x, h, g, t := v.regs(count), v.regs(count), v.regs(count), v.reg()
		broadcast := func() { v.op("VLD1R", address{at, 0}, "["+t.d2().String()+"]") }
		step := func(from, to []*vecReg) {
			v.op("SUB", imm(8), at)
			broadcast()
			for i := range x {
				v.copy(t, to[i])
			}
			for i := range x {
				v.fmaSub(x[i], from[i], to[i])
			}
		}
		for i := 0; i < count; i += 2 {
			v.loadPair(address{r, 16 * i}, x[i], x[i+1])
		}
		v.op("MOVD", last, at)
		broadcast()
		for i := range h {
			v.copy(t, h[i])
		}
		v.op("TBZ", imm(0), terms, even)
		step(h, g)
		for i := range h {
			v.copy(g[i], h[i])
		}
		v.label(even)
		v.op("LSR", imm(1), terms, left)
		v.op("CBZ", left, done)
		v.label(loop)
		step(h, g)
		step(g, h)
		v.op("SUB", imm(1), left)
		v.op("CBNZ", left, loop)
		v.label(done)
		v.free(g...)
		for i := range x {
			v.mul(x[i], h[i], x[i])
			v.mul(x[i], scale, x[i])
		}
		for i := 0; i < count; i += 2 {
			v.storeNarrow(out, x[i], x[i+1], dst, i)
		}
		v.op("ADD", imm(16*count), r)
		v.op("ADD", imm(2*count*out.size), dst)
	}
	v.whileAtLeast(16, n, func() { body(8) })
	v.whileAtLeast(8, n, func() { body(4) })
	v.op("RET")
}

// neonCorrelate emits the correlation of two sequences.
func neonCorrelate(v *neonVec) {
	dst, n, x, y, terms := v.param("dst"), v.param("n"), v.param("x"), v.param("y"), v.param("terms")
	from, at, left := v.gp(), v.gp(), v.gp()
	body := func(count int) {
		loop, done := v.newLabel("term"), v.newLabel("end")
		acc := v.cleared(count)
		factor := v.reg()
		v.op("CBZ", terms, done)
		v.op("MOVD", x, from)
		v.op("MOVD", y, at)
		v.op("MOVD", terms, left)
		v.label(loop)
		v.op("VLD1R.P", address{at, 8}, "["+factor.d2().String()+"]")
		for k := 0; k < count; k += 2 {
			t := v.regs(2)
			v.loadPair(address{from, 16 * k}, t[0], t[1])
			v.fmaAcc(factor, t[0], acc[k])
			v.fmaAcc(factor, t[1], acc[k+1])
			v.free(t...)
		}
		v.op("ADD", imm(8), from)
		v.op("SUB", imm(1), left)
		v.op("CBNZ", left, loop)
		v.label(done)
		for k := 0; k < count; k += 2 {
			v.storePair(acc[k], acc[k+1], address{dst, 16 * k})
		}
		v.op("ADD", imm(16*count), x)
		v.op("ADD", imm(16*count), dst)
	}
	v.whileAtLeast(32, n, func() { body(16) })
	v.whileAtLeast(8, n, func() { body(4) })
	v.op("RET")
}
