package gen

import (
	"fmt"

	"github.com/zlpr/zlpr/internal/coef"
)

// flat emits the loop through n elements one after the other (see flatLoop), by groups of
// so many registers: the sides have the bits of a group, the pointers move on.
func (v *neonVec) flat(n genReg, registers int, sides []*neonSide, pointers []genReg, group func()) {
	loop, done, elements := v.newLabel("group"), v.newLabel("done"), registers*16/v.size
	for _, s := range sides {
		v.op("MOVD", s.base, s.at)
	}
	v.op("CBZ", n, done)
	v.label(loop)
	for _, s := range sides {
		s.load(elements / 8)
	}
	group()
	for _, p := range pointers {
		v.op("ADD", imm(16*registers), p)
	}
	v.op("SUB", imm(elements), n)
	v.op("CBNZ", n, loop)
	v.label(done)
}

// neonShortExp emits shortExp, two registers at a time.
func neonShortExp(v *neonVec, part bool) {
	w, x, n := v.param("w"), v.param("x"), v.param("n")
	sides := []*neonSide{v.newSide("pos", 1)}
	if part {
		sides = append(sides, v.newSide("part", 1))
	}
	v.loadTests()
	v.loadConstants()
	magic, low, high := v.naturalRange()
	e := newNeonExponential(v, magic)
	smallest := v.inRegister(v.constant(1))
	v.flat(n, 8, sides, []genReg{x, w}, func() {
		for first := 0; first < 8; first += 2 {
			y, signs, exist := v.regs(2), v.regs(2), []*vecReg(nil)
			v.loadPair(address{x, 16 * first}, y[0], y[1])
			for i := range y {
				test := v.laneTest(first + i)
				sides[0].selected(first+i, test, signs[i])
				v.flip(signs[i], y[i])
				if part {
					k := v.reg()
					sides[1].selected(first+i, test, k)
					exist = append(exist, k)
				}
				v.free(test)
				v.max(low, y[i], y[i])
				v.min(high, y[i], y[i])
			}
			p, s := e.evaluate(y)
			for i := range p {
				v.mul(p[i], s[i], p[i])
				v.VFMINNM(v.lanes(p[i]), v.lanes(smallest), v.lanes(smallest))
				if part {
					v.and(p[i], exist[i], p[i])
					v.free(exist[i])
				}
				v.xor(p[i], signs[i], p[i])
			}
			v.storePair(p[0], p[1], address{w, 16 * first})
			v.free(append(append(p, s...), signs...)...)
		}
	})
	least := v.inRegister(v.constant(coef.LeastExp32))
	v.above(least, smallest, smallest)
	v.report(smallest, false)
	v.op("RET")
}

// neonShortOdds emits shortOdds, four registers at a time, two of them together.
func neonShortOdds(v *neonVec, grad bool) {
	w, x, n := v.param("w"), v.param("x"), v.param("n")
	pos, part := v.newSide("pos", 1), v.newSide("part", 1)
	v.loadTests()
	v.loadConstants()
	bias, least, most := zeroToInf(v.elem)
	low, high := v.inRegister(v.constant(least)), v.inRegister(v.constant(most))
	e := newNeonExponential(v, v.inRegister(v.constant(bias)))
	var dst genReg
	var one, factor *vecReg
	if grad {
		dst, one, factor = v.param("dst"), v.inRegister(v.constant(1)), v.reg()
		v.setFactor(v.param("scale"), factor)
	}
	pointers := []genReg{x, w}
	if grad {
		pointers = append(pointers, dst)
	}
	v.flat(n, 4, []*neonSide{pos, part}, pointers, func() {
		for first := 0; first < 4; first += 2 {
			y, signs, exist := v.regs(2), v.regs(2), v.regs(2)
			v.loadPair(address{x, 16 * first}, y[0], y[1])
			for i := range y {
				test := v.laneTest(first + i)
				pos.selected(first+i, test, signs[i])
				v.flip(signs[i], y[i]) // which has signs then
				part.selected(first+i, test, exist[i])
				v.free(test)
				v.max(low, y[i], y[i])
				v.min(high, y[i], y[i])
			}
			p, s := e.evaluate(y)
			for i := range p {
				v.mul(p[i], s[i], p[i])
				v.and(p[i], exist[i], p[i])
			}
			v.storePair(p[0], p[1], address{w, 16 * first})
			if grad {
				for i := range p {
					v.add(p[i], one, s[i])
					v.div(p[i], s[i], s[i])
					v.xor(s[i], signs[i], s[i])
					v.mul(s[i], factor, s[i])
				}
				v.storePair(s[0], s[1], address{dst, 16 * first})
			}
			v.free(append(append(append(p, s...), signs...), exist...)...)
		}
	})
	v.op("RET")
}

