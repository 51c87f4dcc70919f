package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// A columnFinish emits what finishes rows of softmax cross-entropy with soft labels, side by
// side. With the highest score s, the sum a of the others' exponentials, those of products q,
// of the others' labels o and of all labels m,
//
//	e = e^-s;  u = a·e;  l = log1p(u);  loss = m·l + q;  r = 1/(1+u)
//	f = (scale·m)·(e·r);  peak = scale·o - ((scale·m)·u)·r
type columnFinish struct {
	*finish
	sums, room, third gpreg // the sums lie room bytes apart; three times that
}

func softColumnFinish(v *vec) {
	d := &vec{v.file, v.tier, float64s}
	f := &columnFinish{finish: &finish{of: v.elem, loss: v.param("loss"), scale: v.param("scale")}}
	f.logarithms = newLogarithms(d)
	f.sums, f.room = v.param("sums"), v.param("room")
	v.SHLQ(operand.U8(3), f.room)
	f.third = v.threeTimes(f.room)
	f.good = f.newMask()
	f.fillMask(f.good)
	e := newExponential(d, f.constant(coef.Magic64), false)
	sign := f.constant(math.Copysign(0, -1))
	var ofSums, ofTops, ofTerms, ofLosses, ofScales, ofFactors *extremes
	if v.wide() {
		for _, e := range []**extremes{&ofSums, &ofTops, &ofTerms, &ofLosses, &ofScales, &ofFactors} {
			*e = &extremes{most: f.reg()}
			f.zero((*e).most)
		}
	}
	// The factors lie apart as many elements, 8 or 4 bytes of each.
	out, apart := v.param("factors"), v.GP64()
	v.MOVQ(f.room, apart)
	if !v.double() {
		v.SHRQ(operand.U8(1), apart)
	}
	behind := v.threeTimes(apart)
	put := func(r vreg, i int) { f.storeNarrow(v.elem, r, oneOfFour(out, apart, behind, i)) }
	var label gpreg
	if v.double() {
		label = v.param("label")
	}

	loop, next := v.newLabel("rows"), v.newLabel("next")
	v.Label(loop)
	a, b := f.inRegister(f.sum(0)), f.reg()
	f.limit(ofSums, a, v.pick(coef.NaturalLow32, coef.NaturalLow64), v.pick(coef.NaturalHigh32, coef.NaturalHigh64))
	_, _, high := pivot0(v.elem)
	f.move(f.sum(3), b)
	above := f.reg()
	f.sub(b, f.constant(coef.LeastTop), above)
	f.limit(ofTops, above, 0, min(coef.TargetLimit, high)-coef.LeastTop)
	f.xor(b, f.asRegister(sign), b)
	p, s := e.evaluate([]vreg{b})
	b = p[0]
	f.mul(b, s[0], b)
	u := f.reg()
	f.mul(a, b, u)
	logarithm := f.log1pSum
	if v.double() {
		logarithm = f.log1p
		f.limit(ofTerms, u, coef.TermLow, coef.ColumnTermHigh)
	}
	log, r := logarithm(u)
	loss := f.reg()
	f.mul(log, f.sum(4), loss)
	f.add(loss, f.sum(1), loss)
	f.move(loss, at(f.loss, 0))
	f.limit(ofLosses, loss, 0, math.MaxFloat64)
	f.checkProducts(v)
	v.TESTQ(f.scale, f.scale)
	v.JZ(operand.LabelRef(next))

	scale := f.inRegister(at(f.scale, 0))
	f.limitMagnitude(ofScales, scale, coef.LeastScale, coef.MostScale)
	put(scale, 1)
	top, large := f.reg(), f.newMask()
	f.compare(notLessOrEqual, log, f.constant(coef.LargeLoss), large)
	f.choose(large, f.inRegister(f.constant(math.Inf(1))), f.sum(3), top)
	put(top, 2)
	if !v.double() {
		f.VDIVPD(r, f.one, r)
	}
	factor := f.reg()
	f.mul(scale, f.sum(4), factor)
	f.mul(b, r, b)
	f.mul(b, factor, b)
	f.limitMagnitude(ofFactors, b, v.pick(coef.FactorLow32, coef.FactorLow64), v.pick(coef.FactorHigh32, coef.FactorHigh64))
	put(b, 0)
	f.mul(factor, u, u)
	f.mul(u, r, u) // the derivative, less its sign
	h := f.reg()
	f.mul(scale, f.sum(2), h)
	if v.double() {
		f.exactPeak(scale, factor, u, h, f.inRegister(at(label, 0)))
	} else {
		f.rounded(u)
		f.sub(h, u, h)
	}
	put(h, 3)
	v.ADDQ(operand.U8(f.bytes), f.scale)
	v.ADDQ(operand.U8(v.size*f.perReg()), out)
	if label != nil {
		v.ADDQ(operand.U8(f.bytes), label)
	}

	v.Label(next)
	v.ADDQ(operand.U8(f.bytes), f.sums)
	v.ADDQ(operand.U8(f.bytes), f.loss)
	rows := v.argument("rows")
	v.SUBQ(operand.U8(f.perReg()), rows)
	v.JNZ(operand.LabelRef(loop))
	for _, e := range []*extremes{ofSums, ofTops, ofTerms, ofLosses, ofScales, ofFactors} {
		if e != nil {
			k := f.newMask()
			f.VPCMPUQ(operand.U8(2), f.inRegister(f.constant(e.high)), e.most, k)
			f.andMask(k, f.good)
		}
	}
	bits := f.GP64()
	f.maskBits(f.good, bits)
	f.XORQ(operand.U32(1<<f.perReg()-1), bits)
	f.Store(bits, f.ReturnIndex(0))
	f.VZEROUPPER()
	f.RET()
}

