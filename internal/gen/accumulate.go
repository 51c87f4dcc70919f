package gen

import (
	"github.com/mmcloughlin/avo/reg"
)

// accumulate emits the sum of gradients.
func accumulate(v *vec) {
	dst, dstStride := v.param("dst"), v.stride("dstStride")
	x, stride := v.param("x"), v.stride("stride")
	newRowLoop(v).run(func() {}, func(off reg.Register, pairs []pair) {
		for _, t := range terms(pairs) {
			to, from := v.element(dst, off, t.reg), v.element(x, off, t.reg)
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
