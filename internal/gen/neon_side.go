package gen

import (
	"fmt"
	"math"

	"github.com/zlpr/zlpr/internal/coef"
)

// neonSideKernels emits the arm64 form of sideKernels.
func neonSideKernels(f *neonFile) {
	for _, e := range elems {
		v := newNeonVec(f, e)
		neonSideMax(v)
		neonSideSums(v)
		neonSideGrad(v, false)
		neonSideGrad(v, true)
	}
	v := newNeonVec(f, float64s)
	neonSoftWeights(v, float32s)
	neonSoftWeights(v, float64s)
	neonSoftUnit(newNeonVec(f, float32s))
}

// The frame of these kernels: the rests of x and add, and accumulators.
const (
	neonSideBuffers = 2 * neonBuffer
	neonSideFrame   = neonSideBuffers + 2*128
)

// A neonSideLoop runs through rows as a sideLoop does, two registers at a time.
type neonSideLoop struct {
	*neonVec
	x, w     genReg // scores and weights of the group
	pos, neg *neonSide
	groups   genReg // whole groups of a row
	rest     genReg // bytes after them
	rows     genReg
	buffer   genReg
	hi, lo   *vecReg // γ; lo only for float32
	moving   []neonMoving
}

// A neonMoving is a register that moves on with the groups: bytes for a group,
// and stride elements, the argument of that name, from row to row.
type neonMoving struct {
	at     genReg
	bytes  int
	stride string
}

// neonSideKernel begins a kernel; the arguments are those of the x86 form.
func (v *neonVec) neonSideKernel(name, before, after string, doc ...string) {
	v.loaded = false
	v.function(name+v.bits+"NEON", before+"x *"+v.goType+", stride, rows, n int, pos, neg *uint64, words int, w *"+v.goType+
		", wStride int, gamma *[2]"+v.goType+after, neonSideFrame, doc...)
}

func newNeonSideLoop(v *neonVec) *neonSideLoop {
	l := &neonSideLoop{neonVec: v, x: v.param("x"), w: v.param("w"), rows: v.param("rows"), groups: v.gp(), buffer: v.gp()}
	l.rest = v.param("n")
	v.op("LSR", imm(log2(2*v.elem.lanes)), l.rest, l.groups)
	v.op("LSL", imm(log2(v.size)), l.rest)
	v.op("AND", imm(127), l.rest)
	v.op("MOVD", fmt.Sprintf("$rest-%d(SP)", neonSideFrame), l.buffer)
	l.pos, l.neg = newNeonSides(v, 1)
	gamma := v.param("gamma")
	l.hi = v.reg()
	if v.double() {
		v.broadcasts(gamma, l.hi)
	} else {
		l.lo = v.reg()
		v.broadcasts(gamma, l.hi, l.lo)
	}
	v.release(gamma)
	l.moving = []neonMoving{{l.x, 128, "stride"}, {l.w, 256, "wStride"}}
	v.loadConstants()
	return l
}