// sum is the place of sum i of the rows.
func (f *columnFinish) sum(i int) operand.Mem {
	if i == 4 {
		return operand.Mem{Base: f.sums, Index: f.room, Scale: 4}
	}
	return oneOfFour(f.sums, f.room, f.third, i)
}

// limit has lanes of x ≥ 0 beyond low or high be no good: on AVX-512 by how far they are above
// low as integers, those below being the farthest.
func (f *columnFinish) limit(e *extremes, x vreg, low, high float64) {
	if e == nil {
		f.andMask(f.within(x, low, high), f.good)
		return
	}
	e.high = math.Float64frombits(math.Float64bits(high) - math.Float64bits(low))
	if low != 0 {
		d := f.reg()
		f.VPSUBQ(f.constant(low), x, d)
		x = d
	}
	f.VPMAXUQ(x, e.most, e.most)
}

// limitMagnitude is limit of |x|.
func (f *columnFinish) limitMagnitude(e *extremes, x vreg, low, high float64) {
	q := f.reg()
	f.and(x, f.asRegister(f.constant(math.Float64frombits(1<<63-1))), q)
	f.limit(e, q, low, high)
}

// checkProducts has rows be no good of which a label is above 0 and products are too small.
func (f *columnFinish) checkProducts(v *vec) {
	enough, none := f.newMask(), f.newMask()
	f.compare(greaterOrEqual, f.inRegister(f.sum(1)), f.constant(v.pick(coef.LeastProducts32, coef.LeastProducts64)), enough)
	f.compare(equal, f.inRegister(f.sum(2)), f.constant(0), none)
	f.orMask(none, enough)
	f.andMask(enough, f.good)
}

// rounded rounds x to float32.
func (f *columnFinish) rounded(x vreg) {
	if f.wide() {
		y := f.YMM()
		f.VCVTPD2PS(x, y)
		f.VCVTPS2PD(y, x)
		return
	}
	y := f.XMM()
	f.VCVTPD2PSY(x, y)
	f.VCVTPS2PD(y, x)
}

// exactPeak sets h, scale·o rounded, to the derivative less the product p, as
// sides.exactPeak does: with what the sum m of o and the label, and the products have lost.
func (f *columnFinish) exactPeak(scale, factor, p, h, label vreg) {
	// The error of the sum: of two numbers ≥ 0 the lesser, less what it brought.
	o, low, m := f.inRegister(f.sum(2)), f.reg(), f.inRegister(f.sum(4))
	f.min(label, o, low)
	f.max(label, o, label)
	f.sub(m, label, label)
	f.sub(low, label, low)
	// rest = ((scale·m - factor) + scale·err) / factor
	f.mul(scale, low, low)
	f.VFMSUB213PD(factor, scale, m)
	f.add(m, low, m)
	f.VDIVPD(factor, m, m)
	f.mul(m, p, m) // p·rest
	// lo = scale·o - h, and less p·rest
	f.VFMSUB213PD(h, scale, o)
	f.sub(o, m, o)
	// d = h - p; b = d + p, of which h - b and p + (b - d) are lost.
	d, b, c := f.reg(), f.reg(), f.reg()
	f.sub(h, p, d)
	f.add(d, p, b)
	f.sub(d, b, c)
	f.add(c, p, c) // p - (b - d), of the sign of the sum's
	f.sub(h, b, h)
	f.sub(h, c, h)
	f.add(h, o, h)
	f.add(h, d, h)
}
