package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// A sideLoop runs through rows of scores with the bits of their sides and their
// weights.
type sideLoop struct {
	*rowLoop
	x, w   gpreg // scores and weights of the row
	sides  *sides
	hi, lo op // γ; lo only for float32
}

func newSideLoop(v *vec) *sideLoop {
	l := &sideLoop{rowLoop: &rowLoop{vec: v, single: true}, x: v.param("x"), w: v.param("w")}
	l.advance(l.x, "stride", log2(v.size))
	l.advance(l.w, "wStride", log2(v.size))
	l.sides = newSides(v, false)
	l.step(v.slot(l.sides.step), l.sides.pos, l.sides.neg)
	gamma := v.param("gamma")
	l.hi = v.kept(at(gamma, 0))
	if !v.double() {
		l.lo = v.kept(at(gamma, v.size))
	}
	l.lengths()
	l.rows = v.param("rows")
	return l
}

// slot puts r on the stack.
func (v *vec) slot(r gpreg) operand.Mem {
	m := v.AllocLocal(8)
	v.MOVQ(r, m)
	return m
}

// kept is the element at mem in all lanes: in a register on AVX-512, else on
// the stack.
func (v *vec) kept(mem operand.Mem) op {
	if v.wide() {
		r := v.reg()
		v.broadcast(mem, r)
		return r
	}
	place := v.AllocLocal(v.bytes)
	v.setKept(mem, place)
	return place
}

// setKept fills what kept returned with another element.
func (v *vec) setKept(mem operand.Mem, d op) {
	if v.wide() {
		v.broadcast(mem, d)
		return
	}
	r := v.reg()
	v.broadcast(mem, r)
	v.move(r, d)
}

// A strided is rows at base, and the argument of their stride.
type strided struct {
	base   gpreg
	stride string
}

// newPartLoop returns the loop through rows of scores, and others, with the bits of those
// that take part in place of the negatives.
func newPartLoop(v *vec, x gpreg, others ...strided) *sideLoop {
	l := &sideLoop{rowLoop: &rowLoop{vec: v, single: true}, x: x, sides: &sides{vec: v, neg: v.param("part"), at: v.GP64()}}
	for _, s := range append([]strided{{x, "stride"}}, others...) {
		l.advance(s.base, s.stride, log2(v.size))
	}
	l.advance(l.sides.neg, "words", 3)
	l.sides.laneTests()
	l.lengths()
	l.rows = v.param("rows")
	return l
}

// weights returns the places of m and e of a term's elements.
func (l *sideLoop) weights(t term) (m, e operand.Mem) {
	vector, part := t.reg/l.regs(), t.reg%l.regs()
	m = operand.Mem{Base: l.w, Index: l.off, Scale: 2, Disp: 128*vector + part*l.bytes}
	e = m
	e.Disp += 64
	return m, e
}

// argument returns y = ±x of a term and the masks of its sides. Elements that
// do not exist are not read, and are on neither side.
func (l *sideLoop) argument(t term) (y vreg, pos mask) {
	y = l.reg()
	l.load(t.mask, l.inRow(l.x, t.reg), y)
	pos = l.sides.mask(l.sides.pos, t.reg)
	l.flip(pos, y)
	return y, pos
}

// A sideTerm is a register of terms on the way through the exponential.
type sideTerm struct {
	term
	h, l, magic vreg
	keep        mask // lanes of either side whose weight is not 0
}

// sideExponential computes terms.
type sideExponential struct {
	*exponential
	loop   *sideLoop
	magic  [2]op // of the negatives and the positives
	zero   op
	lowest op
	most   op // of t
}

func newSideExponential(l *sideLoop) *sideExponential {
	v := l.vec
	e := &sideExponential{exponential: newExponential(v, nil, !v.double()), loop: l}
	e.zero, e.lowest, e.most = v.held(0), v.held(v.pick(coef.Lowest32, coef.Lowest64)), v.held(v.pick(coef.Highest32, coef.Highest64))
	for i := range e.magic {
		if v.wide() {
			e.magic[i] = v.reg()
		} else {
			e.magic[i] = v.AllocLocal(v.bytes)
		}
	}
	return e
}

// begin loads the magic numbers of the row from p.
func (e *sideExponential) begin(p gpreg) {
	for i, d := range e.magic {
		e.setKept(at(p, 3*i*e.size), d)
	}
}

// terms computes the terms of some registers, two at a time on AVX-512, one on AVX2:
//
//	(m + m·r·q)·s   for e^y = (1 + r·q)·s
//
// m being the weights, times what factor returns unless that is nil. Lanes that do not
// count are 0; for a sum a NaN counts.
func (e *sideExponential) terms(all []term, sum bool, factor func(t term) vreg) (w []vreg) {
	step := 1
	if e.wide() {
		step = min(2, len(all))
	}
	for ; len(all) > 0; all = all[step:] {
		var begun []*sideTerm
		for _, t := range all[:step] {
			begun = append(begun, e.start(t))
		}
		q, s, r := e.quotientsOf(begun, sum)
		for i, t := range begun {
			weights, _ := e.loop.weights(t.term)
			var m op = weights
			if factor != nil {
				f := factor(t.term)
				e.mul(f, weights, f)
				m = f
			}
			e.mul(r[i], m, r[i])
			e.fmaMul(r[i], m, q[i])
			e.mulKeep(t.keep, q[i], s[i], q[i])
		}
		w = append(w, q...)
	}
	return w
}