// run emits the loop. body computes registers of the group whose scores lie at
// x: numbers has those of a batch. The results of a rest are copied by copyBack.
func (l *neonSideLoop) run(begin func(), batches func(vectors int) [][]int, body func(x genReg, numbers []int), prepareRest, copyBack, end func()) {
	var (
		row, last  = l.newLabel("row"), l.newLabel("last")
		group      = l.newLabel("group")
		rest, done = l.newLabel("rest"), l.newLabel("done")
		half, back = l.newLabel("half"), l.newLabel("back")
		left       = l.gp()
		all        = func(x genReg, vectors int) {
			for _, numbers := range batches(vectors) {
				l.scope(func() { body(x, numbers) })
			}
		}
		load = func() {
			l.pos.load(16 / l.size)
			l.neg.load(16 / l.size)
		}
	)
	l.op("CBZ", l.rows, last)
	l.label(row)
	l.pos.begin()
	l.neg.begin()
	begin()
	l.op("CBZ", l.groups, rest)
	l.op("MOVD", l.groups, left)
	l.label(group)
	load()
	all(l.x, 2)
	for _, m := range l.moving {
		l.op("ADD", imm(m.bytes), m.at)
	}
	l.op("SUB", imm(1), left)
	l.op("CBNZ", left, group)

	l.label(rest)
	l.op("CBZ", l.rest, done)
	load()
	l.copyRest(l.rest, 64, address{l.x, 0}, address{l.buffer, 0})
	prepareRest()
	l.op("CMP", imm(64), l.rest)
	l.op("BLS", half)
	all(l.buffer, 2)
	l.op("B", back)
	l.label(half)
	all(l.buffer, 1)
	l.label(back)
	copyBack()
	l.label(done)
	l.pos.next()
	l.neg.next()
	by := l.gp()
	for _, m := range l.moving {
		l.op("LSL", imm(log2(m.bytes)), l.groups, by)
		l.op("SUB", by, m.at)
		l.op("MOVD", fmt.Sprintf("%s+%d(FP)", m.stride, l.args[m.stride]), by)
		l.op("ADD", by.String()+fmt.Sprintf("<<%d", log2(l.size)), m.at)
	}
	l.release(by)
	end()
	l.op("SUB", imm(1), l.rows)
	l.op("CBNZ", l.rows, row)
	l.label(last)
	l.op("RET")
	l.release(left)
}

// weight returns the place of m of the elements of a register of the group;
// that of e is 64 bytes on.
func (l *neonSideLoop) weight(number int) address {
	return address{l.w, 128*(number/neonRegs) + 16*(number%neonRegs)}
}

// argument returns y = ±x of a register, and the lanes of the positives.
func (l *neonSideLoop) argument(x genReg, number int) (y, pos *vecReg) {
	y, pos = l.inRegister(address{x, 16 * number}), l.reg()
	sign, test := l.reg(), l.laneTest(number)
	l.pos.selected(number, test, pos)
	l.copy(pos, sign)
	l.flip(sign, y)
	l.free(sign, test)
	return y, pos
}

// weighted is k &= the lanes whose weight is not 0.
func (l *neonSideLoop) weighted(number int, k *vecReg) {
	m, zero := l.inRegister(l.weight(number)), l.cleared(1)[0]
	l.above(m, zero, m)
	l.and(k, m, k)
	l.free(m, zero)
}

// A neonSideExponential computes terms as a sideExponential does.
type neonSideExponential struct {
	*neonExponential
	loop  *neonSideLoop
	sides [2]*vecReg // magic numbers of the negatives and the positives
}

func newNeonSideExponential(l *neonSideLoop) *neonSideExponential {
	e := &neonSideExponential{neonExponential: newNeonExponential(l.neonVec, nil), loop: l}
	e.sides = [2]*vecReg{l.reg(), l.reg()}
	return e
}

// limits returns the lowest and the highest t.
func (e *neonSideExponential) limits() (lowest, most *vecReg) {
	low, high := coef.Lowest32, coef.Highest32
	if e.double() {
		low, high = coef.Lowest64, coef.Highest64
	}
	return e.inRegister(e.constant(low)), e.inRegister(e.constant(high))
}

// broadcastAt fills registers with elements at p, those of the given numbers.
func (v *neonVec) broadcastAt(p genReg, numbers []int, registers []*vecReg) {
	at := v.gp()
	for i, r := range registers {
		v.op("ADD", imm(v.size*numbers[i]), p, at)
		v.op("VLD1R", address{at, 0}, "["+v.lanes(r).String()+"]")
	}
	v.release(at)
}

