package gen

import "math"

// neonMaximum emits the maximum of each row.
func neonMaximum(v *neonVec) {
	out := v.param("max")
	x := v.input("x", "stride")
	l := newNeonLoop(v, 2, x)
	v.loadConstants()
	infinity := v.inRegister(v.constant(math.Inf(-1)))
	canonical := v.inRegister(v.constant(math.Float64frombits(0x7ff8 << 48)))
	x.fill = infinity
	acc := v.regs(neonRegs)

	l.run(func() {
		for _, a := range acc {
			v.copy(infinity, a)
		}
	}, func(t neonTurn) {
		// A NaN stays in acc.
		for i, r := range l.loadTurn(x, t) {
			v.max(r, acc[i], acc[i])
		}
	}, func() {
		v.max(acc[1], acc[0], acc[0])
		v.max(acc[3], acc[2], acc[2])
		v.max(acc[2], acc[0], acc[0])
		compare := "FCMPS"
		if v.double() {
			compare = "FCMPD"
			v.VFMAXP(acc[0].d2(), acc[0])
		} else {
			v.VFMAXV(acc[0].as("S4"), acc[0])
		}
		number := v.newLabel("number")
		v.op(compare, acc[0], acc[0])
		v.op("BVC", number)
		v.copy(canonical, acc[0])
		v.label(number)
		v.storeLow(acc[0], out)
	})
}
