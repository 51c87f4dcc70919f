package gen

import (
	"github.com/mmcloughlin/avo/operand"
)

// scaleExp emits the store of exponentials times a factor; streaming stores, behind the
// loop, are those of rows that begin at multiples of 64 bytes.
func scaleExp(v *vec) {
	dst, dstStride := v.param("dst"), v.stride("dstStride")
	x, stride := v.param("x"), v.stride("stride")
	p, pStep := v.param("p"), v.stride("pStep")
	// Three elements each: p += 3·pStep.
	v.LEAQ(operand.Mem{Base: pStep, Index: pStep, Scale: 2}, pStep)
	l := newRowLoop(v)
	magic, low, factor := v.reg(), v.reg(), v.reg()
	e := newExponential(v, magic, !v.double())
	var aside []func()

	l.last = func() {
		kept := v.newLabel("kept")
		v.CMPQ(v.argument("stream"), operand.U8(0))
		v.JEQ(operand.LabelRef(kept))
		v.SFENCE()
		v.Label(kept)
	}
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
		all, whole := terms(pairs), pairs[0][0].mask == nil
		for i, t := range all {
			v.mul(p[i], s[i], p[i])
			v.mulKeep(normal[i], p[i], factor, p[i])
			if !whole {
				v.store(t.mask, p[i], l.inRow(dst, t.reg))
			}
		}
		if !whole {
			return
		}
		streaming, stored := v.newLabel("stream"), v.newLabel("stored")
		v.CMPQ(v.argument("stream"), operand.U8(0))
		v.JNE(operand.LabelRef(streaming))
		for i, t := range all {
			v.move(p[i], l.inRow(dst, t.reg))
		}
		v.Label(stored)
		aside = append(aside, func() {
			v.Label(streaming)
			for i, t := range all {
				v.stream(p[i], l.inRow(dst, t.reg))
			}
			v.JMP(operand.LabelRef(stored))
		})
	}, func() {
		v.ADDQ(dstStride, dst)
		v.ADDQ(stride, x)
		v.ADDQ(pStep, p)
	})
	for _, f := range aside {
		f()
	}
}
