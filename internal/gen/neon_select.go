package gen

import (
	"fmt"
	"math"
)

// neonLossKernels emits the arm64 form of lossKernels.
func neonLossKernels(f *neonFile) {
	for _, e := range elems {
		v := newNeonVec(f, e)
		neonSelectSums(v)
		neonSelectGrad(v)
	}
}

// A neonSide is one of the two bit arrays of a row.
type neonSide struct {
	*neonVec
	base genReg // of the row
	at   genReg // of the bits to load next
	step genReg // bytes from row to row
	// The bits of a group, up to 32 of them in each register, repeated so that
	// every lane has them.
	words []*vecReg
}

// newNeonSides loads the arguments of both sides; n registers each hold bits.
func newNeonSides(v *neonVec, n int) (pos, neg *neonSide) {
	step := v.param("words")
	v.op("LSL", imm(3), step)
	side := func(name string) *neonSide {
		return &neonSide{neonVec: v, base: v.param(name), at: v.gp(), step: step, words: v.regs(n)}
	}
	return side("pos"), side("neg")
}

// begin goes to the row's first bits.
func (s *neonSide) begin() { s.op("MOVD", s.base, s.at) }

// next moves to the next row.
func (s *neonSide) next() { s.op("ADD", s.step, s.base) }

// load fills the registers with the next elements' bits, bytes of them each.
func (s *neonSide) load(bytes int) {
	form := map[int]string{2: "H8", 4: "S4"}[bytes]
	for _, w := range s.words {
		s.op("VLD1R.P", address{s.at, bytes}, "["+w.as(form).String()+"]")
	}
}

// laneTest returns a register whose lanes hold the bits that stand for the lanes
// of register number i of a group.
func (v *neonVec) laneTest(i int) *vecReg {
	lanes := 16 / v.size
	i %= 32 / lanes
	// Two registers are an entry of the table.
	first := lanes * (i &^ 1)
	var entry [4]uint64
	for j := range entry {
		if v.double() {
			entry[j] = 1 << (first + j)
		} else {
			entry[j] = 1<<(first+2*j) | 2<<(first+2*j)<<32
		}
	}
	return v.inRegister(address{v.table, v.entry(v.elem, entry) + 16*(i&1)})
}

// selected is d = all ones in the lanes of register number i of the group whose
// bits are set; test is its laneTest.
func (s *neonSide) selected(i int, test, d *vecReg) {
	word := s.words[16*i/s.size/32]
	s.op("VCMTST", s.lanes(test), s.lanes(word), s.lanes(d))
}

// flip changes the sign of y in the lanes of k, which it overwrites.
func (v *neonVec) flip(k, y *vecReg) {
	v.op("VSHL", imm(8*v.size-1), v.lanes(k), v.lanes(k))
	v.xor(y, k, y)
}

// choose is k = a in the lanes of k, b elsewhere.
func (v *neonVec) choose(k, a, b *vecReg) { v.op("VBSL", b.b16(), a.b16(), k.b16()) }

