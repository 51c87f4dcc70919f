package gen

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
)

// A neonSideLoop runs through rows as a sideLoop does, two registers at a time.
type neonSideLoop struct {
	*neonLoop
	x, w     *stream // scores and weights
	pos, neg *neonSide
	hi, lo   *vecReg // γ; lo only for float32
}

// newNeonSideLoop returns the loop, whose halves are step bytes apart.
func newNeonSideLoop(v *neonVec, step int, streams ...*stream) *neonSideLoop {
	x, w := v.input("x", "stride"), v.padded("w", "wStride")
	w.ratio = 2
	l := &neonSideLoop{neonLoop: newNeonLoop(v, 2, append([]*stream{x, w}, streams...)...), x: x, w: w}
	l.halves(step)
	l.withSides(false)
	l.neg, l.pos = l.sides[0], l.sides[1]
	gamma := v.param("gamma")
	l.hi = v.reg()
	if v.double() {
		v.broadcasts(gamma, l.hi)
	} else {
		l.lo = v.reg()
		v.broadcasts(gamma, l.hi, l.lo)
	}
	v.release(gamma)
	v.loadConstants()
	return l
}

// weight returns the place of m of the elements of a register of the group;
// that of e is 64 bytes on.
func (l *neonSideLoop) weight(number int) address {
	return l.w.place(2*neonRegs*(number/neonRegs) + number%neonRegs)
}

// argument returns y = ±x of a register, and the lanes of the positives.
func (l *neonSideLoop) argument(number int) (y, pos *vecReg) {
	y, pos = l.inRegister(l.x.place(number)), l.reg()
	sign, test := l.reg(), l.laneTest(number)
	l.pos.selected(number, test, pos)
	l.copy(pos, sign)
	l.flip(sign, y)
	l.free(sign, test)
	return y, pos
}

