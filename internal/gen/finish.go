package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// finishSums emits the loss of two sums, log1p(a) + log1p(b), and the factors
// of its gradient.
//
//	for i := range rows {
//		loss[i] = log1p(a[i]) + log1p(b[i])
//		fa[i], fb[i] = scale[i]·(1/(1+a[i])), scale[i]·(1/(1+b[i]))
//		if a[i] or b[i] is not natural, or a factor not fit {
//			bad = 1 // or more
//		}
//	}
func finishSums(v *vec) {
	d := &vec{v.file, v.tier, float64s}
	loss, fa, fb := v.param("loss"), v.param("fa"), v.param("fb")
	a, b, scale, rows := v.param("a"), v.param("b"), v.param("scale"), v.param("rows")
	g := newLogarithms(d)
	low, high := v.pick(coef.NaturalLow32, coef.NaturalLow64), v.pick(coef.NaturalHigh32, coef.NaturalHigh64)
	least, most := v.pick(coef.FactorLow32, coef.FactorLow64), v.pick(coef.FactorHigh32, coef.FactorHigh64)
	good := d.newMask()
	d.fillMask(good)
	loop, done := v.newLabel("rows"), v.newLabel("done")
	v.TESTQ(rows, rows)
	v.JZ(operand.LabelRef(done))
	v.Label(loop)
	sum := d.reg()
	for i, side := range []gpreg{a, b} {
		x := d.reg()
		d.move(at(side, 0), x)
		v.ADDQ(operand.U8(v.bytes), side)
		natural, zero := d.within(x, low, high), d.newMask()
		d.compare(equal, x, d.constant(0), zero)
		d.orMask(zero, natural)
		d.andMask(natural, good)
		log, f := g.log1p(x)
		q := d.reg()
		d.mul(f, at(scale, 0), f)
		d.and(f, d.constant(math.Float64frombits(1<<63-1)), q)
		d.andMask(d.within(q, least, most), good)
		out := fa
		if i == 0 {
			d.move(log, sum)
		} else {
			d.add(sum, log, sum)
			out = fb
		}
		d.storeNarrow(v.elem, f, out, 0)
		v.ADDQ(operand.U8(v.size*d.perReg()), out)
	}
	d.move(sum, at(loss, 0))
	v.ADDQ(operand.U8(v.bytes), loss)
	v.ADDQ(operand.U8(v.bytes), scale)
	v.SUBQ(operand.U8(d.perReg()), rows)
	v.JNZ(operand.LabelRef(loop))
	v.Label(done)
	bits := v.GP64()
	d.maskBits(good, bits)
	v.XORQ(operand.U32(1<<d.perReg()-1), bits)
	v.Store(bits, v.ReturnIndex(0))
	v.VZEROUPPER()
	v.RET()
}

// within returns the lanes in which low ≤ x ≤ high.
func (v *vec) within(x vreg, low, high float64) mask {
	k, m := v.newMask(), v.newMask()
	v.compare(greaterOrEqual, x, v.constant(low), k)
	v.compare(lessOrEqual, x, v.constant(high), m)
	v.andMask(m, k)
	return k
}

// fillMask selects all lanes.
func (v *vec) fillMask(k mask) {
	if v.wide() {
		v.KXNORB(k, k, k)
	} else {
		v.VPCMPEQD(k, k, k)
	}
}

// andMask leaves of d the lanes of k.
func (v *vec) andMask(k, d mask) {
	if v.wide() {
		v.KANDB(k, d, d)
	} else {
		v.and(d, k, d)
	}
}

// maskBits brings a mask of float64 lanes to the low bits of r.
func (v *vec) maskBits(k mask, r gpreg) {
	if v.wide() {
		v.KMOVB(k, r.As32())
	} else {
		v.VMOVMSKPD(k, r.As32())
	}
}
