package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// lossKernels emits the kernels of the losses.
func lossKernels(f *file) {
	for _, e := range elems {
		for _, t := range tiers {
			v := &vec{f, t, e}
			selectSums(v)
			for _, how := range []output{overwrite, streaming, accumulate} {
				selectGrad(v, how)
			}
		}
	}
}

// An output is a way to write results.
type output int

const (
	overwrite  output = iota
	streaming         // past the caches, to multiples of 64 bytes
	accumulate        // add to what is there
)

// sides are the two bit arrays of a row, positive and negative classes.
type sides struct {
	*vec
	pos, neg gpreg
	step     gpreg // bytes from row to row
	bits     []op  // AVX2: a bit for each lane, those of odd registers second
	at       gpreg // byte offset of the group in the bits
}

func newSides(v *vec) *sides {
	s := &sides{vec: v, pos: v.param("pos"), neg: v.param("neg"), step: v.param("words"), at: v.GP64().(gpreg)}
	v.SHLQ(operand.U8(3), s.step)
	if !v.wide() {
		s.bits = []op{v.laneBits(0)}
		if v.double() {
			s.bits = append(s.bits, v.laneBits(4))
		}
	}
	return s
}

// laneBits is the constant whose lane l holds the bit first + l.
func (v *vec) laneBits(first int) operand.Mem {
	name := "bits" + v.bits
	if first > 0 {
		name += "odd"
	}
	return v.data(name, func() {
		for l := range v.lanes {
			bit := uint64(1) << (first + l%v.perReg())
			if v.double() {
				v.AppendDatum(operand.U64(bit))
			} else {
				v.AppendDatum(operand.U32(uint32(bit)))
			}
		}
	})
}

// group computes the offset of a group's bits from that of its elements.
func (s *sides) group(off reg.Register) {
	s.MOVQ(off, s.at)
	s.SHRQ(operand.U8(3+log2(s.size)), s.at)
}

// next moves to the next row.
func (s *sides) next() {
	s.ADDQ(s.step, s.pos)
	s.ADDQ(s.step, s.neg)
}

// mask returns the lanes of register i of the group whose bits in pos or neg
// are set.
func (s *sides) mask(side gpreg, i int) mask {
	k := s.newMask()
	mem := operand.Mem{Base: side, Index: s.at, Scale: 1, Disp: i * s.perReg() / 8}
	switch {
	case s.wide() && s.double():
		s.KMOVB(mem, k)
	case s.wide():
		s.KMOVW(mem, k)
	default:
		s.VPBROADCASTB(mem, k)
		bits := s.bits[0]
		if s.perReg() == 4 && i%2 == 1 {
			bits = s.bits[1]
		}
		s.and(k, bits, k)
		if s.double() {
			s.VPCMPEQQ(bits, k, k)
		} else {
			s.VPCMPEQD(bits, k, k)
		}
	}
	return k
}

// flip changes the sign of y in the lanes of k.
func (v *vec) flip(k mask, y vreg) {
	sign := v.constant(math.Copysign(0, -1))
	if v.wide() {
		v.either(v.VXORPS, v.VXORPD, sign, y, k, y)
		return
	}
	t := v.reg()
	v.and(k, sign, t)
	v.xor(y, t, y)
}

