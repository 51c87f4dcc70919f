package gen

import "github.com/mmcloughlin/avo/operand"

// wholeRows is what runWhole knows.
type wholeRows struct {
	padded    bool  // rows are gone through by runWhole
	groupSize int   // elements of a group
	off       gpreg // of the group, in bytes; of padded rows in elements
	n         gpreg // of padded rows: elements of a row
}

// newWholeLoop returns the loop of runWhole through groups of so many elements.
func newWholeLoop(v *vec, size int) *rowLoop {
	l := &rowLoop{vec: v, rows: v.argument("rows")}
	l.wholeRows = wholeRows{padded: true, groupSize: size, off: v.GP64(), n: v.param("n")}
	return l
}

// inRow is the place of register i of the group in rows at base.
func (l *rowLoop) inRow(base gpreg, i int) operand.Mem {
	scale := 1
	if l.padded {
		scale = l.size
	}
	return operand.Mem{Base: base, Index: l.off, Scale: uint8(scale), Disp: i * l.bytes}
}

// runWhole emits the loop: begin at the start of a row, group for each group, the rest being
// one, end at the end of a row, and the return.
func (l *rowLoop) runWhole(begin, group, end func()) {
	l.through(begin, func() {
		again := l.newLabel("group")
		l.XORQ(l.off, l.off)
		l.Label(again)
		group()
		l.ADDQ(operand.U8(l.groupSize), l.off)
		l.CMPQ(l.off, l.n)
		l.JB(operand.LabelRef(again))
	}, end)
}
