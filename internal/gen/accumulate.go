package gen

// accumulate emits the sum of gradients.
func accumulate(v *vec) {
	dst, dstStride := v.param("dst"), v.stride("dstStride")
	x, stride := v.param("x"), v.stride("stride")
	l := newRowLoop(v)
	l.run(func() {}, func(pairs []pair) {
		for _, t := range terms(pairs) {
			to, from := l.inRow(dst, t.reg), l.inRow(x, t.reg)
			a, b := v.reg(), v.reg()
			v.load(t.mask, to, a)
			v.prefetch(to, t.reg)
			v.load(t.mask, from, b)
			v.add(a, b, a)
			v.store(t.mask, a, to)
		}
	}, func() {
		v.ADDQ(dstStride, dst)
		v.ADDQ(stride, x)
	})
}
