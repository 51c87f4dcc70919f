package gen

import "github.com/mmcloughlin/avo/operand"

// A rowsAhead goes through the groups of all rows one group ahead of what is evaluated:
// the group whose arguments are loaded meanwhile may be of the next row. (A rowLoop ends
// a row before it begins the next.) A group that is not whole comes from a buffer.
type rowsAhead struct {
	*vec
	n          operand.Mem   // elements of a row
	groupSize  int           // elements of a group
	from, src  gpreg         // the scores that follow the next group; its scores
	bitsAt     []gpreg       // the bits of its sides that follow it
	toLoad     operand.Mem   // elements of its row that follow it
	rowsToLoad operand.Mem   // rows with its own
	buffer     operand.Mem   // of a group that is not whole
	skip       []operand.Mem // bytes from a row's last group to the next row, of the bits and of the strides
	aside      []func()      // what lies behind the loop

	beginRow func()                         // when the next group is the first of another row; nil for nothing
	look     func(bits gpreg, other string) // jumps to other unless the next group, at src, is whole; bits is free
	fill     func(bits gpreg)               // fills the buffer with what it has, after look

	sixteen *sixteenBits // takes groups of 16 bits, whose bits look has not found; nil for none
	both    string       // the label of what fills the buffer with these
	readies []string     // where that goes on: for the first group, and for others
	begun   operand.Mem  // whether there was a first one
}

// begin finds the bytes from row to row: step is that of the bits, strides those of the
// scores and of others in their order. All registers are overwritten.
func (g *rowsAhead) begin(length, rows, step gpreg, strides ...gpreg) {
	g.src = g.GP64()
	g.toLoad, g.rowsToLoad = g.slot(length), g.slot(rows)
	g.ADDQ(operand.U8(g.groupSize-1), length)
	g.ANDQ(operand.I32(-g.groupSize), length)
	g.SHRQ(operand.U8(3), length)
	g.SUBQ(length, step)
	g.skip = []operand.Mem{g.slot(step)}
	g.SHLQ(operand.U8(3+log2(g.size)), length)
	for _, s := range strides {
		g.SUBQ(length, s)
		g.skip = append(g.skip, g.slot(s))
	}
}

// prepare goes on to the next group; after the last one there is the buffer.
func (g *rowsAhead) prepare() {
	same, none := g.newLabel("same"), g.newLabel("none")
	other, ready := g.newLabel("other"), g.newLabel("ready")
	bits := g.GP64()
	g.CMPQ(g.toLoad, operand.U8(0))
	g.JG(operand.LabelRef(same))
	g.LEAQ(g.buffer, g.src)
	g.DECQ(g.rowsToLoad)
	g.JLE(operand.LabelRef(none))
	g.ADDQ(g.skip[1], g.from)
	for _, side := range g.bitsAt {
		g.ADDQ(g.skip[0], side)
	}
	g.MOVQ(g.n, bits)
	g.MOVQ(bits, g.toLoad)
	if g.beginRow != nil {
		g.beginRow()
	}
	g.Label(same)
	if g.sixteen != nil {
		if g.readies = append(g.readies, ready); len(g.readies) == 1 {
			g.both, g.begun = g.newLabel("sixteen"), g.AllocLocal(8)
			g.MOVQ(operand.U32(0), g.begun)
		}
		g.sixteen.ifSixteen(g.both)
	}
	g.MOVQ(g.from, g.src)
	g.look(bits, other)
	g.Label(ready)
	g.ADDQ(operand.I32(g.groupSize*g.size), g.from)
	for _, side := range g.bitsAt {
		g.ADDQ(operand.U8(g.groupSize/8), side)
	}
	g.SUBQ(operand.U8(g.groupSize), g.toLoad)
	g.Label(none)
	g.aside = append(g.aside, func() {
		g.Label(other)
		g.fill(bits)
		g.LEAQ(g.buffer, g.src)
		g.JMP(operand.LabelRef(ready))
	})
}

// readSixteen emits what fills the buffer with groups of 16-bit floats, for both places
// of prepare; look leaves the bits of those that take part, on AVX2 at part, too, and none
// stands for others. It is nil where these are open.
func (g *rowsAhead) readSixteen(look func(bits gpreg), none func() vreg, part operand.Mem) {
	g.aside = append(g.aside, func() {
		g.Label(g.both)
		bits := g.GP64()
		look(bits)
		if g.wide() {
			g.readMasked(bits, none)
		} else {
			g.readFirst(bits)
			if none != nil {
				g.onlyThose(part, none)
			}
		}
		g.SUBQ(operand.I32(g.groupSize*g.size/2), g.from)
		g.CMPQ(g.begun, operand.U8(0))
		g.JNE(operand.LabelRef(g.readies[1]))
		g.INCQ(g.begun)
		g.JMP(operand.LabelRef(g.readies[0]))
	})
}

// readMasked reads, on AVX-512, the elements of the bits.
func (g *rowsAhead) readMasked(bits gpreg, none func() vreg) {
	some, ready := g.newLabel("some"), g.newLabel("read")
	g.CMPQ(bits, operand.I8(-1))
	g.JNE(operand.LabelRef(some))
	g.sixteen.widen(at(g.from, 0), g.src)
	g.JMP(operand.LabelRef(ready))
	g.Label(some)
	masks := make([]mask, 4)
	for i := range masks {
		masks[i] = g.K()
		if i > 0 {
			g.SHRQ(operand.U8(g.lanes), bits)
		}
		g.loadMask(bits.As32(), masks[i])
	}
	g.sixteen.widenSome(at(g.from, 0), masks, none(), g.src)
	g.Label(ready)
}

// readFirst reads, on AVX2, the group as far as its row goes. t is free.
func (g *rowsAhead) readFirst(t gpreg) {
	last, ready := g.newLabel("last"), g.newLabel("read")
	g.MOVQ(g.toLoad, t)
	g.CMPQ(t, operand.U8(g.groupSize))
	g.JL(operand.LabelRef(last))
	g.sixteen.widen(at(g.from, 0), g.src)
	g.JMP(operand.LabelRef(ready))
	g.Label(last)
	g.sixteen.widenFirst(g.from, t, g.src)
	g.Label(ready)
}

// onlyThose puts none, on AVX2, in the place of the elements in the buffer whose bits at
// part, as many as those of an operand of 32 bits, are not set.
func (g *rowsAhead) onlyThose(part operand.Mem, none func() vreg) {
	all := g.newLabel("allread")
	g.CMPL(part, operand.I8(-1))
	g.JEQ(operand.LabelRef(all))
	bits, other := g.lanesBits(part), none()
	for i := range g.sixteen.registers {
		r, m := g.reg(), at(g.src, i*g.bytes)
		g.move(m, r)
		g.choose(g.bitsSigns(bits, i), r, other, r)
		g.move(r, m)
	}
	g.Label(all)
}
