package gen

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
)

// neonFinishSums emits finishSums, two registers of rows at a time.
func neonFinishSums(v *neonVec, factors bool) {
	if !v.double() {
		neonFinishJoined(v, false, factors)
		return
	}
	f := newNeonFinish(v, factors, true)
	f.run(func() {
		var sum []*vecReg
		for i := range f.sums {
			x, zero := f.load(i)
			f.free(zero...)
			reduced := f.reduce1p(x)
			if factors {
				f.factor(i, reduced.inverse, nil)
			}
			f.free(reduced.inverse...)
			log := f.log(reduced)
			if i == 0 {
				sum = log
				continue
			}
			for j := range sum {
				f.add(sum[j], log[j], sum[j])
			}
			f.free(log...)
		}
		f.storePair(sum[0], sum[1], address{f.loss, 0})
		f.free(sum...)
	})
}

// neonFinishJoined emits finishJoined.
func neonFinishJoined(v *neonVec, product, factors bool) {
	f := newNeonFinish(v, factors, true)
	if product {
		f.most = coef.ProductHigh32
	}
	f.run(func() {
		a, noA := f.load(0)
		b, noB := f.load(1)
		u := f.regs(len(a))
		for j := range u {
			if product {
				f.mul(a[j], b[j], u[j])
			} else {
				f.add(a[j], b[j], u[j])
				f.fmaAcc(a[j], b[j], u[j])
			}
		}
		if !factors || !product {
			f.free(append(noA, noB...)...)
		}
		if factors {
			inverse := f.inverses(u)
			for i, other := range [][]*vecReg{b, a} {
				none := [][]*vecReg{noB, noA}[i]
				for j, x := range other {
					if !product {
						f.with(f.one, func(one *vecReg) { f.add(x, one, x) })
					}
					f.mul(x, inverse[j], x)
				}
				if product {
					f.factor(i, other, none)
					f.free(none...)
				} else {
					f.factor(i, other, nil)
				}
			}
			f.free(inverse...)
		}
		f.free(append(a, b...)...)
		log := f.log1pSum(u)
		f.storePair(log[0], log[1], address{f.loss, 0})
		f.free(log...)
	})
}

// inverses returns 1/(1+u).
func (f *neonFinish) inverses(u []*vecReg) []*vecReg {
	inverse := f.regs(len(u))
	for j := range u {
		f.with(f.one, func(one *vecReg) {
			f.add(u[j], one, inverse[j])
			f.div(one, inverse[j], inverse[j])
		})
	}
	return inverse
}

// neonFinishTarget emits finishTarget.
func neonFinishTarget(v *neonVec) {
	f := newNeonFinish(v, true, false)
	d := f.neonVec
	other := newNeonVec(v.neonFile, float64s) // whose constants are another table
	other.loadConstants()
	e := newNeonExponential(other, other.inRegister(other.constant(coef.Magic64)))
	f.run(func() {
		a, none := f.load(0)
		y := d.regs(finishRegs)
		d.loadPair(address{f.sums[1], 0}, y[0], y[1])
		d.op("ADD", imm(16*finishRegs), f.sums[1])
		sign := d.inRegister(d.constant(math.Copysign(0, -1)))
		for _, r := range y {
			d.xor(r, sign, r)
		}
		d.free(sign)
		f.atMost(y, coef.TargetLimit)
		b, s := e.evaluate(y)
		u, q := d.regs(finishRegs), d.regs(finishRegs)
		for i := range b {
			d.mul(b[i], s[i], b[i])
			d.mul(a[i], b[i], u[i])
		}
		for i, normal := range d.within(u, coef.TermLow, coef.TermHigh) {
			d.or(normal, none[i], normal)
			d.and(normal, f.good, f.good)
			d.free(normal)
		}
		d.free(append(a, s...)...)
		unscaled, finished := d.newLabel("unscaled"), d.newLabel("finished")
		d.op("CBZ", f.out[0], unscaled)
		d.loadPair(address{f.scale, 0}, q[0], q[1])
		for i := range q {
			d.mul(q[i], u[i], q[i])
		}
		f.atMost(q, math.MaxFloat64)
		d.label(unscaled)
		logarithm := func() []*vecReg { return f.log1pSum(u) }
		var r []*vecReg
		if v.double() {
			reduced := f.reduce1p(u)
			r = reduced.inverse
			logarithm = func() []*vecReg { return f.log(reduced) }
		}
		d.op("CBZ", f.out[0], finished)
		if !v.double() {
			r = f.inverses(u)
		}
		sign = d.inRegister(d.constant(math.Copysign(0, -1)))
		for i := range q {
			d.mul(q[i], r[i], q[i])
			d.xor(q[i], sign, q[i])
			d.mul(b[i], r[i], b[i])
		}
		d.free(sign)
		d.storeNarrow(f.of, q[0], q[1], f.out[1], 0)
		d.op("ADD", imm(2*finishRegs*f.of.size), f.out[1])
		f.factor(0, b, none)
		d.free(q...)
		d.label(finished)
		d.free(append(append(b, r...), none...)...)
		log := logarithm()
		d.storePair(log[0], log[1], address{f.loss, 0})
		d.free(log...)
	})
}

// atMost has lanes above a bound in magnitude, or NaN, be no good.
func (f *neonFinish) atMost(x []*vecReg, bound float64) {
	clear, most := f.both(math.Float64frombits(1<<63-1)), f.both(bound)
	for i, c := range clear {
		f.and(x[i], c, c)
		f.atLeast(most[i], c, c)
		f.and(c, f.good, f.good)
	}
	f.free(append(clear, most...)...)
}

// both returns a constant in two registers, by one load.
func (v *neonVec) both(x float64) []*vecReg {
	r := v.regs(2)
	v.loadPair(v.constant(x), r[0], r[1])
	return r
}