// neonShortLogs emits shortLogs.
func neonShortLogs(v *neonVec) {
	q, w, rows, n := v.param("q"), v.param("w"), v.param("rows"), v.param("n")
	stride, table := v.gp(), v.gp()
	g := newNeonLogarithms(v, false, false)
	loop, joined, done := v.newLabel("rows"), v.newLabel("joined"), v.newLabel("done")
	v.op("CBZ", rows, done)
	v.op("LSL", imm(3), n, stride)
	tail := v.tailOf(n, table, 4)
	v.label(loop)
	sum := v.regs(4)
	// unit loads 8 elements.
	unit := func(u int, last bool, r []*vecReg) []*vecReg {
		for i := 0; i < len(r); i += 2 {
			v.loadPair(address{w, 64*u + 16*i}, r[i], r[i+1])
		}
		if last {
			for i := range r {
				v.and(r[i], tail[i], r[i])
			}
		}
		return r
	}
	join := func(x, y []*vecReg) {
		for i := range x {
			v.joinProducts(x[i], y[i])
		}
	}
	for units := 1; units <= 4; units++ {
		more := v.newLabel("more")
		if units < 4 {
			v.op("CMP", imm(8*units), n)
			v.op("BGT", more)
		}
		if units == 1 {
			unit(0, true, sum)
		} else {
			x, y := unit(0, false, v.regs(4)), unit(1, units == 2, v.regs(4))
			if units > 2 {
				join(x, y)
				y = unit(2, units == 3, v.regs(4))
			}
			if units > 3 {
				join(y, unit(3, true, v.regs(4)))
			}
			for i := range sum {
				v.add(x[i], y[i], sum[i])
				v.fmaAcc(x[i], y[i], sum[i])
			}
			v.free(append(x, y...)...)
		}
		if units < 4 {
			v.op("B", joined)
			v.label(more)
		}
	}
	v.label(joined)
	for i := 0; i < 4; i += 2 {
		none := v.regs(2)
		for j, r := range none {
			v.sub(sum[i+j], sum[i+j], r) // 0, or NaN
		}
		logs := g.log1p(sum[i:][:2])
		for j, r := range logs {
			v.add(r, none[j], r)
		}
		v.storePair(logs[0], logs[1], address{q, 16 * i})
		v.free(append(logs, none...)...)
	}
	v.op("ADD", imm(64), q)
	v.op("ADD", stride, w)
	v.op("SUB", imm(1), rows)
	v.op("CBNZ", rows, loop)
	v.label(done)
	v.op("RET")
}

// tailOf returns the masks of the elements of the last 8 of rows of n, in so many
// registers; it overwrites table.
func (v *neonVec) tailOf(n, table genReg, registers int) []*vecReg {
	rest := v.gp()
	v.op("SUB", imm(1), n, rest)
	v.op("AND", imm(7), rest)
	v.op("ADD", imm(1), rest)
	v.tailTable = true
	v.op("MOVD", "$tail<>(SB)", table)
	v.op("SUB", fmt.Sprintf("%v<<%d", rest, log2(v.size)), table)
	v.op("ADD", imm(128), table)
	v.release(rest)
	tail := v.regs(registers)
	for i := 0; i < registers; i += 2 {
		v.loadPair(address{table, 16 * i}, tail[i], tail[i+1])
	}
	return tail
}

// neonShortSides emits shortSides.
func neonShortSides(v *neonVec) {
	zero := v.cleared(1)[0]
	add64 := newNeonVec(v.neonFile, float64s).addTo
	v.shortTree([]genReg{v.param("a"), v.param("b")}, v.addTo, add64, func(x, y *vecReg) {
		v.VFADDPV(y.d2(), x.d2(), x.d2())
		v.free(y)
	}, func(x *vecReg) []*vecReg {
		n := v.reg()
		v.max(x, zero, n)
		v.sub(n, x, x)
		return []*vecReg{n, x}
	})
}

