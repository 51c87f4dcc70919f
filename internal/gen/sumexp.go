package gen

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// sumExp emits the sum of exponentials.
func sumExp(v *vec) {
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
	acc := newAccumulator(v)

	l.run(acc.clear,
		func(off reg.Register, pairs []pair) {
			var y []vreg
			for _, t := range terms(pairs) {
				mem := operand.Mem{Base: x, Index: off, Scale: 1, Disp: t.reg * v.bytes}
				r := v.reg()
				if t.mask == nil {
					v.max(low, mem, r)
					v.prefetch(mem, t.reg)
				} else {
					v.load(t.mask, mem, r)
					v.max(low, r, r)
				}
				v.min(high, r, r)
				y = append(y, r)
			}
			p, s := e.evaluate(y)
			acc.add(pairs, p, s)
		},
		func() {
			v.ADDQ(stride, x)
			acc.store(results...)
		})
}

// shortSums emits the sums of rows of at most two groups, 8 rows at a time, on
// AVX-512: rows side by side hide the latency that one alone has. It leaves less
// than 8 rows.
func shortSums(v *vec, l *rowLoop, line *pipeline, x, stride gpreg, out ...operand.Mem) {
	v.Attributes(0) // the frame is too large for NOSPLIT
	s := newRowSums(v, 1)
	length, rest := v.argument("n"), v.newLabel("rest")
	free, next, cut := v.GP64(), v.GP64(), [2]mask{v.newMask(), v.newMask()}
	v.CMPQ(l.rows, operand.U8(8))
	v.JL(operand.LabelRef(rest))
	s.begin()
	var again []string // of the loops
	long := func(vectors int) string {
		label := v.newLabel("long")
		v.CMPQ(length, operand.U8(vectors*v.lanes))
		v.JG(operand.LabelRef(label))
		return label
	}
	for vectors := 1; vectors <= 4; vectors *= 2 {
		above, group := long(vectors), v.newLabel("short")
		part, count := v.lastMasks(length, vectors, cut), 4/vectors
		rows := func(base gpreg) *registerGroup {
			return &registerGroup{part: part, x: func(i int) operand.Mem {
				return v.rowPlace(base, stride, i/vectors, i%vectors*v.bytes, free)
			}}
		}
		line.begin(rows(x))
		v.Label(group)
		again = append(again, group)
		// After the last group the same is loaded again.
		v.LEAQ(operand.Mem{Base: x, Index: stride, Scale: uint8(count)}, next)
		v.CMPQ(l.rows, operand.U8(2*count))
		v.CMOVQLT(x, next)
		p, q := line.exponentials(rows(next), func() {})
		for row := range count {
			var pairs []vreg
			for i := row * vectors; i < (row+1)*vectors; i += 2 {
				sum := v.reg()
				v.mulKeep(part[i], p[i], q[i], sum)
				if vectors > 1 {
					v.addProduct(part[i+1], p[i+1], q[i+1], sum)
				}
				pairs = append(pairs, sum)
			}
			s.put(0, row, v.pairLanes(pairs))
		}
		v.LEAQ(operand.Mem{Base: x, Index: stride, Scale: uint8(count)}, x)
		s.next(count, l.rows)
		v.JNE(operand.LabelRef(group))
		v.JMP(operand.LabelRef(s.tree))
		v.Label(above)
	}
	v.JMP(operand.LabelRef(rest))
	s.write(out...)
	v.CMPQ(l.rows, operand.U8(8))
	v.JL(operand.LabelRef(rest))
	for i, group := range again[:2] {
		above := long(1 << i)
		v.JMP(operand.LabelRef(group))
		v.Label(above)
	}
	v.JMP(operand.LabelRef(again[2]))
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

// An accumulator sums the terms of a row, lane by lane: the two terms of a
// pair first.
//
// float32: the pair's sum is added to one of 16 float64 lanes.
//
// float64: it is added to one of 8 lanes exactly, the errors to 8 lanes of
// their own.
type accumulator struct {
	*vec
	sum []vreg // in the order of the lanes
	err []vreg
}

func newAccumulator(v *vec) *accumulator {
	a := &accumulator{vec: v}
	n := 2 * v.regs() // float32: 16 float64 lanes
	if v.double() {
		n = v.regs()
	}
	for range n {
		a.sum = append(a.sum, v.reg())
		if v.double() {
			a.err = append(a.err, v.reg())
		}
	}
	return a
}

func (a *accumulator) clear() {
	for _, r := range append(a.sum, a.err...) {
		a.zero(r)
	}
}

// add adds the terms p·s of the pairs.
func (a *accumulator) add(pairs []pair, p, s []vreg) {
	for _, q := range pairs {
		sum := p[0]
		a.mulKeep(q[0].mask, p[0], s[0], sum)
		if len(q) == 2 {
			a.addProduct(q[1].mask, p[1], s[1], sum)
		}
		p, s = p[len(q):], s[len(q):]
		lane := q[0].reg % a.regs()
		if a.double() {
			a.twoSum(a.sum[lane], a.err[lane], sum)
			continue
		}
		low, high := a.widen(sum)
		for i, r := range []vreg{low, high} {
			a.VADDPD(r, a.sum[2*lane+i], a.sum[2*lane+i])
		}
	}
}

// store combines the lanes and writes the row's sum, and for float64 the
// errors: those of two lanes are added, then that of their sums.
func (a *accumulator) store(out ...operand.Mem) {
	var r []vreg
	if a.double() {
		r = a.eight([][]vreg{a.sum, a.err}, func(x, y []vreg) {
			a.VADDPD(y[1], x[1], x[1])
			a.twoSum(x[0], x[1], y[0])
		})
	} else {
		// Lane l gets lane l + 8.
		half := len(a.sum) / 2
		for i := range half {
			a.VADDPD(a.sum[half+i], a.sum[i], a.sum[i])
		}
		r = a.eight([][]vreg{a.sum[:half]}, func(x, y []vreg) { a.VADDPD(y[0], x[0], x[0]) })
	}
	for i, m := range out {
		p := a.GP64()
		a.MOVQ(m, p)
		a.VMOVSD(r[i], at(p, 0))
		a.ADDQ(operand.U8(8), m)
	}
}
