package gen

import "github.com/mmcloughlin/avo/operand"

// placeSteps emits the steps of places (see kernel/precisions.go), eight at a time. Of a place x is
// its negatives times 2^32 plus its positives, so that one sum is of both:
//
//	for eight places in the order asked for, as long as there is room for eight steps
//		x = (all - positives)<<32 + positives
//		before = sums + x of those of the eight that come before
//		sums += x of the eight
//		store x and before where there are positives, side by side
func placeSteps(v *vec) {
	s := &placeStepper{vec: v}
	s.counts, s.before = v.param("counts"), v.param("before")
	places, first, move, eights, rising := v.param("places"), v.param("first"), v.param("move"), v.param("eights"), v.param("rising")
	room, sums := v.param("room"), v.param("sums")
	done, order := v.GP64(), v.XMM()
	loop, end := v.newLabel("eight"), v.newLabel("end")
	orders := v.GP64()
	v.LEAQ(v.data("places", func() {
		for _, turn := range []int{7, 0} { // falling, rising
			for i := range 8 {
				v.AppendDatum(operand.U16(0x0100 + 0x0202*(i^turn)))
			}
		}
	}), orders)
	v.ADDQ(places, first)
	v.SHLQ(operand.U8(4), rising)
	v.VMOVDQU(operand.Mem{Base: orders, Index: rising, Scale: 1}, order)
	s.begin(sums)
	v.MOVQ(operand.U32(0), done)
	v.Label(loop)
	eight := v.XMM()
	v.VMOVDQU(at(first, 0), eight)
	v.VPSHUFB(order, eight, eight)
	for i := range v.regs() {
		if i > 0 {
			v.VPSRLDQ(operand.U8(8), eight, eight)
		}
		s.step(eight)
	}
	v.ADDQ(move, first)
	v.ADDQ(operand.U8(8), done)
	v.CMPQ(s.n, room)
	v.JG(operand.LabelRef(end))
	v.DECQ(eights)
	v.JNZ(operand.LabelRef(loop))
	v.Label(end)
	v.Store(done, v.ReturnIndex(0))
	v.Store(s.n, v.ReturnIndex(1))
	v.VMOVQ(s.sums.AsX(), sums)
	v.Store(sums, v.ReturnIndex(2))
	v.VZEROUPPER()
	v.RET()
}

// A placeStepper makes the steps of a register of places.
type placeStepper struct {
	*vec
	counts, before gpreg
	n              gpreg // steps
	sums           vreg  // in every lane those of all places before
	zero, byte     vreg  // 0 and 2^8 - 1
	last           vreg  // on AVX-512 the number of the last lane
	kept           gpreg // on AVX2 the lanes that are kept, side by side, for every mask
}

// begin sets the constants, no steps, and the sums.
func (s *placeStepper) begin(sums gpreg) {
	s.n, s.sums, s.zero = s.GP64(), s.reg(), s.reg()
	s.MOVQ(operand.U32(0), s.n)
	s.VMOVQ(sums, s.sums.AsX())
	s.VPBROADCASTQ(s.sums.AsX(), s.sums)
	s.vec.zero(s.zero)
	number := func(x uint64, name string) vreg {
		r := s.reg()
		s.VPBROADCASTQ(s.data(name, func() { s.AppendDatum(operand.U64(x)) }), r)
		return r
	}
	s.byte = number(1<<8-1, "byte")
	if s.wide() {
		s.last = number(7, "seven")
		return
	}
	s.kept = s.GP64()
	s.LEAQ(s.data("kept", func() {
		for mask := range 16 {
			left := 4
			for lane := range 4 {
				if mask>>lane&1 != 0 {
					s.AppendDatum(operand.U32(2 * lane))
					s.AppendDatum(operand.U32(2*lane + 1))
					left--
				}
			}
			for range left {
				s.AppendDatum(operand.U64(0))
			}
		}
	}), s.kept)
}

// step makes the steps of the first places of eight.
func (s *placeStepper) step(eight vreg) {
	pos, x, upTo, t := s.reg(), s.reg(), s.reg(), s.reg()
	s.VPMOVZXWQ(eight, x)
	s.and(x, s.byte, pos)
	s.VPSRLQ(operand.U8(8), x, x)
	s.VPSUBQ(pos, x, x)
	s.VPSLLQ(operand.U8(32), x, x)
	s.or(x, pos, x)
	s.upTo(x, upTo)
	before := s.reg()
	s.VPSUBQ(x, upTo, before)
	s.VPADDQ(s.sums, before, before)
	some := s.GP64()
	if s.wide() {
		k := s.K()
		s.VPERMQ(upTo, s.last, t)
		s.VPTESTMQ(pos, pos, k)
		s.KMOVB(k, some.As32())
		s.VPCOMPRESSQ_Z(x, k, x)
		s.VPCOMPRESSQ_Z(before, k, before)
	} else {
		s.VPERMQ(operand.U8(0xff), upTo, t)
		s.VPCMPGTQ(s.zero, pos, pos)
		s.VMOVMSKPD(pos, some.As32())
		kept := s.GP64()
		s.MOVQ(some, kept)
		s.SHLQ(operand.U8(5), kept)
		order := s.reg()
		s.VMOVDQU(operand.Mem{Base: s.kept, Index: kept, Scale: 1}, order)
		s.VPERMPS(x, order, x)
		s.VPERMPS(before, order, before)
	}
	s.VPADDQ(t, s.sums, s.sums)
	s.move(x, operand.Mem{Base: s.counts, Index: s.n, Scale: 8})
	s.move(before, operand.Mem{Base: s.before, Index: s.n, Scale: 8})
	s.POPCNTQ(some, some)
	s.ADDQ(some, s.n)
}

// upTo is d = the sums of the lanes up to each.
func (s *placeStepper) upTo(x, d vreg) {
	t := s.reg()
	if s.wide() {
		from := x
		for _, lanes := range []int{1, 2, 4} {
			s.VALIGNQ(operand.U8(8-lanes), s.zero, from, t)
			s.VPADDQ(t, from, d)
			from = d
		}
		return
	}
	s.VPSLLDQ(operand.U8(8), x, t)
	s.VPADDQ(t, x, d)
	s.VPERMQ(operand.U8(0x55), d, t)
	s.VBLENDPD(operand.U8(0xc), t, s.zero, t)
	s.VPADDQ(t, d, d)
}