// neonSelectSums emits the sums of e^x over the negative and of e^-x over the
// positive classes, in the order that selectSums describes. Four registers go
// through the exponential together; the accumulators lie on the stack.
func neonSelectSums(v *neonVec) {
	const (
		bytes = 256 // of a group
		// The stack: the rest of a row, then the accumulators.
		stack = bytes + 2*2*64
	)
	v.loaded = false
	v.function("selectSums"+v.bits+"NEON",
		"a, b *float64, x *"+v.goType+", stride, rows, n int, pos, neg *uint64, words int", stack,
		"writes for every row i the sum of e^y, y clamped to the range of pivot 0, to a[i] over the elements",
		"of neg, y = x[i·stride+j], and to b[i] over those of pos, y = -x. Bits beyond n are 0.",
	)
	a, b := v.param("a"), v.param("b")
	base, stride := v.param("x"), v.stride("stride")
	rows, n := v.param("rows"), v.param("n")
	v.loadConstants()
	bits := bytes / v.size // of a group
	pos, neg := newNeonSides(v, max(1, bits/32))
	magic, low, high := v.naturalRange()
	e := newNeonExponential(v, magic)
	x, groups, left, rest, buffer := v.gp(), v.gp(), v.gp(), v.gp(), v.gp()
	v.op("LSR", imm(log2(bits)), n, groups)
	v.op("LSL", imm(log2(v.size)), n, rest)
	v.op("AND", imm(bytes-1), rest)
	v.op("MOVD", fmt.Sprintf("$rest-%d(SP)", stack), buffer)
	negative := &neonSelected{neonVec: v, stack: address{buffer, bytes}}
	positive := &neonSelected{neonVec: v, stack: address{buffer, bytes + 128}}

	// terms adds the first vectors of the group at from.
	terms := func(from genReg, vectors int) {
		pos.load(4)
		neg.load(4)
		// The registers of the same lanes of all vectors together.
		parts := []int{0, 2, 1, 3} // of a virtual vector
		for step := neonRegs / vectors; len(parts) > 0; parts = parts[step:] {
			var y []*vecReg
			var number []int
			for _, h := range parts[:step] {
				for k := range vectors {
					number = append(number, k*neonRegs+h)
				}
			}
			for _, i := range number {
				r, k, test := v.inRegister(address{from, 16 * i}), v.reg(), v.laneTest(i)
				pos.selected(i, test, k)
				v.flip(k, r)
				v.max(low, r, r)
				v.min(high, r, r)
				v.free(k, test)
				y = append(y, r)
			}
			w, s := e.evaluate(y)
			for i := range w {
				v.mul(w[i], s[i], w[i])
			}
			v.free(s...)
			for i, h := range parts[:step] {
				from, to := i*vectors, (i+1)*vectors
				negative.lanes(h, v.sumOf(neg, number[from:to], w[from:to]))
				positive.lanes(h, v.sumOf(pos, number[from:to], w[from:to]))
			}
			v.free(w...)
		}
	}

	row, group, last := v.newLabel("row"), v.newLabel("group"), v.newLabel("last")
	partial, done := v.newLabel("rest"), v.newLabel("done")
	v.op("CBZ", rows, last)
	v.label(row)
	negative.clear()
	positive.clear()
	pos.begin()
	neg.begin()
	v.op("MOVD", base, x)
	v.op("CBZ", groups, partial)
	v.op("MOVD", groups, left)
	v.label(group)
	terms(x, 4)
	v.op("ADD", imm(bytes), x)
	v.op("SUB", imm(1), left)
	v.op("CBNZ", left, group)
	v.label(partial)
	v.op("CBZ", rest, done)
	v.copyRest(rest, 128, address{x, 0}, address{buffer, 0})
	for _, vectors := range []int{1, 2} {
		more := v.newLabel("more")
		v.op("CMP", imm(64*vectors), rest)
		v.op("BHI", more)
		terms(buffer, vectors)
		v.op("B", done)
		v.label(more)
	}
	terms(buffer, 4)
	v.label(done)
	negative.store(a)
	positive.store(b)
	v.op("ADD", stride, base)
	pos.next()
	neg.next()
	v.op("SUB", imm(1), rows)
	v.op("CBNZ", rows, row)
	v.label(last)
	v.op("RET")
}

// sumOf returns the sum of the terms w of one side, the registers of those
// numbers: (w0+w1) + (w2+w3), or of fewer.
func (v *neonVec) sumOf(s *neonSide, number []int, w []*vecReg) *vecReg {
	var halves []*vecReg
	for i, r := range w {
		k, test := v.reg(), v.laneTest(number[i])
		s.selected(number[i], test, k)
		v.and(r, k, k)
		v.free(test)
		if i%2 == 0 {
			halves = append(halves, k)
			continue
		}
		v.add(halves[i/2], k, halves[i/2])
		v.free(k)
	}
	if len(halves) == 2 {
		v.add(halves[0], halves[1], halves[0])
		v.free(halves[1])
	}
	return halves[0]
}

// naturalRange returns the magic number of pivot 0 and the limits to which
// scores are clamped for it.
func (v *neonVec) naturalRange() (magic, low, high *vecReg) {
	// As the root package computes them.
	scale, most, least, bias := math.Ln2, 126.9, -125.9, 0x1.8p23+127
	if v.double() {
		most, least, bias = 1022.9, -1021.9, 0x1.8p52+1023
	}
	place := func(x float64) *vecReg { return v.inRegister(v.constant(x)) }
	return place(bias), place(least * scale), place(most * scale)
}

// A neonSelected accumulates the terms of one side of a row in 8 float64 lanes
// on the stack: for float32 their sums, for float64 of each register of a
// virtual vector the sums and the errors.
type neonSelected struct {
	*neonVec
	stack address
	low   *vecReg // float32: the group's sum of lanes l, then also of lanes l+8
}

func (a *neonSelected) clear() {
	zero := a.cleared(1)[0]
	for i := 0; i < a.registers(); i += 2 {
		a.storePair(zero, zero, a.stack.offset(16*i))
	}
	a.free(zero)
}

// registers is the number of registers on the stack.
func (a *neonSelected) registers() int {
	if a.double() {
		return 2 * neonRegs
	}
	return neonRegs
}

