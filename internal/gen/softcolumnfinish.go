package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// A columnFinish emits what finishes rows of softmax cross-entropy with soft labels, side by
// side. With e^-s, s the highest score, the sum a of the others' exponentials, those of products
// q and of the others' labels o, and all labels m,
//
//	u = a·e^-s;  l = log1p(u);  loss = m·l + q;  r = 1/(1+u)
//	f = (scale·m)·(e^-s·r);  peak = scale·o - ((scale·m)·u)·r
type columnFinish struct {
	*finish
	sums, room   gpreg // the sums lie room bytes apart,
	peaks, apart gpreg // labels, highest scores and their powers so many
	out, behind  gpreg // factors, and three times that
	elem         *vec  // of the scores' type

	a, b, u, log, mass  vreg      // of the rows
	r                   vreg      // of float32 1+u at first
	ofScales, ofFactors *extremes // on AVX-512
}

func softColumnFinish(v *vec) {
	f := newColumnFinish(v)
	loop, next := v.newLabel("rows"), v.newLabel("next")
	wide, have := v.newLabel("wide"), v.newLabel("have")
	v.Label(loop)
	f.a, f.b = f.inRegister(f.sum(0)), f.reg()
	powers := v.argument("powers")
	v.CMPQ(powers, operand.U8(0))
	v.JNE(operand.LabelRef(wide))
	f.move(f.peak(2), f.b)
	v.Label(have)
	f.ofLoss()
	v.TESTQ(f.scale, f.scale)
	v.JZ(operand.LabelRef(next))
	f.ofGradient()
	v.ADDQ(operand.U8(f.bytes), f.scale)
	v.ADDQ(operand.U8(v.size*f.perReg()), f.out)

	v.Label(next)
	v.ADDQ(operand.U8(f.bytes), f.sums)
	v.ADDQ(operand.U8(v.size*f.perReg()), f.peaks)
	v.ADDQ(operand.U8(f.bytes), f.loss)
	rows := v.argument("rows")
	v.SUBQ(operand.U8(f.perReg()), rows)
	v.JNZ(operand.LabelRef(loop))
	f.report()

	v.Label(wide)
	p := v.GP64()
	v.MOVQ(powers, p)
	f.move(at(p, 0), f.b)
	v.ADDQ(operand.U8(f.bytes), powers)
	v.JMP(operand.LabelRef(have))
}

// newColumnFinish loads the arguments; all rows are good so far.
func newColumnFinish(v *vec) *columnFinish {
	d := &vec{v.file, v.tier, float64s}
	f := &columnFinish{finish: &finish{of: v.elem, loss: v.param("loss"), scale: v.param("scale")}, elem: v}
	f.logarithms = newLogarithms(d)
	f.sums, f.room = v.param("sums"), v.stride64("room")
	f.peaks, f.apart = v.param("peaks"), v.stride("room")
	f.good = f.newMask()
	f.fillMask(f.good)
	if v.wide() {
		for _, e := range []**extremes{&f.ofScales, &f.ofFactors} {
			*e = &extremes{most: f.reg()}
			f.zero((*e).most)
		}
	}
	f.out, f.behind = v.param("factors"), v.threeTimes(f.apart)
	return f
}

// ofLoss emits the losses, and leaves of them what the gradient takes.
func (f *columnFinish) ofLoss() {
	v := f.elem
	f.atLeast(f.a, v.pick(coef.NaturalLow32, coef.NaturalLow64))
	f.u = f.reg()
	f.mul(f.a, f.b, f.u)
	logarithm := f.log1pSum
	if v.double() {
		logarithm = f.log1p
		f.atLeast(f.u, coef.TermLow)
	}
	f.log, f.r = logarithm(f.u)
	loss := f.reg()
	f.mass = f.peak(0)
	f.add(f.mass, f.sum(2), f.mass)
	f.mul(f.log, f.mass, loss)
	f.add(loss, f.sum(1), loss)
	f.move(loss, at(f.loss, 0))
	f.checkLoss(v, loss)
}

