package gen

// neonScaleExp emits the store of exponentials times a factor.
func neonScaleExp(v *neonVec) {
	dst := v.output("dst", "dstStride")
	x := v.input("x", "stride")
	p, pStep := v.param("p"), v.param("pStep")
	// Three elements each: p += 3·pStep.
	v.op("LSL", imm(log2(v.size)), pStep)
	v.op("ADD", pStep.String()+"<<1", pStep)
	l := newNeonLoop(v, 2, dst, x)
	magic, low, factor := v.reg(), v.reg(), v.reg()
	e := newNeonExponential(v, magic)

	l.run(func() {
		v.broadcasts(p, magic, low, factor)
	}, func(t neonTurn) {
		y := l.loadTurn(x, t)
		var normal []*vecReg
		for _, r := range y {
			in := v.reg()
			v.atLeast(r, low, in)
			normal = append(normal, in)
		}
		p, s := e.evaluate(y)
		v.comment("p·s·factor where y ≥ low")
		for i := range p {
			v.mul(p[i], s[i], p[i])
		}
		for i := range p {
			v.mul(p[i], factor, p[i])
		}
		for i := range p {
			v.and(p[i], normal[i], p[i])
		}
		l.storeTurn(dst, t, p)
	}, func() {
		v.op("ADD", pStep, p)
	})
}
