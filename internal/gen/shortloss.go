package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// This file emits the kernel of rows of 8 classes, from bits of labels to the arguments of
// logarithms and to gradients (see kernel/shortloss.go). The logarithms are a loop of their own:
// the processor does not look ahead from those of one turn to the next exponentials. A turn
// takes as many rows as a register has float64 lanes: the elements of four registers.

// An eightLoop runs through rows of 8.
type eightLoop struct {
	*vec
	of     *vec // float64
	u, dst gpreg
	x, pos gpreg
	e      *exponential
	unit   op   // 1
	worst  vreg // the largest |x| of every lane, as an integer: NaN is greater than any
	order  vreg // AVX-512: of sums, by rows

	terms []vreg // of a turn, in four registers; on AVX2 they are kept

	// AVX2: places of terms and of their sides, which are all ones for positives, and offsets
	// there of this turn and of the next.
	kept, sides operand.Mem
	slots       [2]gpreg
}

func newEightLoop(v *vec) *eightLoop {
	l := &eightLoop{vec: v, of: &vec{v.file, v.tier, float64s}}
	l.u, l.dst = v.param("u"), v.param("dst")
	l.e = newExponential(v, v.held(0x1.8p23), true)
	l.worst = v.reg()
	v.zero(l.worst)
	if v.wide() {
		l.unit = l.of.inRegister(l.of.constant(1))
		l.order = v.inRegister(v.data("order", func() {
			for i := range 8 {
				v.AppendDatum(operand.U64(i/2 + i%2*4))
			}
		}))
	} else {
		l.unit = l.of.constant(1)
		l.kept, l.sides = v.AllocLocal(2*l.slotBytes()), v.AllocLocal(2*l.slotBytes())
		for i := range l.slots {
			l.slots[i] = v.GP64()
			v.MOVQ(operand.U32(i*l.slotBytes()), l.slots[i])
		}
	}
	return l
}

// run emits the loop, in which the exponentials of the next turn stand before the rest of this
// one: the processor does not look far enough ahead to do that by itself. body finishes
// the rows, gradient writes their derivatives, and next moves on.
func (l *eightLoop) run(body, gradient, next func()) {
	rows, loop, moveOn, ready, done := l.param("rows"), l.newLabel("rows"), l.newLabel("next"), l.newLabel("ready"), l.newLabel("done")
	nextX, nextPos := l.param("x"), l.param("pos")
	l.TESTQ(rows, rows)
	l.JZ(operand.LabelRef(done))
	l.x, l.pos = l.GP64(), l.GP64()
	l.XORQ(l.x, l.x) // no rows yet
	l.MOVQ(nextPos, l.pos)
	if l.terms = make([]vreg, 4); l.wide() {
		l.terms = l.newRegs(4)
	}
	l.Label(loop)
	ahead := l.exponentials(nextX, nextPos)
	l.TESTQ(l.x, l.x)
	l.JZ(operand.LabelRef(ready))
	body()
	l.TESTQ(l.dst, l.dst)
	l.JZ(operand.LabelRef(moveOn))
	gradient()
	l.ADDQ(operand.I32(4*l.bytes), l.dst)
	l.Label(moveOn)
	l.ADDQ(operand.U8(l.bytes), l.u)
	next()
	l.SUBQ(operand.U8(l.of.perReg()), rows)
	l.JZ(operand.LabelRef(done))
	l.Label(ready)
	for i, r := range ahead {
		if l.wide() {
			l.move(r, l.terms[i])
		}
	}
	for _, s := range l.slots {
		if s != nil {
			l.XORQ(operand.U32(l.slotBytes()), s)
		}
	}
	l.MOVQ(nextX, l.x)
	l.MOVQ(nextPos, l.pos)
	// Beside the last turn the same is loaded again.
	l.ADDQ(operand.I32(4*l.bytes), nextX)
	l.ADDQ(operand.U8(l.bytes/8), nextPos)
	l.CMPQ(rows, operand.U8(l.of.perReg()))
	l.CMOVQEQ(l.x, nextX)
	l.CMOVQEQ(l.pos, nextPos)
	l.JMP(operand.LabelRef(loop))
	l.Label(done)
}

