package gen

import (
	"github.com/mmcloughlin/avo/operand"
)

// A rowSums brings the lanes of rows down to their sums, many rows at a time:
// the lanes of every row are kept on the stack; once there are as many rows as
// a register has float64 lanes, their trees are evaluated side by side,
//
//	(l, l+4), (l, l+2), (l, l+1),
//
// a row in each lane of the result.
type rowSums struct {
	*vec
	sides int
	place []operand.Mem // of each quantity of each side: slots rows
	slot  gpreg         // offset of the row's place
	tree  string        // label of write
}

// slots is the number of rows that are brought down at a time.
func (s *rowSums) slots() int { return s.bytes / 8 }

// newRowSums returns the sums of so many sides.
func newRowSums(v *vec, sides int) *rowSums {
	s := &rowSums{vec: v, sides: sides, slot: v.GP64(), tree: v.newLabel("sums")}
	n := sides
	if v.double() {
		n *= 2
	}
	for range n {
		s.place = append(s.place, v.AllocLocal(s.slots()*v.bytes))
	}
	v.AllocLocal(v.bytes) // behind them, for begin
	return s
}

// begin sets the first row's place, which begins with a register's alignment: the stack has
// any, and a store across two lines of the cache takes as long as two.
func (s *rowSums) begin() {
	s.LEAQ(s.place[0], s.slot)
	s.NEGQ(s.slot)
	s.ANDQ(operand.I32(s.bytes-1), s.slot)
}

// put stores the lanes of a side of a row, row rows after the current place.
func (s *rowSums) put(side, row int, quantities [][]vreg) {
	for j, q := range s.fold(quantities) {
		m := s.at(side, j, s.slot)
		m.Disp += row * s.bytes
		s.VMOVUPD(q, m)
	}
}

// next moves on after the lanes of so many rows, and counts rows down. Where the
// rows are at their end it goes to the tree; else it compares, and the tree's
// turn is where that gives no less.
func (s *rowSums) next(count int, rows op) {
	s.ADDQ(operand.I32(count*s.bytes), s.slot)
	s.SUBQ(operand.U8(count), rows)
	s.JZ(operand.LabelRef(s.tree))
	s.CMPQ(s.slot, operand.I32(s.slots()*s.bytes))
}

// write emits the tree: it writes the sums of side i, of slots rows, to the
// argument out[i], a pointer, and moves that on; those of float64 with two
// pointers a side stay two numbers. Where the sum of one of two sides is
// NaN, both are.
func (s *rowSums) write(out ...operand.Mem) {
	s.Label(s.tree)
	p := s.slot // which has no other use after the trees
	for i := range s.sides {
		s.begin()
		r := s.rowTree(func(row int) []vreg { return s.row(i, row) }, s.joinSums, s.joinSums)
		if each := len(out) / s.sides; len(r) > each {
			s.VADDPD(r[1], r[0], r[0])
			r = r[:1]
		}
		if s.sides == 2 && i == 1 {
			s.spreadNaN(out[0], r[0])
		}
		for j, x := range r {
			m := out[i*len(r)+j]
			s.MOVQ(m, p)
			s.VMOVUPD(x, at(p, 0))
			s.ADDQ(operand.I32(s.bytes), m)
		}
	}
	s.begin()
}

// spreadNaN makes both of two sides' sums NaN where one is: those of the first are
// written.
func (s *rowSums) spreadNaN(out operand.Mem, second vreg) {
	first, either, place := s.reg(), s.newMask(), at(s.slot, -s.bytes)
	s.MOVQ(out, s.slot)
	s.VMOVUPD(place, first)
	s.VCMPPD(operand.U8(unordered), second, first, either)
	for _, r := range []vreg{first, second} {
		if s.wide() {
			s.VADDPD(second, first, either, r)
		} else {
			s.VORPD(r, either, r)
		}
	}
	s.VMOVUPD(first, place)
}

// quantities is the number of quantities of a side.
func (s *rowSums) quantities() int { return len(s.place) / s.sides }

// at is the place of quantity j of side i, of the row at offset slot.
func (s *rowSums) at(i, j int, slot gpreg) operand.Mem {
	m := s.place[i*s.quantities()+j]
	m.Index, m.Scale = slot, 1
	return m
}

// fold brings the lanes of each quantity to one register: on AVX2 by lanes
// (l, l+4).
func (s *rowSums) fold(quantities [][]vreg) []vreg {
	a, b := make([]vreg, len(quantities)), make([]vreg, len(quantities))
	for i, q := range quantities {
		a[i] = q[0]
		if !s.wide() {
			b[i] = q[1]
		}
	}
	if !s.wide() {
		s.joinSums(a, b)
	}
	return a
}

// row loads the quantities of a row of side i.
func (s *rowSums) row(i, row int) (r []vreg) {
	for j := range s.quantities() {
		m := s.at(i, j, s.slot)
		m.Disp += row * s.bytes
		r = append(r, s.inRegister64(m))
	}
	return r
}

func (s *rowSums) inRegister64(m operand.Mem) vreg {
	r := s.reg()
	s.VMOVUPD(m, r)
	return r
}

// rowPlace is the place of a row, row rows after base, at disp; it may overwrite
// free.
func (v *vec) rowPlace(base, stride gpreg, row, disp int, free gpreg) operand.Mem {
	m := operand.Mem{Base: base, Disp: disp}
	switch row {
	case 1, 2:
		m.Index, m.Scale = stride, uint8(row)
	case 3:
		v.LEAQ(operand.Mem{Base: base, Index: stride, Scale: 2}, free)
		m.Base, m.Index, m.Scale = free, stride, 1
	}
	return m
}
