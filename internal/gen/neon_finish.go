package gen

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
)

// neonFinishSums emits finishSums, two registers of rows at a time.
func neonFinishSums(v *neonVec) {
	d := newNeonVec(v.neonFile, float64s)
	d.set = "log"
	loss, fa, fb := d.param("loss"), d.param("fa"), d.param("fb")
	a, b, scale, rows := d.param("a"), d.param("b"), d.param("scale"), d.param("rows")
	g := newNeonLogarithms(d, true)
	low, high := v.pick(coef.NaturalLow32, coef.NaturalLow64), v.pick(coef.NaturalHigh32, coef.NaturalHigh64)
	least, most := v.pick(coef.FactorLow32, coef.FactorLow64), v.pick(coef.FactorHigh32, coef.FactorHigh64)
	const count = 2 // registers at a time
	good := d.reg()
	d.op("VCMEQ", good.d2(), good.d2(), good.d2())
	loop, done := d.newLabel("rows"), d.newLabel("done")
	d.op("CBZ", rows, done)
	d.label(loop)
	var sum []*vecReg
	for i, side := range []genReg{a, b} {
		x, q := d.regs(count), d.regs(count)
		d.loadPair(address{side, 0}, x[0], x[1])
		d.op("ADD", imm(16*count), side)
		for _, r := range x {
			natural, zero := d.within(r, low, high), d.cleared(1)[0]
			d.op("VCMEQ", zero.d2(), r.d2(), zero.d2())
			d.or(natural, zero, natural)
			d.and(natural, good, good)
			d.free(natural, zero)
		}
		reduced := g.reduce1p(x)
		f := reduced.inverse
		d.loadPair(address{scale, 0}, q[0], q[1])
		for j := range f {
			d.mul(f[j], q[j], f[j])
			clear := d.inRegister(d.constant(math.Float64frombits(1<<63 - 1)))
			d.and(f[j], clear, q[j])
			fits := d.within(q[j], least, most)
			d.and(fits, good, good)
			d.free(fits, clear)
		}
		d.free(q...)
		out := []genReg{fa, fb}[i]
		d.storeNarrow(v.elem, f[0], f[1], out, 0)
		d.op("ADD", imm(2*count*v.size), out)
		d.free(f...)
		log := g.log(reduced)
		if i == 0 {
			sum = log
			continue
		}
		for j := range sum {
			d.add(sum[j], log[j], sum[j])
		}
		d.free(log...)
	}
	d.storePair(sum[0], sum[1], address{loss, 0})
	d.free(sum...)
	d.op("ADD", imm(16*count), loss)
	d.op("ADD", imm(16*count), scale)
	d.op("SUB", imm(2*count), rows)
	d.op("CBNZ", rows, loop)
	d.label(done)
	d.comment("bad = not all good")
	first, second := d.gp(), d.gp()
	d.op("VMOV", good.as("D").String()+"[0]", first)
	d.op("VMOV", good.as("D").String()+"[1]", second)
	d.op("AND", first, second)
	d.op("MVN", second, second)
	d.op("MOVD", second, d.argument("bad"))
	d.op("RET")
}

// within returns the lanes in which low ≤ x ≤ high.
func (v *neonVec) within(x *vecReg, low, high float64) *vecReg {
	k, m := v.inRegister(v.constant(low)), v.inRegister(v.constant(high))
	v.atLeast(x, k, k)
	v.atLeast(m, x, m)
	v.and(k, m, k)
	v.free(m)
	return k
}
