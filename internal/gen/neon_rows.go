package gen

import "fmt"

// The frame of the kernels that run through rows: a buffer for the rests of rows,
// then the accumulators that do not fit into the registers.
const (
	neonBuffer = 256
	neonFrame  = neonBuffer + 256

	neonNoSplit = 768 // the largest frame with NOSPLIT
)

// A stream is the rows of a matrix that a kernel reads or writes.
type stream struct {
	base   genReg // of the row
	at     genReg // of the group
	stride string // the argument, in elements; none for a single row
	ratio  int    // bytes for one of the group
	output bool
	// An optional stream with base nil, and stride 0, is not there: neither are the turns
	// to read or write it.
	optional bool
	// A changed output is read, too: its rest has a place of its own in the buffer.
	changed bool
	rest    int     // that place
	fill    *vecReg // what follows the rest of an input in the buffer; nil for anything
	// A padded stream has room for whole groups: the rest of its row is read and
	// written in place.
	padded bool
	// The base of an argument stays in memory where its name is here.
	argument string
}

// input and output load the arguments of a stream.
func (v *neonVec) input(base, stride string) *stream {
	return &stream{base: v.param(base), at: v.gp(), stride: stride, ratio: 1}
}

func (v *neonVec) output(base, stride string) *stream {
	s := v.input(base, stride)
	s.output = true
	return s
}

func (v *neonVec) padded(base, stride string) *stream {
	s := v.input(base, stride)
	s.padded = true
	return s
}

// remote is padded with the base in memory.
func (v *neonVec) remote(base string) *stream {
	return &stream{at: v.gp(), ratio: 1, padded: true, argument: base}
}

// place returns the address of a register of the group.
func (s *stream) place(number int) address { return address{s.at, 16 * number} }

// A neonLoop runs through the rows of a matrix and each row's groups of 1, 2 or 4
// virtual vectors.
//
// There are no masked loads and stores. The rest of a row, the elements after its
// last group, is copied to the buffer, the streams are pointed at it, and the
// loop takes one more turn; what that writes is copied back. Where the rest fills
// at most half of a group, a turn of half a group follows instead.
//
// A turn takes the registers of the virtual vectors in two halves. In a loop of
// halves the code of the first serves both: all places move on by some bytes.
type neonLoop struct {
	*neonVec
	vectors int // of a group
	step    int // bytes from half to half, where these are a loop
	streams []*stream
	sides   []*neonSide
	joined  bool             // the first side has the bits of both
	each    func(whole bool) // follows every turn
	// allWhole has every rest take a whole turn: its bits tell what takes part.
	allWhole bool

	rows   genReg // rows left, unless there is only one
	single bool
	groups genReg // whole groups of a row
	rest   genReg // bytes after them
	left   genReg // halves or turns after this one; negative in the rest's
	buffer genReg
	room   int      // bytes of the buffer
	acc    address  // the accumulators of the half
	masks  genReg   // their table, once it is needed
	late   []string // code that follows the loop
}

// A neonTurn is a half of a turn: registers of that many virtual vectors, those
// of lanes of each.
type neonTurn struct {
	vectors int
	lanes   []int
	whole   bool // of all vectors of a group
}

// numbers returns the numbers in the group of the turn's registers, those of the
// same lanes next to each other.
func (t neonTurn) numbers() (all []int) {
	for _, h := range t.lanes {
		for k := range t.vectors {
			all = append(all, k*neonRegs+h)
		}
	}
	return all
}

// newNeonLoop returns the loop through the argument rows.
func newNeonLoop(v *neonVec, vectors int, streams ...*stream) *neonLoop {
	l := newNeonVectorLoop(v, vectors, streams...)
	l.single = false
	l.rows = v.param("rows")
	return l
}

