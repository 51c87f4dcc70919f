package gen

import (
	"github.com/zlpr/zlpr/internal/coef"
)

// neonShortPowers emits shortPowers, four registers at a time.
func neonShortPowers(v *neonVec) {
	w, x, n, p := v.param("w"), v.param("x"), v.param("n"), v.param("p")
	v.loadConstants()
	magic, low, high := v.reg(), v.reg(), v.reg()
	v.broadcasts(p, magic, low, high)
	e := newNeonExponential(v, magic)
	v.flat(n, 8, nil, []genReg{x, w}, func() {
		for first := 0; first < 8; first += 4 {
			y := v.regs(4)
			for i := 0; i < 4; i += 2 {
				v.loadPair(address{x, 16 * (first + i)}, y[i], y[i+1])
			}
			for _, r := range y {
				v.max(low, r, r)
				v.min(high, r, r)
			}
			p, s := e.evaluate(y)
			for i := range p {
				v.mul(p[i], s[i], p[i])
			}
			for i := 0; i < 4; i += 2 {
				v.storePair(p[i], p[i+1], address{w, 16 * (first + i)})
			}
			v.free(append(p, s...)...)
		}
	})
	v.op("RET")
}

// A neonShortSum sums short rows of so many units of 8 elements, two rows at a time.
type neonShortSum struct {
	*neonVec
	w                genReg
	tail             []*vecReg // masks of the registers of the last unit
	plain            *vecReg   // of the rows so far
	ratio, low, high *vecReg
}

// neonShortTotals emits shortTotals.
func neonShortTotals(v *neonVec) {
	s := &neonShortSum{neonVec: v, w: v.param("w")}
	rows, n := v.param("rows"), v.param("n")
	out := []genReg{v.param("sum")}
	if v.double() {
		out = append(out, v.param("err"))
	}
	stride, table := v.gp(), v.gp()
	d := newNeonVec(v.neonFile, float64s)
	d.loadConstants()
	s.ratio = d.inRegister(d.constant(v.pick(coef.PlainRatio32, coef.PlainRatio64)))
	s.low = d.inRegister(d.constant(v.pick(coef.NaturalLow32, coef.NaturalLow64)))
	s.high = d.inRegister(d.constant(v.pick(coef.NaturalHigh32, coef.NaturalHigh64)))
	s.plain = v.reg()
	v.op("VCMEQ", s.plain.b16(), s.plain.b16(), s.plain.b16())
	v.op("LSL", imm(log2(v.size)), n, stride)
	s.tail = v.tailOf(n, table, v.size/2)
	v.twoRows(rows, n, func(units int) {
		x := s.row(units)
		v.op("ADD", stride, s.w)
		y := s.row(units)
		v.op("ADD", stride, s.w)
		for i, r := range s.last(x, y) {
			v.op("FMOVQ.P", r, address{out[i], 16})
			v.free(r)
		}
	})
	v.report(s.plain, true)
	v.op("RET")
}

// row returns the lanes l, l+2, l+4 and so on joined, l = 0, 1, of the row at w: the
// sums and, of float64, their errors.
func (s *neonShortSum) row(units int) []*vecReg {
	v := s.neonVec
	unit := func(u int) []*vecReg {
		r := v.regs(len(s.tail))
		for i := 0; i < len(r); i += 2 {
			v.loadPair(address{s.w, 8*v.size*u + 16*i}, r[i], r[i+1])
		}
		if u == units-1 {
			for i := range r {
				v.and(r[i], s.tail[i], r[i])
			}
		}
		return r
	}
	// pair returns the sum of a unit and of the one step units on, if that is there.
	pair := func(u, step int) []*vecReg {
		r := unit(u)
		if u+step < units {
			for i, x := range unit(u + step) {
				v.addTo(r[i], x)
			}
		}
		return r
	}
	var lanes [][]*vecReg // of registers
	if v.double() {
		sums, errs := pair(0, 1), v.cleared(4)
		if units > 2 {
			for i, x := range pair(2, 1) {
				v.twoSum(sums[i], errs[i], x)
				v.free(x)
			}
		}
		for i := range sums {
			lanes = append(lanes, []*vecReg{sums[i], errs[i]})
		}
	} else {
		lanes = s.doubles(pair(0, 2))
		if units > 1 {
			for i, x := range s.doubles(pair(1, 2)) {
				s.join(lanes[i], x)
			}
		}
	}
	s.join(lanes[0], lanes[2])
	s.join(lanes[1], lanes[3])
	s.join(lanes[0], lanes[1])
	return lanes[0]
}

// doubles returns 8 float32 elements as float64, and frees them.
func (s *neonShortSum) doubles(x []*vecReg) (d [][]*vecReg) {
	for _, r := range x {
		low, high := s.widen(r)
		d = append(d, []*vecReg{low}, []*vecReg{high})
		s.free(r)
	}
	return d
}

// join is x += y, for float64 with the errors; it frees y.
func (s *neonShortSum) join(x, y []*vecReg) {
	if len(x) == 1 {
		s.VFADD(y[0].d2(), x[0].d2(), x[0].d2())
	} else {
		s.VFADD(y[1].d2(), x[1].d2(), x[1].d2())
		s.twoSum(x[0], x[1], y[0])
	}
	s.free(y...)
}

// last joins the even and the odd elements of two rows, and returns the quantities of
// both in a register each: it tells which rows are plain. It frees x and y.
func (s *neonShortSum) last(x, y []*vecReg) []*vecReg {
	even, odd := s.regs(len(x)), s.regs(len(x))
	for i := range x {
		s.op("VZIP1", y[i].d2(), x[i].d2(), even[i].d2())
		s.op("VZIP2", y[i].d2(), x[i].d2(), odd[i].d2())
	}
	s.free(append(x, y...)...)
	d := newNeonVec(s.neonFile, float64s)
	least, k := s.reg(), s.reg()
	d.min(even[0], odd[0], least)
	d.mul(least, s.ratio, least)
	s.join(even, odd)
	for _, c := range [][2]*vecReg{{least, even[0]}, {even[0], s.low}, {s.high, even[0]}} {
		d.atLeast(c[0], c[1], k)
		s.and(k, s.plain, s.plain)
	}
	s.free(least, k)
	return even
}
