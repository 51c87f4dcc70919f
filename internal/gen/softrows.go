package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
)

// A softRows goes through the groups of all rows of scores and labels one group ahead of what
// is evaluated, as a rowsAhead does: that may be of the next row. A rest of a row comes from
// one of two buffers, as a whole group. Beside a row's groups those of the row after it are
// read for its highest score, which has to be known before the first of them is evaluated.
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
	entered    operand.Mem // whether the first group is this one
	rest       string      // label of what reads a rest
	ready      []string    // where that goes on: before the first group, and later
	fill       op          // what follows the scores of a rest
	begin      func()      // when the next group is the first of a row, whose highest scores are taken
	aside      []func()    // what lies behind the loop

	over    gpreg       // what follows in the row of which highest is taken
	overRow operand.Mem // that row: that after the next group's, or the last
	highest op          // scores of it, by lanes
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
	s.toLoad, s.filled, s.entered = v.slot(zero), v.slot(zero), v.slot(zero)
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
			if i == 0 {
				s.over, s.overRow, s.highest = v.GP64(), v.slot(base), v.place()
				v.MOVQ(base, s.over)
			}
			v.SUBQ(step, base)
			s.from = append(s.from, v.slot(base))
		}
	}
	return s
}

// prepare goes on to the next group; after the last one that stays.
func (s *softRows) prepare() {
	same, none := s.newLabel("same"), s.newLabel("none")
	ready := s.newLabel("ready")
	if s.ready = append(s.ready, ready); len(s.ready) == 1 {
		s.rest = s.newLabel("rest")
	}
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
	s.nextOver()
	s.Label(same)
	for i, m := range s.from {
		s.MOVQ(m, s.next[i])
	}
	s.CMPQ(s.toLoad, operand.U8(s.group))
	s.JL(operand.LabelRef(s.rest))
	s.Label(ready)
	for _, m := range s.from {
		s.ADDQ(operand.I32(256), m)
	}
	s.SUBQ(operand.U8(s.group), s.toLoad)
	s.Label(none)
	if len(s.ready) > 1 {
		return
	}
	s.aside = append(s.aside, func() {
		s.Label(s.rest)
		s.readRest()
		s.CMPQ(s.entered, operand.U8(0))
		s.JE(operand.LabelRef(s.ready[0]))
		s.JMP(operand.LabelRef(s.ready[1]))
	})
}

// enter goes to the first group, of the row of which highest is set.
func (s *softRows) enter() {
	s.prepare()
	s.MOVQ(operand.U32(1), s.entered)
}

// nextOver goes on to the row after the next group's, whose highest scores are done with.
func (s *softRows) nextOver() {
	s.move(s.inRegister(s.constant(math.Inf(-1))), s.highest)
	only := s.newLabel("only")
	s.CMPQ(s.rowsToLoad, operand.U8(1))
	s.JLE(operand.LabelRef(only))
	step := s.stride("stride")
	s.ADDQ(step, s.overRow)
	s.Label(only)
	s.MOVQ(s.overRow, s.over)
}

// takeHighest takes in the highest scores of as many elements as this group has, of the row
// after its own, if there is one. Where one is NaN any is taken.
func (s *softRows) takeHighest() {
	done := s.newLabel("taken")
	s.CMPQ(s.argument("rows"), operand.U8(1))
	s.JE(operand.LabelRef(done))
	some := s.newLabel("some")
	highest := s.asRegister(s.highest)
	s.CMPQ(s.left, operand.U8(s.group))
	s.JL(operand.LabelRef(some))
	var r []vreg
	for i := range 256 / s.bytes {
		mem := at(s.over, i*s.bytes)
		s.prefetchBy(prefetchNear, mem, i)
		if i < 2 {
			r = append(r, s.inRegister(mem))
		} else {
			s.max(r[i%2], mem, r[i%2])
		}
	}
	s.max(r[0], r[1], r[0])
	s.max(highest, r[0], highest)
	s.ADDQ(operand.I32(256), s.over)
	put := func() {
		if op(highest) != s.highest {
			s.move(highest, s.highest)
		}
	}
	put()
	s.Label(done)
	s.aside = append(s.aside, func() {
		whole, rest := s.newLabel("whole"), s.newLabel("last")
		count := s.GP64()
		s.Label(some)
		s.MOVQ(s.left, count)
		s.Label(whole)
		s.SUBQ(operand.U8(s.perReg()), count)
		s.JL(operand.LabelRef(rest))
		s.max(highest, at(s.over, 0), highest)
		s.ADDQ(operand.U8(s.bytes), s.over)
		s.JMP(operand.LabelRef(whole))
		s.Label(rest)
		s.ADDQ(operand.U8(s.perReg()), count)
		r := s.reg()
		s.loadOver(s.tailMasks(count, 1)[0], at(s.over, 0), highest, r)
		s.max(highest, r, highest)
		put()
		s.JMP(operand.LabelRef(done))
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
	done, rest := s.newLabel("written"), s.newLabel("rest")
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
		if s.wide() {
			for i, k := range s.tailMasks(count, 256/s.bytes) {
				s.store(k, registers[i], place(i))
			}
			s.JMP(operand.LabelRef(done))
			return
		}
		// A masked store takes as long as a dozen of others.
		for i, r := range registers {
			whole := s.newLabel("whole")
			s.SUBQ(operand.U8(s.perReg()*[]int{number + 1, step}[min(i, 1)]), count)
			s.JGE(operand.LabelRef(whole))
			s.ADDQ(operand.U8(s.perReg()), count)
			s.JLE(operand.LabelRef(done))
			s.store(s.tailMasks(count, 1)[0], r, place(i))
			s.JMP(operand.LabelRef(done))
			s.Label(whole)
			s.move(r, place(i))
		}
		s.JMP(operand.LabelRef(done))
	})
}