// selectSums emits the sums of e^x over the negative and of e^-x over the
// positive classes, one exponential an element.
//
// A row is cut into groups of four virtual vectors v0 … v3. The terms of a side
// are added lane by lane as (v0+v1) + (v2+v3), 0 where an element is of the
// other side or of none. float32: then lane l+8 to lane l, and these 8 to
// float64 accumulators. float64: to 8 accumulators, exactly.
func selectSums(v *vec) {
	v.kernel("selectSums", "a, b *float64, x *"+v.goType+", stride, rows, n int, pos, neg *uint64, words int",
		"writes for every row i the sum of e^y, y clamped to the range of pivot 0, to a[i] over the elements",
		"of neg, y = x[i·stride+j], and to b[i] over those of pos, y = -x. Bits beyond n are 0.",
	)
	a, b := v.param("a"), v.param("b")
	x, stride := v.param("x"), v.stride("stride")
	rows, n := v.param("rows"), v.param("n")
	s := newSides(v)
	magic, low, high := v.naturalRange()
	e := newExponential(v, magic, true)
	negative, positive := newSelected(v), newSelected(v)

	var (
		row, group, last = v.newLabel("row"), v.newLabel("group"), v.newLabel("last")
		rest, half, done = v.newLabel("rest"), v.newLabel("half"), v.newLabel("done")
		goTo             = func(label string) operand.LabelRef { return operand.LabelRef(label) }
		off, left        = v.GP64(), v.GP64()
		size             = 4 * v.lanes // of a group
	)
	// terms adds the first vectors of a group; whole tells that all its
	// elements exist. Elements that take no part are not read otherwise.
	terms := func(vectors int, whole bool) {
		s.group(off)
		for h := range v.regs() {
			// The registers of the same lanes, two at a time.
			for first := 0; first < vectors; first += 2 {
				count := min(2, vectors-first)
				var y []vreg
				for i := range count {
					number := (first+i)*v.regs() + h
					mem := operand.Mem{Base: x, Index: off, Scale: 1, Disp: number * v.bytes}
					r, k := v.reg(), s.mask(s.pos, number)
					if whole {
						v.move(mem, r)
						if h == 0 {
							mem.Disp += prefetchAhead
							v.PREFETCHT0(mem)
						}
					} else {
						v.load(v.union(s.mask(s.neg, number), k), mem, r)
					}
					v.flip(k, r)
					v.clamp(r, low, high)
					y = append(y, r)
				}
				p, q := e.evaluate(y)
				negative.pair(s, s.neg, first*v.regs()+h, first > 0, p, q)
				positive.pair(s, s.pos, first*v.regs()+h, first > 0, p, q)
			}
			negative.lanes(h)
			positive.lanes(h)
		}
	}

	v.TESTQ(rows, rows)
	v.JZ(goTo(last))
	v.Label(row)
	negative.clear()
	positive.clear()
	v.XORQ(off, off)
	v.MOVQ(n, left)
	v.SUBQ(operand.U32(size), left)
	v.JL(goTo(rest))
	v.Label(group)
	terms(4, true)
	v.ADDQ(operand.I32(256), off)
	v.SUBQ(operand.U32(size), left)
	v.JGE(goTo(group))
	v.Label(rest)
	v.ADDQ(operand.U32(size), left)
	v.JZ(goTo(done))
	v.CMPQ(left, operand.U8(2*v.lanes))
	v.JBE(goTo(half))
	terms(4, false)
	v.JMP(goTo(done))
	v.Label(half)
	terms(2, false)
	v.Label(done)
	negative.store(a)
	positive.store(b)
	v.ADDQ(stride, x)
	s.next()
	v.DECQ(rows)
	v.JNZ(goTo(row))
	v.Label(last)
	v.VZEROUPPER()
	v.RET()
}

// naturalRange returns the magic number of pivot 0 and the limits to which
// scores are clamped for it.
func (v *vec) naturalRange() (magic, low, high op) {
	// As the root package computes them.
	scale, most, least, bias := math.Ln2, 126.9, -125.9, 0x1.8p23+127
	if v.double() {
		most, least, bias = 1022.9, -1021.9, 0x1.8p52+1023
	}
	place := func(x float64) op {
		if v.wide() {
			return v.inRegister(v.constant(x))
		}
		return v.constant(x)
	}
	return place(bias), place(least * scale), place(most * scale)
}

// clamp is y = min(max(y, low), high), y where it is NaN.
func (v *vec) clamp(y vreg, low, high op) {
	// The instructions return their second source where either is NaN: that
	// has to be y, and the other in a register.
	for i, bound := range []op{low, high} {
		b, ok := bound.(vreg)
		if !ok {
			b = v.reg()
			v.move(bound, b)
		}
		if i == 0 {
			v.max(b, y, y)
		} else {
			v.min(b, y, y)
		}
	}
}