// slotBytes is the size of a turn's registers in memory.
func (l *eightLoop) slotBytes() int { return 4 * l.bytes }

// tooLarge returns the lanes in which a score was too large, or NaN, as bits.
func (l *eightLoop) tooLarge() gpreg {
	k, bits := l.newMask(), l.GP64()
	l.compare(notLessOrEqual, l.worst, l.constant(coef.ShortScore32), k)
	if l.wide() {
		l.KMOVW(k, bits.As32())
	} else {
		l.VMOVMSKPS(k, bits.As32())
	}
	return bits
}

// exponentials emits the exponentials of the next turn's rows, from x on, with the labels from pos
// on. On AVX2 it keeps them.
func (l *eightLoop) exponentials(x, pos gpreg) []vreg {
	sign, magnitude := l.constant(math.Copysign(0, -1)), l.constant(float64(math.Float32frombits(1<<31-1)))
	var y []vreg
	bits := l.newMask()
	if !l.wide() {
		l.VPBROADCASTD(at(pos, 0), bits)
	}
	for i := range 4 {
		l.prefetch(at(x, i*l.bytes), i)
		r, abs := l.load(x, i), l.reg()
		l.and(r, magnitude, abs)
		l.VPMAXUD(abs, l.worst, l.worst)
		if l.wide() {
			l.flip(l.bitsOf(pos, i), r)
		} else {
			side := l.reg()
			l.VPSLLVD(l.shifts(i), bits, side)
			l.VPSRAD(operand.U8(31), side, side)
			l.move(side, l.slot(l.sides, 1, i))
			l.and(side, sign, side)
			l.xor(r, side, r)
		}
		y = append(y, r)
	}
	p, q := l.e.evaluate(y)
	for i := range p {
		l.VPADDD(q[i], p[i], p[i]) // all powers of 2 are normal numbers
		if !l.wide() {
			l.move(p[i], l.slot(l.kept, 1, i))
		}
	}
	return p
}

// load loads register i of the rows from x on. On AVX2 the registers are the first halves of two
// rows, and then their second halves: so those are added without moving any.
func (l *eightLoop) load(x gpreg, i int) vreg {
	r := l.reg()
	if l.wide() {
		l.move(at(x, i*l.bytes), r)
		return r
	}
	low, high := l.halves(x, i)
	l.VMOVUPS(low, r.AsX())
	l.VINSERTF128(operand.U8(1), high, r, r)
	return r
}

// halves returns the places of the halves of register i, on AVX2.
func (l *eightLoop) halves(base gpreg, i int) (low, high operand.Mem) {
	low = at(base, i/2*2*l.bytes+i%2*l.bytes/2)
	high = low
	high.Disp += l.bytes
	return low, high
}

// shifts is how far the bits of the classes of register i are to be shifted to be the highest,
// on AVX2.
func (l *eightLoop) shifts(i int) operand.Mem {
	m := l.data("halves", func() {
		for i := range 4 {
			for lane := range 8 {
				row, class := 2*(i/2)+lane/4, 4*(i%2)+lane%4
				l.AppendDatum(operand.U32(31 - (8*row + class)))
			}
		}
	})
	m.Disp += i * l.bytes
	return m
}

// slot is the place of register i of this turn, 0, or the next.
func (l *eightLoop) slot(m operand.Mem, turn, i int) operand.Mem {
	m.Disp += i * l.bytes
	m.Index, m.Scale = l.slots[turn], 1
	return m
}

// bitsOf returns the bits of register i, on AVX-512.
func (l *eightLoop) bitsOf(pos gpreg, i int) mask {
	k := l.newMask()
	l.KMOVW(at(pos, l.bytes/32*i), k)
	return k
}

// side returns the lanes of the positives of register i.
func (l *eightLoop) side(i int) mask {
	if l.wide() {
		return l.bitsOf(l.pos, i)
	}
	return l.inRegister(l.slot(l.sides, 0, i))
}

// term returns register i of the terms.
func (l *eightLoop) term(i int) op {
	if l.wide() {
		return l.terms[i]
	}
	return l.slot(l.kept, 0, i)
}

