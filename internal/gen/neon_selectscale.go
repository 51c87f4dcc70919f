package gen

import "github.com/zlpr/zlpr/internal/coef"

// neonSelectScale emits the gradient of the losses made of selectExp.
func neonSelectScale(v *neonVec) {
	dst, w := v.output("dst", "dstStride"), v.input("w", "wStride")
	fa, fb := v.param("fa"), v.param("fb")
	l := newNeonLoop(v, 2, dst, w)
	v.loadConstants()
	least := v.pick(coef.LeastExp32, coef.LeastExp64)
	low, minusLow := v.inRegister(v.constant(least)), v.inRegister(v.constant(-least))
	negative, positive := v.reg(), v.reg()

	l.run(func() {
		v.broadcasts(fa, negative)
		v.broadcasts(fb, positive)
	}, func(t neonTurn) {
		r := l.loadTurn(w, t)
		for _, x := range r {
			above, below := v.reg(), v.reg()
			v.atLeast(x, low, above)
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
		v.op("ADD", imm(v.size), fa)
		v.op("ADD", imm(v.size), fb)
	})
}
