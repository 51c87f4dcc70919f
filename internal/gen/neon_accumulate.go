package gen

// neonAccumulate emits the sum of gradients.
func neonAccumulate(v *neonVec) {
	v.kernel("accumulate", "dst *"+v.goType+", dstStride int, x *"+v.goType+", stride, rows, n int",
		"adds x[i·stride+j] to dst[i·dstStride+j].",
	)
	dst, old, x := v.output("dst", "dstStride"), v.input("dst", "dstStride"), v.input("x", "stride")
	newNeonRowLoop(v, dst, old, x).run(func() {}, func(pairs []pair) {
		a, b := v.loadTerms(old, pairs), v.loadTerms(x, pairs)
		for i := range a {
			v.add(a[i], b[i], a[i])
		}
		v.storeTerms(dst, pairs, a)
	}, func() {})
}
