package gen

import (
	"github.com/mmcloughlin/avo/operand"
)

// sumExp emits the sum of exponentials.
func sumExp(v *vec) {
	if !v.wide() && !v.double() {
		narrowSumExp(v)
		return
	}
	results := []operand.Mem{v.argument("sum")}
	if v.double() {
		results = append(results, v.argument("err"))
	}
	x, stride := v.param("x"), v.stride("stride")
	p := v.param("p")
	l := newRowLoop(v)
	magic, low, high := v.reg(), v.reg(), v.reg()
	v.broadcast(at(p, 0), magic)
	v.broadcast(at(p, v.size), low)
	v.broadcast(at(p, 2*v.size), high)
	e := newExponential(v, magic, !v.double())
	if v.wide() {
		shortSums(v, l, newPipeline(e, low, high), x, stride, results...)
	}
	acc := newWideAccumulator(v)
	if !v.wide() {
		// The registers are for the exponentials.
		v.Attributes(0) // the frame is too large for NOSPLIT
		place := v.AllocLocal(v.bytes)
		v.move(magic, place)
		e.magic = place
		line := newNarrowPipeline(e, low, high)
		s := &narrowSums{line: line, acc: acc, x: x, stride: stride, rows: l.rows, begun: v.AllocLocal(8)}
		v.MOVQ(operand.U32(0), s.begun)
		l.first = func(left gpreg) { s.groups(l.off, left) }
	}

	l.run(acc.clear,
		func(pairs []pair) {
			var y []vreg
			for _, t := range terms(pairs) {
				mem := l.inRow(x, t.reg)
				r := v.reg()
				if t.mask == nil {
					v.max(low, mem, r)
					v.prefetch(mem, t.reg)
				} else {
					v.load(t.mask, mem, r)
					v.max(low, r, r)
				}
				y = append(y, r)
			}
			for _, r := range y {
				v.min(high, r, r)
			}
			p, s := e.evaluate(y)
			acc.takePairs(pairs, p, operands(s))
		},
		func() {
			v.ADDQ(stride, x)
			acc.storeParts(results)
		})
}

// narrowSumExp emits sumExp of float32 on AVX2, in the loop of selectSums: all elements of
// a row take part, and the sums of pairs go to 16 lanes.
func narrowSumExp(v *vec) {
	k := &selectKernel{sides: &sides{vec: v, step: v.GP64()}, length: v.argument("n"), rows: v.argument("rows")}
	k.out = []operand.Mem{v.argument("sum")}
	k.x, k.stride, k.left = v.param("x"), v.stride("stride"), v.GP64()
	v.XORQ(k.step, k.step)
	p, magic, low, high := v.param("p"), v.reg(), v.reg(), v.reg()
	for i, r := range []vreg{magic, low, high} {
		v.broadcast(at(p, i*v.size), r)
	}
	k.selected = []*accumulator{newWideAccumulator(v)}
	v.Attributes(0) // the frame is too large for NOSPLIT
	last := v.newLabel("last")
	v.CMPQ(k.rows, operand.U8(0))
	v.JEQ(operand.LabelRef(last))
	k.narrowRows(newExponential(v, magic, false), low, high)
	v.Label(last)
	v.VZEROUPPER()
	v.RET()
}

// narrowSums are the sums of the first groups of rows of float64, two at a time, on AVX2:
// while a group is in the polynomial the arguments of the next are reduced, be it the next
// row's.
type narrowSums struct {
	line      *narrowPipeline
	acc       *accumulator
	x, stride gpreg
	rows      op          // with the row
	begun     operand.Mem // whether the row's first group is reduced
}

// reduced returns the steps that reduce a group's arguments, which are at mem.
func (s *narrowSums) reduced(group int, mem func(disp int) operand.Mem) []func() {
	v := s.line.vec
	return s.line.reduced(group, func(i int) (op, op) {
		m := mem(i * v.bytes)
		v.prefetch(m, i)
		return m, s.line.magic
	})
}

// add emits the sums of a reduced group.
func (s *narrowSums) add(number int, meanwhile []func()) {
	v := s.line.vec
	pairs := v.pairs(0, make([]mask, 2*v.regs()))
	w, scale := s.line.powersOf(number, meanwhile)
	var a []vreg // in the order of pairs
	var b []op
	for _, pair := range pairs {
		for _, t := range pair {
			a, b = append(a, w[t.reg]), append(b, scale[t.reg])
		}
	}
	s.acc.takePairs(pairs, a, b)
}