// sums returns the sums of the negatives and of the positives of a turn's rows.
func (l *eightLoop) sums() (sums [2]vreg) {
	s := &signedRows{shortLoop: &shortLoop{vec: l.vec}, sides: len(sums)}
	if !l.wide() {
		s.vectors = 1
	}
	s.loaded = func(i int) [2]vreg {
		n, p := l.reg(), l.reg()
		if l.wide() {
			l.keep(l.side(i), l.term(i), p)
			l.xor(p, l.term(i), n)
		} else {
			side := l.side(i)
			l.and(side, l.term(i), p)
			l.andNot(side, l.term(i), n)
		}
		return [2]vreg{n, p}
	}
	parts := s.parts()
	for k := range sums {
		sums[k] = s.last(parts, k)
		if l.wide() {
			l.VPERMQ(sums[k], l.order, sums[k])
		}
	}
	return sums
}

// shortTwoSums emits the arguments of log1p of losses of two sums of rows of 8, and gradients.
func shortTwoSums(v *vec) {
	l := newEightLoop(v)
	scale, one := v.param("scale"), l.reg()
	v.VBROADCASTSD(v.argument("one"), one)
	var addend op = one
	if !v.wide() {
		m := v.AllocLocal(v.bytes)
		v.move(one, m)
		addend = m
	}
	d := l.of
	var sums [2]vreg
	var u vreg
	l.run(func() {
		sums = l.sums()
		sum := v.reg()
		d.add(sums[0], sums[1], sum)
		d.mul(sum, addend, sum)
		d.fmaAcc(sums[0], sums[1], sum)
		u = sum
		d.move(u, at(l.u, 0))
	}, func() {
		var factors [2]vreg
		unit := d.asRegister(l.unit)
		d.add(u, unit, u)
		v.VDIVPD(u, unit, u)
		for i, other := range []vreg{sums[1], sums[0]} {
			d.add(other, addend, other)
			d.mul(other, u, other)
			d.mul(other, at(scale, 0), other)
			if i == 1 {
				d.xor(other, d.asRegister(d.constant(math.Copysign(0, -1))), other)
			}
			factors[i] = other
		}
		l.scaled(factors)
	}, func() { v.ADDQ(operand.U8(v.bytes), scale) })
	v.Store(l.tooLarge(), v.ReturnIndex(0))
	v.VZEROUPPER()
	v.RET()
}

// scaled writes the terms times the factors of their row and side.
func (l *eightLoop) scaled(factors [2]vreg) {
	if l.wide() {
		for i, f := range factors {
			y := l.YMM()
			l.VCVTPD2PS(f, y)
			factors[i] = y.AsZ().(vreg)
		}
		spread := l.data("spread", func() {
			for row := range 8 {
				for range 4 {
					l.AppendDatum(operand.U64(uint64(row) | uint64(row)<<32))
				}
			}
		})
		for i := range l.terms {
			order, f := spread, l.reg()
			order.Disp = 64 * i
			rows := l.inRegister(order)
			l.VPERMPS(factors[0], rows, f)
			l.VPERMPS(factors[1], rows, l.side(i), f)
			l.mul(f, l.term(i), f)
			l.move(f, at(l.dst, i*l.bytes))
		}
		return
	}
	for i, f := range factors {
		y := l.reg()
		l.zero(y) // or its upper half would be taken for one that is used in all turns
		l.VCVTPD2PSY(f, y.AsX())
		factors[i] = y
	}
	spread := l.data("pairs", func() {
		for row := range 4 {
			for range 2 {
				l.AppendDatum(operand.U64(uint64(row) | uint64(row)<<32))
			}
		}
	})
	for half := range 2 {
		a, b := l.reg(), l.reg()
		order := spread
		order.Disp += half * l.bytes
		rows := l.inRegister(order)
		l.VPERMPS(factors[0], rows, a)
		l.VPERMPS(factors[1], rows, b)
		var halves [2]vreg
		for k := range halves {
			i, f := 2*half+k, l.reg()
			l.choose(l.side(i), b, a, f)
			l.mul(f, l.term(i), f)
			halves[k] = f
		}
		second := l.reg()
		l.VPERM2F128(operand.U8(0x31), halves[1], halves[0], second)
		l.VINSERTF128(operand.U8(1), halves[1].AsX(), halves[0], halves[0])
		l.move(halves[0], at(l.dst, 2*half*l.bytes))
		l.move(second, at(l.dst, (2*half+1)*l.bytes))
	}
}

