package gen

// neonAccumulate emits the sum of gradients.
func neonAccumulate(v *neonVec) {
	dst, old, x := v.output("dst", "dstStride"), v.input("dst", "dstStride"), v.input("x", "stride")
	l := newNeonLoop(v, 2, dst, old, x)
	l.run(func() {}, func(t neonTurn) {
		a, b := l.loadTurn(old, t), l.loadTurn(x, t)
		for i := range a {
			v.add(a[i], b[i], a[i])
		}
		l.storeTurn(dst, t, a)
	}, func() {})
}
