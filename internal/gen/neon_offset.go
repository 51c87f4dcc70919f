package gen

import "fmt"

// neonOffset emits the difference from one number a row, taken in float64.
func neonOffset(v *neonVec) {
	dst := v.output("dst", "dstStride")
	x := v.input("x", "stride")
	p := v.param("s")
	l := newNeonLoop(v, 2, dst, x)
	s := v.reg()

	l.run(func() {
		v.op("VLD1R.P", address{p, 8}, fmt.Sprintf("[%v]", s.d2()))
	}, func(t neonTurn) {
		r := l.loadTurn(x, t)
		for i := range r {
			if v.double() {
				v.sub(r[i], s, r[i])
				continue
			}
			low, high := v.widen(r[i])
			v.VFSUB(s.d2(), low.d2(), low.d2())
			v.VFSUB(s.d2(), high.d2(), high.d2())
			v.free(r[i])
			r[i] = v.narrow(low, high)
			v.free(low, high)
		}
		l.storeTurn(dst, t, r)
	}, func() {})
}