// terms returns the terms p·s·m of some registers and the lanes that count: for
// a sum a NaN does.
func (e *neonSideExponential) terms(x genReg, numbers []int, sum bool) (w, keep []*vecReg) {
	l := e.loop
	var h, minusL, magic, t []*vecReg
	e.comment("h = hi·y; -l = h - hi·y - lo·y; magic = that of the side + e")
	for _, number := range numbers {
		y, pos := l.argument(x, number)
		m := e.inRegister(l.weight(number).offset(64))
		test := e.laneTest(number)
		in := e.reg()
		l.neg.selected(number, test, in)
		e.or(in, pos, in)
		l.weighted(number, in)
		e.choose(pos, e.sides[1], e.sides[0])
		e.add(m, pos, m)
		product, rest := e.reg(), e.reg()
		e.mul(y, l.hi, product)
		e.copy(product, rest)
		e.fmaSub(y, l.hi, rest)
		if !e.double() {
			e.fmaSub(y, l.lo, rest)
		}
		e.free(y, pos, test)
		h, minusL, magic, keep = append(h, product), append(minusL, rest), append(magic, m), append(keep, in)
	}
	e.comment("t = h·log2(e) + magic, not above the highest; n = t - magic")
	lowest, most := e.limits()
	for i := range h {
		r := e.reg()
		e.copy(magic[i], r)
		e.fmaAcc(h[i], e.log2e, r)
		e.min(r, most, r)
		k := e.reg()
		if sum {
			e.above(lowest, r, k)
			e.keepOut(k, keep[i])
		} else {
			e.atLeast(r, lowest, k)
			e.and(keep[i], k, keep[i])
		}
		e.free(k)
		e.sub(r, magic[i], magic[i])
		t = append(t, r)
	}
	e.free(lowest, most)
	e.comment("r = h - n·ln2Hi + l - n·ln2Lo")
	for i := range h {
		e.fmaAcc(magic[i], e.minusLn2Hi, h[i])
		e.sub(h[i], minusL[i], h[i])
		e.fmaAcc(magic[i], e.minusLn2Lo, h[i])
	}
	e.free(magic...)
	e.free(minusL...)
	w, s := e.powers(h, t)
	for i, number := range numbers {
		e.mul(w[i], s[i], w[i])
		e.load(l.weight(number), s[i])
		e.mul(w[i], s[i], w[i])
	}
	e.free(s...)
	return w, keep
}

// neonSideMax emits the highest scores and the highest terms of rows, roughly.
func neonSideMax(v *neonVec) {
	v.neonSideKernel("sideMax", "top *[4]"+v.goType+", ", "",
		"writes to top[i] the maximum of y = x[i·stride+j] over neg, of y = -x over pos, and those of",
		"γy·log2(e) + e: -Inf for none, the canonical NaN where there is one. The sign of a zero is open.",
	)
	top := v.param("top")
	l := newNeonSideLoop(v)
	infinity := v.inRegister(v.constant(math.Inf(-1)))
	canonical := v.inRegister(v.constant(math.Float64frombits(0x7ff8 << 48)))
	ratio, _, _, _ := expConstants(v.elem)
	log2e := v.inRegister(v.constant(ratio))
	acc := v.regs(4) // score, power of the negatives and the positives

	l.run(func() {
		for _, a := range acc {
			v.copy(infinity, a)
		}
	}, neonConsecutive, func(x genReg, numbers []int) {
		for _, number := range numbers {
			y, pos := l.argument(x, number)
			power, neg, test := v.inRegister(l.weight(number).offset(64)), v.reg(), v.laneTest(number)
			l.neg.selected(number, test, neg)
			v.mul(y, l.hi, test)
			v.fmaAcc(test, log2e, power)
			for side, k := range []*vecReg{neg, pos} {
				l.weighted(number, k)
				// A NaN stays in acc.
				for i, r := range []*vecReg{y, power} {
					v.copy(k, test)
					v.choose(test, r, infinity)
					v.max(acc[2*i+side], test, acc[2*i+side])
				}
			}
			v.free(y, pos, power, neg, test)
		}
	}, func() {}, func() {}, func() {
		for _, a := range acc {
			compare := "FCMPS"
			if v.double() {
				compare = "FCMPD"
				v.VFMAXP(a.d2(), a)
			} else {
				v.VFMAXV(a.as("S4"), a)
			}
			number := v.newLabel("number")
			v.op(compare, a, a)
			v.op("BVC", number)
			v.copy(canonical, a)
			v.label(number)
			v.storeLow(a, top)
		}
	})
}