// start computes what comes before the exponential:
//
//	h = hi·y;  l = fma(lo, y, fma(hi, y, -h));  magic = that of the side + e
func (e *sideExponential) start(t term) *sideTerm {
	y, pos := e.loop.argument(t)
	s := &sideTerm{term: t, h: e.reg(), l: e.reg(), magic: e.reg()}
	m, exponents := e.loop.weights(t)
	e.choose(pos, e.magic[1], e.magic[0], s.magic)
	e.add(s.magic, exponents, s.magic)
	e.mul(y, e.loop.hi, s.h)
	e.move(s.h, s.l)
	e.either(e.VFMSUB231PS, e.VFMSUB231PD, e.loop.hi, y, s.l) // l = y·hi - l
	if !e.double() {
		e.fmaAcc(y, e.loop.lo, s.l)
	}
	s.keep = e.union(e.loop.sides.mask(e.loop.sides.neg, t.reg), pos)
	e.restrict(s.keep, notEqual, e.zero, m)
	return s
}

// restrict takes the lanes out of k in which a predicate b does not hold; a is
// in a register on AVX-512.
func (v *vec) restrict(k mask, predicate uint8, a, b op) {
	if v.wide() {
		v.either(v.VCMPPS, v.VCMPPD, operand.U8(predicate), b, a, k, k)
		return
	}
	in := v.reg()
	v.move(a, in)
	v.compare(predicate, in, b, in)
	v.and(k, in, k)
}

// quotientsOf returns q, s and r of the terms that start has begun, and takes out of
// keep what is 0.
func (e *sideExponential) quotientsOf(terms []*sideTerm, nanStays bool) (q, s, r []vreg) {
	var t, n []vreg
	for _, x := range terms {
		k := e.reg()
		e.move(x.h, k)
		e.fmaMul(e.log2e, x.magic, k)
		t = append(t, k)
	}
	for i, x := range terms {
		// The second source is returned where either is NaN: t.
		e.min(e.asRegister(e.most), t[i], t[i])
		if nanStays {
			e.restrict(x.keep, notGreater, e.lowest, t[i])
		} else {
			e.restrict(x.keep, lessOrEqual, e.lowest, t[i])
		}
		e.sub(t[i], x.magic, x.magic)
		n, r = append(n, x.magic), append(r, x.h)
	}
	for i := range r {
		e.fmaAcc(n[i], e.minusLn2Hi, r[i])
	}
	for i, x := range terms {
		e.add(r[i], x.l, r[i])
	}
	for i := range r {
		e.fmaAcc(n[i], e.minusLn2Lo, r[i])
	}
	q, s = e.quotients(r, t, n)
	return q, s, r
}

// sideMax emits the highest scores and the highest terms of rows, roughly.
func sideMax(v *vec) {
	top := v.param("top")
	l := newSideLoop(v)
	infinity := v.inRegister(v.constant(math.Inf(-1)))
	zero := v.held(0)
	log2e := v.inRegister(v.constant(v.pick(coef.Log2E32, coef.Log2E64)))
	var acc [4]vreg // score, power of the negatives and the positives
	for i := range acc {
		acc[i] = v.reg()
	}
	nan := [2]mask{v.newMask(), v.newMask()}

	l.run(func() {
		for _, a := range acc {
			v.move(infinity, a)
		}
		for _, k := range nan {
			v.clearMask(k)
		}
	}, func(pairs []pair) {
		l.sides.group(l.off)
		for _, t := range terms(pairs) {
			y, pos := l.argument(t)
			v.prefetch(l.inRow(l.x, t.reg), t.reg) // the other kernels find the row in the caches
			m, e := l.weights(t)
			neg := l.sides.mask(l.sides.neg, t.reg)
			power := v.reg()
			v.mul(y, l.hi, power)
			v.fmaMul(log2e, e, power)
			for side, k := range []mask{neg, pos} {
				v.restrict(k, notEqual, zero, m)
				unorderedIn := k
				// acc stays where y is NaN, and outside of k.
				for i, r := range []vreg{y, power} {
					a := acc[2*i+side]
					if v.wide() {
						v.either(v.VMAXPS, v.VMAXPD, a, r, k, a)
						continue
					}
					in := v.reg()
					v.choose(k, r, infinity, in)
					v.max(in, a, a)
				}
				v.restrict(unorderedIn, unordered, y, y)
				v.orMask(unorderedIn, nan[side])
			}
		}
	}, func() {
		canonical := v.GP64()
		if v.double() {
			v.MOVQ(operand.U64(math.Float64bits(math.NaN())&^1), canonical)
		} else {
			v.MOVL(operand.U32(math.Float32bits(float32(math.NaN()))), canonical.As32())
		}
		for i, a := range acc {
			v.reduceMax(a)
			v.storeLow(a, at(top, i*v.size))
		}
		for side, k := range nan {
			number := v.newLabel("number")
			v.jumpIfEmpty(k, number)
			for i := range 2 {
				if place := at(top, (2*i+side)*v.size); v.double() {
					v.MOVQ(canonical, place)
				} else {
					v.MOVL(canonical.As32(), place)
				}
			}
			v.Label(number)
		}
		v.ADDQ(operand.U8(4*v.size), top)
	})
}

