package gen

import (
	"github.com/mmcloughlin/avo/operand"
)

// scaleExp emits the store of exponentials times a factor. With streaming
// stores every row of dst begins at a multiple of 64 bytes.
func scaleExp(v *vec, streaming bool) {
	dst, dstStride := v.param("dst"), v.stride("dstStride")
	x, stride := v.param("x"), v.stride("stride")
	p, pStep := v.param("p"), v.stride("pStep")
	// Three elements each: p += 3·pStep.
	v.LEAQ(operand.Mem{Base: pStep, Index: pStep, Scale: 2}, pStep)
	l := newRowLoop(v)
	magic, low, factor := v.reg(), v.reg(), v.reg()
	e := newExponential(v, magic, !v.double())

	l.run(func() {
		v.broadcast(at(p, 0), magic)
		v.broadcast(at(p, v.size), low)
		v.broadcast(at(p, 2*v.size), factor)
	}, func(pairs []pair) {
		var y []vreg
		var normal []mask
		for _, t := range terms(pairs) {
			r, in := v.reg(), v.newMask()
			mem := l.inRow(x, t.reg)
			v.load(t.mask, mem, r)
			if t.mask == nil {
				v.prefetch(mem, t.reg)
			}
			v.compare(greaterOrEqual, r, low, in)
			y, normal = append(y, r), append(normal, in)
		}
		p, s := e.evaluate(y)
		for i, t := range terms(pairs) {
			v.mul(p[i], s[i], p[i])
			v.mulKeep(normal[i], p[i], factor, p[i])
			mem := l.inRow(dst, t.reg)
			if streaming && t.mask == nil {
				v.stream(p[i], mem)
			} else {
				v.store(t.mask, p[i], mem)
			}
		}
	}, func() {
		v.ADDQ(dstStride, dst)
		v.ADDQ(stride, x)
		v.ADDQ(pStep, p)
		if streaming {
			v.SFENCE()
		}
	})
}
