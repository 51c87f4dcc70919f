package gen

import (
	"fmt"
	"math"

	"github.com/zlpr/zlpr/internal/coef"
)

// neonSelectSums emits the sums of e^x over the negative and of e^-x over the
// positive classes, in the order that selectSums describes. Four registers go
// through the exponential together; the accumulators lie on the stack.
func neonSelectSums(v *neonVec, keep bool) {
	const (
		bytes = 256 // of a group
		// The stack: the rest of a row, then the accumulators.
		stack = bytes + 2*2*64
	)
	v.loaded = false
	doc := []string{
		"writes for every row i the sum of e^y, y clamped to the range of pivot 0, to a[i] over the elements",
		"of neg, y = x[i·stride+j], and to b[i] over those of pos, y = -x. Bits beyond n are 0.",
	}
	source := "x *" + v.goType + ", stride, rows, n int, pos, neg *uint64, words int"
	if keep {
		v.function("selectExp"+v.bits+"NEON", "a, b *float64, w *"+v.goType+", wStride int, "+source, stack,
			append(doc, "It writes e^y, for pos -e^y, for others 0, to w[i·wStride+j], and anything on to the end of the row's",
				"last group.")...)
	} else {
		v.function("selectSums"+v.bits+"NEON", "a, b *float64, "+source, stack, doc...)
	}
	a, b := v.param("a"), v.param("b")
	var w, wStride, wAt genReg
	if keep {
		w, wStride, wAt = v.param("w"), v.stride("wStride"), v.gp()
	}
	base, stride := v.param("x"), v.stride("stride")
	rows, n := v.param("rows"), v.param("n")
	v.loadConstants()
	bits := bytes / v.size // of a group
	pos, neg := newNeonSides(v, max(1, bits/32))
	magic, low, high := v.naturalRange()
	e := newNeonExponential(v, magic)
	x, groups, left, rest, buffer := v.gp(), v.gp(), v.gp(), v.gp(), v.gp()
	v.op("LSR", imm(log2(bits)), n, groups)
	v.op("LSL", imm(log2(v.size)), n, rest)
	v.op("AND", imm(bytes-1), rest)
	v.op("MOVD", fmt.Sprintf("$rest-%d(SP)", stack), buffer)
	negative := &neonSelected{neonVec: v, stack: address{buffer, bytes}}
	positive := &neonSelected{neonVec: v, stack: address{buffer, bytes + 128}}

	// terms adds the first vectors of the group at from.
	terms := func(from genReg, vectors int) {
		pos.load(4)
		neg.load(4)
		// The registers of the same lanes of all vectors together.
		parts := []int{0, 2, 1, 3} // of a virtual vector
		for step := neonRegs / vectors; len(parts) > 0; parts = parts[step:] {
			var y []*vecReg
			var number []int
			for _, h := range parts[:step] {
				for k := range vectors {
					number = append(number, k*neonRegs+h)
				}
			}
			for _, i := range number {
				r, k, test := v.inRegister(address{from, 16 * i}), v.reg(), v.laneTest(i)
				pos.selected(i, test, k)
				v.flip(k, r)
				v.max(low, r, r)
				v.min(high, r, r)
				v.free(k, test)
				y = append(y, r)
			}
			terms, s := e.evaluate(y)
			for i := range terms {
				v.mul(terms[i], s[i], terms[i])
			}
			v.free(s...)
			for i, h := range parts[:step] {
				number, terms := number[i*vectors:][:vectors], terms[i*vectors:][:vectors]
				n, p := v.ofSide(neg, number, terms), v.ofSide(pos, number, terms)
				if keep {
					v.comment("a term's sign tells its side")
					for k, r := range terms {
						v.sub(n[k], p[k], r)
						v.store(r, address{wAt, 16 * number[k]})
					}
				}
				negative.lanes(h, v.sumOf(n))
				positive.lanes(h, v.sumOf(p))
			}
			v.free(terms...)
		}
	}

	row, group, last := v.newLabel("row"), v.newLabel("group"), v.newLabel("last")
	partial, done := v.newLabel("rest"), v.newLabel("done")
	v.op("CBZ", rows, last)
	v.label(row)
	negative.clear()
	positive.clear()
	pos.begin()
	neg.begin()
	v.op("MOVD", base, x)
	if keep {
		v.op("MOVD", w, wAt)
	}
	v.op("CBZ", groups, partial)
	v.op("MOVD", groups, left)
	v.label(group)
	terms(x, 4)
	v.op("ADD", imm(bytes), x)
	if keep {
		v.op("ADD", imm(bytes), wAt)
	}
	v.op("SUB", imm(1), left)
	v.op("CBNZ", left, group)
	v.label(partial)
	v.op("CBZ", rest, done)
	v.copyRest(rest, 128, address{x, 0}, address{buffer, 0})
	for _, vectors := range []int{1, 2} {
		more := v.newLabel("more")
		v.op("CMP", imm(64*vectors), rest)
		v.op("BHI", more)
		terms(buffer, vectors)
		v.op("B", done)
		v.label(more)
	}
	terms(buffer, 4)
	v.label(done)
	negative.store(a)
	positive.store(b)
	v.op("ADD", stride, base)
	if keep {
		v.op("ADD", wStride, w)
	}
	pos.next()
	neg.next()
	v.op("SUB", imm(1), rows)
	v.op("CBNZ", rows, row)
	v.label(last)
	v.op("RET")
}