// neonFinishJoins emits finishJoins.
func neonFinishJoins(v *neonVec, factors bool) {
	d := newNeonVec(v.neonFile, float64s)
	d.set = "log1pSum"
	f := &neonFinish{of: v.elem, loss: d.param("loss"), sums: [2]genReg{d.param("u")}, factors: factors, most: coef.FactorHigh32}
	if factors {
		f.out[0], f.scale = d.param("f"), d.param("scale")
	}
	f.neonLogarithms = newNeonReduction(d, true)
	f.good = d.reg()
	d.op("VCMEQ", f.good.d2(), f.good.d2(), f.good.d2())
	f.run(func() {
		u := f.regs(finishRegs)
		f.loadPair(address{f.sums[0], 0}, u[0], u[1])
		f.op("ADD", imm(16*finishRegs), f.sums[0])
		for _, right := range f.within(u, coef.JoinLow32, coef.JoinHigh32) {
			f.and(right, f.good, f.good)
			f.free(right)
		}
		log := f.log1pSum(u)
		f.storePair(log[0], log[1], address{f.loss, 0})
		f.free(log...)
		if factors {
			one := f.regs(finishRegs)
			for _, r := range one {
				f.with(f.one, func(c *vecReg) { f.copy(c, r) })
			}
			f.factor(0, one, nil)
			f.free(one...)
		}
	})
}

// A neonFinish is a finish, of two registers at a time.
type neonFinish struct {
	*neonLogarithms
	of          elem
	loss, scale genReg
	sums, out   [2]genReg
	factors     bool
	good        *vecReg
	most        float64 // of the factors
}

const finishRegs = 2 // registers at a time

// newNeonFinish returns a finish, with all constants of the logarithm in registers, or
// those of its reduction alone, as of float32 anyhow.
func newNeonFinish(v *neonVec, factors, sumInRegisters bool) *neonFinish {
	d := newNeonVec(v.neonFile, float64s)
	f := &neonFinish{of: v.elem, loss: d.param("loss"), factors: factors}
	f.sums = [2]genReg{d.param("a"), d.param("b")}
	if factors {
		f.out = [2]genReg{d.param("fa"), d.param("fb")}
		f.scale = d.param("scale")
	}
	if v.double() {
		d.set = "log"
		f.neonLogarithms = newNeonLogarithms(d, true, sumInRegisters)
	} else {
		d.set = "log1pSum"
		f.neonLogarithms = newNeonReduction(d, true)
	}
	f.most = v.pick(coef.FactorHigh32, coef.FactorHigh64)
	f.good = d.reg()
	d.op("VCMEQ", f.good.d2(), f.good.d2(), f.good.d2())
	return f
}

// run emits the loop and the return.
func (f *neonFinish) run(body func()) {
	rows, loop, done := f.param("rows"), f.newLabel("rows"), f.newLabel("done")
	f.op("CBZ", rows, done)
	f.label(loop)
	body()
	f.op("ADD", imm(16*finishRegs), f.loss)
	if f.factors {
		f.op("ADD", imm(16*finishRegs), f.scale)
	}
	f.op("SUB", imm(2*finishRegs), rows)
	f.op("CBNZ", rows, loop)
	f.label(done)
	f.comment("bad = not all good")
	f.report(f.good, true)
	f.op("RET")
}

// load loads sums of side i, and where they are 0.
func (f *neonFinish) load(i int) (x, zero []*vecReg) {
	return f.loadWithin(i, f.of.pick(coef.NaturalLow32, coef.NaturalLow64), f.of.pick(coef.NaturalHigh32, coef.NaturalHigh64))
}

// loadWithin is load of sums that are to be within limits or 0.
func (f *neonFinish) loadWithin(i int, low, high float64) (x, zero []*vecReg) {
	x, zero = f.regs(finishRegs), f.cleared(finishRegs)
	f.loadPair(address{f.sums[i], 0}, x[0], x[1])
	f.op("ADD", imm(16*finishRegs), f.sums[i])
	for j, natural := range f.within(x, low, high) {
		f.op("VCMEQ", zero[j].d2(), x[j].d2(), zero[j].d2())
		f.or(natural, zero[j], natural)
		f.and(natural, f.good, f.good)
		f.free(natural)
	}
	return x, zero
}

// factor writes scale·x, the factors of side i.
func (f *neonFinish) factor(i int, x, none []*vecReg) {
	q := f.regs(finishRegs)
	f.loadPair(address{f.scale, 0}, q[0], q[1])
	clear := f.both(math.Float64frombits(1<<63 - 1))
	for j := range x {
		f.mul(x[j], q[j], x[j])
		f.and(x[j], clear[j], q[j])
	}
	f.free(clear...)
	for j, fits := range f.within(q, f.of.pick(coef.FactorLow32, coef.FactorLow64), f.most) {
		if none != nil {
			zero := f.cleared(1)[0]
			f.op("VCMEQ", zero.d2(), q[j].d2(), zero.d2())
			f.and(zero, none[j], zero)
			f.or(fits, zero, fits)
			f.free(zero)
		}
		f.and(fits, f.good, f.good)
		f.free(fits)
	}
	f.free(q...)
	f.storeNarrow(f.of, x[0], x[1], f.out[i], 0)
	f.op("ADD", imm(2*finishRegs*f.of.size), f.out[i])
}

// within returns the lanes in which low ≤ x ≤ high, of two registers.
func (v *neonVec) within(x []*vecReg, low, high float64) []*vecReg {
	k, m := v.both(low), v.both(high)
	for i, r := range x {
		v.atLeast(r, k[i], k[i])
		v.atLeast(m[i], r, m[i])
		v.and(k[i], m[i], k[i])
	}
	v.free(m...)
	return k
}
