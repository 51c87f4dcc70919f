package gen

import "fmt"

// There are no masked loads and stores: the rest of a row, the elements after
// its last group, is copied to a buffer in the kernel's frame, which has room
// for two inputs. The outputs share the buffer of the first.
const (
	neonBuffer = 128
	neonFrame  = 2 * neonBuffer
)

// A stream is the rows of a matrix that a kernel reads or writes.
type stream struct {
	base   genReg // of the row
	stride genReg // in bytes; 0 for a single row
	at     genReg // of the group, or the buffers
	disp   int    // of the buffer
	output bool
}

// A neonLoop runs through the rows of a matrix and each row's groups.
type neonLoop struct {
	*neonVec
	streams []*stream
	single  bool   // one row
	rows    genReg // rows left
	groups  genReg // whole groups of a row
	rest    genReg // bytes after them
	buffer  genReg // for them
	masks   []mask // of them
}

func newNeonRowLoop(v *neonVec, streams ...*stream) *neonLoop {
	l := newNeonVectorLoop(v, streams...)
	l.single = false
	l.rows = v.param("rows")
	return l
}

// newNeonVectorLoop returns the loop through one row.
func newNeonVectorLoop(v *neonVec, streams ...*stream) *neonLoop {
	l := &neonLoop{neonVec: v, streams: streams, single: true}
	n := v.param("n")
	l.groups, l.rest, l.buffer = v.gp(), v.gp(), v.gp()
	v.op("LSR", imm(log2(2*v.elem.lanes)), n, l.groups)
	v.op("LSL", imm(log2(v.size)), n, l.rest)
	v.op("AND", imm(127), l.rest)
	v.release(n)
	v.op("MOVD", fmt.Sprintf("$rest-%d(SP)", neonFrame), l.buffer)
	// The table is 128 bytes of ones, then 128 of zeros: at 128 - rest begin
	// the masks of the group.
	v.tailTable = true
	table := v.gp()
	v.op("MOVD", "$tail<>+128(SB)", table)
	v.op("SUB", l.rest, table)
	for i := range 2 * neonRegs {
		l.masks = append(l.masks, address{table, 16 * i})
	}
	return l
}

// input and output load the arguments of a stream.
func (v *neonVec) input(base, stride string) *stream {
	s := &stream{base: v.param(base), at: v.gp()}
	if stride != "" {
		s.stride = v.stride(stride)
	}
	return s
}

func (v *neonVec) output(base, stride string) *stream {
	s := v.input(base, stride)
	s.output = true
	return s
}

// stride loads a stride, in bytes.
func (v *neonVec) stride(name string) genReg {
	s := v.param(name)
	v.op("LSL", imm(log2(v.size)), s)
	return s
}

// place returns the address of a term in the stream.
func (s *stream) place(t term) address { return address{s.at, s.disp + 16*t.reg} }

// neonPairs returns the pairs of a group.
func neonPairs(masks []mask) []pair {
	var all []pair
	for i := range neonRegs {
		p := pair{{i, masks[i]}}
		if j := i + neonRegs; j < len(masks) {
			p = append(p, term{j, masks[j]})
		}
		all = append(all, p)
	}
	return all
}

// run emits the loop: begin at the start of a row; body for two pairs of
// registers at a time; end at the end of a row, and the return.
func (l *neonLoop) run(begin func(), body func(pairs []pair), end func()) {
	row, last := l.newLabel("row"), l.newLabel("last")
	l.op("CBZ", l.rows, last)
	l.label(row)
	begin()
	l.row(body)
	for _, s := range l.streams {
		l.op("ADD", s.stride, s.base)
	}
	end()
	l.op("SUB", imm(1), l.rows)
	l.op("CBNZ", l.rows, row)
	l.label(last)
	l.op("RET")
}