// newNeonVectorLoop returns the loop through one row.
func newNeonVectorLoop(v *neonVec, vectors int, streams ...*stream) *neonLoop {
	l := &neonLoop{neonVec: v, vectors: vectors, streams: streams, single: true}
	l.groups, l.left, l.buffer = v.gp(), v.gp(), v.gp()
	inputs := 0
	for _, s := range streams {
		if (!s.output || s.changed) && !s.padded {
			inputs++
		}
	}
	l.room = max(neonBuffer, inputs*l.bytes())
	v.frame = l.room + max(neonFrame-neonBuffer, v.accumulatorBytes)
	l.rest = v.param("n")
	v.op("LSR", imm(log2(l.bytes()/v.size)), l.rest, l.groups)
	v.op("LSL", imm(log2(v.size)), l.rest)
	v.op("AND", imm(l.bytes()-1), l.rest)
	v.op("MOVD", fmt.Sprintf("$frame-%d(SP)", v.frame), l.buffer)
	return l
}

// bytes is the size of a group.
func (l *neonLoop) bytes() int { return 64 * l.vectors }

// halves makes the two halves of a turn a loop. Those of step 16 have the
// registers 0 and 2, and 1 and 3, of each virtual vector; those of step 32 have 0
// and 1, and 2 and 3.
func (l *neonLoop) halves(step int) {
	l.step = step
}

// accumulators gives the loop accumulators in the frame, 32 bytes for a half.
func (l *neonLoop) accumulators() {
	l.acc = address{l.gp(), 0}
	l.op("ADD", imm(l.room), l.buffer, l.acc.base)
}

// withSides loads the arguments of the sides, negatives and unless there is but one
// positives, and has their bits loaded.
func (l *neonLoop) withSides(one bool) {
	words := max(1, l.bytes()/l.size/32)
	l.sides = []*neonSide{l.newSide("neg", words)}
	if !one {
		l.sides = append(l.sides, l.newSide("pos", words))
	}
	l.loadTests()
}

// withPart loads the argument of the bits that tell which elements take part, and has them
// loaded; every rest is a whole turn then.
func (l *neonLoop) withPart() {
	l.allWhole = true
	l.sides = []*neonSide{l.newSide("part", max(1, l.bytes()/l.size/32))}
	l.loadTests()
}

// eitherSide returns the bits of both sides together, which take the place of
// those of the negatives.
func (l *neonLoop) eitherSide() *neonSide {
	l.joined = true
	return l.sides[0]
}

// run emits the loop: begin at the start of a row, body for the halves of a turn,
// end at the end of a row, and the return.
func (l *neonLoop) run(begin func(), body func(t neonTurn), end func()) {
	row, last := l.newLabel("row"), l.newLabel("last")
	strides := map[string]genReg{}
	if !l.single {
		for _, s := range l.streams {
			const spare = 3 // for pointers
			if s.stride != "" && len(l.general) > spare {
				strides[s.stride] = l.param(s.stride)
			}
		}
		l.op("CBZ", l.rows, last)
		l.label(row)
	}
	begin()
	l.row(body)
	end()
	if !l.single {
		by := l.gp()
		for _, s := range l.streams {
			if r, ok := strides[s.stride]; ok {
				l.op("ADD", fmt.Sprintf("%v<<%d", r, log2(l.size)), s.base)
			} else if s.stride != "" {
				l.advance(by, s.base, s.stride, l.size)
			}
		}
		for _, s := range l.sides {
			l.advance(by, s.base, "words", 8)
		}
		l.release(by)
		l.op("SUB", imm(1), l.rows)
		l.op("CBNZ", l.rows, row)
		l.label(last)
	}
	l.op("RET")
	for _, code := range l.late {
		l.text.WriteString(code)
	}
}