// selected accumulates the terms of one side of a row in 8 float64 lanes. On
// AVX2 what does not fit the registers lies on the stack.
type selected struct {
	*vec
	sum, err []vreg        // AVX-512, and the sums of float32 on AVX2
	stack    []operand.Mem // of float64 on AVX2: sum, err of lanes 0-3, then of 4-7
	group    vreg          // the group's sum so far, lanes of one register
	low      vreg          // AVX2, float32: the group's sum of lanes 0-7
}

func newSelected(v *vec) *selected {
	a := &selected{vec: v}
	switch {
	case v.wide() && v.double():
		a.sum, a.err = []vreg{v.reg()}, []vreg{v.reg()}
	case v.wide():
		a.sum = []vreg{v.reg()}
	case v.double():
		for range 4 {
			a.stack = append(a.stack, v.AllocLocal(v.bytes))
		}
	default:
		a.sum = []vreg{v.reg(), v.reg()}
	}
	return a
}

func (a *selected) clear() {
	for _, r := range append(append([]vreg(nil), a.sum...), a.err...) {
		a.zero(r)
	}
	if a.stack != nil {
		zero := a.reg()
		a.zero(zero)
		for _, m := range a.stack {
			a.move(zero, m)
		}
	}
}

// pair adds the terms p·q of two registers, or one, of the same lanes, the first
// of which is number i of the group; more tells that they are not the group's
// first.
func (a *selected) pair(s *sides, side gpreg, i int, more bool, p, q []vreg) {
	sum := a.reg()
	a.mulKeep(s.mask(side, i), p[0], q[0], sum)
	if len(p) == 2 {
		a.addProduct(s.mask(side, i+a.regs()), p[1], q[1], sum)
	}
	if more {
		a.add(a.group, sum, a.group)
	} else {
		a.group = sum
	}
}

// lanes adds the group's sum of the lanes of register h of a virtual vector.
func (a *selected) lanes(h int) {
	switch {
	case a.stack != nil:
		sum, err := a.reg(), a.reg()
		a.move(a.stack[2*h], sum)
		a.move(a.stack[2*h+1], err)
		(&accumulator{vec: a.vec}).twoSum(sum, err, a.group)
		a.move(sum, a.stack[2*h])
		a.move(err, a.stack[2*h+1])
	case a.double():
		(&accumulator{vec: a.vec}).twoSum(a.sum[0], a.err[0], a.group)
	case a.wide():
		low, high := a.split(a.group)
		a.VADDPS(high, low, low)
		r := a.reg()
		a.VCVTPS2PD(low, r)
		a.VADDPD(r, a.sum[0], a.sum[0])
	case h == 0:
		a.low = a.group
	default:
		a.add(a.low, a.group, a.low)
		low, high := a.widen(a.low)
		a.VADDPD(low, a.sum[0], a.sum[0])
		a.VADDPD(high, a.sum[1], a.sum[1])
	}
}

// store combines the lanes and writes the row's sum.
func (a *selected) store(out gpreg) {
	sum, err := a.sum, a.err
	if a.stack != nil {
		sum, err = nil, nil
		for i, m := range a.stack {
			r := a.inRegister(m)
			if i%2 == 0 {
				sum = append(sum, r)
			} else {
				err = append(err, r)
			}
		}
	}
	if !a.double() {
		r := a.eight([][]vreg{sum}, func(x, y []vreg) { a.VADDPD(y[0], x[0], x[0]) })
		a.VMOVSD(r[0], at(out, 0))
	} else {
		r := a.eight([][]vreg{sum, err}, func(x, y []vreg) {
			a.VADDPD(y[1], x[1], x[1])
			(&accumulator{vec: a.vec}).twoSum(x[0], x[1], y[0])
		})
		a.VADDPD(r[1], r[0], r[0])
		a.VMOVSD(r[0], at(out, 0))
	}
	a.ADDQ(operand.U8(8), out)
}

