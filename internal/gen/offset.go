package gen

import (
	"github.com/mmcloughlin/avo/operand"
)

// offset emits the difference from two numbers a row.
func offset(v *vec) {
	dst, dstStride := v.param("dst"), v.stride("dstStride")
	x, stride := v.param("x"), v.stride("stride")
	tops, logs := v.param("m"), v.param("l")
	l := newRowLoop(v)
	m, s := v.reg(), v.reg()

	l.run(func() {
		v.broadcast(at(tops, 0), m)
		v.broadcast(at(logs, 0), s)
	}, func(pairs []pair) {
		for _, t := range terms(pairs) {
			r := v.reg()
			mem := l.inRow(x, t.reg)
			v.load(t.mask, mem, r)
			if t.mask == nil {
				v.prefetch(mem, t.reg)
			}
			v.sub(r, m, r)
			v.sub(r, s, r)
			v.store(t.mask, r, l.inRow(dst, t.reg))
		}
	}, func() {
		v.ADDQ(dstStride, dst)
		v.ADDQ(stride, x)
		v.ADDQ(operand.U8(v.size), tops)
		v.ADDQ(operand.U8(v.size), logs)
	})
}