// row emits the loop through one row.
func (l *neonLoop) row(body func(t neonTurn)) {
	var (
		group, rest  = l.newLabel("group"), l.newLabel("rest")
		copied, done = l.newLabel("copied"), l.newLabel("done")
		last         = 1 // the steps of left in a turn
	)
	for _, s := range l.streams {
		if s.argument != "" {
			l.op("MOVD", l.neonFile.argument(s.argument), s.at)
			continue
		}
		l.op("MOVD", s.base, s.at)
	}
	for _, s := range l.sides {
		l.op("MOVD", s.base, s.at)
	}
	if l.step != 0 {
		last = 2
		l.op("LSL", imm(1), l.groups, l.left)
		l.op("SUBS", imm(2), l.left)
	} else {
		l.op("SUBS", imm(1), l.groups, l.left)
	}
	l.op("BMI", rest)
	l.label(group)
	l.turn(l.bytes(), body, copied)
	l.op("TBZ", imm(63), l.left, group)
	l.comment(fmt.Sprintf("%d after the groups, %d after the rest", -last, -2*last))
	l.op("TBZ", imm(log2(last)), l.left, copied)

	l.label(rest)
	l.op("CBZ", l.rest, done)
	l.copyIn()
	l.op("MOVD", imm(-last), l.left)
	short := l.newLabel("short")
	if !l.allWhole {
		l.op("CMP", imm(l.bytes()/2), l.rest)
		l.op("BLS", short)
	}
	l.op("B", group)
	if !l.allWhole {
		l.label(short)
		l.turn(l.bytes()/2, body, copied)
	}
	l.label(copied)
	for _, s := range l.streams {
		if s.output && !s.padded {
			l.copyOut(s)
		}
	}
	l.label(done)
}

// turn emits a turn of so many bytes: virtual vectors, or the half of one. At the
// end of the second half, and of the first if that is all, one of less than a
// group goes on at end.
func (l *neonLoop) turn(bytes int, body func(t neonTurn), end string) {
	whole, vectors := bytes == l.bytes(), max(1, bytes/64)
	for _, s := range l.sides {
		s.load(min(4, l.bytes()/l.size/8))
	}
	if l.joined {
		for i, w := range l.sides[0].words {
			l.or(w, l.sides[1].words[i], w)
		}
	}
	half := func(lanes ...int) {
		l.scope(func() { body(neonTurn{vectors, lanes, whole}) })
	}
	moved := 0 // bytes that the places of streams have moved
	if l.step == 0 {
		half(0, 1)
		if bytes == 64 && !whole {
			l.op("CMP", imm(32), l.rest)
			l.op("BLS", end)
		}
		if bytes >= 64 {
			half(2, 3)
		}
		if whole {
			l.op("SUB", imm(1), l.left)
		}
	} else {
		label := l.newLabel("half")
		l.label(label)
		if l.step == 16 {
			half(0, 2)
		} else {
			half(0, 1)
		}
		for _, s := range l.streams {
			l.op("ADD", imm(l.step), s.at)
		}
		l.moveHalf(1)
		l.op("SUB", imm(1), l.left)
		l.op("TBNZ", imm(0), l.left, label)
		l.moveHalf(-2)
		moved = 2 * l.step
	}
	if l.each != nil {
		l.each(whole)
	}
	if whole {
		for _, s := range l.streams {
			l.op("ADD", imm(s.ratio*l.bytes()-moved), s.at)
		}
	}
}

// moveHalf moves the lanes' tests and the accumulators on by so many halves.
func (l *neonLoop) moveHalf(by int) {
	move := func(r genReg, bytes int) {
		if by < 0 {
			l.op("SUB", imm(-by*bytes), r)
		} else {
			l.op("ADD", imm(by*bytes), r)
		}
	}
	if len(l.sides) > 0 {
		move(l.tests, l.step)
	}
	if l.acc != (address{}) {
		move(l.acc.base, 32)
	}
}

// copyIn copies the rests of the inputs to the buffer, one after the other, and
// points the streams at it: the outputs share the place of the first input.
func (l *neonLoop) copyIn() {
	disp := 0
	for _, s := range l.streams {
		switch {
		case s.padded:
		case s.output && !s.changed:
			l.op("MOVD", l.buffer, s.at)
		default:
			for i := 0; s.fill != nil && i < l.bytes(); i += 32 {
				l.storePair(s.fill, s.fill, address{l.buffer, disp + i})
			}
			there := ""
			if s.optional {
				there = l.newLabel("there")
				l.op("CBZ", s.base, there)
			}
			dst := l.gp()
			l.op("ADD", imm(disp), l.buffer, dst)
			l.copyRest(s.at, dst)
			l.release(dst)
			l.op("ADD", imm(disp), l.buffer, s.at)
			if s.optional {
				l.label(there)
			}
			s.rest = disp
			disp += l.bytes()
		}
	}
	if disp > l.room {
		l.fail("the frame has no room for %d bytes", disp)
	}
}