// selectGrad emits the gradient of the losses made of selectSums.
func selectGrad(v *vec, how output) {
	name := [...]string{"selectGrad", "selectGradStream", "selectGradAdd"}[how]
	what := [...]string{"writes", "streams", "adds"}[how]
	v.kernel(name, "dst *"+v.goType+", dstStride int, x *"+v.goType+", stride, rows, n int, pos, neg *uint64, words int, p *[6]"+v.goType,
		what+" to dst[i·dstStride+j], with {magic of c, low, factor} = p[i][:3] for the classes of neg, y = x,",
		"and p[i][3:] for those of pos, y = -x: e^y·2^-c·factor, or 0 where y < low, and 0 for other classes.",
	)
	dst, dstStride := v.param("dst"), v.stride("dstStride")
	x, stride := v.param("x"), v.stride("stride")
	s := newSides(v)
	p := v.param("p")
	l := newRowLoop(v)
	var params [6]op
	if v.wide() {
		for i := range params {
			params[i] = v.reg()
		}
	} else {
		for i := range params {
			params[i] = v.AllocLocal(v.bytes)
		}
	}
	e := newExponential(v, nil, false)

	l.run(func() {
		for i, d := range params {
			if v.wide() {
				v.broadcast(at(p, i*v.size), d)
				continue
			}
			r := v.reg()
			v.broadcast(at(p, i*v.size), r)
			v.move(r, d)
		}
	}, func(off reg.Register, pairs []pair) {
		s.group(off)
		// There are masks for two terms at a time on AVX-512, and on AVX2
		// registers for one.
		all := terms(pairs)
		step := 1
		if v.wide() {
			step = min(2, len(all))
		}
		for ; len(all) > 0; all = all[step:] {
			var y []vreg
			var magic []op
			for _, t := range all[:step] {
				r, m := v.reg(), v.reg()
				v.load(t.mask, operand.Mem{Base: x, Index: off, Scale: 1, Disp: t.reg * v.bytes}, r)
				k := s.mask(s.pos, t.reg)
				v.flip(k, r)
				v.choose(k, params[3], params[0], m)
				y, magic = append(y, r), append(magic, m)
			}
			// The lanes that are kept are found before y is overwritten.
			var keep []mask
			for i, t := range all[:step] {
				low, k := v.reg(), s.mask(s.pos, t.reg)
				v.choose(k, params[4], params[1], low)
				keep = append(keep, v.atLeast(y[i], low, v.union(k, s.mask(s.neg, t.reg))))
			}
			p, q := e.evaluateWith(y, magic)
			for i, t := range all[:step] {
				factor := v.reg()
				v.choose(s.mask(s.pos, t.reg), params[5], params[2], factor)
				v.mul(p[i], q[i], p[i])
				v.mulKeep(keep[i], p[i], factor, p[i])
				mem := operand.Mem{Base: dst, Index: off, Scale: 1, Disp: t.reg * v.bytes}
				switch {
				case how == accumulate:
					old := v.reg()
					v.load(t.mask, mem, old)
					v.add(old, p[i], p[i])
					v.store(t.mask, p[i], mem)
				case how == streaming && t.mask == nil:
					v.stream(p[i], mem)
				default:
					v.store(t.mask, p[i], mem)
				}
			}
		}
	}, func() {
		v.ADDQ(dstStride, dst)
		v.ADDQ(stride, x)
		s.next()
		v.ADDQ(operand.U8(6*v.size), p)
		if how == streaming {
			v.SFENCE()
		}
	})
}

// union returns the lanes of a or b, overwriting a.
func (v *vec) union(a, b mask) mask {
	v.orMask(b, a)
	return a
}

// atLeast returns the lanes of k in which y ≥ low, overwriting k and low.
func (v *vec) atLeast(y, low vreg, k mask) mask {
	if v.wide() {
		v.either(v.VCMPPS, v.VCMPPD, operand.U8(greaterOrEqual), low, y, k, k)
		return k
	}
	v.compare(greaterOrEqual, y, low, low)
	v.and(k, low, k)
	return k
}