// row emits the loop through one row.
func (l *neonLoop) row(body func(pairs []pair)) {
	var (
		group, rest = l.newLabel("group"), l.newLabel("rest")
		half, done  = l.newLabel("half"), l.newLabel("done")
		finish      = l.newLabel("finish")
		none        = make([]mask, 2*neonRegs)
		emit        = func(pairs []pair) { l.scope(func() { body(pairs) }) }
	)
	left := l.gp()
	for _, s := range l.streams {
		l.op("MOVD", s.base, s.at)
	}
	l.op("CBZ", l.groups, rest)
	l.op("MOVD", l.groups, left)

	l.label(group)
	pairs := neonPairs(none)
	emit(pairs[:2])
	emit(pairs[2:])
	for _, s := range l.streams {
		l.op("ADD", imm(128), s.at)
	}
	l.op("SUB", imm(1), left)
	l.op("CBNZ", left, group)

	l.label(rest)
	l.op("CBZ", l.rest, done)
	var at []genReg
	inputs := 0
	for _, s := range l.streams {
		at = append(at, s.at)
		s.at = l.buffer
		if !s.output {
			s.disp = neonBuffer * inputs
			inputs++
			l.copyRest(l.rest, 64, address{at[len(at)-1], 0}, address{l.buffer, s.disp})
		}
	}
	if inputs*neonBuffer > neonFrame {
		l.fail("the frame has no room for %d inputs", inputs)
	}
	l.op("CMP", imm(64), l.rest)
	l.op("BLS", half)
	pairs = neonPairs(l.masks)
	emit(pairs[:2])
	emit(pairs[2:])
	l.op("B", finish)
	// At most one virtual vector, at most half of it.
	l.label(half)
	pairs = neonPairs(l.masks[:neonRegs])
	emit(pairs[:2])
	l.op("CMP", imm(32), l.rest)
	l.op("BLS", finish)
	emit(pairs[2:])
	l.label(finish)
	for i, s := range l.streams {
		s.at, s.disp = at[i], 0
		if s.output {
			l.copyRest(l.rest, 64, address{l.buffer, 0}, address{s.at, 0})
		}
	}
	l.label(done)
	l.release(left)
}

// copyRest copies the rest of a row, of less than twice most bytes.
func (v *neonVec) copyRest(rest genReg, most int, from, to address) {
	v.scope(func() {
		src, dst := v.gp(), v.gp()
		v.op("ADD", imm(from.disp), from.base, src)
		v.op("ADD", imm(to.disp), to.base, dst)
		q := v.regs(4)
		for bytes := most; bytes >= v.size; bytes /= 2 {
			skip := v.newLabel("skip")
			v.op("TBZ", imm(log2(bytes)), rest, skip)
			switch {
			case bytes >= 16:
				registers := min(4, bytes/16)
				list := fmt.Sprintf("[%v", q[0].b16())
				for _, r := range q[1:registers] {
					list += fmt.Sprintf(", %v", r.b16())
				}
				list += "]"
				for range bytes / (16 * registers) {
					v.op("VLD1.P", address{src, 16 * registers}, list)
					v.op("VST1.P", list, address{dst, 16 * registers})
				}
			case bytes == 8:
				v.op("FMOVD.P", address{src, 8}, q[0])
				v.op("FMOVD.P", q[0], address{dst, 8})
			default:
				v.op("FMOVS.P", address{src, 4}, q[0])
				v.op("FMOVS.P", q[0], address{dst, 4})
			}
			v.label(skip)
		}
		v.release(src, dst)
	})
}

// loadTerms returns the registers of two pairs of a stream, in the order of
// terms.
func (v *neonVec) loadTerms(s *stream, pairs []pair) []*vecReg {
	var all []*vecReg
	for range terms(pairs) {
		all = append(all, v.reg())
	}
	for i, t := range pairs[0] {
		v.loadPair(s.place(t), all[i], all[len(pairs[0])+i])
	}
	return all
}

// storeTerms is the reverse of loadTerms.
func (v *neonVec) storeTerms(s *stream, pairs []pair, r []*vecReg) {
	for i, t := range pairs[0] {
		v.storePair(r[i], r[len(pairs[0])+i], s.place(t))
	}
}

// keep clears the lanes of a outside of the mask.
func (v *neonVec) keep(k mask, a *vecReg) {
	if k == nil {
		return
	}
	m := v.inRegister(k.(address))
	v.and(a, m, a)
	v.free(m)
}
