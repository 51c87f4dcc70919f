package gen

// neonPackBytes emits the packing of rows of bytes, each 0 or 1, into bits, for
// whole words only.
//
// Byte j of 8 becomes ones or zeros, then bit j: the sum of 8 neighbours is the
// byte of their bits.
func neonPackBytes(v *neonVec) {
	dst, dstStride := v.param("dst"), v.param("dstStride")
	src, stride := v.param("src"), v.param("stride")
	rows, n := v.param("rows"), v.param("n")
	v.op("LSL", imm(3), dstStride)
	v.op("LSR", imm(6), n)
	v.loadConstants()
	same := func(bits uint64) *vecReg {
		return v.inRegister(address{v.table, v.entry(v.elem, v.set, [4]uint64{bits, bits, bits, bits})})
	}
	ones, weights := same(0x0101010101010101), same(0x8040201008040201)
	row, word, next := v.newLabel("row"), v.newLabel("word"), v.newLabel("next")
	in, out, left := v.gp(), v.gp(), v.gp()
	seen, q := v.cleared(1)[0], v.regs(4)

	v.label(row)
	v.op("MOVD", src, in)
	v.op("MOVD", dst, out)
	v.op("MOVD", n, left)
	v.op("CBZ", left, next)
	v.label(word)
	v.loadPair(address{in, 0}, q[0], q[1])
	v.loadPair(address{in, 32}, q[2], q[3])
	for _, r := range q {
		v.or(r, seen, seen)
		v.op("VCMTST", ones.b16(), r.b16(), r.b16())
		v.and(r, weights, r)
	}
	for _, i := range [][2]int{{0, 1}, {2, 3}, {0, 2}, {0, 0}} {
		v.op("VADDP", q[i[1]].b16(), q[i[0]].b16(), q[i[0]].b16())
	}
	v.op("FMOVD.P", q[0], address{out, 8})
	v.op("ADD", imm(64), in)
	v.op("SUB", imm(1), left)
	v.op("CBNZ", left, word)
	v.label(next)
	v.op("ADD", stride, src)
	v.op("ADD", dstStride, dst)
	v.op("SUB", imm(1), rows)
	v.op("CBNZ", rows, row)

	// What is neither 0 nor 1 has a bit that ones has not.
	v.VBIC(ones.b16(), seen.b16(), seen.b16())
	v.report(seen, false)
	v.op("RET")
}
