package gen

import "fmt"

// neonOffset emits the difference from two numbers a row.
func neonOffset(v *neonVec) {
	dst := v.output("dst", "dstStride")
	x := v.input("x", "stride")
	tops, logs := v.param("m"), v.param("l")
	l := newNeonLoop(v, 2, dst, x)
	m, s := v.reg(), v.reg()

	l.run(func() {
		v.op("VLD1R.P", address{tops, v.size}, fmt.Sprintf("[%v]", v.lanes(m)))
		v.op("VLD1R.P", address{logs, v.size}, fmt.Sprintf("[%v]", v.lanes(s)))
	}, func(t neonTurn) {
		r := l.loadTurn(x, t)
		for i := range r {
			v.sub(r[i], m, r[i])
			v.sub(r[i], s, r[i])
		}
		l.storeTurn(dst, t, r)
	}, func() {})
}
