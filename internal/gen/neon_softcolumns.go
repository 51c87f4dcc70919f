package gen

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
)

// A neonColumns is a columnLoop: it runs through registers of rows, four columns in a turn.
type neonColumns struct {
	*neonVec
	rows, turns, left genReg
	across            genReg   // from the end of a column to the place above it in the next rows
	columns, at       []genReg // of scores and the like: in the rows of the register, and in the turn
}

func newNeonColumns(v *neonVec, columns ...string) *neonColumns {
	l := &neonColumns{neonVec: v, rows: v.param("rows"), turns: v.param("n"), left: v.gp(), across: v.gp()}
	for _, name := range columns {
		l.columns, l.at = append(l.columns, v.param(name)), append(l.at, v.gp())
	}
	v.op("ADD", imm(3), l.turns)
	v.op("LSR", imm(2), l.turns, l.turns)
	v.op("LSL", imm(8), l.turns, l.across)
	v.op("SUB", imm(64), l.across)
	return l
}

// run emits the loop.
func (l *neonColumns) run(body func()) {
	rows, half := l.newLabel("rows"), l.newLabel("half")
	l.label(rows)
	body()
	for _, c := range l.columns {
		l.op("ADD", imm(16), c)
	}
	l.op("AND", imm(63), l.columns[0], l.left)
	l.op("CBNZ", l.left, half)
	for _, c := range l.columns {
		l.op("ADD", l.across, c)
	}
	l.label(half)
	l.op("SUB", imm(16/l.size), l.rows)
	l.op("CBNZ", l.rows, rows)
}

// each emits a loop through the columns, in turns of four.
func (l *neonColumns) each(name string, body func()) {
	loop := l.newLabel(name)
	l.op("MOVD", l.turns, l.left)
	for i, c := range l.columns {
		l.op("MOVD", c, l.at[i])
	}
	l.label(loop)
	body()
	for _, c := range l.at {
		l.op("ADD", imm(4*64), c)
	}
	l.op("SUB", imm(1), l.left)
	l.op("CBNZ", l.left, loop)
}

// column is the place of column i of a turn.
func (l *neonColumns) column(of, i int) address { return address{l.at[of], 64 * i} }

