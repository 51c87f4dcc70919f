package gen

import (
	"github.com/mmcloughlin/avo/operand"
)

// A sixteenBits has a kernel of float32 take rows of 16-bit floats, too: a group goes
// through a buffer, where it is widened before it is loaded, and a gradient is narrowed
// once it is computed. A pass of its own would wait for the memory while nothing is
// computed.
type sixteenBits struct {
	*vec
	kind      operand.Mem // the argument: 0 for float32, then bfloat16 and float16
	registers int         // of a group
	buffer    operand.Mem // of a group and another register
	staged    operand.Mem // AVX2: of the 16-bit floats of a group that is not whole
}

// newSixteenBits returns that of the kernel with groups of so many registers, whose buffer
// that is.
func newSixteenBits(v *vec, registers int, buffer operand.Mem) *sixteenBits {
	s := &sixteenBits{vec: v, kind: v.argument("kind"), registers: registers, buffer: buffer}
	if !v.wide() {
		s.staged = v.AllocLocal(registers * v.bytes / 2)
	}
	return s
}

// Values of kind, as package kernel has them.
const (
	bfloat16Kind = 1
	float16Kind  = 2
)

// ifSixteen jumps to the label where the rows are of 16 bits.
func (s *sixteenBits) ifSixteen(label string) {
	s.CMPQ(s.kind, operand.U8(0))
	s.JNE(operand.LabelRef(label))
}

// rows loads a pointer to rows of 16 bits in the place of one to rows of float32, and
// halves the bytes from row to row.
func (s *sixteenBits) rows(names []string, pointers []gpreg, skip ...op) {
	single := s.newLabel("single")
	s.CMPQ(s.kind, operand.U8(0))
	s.JEQ(operand.LabelRef(single))
	for i, name := range names {
		s.Load(s.Param(name), pointers[i])
	}
	for _, m := range skip {
		s.SARQ(operand.U8(1), m)
	}
	s.Label(single)
}

// widen fills the buffer with a group at mem, and leaves in to where it begins: at a line
// of the cache.
func (s *sixteenBits) widen(mem operand.Mem, to gpreg) {
	ready := s.newLabel("widened")
	s.begin(mem, to)
	s.each(func(i int, r vreg) {
		s.VPMOVZXWD(s.part(mem, i*s.bytes/2), r)
		s.VPSLLD(operand.U8(16), r, r)
	}, func(i int, r vreg) { s.VCVTPH2PS(s.part(mem, i*s.bytes/2), r) }, to, ready)
	s.Label(ready)
}

// widenFirst is widen of the first so many elements, fewer than a group, on AVX2; the
// others' places are open. count is overwritten.
func (s *sixteenBits) widenFirst(from, count, to gpreg) {
	s.copyWords(at(from, 0), s.staged, count, to)
	s.widen(s.staged, to)
}

// copyWords copies so many words, fewer than a group has: the odd ones from the end on,
// then eights. count and t are overwritten.
func (s *sixteenBits) copyWords(from, to operand.Mem, count, t gpreg) {
	words := func(m operand.Mem, n int) operand.Mem {
		m.Index, m.Scale = count, 2
		m.Disp -= 2 * n
		return m
	}
	for _, n := range []int{1, 2, 4} {
		even := s.newLabel("even")
		s.TESTQ(operand.U32(n), count)
		s.JZ(operand.LabelRef(even))
		switch f, d := words(from, n), words(to, n); n {
		case 1:
			s.MOVWLZX(f, t.As32())
			s.MOVW(t.As16(), d)
		case 2:
			s.MOVL(f, t.As32())
			s.MOVL(t.As32(), d)
		default:
			s.MOVQ(f, t)
			s.MOVQ(t, d)
		}
		s.SUBQ(operand.U8(n), count)
		s.Label(even)
	}
	eight, done := s.newLabel("eight"), s.newLabel("copied")
	s.TESTQ(count, count)
	s.JZ(operand.LabelRef(done))
	s.Label(eight)
	x := s.XMM()
	s.VMOVDQU(words(from, 8), x)
	s.VMOVDQU(x, words(to, 8))
	s.SUBQ(operand.U8(8), count)
	s.JNZ(operand.LabelRef(eight))
	s.Label(done)
}

