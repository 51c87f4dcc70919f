package gen

import "github.com/mmcloughlin/avo/operand"

// A softRows goes through the groups of all rows of scores and labels one group ahead of what
// is evaluated, as a rowsAhead does: that may be of the next row. A rest of a row comes from
// one of two buffers, as a whole group.
type softRows struct {
	*vec
	group      int           // elements of a group
	this, next [2]gpreg      // the scores and labels of a group
	from       []operand.Mem // what follows the next group of its row
	left       gpreg         // elements of the row, those of this group included
	toLoad     operand.Mem   // elements of its row that follow the next group
	rowsToLoad operand.Mem   // rows with its own
	skip       []operand.Mem // bytes from a row's last group to the next row: of both, and of what is written
	buffers    operand.Mem
	filled     operand.Mem // offset of the buffer that was filled last
	fill       op          // what follows the scores of a rest
	begin      func()      // when the next group is the first of a row
	aside      []func()    // what lies behind the loop
}

// newSoftRows returns the walk before the first group, of rows that are written with such a
// stride.
func newSoftRows(v *vec, written string) *softRows {
	s := &softRows{vec: v, group: 4 * v.lanes, left: v.GP64(), buffers: v.AllocLocal(1024)}
	for i := range s.this {
		s.this[i], s.next[i] = v.GP64(), v.GP64()
	}
	length, zero, rows := v.param("n"), v.GP64(), v.param("rows")
	v.XORQ(zero, zero)
	s.toLoad, s.filled = v.slot(zero), v.slot(zero)
	v.INCQ(rows)
	s.rowsToLoad = v.slot(rows)
	v.ADDQ(operand.U8(s.group-1), length)
	v.ANDQ(operand.I32(-s.group), length)
	v.SHLQ(operand.U8(log2(v.size)), length)
	for i, name := range []string{"stride", "tStride", written} {
		step := v.stride(name)
		v.SUBQ(length, step)
		s.skip = append(s.skip, v.slot(step))
		if i < len(s.this) {
			base := v.param([]string{"x", "t"}[i])
			v.SUBQ(step, base)
			s.from = append(s.from, v.slot(base))
		}
	}
	return s
}

// prepare goes on to the next group; after the last one that stays.
func (s *softRows) prepare() {
	same, none := s.newLabel("same"), s.newLabel("none")
	rest, ready := s.newLabel("rest"), s.newLabel("ready")
	r := s.GP64()
	s.CMPQ(s.toLoad, operand.U8(0))
	s.JG(operand.LabelRef(same))
	s.DECQ(s.rowsToLoad)
	s.JLE(operand.LabelRef(none))
	for i, m := range s.from {
		s.MOVQ(s.skip[i], r)
		s.ADDQ(r, m)
	}
	s.MOVQ(s.argument("n"), r)
	s.MOVQ(r, s.toLoad)
	s.begin()
	s.Label(same)
	for i, m := range s.from {
		s.MOVQ(m, s.next[i])
	}
	s.CMPQ(s.toLoad, operand.U8(s.group))
	s.JL(operand.LabelRef(rest))
	s.Label(ready)
	for _, m := range s.from {
		s.ADDQ(operand.I32(256), m)
	}
	s.SUBQ(operand.U8(s.group), s.toLoad)
	s.Label(none)
	s.aside = append(s.aside, func() {
		s.Label(rest)
		s.readRest()
		s.JMP(operand.LabelRef(ready))
	})
}

// readRest reads the rest of a row into the other buffer.
func (s *softRows) readRest() {
	buffer, count := s.GP64(), s.GP64()
	s.MOVQ(s.toLoad, count)
	masks := s.tailMasks(count, 256/s.bytes)
	s.MOVQ(s.filled, buffer)
	s.XORQ(operand.I32(512), buffer)
	s.MOVQ(buffer, s.filled)
	place := s.buffers
	place.Index, place.Scale = buffer, 1
	s.LEAQ(place, buffer)
	for i, base := range s.next {
		for k, m := range masks {
			r := s.reg()
			if i == 0 {
				s.loadOver(m, at(base, k*s.bytes), s.fill, r)
			} else {
				s.load(m, at(base, k*s.bytes), r)
			}
			s.move(r, at(buffer, i*256+k*s.bytes))
		}
	}
	s.MOVQ(buffer, s.next[0])
	s.LEAQ(at(buffer, 256), s.next[1])
}

// goOn makes the next group this one.
func (s *softRows) goOn() {
	for i, r := range s.next {
		s.MOVQ(r, s.this[i])
	}
}

// write writes, unless the argument is nil, the registers of this group from number on, every
// step-th, to base, those of a rest that exist.
func (s *softRows) write(argument string, base gpreg, number, step int, registers []vreg) {
	done, rest := s.newLabel("written"), s.newLabel("some")
	s.CMPQ(s.argument(argument), operand.U8(0))
	s.JEQ(operand.LabelRef(done))
	s.CMPQ(s.left, operand.U8(s.group))
	s.JL(operand.LabelRef(rest))
	place := func(i int) operand.Mem { return at(base, (i*step+number)*s.bytes) }
	for i, r := range registers {
		s.move(r, place(i))
	}
	s.Label(done)
	s.aside = append(s.aside, func() {
		s.Label(rest)
		count := s.GP64()
		s.MOVQ(s.left, count)
		masks := s.tailMasks(count, 256/s.bytes)
		for i, r := range registers {
			s.store(masks[i*step+number], r, place(i))
		}
		s.JMP(operand.LabelRef(done))
	})
}
