package gen

import (
	"fmt"

	"github.com/zlpr/zlpr/internal/coef"
)

// neonShortExp emits shortExp, two registers at a time.
func neonShortExp(v *neonVec, part bool) {
	w, x, n := v.param("w"), v.param("x"), v.param("n")
	sides := []*neonSide{v.newSide("pos", 1)}
	if part {
		sides = append(sides, v.newSide("part", 1))
	}
	for _, s := range sides {
		v.op("MOVD", s.base, s.at)
	}
	v.loadTests()
	v.loadConstants()
	magic, low, high := v.naturalRange()
	e := newNeonExponential(v, magic)
	smallest := v.inRegister(v.constant(1))
	loop, done := v.newLabel("group"), v.newLabel("done")
	v.op("CBZ", n, done)
	v.label(loop)
	for _, s := range sides {
		s.load(4)
	}
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
	v.op("ADD", imm(128), x)
	v.op("ADD", imm(128), w)
	v.op("SUB", imm(32), n)
	v.op("CBNZ", n, loop)
	v.label(done)
	least := v.inRegister(v.constant(coef.LeastExp32))
	v.above(least, smallest, smallest)
	v.op("VMOV", smallest.as("D").String()+"[0]", x)
	v.op("VMOV", smallest.as("D").String()+"[1]", w)
	v.op("ORR", x, w)
	v.op("MOVD", w, v.argument("bad"))
	v.op("RET")
}

// neonShortSides emits shortSides, two rows at a time, with a body for each
// number of pairs of registers that a row takes.
func neonShortSides(v *neonVec) {
	a, b, w := v.param("a"), v.param("b"), v.param("w")
	rows, n := v.param("rows"), v.param("n")
	stride, rest, table := v.gp(), v.gp(), v.gp()
	done := v.newLabel("done")
	v.op("CBZ", rows, done)
	v.op("LSL", imm(2), n, stride)
	v.comment("masks of the elements of the last pair")
	v.op("SUB", imm(1), n, rest)
	v.op("AND", imm(7), rest)
	v.op("ADD", imm(1), rest)
	v.tailTable = true
	v.op("MOVD", "$tail<>(SB)", table)
	v.op("SUB", fmt.Sprintf("%v<<2", rest), table)
	v.op("ADD", imm(128), table)
	zero, tail := v.cleared(1)[0], v.regs(2)
	v.loadPair(address{table, 0}, tail[0], tail[1])
	for pairs := 1; pairs <= 4; pairs++ {
		loop, longer := v.newLabel("rows"), v.newLabel("longer")
		if pairs < 4 {
			v.op("CMP", imm(8*pairs), n)
			v.op("BGT", longer)
		}
		v.label(loop)
		var sums [2][]*vecReg // of the rows, of the sides
		for row := range sums {
			sums[row] = v.shortRow(w, pairs, zero, tail)
			v.op("ADD", stride, w)
		}
		for side, out := range []genReg{a, b} {
			v.VFADDPV(sums[1][side].d2(), sums[0][side].d2(), sums[0][side].d2())
			v.op("FMOVQ.P", sums[0][side], address{out, 16})
			v.free(sums[0][side], sums[1][side])
		}
		v.op("SUB", imm(2), rows)
		v.op("CBNZ", rows, loop)
		if pairs < 4 {
			v.op("B", done)
			v.label(longer)
		}
	}
	v.label(done)
	v.op("RET")
}

// shortRow returns of either side of the row at w, of so many pairs of registers,
// lanes l, l+2, l+4 and so on added, l = 0, 1.
func (v *neonVec) shortRow(w genReg, pairs int, zero *vecReg, tail []*vecReg) []*vecReg {
	var all [2][2][]*vecReg // of the sides, of the halves of 8 lanes
	for pair := range pairs {
		r := v.regs(2)
		v.loadPair(address{w, 32 * pair}, r[0], r[1])
		for half, x := range r {
			if pair == pairs-1 {
				v.and(x, tail[half], x)
			}
			n := v.reg()
			v.max(x, zero, n)
			v.sub(n, x, x)
			all[0][half] = append(all[0][half], n)
			all[1][half] = append(all[1][half], x)
		}
	}
	var sums []*vecReg
	for _, side := range all {
		var d []*vecReg
		for _, r := range side {
			low, high := v.widen(v.shortLanes(r))
			d = append(d, low, high)
		}
		d64 := newNeonVec(v.neonFile, float64s)
		d64.add(d[0], d[2], d[0])
		d64.add(d[1], d[3], d[1])
		d64.add(d[0], d[1], d[0])
		v.free(d[1:]...)
		sums = append(sums, d[0])
	}
	for _, side := range all {
		for _, r := range side {
			v.free(r[0])
		}
	}
	return sums
}

// shortLanes adds lanes l and l+16, then these and l+8 and l+24, of the registers
// of lanes l, l+8, l+16 and l+24, as far as there are any; it frees all but the
// first, which has the sum.
func (v *neonVec) shortLanes(r []*vecReg) *vecReg {
	join := func(i, j int) {
		if j < len(r) {
			v.add(r[i], r[j], r[i])
			v.free(r[j])
		}
	}
	join(0, 2)
	join(1, 3)
	join(0, 1)
	return r[0]
}

// neonShortScale emits shortScale. The last register of a row of 4 elements or
// more ends with the row: some elements are written twice. Those of shorter rows
// are taken one at a time.
func neonShortScale(v *neonVec) {
	dst, dstStride, w := v.param("dst"), v.param("dstStride"), v.param("w")
	rows, n := v.param("rows"), v.param("n")
	fa, fb := v.param("fa"), v.param("fb")
	from, to, left := v.gp(), v.gp(), v.gp()
	v.loadConstants()
	low, minusLow := v.inRegister(v.constant(coef.LeastExp32)), v.inRegister(v.constant(-coef.LeastExp32))
	negative, positive := v.reg(), v.reg()
	scaled := func(x *vecReg) {
		above, below := v.reg(), v.reg()
		v.atLeast(x, low, above)
		v.atLeast(minusLow, x, below)
		kept := v.reg()
		v.or(above, below, kept)
		v.and(x, kept, x)
		v.and(above, negative, above)
		v.and(below, positive, below)
		v.or(above, below, above)
		v.mul(x, above, x)
	}
	row, next, last := v.newLabel("rows"), v.newLabel("next"), v.newLabel("last")
	tiny, done := v.newLabel("tiny"), v.newLabel("done")
	v.op("CBZ", rows, done)
	v.op("LSL", imm(2), n)
	v.op("LSL", imm(2), dstStride)
	v.label(row)
	v.broadcasts(fa, negative)
	v.broadcasts(fb, positive)
	v.op("ADD", imm(4), fa)
	v.op("ADD", imm(4), fb)
	v.op("MOVD", w, from)
	v.op("MOVD", dst, to)
	v.op("SUBS", imm(16), n, left)
	v.op("BMI", tiny)
	v.op("CBZ", left, last)
	v.label(next)
	v.scope(func() {
		r := v.reg()
		v.op("FMOVQ.P", address{from, 16}, r)
		scaled(r)
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
		scaled(r)
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
		scaled(r)
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
