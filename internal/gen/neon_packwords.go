package gen

import "fmt"

// neonPackWords emits packWords, 8 elements at a time: ones or zeros become the
// bits that stand for them, which are added.
func neonPackWords(v *neonVec) {
	dst, dstStride := v.param("dst"), v.param("dstStride")
	src, stride := v.param("src"), v.param("stride")
	rows, n := v.param("rows"), v.param("n")
	last, in, out, left := v.gp(), v.gp(), v.gp(), v.gp()
	zeros, none := v.gp(), v.gp()
	v.op("MOVD", imm(0), none)
	v.op("LSL", imm(3), dstStride)
	v.op("LSL", imm(log2(v.size)), stride)
	v.op("SUB", imm(1), n, last)
	v.op("LSR", imm(6), last)
	v.op("LSL", imm(3), last)
	v.loadConstants()
	count := 8 * v.size / 16
	weights := v.regs(count)
	for i := 0; i < count; i += 2 {
		var entry [4]uint64
		for j := range entry {
			if v.double() {
				entry[j] = 1 << (2*i + j)
			} else {
				entry[j] = 1<<(4*i+2*j) | 2<<(4*i+2*j)<<32
			}
		}
		v.loadPair(address{v.table, v.entry(v.elem, v.set, entry)}, weights[i], weights[i+1])
	}
	same := func(name string) *vecReg {
		r, bits := v.reg(), v.param(name)
		v.op("VDUP", bits, v.lanes(r))
		v.release(bits)
		return r
	}
	one, zero, seen := same("one"), same("zero"), v.cleared(1)[0]
	row, word := v.newLabel("row"), v.newLabel("word")
	v.label(row)
	v.op("MOVD", src, in)
	v.op("MOVD", dst, out)
	v.op("MOVD", n, left)
	v.op("ADD", dst, last, zeros)
	v.op("MOVD", none, address{zeros, 0})
	v.label(word)
	v.scope(func() {
		r, k := v.regs(count), v.regs(count)
		for i := 0; i < count; i += 2 {
			v.loadPair(address{in, 16 * i}, r[i], r[i+1])
		}
		for i := range r {
			v.op("VCMEQ", v.lanes(one), v.lanes(r[i]), v.lanes(k[i]))
			v.keepOut(k[i], r[i])
			v.or(r[i], seen, seen)
			v.and(k[i], weights[i], k[i])
			if i > 0 {
				v.or(k[0], k[i], k[0])
			}
		}
		if v.double() {
			v.op("VADDP", k[0].d2(), k[0].d2(), k[0].d2())
		} else {
			v.op("VADDV", v.lanes(k[0]), fmt.Sprintf("V%d", k[0].n))
		}
		bits := v.gp()
		v.op("VMOV", fmt.Sprintf("V%d.B[0]", k[0].n), bits)
		v.op("MOVB.P", bits, address{out, 1})
		v.release(bits)
	})
	v.op("ADD", imm(8*v.size), in)
	v.op("SUB", imm(8), left)
	v.op("CBNZ", left, word)
	v.op("ADD", stride, src)
	v.op("ADD", dstStride, dst)
	v.op("SUB", imm(1), rows)
	v.op("CBNZ", rows, row)

	v.keepOut(zero, seen)
	v.report(seen, false)
	v.op("RET")
}