// groups emits the sums of a row's groups from off on, of which it leaves one if they are odd.
func (s *narrowSums) groups(off, left gpreg) {
	var (
		v               = s.line.vec
		two, few, begun = v.newLabel("two"), v.newLabel("few"), v.newLabel("begun")
		last, out       = v.newLabel("last"), v.newLabel("out")
		next, row       = v.GP64(), v.GP64() // offset of the next two groups, if they are there, else of these; the next row
		at              = func(base, index gpreg, disp int) func(int) operand.Mem {
			return func(i int) operand.Mem {
				m := operand.Mem{Base: base, Disp: disp + i}
				if index != nil {
					m.Index, m.Scale = index, 1
				}
				return m
			}
		}
	)
	v.SUBQ(operand.U8(2), left)
	v.JB(operand.LabelRef(few))
	v.CMPQ(s.begun, operand.U8(0))
	v.JNE(operand.LabelRef(begun))
	v.INCQ(s.begun)
	emit(s.reduced(0, at(s.x, nil, 0)))
	v.Label(begun)
	v.Label(two)
	v.LEAQ(operand.Mem{Base: off, Disp: 256}, next)
	v.CMPQ(left, operand.U8(2))
	v.CMOVQLT(off, next)
	s.add(0, s.reduced(1, at(s.x, off, 128)))
	v.CMPQ(next, off)
	v.JEQ(operand.LabelRef(last))
	s.add(1, s.reduced(0, at(s.x, next, 0)))
	v.MOVQ(next, off)
	v.SUBQ(operand.U8(2), left)
	v.JMP(operand.LabelRef(two))
	v.Label(last)
	v.LEAQ(operand.Mem{Base: s.x, Index: s.stride, Scale: 1}, row)
	v.CMPQ(s.rows, operand.U8(2))
	v.CMOVQLT(s.x, row)
	s.add(1, s.reduced(0, at(row, nil, 0)))
	v.ADDQ(operand.I32(256), off)
	v.JMP(operand.LabelRef(out))
	v.Label(few)
	v.ADDQ(operand.U8(2), left)
	v.Label(out)
}

// shortSums emits the sums of rows of at most two groups, 8 rows at a time, on AVX-512.
// It leaves less than 8 rows.
func shortSums(v *vec, l *rowLoop, line *pipeline, x, stride gpreg, out ...operand.Mem) {
	v.Attributes(0) // the frame is too large for NOSPLIT
	t := &rowsTogether{vec: v, length: v.argument("n"), rows: l.rows, sums: newRowSums(v, 1), eights: true}
	rest, walk := v.newLabel("rest"), t.walk(x, stride, true)
	v.CMPQ(l.rows, operand.U8(8))
	v.JL(operand.LabelRef(rest))
	t.sums.begin()
	t.run(rest, func(vectors int, part []mask) (begin, turn func()) {
		rows := func(base gpreg) *registerGroup {
			return &registerGroup{part: part, x: t.place(base, stride, vectors, v.bytes)}
		}
		return func() { line.begin(rows(x)) }, func() {
			p, q := line.exponentials(rows(walk.next), func() {})
			for row := range 4 / vectors {
				var pairs []vreg
				for i := row * vectors; i < (row+1)*vectors; i += 2 {
					sum := v.reg()
					v.mulKeep(part[i], p[i], q[i], sum)
					if vectors > 1 {
						v.addProduct(part[i+1], p[i+1], q[i+1], sum)
					}
					pairs = append(pairs, sum)
				}
				t.sums.put(0, row, v.pairLanes(pairs))
			}
		}
	})
	v.JMP(operand.LabelRef(rest))
	t.sums.write(out...)
	v.CMPQ(l.rows, operand.U8(8))
	v.JL(operand.LabelRef(rest))
	t.goOn("")
	v.Label(rest)
}

// pairLanes returns the lanes of a row with those sums of its one or two pairs,
// on AVX-512: for float32 lane l + 8 is added to lane l.
func (v *vec) pairLanes(pairs []vreg) [][]vreg {
	if v.double() {
		err := v.reg()
		v.zero(err)
		if len(pairs) == 2 {
			v.twoSum(pairs[0], err, pairs[1])
		}
		return [][]vreg{{pairs[0]}, {err}}
	}
	low, high := v.widen(pairs[0])
	if len(pairs) == 2 {
		l, h := v.widen(pairs[1])
		v.VADDPD(l, low, low)
		v.VADDPD(h, high, high)
	}
	v.VADDPD(high, low, low)
	return [][]vreg{{low}}
}

// takePairs adds the terms p·s of pairs.
func (a *accumulator) takePairs(pairs []pair, p []vreg, s []op) {
	for _, q := range pairs {
		a.mulKeep(q[0].mask, p[0], s[0], p[0])
		if len(q) == 2 {
			a.addProduct(q[1].mask, p[1], s[1], p[0])
		}
		a.take(q.half(a.vec), p[0])
		p, s = p[len(q):], s[len(q):]
	}
}

// storeParts writes the row's sum and, of float64, its error, and moves on.
func (a *accumulator) storeParts(out []operand.Mem) {
	r := a.total()
	for i, m := range out {
		p := a.GP64()
		a.MOVQ(m, p)
		a.VMOVSD(r[i], at(p, 0))
		a.ADDQ(operand.U8(8), m)
	}
}
