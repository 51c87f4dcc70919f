package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// finishTarget emits what finishes softmax cross-entropy: with the sum a over the
// classes but the target, whose score is b,
//
//	e = e^-b;  u = a·e;  loss = log1p(u);  r = 1/(1+u)
//	fa = scale·(e·r);  fb = -((scale·u)·r)
//
// Of float32 the logarithm is that of 1+u rounded (see finishJoined). Where fa is nil
// there are no factors.
func finishTarget(v *vec) {
	f := newFinish(v, true)
	e := newExponential(f.vec, f.constant(coef.Magic64), false)
	f.zeros = true
	var ofTerms, ofScores, ofTargets *extremes
	if v.wide() {
		ofTerms, ofScores, ofTargets = f.newExtremes(), f.newExtremes(), f.newExtremes()
	}
	factors := f.GP64()
	f.MOVQ(f.out[0], factors) // which moves on
	unlessFactors := func(label string) {
		f.TESTQ(factors, factors)
		f.JZ(operand.LabelRef(label))
	}
	magnitude, sign := f.constant(math.Float64frombits(1<<63-1)), f.constant(math.Copysign(0, -1))
	f.run(func() {
		a, none := f.load(0)
		y, q := f.reg(), f.reg()
		f.move(f.place(f.sums[1]), y)
		f.atMost(y, magnitude, coef.TargetLimit, ofScores)
		f.xor(y, f.asRegister(sign), y)
		p, s := e.evaluate([]vreg{y})
		b, u := p[0], f.reg()
		f.mul(b, s[0], b)
		f.mul(a, b, u)
		if v.wide() {
			f.extendOrZero(ofTerms, u, coef.TermLow, coef.TermHigh)
		} else {
			normal := f.within(u, coef.TermLow, coef.TermHigh)
			f.orMask(none, normal)
			f.andMask(normal, f.good)
		}
		unscaled, finished := f.newLabel("unscaled"), f.newLabel("finished")
		unlessFactors(unscaled)
		f.mul(u, f.place(f.scale), q)
		f.atMost(q, magnitude, math.MaxFloat64, ofTargets)
		f.Label(unscaled)
		logarithm := f.log1p
		if !v.double() {
			logarithm = f.log1pSum
		}
		log, r := logarithm(u)
		f.move(log, f.place(f.loss))
		unlessFactors(finished)
		if !v.double() {
			f.VDIVPD(r, f.one, r)
		}
		f.mul(q, r, q)
		f.xor(q, f.asRegister(sign), q)
		f.putFactor(q, 1)
		f.mul(b, r, b)
		f.factor(0, b, none)
		f.Label(finished)
	})
}

// atMost has lanes above a bound in magnitude, or NaN, be no good: on AVX-512 by the
// extremes e.
func (f *finish) atMost(x vreg, magnitude op, bound float64, e *extremes) {
	q := f.reg()
	f.and(x, f.asRegister(magnitude), q)
	if e != nil {
		e.high = bound
		f.VPMAXUQ(q, e.most, e.most)
		return
	}
	k := f.newMask()
	f.compare(lessOrEqual, q, f.constant(bound), k)
	f.andMask(k, f.good)
}
