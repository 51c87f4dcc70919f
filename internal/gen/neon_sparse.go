package gen

// neonSparseProduct emits the product of a sparse row with 8 columns of a dense matrix.
func neonSparseProduct(v *neonVec) {
	dst, indices, n, values := v.param("dst"), v.param("indices"), v.param("n"), v.param("values")
	dense, columns := v.param("v"), v.param("columns")
	v.op("LSL", imm(3), columns)
	sums := v.regs(4)
	v.loadPair(address{dst, 0}, sums[0], sums[1])
	v.loadPair(address{dst, 32}, sums[2], sums[3])
	from := v.gp()
	term := func() {
		factor, x := v.reg(), v.regs(4)
		v.op("MOVWU.P", address{indices, 4}, from)
		v.op("MUL", columns, from)
		v.op("ADD", dense, from)
		v.op("VLD1R.P", address{values, 8}, "["+factor.d2().String()+"]")
		v.loadPair(address{from, 0}, x[0], x[1])
		v.loadPair(address{from, 32}, x[2], x[3])
		for i, a := range sums {
			v.mul(factor, x[i], x[i])
			v.add(a, x[i], a)
		}
		v.free(factor)
		v.free(x...)
	}
	v.whileAtLeast(2, n, func() {
		term()
		term()
	})
	v.whileAtLeast(1, n, func() { term() })
	v.storePair(sums[0], sums[1], address{dst, 0})
	v.storePair(sums[2], sums[3], address{dst, 32})
	v.op("RET")
}