// widenSome is widen on AVX-512 of the elements of the masks, nil for all, and fills the others' places
// with none; nil for 0.
func (s *sixteenBits) widenSome(mem operand.Mem, masks []mask, none vreg, to gpreg) {
	ready := s.newLabel("widened")
	s.begin(mem, to)
	from := func(i int) operand.Mem { return s.part(mem, i*s.bytes/2) }
	if none == nil {
		s.each(func(i int, r vreg) {
			if masks[i] == nil {
				s.VPMOVZXWD(from(i), r)
			} else {
				s.VPMOVZXWD_Z(from(i), masks[i], r)
			}
			s.VPSLLD(operand.U8(16), r, r)
		}, func(i int, r vreg) {
			if masks[i] == nil {
				s.VCVTPH2PS(from(i), r)
			} else {
				s.VCVTPH2PS_Z(from(i), masks[i], r)
			}
		}, to, ready)
	} else {
		s.each(func(i int, r vreg) {
			t := s.reg()
			s.VPMOVZXWD_Z(from(i), masks[i], t)
			s.move(none, r)
			s.VPSLLD(operand.U8(16), t, masks[i], r)
		}, func(i int, r vreg) {
			s.move(none, r)
			s.VCVTPH2PS(from(i), masks[i], r)
		}, to, ready)
	}
	s.Label(ready)
}

// begin prefetches for a later group, as many groups ahead as of float32, and sets to.
func (s *sixteenBits) begin(mem operand.Mem, to gpreg) {
	for i := 0; i < s.registers*s.bytes/2; i += 64 {
		s.PREFETCHT0(s.part(mem, i+prefetchAhead))
	}
	s.LEAQ(s.register(s.buffer, 1), to)
	s.ANDQ(operand.I32(-s.bytes), to)
}

// each emits the conversions of a group's registers and their way to the buffer.
func (s *sixteenBits) each(bfloat16, float16 func(i int, r vreg), to gpreg, ready string) {
	all := func(convert func(i int, r vreg)) func() {
		return func() {
			r := s.reg()
			for i := range s.registers {
				convert(i, r)
				s.move(r, at(to, i*s.bytes))
			}
		}
	}
	s.eitherKind(all(bfloat16), all(float16), ready)
}

// part is the memory so many bytes on.
func (s *sixteenBits) part(mem operand.Mem, disp int) operand.Mem {
	mem.Disp += disp
	return mem
}

// eitherKind emits what is done with bfloat16 and with float16, and goes to the label.
func (s *sixteenBits) eitherKind(bfloat16, float16 func(), next string) {
	half := s.newLabel("float16")
	s.CMPQ(s.kind, operand.U8(bfloat16Kind))
	s.JNE(operand.LabelRef(half))
	bfloat16()
	s.JMP(operand.LabelRef(next))
	s.Label(half)
	float16()
	s.JMP(operand.LabelRef(next))
}

// narrow writes the gradient in four registers, which it overwrites, to dst: of a group
// of so many elements or more, all; else those. A NaN of the gradient of bfloat16 comes
// from a score or is the processor's: its lower half is 0, and it goes the way of numbers.
//
//	u, l the halves of x:  u + carry of (l + 0x7fff + u&1)
func (s *sixteenBits) narrow(g []vreg, dst, left gpreg) {
	ready := s.newLabel("narrowed")
	r := []vreg{g[0], g[2]}
	s.eitherKind(func() {
		if s.wide() {
			s.narrowBFloat16(g, ready)
		} else {
			s.packBFloat16(g, ready)
		}
	}, func() {
		for i, low := range r {
			high := g[2*i+1]
			if s.wide() {
				s.VCVTPS2PH(operand.U8(0), low, low.AsY())
				s.VCVTPS2PH(operand.U8(0), high, high.AsY())
				s.VINSERTF64X4(operand.U8(1), high.AsY(), low, low)
			} else {
				s.VCVTPS2PH(operand.U8(0), low, low.AsX())
				s.VCVTPS2PH(operand.U8(0), high, high.AsX())
				s.VINSERTF128(operand.U8(1), high.AsX(), low, low)
			}
		}
	}, ready)
	s.Label(ready)
	whole, stored := s.newLabel("whole"), s.newLabel("stored")
	s.CMPQ(left, operand.U8(4*s.perReg()))
	s.JGE(operand.LabelRef(whole))
	s.storeFirst(r, dst, left)
	s.JMP(operand.LabelRef(stored))
	s.Label(whole)
	for i, x := range r {
		s.move(x, at(dst, i*s.bytes))
	}
	s.Label(stored)
}

