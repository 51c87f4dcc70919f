package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// This file emits the kernels of softmax cross-entropy with soft labels of short rows, a row
// in every lane (see kernel/softcolumns.go).

// A columnLoop runs through registers of rows, whose columns are a virtual vector apart.
type columnLoop struct {
	*vec
	columns []gpreg // of scores and the like, in the rows of the register
	end     gpreg   // bytes of their columns
	off     gpreg   // of a column
}

func newColumnLoop(v *vec, columns ...string) *columnLoop {
	l := &columnLoop{vec: v, off: v.GP64()}
	for _, name := range columns {
		l.columns = append(l.columns, v.param(name))
	}
	l.end = v.param("n")
	v.SHLQ(operand.U8(6), l.end)
	return l
}

// at is the place of the column disp bytes behind that of the loop.
func (l *columnLoop) at(i, disp int) operand.Mem {
	return operand.Mem{Base: l.columns[i], Index: l.off, Scale: 1, Disp: disp}
}

// run emits the loop.
func (l *columnLoop) run(body func()) {
	rows, loop := l.argument("rows"), l.newLabel("rows")
	l.Label(loop)
	body()
	if l.wide() {
		for _, c := range l.columns {
			l.ADDQ(l.end, c)
		}
	} else {
		// The other half of the virtual vector, or the columns of the next.
		half := l.newLabel("half")
		for _, c := range l.columns {
			l.ADDQ(operand.U8(l.bytes), c)
		}
		l.TESTQ(operand.U32(l.bytes), l.columns[0])
		l.JNZ(operand.LabelRef(half))
		for _, c := range l.columns {
			l.LEAQ(operand.Mem{Base: c, Index: l.end, Scale: 1, Disp: -2 * l.bytes}, c)
		}
		l.Label(half)
	}
	l.SUBQ(operand.U8(l.perReg()), rows)
	l.JNZ(operand.LabelRef(loop))
}

// each emits the loop through the columns from off on.
func (l *columnLoop) each(end op, body func()) {
	loop := l.newLabel("column")
	l.Label(loop)
	body()
	l.ADDQ(operand.U8(64), l.off)
	l.CMPQ(l.off, end)
	l.JB(operand.LabelRef(loop))
}

// A softColumns emits the sums of rows. Lanes come in the order in which the tree adds them:
// a sum of its levels waits until its other half is there.
type softColumns struct {
	*columnLoop
	top, label, count vreg
	unit              op // 1
	most              *labelBits
	levels            [3]laneSums
}

// laneSums are those of exponentials, products and labels of some lanes: two registers of
// float64, or one and its errors.
type laneSums [3][2]op

// The columns: of scores, labels and exponentials.
const (
	scores = iota
	labels
	powers
)

