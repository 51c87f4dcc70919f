package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
)

// maximum emits the maximum of each row.
func maximum(v *vec) {
	out := v.param("max")
	x, stride := v.param("x"), v.stride("stride")
	l := newRowLoop(v)
	infinity := v.inRegister(v.constant(math.Inf(-1)))
	// One after the other, the maxima would wait for each other.
	acc, nan := []vreg{v.reg(), v.reg(), v.reg(), v.reg()}, v.newMask()

	l.run(func() {
		for _, a := range acc {
			v.move(infinity, a)
		}
		v.clearMask(nan)
	}, func(pairs []pair) {
		for _, pair := range pairs {
			var loaded []vreg
			for _, t := range pair {
				mem := l.inRow(x, t.reg)
				r := v.reg()
				if t.mask == nil {
					v.move(mem, r)
					v.prefetch(mem, t.reg)
				} else {
					v.loadOver(t.mask, mem, infinity, r)
				}
				// a stays where x is NaN.
				a := acc[t.reg%len(acc)]
				v.max(r, a, a)
				loaded = append(loaded, r)
			}
			k := v.newMask()
			v.compare(unordered, loaded[0], loaded[len(loaded)-1], k)
			v.orMask(k, nan)
		}
	}, func() {
		v.ADDQ(stride, x)
		v.max(acc[1], acc[0], acc[0])
		v.max(acc[3], acc[2], acc[2])
		v.max(acc[2], acc[0], acc[0])
		v.reduceMax(acc[0])
		v.storeLow(acc[0], at(out, 0))
		number := v.newLabel("number")
		v.jumpIfEmpty(nan, number)
		canonical := v.GP64()
		if v.double() {
			v.MOVQ(operand.U64(math.Float64bits(math.NaN())&^1), canonical)
			v.MOVQ(canonical, at(out, 0))
		} else {
			v.MOVL(operand.U32(math.Float32bits(float32(math.NaN()))), canonical.As32())
			v.MOVL(canonical.As32(), at(out, 0))
		}
		v.Label(number)
		v.ADDQ(operand.U8(v.size), out)
	})
}

// loadOver is d = the elements at mem in the lanes of k, those of a elsewhere.
func (v *vec) loadOver(k mask, mem operand.Mem, a op, d vreg) {
	if k == nil {
		v.move(mem, d)
		return
	}
	k = v.inReg(k)
	r := v.reg()
	v.load(k, mem, r)
	v.choose(k, r, a, d)
}

// clearMask empties k.
func (v *vec) clearMask(k mask) {
	if v.wide() {
		v.KXORW(k, k, k)
	} else {
		v.VXORPS(k, k, k)
	}
}

// orMask adds the lanes of k to d.
func (v *vec) orMask(k, d mask) {
	if v.wide() {
		v.KORW(k, d, d)
	} else {
		v.VORPS(k, d, d)
	}
}

// jumpIfEmpty jumps where no lane is in k.
func (v *vec) jumpIfEmpty(k mask, label string) {
	v.testMask(k)
	v.JZ(operand.LabelRef(label))
}

// jumpIfAny jumps where a lane is in k.
func (v *vec) jumpIfAny(k mask, label string) {
	v.testMask(k)
	v.JNZ(operand.LabelRef(label))
}

func (v *vec) testMask(k mask) {
	if v.wide() {
		v.KORTESTW(k, k)
	} else {
		v.VPTEST(k, k)
	}
}

// reduceMax brings the maximum of the lanes of a, none of them NaN, to its
// lowest lane.
func (v *vec) reduceMax(a vreg) { v.reduce(a, v.max) }

// reduce joins the lanes of a in its lowest lane.
func (v *vec) reduce(a vreg, join func(a, m, d op)) {
	for a.Size() > 16 {
		h := v.XMM()
		if a.Size() == 64 {
			h = v.YMM()
		}
		v.high(a, h)
		if a.Size() == 64 {
			a = a.AsY().(vreg)
		} else {
			a = a.AsX().(vreg)
		}
		join(a, h, a)
	}
	h := v.XMM()
	v.VUNPCKHPD(a, a, h)
	join(a, h, a)
	if !v.double() {
		v.VMOVSHDUP(a, h)
		join(a, h, a)
	}
}

// storeLow writes the lowest lane of a.
func (v *vec) storeLow(a vreg, mem operand.Mem) {
	if v.double() {
		v.VMOVSD(a.AsX(), mem)
	} else {
		v.VMOVSS(a.AsX(), mem)
	}
}
