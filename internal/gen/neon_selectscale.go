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
			above, below := v.reg(), v.reg()
			v.atLeast(x, low, above)
			if one {
				v.mul(x, negative, x)
				v.and(x, above, x)
				v.free(above, below)
				continue
			}
			v.atLeast(minusLow, x, below)
			kept := v.reg()
			v.or(above, below, kept)
			v.and(x, kept, x)
			v.and(above, negative, above)
			v.and(below, positive, below)
			v.or(above, below, above)
			v.mul(x, above, x)
			v.free(above, below, kept)
		}
		l.storeTurn(dst, t, r)
	}, func() {
		for _, f := range factors {
			v.op("ADD", imm(v.size), f)
		}
	})
}