func softColumnSums(v *vec) {
	v.Attributes(0) // the frame is too large for NOSPLIT
	s := &softColumns{columnLoop: newColumnLoop(v, "x", "t", "w")}
	d := &vec{v.file, v.tier, float64s}
	out, room, label, bad := v.param("out"), v.param("room"), v.param("label"), v.GP64()
	v.SHLQ(operand.U8(3), room)
	v.XORQ(bad, bad)
	s.unit = v.constant(1)
	s.most = newMostBits(v, v.reg())
	for i := range s.levels {
		for q := range s.levels[i] {
			for k := range s.levels[i][q] {
				if s.levels[i][q][k] = op(v.AllocLocal(v.bytes)); v.wide() && i < 2 {
					s.levels[i][q][k] = v.reg()
				}
			}
		}
	}
	check := func(good mask, of *vec) {
		k := v.GP64()
		switch {
		case of.wide():
			of.KNOTW(good, good)
			of.storeMask(good, k)
		case of.double():
			of.VMOVMSKPD(good, k.As32())
			of.XORQ(operand.U32(15), k)
		default:
			of.VMOVMSKPS(good, k.As32())
			of.XORQ(operand.U32(255), k)
		}
		of.ORQ(k, bad)
	}
	s.run(func() {
		s.top, s.label, s.count = v.reg(), v.reg(), v.reg()
		v.move(at(s.columns[scores], 0), s.top)
		v.MOVQ(operand.U32(64), s.off)
		s.each(s.end, func() { v.max(s.top, s.at(scores, 0), s.top) })
		v.zero(s.label)
		v.zero(s.count)
		v.XORQ(s.off, s.off)
		sums := s.lanes()
		v.move(s.label, at(label, 0))
		v.ADDQ(operand.U8(v.bytes), label)

		_, _, high := pivot0(v.elem)
		for _, c := range []struct {
			predicate uint8
			x         vreg
			limit     float64
		}{{greaterOrEqual, s.top, coef.LeastTop}, {lessOrEqual, s.top, high}, {equal, s.count, 1}} {
			k := v.newMask()
			v.compare(c.predicate, c.x, v.constant(c.limit), k)
			check(k, v)
		}

		to := v.GP64()
		v.MOVQ(out, to)
		put := func(rows []vreg) {
			for i, r := range rows {
				d.move(r, at(to, i*v.bytes))
			}
			v.ADDQ(room, to)
		}
		for i, sum := range sums {
			for _, r := range sum {
				most := v.newMask()
				d.compare(lessOrEqual, r, d.constant(math.MaxFloat64), most)
				check(most, d)
				if i == 0 {
					some := v.newMask()
					d.compare(greater, r, d.constant(0), some)
					check(some, d)
				}
			}
			put(sum)
		}
		// Products are large enough, or no label has one.
		least, zero := d.constant(v.pick(coef.LeastProducts32, coef.LeastProducts64)), d.constant(0)
		for i, r := range sums[1] {
			enough, none := d.newMask(), d.newMask()
			d.compare(greaterOrEqual, r, least, enough)
			d.compare(equal, sums[2][i], zero, none)
			if d.wide() {
				d.KORW(none, enough, enough)
			} else {
				d.or(none, enough, enough)
			}
			check(enough, d)
		}
		put(s.asDoubles(s.top))
		for i, r := range s.asDoubles(s.label) {
			d.add(sums[2][i], r, sums[2][i])
		}
		put(sums[2])
		v.ADDQ(operand.U8(8*v.perReg()), out)
	})
	s.most.report()
	none := v.newLabel("none")
	v.TESTQ(bad, bad)
	v.JZ(operand.LabelRef(none))
	v.MOVQ(operand.I32(-1), v.result(0))
	v.Label(none)
	v.VZEROUPPER()
	v.RET()
}

// storeMask is loadMask to a register of its own.
func (v *vec) storeMask(k mask, r gpreg) {
	if v.double() {
		v.KMOVB(k, r.As32())
	} else {
		v.KMOVW(k, r.As32())
	}
}

// asDoubles returns the elements of r as float64.
func (s *softColumns) asDoubles(r vreg) []vreg {
	if s.double() {
		return []vreg{r}
	}
	low, high := s.widen(r)
	return []vreg{low, high}
}

// lanes returns the sums of the lanes. After lane l comes, of those that wait for none, the one
// whose bits are the next in reversed order.
func (s *softColumns) lanes() (sums [3][]vreg) {
	loop := s.newLabel("lane")
	s.Label(loop)
	all := s.lane()
	for i, level := range s.levels {
		second, bit := s.newLabel("second"), 64*4>>i
		s.TESTQ(operand.U32(bit), s.off)
		s.JNZ(operand.LabelRef(second))
		for q := range level {
			for k, place := range level[q] {
				s.VMOVUPD(all[q][k], place)
			}
		}
		s.XORQ(operand.U32(64*8-bit), s.off)
		s.JMP(operand.LabelRef(loop))
		s.Label(second)
		for q := range level {
			first := []vreg{s.asRegister(level[q][0]), s.asRegister(level[q][1])}
			if s.double() {
				s.joinSums(all[q], first)
				continue
			}
			for k, r := range first {
				s.VADDPD(r, all[q][k], all[q][k])
			}
		}
	}
	for q, sum := range all {
		if s.double() {
			s.VADDPD(sum[1], sum[0], sum[0])
			sum = sum[:1]
		}
		sums[q] = sum
	}
	return sums
}