// neonShortJoins emits shortJoins.
func neonShortJoins(v *neonVec) {
	join64 := newNeonVec(v.neonFile, float64s).joinProducts
	v.shortTree([]genReg{v.param("u")}, v.joinProducts, join64, func(x, y *vecReg) {
		// Lane 0 of both rows, lane 1 of both.
		second := v.reg()
		v.op("VZIP2", y.d2(), x.d2(), second.d2())
		v.op("VZIP1", y.d2(), x.d2(), x.d2())
		v.free(y)
		join64(x, second)
	}, func(x *vecReg) []*vecReg { return []*vecReg{x} })
}

// shortTotal brings two rows of 8 lanes each down to one register, and frees what it
// takes: last joins the two lanes that are left of two rows, in the first.
func (v *neonVec) shortTotal(pairs int, rows [2][]*vecReg, join, join64, last func(x, y *vecReg)) *vecReg {
	for _, lanes := range rows {
		join(lanes[0], lanes[1])
	}
	x, y := rows[0][0], rows[1][0]
	if pairs <= 2 {
		second := v.reg()
		v.op("VZIP2", y.d2(), x.d2(), second.d2())
		v.op("VZIP1", y.d2(), x.d2(), x.d2())
		v.free(y)
		join(x, second)
		low, high := v.widen(x)
		v.free(x)
		x, y = low, high
	} else {
		// Lanes l and l+2.
		for _, r := range []**vecReg{&x, &y} {
			low, high := v.widen(*r)
			v.free(*r)
			join64(low, high)
			*r = low
		}
	}
	last(x, y)
	return x
}

// addTo is x += y; it frees y.
func (v *neonVec) addTo(x, y *vecReg) {
	v.add(x, y, x)
	v.free(y)
}

// shortTree emits what brings short rows down to quantities, one for each of out,
// two rows at a time, with a body for each number of pairs of registers that a row
// takes: terms returns those of a register; join, join64 and last are as in shortTotal.
func (v *neonVec) shortTree(out []genReg, join, join64, last func(x, y *vecReg), terms func(x *vecReg) []*vecReg) {
	w, rows, n := v.param("w"), v.param("rows"), v.param("n")
	stride, table := v.gp(), v.gp()
	v.op("LSL", imm(2), n, stride)
	tail := v.tailOf(n, table, 2)
	v.twoRows(rows, n, func(pairs int) {
		lanes := make([][2][]*vecReg, len(out)) // of both rows
		for row := range 2 {
			for k, r := range v.shortRow(w, pairs, tail, len(out), join, terms) {
				lanes[k][row] = r
			}
			v.op("ADD", stride, w)
		}
		for k, p := range out {
			r := v.shortTotal(pairs, lanes[k], join, join64, last)
			v.op("FMOVQ.P", r, address{p, 16})
			v.free(r)
		}
	})
	v.op("RET")
}

// twoRows emits the loops through short rows, two at a time, with a body for each number
// of units of 8 elements that a row takes.
func (v *neonVec) twoRows(rows, n genReg, body func(units int)) {
	done := v.newLabel("done")
	v.op("CBZ", rows, done)
	for units := 1; units <= 4; units++ {
		loop, longer := v.newLabel("rows"), v.newLabel("longer")
		if units < 4 {
			v.op("CMP", imm(8*units), n)
			v.op("BGT", longer)
		}
		v.label(loop)
		body(units)
		v.op("SUB", imm(2), rows)
		v.op("CBNZ", rows, loop)
		if units < 4 {
			v.op("B", done)
			v.label(longer)
		}
	}
	v.label(done)
}

