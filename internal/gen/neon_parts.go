package gen

import "github.com/zlpr/zlpr/internal/coef"

// neonAddParts emits addParts.
func neonAddParts(v *neonVec) {
	v.set = "parts"
	x, n := v.param("x"), v.param("n")
	q := make([][]*vecReg, 6) // three sums, rest, minimum, maximum
	for j := range 4 {
		q[j] = v.cleared(neonRegs)
	}
	for j := 4; j < len(q); j++ {
		q[j] = v.regs(neonRegs)
		for h := 0; h < neonRegs; h += 2 {
			v.loadPair(address{x, 16 * h}, q[j][h], q[j][h+1])
		}
	}
	v.loadConstants()
	var magic []*vecReg
	for _, m := range coef.PartMagic {
		magic = append(magic, v.inRegister(v.constant(m)))
	}
	loop := v.newLabel("loop")
	v.label(loop)
	for h := 0; h < neonRegs; h += 2 {
		r, part := v.regs(2), v.regs(2)
		v.loadPair(address{x, 16 * h}, r[0], r[1])
		for i := range r {
			v.min(q[4][h+i], r[i], q[4][h+i])
			v.max(q[5][h+i], r[i], q[5][h+i])
		}
		for j, m := range magic {
			for i := range r {
				v.add(r[i], m, part[i])
				v.sub(part[i], m, part[i])
				v.add(q[j][h+i], part[i], q[j][h+i])
				v.sub(r[i], part[i], r[i])
			}
		}
		for i := range r {
			v.or(q[3][h+i], r[i], q[3][h+i])
		}
		v.free(r...)
		v.free(part...)
	}
	v.op("ADD", imm(64), x)
	v.op("SUB", imm(8), n)
	v.op("CBNZ", n, loop)
	out := v.param("out")
	for _, r := range v.eight(q, func(a, b []*vecReg) {
		for j := range a {
			switch {
			case j < 3:
				v.add(a[j], b[j], a[j])
			case j == 3:
				v.or(a[j], b[j], a[j])
			case j == 4:
				v.min(a[j], b[j], a[j])
			default:
				v.max(a[j], b[j], a[j])
			}
		}
	}) {
		v.storeLow(r, out)
	}
	v.op("RET")
}