// neonConsecutive are batches of two registers, one after the other.
func neonConsecutive(vectors int) (batches [][]int) {
	for i := 0; i < vectors*neonRegs; i += 2 {
		batches = append(batches, []int{i, i + 1})
	}
	return batches
}

// neonSideSums emits the weighted sums of both sides of rows.
func neonSideSums(v *neonVec) {
	v.neonSideKernel("sideSums", "sum *[2]float64, ", ", p *[6]"+v.goType+", pStep int",
		"writes the sums of m·2^e·e^(γy)·2^-c over neg, y = x[i·stride+j], to sum[i][0] and over pos, y = -x,",
		"to sum[i][1], with the magic numbers of c in p[i·pStep][0] and [3].",
	)
	sum := v.param("sum")
	l := newNeonSideLoop(v)
	p, step, size := v.param("p"), v.param("pStep"), v.gp()
	v.op("MOVD", imm(6*v.size), size)
	v.op("MUL", size, step)
	v.release(size)
	e := newNeonSideExponential(l)
	acc := [2]*neonSideSum{}
	for i := range acc {
		acc[i] = &neonSideSum{neonVec: v, stack: address{l.buffer, neonSideBuffers + 128*i}}
	}
	// The registers of the same lanes, of all vectors, next to each other; those
	// eight lanes on follow.
	batches := func(vectors int) (all [][]int) {
		for _, part := range []int{0, 2, 1, 3} {
			if vectors == 2 {
				all = append(all, []int{part, part + neonRegs})
			}
		}
		if vectors == 1 {
			all = [][]int{{0, 2}, {1, 3}}
		}
		return all
	}

	l.run(func() {
		v.broadcastAt(p, []int{0, 3}, e.sides[:])
		for _, a := range acc {
			a.clear()
		}
	}, batches, func(x genReg, numbers []int) {
		w, keep := e.terms(x, numbers, true)
		for i := range w {
			v.and(w[i], keep[i], w[i])
		}
		v.free(keep...)
		for side, bits := range []*neonSide{l.neg, l.pos} {
			var parts []*vecReg
			for i, number := range numbers {
				k, test := v.reg(), v.laneTest(number)
				bits.selected(number, test, k)
				v.and(k, w[i], k)
				v.free(test)
				parts = append(parts, k)
			}
			if numbers[1] == numbers[0]+neonRegs {
				v.add(parts[0], parts[1], parts[0])
				acc[side].add(numbers[0], parts[0])
			} else {
				acc[side].add(numbers[0], parts[0])
				acc[side].add(numbers[1], parts[1])
			}
		}
	}, func() {}, func() {}, func() {
		v.op("ADD", step, p)
		for _, a := range acc {
			a.store(sum)
		}
	})
}

// A neonSideSum accumulates the terms of one side of a row as a sideSum does, on
// the stack: for float32 the sums, and a place for those of a group's lanes 0 to
// 7; for float64 of each register of a virtual vector the sums and the errors.
type neonSideSum struct {
	*neonVec
	stack address
}

func (a *neonSideSum) clear() {
	zero := a.reg()
	a.zero(zero)
	for i := 0; i < 8; i += 2 {
		a.storePair(zero, zero, a.stack.offset(16*i))
	}
	a.free(zero)
}

// add adds the group's sum of the lanes of a register of a virtual vector. For
// float32 part + 2 follows part.
func (a *neonSideSum) add(part int, sum *vecReg) {
	if a.double() {
		place := a.stack.offset(32 * part)
		r := a.regs(2)
		a.loadPair(place, r[0], r[1])
		(&neonAccumulator{neonVec: a.neonVec}).twoSum(r[0], r[1], sum)
		a.storePair(r[0], r[1], place)
		a.free(r...)
		return
	}
	low := a.stack.offset(64 + 16*(part%2))
	if part < 2 {
		a.neonVec.store(sum, low)
		return
	}
	other := a.inRegister(low)
	a.neonVec.add(other, sum, sum)
	a.free(other)
	x, y := a.widen(sum)
	place := a.stack.offset(32 * (part - 2))
	r := a.regs(2)
	a.loadPair(place, r[0], r[1])
	a.VFADD(x.d2(), r[0].d2(), r[0].d2())
	a.VFADD(y.d2(), r[1].d2(), r[1].d2())
	a.storePair(r[0], r[1], place)
	a.free(x, y, r[0], r[1])
}

