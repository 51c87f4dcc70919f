package gen

// A neonSide is one of the two bit arrays of a row.
type neonSide struct {
	*neonVec
	base genReg // of the row
	at   genReg // of the bits to load next
	// The bits of a group, up to 32 of them in each register, repeated so that
	// every lane has them.
	words []*vecReg
}

// newSide loads the argument of that name; n registers hold the bits of a group.
func (v *neonVec) newSide(name string, n int) *neonSide {
	return &neonSide{neonVec: v, base: v.param(name), at: v.gp(), words: v.regs(n)}
}

// load fills the registers with the next elements' bits, bytes of them each.
func (s *neonSide) load(bytes int) {
	form := map[int]string{1: "B16", 2: "H8", 4: "S4"}[bytes]
	for _, w := range s.words {
		s.op("VLD1R.P", address{s.at, bytes}, "["+w.as(form).String()+"]")
	}
}

// loadTests brings the address of the lanes' tests into a register: for each
// register of a group, up to 32 elements, the bits that stand for its lanes.
func (v *neonVec) loadTests() {
	const set = "lane"
	for i := 0; i < 32; i += 32 / v.size {
		var entry [4]uint64
		for j := range entry {
			if v.double() {
				entry[j] = 1 << (i + j)
			} else {
				entry[j] = 1<<(i+2*j) | 2<<(i+2*j)<<32
			}
		}
		v.entry(v.elem, set, entry)
	}
	v.tests = v.gp()
	v.op("MOVD", "$"+(&neonTable{elem: v.elem, set: set}).symbol()+"(SB)", v.tests)
}

// laneTest returns a register whose lanes hold the bits that stand for the lanes
// of register number i of a group.
func (v *neonVec) laneTest(i int) *vecReg {
	return v.inRegister(address{v.tests, 16 * (i % (2 * v.size))})
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
