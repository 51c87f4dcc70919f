package gen

// neonSelectGrad emits the gradient of the losses made of selectSums.
func neonSelectGrad(v *neonVec) {
	v.kernel("selectGrad", "dst *"+v.goType+", dstStride int, x *"+v.goType+", stride, rows, n int, pos, neg *uint64, words int, p *[6]"+v.goType,
		"writes to dst[i·dstStride+j], with {magic of c, low, factor} = p[i][:3] for the classes of neg, y = x,",
		"and p[i][3:] for those of pos, y = -x: e^y·2^-c·factor, or 0 where y < low, and 0 for other classes.",
	)
	dst := v.output("dst", "dstStride")
	x := v.input("x", "stride")
	pos, neg := newNeonSides(v, 1)
	p := v.param("p")
	l := newNeonRowLoop(v, dst, x)
	params := v.regs(6)
	e := newNeonExponential(v, nil)

	l.run(func() {
		v.broadcasts(p, params...)
		pos.begin()
		neg.begin()
	}, func(pairs []pair) {
		all := terms(pairs)
		if all[0].reg == 0 {
			pos.load(16 / v.size)
			neg.load(16 / v.size)
		}
		y := v.loadTerms(x, pairs)
		var magic, keep []*vecReg
		for i, t := range all {
			m, low, k, test := v.reg(), v.reg(), v.reg(), v.laneTest(t.reg)
			v.comment("y = ±x, and the parameters of its side")
			pos.selected(t.reg, test, m)
			v.copy(m, low)
			v.copy(m, k)
			v.choose(m, params[3], params[0])
			v.choose(low, params[4], params[1])
			neg.selected(t.reg, test, test)
			v.or(test, k, test)
			v.flip(k, y[i])
			v.comment("the lanes that are kept: y ≥ low, on one of the sides")
			v.atLeast(y[i], low, k)
			v.and(k, test, k)
			magic, keep = append(magic, m), append(keep, k)
			v.free(low, test)
		}
		w, s := e.evaluateWith(y, magic)
		v.comment("p·s·factor where kept")
		for i := range w {
			v.mul(w[i], s[i], w[i])
		}
		v.free(s...)
		for i, t := range all {
			factor, test := v.reg(), v.laneTest(t.reg)
			pos.selected(t.reg, test, factor)
			v.choose(factor, params[5], params[2])
			v.mul(w[i], factor, w[i])
			v.and(w[i], keep[i], w[i])
			v.free(factor, test)
		}
		v.storeTerms(dst, pairs, w)
	}, func() {
		pos.next()
		neg.next()
		v.op("ADD", imm(6*v.size), p)
	})
}
