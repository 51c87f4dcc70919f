package gen

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// accumulate emits the sum of gradients.
func accumulate(v *vec) {
	dst, dstStride := v.param("dst"), v.stride("dstStride")
	x, stride := v.param("x"), v.stride("stride")
	newRowLoop(v).run(func() {}, func(off reg.Register, pairs []pair) {
		for _, t := range terms(pairs) {
			place := func(base gpreg) operand.Mem {
				return operand.Mem{Base: base, Index: off, Scale: 1, Disp: t.reg * v.bytes}
			}
			a, b := v.reg(), v.reg()
			v.load(t.mask, place(dst), a)
			v.prefetch(place(dst), t.reg)
			v.load(t.mask, place(x), b)
			v.add(a, b, a)
			v.store(t.mask, a, place(dst))
		}
	}, func() {
		v.ADDQ(dstStride, dst)
		v.ADDQ(stride, x)
	})
}
