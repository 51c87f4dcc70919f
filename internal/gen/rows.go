package gen

import (
	"github.com/mmcloughlin/avo/operand"
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

// A rowLoop runs through the rows of a matrix and each row's groups. It takes the rest of
// a row, the elements after its last whole group,
//   - by run with masks, in bodies of their own for one and for two virtual vectors;
//   - by runWhole as a group, where what follows the rows may be read and written.
type rowLoop struct {
	*vec
	rows op        // left, in a register or as an argument
	some bool      // there are rows, and elements of them
	copy *sideCopy // made meanwhile; nil for none
	next []func()  // at the end of a row
	last func()    // after the last row; nil for nothing

	// Of run:
	groups gpreg            // whole groups of a row
	left   gpreg            // elements after them
	masks  []mask           // of these
	first  func(left gpreg) // takes a row's first groups, on AVX2; it moves off on and counts left down
	single bool             // no two groups go together: the body is long

	wholeRows
}

// newRowLoop returns the loop of run.
func newRowLoop(v *vec) *rowLoop {
	l := newVectorLoop(v)
	l.rows = v.param("rows")
	return l
}

// newVectorLoop returns the loop through one row.
func newVectorLoop(v *vec) *rowLoop {
	l := &rowLoop{vec: v}
	l.lengths()
	return l
}

// lengths loads the length of the rows, for run.
func (l *rowLoop) lengths() {
	l.left = l.param("n")
	l.groups = l.GP64()
	l.MOVQ(l.left, l.groups)
	l.SHRQ(operand.U8(log2(l.groupLen())), l.groups)
	l.ANDQ(operand.U8(l.groupLen()-1), l.left)
	count := l.left
	if !l.wide() {
		count = l.GP64()
		l.MOVQ(l.left, count)
	}
	l.masks = l.tailMasks(count, 2*l.regs())
}

// step makes registers move on at the end of a row.
func (l *rowLoop) step(by op, registers ...gpreg) {
	l.next = append(l.next, func() {
		for _, r := range registers {
			l.ADDQ(by, r)
		}
	})
}

// advance makes r move on at the end of a row by the argument of that name, shifted to
// the left. It waits on the stack: there are few registers.
func (l *rowLoop) advance(r gpreg, name string, shift int) {
	by := l.param(name)
	l.SHLQ(operand.U8(shift), by)
	l.step(l.slot(by), r)
}

// run emits the loop: begin at the start of a row; body for pairs of registers
// of the group, as many of them at a time as the
// registers allow; end at the end of a row, and the return.
func (l *rowLoop) run(begin func(), body func(pairs []pair), end func()) {
	l.through(begin, func() { l.row(body) }, end)
}

// through emits the loop through the rows, and the return.
func (l *rowLoop) through(begin, row, end func()) {
	l.eachRow(func() {
		begin()
		row()
		for _, f := range l.next {
			f()
		}
		end()
	})
	l.copy.rest()
	if l.last != nil {
		l.last()
	}
	l.VZEROUPPER()
	l.RET()
}

// eachRow emits the loop through the rows.
func (l *rowLoop) eachRow(row func()) {
	again, last := l.newLabel("row"), l.newLabel("last")
	for _, count := range []op{l.rows, l.n} {
		if count == nil || l.some {
			continue
		}
		if _, ok := count.(gpreg); ok {
			l.TESTQ(count, count)
		} else {
			l.CMPQ(count, operand.U8(0))
		}
		l.JZ(operand.LabelRef(last))
	}
	l.Label(again)
	row()
	l.DECQ(l.rows)
	l.JNZ(operand.LabelRef(again))
	l.Label(last)
}

// row emits the loop of run through one row.
func (l *rowLoop) row(body func(pairs []pair)) {
	var (
		two, one    = l.newLabel("two"), l.newLabel("one")
		group, rest = l.newLabel("group"), l.newLabel("rest")
		half, done  = l.newLabel("half"), l.newLabel("done")
		goTo        = func(label string) operand.LabelRef { return operand.LabelRef(label) }
		none        = make([]mask, len(l.masks))
	)
	l.off = l.GP64()
	left := l.GP64()
	l.XORQ(l.off, l.off)
	l.MOVQ(l.groups, left)
	if l.wide() && !l.single {
		// Two groups at a time hide more of the latency.
		l.SUBQ(operand.U8(2), left)
		l.JB(goTo(one))
		l.Label(two)
		body(append(l.pairs(0, none), l.pairs(2*l.regs(), none)...))
		l.ADDQ(operand.I32(256), l.off)
		l.SUBQ(operand.U8(2), left)
		l.JAE(goTo(two))
		l.Label(one)
		l.ADDQ(operand.U8(2), left)
	} else {
		if l.first != nil {
			l.first(left)
		}
		l.TESTQ(left, left)
	}
	l.JZ(goTo(rest))

	l.Label(group)
	l.each(l.pairs(0, none), body)
	l.ADDQ(operand.U8(128), l.off)
	l.DECQ(left)
	l.JNZ(goTo(group))

	l.Label(rest)
	l.TESTQ(l.left, l.left)
	l.JZ(goTo(done))
	l.CMPQ(l.left, operand.U8(l.lanes))
	l.JBE(goTo(half))
	l.each(l.pairs(0, l.masks), body)
	l.JMP(goTo(done))
	l.Label(half)
	l.each(l.pairs(0, l.masks[:l.regs()]), body)

	l.Label(done)
}

// each emits the body once for every pair.
func (l *rowLoop) each(pairs []pair, body func([]pair)) {
	for i := range pairs {
		body(pairs[i : i+1])
	}
}

// stride loads a stride, in bytes.
func (v *vec) stride(name string) gpreg {
	s := v.param(name)
	v.SHLQ(operand.U8(log2(v.size)), s)
	return s
}