// weighted returns the lanes whose weight is not 0.
func (l *neonSideLoop) weighted(number int) *vecReg {
	m, zero := l.inRegister(l.weight(number)), l.cleared(1)[0]
	l.above(m, zero, m)
	l.free(zero)
	return m
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
	place := func(x float64) *vecReg { return e.inRegister(e.constant(x)) }
	return place(e.pick(coef.Lowest32, coef.Lowest64)), place(e.pick(coef.Highest32, coef.Highest64))
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

// terms returns the terms of some registers, as those of a sideExponential, and the
// lanes that count: for a sum a NaN does.
func (e *neonSideExponential) terms(numbers []int, sum bool, factor func(number int) *vecReg) (w, keep []*vecReg) {
	l := e.loop
	var h, minusL, magic, t []*vecReg
	e.comment("h = hi·y; -l = h - hi·y - lo·y; magic = that of the side + e")
	for _, number := range numbers {
		y, pos := l.argument(number)
		m := e.inRegister(l.weight(number).offset(64))
		test := e.laneTest(number)
		in := e.reg()
		l.neg.selected(number, test, in)
		if !l.joined {
			e.or(in, pos, in)
		}
		weighted := l.weighted(number)
		e.and(in, weighted, in)
		e.choose(pos, e.sides[1], e.sides[0])
		e.add(m, pos, m)
		product, rest := e.reg(), e.reg()
		e.mul(y, l.hi, product)
		e.copy(product, rest)
		e.fmaSub(y, l.hi, rest)
		if !e.double() {
			e.fmaSub(y, l.lo, rest)
		}
		e.free(y, pos, test, weighted)
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
	q, s := e.quotients(h, t)
	e.comment("(m + m·r·q)·s")
	for i, number := range numbers {
		m := e.inRegister(l.weight(number))
		if factor != nil {
			f := factor(number)
			e.mul(m, f, m)
			e.free(f)
		}
		e.mul(h[i], m, h[i])
		e.fmaAcc(q[i], h[i], m)
		e.mul(m, s[i], m)
		w = append(w, m)
	}
	e.free(s...)
	e.free(q...)
	e.free(h...)
	return w, keep
}

// neonSideMax emits the highest scores and the highest terms of rows, roughly.
func neonSideMax(v *neonVec) {
	top := v.param("top")
	l := newNeonSideLoop(v, 32)
	infinity := v.inRegister(v.constant(math.Inf(-1)))
	canonical := v.inRegister(v.constant(math.Float64frombits(0x7ff8 << 48)))
	log2e := v.inRegister(v.constant(v.pick(coef.Log2E32, coef.Log2E64)))
	acc := v.regs(4) // score, power of the negatives and the positives

	l.run(func() {
		for _, a := range acc {
			v.copy(infinity, a)
		}
	}, func(t neonTurn) {
		for _, number := range t.numbers() {
			y, pos := l.argument(number)
			power, neg, test := v.inRegister(l.weight(number).offset(64)), v.reg(), v.laneTest(number)
			l.neg.selected(number, test, neg)
			v.mul(y, l.hi, test)
			v.fmaAcc(test, log2e, power)
			weighted := l.weighted(number)
			for side, k := range []*vecReg{neg, pos} {
				v.and(k, weighted, k)
				// A NaN stays in acc.
				for i, r := range []*vecReg{y, power} {
					v.copy(k, test)
					v.choose(test, r, infinity)
					v.max(acc[2*i+side], test, acc[2*i+side])
				}
			}
			v.free(y, pos, power, neg, test, weighted)
		}
	}, func() {
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

// neonSideSums emits the weighted sums of both sides of rows.
func neonSideSums(v *neonVec) {
	sum := v.param("sum")
	l := newNeonSideLoop(v, 16)
	l.accumulators()
	p, step, size := v.param("p"), v.param("pStep"), v.gp()
	v.op("MOVD", imm(6*v.size), size)
	v.op("MUL", size, step)
	v.release(size)
	e := newNeonSideExponential(l)
	acc := [2]*neonAccumulator{newNeonStackAccumulator(v, l.acc), newNeonStackAccumulator(v, l.acc.offset(128))}

	l.run(func() {
		v.broadcastAt(p, []int{0, 3}, e.sides[:])
		for _, a := range acc {
			a.clear()
		}
	}, func(t neonTurn) {
		for all := t.numbers(); len(all) > 0; all = all[2:] {
			numbers := all[:2]
			w, keep := e.terms(numbers, true, nil)
			for i := range w {
				v.and(w[i], keep[i], w[i])
			}
			v.free(keep...)
			of := l.ofSides(numbers, w)
			n, p := of[0], of[1]
			for side, parts := range [][]*vecReg{n, p} {
				if t.vectors == 2 {
					acc[side].take(numbers[0], v.sumOf(parts))
				} else {
					acc[side].take(numbers[0], parts[0])
					acc[side].take(numbers[1], parts[1])
				}
			}
			v.free(w...)
		}
	}, func() {
		v.op("ADD", step, p)
		for _, a := range acc {
			a.store(sum)
		}
	})
}

// neonSideGrad emits the terms of rows times the factors of their sides.
func neonSideGrad(v *neonVec) {
	dst := v.output("dst", "dstStride")
	l := newNeonSideLoop(v, 32, dst)
	l.eitherSide()
	p := v.param("p")
	e := newNeonSideExponential(l)
	factors := v.regs(2)

	l.run(func() {
		v.broadcastAt(p, []int{0, 3, 2, 5}, append(e.sides[:], factors...))
	}, func(t neonTurn) {
		for k := range t.vectors {
			numbers := []int{k*neonRegs + t.lanes[0], k*neonRegs + t.lanes[1]}
			w, keep := e.terms(numbers, false, func(number int) *vecReg {
				factor, test := v.reg(), v.laneTest(number)
				l.pos.selected(number, test, factor)
				v.choose(factor, factors[1], factors[0])
				v.free(test)
				return factor
			})
			for i := range numbers {
				v.and(w[i], keep[i], w[i])
				v.free(keep[i])
			}
			v.storePair(w[0], w[1], dst.place(numbers[0]))
			v.free(w...)
		}
	}, func() {
		v.op("ADD", imm(6*v.size), p)
	})
}

// neonWeighSums emits weighSums.
func neonWeighSums(v *neonVec) {
	a, b := v.param("a"), v.param("b")
	w, m := v.output("w", "wStride"), v.remote("m")
	w.changed = true
	streams := []*stream{w, m}
	var lo *stream
	if !v.double() {
		lo = v.remote("lo")
		streams = append(streams, lo)
	}
	l := newNeonLoop(v, 2, streams...)
	l.allWhole = true
	zero := v.cleared(1)[0]
	w.fill = zero
	// The sums of float32 lanes l wait for those of lanes l+8.
	var acc [2]*neonAccumulator
	var low [2][]*vecReg
	for side := range acc {
		acc[side] = &neonAccumulator{neonVec: v, places: neonRegs}
		if !v.double() {
			acc[side].places /= 2
			low[side] = v.regs(2)
		}
		acc[side].regs = v.regs(2 * acc[side].places)
	}

	l.run(func() {
		for _, a := range acc {
			a.clear()
		}
	}, func(turn neonTurn) {
		terms, factors := l.loadTurn(w, turn), l.loadTurn(m, turn)
		if lo == nil {
			for i, f := range factors {
				v.mul(terms[i], f, terms[i])
			}
		} else {
			for i, x := range l.loadTurn(lo, turn) {
				v.mul(terms[i], x, x)
				v.fmaAcc(terms[i], factors[i], x)
				v.become(terms[i], x)
			}
		}
		v.free(factors...)
		l.storeTurn(w, turn, terms)
		for i, h := range turn.lanes {
			first, second := terms[2*i], terms[2*i+1]
			waits := !v.double() && h < 2
			for side := range acc {
				var sum *vecReg
				if waits {
					sum = low[side][h]
				} else {
					sum = v.reg()
				}
				if side == 0 {
					above := v.reg()
					v.max(zero, first, sum)
					v.max(zero, second, above)
					v.sub(sum, first, first)
					v.sub(above, second, second)
					v.add(sum, above, sum)
					v.free(above)
				} else {
					v.add(first, second, sum)
				}
				switch a := acc[side]; {
				case waits:
				case v.double():
					a.take(h, sum)
				default:
					v.add(low[side][h-2], sum, sum)
					x, y := a.widen(sum)
					a.update(h-2, func(p, q *vecReg) {
						a.join(p, x)
						a.join(q, y)
					})
					v.free(sum, x, y)
				}
			}
			v.free(first, second)
		}
	}, func() {
		acc[0].store(a)
		acc[1].store(b)
	})
}