// store combines the lanes and writes the row's sum.
func (a *neonSideSum) store(out genReg) {
	a.scope(func() {
		n := neonRegs
		if a.double() {
			n *= 2
		}
		r := a.regs(n)
		for i := 0; i < n; i += 2 {
			a.loadPair(a.stack.offset(16*i), r[i], r[i+1])
		}
		if !a.double() {
			r = a.eight([][]*vecReg{r}, func(x, y []*vecReg) { a.VFADD(y[0].d2(), x[0].d2(), x[0].d2()) })
		} else {
			var sum, err []*vecReg
			for i := 0; i < n; i += 2 {
				sum, err = append(sum, r[i]), append(err, r[i+1])
			}
			r = a.eight([][]*vecReg{sum, err}, func(x, y []*vecReg) {
				a.neonVec.add(x[1], y[1], x[1])
				(&neonAccumulator{neonVec: a.neonVec}).twoSum(x[0], x[1], y[0])
			})
			a.neonVec.add(r[0], r[1], r[0])
		}
		a.op("FMOVD.P", r[0], address{out, 8})
	})
}

// neonSideGrad emits the terms of rows times the factors of their sides, added
// to something else or not.
func neonSideGrad(v *neonVec, more bool) {
	name, args, plus := "sideGrad", "", ""
	if more {
		name, args, plus = "sideGradAdd", ", add *"+v.goType+", addStride int", ", plus add[i·addStride+j]"
	}
	v.neonSideKernel(name, "dst *"+v.goType+", dstStride int, ", ", p *[6]"+v.goType+args,
		"writes to dst[i·dstStride+j], with the magic number of c and the factor in p[i][0], [2] for the classes",
		"of neg, y = x, and p[i][3], [5] for those of pos, y = -x: m·2^e·e^(γy)·2^-c·factor, or 0 where that without the",
		"factor is below the smallest normal number and for other classes"+plus+".",
	)
	dst := v.param("dst")
	l := newNeonSideLoop(v)
	l.moving = append(l.moving, neonMoving{dst, 128, "dstStride"})
	p := v.param("p")
	var add genReg
	if more {
		add = v.param("add")
		l.moving = append(l.moving, neonMoving{add, 128, "addStride"})
	}
	e := newNeonSideExponential(l)
	factors := v.regs(2)

	l.run(func() {
		v.broadcastAt(p, []int{0, 3, 2, 5}, append(e.sides[:], factors...))
	}, neonConsecutive, func(x genReg, numbers []int) {
		w, keep := e.terms(x, numbers, false)
		to, from := address{dst, 0}, address{add, 0}
		if x == l.buffer {
			to, from = address{x, 0}, address{x, neonBuffer}
		}
		for i, number := range numbers {
			factor, test := v.reg(), v.laneTest(number)
			l.pos.selected(number, test, factor)
			v.choose(factor, factors[1], factors[0])
			v.mul(w[i], factor, w[i])
			v.and(w[i], keep[i], w[i])
			v.free(factor, test)
			if more {
				r := v.inRegister(from.offset(16 * number))
				v.add(w[i], r, w[i])
				v.free(r)
			}
		}
		v.storePair(w[0], w[1], to.offset(16*numbers[0]))
	}, func() {
		if more {
			v.copyRest(l.rest, 64, address{add, 0}, address{l.buffer, neonBuffer})
		}
	}, func() {
		v.copyRest(l.rest, 64, address{l.buffer, 0}, address{dst, 0})
	}, func() {
		v.op("ADD", imm(6*v.size), p)
	})
}