// lane returns the sums of the columns of a lane of the rows: of float32 with those of lane
// l + 8 of a virtual vector.
func (s *softColumns) lane() (all [3][]vreg) {
	if s.double() {
		for i, r := range s.columnsOf(0, 8*64) {
			all[i] = []vreg{r, s.reg()}
			s.zero(all[i][1])
		}
		return all
	}
	one := s.newLabel("one")
	sums := s.columnsOf(0, 16*64)
	s.jumpBeyond(8*64, one)
	for i, r := range s.columnsOf(8*64, 16*64) {
		s.add(sums[i], r, sums[i])
	}
	s.Label(one)
	for i, r := range sums {
		low, high := s.widen(r)
		all[i] = []vreg{low, high}
	}
	return all
}

// jumpBeyond jumps where there is no column disp bytes on.
func (s *softColumns) jumpBeyond(disp int, label string) {
	to := s.GP64()
	s.LEAQ(at(s.off, disp), to)
	s.CMPQ(to, s.end)
	s.JAE(operand.LabelRef(label))
}

// columnsOf returns the sums of exponentials, products and labels of at most four columns,
// the first disp bytes on.
func (s *softColumns) columnsOf(disp, next int) (sums []vreg) {
	done, joined := s.newLabel("columns"), s.newLabel("joined")
	e, q, l := s.newRegs(2), s.reg(), s.newRegs(2)
	for i := range 4 {
		if i > 0 {
			to := done
			if i == 3 {
				to = joined
			}
			s.jumpBeyond(disp+i*next, to)
		}
		s.take(disp+i*next, i, e[i/2], q, l[i/2])
	}
	s.Label(joined)
	s.add(e[0], e[1], e[0])
	s.add(l[0], l[1], l[0])
	s.Label(done)
	return []vreg{e[0], q, l[0]}
}

// take takes in column i of four.
func (s *softColumns) take(disp, i int, e, q, l vreg) {
	x, d, t := s.reg(), s.reg(), s.reg()
	s.move(s.at(scores, disp), x)
	s.move(s.at(labels, disp), t)
	s.most.take(t)
	s.sub(s.top, x, d)
	if i == 0 {
		s.mul(d, t, q)
	} else {
		s.fmaAcc(d, t, q)
	}
	peak, w := s.newMask(), s.at(powers, disp)
	s.compare(equal, s.top, x, peak)
	if s.wide() {
		others := s.newMask()
		s.compare(notEqual, s.top, x, others)
		s.either(s.VORPS, s.VORPD, t, s.label, peak, s.label)
		s.either(s.VADDPS, s.VADDPD, s.unit, s.count, peak, s.count)
		if i%2 == 0 {
			s.load(others, w, e)
			s.keep(others, t, l)
		} else {
			s.either(s.VADDPS, s.VADDPD, w, e, others, e)
			s.either(s.VADDPS, s.VADDPD, t, l, others, l)
		}
		return
	}
	of := s.reg()
	s.and(peak, t, of)
	s.or(of, s.label, s.label)
	s.and(peak, s.unit, of)
	s.add(s.count, of, s.count)
	if i%2 == 0 {
		s.andNot(peak, w, e)
		s.andNot(peak, t, l)
		return
	}
	s.andNot(peak, w, of)
	s.add(e, of, e)
	s.andNot(peak, t, of)
	s.add(l, of, l)
}

// softColumnScale emits the gradients of the rows.
func softColumnScale(v *vec) {
	l, least := newColumnLoop(v, "x", "t", "w"), newLeastBits(v)
	from, apart := v.param("factors"), v.stride("room")
	third := v.threeTimes(apart)
	l.run(func() {
		var factors []vreg // f, scale, the highest score or +Inf, and its derivative
		for i := range 4 {
			factors = append(factors, v.inRegister(oneOfFour(from, apart, third, i)))
		}
		v.ADDQ(operand.U8(v.bytes), from)
		v.XORQ(l.off, l.off)
		l.each(l.end, func() {
			g, t, k, r := v.reg(), v.inRegister(l.at(labels, 0)), v.newMask(), v.reg()
			least.take(t)
			v.mul(factors[0], l.at(powers, 0), g)
			v.either(v.VFNMADD231PS, v.VFNMADD231PD, t, factors[1], g)
			v.compare(equal, factors[2], l.at(scores, 0), k)
			v.choose(k, factors[3], g, r)
			v.move(r, l.at(powers, 0))
		})
	})
	least.report()
	v.VZEROUPPER()
	v.RET()
}
