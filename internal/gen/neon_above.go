package gen

// neonAbove emits the comparison of scores with thresholds, to bits.
//
// Lanes of ones and zeros are narrowed to bytes; with byte j of 8 reduced to
// bit j, the sum of 8 neighbours is the byte of their bits.
func neonAbove(v *neonVec) {
	bits, x, t, words := v.param("dst"), v.param("x"), v.param("t"), v.param("words")
	v.loadConstants()
	const weight = 0x8040201008040201
	weights := v.inRegister(address{v.table, v.entry(v.elem, v.set, [4]uint64{weight, weight, weight, weight})})
	numbers := v.reg() // ones in the lanes that had no NaN
	v.op("VCMEQ", numbers.b16(), numbers.b16(), numbers.b16())
	loop := v.newLabel("word")

	v.label(loop)
	var sums []*vecReg
	for i := range 4 {
		m := v.aboveBytes(x, t, 16*i, 16, numbers)
		v.and(m, weights, m)
		sums = append(sums, m)
	}
	for len(sums) > 1 {
		var next []*vecReg
		for i := 0; i < len(sums); i += 2 {
			v.op("VADDP", sums[i+1].b16(), sums[i].b16(), sums[i].b16())
			v.free(sums[i+1])
			next = append(next, sums[i])
		}
		sums = next
	}
	v.op("VADDP", sums[0].b16(), sums[0].b16(), sums[0].b16())
	v.op("FMOVD.P", sums[0], address{bits, 8})
	v.op("ADD", imm(64*v.elem.size), x)
	v.op("ADD", imm(64*v.elem.size), t)
	v.op("SUBS", imm(1), words)
	v.op("BNE", loop)

	v.report(numbers, true)
	v.op("RET")
}

// aboveBytes returns x[j] > t[j] of n elements from element at on, each as
// many bytes of ones or zeros as make a register.
func (v *neonVec) aboveBytes(x, t genReg, at, n int, numbers *vecReg) *vecReg {
	if n*v.elem.size == 16 {
		s, threshold, number := v.reg(), v.reg(), v.reg()
		v.load(address{x, at * v.elem.size}, s)
		v.load(address{t, at * v.elem.size}, threshold)
		v.atLeast(s, s, number)
		v.and(number, numbers, numbers)
		v.above(s, threshold, s)
		v.free(threshold, number)
		return s
	}
	low := v.aboveBytes(x, t, at, n/2, numbers)
	high := v.aboveBytes(x, t, at+n/2, n/2, numbers)
	form := map[int]string{4: "S4", 8: "H8", 16: "B16"}[n]
	v.op("VUZP1", high.as(form), low.as(form), low.as(form))
	v.free(high)
	return low
}
