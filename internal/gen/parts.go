package gen

import (
	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// addParts emits the exact sum of float64 numbers, in three parts: the multiples
// of the three steps that add up to each.
//
//	for j, m := range coef.PartMagic {
//		part = (x + m) - m
//		sum[j] += part
//		x -= part
//	}
//	rest |= bits of x
func addParts(v *vec) {
	x, n := v.param("x"), v.param("n")
	const quantities = 6 // three sums, rest, minimum, maximum
	q := make([][]vreg, quantities)
	for j := range q {
		for h := range v.regs() {
			r := v.reg()
			if j < 4 {
				v.zero(r)
			} else {
				v.move(at(x, h*v.bytes), r)
			}
			q[j] = append(q[j], r)
		}
	}
	loop := v.newLabel("loop")
	v.Label(loop)
	for h := range v.regs() {
		r, part := v.reg(), v.reg()
		v.move(at(x, h*v.bytes), r)
		v.min(q[4][h], r, q[4][h])
		v.max(q[5][h], r, q[5][h])
		for j, m := range coef.PartMagic {
			magic := v.constant(m)
			v.add(r, magic, part)
			v.sub(part, magic, part)
			v.add(q[j][h], part, q[j][h])
			v.sub(r, part, r)
		}
		v.or(q[3][h], r, q[3][h])
	}
	v.ADDQ(operand.U8(64), x)
	v.SUBQ(operand.U8(8), n)
	v.JNZ(operand.LabelRef(loop))
	out := v.param("out")
	for j, r := range v.eight(q, func(a, b []vreg) {
		for j := range a {
			switch {
			case j < 3:
				v.VADDPD(b[j], a[j], a[j])
			case j == 3:
				v.VORPD(b[j], a[j], a[j])
			case j == 4:
				v.VMINPD(b[j], a[j], a[j])
			default:
				v.VMAXPD(b[j], a[j], a[j])
			}
		}
	}) {
		v.VMOVSD(r, at(out, 8*j))
	}
	v.VZEROUPPER()
	v.RET()
}
