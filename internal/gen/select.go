package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// sides are the two bit arrays of a row, positive and negative classes.
type sides struct {
	*vec
	pos, neg gpreg
	step     gpreg // bytes from row to row
	bits     []op  // AVX2: a bit for each lane, those of odd registers second
	current  gpreg // AVX2, float64, in the loop of halves: where these bits are
	at       gpreg // byte offset of the group in the bits
}

// newSides loads the arguments; with one there are negatives alone.
func newSides(v *vec, one bool) *sides {
	s := &sides{vec: v, neg: v.param("neg"), step: v.param("words"), at: v.GP64()}
	if !one {
		s.pos = v.param("pos")
	}
	v.SHLQ(operand.U8(3), s.step)
	s.laneTests()
	return s
}

// nextRow moves the bits on by the argument words, and returns how many bytes that is.
func (s *sides) nextRow() gpreg {
	words := s.param("words")
	s.SHLQ(operand.U8(3), words)
	if s.pos != nil {
		s.ADDQ(words, s.pos)
	}
	s.ADDQ(words, s.neg)
	return words
}

// laneTests sets the bits of the lanes.
func (s *sides) laneTests() {
	if !s.wide() {
		s.bits = []op{s.laneBits(0)}
		if s.double() {
			s.bits = append(s.bits, s.laneBits(4))
		}
	}
}

// laneBits is the constant whose lane l holds the bit first + l.
func (v *vec) laneBits(first int) operand.Mem {
	name := "bits" + v.bits
	if first > 0 {
		name += "odd"
	}
	return v.data(name, func() {
		for l := range v.lanes {
			bit := uint64(1) << (first + l%v.perReg())
			if v.double() {
				v.AppendDatum(operand.U64(bit))
			} else {
				v.AppendDatum(operand.U32(uint32(bit)))
			}
		}
	})
}

// bothLaneBits is the bits of the lanes of a virtual vector of float64, on AVX2.
func (v *vec) bothLaneBits() operand.Mem {
	return v.data("bits64both", func() {
		for l := range 2 * v.perReg() {
			v.AppendDatum(operand.U64(1 << l))
		}
	})
}

// group computes the offset of a group's bits from that of its elements.
func (s *sides) group(off reg.Register) {
	s.MOVQ(off, s.at)
	s.SHRQ(operand.U8(3+log2(s.size)), s.at)
}

// elements computes the offset of a group's bits from the number of its first element.
func (s *sides) elements(first reg.Register) {
	s.MOVQ(first, s.at)
	s.SHRQ(operand.U8(3), s.at)
}

// half is group for a half. In a loop of both registers are numbered as those of
// the first.
func (s *sides) half(h *half, off gpreg) {
	s.current = nil
	if h.loop || h.number == 0 {
		s.group(off)
	}
	if h.loop && s.double() {
		table := s.GP64()
		s.current = s.GP64()
		s.LEAQ(s.bothLaneBits(), table)
		s.MOVQ(off, s.current)
		s.ANDQ(operand.U8(s.bytes), s.current)
		s.ADDQ(table, s.current)
	}
}

// mask returns the lanes of register i of the group whose bits in pos or neg
// are set.
func (s *sides) mask(side gpreg, i int) mask {
	return s.maskAt(operand.Mem{Base: side, Index: s.at, Scale: 1}, i)
}

// maskAt is mask for the bits of a group at mem.
func (s *sides) maskAt(mem operand.Mem, i int) mask {
	k := s.newMask()
	mem.Disp += i * s.perReg() / 8
	switch {
	case s.wide():
		s.loadMask(mem, k)
	default:
		s.VPBROADCASTB(mem, k)
		bits := s.bits[0]
		switch {
		case s.current != nil:
			bits = at(s.current, 0)
		case s.double() && i%2 == 1:
			bits = s.bits[1]
		}
		s.and(k, bits, k)
		if s.double() {
			s.VPCMPEQQ(bits, k, k)
		} else {
			s.VPCMPEQD(bits, k, k)
		}
	}
	return k
}

// loadMask loads the bits of a register's lanes, on AVX-512.
func (v *vec) loadMask(m op, k mask) {
	if v.double() {
		v.KMOVB(m, k)
	} else {
		v.KMOVW(m, k)
	}
}

// flip changes the sign of y in the lanes of k.
func (v *vec) flip(k mask, y vreg) {
	sign := v.constant(math.Copysign(0, -1))
	if v.wide() {
		v.either(v.VXORPS, v.VXORPD, sign, y, k, y)
		return
	}
	t := v.reg()
	v.and(k, sign, t)
	v.xor(y, t, y)
}
