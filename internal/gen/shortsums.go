package gen

import (
	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// This file emits the kernels of log-sum-exp of short rows (see kernel/shortsums.go).

// shortPowers emits the exponentials of elements one after the other.
func shortPowers(v *vec) {
	l := newFlatLoop(v)
	p := v.param("p")
	var limits [3]op // magic number, low, high
	for i := range limits {
		limits[i] = v.kept(at(p, i*v.size))
	}
	l.run(newExponential(v, limits[0], !v.double()), limits[1], limits[2], func(p, q []vreg) {
		for i := range p {
			v.mul(p[i], q[i], p[i])
			v.move(p[i], at(l.w, i*v.bytes))
		}
	})
	v.VZEROUPPER()
	v.RET()
}

// shortTotals emits the sums of short rows.
func shortTotals(v *vec) {
	if !v.double() && v.wide() {
		// Two rows of 8 side by side take more than one in each of two smaller registers.
		others := v.newLabel("others")
		v.CMPQ(v.argument("n"), operand.U8(8))
		v.JNE(operand.LabelRef(others))
		shortTotalsOf(&vec{v.file, avx2, v.elem}, 0)
		v.Label(others)
	}
	shortTotalsOf(v, 4)
}

// shortTotalsOf emits shortTotals of rows of at most so many units of 8, 0 for one that is
// whole.
func shortTotalsOf(v *vec, units int) {
	s := &shortSum{shortLoop: newShortLoop(v, 8), plain: v.newMask()}
	s.w = v.param("w")
	out := []gpreg{v.param("sum")}
	if v.double() {
		out = append(out, v.param("err"))
	}
	v.fillMask(s.plain)
	var bodies []shortBody
	body := func(u int, whole bool) {
		bodies = append(bodies, shortBody{n: 8 * u, exactly: whole && units > 0, emit: func() { s.totals(u, whole, out) }})
	}
	if !v.double() && (units == 0 || !v.wide()) {
		body(1, true) // converted on their way from memory
	}
	for u := 1; u <= units; u++ {
		body(u, false)
	}
	s.run(v.bytes/8, bodies)
	bits := v.GP64()
	v.maskBits(s.plain, bits)
	v.XORQ(operand.U32(1<<(v.bytes/8)-1), bits)
	v.Store(bits, v.ReturnIndex(0))
	v.VZEROUPPER()
	v.RET()
}

// A shortSum sums short rows of so many units of 8 elements, side by side.
type shortSum struct {
	*shortLoop
	plain mask // of the rows so far
}

// totals writes the sums of rows of so many units, which are whole or may not be.
func (s *shortSum) totals(units int, whole bool, out []gpreg) {
	s.sideBySide(func() {
		totals := s.rowTree(func(row int) []vreg { return s.lanes(s.place(row), units, whole) }, s.joinSums, s.last)
		for k, p := range out {
			s.VMOVUPD(totals[k], at(p, 0))
			s.ADDQ(operand.U8(s.bytes), p)
		}
	})
}

// last is the join of the even and the odd elements: it tells which rows are plain.
func (s *shortSum) last(x, y []vreg) {
	v := &vec{s.file, s.tier, float64s}
	least := v.reg()
	v.min(x[0], y[0], least)
	v.mul(least, v.constant(plainRatio(s.elem)), least)
	s.joinSums(x, y)
	s.also(greaterOrEqual, least, x[0])
	s.also(greaterOrEqual, x[0], v.constant(s.pick(coef.NaturalLow32, coef.NaturalLow64)))
	s.also(lessOrEqual, x[0], v.constant(s.pick(coef.NaturalHigh32, coef.NaturalHigh64)))
}

// also leaves those lanes plain where the comparison is true.
func (s *shortSum) also(predicate uint8, a vreg, m op) {
	if s.wide() {
		s.VCMPPD(operand.U8(predicate), m, a, s.plain, s.plain)
		return
	}
	k := s.reg()
	s.VCMPPD(operand.U8(predicate), m, a, k)
	s.VANDPD(k, s.plain, s.plain)
}

// lanes returns the 8 lanes of the row at mem: the sums and, of float64, their
// errors; on AVX2 of lanes l and l+4.
func (s *shortSum) lanes(mem operand.Mem, units int, whole bool) []vreg {
	// unit returns register i of a unit, in memory if that is whole.
	unit := func(u, i int) op {
		m := mem
		m.Disp += u*8*s.size + i*s.bytes
		if u < units-1 || whole {
			return m
		}
		r := s.part()
		if s.wide() {
			s.load(s.tail[i], m, r)
		} else {
			s.and(s.tail[i], m, r) // what follows may be read
		}
		return r
	}
	// pair returns the sum of a unit and of the one step units on, if that is there.
	pair := func(u, step, i int) op {
		a := unit(u, i)
		if u+step >= units {
			return a
		}
		r := s.part()
		s.move(a, r)
		s.add(r, unit(u+step, i), r)
		return r
	}
	if s.double() {
		var x [2][]vreg
		halves := len(s.tail)
		for i := range halves {
			sum, err := s.reg(), s.reg()
			s.move(pair(0, 1, i), sum)
			s.zero(err)
			if units > 2 {
				more := s.reg()
				s.move(pair(2, 1, i), more)
				s.twoSum(sum, err, more)
			}
			x[i] = []vreg{sum, err}
		}
		if halves == 2 {
			s.joinSums(x[0], x[1])
		}
		return x[0]
	}
	d := s.doubles(pair(0, 2, 0))
	if units > 1 {
		more := s.doubles(pair(1, 2, 0))
		for i := range d {
			s.VADDPD(more[i], d[i], d[i])
		}
	}
	if len(d) == 2 {
		s.VADDPD(d[1], d[0], d[0])
	}
	return d[:1]
}

// part returns a register for 8 float32 or as many float64 as it holds.
func (s *shortSum) part() vreg {
	if s.double() {
		return s.reg()
	}
	return s.YMM()
}

// doubles returns 8 float32 elements as float64.
func (s *shortSum) doubles(x op) (d []vreg) {
	mem, inMemory := x.(operand.Mem)
	if s.wide() {
		r := s.reg()
		s.VCVTPS2PD(x, r)
		return []vreg{r}
	}
	low, high := s.reg(), s.reg()
	if inMemory {
		s.VCVTPS2PD(mem, low)
		mem.Disp += 16
		s.VCVTPS2PD(mem, high)
		return []vreg{low, high}
	}
	l, h := s.split(x.(vreg))
	s.VCVTPS2PD(l, low)
	s.VCVTPS2PD(h, high)
	return []vreg{low, high}
}

// plainRatio is how many times the lesser half of a plain row makes at least the sum.
func plainRatio(e elem) float64 { return e.pick(coef.PlainRatio32, coef.PlainRatio64) }