// neonSoftColumnSums emits softColumnSums.
func neonSoftColumnSums(v *neonVec) {
	l := newNeonColumns(v, "x", "t", "w")
	kept, sums, peaks := v.gp(), []genReg{v.param("sums")}, []genReg{v.param("peaks")}
	v.op("MOVD", l.columns[powers], kept)
	v.apart(&sums, 3, 8)
	v.apart(&peaks, 3, v.size)
	v.loadConstants()
	magic, low, high := v.naturalRange()
	v.load(v.constant(v.pick(coef.ScaleLow32, coef.ScaleLow64)), low)
	v.free(high)
	e := newNeonExponential(v, magic)
	most := newNeonMostBits(v)
	top, label, seen := v.reg(), v.reg(), v.reg()
	d := newNeonVec(v.neonFile, float64s)
	l.run(func() {
		v.load(address{l.columns[scores], 0}, top)
		l.each("highest", func() {
			for i := range 4 {
				x := v.inRegister(l.column(scores, i))
				v.max(top, x, top)
				v.free(x)
			}
		})
		v.zero(label)
		v.zero(seen)
		acc := v.cleared(6)
		l.each("column", func() {
			y := v.regs(4)
			for i, r := range y {
				v.load(l.column(scores, i), r)
				v.max(low, r, r)
			}
			p, s := e.evaluate(y)
			for i := range p {
				v.mul(p[i], s[i], p[i])
			}
			v.free(s...)
			none := v.newLabel("none")
			v.op("CBZ", kept, none)
			for i := range p {
				v.store(p[i], l.column(powers, i))
			}
			v.label(none)
			terms := [3][]*vecReg{0: p}
			product := v.reg()
			for i, power := range p {
				k, first := v.inRegister(l.column(scores, i)), v.reg()
				t, distance := v.inRegister(l.column(labels, i)), product
				if i > 0 {
					distance = v.reg()
				}
				most.take(t)
				v.sub(top, k, distance)
				if i == 0 {
					v.mul(distance, t, product)
				} else {
					v.fmaAcc(distance, t, product)
					v.free(distance)
				}
				v.VFCMEQ(v.lanes(top), v.lanes(k), v.lanes(k))
				v.copy(k, first)
				v.keepOut(seen, first)
				v.or(k, seen, seen)
				v.and(first, t, k)
				v.or(k, label, label)
				v.keepOut(first, power)
				v.keepOut(first, t)
				v.free(k, first)
				terms[2] = append(terms[2], t)
			}
			terms[1] = []*vecReg{product}
			for i, r := range terms {
				if len(r) > 1 {
					v.add(r[0], r[1], r[0])
					v.add(r[2], r[3], r[2])
					v.add(r[0], r[2], r[0])
				}
				a, b := acc[2*i], acc[2*i+1]
				if v.double() {
					v.twoSum(a, b, r[0])
				} else {
					low, high := v.widen(r[0])
					d.add(a, low, a)
					d.add(b, high, b)
					v.free(low, high)
				}
				v.free(r...)
			}
		})
		for i, p := range sums {
			if a, b := acc[2*i], acc[2*i+1]; v.double() {
				v.add(a, b, a)
				v.store(a, address{p, 0})
			} else {
				v.storePair(a, b, address{p, 0})
			}
			v.op("ADD", imm(16/v.size*8), p)
		}
		v.free(acc...)
		y := []*vecReg{v.inRegister(v.constant(math.Copysign(0, -1))), v.reg()}
		magnitude, limit, power := v.reg(), v.inRegister(v.constant(v.pick(coef.ColumnLimit32, coef.ColumnLimit64))), v.inRegister(v.constant(math.NaN()))
		v.xor(top, y[0], y[0])
		v.max(top, y[0], magnitude)
		v.atLeast(limit, magnitude, magnitude)
		v.zero(y[1]) // exponentials are made in pairs
		p, s := e.evaluate(y)
		v.mul(p[0], s[0], p[0])
		v.choose(magnitude, p[0], power)
		for i, r := range []*vecReg{label, top, magnitude} {
			v.op("FMOVQ.P", r, address{peaks[i], 16})
		}
		v.free(append(append(p, s...), magnitude, limit, power)...)
	})
	most.report()
	v.op("RET")
}

// apart completes the places of n lists of room elements of so many bytes.
func (v *neonVec) apart(places *[]genReg, n, size int) {
	step := v.param("room")
	v.op("LSL", imm(log2(size)), step, step)
	for len(*places) < n {
		p := v.gp()
		v.op("ADD", step, (*places)[len(*places)-1], p)
		*places = append(*places, p)
	}
	v.release(step)
}

// neonSoftColumnScale emits softColumnScale.
func neonSoftColumnScale(v *neonVec) {
	l := newNeonColumns(v, "x", "t", "w")
	from := []genReg{v.param("factors")}
	v.apart(&from, 4, v.size)
	factors, least := v.regs(4), newNeonLeastBits(v)
	l.run(func() {
		for i, p := range from {
			v.op("FMOVQ.P", address{p, 16}, factors[i])
		}
		l.each("column", func() {
			for i := range 4 {
				k, g, t := v.inRegister(l.column(scores, i)), v.inRegister(l.column(powers, i)), v.inRegister(l.column(labels, i))
				least.take(t)
				v.mul(g, factors[0], g)
				v.fmaSub(t, factors[1], g)
				v.VFCMEQ(v.lanes(factors[2]), v.lanes(k), v.lanes(k))
				v.choose(k, factors[3], g)
				v.store(k, l.column(powers, i))
				v.free(k, g, t)
			}
		})
	})
	least.report()
	v.op("RET")
}
