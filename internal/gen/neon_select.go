package gen

// neonLossKernels emits the arm64 form of lossKernels.
func neonLossKernels(f *neonFile) {
	neonPackBytes(newNeonVec(f, float32s))
	for _, e := range elems {
		v := newNeonVec(f, e)
		neonSelectSums(v, false)
		neonSelectSums(v, true)
		neonSelectScale(v)
		neonFinishSums(v)
		neonAccumulate(v)
		if v.double() {
			neonAddParts(v)
		}
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
	return v.inRegister(address{v.table, v.entry(v.elem, v.set, entry) + 16*(i&1)})
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
