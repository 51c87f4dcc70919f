package gen

import "github.com/mmcloughlin/avo/operand"

// A restKind is how runWhole takes the rest of a row.
type restKind int

const (
	inBuffer restKind = iota // as a whole group, in a buffer
	withBits                 // in place, with the bits of the elements that exist
	padded                   // in place, where what follows may be read and written
)

// wholeRows is what runWhole knows.
type wholeRows struct {
	kind      restKind
	groupSize int             // elements of a group
	off       gpreg           // of the group, in bytes; of padded rows in elements
	n         gpreg           // of padded rows: elements of a row
	halved    bool            // a group goes by halves (see vec.halves)
	enter     func()          // before a row's first group and before its rest; nil for nothing
	follow    func()          // follows every group; nil for nothing
	exist     operand.Mem     // the bits of the elements of the group that exist
	streams   []*streamOfRows // those that may be in a buffer
	short     func()          // takes a rest of at most half a group, whose bits are in exist; nil for none
}

// A streamOfRows is rows that a loop of runWhole reads or writes.
type streamOfRows struct {
	base         gpreg // of the row or, less the offset, of the buffer
	name, stride string
	buffer       operand.Mem // an output has that of the first stream, or one of its own
	fill         op          // what follows the rest of an input in its buffer; nil for zeros
	output       bool
	optional     bool // base may be nil
}

// newWholeLoop returns the loop of runWhole through groups of so many elements.
func newWholeLoop(v *vec, kind restKind, size int) *rowLoop {
	l := &rowLoop{vec: v, rows: v.argument("rows")}
	l.wholeRows = wholeRows{kind: kind, groupSize: size, off: v.GP64()}
	switch kind {
	case withBits:
		l.exist = v.AllocLocal(8)
	case padded:
		l.n = v.param("n")
	}
	return l
}

// input returns the base of rows that are read.
func (l *rowLoop) input(name, stride string) gpreg {
	s := &streamOfRows{base: l.param(name), name: name, stride: stride}
	if l.kind == inBuffer {
		s.buffer = l.AllocLocal(l.groupSize * l.size)
	}
	l.streams = append(l.streams, s)
	return s.base
}

// optionalInput is input of rows whose base may be nil.
func (l *rowLoop) optionalInput(name, stride string) gpreg {
	base := l.input(name, stride)
	l.streams[len(l.streams)-1].optional = true
	return base
}

// output returns the base of rows that are written; optional, it may be nil.
func (l *rowLoop) output(name, stride string, optional bool) gpreg {
	s := &streamOfRows{base: l.param(name), name: name, stride: stride, output: true, optional: optional}
	if l.kind == inBuffer {
		s.buffer = l.streams[0].buffer
	}
	l.streams = append(l.streams, s)
	return s.base
}

// inRow is the place of register i of the group in rows at base.
func (l *rowLoop) inRow(base gpreg, i int) operand.Mem {
	scale := 1
	if l.kind == padded {
		scale = l.size
	}
	return operand.Mem{Base: base, Index: l.off, Scale: uint8(scale), Disp: i * l.bytes}
}

// runWhole emits the loop: begin at the start of a row, group for each group, end at the
// end of a row, and the return.
func (l *rowLoop) runWhole(begin, group, end func()) {
	l.through(begin, func() {
		switch l.kind {
		case inBuffer:
			l.wholeGroups(group)
		case withBits:
			l.groupsWithBits(group)
		case padded:
			l.paddedGroups(group)
		}
		for _, s := range l.streams {
			l.nextRow(s)
		}
	}, end)
}

// paddedGroups emits the loop through the groups of a row.
func (l *rowLoop) paddedGroups(group func()) {
	again := l.newLabel("group")
	l.XORQ(l.off, l.off)
	l.Label(again)
	group()
	l.ADDQ(operand.U8(l.groupSize), l.off)
	l.CMPQ(l.off, l.n)
	l.JB(operand.LabelRef(again))
}

// groupsWithBits emits the loop through the groups of a row, the rest as the last.
func (l *rowLoop) groupsWithBits(group func()) {
	left, bits := l.GP64(), l.GP64()
	again, whole, done := l.newLabel("group"), l.newLabel("whole"), l.newLabel("done")
	l.XORQ(l.off, l.off)
	l.Load(l.Param("n"), left)
	l.TESTQ(left, left)
	l.JZ(operand.LabelRef(done))
	l.Label(again)
	l.MOVQ(operand.I32(-1), bits)
	l.CMPQ(left, operand.U8(l.groupSize))
	l.JAE(operand.LabelRef(whole))
	l.BZHIQ(left, bits, bits)
	l.Label(whole)
	l.MOVQ(bits, l.exist)
	group()
	l.nextGroup()
	l.SUBQ(operand.U8(l.groupSize), left)
	l.JG(operand.LabelRef(again))
	l.Label(done)
}

