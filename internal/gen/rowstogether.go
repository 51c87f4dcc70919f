package gen

import "github.com/mmcloughlin/avo/operand"

// A rowsTogether runs, on AVX-512, through rows of at most one, two or four virtual
// vectors by groups of four registers: of four rows, two or one. Rows side by side hide
// the latency that one alone has. (A group of a rowLoop is of one row.)
type rowsTogether struct {
	*vec
	length operand.Mem // of a row
	rows   op          // left
	sums   *rowSums
	eights bool // eight rows are taken or none; else what fills a group
	walks  []*rowWalk
	cut    [2]mask  // of the last vectors of a row
	free   gpreg    // of places
	again  []string // labels of the loops' ends, behind a tree of sums
}

// A rowWalk is a pointer that moves on by whole groups.
type rowWalk struct {
	at, step gpreg
	next     gpreg // that of the next group, which is loaded ahead; nil for none
}

// walk adds a pointer, unless it is nil.
func (t *rowsTogether) walk(base, step gpreg, ahead bool) *rowWalk {
	w := &rowWalk{at: base, step: step}
	if base == nil {
		return w
	}
	if ahead {
		w.next = t.GP64()
	}
	t.walks = append(t.walks, w)
	return w
}

// place returns the places from base on of the registers of a group, size bytes each:
// register i has vector i%vectors of row i/vectors.
func (t *rowsTogether) place(base, step gpreg, vectors, size int) func(i int) operand.Mem {
	if base == nil {
		return nil
	}
	return func(i int) operand.Mem { return t.rowPlace(base, step, i/vectors, i%vectors*size, t.free) }
}

// run emits the loops, which put the sums of their rows. The bodies for rows of so many
// vectors, of which the registers' masks are part, are begin before the first group and
// turn for each. It goes to label rest with rows that it does not take.
func (t *rowsTogether) run(rest string, bodies func(vectors int, part []mask) (begin, turn func())) {
	t.free, t.cut = t.GP64(), [2]mask{t.newMask(), t.newMask()}
	for vectors := 1; vectors <= 4; vectors *= 2 {
		count, group, check, long := 4/vectors, t.newLabel("group"), t.newLabel("check"), t.ifLonger(vectors)
		begin, turn := bodies(vectors, t.lastMasks(vectors))
		if !t.eights {
			t.CMPQ(t.rows, operand.U8(count))
			t.JL(operand.LabelRef(rest))
		}
		begin()
		t.Label(group)
		// After the last group the same is loaded again.
		t.moveOn(count, func(w *rowWalk) gpreg { return w.next })
		t.CMPQ(t.rows, operand.U8(2*count))
		for _, w := range t.walks {
			if w.next != nil {
				t.CMOVQLT(w.at, w.next)
			}
		}
		turn()
		t.moveOn(count, func(w *rowWalk) gpreg { return w.at })
		t.sums.next(count, t.rows)
		if t.eights {
			t.JL(operand.LabelRef(group))
			t.JMP(operand.LabelRef(t.sums.tree))
			check = group
		} else {
			t.JGE(operand.LabelRef(t.sums.tree))
			t.Label(check)
			t.CMPQ(t.rows, operand.U8(count))
			t.JGE(operand.LabelRef(group))
			t.JMP(operand.LabelRef(rest))
		}
		t.again = append(t.again, check)
		t.Label(long)
	}
}

// moveOn sets those of the pointers that there are to where the next group begins.
func (t *rowsTogether) moveOn(count int, of func(*rowWalk) gpreg) {
	for _, w := range t.walks {
		if to := of(w); to != nil {
			t.LEAQ(operand.Mem{Base: w.at, Index: w.step, Scale: uint8(count)}, to)
		}
	}
}

// goOn goes back to the loop of the rows' length, and to longer where there is none.
func (t *rowsTogether) goOn(longer string) {
	again := t.again
	if t.eights { // there is one
		again, longer = again[:2], again[2]
	}
	for i, label := range again {
		long := t.ifLonger(1 << i)
		t.JMP(operand.LabelRef(label))
		t.Label(long)
	}
	t.JMP(operand.LabelRef(longer))
}

// ifLonger jumps, where rows are longer than so many virtual vectors, to the label that
// it returns.
func (t *rowsTogether) ifLonger(vectors int) string {
	long := t.newLabel("long")
	t.CMPQ(t.length, operand.U8(vectors*t.lanes))
	t.JG(operand.LabelRef(long))
	return long
}

// lastMasks returns the masks of a group's registers, of rows of at most so many vectors
// and more than half of these.
func (t *rowsTogether) lastMasks(vectors int) (part []mask) {
	whole := vectors / 2 // vectors that are not cut
	left := t.GP64()
	t.MOVQ(t.length, left)
	t.SUBQ(operand.U8(whole*t.lanes), left)
	row := append(make([]mask, whole), t.cut[:vectors-whole]...)
	t.firstMasks(row[whole:], left)
	for range 4 / vectors {
		part = append(part, row...)
	}
	return part
}
