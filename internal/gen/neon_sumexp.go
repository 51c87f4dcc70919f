package gen

// neonSumExp emits the sum of exponentials.
func neonSumExp(v *neonVec) {
	sum := v.param("sum")
	var errs []genReg
	if v.double() {
		errs = append(errs, v.param("err"))
	}
	x := v.input("x", "stride")
	p := v.param("p")
	l := newNeonLoop(v, 2, x)
	l.maskRest()
	magic, low, high := v.reg(), v.reg(), v.reg()
	v.broadcasts(p, magic, low, high)
	e := newNeonExponential(v, magic)
	acc := newNeonAccumulator(v)

	l.run(acc.clear, func(t neonTurn) {
		y := l.loadTurn(x, t)
		for _, r := range y {
			v.max(low, r, r)
		}
		for _, r := range y {
			v.min(high, r, r)
		}
		p, s := e.evaluate(y)
		l.keep(t, p, s) // NaN·0 is not 0
		v.comment("add the two terms of a lane, and their sum to the row's")
		for _, h := range t.lanes {
			v.mul(p[0], s[0], p[0])
			for i := 1; i < t.vectors; i++ {
				v.fmaAcc(p[i], s[i], p[0]) // the product is exact
				v.free(p[i])
			}
			v.free(s[:t.vectors]...)
			acc.take(h, p[0])
			p, s = p[t.vectors:], s[t.vectors:]
		}
	}, func() {
		acc.store(sum, errs...)
	})
}
