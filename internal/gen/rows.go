package gen

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A term is a register's worth of a row: number reg after the loop's offset,
// in the lanes of mask.
type term struct {
	reg  int
	mask mask
}

// A pair is the terms of the same lanes in the two virtual vectors of a
// group; the second is missing in a rest of at most one vector.
type pair []term

// half is that of the group in which a pair is.
func (q pair) half(v *vec) *half { return &half{number: q[0].reg % v.regs()} }

// terms returns the terms of the pairs, in order.
func terms(pairs []pair) []term {
	var all []term
	for _, p := range pairs {
		all = append(all, p...)
	}
	return all
}

// pairs returns the pairs of a group, the first of which holds register base.
func (v *vec) pairs(base int, masks []mask) []pair {
	var all []pair
	for i := range v.regs() {
		p := pair{{base + i, masks[i]}}
		if j := i + v.regs(); j < len(masks) {
			p = append(p, term{base + j, masks[j]})
		}
		all = append(all, p)
	}
	return all
}

// A rowLoop runs through the rows of a matrix and each row's groups.
type rowLoop struct {
	*vec
	rows   gpreg  // rows left
	groups gpreg  // whole groups of a row
	rest   gpreg  // elements after them
	masks  []mask // of the rest

	together bool // a body takes the pairs of a group together

	// first, unless nil, emits what takes the first groups of a row, on AVX2: it
	// moves off on and counts left down.
	first func(off, left gpreg)
}

func newRowLoop(v *vec) *rowLoop {
	l := newVectorLoop(v)
	l.rows = v.param("rows")
	return l
}

// newVectorLoop returns the loop through one row.
func newVectorLoop(v *vec) *rowLoop {
	l := &rowLoop{vec: v, rest: v.param("n")}
	l.groups = v.GP64()
	v.MOVQ(l.rest, l.groups)
	v.SHRQ(operand.U8(log2(v.groupLen())), l.groups)
	v.ANDQ(operand.U8(v.groupLen()-1), l.rest)
	count := l.rest
	if !v.wide() {
		count = v.GP64()
		v.MOVQ(l.rest, count)
	}
	l.masks = v.tailMasks(count, 2*v.regs())
	return l
}

// run emits the loop: begin at the start of a row; body for pairs of registers
// at byte offset off from the row's start, as many of them at a time as the
// registers allow; end at the end of a row, and the return.
func (l *rowLoop) run(begin func(), body func(off reg.Register, pairs []pair), end func()) {
	row, last := l.newLabel("row"), l.newLabel("last")
	l.TESTQ(l.rows, l.rows)
	l.JZ(operand.LabelRef(last))
	l.Label(row)
	begin()
	l.row(body)
	end()
	l.DECQ(l.rows)
	l.JNZ(operand.LabelRef(row))
	l.Label(last)
	l.VZEROUPPER()
	l.RET()
}

// row emits the loop through one row.
func (l *rowLoop) row(body func(off reg.Register, pairs []pair)) {
	var (
		two, one    = l.newLabel("two"), l.newLabel("one")
		group, rest = l.newLabel("group"), l.newLabel("rest")
		half, done  = l.newLabel("half"), l.newLabel("done")
		goTo        = func(label string) operand.LabelRef { return operand.LabelRef(label) }
		none        = make([]mask, len(l.masks))
	)
	off, left := l.GP64(), l.GP64()
	l.XORQ(off, off)
	l.MOVQ(l.groups, left)
	if l.wide() {
		// Two groups at a time hide more of the latency.
		l.SUBQ(operand.U8(2), left)
		l.JB(goTo(one))
		l.Label(two)
		body(off, append(l.pairs(0, none), l.pairs(2*l.regs(), none)...))
		l.ADDQ(operand.I32(256), off)
		l.SUBQ(operand.U8(2), left)
		l.JAE(goTo(two))
		l.Label(one)
		l.ADDQ(operand.U8(2), left)
	} else {
		if l.first != nil {
			l.first(off, left)
		}
		l.TESTQ(left, left)
	}
	l.JZ(goTo(rest))

	l.Label(group)
	l.each(l.pairs(0, none), off, body)
	l.ADDQ(operand.U8(128), off)
	l.DECQ(left)
	l.JNZ(goTo(group))

	l.Label(rest)
	l.TESTQ(l.rest, l.rest)
	l.JZ(goTo(done))
	l.CMPQ(l.rest, operand.U8(l.lanes))
	l.JBE(goTo(half))
	l.each(l.pairs(0, l.masks), off, body)
	l.JMP(goTo(done))
	l.Label(half)
	l.each(l.pairs(0, l.masks[:l.regs()]), off, body)

	l.Label(done)
}

// each emits the body once for every pair, or for all together.
func (l *rowLoop) each(pairs []pair, off reg.Register, body func(reg.Register, []pair)) {
	if l.together {
		body(off, pairs)
		return
	}
	for i := range pairs {
		body(off, pairs[i:i+1])
	}
}

// stride loads a stride, in bytes.
func (v *vec) stride(name string) gpreg {
	s := v.param(name)
	v.SHLQ(operand.U8(log2(v.size)), s)
	return s
}
