package gen

import "fmt"

// neonOffset emits the difference from two numbers a row, taken in float64.
func neonOffset(v *neonVec) {
	dst := v.output("dst", "dstStride")
	x := v.input("x", "stride")
	tops, logs := v.param("m"), v.param("l")
	l := newNeonLoop(v, 2, dst, x)
	m, s := v.reg(), v.reg()

	l.run(func() {
		v.op("VLD1R.P", address{tops, 8}, fmt.Sprintf("[%v]", m.d2()))
		v.op("VLD1R.P", address{logs, 8}, fmt.Sprintf("[%v]", s.d2()))
	}, func(t neonTurn) {
		r := l.loadTurn(x, t)
		for i := range r {
			if v.double() {
				v.sub(r[i], m, r[i])
				v.sub(r[i], s, r[i])
				continue
			}
			low, high := v.widen(r[i])
			for _, half := range []*vecReg{low, high} {
				v.VFSUB(m.d2(), half.d2(), half.d2())
				v.VFSUB(s.d2(), half.d2(), half.d2())
			}
			v.free(r[i])
			r[i] = v.narrow(low, high)
			v.free(low, high)
		}
		l.storeTurn(dst, t, r)
	}, func() {})
}