// ofSide returns the terms w of one side, the registers of those numbers, 0
// elsewhere.
func (v *neonVec) ofSide(s *neonSide, number []int, w []*vecReg) []*vecReg {
	var all []*vecReg
	for i, r := range w {
		k, test := v.reg(), v.laneTest(number[i])
		s.selected(number[i], test, k)
		v.and(r, k, k)
		v.free(test)
		all = append(all, k)
	}
	return all
}

// sumOf returns the sum of terms, (w0+w1) + (w2+w3) or of fewer, and frees the
// others.
func (v *neonVec) sumOf(w []*vecReg) *vecReg {
	for len(w) > 1 {
		var half []*vecReg
		for i := 0; i < len(w); i += 2 {
			v.add(w[i], w[i+1], w[i])
			v.free(w[i+1])
			half = append(half, w[i])
		}
		w = half
	}
	return w[0]
}

// naturalRange returns the magic number of pivot 0 and the limits to which
// scores are clamped for it.
func (v *neonVec) naturalRange() (magic, low, high *vecReg) {
	bias, least, most := coef.Magic32, coef.ClampLow32, coef.ClampHigh32
	if v.double() {
		bias, least, most = coef.Magic64, coef.ClampLow64, coef.ClampHigh64
	}
	place := func(x float64) *vecReg { return v.inRegister(v.constant(x)) }
	ln2 := math.Ln2 // a variable: rounded, as the root package computes them
	return place(bias), place(least * ln2), place(most * ln2)
}

// A neonSelected accumulates the terms of one side of a row in 8 float64 lanes
// on the stack: for float32 their sums, for float64 of each register of a
// virtual vector the sums and the errors.
type neonSelected struct {
	*neonVec
	stack address
	low   *vecReg // float32: the group's sum of lanes l, then also of lanes l+8
}

func (a *neonSelected) clear() {
	zero := a.cleared(1)[0]
	for i := 0; i < a.registers(); i += 2 {
		a.storePair(zero, zero, a.stack.offset(16*i))
	}
	a.free(zero)
}

// registers is the number of registers on the stack.
func (a *neonSelected) registers() int {
	if a.double() {
		return 2 * neonRegs
	}
	return neonRegs
}

// lanes adds the group's sum of the lanes of register h of a virtual vector,
// and frees it. For float32 h = 0, 2, 1, 3 in order.
func (a *neonSelected) lanes(h int, sum *vecReg) {
	switch {
	case a.double():
		place := a.stack.offset(32 * h)
		r := a.regs(2)
		a.loadPair(place, r[0], r[1])
		(&neonAccumulator{neonVec: a.neonVec}).twoSum(r[0], r[1], sum)
		a.storePair(r[0], r[1], place)
		a.free(append(r, sum)...)
	case h < 2:
		a.low = sum
	default:
		place := a.stack.offset(32 * (h - 2))
		a.add(a.low, sum, sum)
		low, high := a.widen(sum)
		r := a.regs(2)
		a.loadPair(place, r[0], r[1])
		a.VFADD(low.d2(), r[0].d2(), r[0].d2())
		a.VFADD(high.d2(), r[1].d2(), r[1].d2())
		a.storePair(r[0], r[1], place)
		a.free(append(r, low, high, sum, a.low)...)
	}
}

// store combines the lanes and writes the row's sum.
func (a *neonSelected) store(out genReg) {
	a.scope(func() {
		r := a.regs(a.registers())
		for i := 0; i < len(r); i += 2 {
			a.loadPair(a.stack.offset(16*i), r[i], r[i+1])
		}
		if !a.double() {
			r = a.eight([][]*vecReg{r}, func(x, y []*vecReg) { a.VFADD(y[0].d2(), x[0].d2(), x[0].d2()) })
		} else {
			var sum, err []*vecReg
			for i := 0; i < len(r); i += 2 {
				sum, err = append(sum, r[i]), append(err, r[i+1])
			}
			r = a.eight([][]*vecReg{sum, err}, func(x, y []*vecReg) {
				a.add(x[1], y[1], x[1])
				(&neonAccumulator{neonVec: a.neonVec}).twoSum(x[0], x[1], y[0])
			})
			a.add(r[0], r[1], r[0])
		}
		a.op("FMOVD.P", r[0], address{out, 8})
	})
}