// shortRow returns of each quantity of the row at w, of so many pairs of registers,
// the 8 lanes l, l+8, l+16 and l+24 joined.
func (v *neonVec) shortRow(w genReg, pairs int, tail []*vecReg, quantities int, join func(x, y *vecReg), terms func(x *vecReg) []*vecReg) (lanes [][]*vecReg) {
	all := make([][2][]*vecReg, quantities) // the halves of 8 lanes
	for pair := range pairs {
		r := v.regs(2)
		v.loadPair(address{w, 32 * pair}, r[0], r[1])
		for half, x := range r {
			if pair == pairs-1 {
				v.and(x, tail[half], x)
			}
			for k, t := range terms(x) {
				all[k][half] = append(all[k][half], t)
			}
		}
	}
	for _, halves := range all {
		lanes = append(lanes, []*vecReg{v.shortLanes(halves[0], join), v.shortLanes(halves[1], join)})
	}
	return lanes
}

// shortLanes joins lanes l and l+16, then these and l+8 and l+24, of the registers
// of lanes l, l+8, l+16 and l+24, as far as there are any; it frees all but the
// first, which has the result.
func (v *neonVec) shortLanes(r []*vecReg, join func(x, y *vecReg)) *vecReg {
	for _, k := range [][2]int{{0, 2}, {1, 3}, {0, 1}} {
		if k[1] < len(r) {
			join(r[k[0]], r[k[1]])
		}
	}
	return r[0]
}

// neonShortScale emits shortScale.
func neonShortScale(v *neonVec) {
	v.loadConstants()
	low, minusLow := v.inRegister(v.constant(coef.LeastExp32)), v.inRegister(v.constant(-coef.LeastExp32))
	v.shortGradient([]string{"fa", "fb"}, func(x *vecReg, factors []*vecReg) {
		v.scaleSides(x, low, minusLow, factors[0], factors[1])
	})
}

// shortGradient emits the loop through short rows that writes their gradients: scaled
// makes them of a register of terms, whose scope it is. The last register of a row of
// 4 elements or more ends with the row: some elements are written twice. Those of
// shorter rows are taken one at a time.
func (v *neonVec) shortGradient(names []string, scaled func(x *vecReg, factors []*vecReg)) {
	dst, dstStride, w := v.param("dst"), v.param("dstStride"), v.param("w")
	rows, n := v.param("rows"), v.param("n")
	var places []genReg
	for _, name := range names {
		places = append(places, v.param(name))
	}
	factors := v.regs(len(names))
	from, to, left := v.gp(), v.gp(), v.gp()
	row, next, last := v.newLabel("rows"), v.newLabel("next"), v.newLabel("last")
	tiny, done := v.newLabel("tiny"), v.newLabel("done")
	v.op("CBZ", rows, done)
	v.op("LSL", imm(2), n)
	v.op("LSL", imm(2), dstStride)
	v.label(row)
	for k, p := range places {
		v.broadcasts(p, factors[k])
		v.op("ADD", imm(4), p)
	}
	v.op("MOVD", w, from)
	v.op("MOVD", dst, to)
	v.op("SUBS", imm(16), n, left)
	v.op("BMI", tiny)
	v.op("CBZ", left, last)
	v.label(next)
	v.scope(func() {
		r := v.reg()
		v.op("FMOVQ.P", address{from, 16}, r)
		scaled(r, factors)
		v.op("FMOVQ.P", r, address{to, 16})
	})
	v.op("SUBS", imm(16), left)
	v.op("BGT", next)
	v.label(last)
	v.scope(func() {
		r := v.reg()
		v.op("ADD", n, w, from)
		v.op("ADD", n, dst, to)
		v.load(address{from, -16}, r)
		scaled(r, factors)
		v.store(r, address{to, -16})
	})
	v.op("ADD", n, w)
	v.op("ADD", dstStride, dst)
	v.op("SUB", imm(1), rows)
	v.op("CBNZ", rows, row)
	v.op("B", done)
	v.label(tiny)
	v.op("MOVD", n, left)
	one := v.newLabel("one")
	v.label(one)
	v.scope(func() {
		r := v.reg()
		v.op("FMOVS.P", address{from, 4}, r)
		scaled(r, factors)
		v.storeLow(r, to)
	})
	v.op("SUBS", imm(4), left)
	v.op("BGT", one)
	v.op("ADD", n, w)
	v.op("ADD", dstStride, dst)
	v.op("SUB", imm(1), rows)
	v.op("CBNZ", rows, row)
	v.label(done)
	v.op("RET")
}
