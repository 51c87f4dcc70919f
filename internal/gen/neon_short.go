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
func neonShortExp(v *neonVec) {
	w, x, n := v.param("w"), v.param("x"), v.param("n")
	pos, part := v.newSide("pos", 1), v.newSide("part", 1)
	v.op("MOVD", part.base, part.at)
	v.loadTests()
	v.loadConstants()
	magic, low, high := v.naturalRange()
	e := newNeonExponential(v, magic)
	smallest := v.inRegister(v.constant(1))
	v.flat(n, 8, []*neonSide{pos}, []genReg{x, w}, func() {
		all := v.newLabel("all")
		v.op("CBZ", part.base, all)
		part.load(4)
		v.label(all)
		for first := 0; first < 8; first += 2 {
			y, signs := v.regs(2), v.regs(2)
			v.loadPair(address{x, 16 * first}, y[0], y[1])
			for i := range y {
				test := v.laneTest(first + i)
				pos.selected(first+i, test, signs[i])
				v.flip(signs[i], y[i])
				v.free(test)
				v.max(low, y[i], y[i])
				v.min(high, y[i], y[i])
			}
			p, s := e.evaluate(y)
			for i := range p {
				v.mul(p[i], s[i], p[i])
				v.VFMINNM(v.lanes(p[i]), v.lanes(smallest), v.lanes(smallest))
			}
			exist := v.newLabel("exist")
			v.op("CBZ", part.base, exist)
			for i := range p {
				test := v.laneTest(first + i)
				part.selected(first+i, test, s[i])
				v.and(p[i], s[i], p[i])
				v.free(test)
			}
			v.label(exist)
			for i := range p {
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
func neonShortOdds(v *neonVec) {
	w, x, n, dst := v.param("w"), v.param("x"), v.param("n"), v.param("dst")
	pos, part, lost := v.newSide("pos", 1), v.newSide("part", 1), v.param("lost")
	v.loadTests()
	v.loadConstants()
	bias, least, most := zeroToInf(v.elem)
	low, high := v.inRegister(v.constant(least)), v.inRegister(v.constant(most))
	e := newNeonExponential(v, v.inRegister(v.constant(bias)))
	without, one, factor := v.newLabel("without"), v.inRegister(v.constant(1)), v.reg()
	v.op("CBZ", dst, without)
	v.setFactor(v.param("scale"), factor)
	v.label(without)
	v.flat(n, 4, []*neonSide{pos, part}, []genReg{x, w}, func() {
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
			}
			complete := v.newLabel("complete")
			v.op("CBZ", lost, complete)
			v.loadPair(address{lost, 16 * first}, s[0], s[1])
			for i := range p {
				v.xor(s[i], signs[i], s[i])
				v.fmaAcc(p[i], s[i], p[i])
			}
			if first == 2 {
				v.op("ADD", imm(64), lost)
			}
			v.label(complete)
			for i := range p {
				v.and(p[i], exist[i], p[i])
			}
			v.storePair(p[0], p[1], address{w, 16 * first})
			none := v.newLabel("none")
			v.op("CBZ", dst, none)
			for i := range p {
				v.add(p[i], one, s[i])
				v.div(p[i], s[i], s[i])
				v.xor(s[i], signs[i], s[i])
				v.mul(s[i], factor, s[i])
			}
			v.storePair(s[0], s[1], address{dst, 16 * first})
			if first == 2 {
				v.op("ADD", imm(64), dst)
			}
			v.label(none)
			v.free(append(append(append(p, s...), signs...), exist...)...)
		}
	})
	v.op("RET")
}

// neonShortDifferences emits shortDifferences.
func neonShortDifferences(v *neonVec) {
	y, lost, x, s0 := v.param("y"), v.param("lost"), v.param("x"), v.param("s0")
	rows, n, left := v.param("rows"), v.param("n"), v.gp()
	base, at := []genReg{y, lost, x}, []genReg{v.gp(), v.gp(), v.gp()}
	stride := v.gp()
	row, group, done := v.newLabel("row"), v.newLabel("group"), v.newLabel("done")
	v.op("CBZ", rows, done)
	v.op("LSL", imm(log2(v.size)), n, stride)
	v.label(row)
	hi, lo := v.reg(), v.reg()
	v.op("FMOVD.P", address{s0, 8}, hi)
	if v.double() {
		v.op("VDUP", hi.as("D").String()+"[0]", v.lanes(hi))
		v.zero(lo)
	} else {
		s := v.reg()
		v.op("FCVTDS", hi, s)
		v.op("FCVTSD", s, lo)
		v.op("FSUBD", lo, hi, lo)
		v.op("FCVTDS", lo, lo)
		v.op("VDUP", s.as("S").String()+"[0]", v.lanes(hi))
		v.op("VDUP", lo.as("S").String()+"[0]", v.lanes(lo))
		v.free(s)
	}
	for i, r := range base {
		v.op("MOVD", r, at[i])
		v.op("ADD", stride, r)
	}
	v.op("MOVD", n, left)
	v.label(group)
	r := v.reg()
	v.op("FMOVQ.P", address{at[2], 16}, r)
	d, short := v.difference(r, hi, lo)
	v.op("FMOVQ.P", d, address{at[0], 16})
	v.op("FMOVQ.P", short, address{at[1], 16})
	v.op("SUBS", imm(16/v.size), left)
	v.op("BGT", group)
	v.op("SUB", imm(1), rows)
	v.op("CBNZ", rows, row)
	v.label(done)
	v.op("RET")
}

// neonShortSoft emits shortSoft, four registers at a time, two of them together.
func neonShortSoft(v *neonVec) {
	w, m, dst, x, t := v.param("w"), v.param("m"), v.param("dst"), v.param("x"), v.param("t")
	n, part := v.param("n"), v.newSide("part", 1)
	v.loadTests()
	v.loadConstants()
	bias, _, _ := zeroToInf(v.elem)
	linear, factor := newNeonSoftLinearPart(v), v.reg()
	e := newNeonExponential(v, v.inRegister(v.constant(bias)))
	without := v.newLabel("without")
	scale := v.param("scale")
	v.op("CBZ", dst, without)
	v.setFactor(scale, factor)
	v.label(without)
	v.flat(n, 4, []*neonSide{part}, []genReg{x, t, w, m}, func() {
		for first := 0; first < 4; first += 2 {
			place := func(base genReg, i int) address { return address{base, 16 * (first + i)} }
			var parts, y []*vecReg
			exist := v.regs(2)
			for i, k := range exist {
				test := v.laneTest(first + i)
				part.selected(first+i, test, k)
				v.free(test)
				r, a := linear.argument(place(x, i), place(t, i))
				v.and(r, k, r)
				parts, y = append(parts, r), append(y, a)
			}
			v.storePair(parts[0], parts[1], place(m, 0))
			p, s := e.evaluate(y)
			for i := range p {
				v.mul(p[i], s[i], p[i])
				v.and(p[i], exist[i], p[i])
			}
			v.storePair(p[0], p[1], place(w, 0))
			none := v.newLabel("none")
			v.op("CBZ", dst, none)
			var g []*vecReg
			for i := range p {
				r := linear.gradient(p[i], place(x, i), place(t, i))
				v.mul(r, factor, r)
				v.and(r, exist[i], r)
				g = append(g, r)
			}
			v.storePair(g[0], g[1], place(dst, 0))
			if first == 2 {
				v.op("ADD", imm(64), dst)
			}
			v.free(g...)
			v.label(none)
			v.free(append(append(append(p, s...), parts...), exist...)...)
		}
	})
	v.op("RET")
}

// neonShortLogs emits shortLogs.
func neonShortLogs(v *neonVec) {
	q, w, m, rows, n := v.param("q"), v.param("w"), v.param("m"), v.param("rows"), v.param("n")
	stride, table := v.gp(), v.gp()
	g := newNeonLogarithms(v, false, false)
	loop, without, done := v.newLabel("rows"), v.newLabel("without"), v.newLabel("done")
	v.op("CBZ", rows, done)
	v.op("LSL", imm(3), n, stride)
	lanes := &neonRowLanes{v, n, v.tailOf(n, table, 4)}
	v.label(loop)
	sum := lanes.joined(w, func(x, y, d *vecReg) {
		v.add(x, y, d)
		v.fmaAcc(x, y, d)
	})
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
	v.op("CBZ", m, without)
	sum = lanes.joined(m, v.add)
	for i := 0; i < 4; i += 2 {
		logs := v.regs(2)
		v.loadPair(address{q, 16 * i}, logs[0], logs[1])
		for j, r := range logs {
			v.add(sum[i+j], r, r)
		}
		v.storePair(logs[0], logs[1], address{q, 16 * i})
		v.free(logs...)
	}
	v.free(sum...)
	v.op("ADD", stride, m)
	v.label(without)
	v.op("ADD", imm(64), q)
	v.op("ADD", stride, w)
	v.op("SUB", imm(1), rows)
	v.op("CBNZ", rows, loop)
	v.label(done)
	v.op("RET")
}

// A neonRowLanes is a rowLanes.
type neonRowLanes struct {
	*neonVec
	n    genReg
	tail []*vecReg
}

// joined returns the elements l, l+8, l+16 and l+24 of the row at base; one joins x and y in
// another register.
func (v *neonRowLanes) joined(base genReg, one func(x, y, d *vecReg)) []*vecReg {
	sum, joined := v.regs(4), v.newLabel("joined")
	// unit loads 8 elements.
	unit := func(u int, last bool, r []*vecReg) []*vecReg {
		for i := 0; i < len(r); i += 2 {
			v.loadPair(address{base, 64*u + 16*i}, r[i], r[i+1])
		}
		if last {
			for i := range r {
				v.and(r[i], v.tail[i], r[i])
			}
		}
		return r
	}
	join := func(x, y []*vecReg) (d []*vecReg) {
		for i := range x {
			d = append(d, v.reg())
			one(x[i], y[i], d[i])
			v.free(x[i], y[i])
		}
		return d
	}
	for units := 1; units <= 4; units++ {
		more := v.newLabel("more")
		if units < 4 {
			v.op("CMP", imm(8*units), v.n)
			v.op("BGT", more)
		}
		if units == 1 {
			unit(0, true, sum)
		} else {
			x, y := unit(0, false, v.regs(4)), unit(1, units == 2, v.regs(4))
			if units > 2 {
				x, y = join(x, y), unit(2, units == 3, v.regs(4))
			}
			if units > 3 {
				y = join(y, unit(3, true, v.regs(4)))
			}
			for i, d := range sum { // the same registers for rows of any length
				one(x[i], y[i], d)
			}
			v.free(append(x, y...)...)
		}
		if units < 4 {
			v.op("B", joined)
			v.neonVec.label(more)
		}
	}
	v.neonVec.label(joined)
	return sum
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
	v.shortTree(v.shortSum("w", func(x *vecReg) []*vecReg {
		n := v.reg()
		v.max(x, zero, n)
		v.sub(n, x, x)
		return []*vecReg{n, x}
	}, "a", "b"))
}

// shortSum adds what terms returns of the elements at an argument.
func (v *neonVec) shortSum(from string, terms func(x *vecReg) []*vecReg, out ...string) *neonShortTree {
	return v.newShortTree(neonShortTree{
		join: v.addTo, join64: newNeonVec(v.neonFile, float64s).addTo,
		last: func(x, y *vecReg) {
			v.VFADDPV(y.d2(), x.d2(), x.d2())
			v.free(y)
		}, terms: terms,
	}, from, out...)
}

// neonShortJoins emits shortJoins.
func neonShortJoins(v *neonVec) {
	join64 := newNeonVec(v.neonFile, float64s).joinProducts
	itself := func(x *vecReg) []*vecReg { return []*vecReg{x} }
	joins := v.newShortTree(neonShortTree{
		join: v.joinProducts, join64: join64,
		last: func(x, y *vecReg) {
			// Lane 0 of both rows, lane 1 of both.
			second := v.reg()
			v.op("VZIP2", y.d2(), x.d2(), second.d2())
			v.op("VZIP1", y.d2(), x.d2(), x.d2())
			v.free(y)
			join64(x, second)
		}, terms: itself,
	}, "w", "u")
	v.shortTree(joins, v.shortSum("m", itself, "sum"))
}

// A neonShortTree brings elements of short rows down to quantities, one for each of out:
// terms returns those of a register; join and join64 join two registers, last the two lanes
// that are left of two rows, in the first.
type neonShortTree struct {
	from               genReg
	out                []genReg
	join, join64, last func(x, y *vecReg)
	terms              func(x *vecReg) []*vecReg
}

func (v *neonVec) newShortTree(t neonShortTree, from string, out ...string) *neonShortTree {
	t.from = v.param(from)
	for _, name := range out {
		t.out = append(t.out, v.param(name))
	}
	return &t
}

// total brings two rows of 8 lanes each down to one register, and frees what it takes.
func (t *neonShortTree) total(v *neonVec, pairs int, rows [2][]*vecReg) *vecReg {
	join, join64, last := t.join, t.join64, t.last
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

// shortTree emits what brings short rows down to quantities, two rows at a time, with a
// body for each number of pairs of registers that a row takes. Only the first tree needs
// to have elements.
func (v *neonVec) shortTree(trees ...*neonShortTree) {
	rows, n := v.param("rows"), v.param("n")
	stride, table := v.gp(), v.gp()
	v.op("LSL", imm(2), n, stride)
	tail := v.tailOf(n, table, 2)
	v.twoRows(rows, n, func(pairs int) {
		for i, t := range trees {
			without := v.newLabel("without")
			if i > 0 {
				v.op("CBZ", t.from, without)
			}
			lanes := make([][2][]*vecReg, len(t.out)) // of both rows
			for row := range 2 {
				for k, r := range v.shortRow(t.from, pairs, tail, len(t.out), t.join, t.terms) {
					lanes[k][row] = r
				}
				v.op("ADD", stride, t.from)
			}
			for k, p := range t.out {
				r := t.total(v, pairs, lanes[k])
				v.op("FMOVQ.P", r, address{p, 16})
				v.free(r)
			}
			v.label(without)
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
