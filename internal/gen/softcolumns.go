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
	v.columnBytes(l.end)
	return l
}

// columnBytes makes of the length of a row that of its columns, those that fill up four included.
func (v *vec) columnBytes(n gpreg) {
	v.ADDQ(operand.U8(3), n)
	v.ANDQ(operand.I8(-4), n)
	v.SHLQ(operand.U8(6), n)
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

// each emits a loop through the columns, so many in a turn.
func (l *columnLoop) each(name string, columns int, body func()) {
	loop := l.newLabel(name)
	l.XORQ(l.off, l.off)
	l.Label(loop)
	body()
	l.ADDQ(operand.I32(64*columns), l.off)
	l.CMPQ(l.off, l.end)
	l.JB(operand.LabelRef(loop))
}

// The columns: of scores, labels and exponentials.
const (
	scores = iota
	labels
	powers
)

// A softColumns emits the sums of rows, over four columns in a turn. The first element with the
// highest score is the peak, which is in no sum. On AVX2 what a turn adds to is in memory.
type softColumns struct {
	*columnLoop
	sums, room   gpreg // the sums lie room bytes apart,
	peaks, apart gpreg // labels, highest scores and their powers so many
	e            *exponential
	nothing      vreg // 0, on AVX-512
	low, top     op
	label, seen  op       // of the peak; the rows of which it has been there
	acc          [3][2]op // sums of exponentials, products and labels: halves of the rows, or sums and errors
	most         *labelBits
}

func softColumnSums(v *vec) {
	s := &softColumns{columnLoop: newColumnLoop(v, "x", "t", "w"), sums: v.param("sums"), room: v.stride64("room"), peaks: v.param("peaks"), apart: v.stride("room")}
	kept := v.GP64()
	v.MOVQ(s.columns[powers], kept)
	bias, _, _ := pivot0(v.elem)
	s.e = newExponential(v, v.held(bias), false)
	s.low = v.held(v.pick(coef.ScaleLow32, coef.ScaleLow64))
	s.most = newMostBits(v, v.place())
	s.place()
	sign := v.constant(math.Copysign(0, -1))
	s.run(func() {
		s.begin()
		s.each("column", 4, func() { s.four(kept) })
		s.end()
		// e to the negative of the highest score.
		y, top := v.reg(), v.asRegister(s.top)
		v.xor(top, v.asRegister(sign), y)
		p, q := s.e.evaluate([]vreg{y})
		v.mul(p[0], q[0], p[0])
		s.nanBeyond(top, p[0])
		v.move(p[0], s.peak(2))
		v.ADDQ(operand.U8(v.bytes), s.peaks)
		v.ADDQ(operand.U8(8*v.perReg()), s.sums)
	})
	s.most.report()
	v.VZEROUPPER()
	v.RET()
}

// place sets the places of what a turn adds to: registers, or where it is written to in the end.
// The errors of sums are on the stack then.
func (s *softColumns) place() {
	if s.wide() {
		s.top, s.label, s.seen, s.nothing = s.reg(), s.reg(), s.K(), s.reg()
		s.zero(s.nothing)
	} else {
		s.top, s.label, s.seen = s.peak(1), s.peak(0), s.AllocLocal(s.bytes)
	}
	for i := range s.acc {
		for half := range 2 {
			switch {
			case s.wide():
				s.acc[i][half] = s.reg()
			case s.double() && half == 1:
				s.acc[i][half] = s.AllocLocal(s.bytes)
			default:
				s.acc[i][half] = s.sum(i, half)
			}
		}
	}
}

// sum is the place of half of sum i of the rows.
func (s *softColumns) sum(i, half int) operand.Mem {
	m := oneOfFour(s.sums, s.room, nil, i)
	m.Disp = half * s.bytes
	return m
}

// peak is the place of what is known of the peaks: labels, scores or powers.
func (s *softColumns) peak(i int) operand.Mem { return oneOfFour(s.peaks, s.apart, nil, i) }

// end writes the sums, the labels and the highest scores, unless they are there.
func (s *softColumns) end() {
	d := &vec{s.file, s.tier, float64s}
	for i, acc := range s.acc {
		if s.double() {
			a := d.asRegister(acc[0])
			d.add(a, acc[1], a)
			d.move(a, s.sum(i, 0))
		} else if s.wide() {
			d.move(acc[0], s.sum(i, 0))
			d.move(acc[1], s.sum(i, 1))
		}
	}
	if s.wide() {
		s.move(s.label, s.peak(0))
		s.move(s.top, s.peak(1))
	}
}

// nanBeyond makes powers NaN where the magnitude of top is beyond the limit.
func (s *softColumns) nanBeyond(top, power vreg) {
	magnitude, k := s.reg(), s.newMask()
	bits := math.Float64frombits(1<<63 - 1)
	if !s.double() {
		bits = float64(math.Float32frombits(1<<31 - 1))
	}
	s.and(top, s.asRegister(s.constant(bits)), magnitude)
	s.compare(notLessOrEqual, magnitude, s.constant(s.pick(coef.ColumnLimit32, coef.ColumnLimit64)), k)
	if s.wide() {
		s.either(s.VMOVUPS, s.VMOVUPD, s.inRegister(s.constant(math.NaN())), k, power)
	} else {
		s.or(power, k, power)
	}
}

// stride64 is a distance of float64 numbers in bytes.
func (v *vec) stride64(name string) gpreg {
	r := v.param(name)
	v.SHLQ(operand.U8(3), r)
	return r
}

// begin finds the highest scores of the rows and clears what sums are added to.
func (s *softColumns) begin() {
	top, zero := s.reg(), s.reg()
	s.move(at(s.columns[scores], 0), top)
	s.each("highest", 4, func() {
		for i := range 4 {
			s.max(top, s.at(scores, 64*i), top)
		}
	})
	if top != s.top {
		s.move(top, s.top)
	}
	s.zero(zero)
	s.move(zero, s.label)
	if s.wide() {
		s.KXORW(s.seen, s.seen, s.seen)
	} else {
		s.move(zero, s.seen)
	}
	for _, acc := range s.acc {
		for _, a := range acc {
			s.move(zero, a)
		}
	}
}

// four adds four columns, and keeps their exponentials unless kept is nil. What labels give
// comes between the steps of the polynomial, which wait for each other: on AVX2, which
// has no registers left, only their products.
func (s *softColumns) four(kept gpreg) {
	low := s.asRegister(s.low)
	y := s.newRegs(4)
	for i, r := range y {
		s.max(low, s.at(scores, 64*i), r)
	}
	r, t, free := s.e.reduce(y, false)
	l := &columnLabels{softColumns: s}
	if s.wide() {
		l.top, l.label, l.seen = s.asRegister(s.top), s.asRegister(s.label), s.seen
	}
	i, early := 0, !s.double() // exact sums take more registers
	p, q := s.e.powersWith(r, t, free, func() {
		switch {
		case i == 4:
			s.most.takeAt(s.at(labels, 0), s.at(labels, 64), s.at(labels, 128), s.at(labels, 192))
		case i == 5 && early:
			s.accumulate(s.acc[1], l.product)
		case i < 4 && s.wide():
			l.multiply(i)
			l.takeOut(i)
		case i < 4:
			l.multiply(i)
		}
		i++
	})
	for i, r := range p {
		s.mul(r, q[i], r)
	}
	none := s.newLabel("none")
	s.TESTQ(kept, kept)
	s.JZ(operand.LabelRef(none))
	for i, r := range p {
		s.move(r, s.at(powers, 64*i))
	}
	s.Label(none)
	if !s.wide() {
		l.top, l.label, l.seen = s.asRegister(s.top), s.asRegister(s.label), s.asRegister(s.seen)
	}
	for i, e := range p {
		if !s.wide() {
			l.takeOut(i)
		}
		l.without(i, e)
		if i%2 == 1 {
			s.add(p[i-1], e, p[i-1])
			s.add(l.t[i-1], l.t[i], l.t[i-1])
		}
	}
	if !s.wide() {
		s.move(l.label, s.label)
		s.move(l.seen, s.seen)
	}
	s.add(p[0], p[2], p[0])
	s.add(l.t[0], l.t[2], l.t[0])
	s.accumulate(s.acc[0], p[0])
	s.accumulate(s.acc[2], l.t[0])
	if !early {
		s.accumulate(s.acc[1], l.product)
	}
}

// columnLabels are the labels of four columns.
type columnLabels struct {
	*softColumns
	top, label vreg
	seen       mask
	product    vreg
	t          []vreg // without those of peaks
	first      []mask // the rows whose peak column i is
}

// multiply adds the product of column i.
func (l *columnLabels) multiply(i int) {
	d, t := l.reg(), l.at(labels, 64*i)
	if l.wide() {
		l.sub(l.top, l.at(scores, 64*i), d)
	} else {
		l.move(l.softColumns.top, d)
		l.sub(d, l.at(scores, 64*i), d)
	}
	if i == 0 {
		l.product = d
		l.mul(d, t, d)
	} else {
		l.fmaAcc(d, t, l.product)
	}
}

// takeOut takes the labels of peaks in column i out of its labels, to label.
func (l *columnLabels) takeOut(i int) {
	k, first, t := l.newMask(), l.newMask(), l.reg()
	l.t, l.first = append(l.t, t), append(l.first, first)
	l.compare(equal, l.top, l.at(scores, 64*i), k)
	if l.wide() {
		l.move(l.at(labels, 64*i), t)
		l.KANDNW(k, l.seen, first)
		l.KORW(k, l.seen, l.seen)
		l.either(l.VORPS, l.VORPD, t, l.label, first, l.label)
		l.clear(first, t)
		return
	}
	l.andNot(l.seen, k, first)
	l.or(k, l.seen, l.seen)
	l.choose(first, l.at(labels, 64*i), l.label, l.label)
	l.andNot(first, l.at(labels, 64*i), t)
}

// without takes the peaks in column i out of e.
func (l *columnLabels) without(i int, e vreg) {
	if l.wide() {
		l.clear(l.first[i], e)
	} else {
		l.andNot(l.first[i], e, e)
	}
}

// clear clears the lanes of k in r, on AVX-512. (Of r exclusive-or r under k avo believes that
// it takes neither r nor k.)
func (s *softColumns) clear(k mask, r vreg) { s.either(s.VMOVUPS, s.VMOVUPD, s.nothing, k, r) }

// accumulate adds x to the sums of the rows.
func (s *softColumns) accumulate(acc [2]op, x vreg) {
	d := &vec{s.file, s.tier, float64s}
	if s.double() {
		a, b := s.asRegister(acc[0]), s.asRegister(acc[1])
		s.twoSum(a, b, x)
		s.put(a, acc[0])
		s.put(b, acc[1])
		return
	}
	low, high := s.widen(x)
	for i, r := range []vreg{low, high} {
		if a, ok := acc[i].(vreg); ok {
			d.add(a, r, a)
			continue
		}
		d.add(r, acc[i], r)
		d.move(r, acc[i])
	}
}

// put moves r to its place, unless it is that.
func (s *softColumns) put(r vreg, place op) {
	if op(r) != place {
		s.move(r, place)
	}
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
		l.each("column", 1, func() {
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