// wholeGroups emits the loop through the whole groups of a row, the rest in the buffers
// as the last, unless it is short.
func (l *rowLoop) wholeGroups(group func()) {
	var (
		left  = l.GP64() // elements, less those of a group
		enter = func() {
			if l.enter != nil {
				l.enter()
			}
		}
		again, added = l.newLabel("group"), l.newLabel("added")
		rest, short  = l.newLabel("rest"), l.newLabel("short")
		done         = l.newLabel("done")
	)
	l.XORQ(l.off, l.off)
	l.Load(l.Param("n"), left)
	l.SUBQ(operand.U8(l.groupSize), left)
	l.JL(operand.LabelRef(rest))
	l.left = left
	enter()
	l.Label(again)
	l.copy.block()
	group()
	l.Label(added)
	l.nextGroup()
	l.SUBQ(operand.U8(l.groupSize), left)
	l.JGE(operand.LabelRef(again))
	l.Label(rest)
	l.ADDQ(operand.U8(l.groupSize), left)
	l.JLE(operand.LabelRef(done))
	if l.short != nil {
		l.CMPQ(left, operand.U8(l.groupSize/2))
		l.JBE(operand.LabelRef(short))
	}
	l.readRest(left)
	l.XORQ(left, left)
	enter()
	l.JMP(operand.LabelRef(again))
	if l.short != nil {
		l.Label(short)
		l.copy.block()
		if l.exist.Base != nil {
			bits := l.GP64()
			l.MOVQ(operand.I32(-1), bits)
			l.BZHIQ(left, bits, bits)
			l.MOVQ(bits, l.exist)
		}
		l.short()
		l.XORQ(left, left)
		l.JMP(operand.LabelRef(added))
	}
	l.Label(done)
}

// nextGroup moves on to the next group.
func (l *rowLoop) nextGroup() {
	if l.halved {
		l.endHalves(l.off)
	} else {
		l.ADDQ(operand.I32(l.groupSize*l.size), l.off)
	}
	if l.follow != nil {
		l.follow()
	}
}

// readRest fills the buffers with the elements that are left, and what follows them, and
// points the streams at them.
func (l *rowLoop) readRest(left gpreg) {
	masks := l.restMasks(left)
	for _, s := range l.streams {
		if s.output {
			l.ifThere(s, func() {
				if s.buffer == l.streams[0].buffer {
					l.MOVQ(l.streams[0].base, s.base)
					return
				}
				l.LEAQ(s.buffer, s.base)
				l.SUBQ(l.off, s.base)
			})
			continue
		}
		l.ifThere(s, func() {
			for i, k := range masks {
				r := l.reg()
				if s.fill != nil {
					l.loadOver(k, l.inRow(s.base, i), s.fill, r)
				} else {
					l.load(k, l.inRow(s.base, i), r)
				}
				l.move(r, l.register(s.buffer, i))
			}
			l.LEAQ(s.buffer, s.base)
			l.SUBQ(l.off, s.base)
		})
	}
}

// restMasks returns the masks of the registers of a rest of count elements, which it
// overwrites; where there are short rests it is not one.
func (l *rowLoop) restMasks(count gpreg) []mask {
	n := l.groupSize / l.perReg()
	if l.short == nil {
		return l.tailMasks(count, n)
	}
	l.SUBQ(operand.U8(l.groupSize/2), count)
	return append(make([]mask, n/2), l.tailMasks(count, n/2)...)
}

// nextRow writes what of a stream is in the buffer, and moves it on to the next row.
func (l *rowLoop) nextRow(s *streamOfRows) {
	if l.kind != inBuffer {
		l.ifThere(s, func() { l.ADDQ(l.vec.stride(s.stride), s.base) })
		return
	}
	if s.output {
		direct, out, n := l.newLabel("direct"), l.param(s.name), l.GP64()
		l.CMPQ(out, s.base)
		l.JEQ(operand.LabelRef(direct))
		l.Load(l.Param("n"), n)
		l.ANDQ(operand.U8(l.groupSize-1), n)
		for i, k := range l.restMasks(n) {
			r, m := l.reg(), l.inRow(out, i)
			m.Disp -= l.groupSize * l.size
			l.move(l.register(s.buffer, i), r)
			l.store(k, r, m)
		}
		l.Label(direct)
	}
	l.ifThere(s, func() {
		row := l.argument(s.name)
		l.Load(l.Param(s.stride), s.base)
		l.SHLQ(operand.U8(log2(l.size)), s.base)
		l.ADDQ(row, s.base)
		l.MOVQ(s.base, row)
	})
}

// ifThere emits what is done unless an optional stream is nil.
func (l *rowLoop) ifThere(s *streamOfRows, do func()) {
	if !s.optional {
		do()
		return
	}
	none := l.newLabel("none")
	l.TESTQ(s.base, s.base)
	l.JZ(operand.LabelRef(none))
	do()
	l.Label(none)
}