// packEights emits the labels of rows of 8 by their targets, eight rows in a turn: 256 bits on
// either tier.
func packEights(w *vec) {
	v := &vec{w.file, avx2, w.elem}
	dst, targets, n := v.param("dst"), v.param("targets"), v.param("n")
	dwords := func(name string, of func(i int) uint32) vreg {
		return v.inRegister(v.data(name, func() {
			for i := range 8 {
				v.AppendDatum(operand.U32(of(i)))
			}
		}))
	}
	one := dwords("ones", func(int) uint32 { return 1 })
	// The lowest byte of every lane, to the first bytes or to the next ones; 0 elsewhere.
	order := dwords("bytes", func(i int) uint32 {
		if i == 0 || i == 5 {
			return 0x0c080400
		}
		return 0x80808080
	})
	most := v.reg() // of the targets; those below 0 are large
	v.zero(most)
	loop := v.newLabel("word")
	v.Label(loop)
	bits, high := v.reg(), v.XMM()
	v.VPMAXUD(at(targets, 0), most, most)
	v.VPSLLVD(at(targets, 0), one, bits)
	v.VPSHUFB(order, bits, bits)
	v.VEXTRACTF128(operand.U8(1), bits, high)
	v.VORPS(bits.AsX(), high, high)
	v.VMOVSD(high, at(dst, 0))
	v.ADDQ(operand.U8(8), dst)
	v.ADDQ(operand.U8(32), targets)
	v.SUBQ(operand.U8(8), n)
	v.JNZ(operand.LabelRef(loop))
	zero, bad := v.reg(), v.GP64()
	v.zero(zero)
	v.VPSRLD(operand.U8(3), most, most)
	v.VPCMPEQD(zero, most, most)
	v.VMOVMSKPS(most, bad.As32())
	v.XORQ(operand.U32(0xff), bad)
	v.Store(bad, v.ReturnIndex(0))
	v.VZEROUPPER()
	v.RET()
}

// packTargets emits the labels of short rows by their targets, eight rows in a turn: 256 bits,
// behind which the next turn's overwrite those of no row. Lane w has bits 32·w to 32·w+31: bit
// p of them is 1 << (p - 32·w), which is 0 where p is of another lane.
func packTargets(w *vec) {
	v := &vec{w.file, avx2, w.elem}
	dst, targets, count, n := v.param("dst"), v.param("targets"), v.param("count"), v.param("n")
	one := v.inRegister(v.data("ones", func() {
		for range 8 {
			v.AppendDatum(operand.U32(1))
		}
	}))
	most, length := v.reg(), v.reg()
	v.zero(most)
	v.VPBROADCASTD(v.argument("n"), length)
	first := v.newRegs(8) // what the target of a row is shifted by, in every lane
	for i, r := range first {
		if i == 0 {
			v.move(v.data("dwords", func() {
				for lane := range 8 {
					v.AppendDatum(operand.U32(-32 * lane))
				}
			}), r)
			continue
		}
		v.VPADDD(length, first[i-1], r)
	}
	loop := v.newLabel("eight")
	v.Label(loop)
	v.VPMAXUD(at(targets, 0), most, most)
	var bits laneTree[vreg]
	bits.join = func(x, y vreg) { v.or(x, y, x) }
	for i, r := range first {
		b := v.reg()
		v.VPBROADCASTD(at(targets, 4*i), b)
		v.VPADDD(r, b, b)
		v.VPSLLVD(b, one, b)
		bits.push(b)
	}
	v.move(bits.all(), at(dst, 0))
	v.ADDQ(n, dst)
	v.ADDQ(operand.U8(32), targets)
	v.SUBQ(operand.U8(8), count)
	v.JNZ(operand.LabelRef(loop))
	bad := v.GP64()
	v.VPMAXUD(length, most, length)
	v.VPCMPEQD(length, most, most) // at least n
	v.VMOVMSKPS(most, bad.As32())
	v.Store(bad, v.ReturnIndex(0))
	v.VZEROUPPER()
	v.RET()
}
