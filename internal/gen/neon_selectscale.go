package gen

import "github.com/zlpr/zlpr/internal/coef"

// neonSelectScale emits the gradient of the losses made of selectExp.
func neonSelectScale(v *neonVec, one bool) {
	dst, w := v.output("dst", "dstStride"), v.input("w", "wStride")
	var factors []genReg
	for _, name := range scaleFactors(one) {
		factors = append(factors, v.param(name))
	}
	l := newNeonLoop(v, 2, dst, w)
	v.loadConstants()
	least := v.pick(coef.LeastExp32, coef.LeastExp64)
	low, minusLow := v.inRegister(v.constant(least)), v.inRegister(v.constant(-least))
	negative, positive := v.reg(), v.reg()

	l.run(func() {
		for i, f := range factors {
			v.broadcasts(f, []*vecReg{negative, positive}[i])
		}
	}, func(t neonTurn) {
		r := l.loadTurn(w, t)
		for _, x := range r {
			if !one {
				v.scaleSides(x, low, minusLow, negative, positive)
				continue
			}
			above := v.reg()
			v.atLeast(x, low, above)
			v.mul(x, negative, x)
			v.and(x, above, x)
			v.free(above)
		}
		l.storeTurn(dst, t, r)
	}, func() {
		for _, f := range factors {
			v.op("ADD", imm(v.size), f)
		}
	})
}

// scaleSides is x times the factor of its side, which its sign tells, or 0 where it is
// between minusLow and low.
func (v *neonVec) scaleSides(x, low, minusLow, negative, positive *vecReg) {
	above, below, kept := v.reg(), v.reg(), v.reg()
	v.atLeast(x, low, above)
	v.atLeast(minusLow, x, below)
	v.or(above, below, kept)
	v.and(x, kept, x)
	v.and(above, negative, above)
	v.and(below, positive, below)
	v.or(above, below, above)
	v.mul(x, above, x)
	v.free(above, below, kept)
}