// sideSums emits the weighted sums of both sides of rows.
func sideSums(v *vec) {
	sum := v.param("sum")
	l := newSideLoop(v)
	p := v.param("p")
	step := v.param("pStep")
	v.IMUL3Q(operand.U8(6*v.size), step, step)
	place := v.slot(step)
	e := newSideExponential(l)
	acc := newPairSums(v, 2)

	l.run(func() {
		e.begin(p)
		for _, a := range acc {
			a.clear()
		}
	}, func(pairs []pair) {
		l.sides.group(l.off)
		for _, q := range pairs {
			w := e.terms(q, true, nil)
			for side, bits := range []gpreg{l.sides.neg, l.sides.pos} {
				acc[side].takePair(l.sides, bits, q, w)
			}
		}
	}, func() {
		v.ADDQ(place, p)
		for i, a := range acc {
			a.store(at(sum, 8*i))
		}
		v.ADDQ(operand.U8(16), sum)
	})
}

// takePair adds the terms w of a pair to the sum of a side, the lanes of which have
// their bits there.
func (a *accumulator) takePair(s *sides, bits gpreg, q pair, w []vreg) {
	sum := a.reg()
	a.keep(s.mask(bits, q[0].reg), w[0], sum)
	if len(q) == 2 {
		k := s.mask(bits, q[1].reg)
		if a.wide() {
			a.either(a.VADDPS, a.VADDPD, w[1], sum, k, sum)
		} else {
			a.and(k, w[1], k)
			a.add(sum, k, sum)
		}
	}
	a.take(q.half(a.vec), sum)
}

// sideGrad emits the terms of rows times the factors of their sides.
func sideGrad(v *vec) {
	dst := v.param("dst")
	l := newSideLoop(v)
	l.advance(dst, "dstStride", log2(v.size))
	p := v.param("p")
	e := newSideExponential(l)
	factor := [2]op{}
	for i := range factor {
		if v.wide() {
			factor[i] = v.reg()
		} else {
			factor[i] = v.AllocLocal(v.bytes)
		}
	}

	l.run(func() {
		e.begin(p)
		for i, d := range factor {
			v.setKept(at(p, (3*i+2)*v.size), d)
		}
	}, func(pairs []pair) {
		l.sides.group(l.off)
		all := terms(pairs)
		step := 1
		if v.wide() {
			step = min(2, len(all))
		}
		for ; len(all) > 0; all = all[step:] {
			w := e.terms(all[:step], false, func(t term) vreg {
				f := v.reg()
				v.choose(l.sides.mask(l.sides.pos, t.reg), factor[1], factor[0], f)
				return f
			})
			for i, t := range all[:step] {
				place := l.inRow(dst, t.reg)
				v.store(t.mask, w[i], place)
			}
		}
	}, func() {
		v.ADDQ(operand.U8(6*v.size), p)
	})
}

// weighSums emits the products of kept exponentials and weights, and their sums in the
// order of sideSums: those of the negatives are above 0, those of the positives below.
func weighSums(v *vec) {
	a, b, m := v.param("a"), v.param("b"), v.param("m")
	w, stride := v.param("w"), v.stride("wStride")
	var lo gpreg
	if !v.double() {
		lo = v.param("lo")
	}
	l := newRowLoop(v)
	l.single = true
	zero := v.reg()
	v.zero(zero)
	acc := newPairSums(v, 2)

	l.run(func() {
		for _, a := range acc {
			a.clear()
		}
	}, func(pairs []pair) {
		for _, q := range pairs {
			var sums [2]vreg
			for i, t := range q {
				r, above, place := v.reg(), v.reg(), l.inRow(w, t.reg)
				v.load(t.mask, place, r)
				if lo == nil {
					v.mul(r, l.inRow(m, t.reg), r)
				} else {
					x := v.reg()
					v.mul(r, l.inRow(lo, t.reg), x)
					v.fmaFactor(l.inRow(m, t.reg), x, r)
				}
				v.store(t.mask, r, place)
				v.max(zero, r, above) // a NaN is of both sides
				v.sub(above, r, r)
				for side, r := range []vreg{above, r} {
					if i == 0 {
						sums[side] = r
					} else {
						v.add(sums[side], r, sums[side])
					}
				}
			}
			for side, a := range acc {
				a.take(q.half(v), sums[side])
			}
		}
	}, func() {
		v.ADDQ(stride, w)
		for i, out := range []gpreg{a, b} {
			acc[i].store(at(out, 0))
			v.ADDQ(operand.U8(8), out)
		}
	})
}