// ofGradient emits what the gradient takes: f, the scale, the highest score or +Inf, and its
// derivative.
func (f *columnFinish) ofGradient() {
	v := f.elem
	scale := f.inRegister(at(f.scale, 0))
	f.limit(f.ofScales, scale, coef.LeastScale, coef.MostScale)
	f.put(scale, 1)
	most, large := f.reg(), f.newMask()
	f.compare(notLessOrEqual, f.log, f.constant(coef.LargeLoss), large)
	f.choose(large, f.inRegister(f.constant(math.Inf(1))), f.peak(1), most)
	f.put(most, 2)
	if !v.double() {
		f.VDIVPD(f.r, f.one, f.r) // it was 1+u
	}
	factor := f.reg()
	f.mul(scale, f.mass, factor)
	f.mul(f.b, f.r, f.b)
	f.mul(f.b, factor, f.b)
	f.limit(f.ofFactors, f.b, v.pick(coef.FactorLow32, coef.FactorLow64), v.pick(coef.FactorHigh32, coef.FactorHigh64))
	f.put(f.b, 0)
	f.mul(factor, f.u, f.u)
	f.mul(f.u, f.r, f.u) // the derivative, less its sign
	h := f.reg()
	f.mul(scale, f.sum(2), h)
	if v.double() {
		f.exactPeak(scale, factor, f.u, h, f.mass)
	} else {
		f.rounded(f.u)
		f.sub(h, f.u, h)
	}
	f.put(h, 3)
}

// put writes r to factor i of the rows.
func (f *columnFinish) put(r vreg, i int) {
	f.storeNarrow(f.of, r, oneOfFour(f.out, f.apart, f.behind, i))
}

// report ends the kernel with the rows that are no good.
func (f *columnFinish) report() {
	for _, e := range []*extremes{f.ofScales, f.ofFactors} {
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

// sum is the place of sum i of the rows, i < 3.
func (f *columnFinish) sum(i int) operand.Mem { return oneOfFour(f.sums, f.room, nil, i) }

// peak returns what is known of the peaks: labels, highest scores or powers.
func (f *columnFinish) peak(i int) vreg {
	r, m := f.reg(), oneOfFour(f.peaks, f.apart, nil, i)
	if f.of == float64s {
		f.move(m, r)
	} else {
		f.VCVTPS2PD(m, r)
	}
	return r
}

// atLeast has lanes of x below a bound, or NaN, be no good.
func (f *columnFinish) atLeast(x vreg, bound float64) {
	k := f.newMask()
	f.compare(greaterOrEqual, x, f.constant(bound), k)
	f.andMask(k, f.good)
}

// limit has lanes with |x| beyond low or high be no good: on AVX-512 by how far they are above
// low as integers, those below being the farthest.
func (f *columnFinish) limit(e *extremes, x vreg, low, high float64) {
	d := f.reg()
	f.and(x, f.asRegister(f.constant(math.Float64frombits(1<<63-1))), d)
	if e == nil {
		f.andMask(f.within(d, low, high), f.good)
		return
	}
	e.high = math.Float64frombits(math.Float64bits(high) - math.Float64bits(low))
	f.VPSUBQ(f.constant(low), d, d)
	f.VPMAXUQ(d, e.most, e.most)
}

// checkLoss has rows be no good whose loss is no number, or so small that what products have
// lost below the smallest normal number counts, if there are such: another label is above 0.
func (f *columnFinish) checkLoss(v *vec, loss vreg) {
	enough, none, number := f.newMask(), f.newMask(), f.newMask()
	f.compare(greaterOrEqual, loss, f.constant(v.pick(coef.LeastProducts32, coef.LeastProducts64)), enough)
	f.compare(equal, f.inRegister(f.sum(2)), f.constant(0), none)
	f.orMask(none, enough)
	f.compare(lessOrEqual, loss, f.constant(math.MaxFloat64), number)
	f.andMask(number, enough)
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
func (f *columnFinish) exactPeak(scale, factor, p, h, m vreg) {
	// The error of the sum: of two numbers ≥ 0 the lesser, less what it brought.
	o, low, label := f.inRegister(f.sum(2)), f.reg(), f.peak(0)
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