// lanes adds the group's sum of the lanes of register h of a virtual vector,
// and frees it. For float32 h = 0, 2, 1, 3 in order.
func (a *neonSelected) lanes(h int, sum *vecReg) {
	switch {
	case a.double():
		place := a.stack.offset(32 * h)
		r := a.regs(2)
		a.loadPair(place, r[0], r[1])
		(&neonAccumulator{neonVec: a.neonVec}).twoSum(r[0], r[1], sum)
		a.storePair(r[0], r[1], place)
		a.free(append(r, sum)...)
	case h < 2:
		a.low = sum
	default:
		place := a.stack.offset(32 * (h - 2))
		a.add(a.low, sum, sum)
		low, high := a.widen(sum)
		r := a.regs(2)
		a.loadPair(place, r[0], r[1])
		a.VFADD(low.d2(), r[0].d2(), r[0].d2())
		a.VFADD(high.d2(), r[1].d2(), r[1].d2())
		a.storePair(r[0], r[1], place)
		a.free(append(r, low, high, sum, a.low)...)
	}
}

// store combines the lanes and writes the row's sum.
func (a *neonSelected) store(out genReg) {
	a.scope(func() {
		r := a.regs(a.registers())
		for i := 0; i < len(r); i += 2 {
			a.loadPair(a.stack.offset(16*i), r[i], r[i+1])
		}
		if !a.double() {
			r = a.eight([][]*vecReg{r}, func(x, y []*vecReg) { a.VFADD(y[0].d2(), x[0].d2(), x[0].d2()) })
		} else {
			var sum, err []*vecReg
			for i := 0; i < len(r); i += 2 {
				sum, err = append(sum, r[i]), append(err, r[i+1])
			}
			r = a.eight([][]*vecReg{sum, err}, func(x, y []*vecReg) {
				a.add(x[1], y[1], x[1])
				(&neonAccumulator{neonVec: a.neonVec}).twoSum(x[0], x[1], y[0])
			})
			a.add(r[0], r[1], r[0])
		}
		a.op("FMOVD.P", r[0], address{out, 8})
	})
}

// neonSelectGrad emits the gradient of the losses made of selectSums.
func neonSelectGrad(v *neonVec) {
	v.kernel("selectGrad", "dst *"+v.goType+", dstStride int, x *"+v.goType+", stride, rows, n int, pos, neg *uint64, words int, p *[6]"+v.goType,
		"writes to dst[i·dstStride+j], with {magic of c, low, factor} = p[i][:3] for the classes of neg, y = x,",
		"and p[i][3:] for those of pos, y = -x: e^y·2^-c·factor, or 0 where y < low, and 0 for other classes.",
	)
	dst := v.output("dst", "dstStride")
	x := v.input("x", "stride")
	pos, neg := newNeonSides(v, 1)
	p := v.param("p")
	l := newNeonRowLoop(v, dst, x)
	params := v.regs(6)
	e := newNeonExponential(v, nil)

	l.run(func() {
		v.broadcasts(p, params...)
		pos.begin()
		neg.begin()
	}, func(pairs []pair) {
		all := terms(pairs)
		if all[0].reg == 0 {
			pos.load(16 / v.size)
			neg.load(16 / v.size)
		}
		y := v.loadTerms(x, pairs)
		var magic, keep []*vecReg
		for i, t := range all {
			m, low, k, test := v.reg(), v.reg(), v.reg(), v.laneTest(t.reg)
			v.comment("y = ±x, and the parameters of its side")
			pos.selected(t.reg, test, m)
			v.copy(m, low)
			v.copy(m, k)
			v.choose(m, params[3], params[0])
			v.choose(low, params[4], params[1])
			neg.selected(t.reg, test, test)
			v.or(test, k, test)
			v.flip(k, y[i])
			v.comment("the lanes that are kept: y ≥ low, on one of the sides")
			v.atLeast(y[i], low, k)
			v.and(k, test, k)
			magic, keep = append(magic, m), append(keep, k)
			v.free(low, test)
		}
		w, s := e.evaluateWith(y, magic)
		v.comment("p·s·factor where kept")
		for i := range w {
			v.mul(w[i], s[i], w[i])
		}
		v.free(s...)
		for i, t := range all {
			factor, test := v.reg(), v.laneTest(t.reg)
			pos.selected(t.reg, test, factor)
			v.choose(factor, params[5], params[2])
			v.mul(w[i], factor, w[i])
			v.and(w[i], keep[i], w[i])
			v.free(factor, test)
		}
		v.storeTerms(dst, pairs, w)
	}, func() {
		pos.next()
		neg.next()
		v.op("ADD", imm(6*v.size), p)
	})
}
