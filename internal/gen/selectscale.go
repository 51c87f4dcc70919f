package gen

import (
	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// selectScale emits the gradient of the losses made of selectExp: the
// exponentials times the factor of their side.
//
// With one there are negatives alone.
func selectScale(v *vec, one bool) {
	dst, dstStride := v.param("dst"), v.stride("dstStride")
	w, wStride := v.param("w"), v.stride("wStride")
	var factors []gpreg
	for _, name := range scaleFactors(one) {
		factors = append(factors, v.param(name))
	}
	l := newRowLoop(v)
	least := v.pick(coef.LeastExp32, coef.LeastExp64)
	low, negative := v.inRegister(v.constant(least)), v.reg()
	var minusLow, positive vreg
	if !one {
		minusLow, positive = v.inRegister(v.constant(-least)), v.reg()
	}

	l.run(func() {
		for i, f := range factors {
			v.broadcast(at(f, 0), []vreg{negative, positive}[i])
		}
	}, func(pairs []pair) {
		all := terms(pairs)
		r := make([]vreg, len(all))
		for i, t := range all {
			r[i] = v.reg()
			v.load(t.mask, l.inRow(w, t.reg), r[i])
		}
		for i, t := range all {
			above, below := v.newMask(), v.newMask()
			v.compare(greaterOrEqual, r[i], low, above)
			if !one {
				v.compare(lessOrEqual, r[i], minusLow, below)
			}
			if one {
				v.mulKeep(above, r[i], negative, r[i])
			} else if v.wide() {
				a := v.reg()
				v.mulKeep(above, r[i], negative, a)
				v.either(v.VMULPS, v.VMULPD, positive, r[i], below, a)
				r[i] = a
			} else {
				kept := v.reg()
				v.or(above, below, kept)
				v.and(r[i], kept, r[i])
				v.and(above, negative, above)
				v.and(below, positive, below)
				v.or(above, below, above)
				v.mul(r[i], above, r[i])
			}
			v.store(t.mask, r[i], l.inRow(dst, t.reg))
		}
	}, func() {
		v.ADDQ(dstStride, dst)
		v.ADDQ(wStride, w)
		for _, f := range factors {
			v.ADDQ(operand.U8(v.size), f)
		}
	})
}

// scaleFactors are the names of selectScale's factors.
func scaleFactors(one bool) []string {
	if one {
		return []string{"f"}
	}
	return []string{"fa", "fb"}
}

// union returns the lanes of a or b, overwriting a.
func (v *vec) union(a, b mask) mask {
	v.orMask(b, a)
	return a
}