// storeFirst stores so many words of two registers, not all.
func (s *sixteenBits) storeFirst(r []vreg, dst, left gpreg) {
	count := s.GP64()
	if !s.wide() {
		for i, x := range r {
			s.move(x, s.register(s.staged, i))
		}
		s.MOVQ(left, count)
		s.copyWords(s.staged, at(dst, 0), count, s.GP64())
		return
	}
	s.MOVQ(operand.I32(-1), count)
	s.BZHIQ(left, count, count)
	for i, x := range r {
		k := s.K()
		s.KMOVD(count.As32(), k)
		s.SHRQ(operand.U8(32), count)
		s.VMOVDQU16(x, k, at(dst, i*s.bytes))
	}
}

// packBFloat16 is narrowBFloat16 on AVX2.
func (s *sixteenBits) packBFloat16(g []vreg, ready string) {
	tie := s.newLabel("tie")
	half, least, other := s.inRegister(s.bits32(0x8000)), s.reg(), s.reg()
	for _, x := range g {
		s.VPADDD(half, x, x)
	}
	s.VPMINUW(g[0], g[1], least)
	s.VPMINUW(g[2], g[3], other)
	s.VPMINUW(least, other, least)
	s.VPSLLD(operand.U8(16), least, least)
	s.zero(other)
	s.VPCMPEQD(other, least, least)
	s.VPTEST(least, least)
	s.JNZ(operand.LabelRef(tie))
	pack := func() {
		for i := 0; i < len(g); i += 2 {
			low, high := g[i], g[i+1]
			s.VPSRLD(operand.U8(16), low, low)
			s.VPSRLD(operand.U8(16), high, high)
			s.VPACKUSDW(high, low, low)
			s.VPERMQ(operand.U8(0b11011000), low, low)
		}
	}
	pack()
	s.JMP(operand.LabelRef(ready))
	s.Label(tie)
	for _, x := range g {
		s.VPSUBD(half, x, x)
		s.VPSRLD(operand.U8(16), x, least)
		s.and(least, s.bits32(1), least)
		s.VPADDD(s.bits32(0x7fff), least, least)
		s.VPADDD(least, x, x)
	}
	pack()
}

// narrowBFloat16 leaves the bfloat16 of four registers in the first and the third. Where no
// tie is among them, whose lower half would become 0, half a last place is added.
func (s *sixteenBits) narrowBFloat16(g []vreg, ready string) {
	tie := s.newLabel("tie")
	half := s.inRegister(s.bits32(0x8000))
	odd := s.inRegister(s.oddWords())
	for _, x := range g {
		s.VPADDD(half, x, x)
	}
	least, other, k := s.reg(), s.reg(), s.K()
	s.VPMINUW(g[0], g[1], least)
	s.VPMINUW(g[2], g[3], other)
	s.VPMINUW(least, other, least)
	s.VPTESTNMD(s.lowHalves(), least, k)
	s.KORTESTW(k, k)
	s.JNE(operand.LabelRef(tie))
	for i := 0; i < len(g); i += 2 {
		s.VPERMT2W(g[i+1], odd, g[i])
	}
	s.JMP(operand.LabelRef(ready))
	s.Label(tie)
	even := s.inRegister(s.words("even_words", func(i int) int { return 2 * i }))
	one, carry := s.words("words_1", func(int) int { return 1 }), s.words("words_7ffe", func(int) int { return 0x7ffe })
	for _, x := range g {
		s.VPSUBD(half, x, x)
	}
	for i := 0; i < len(g); i += 2 {
		u, l, t := g[i], s.reg(), s.reg()
		s.move(u, l)
		s.VPERMT2W(g[i+1], odd, u)
		s.VPERMT2W(g[i+1], even, l)
		s.and(u, one, t)
		s.or(t, carry, t)
		s.VPAVGW(l, t, t)
		s.VPSRLW(operand.U8(15), t, t)
		s.VPADDW(t, u, u)
	}
}

// lowHalves are the lower words.
func (s *sixteenBits) lowHalves() operand.Mem {
	return s.words("low_words", func(i int) int { return 0xffff * (1 - i%2) })
}