// copyOut copies the rest of an output from its place in the buffer.
func (l *neonLoop) copyOut(s *stream) {
	if s.optional {
		none := l.newLabel("none")
		l.op("CBZ", s.base, none)
		defer l.label(none)
	}
	src, dst := l.gp(), l.gp()
	if s.rest == 0 {
		l.op("MOVD", l.buffer, src)
	} else {
		l.op("ADD", imm(s.rest), l.buffer, src)
	}
	l.op("ADD", fmt.Sprintf("%v<<%d", l.groups, log2(l.bytes())), s.base, dst)
	l.copyRest(src, dst)
	l.release(src, dst)
}

// copyRest copies the rest of a row, and moves both pointers behind it.
func (l *neonLoop) copyRest(src, dst genReg) {
	l.scope(func() {
		q := l.regs(4)
		for bytes := l.bytes() / 2; bytes >= l.size; bytes /= 2 {
			skip := l.newLabel("skip")
			l.op("TBZ", imm(log2(bytes)), l.rest, skip)
			switch {
			case bytes >= 16:
				registers := min(4, bytes/16)
				list := fmt.Sprintf("[%v", q[0].b16())
				for _, r := range q[1:registers] {
					list += fmt.Sprintf(", %v", r.b16())
				}
				list += "]"
				for range bytes / (16 * registers) {
					l.op("VLD1.P", address{src, 16 * registers}, list)
					l.op("VST1.P", list, address{dst, 16 * registers})
				}
			case bytes == 8:
				l.op("FMOVD.P", address{src, 8}, q[0])
				l.op("FMOVD.P", q[0], address{dst, 8})
			default:
				l.op("FMOVS.P", address{src, 4}, q[0])
				l.op("FMOVS.P", q[0], address{dst, 4})
			}
			l.label(skip)
		}
	})
}

// loadTurn returns the registers of a turn of a stream, in the order of numbers.
func (l *neonLoop) loadTurn(s *stream, t neonTurn) []*vecReg {
	r := l.regs(len(t.numbers()))
	for i, n := range t.numbers()[:t.vectors] {
		l.loadPair(s.place(n), r[i], r[t.vectors+i])
	}
	return r
}

// storeTurn is the reverse of loadTurn.
func (l *neonLoop) storeTurn(s *stream, t neonTurn, r []*vecReg) {
	for i, n := range t.numbers()[:t.vectors] {
		l.storePair(r[i], r[t.vectors+i], s.place(n))
	}
}

// maskRest has keep clear what lies beyond the row.
func (l *neonLoop) maskRest() {
	l.masks = l.gp()
	l.tailTable = true
	// The table is ones, then zeros, of one group each: at its middle less the
	// bytes of the rest begin the masks.
	l.op("MOVD", "$tail<>+128(SB)", l.masks)
	l.op("SUB", l.rest, l.masks)
}

// keep clears the lanes beyond the row of registers of a turn. In the loop the
// code for that lies behind it.
func (l *neonLoop) keep(t neonTurn, registers ...[]*vecReg) {
	mask := func() {
		for i, n := range t.numbers() {
			m := l.inRegister(address{l.masks, 16 * n})
			for _, r := range registers {
				l.and(r[i], m, r[i])
			}
			l.free(m)
		}
	}
	if !t.whole {
		mask()
		return
	}
	there, back := l.newLabel("mask"), l.newLabel("masked")
	l.op("TBNZ", imm(63), l.left, there)
	l.label(back)
	l.late = append(l.late, l.aside(func() {
		l.label(there)
		mask()
		l.op("B", back)
	}))
}

// advance moves r on by the argument of that name, in elements of size bytes;
// it overwrites free.
func (v *neonVec) advance(free, r genReg, name string, size int) {
	v.op("MOVD", fmt.Sprintf("%s+%d(FP)", name, v.args[name]), free)
	v.op("ADD", fmt.Sprintf("%v<<%d", free, log2(size)), r)
}
