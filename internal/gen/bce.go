package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// bceWeights is what a bceJoin knows of weights. They are of hard labels or, where the
// argument t is not nil, of soft ones. The gradient, the terms and the thresholds are left
// out at run time. Elements that take no part have weights of 0 and y = 0.
type bceWeights struct {
	neg           gpreg       // those of the stage as negatives
	pos, terms    operand.Mem // the bytes from there to those as positives, and to the place of the terms
	t             operand.Mem // the place of the stage's soft labels
	shifted, soft operand.Mem // arguments: whether there are thresholds, and soft labels
	y, m          operand.Mem // in a place: y = x - s0, and -|y| with what that is short of
	part          operand.Mem // in a place: the elements that take part
}

func emitWeightedBCE(v *vec) {
	b := &bceJoin{shifted: true, grad: true, weights: &bceWeights{shifted: v.argument("shifted"), soft: v.argument("t")}}
	b.emit(v)
}

// weightArguments loads what there is with weights, and returns the stride of soft labels.
func (b *bceJoin) weightArguments() gpreg {
	w := b.weights
	w.neg = b.param("negWeight")
	pos, terms := b.param("posWeight"), b.param("terms")
	b.SUBQ(w.neg, pos)
	b.SUBQ(w.neg, terms)
	w.pos, w.terms, w.t = b.slot(pos), b.slot(terms), b.slot(b.param("t"))
	zero := b.reg()
	b.zero(zero)
	b.move(zero, b.hi)
	b.move(zero, b.lo)
	return b.stride("tStride")
}

// weightPlaces finds the places of a stage, behind its bits.
func (b *bceJoin) weightPlaces() {
	w := b.weights
	w.part = b.bits
	w.part.Disp += 16
	w.y = b.register(b.bits, 1)
	w.m = b.register(b.bits, 5)
}

// startWeights loads the factor of a row, and begins with the first class.
func (b *bceJoin) startWeights() {
	p := b.param("p")
	b.setKept(at(p, 0), b.factor)
	b.ADDQ(operand.U8(3*b.size), b.file.argument("p"))
	b.Load(b.Param("negWeight"), b.weights.neg)
}

// ifShifted emits what is done where there are thresholds.
func (b *bceJoin) ifShifted(do func()) {
	if b.weights == nil {
		do()
		return
	}
	plain := b.newLabel("plain")
	b.CMPQ(b.weights.shifted, operand.U8(0))
	b.JEQ(operand.LabelRef(plain))
	do()
	b.Label(plain)
}

// weightArgument returns -|y| of register i of the next stage, and what that is short of,
// and keeps y and their sum.
func (b *bceJoin) weightArgument(from operand.Mem, i int) (a, short vreg) {
	w, sign := b.weights, b.constant(math.Copysign(0, -1))
	a, short = b.reg(), b.reg()
	b.prefetch(from, i)
	b.move(from, a)
	b.zero(short)
	b.ifShifted(func() {
		y, lost := b.difference(a, b.hi, b.lo)
		b.move(y, a)
		b.andNot(y, sign, short)
		b.xor(lost, short, short)
	})
	b.move(a, b.register(b.of(1, w.y), i))
	b.or(a, sign, a)
	m := b.reg()
	b.add(a, short, m)
	b.move(m, b.register(b.of(1, w.m), i))
	return a, short
}

// weigh adds the terms of the stage, whose exponentials are e, and stores what is wanted
// of them and their derivatives. Two registers go together whose terms are added.
func (b *bceJoin) weigh(e []vreg) {
	pos, terms := b.GP64(), b.GP64()
	b.MOVQ(b.weights.pos, pos)
	b.ADDQ(b.weights.neg, pos)
	b.MOVQ(b.weights.terms, terms)
	b.ADDQ(b.weights.neg, terms)
	apart, step := 1, 2
	if !b.wide() {
		apart, step = 2, 1
	}
	var sums []vreg
	last := b.newLabel("weighed")
	for first := range 2 {
		i := first * step
		j := i + apart
		if b.wide() && first > 0 {
			// The end of a row may have nothing in the other two.
			b.CMPQ(b.left, operand.U8(2*b.lanes))
			b.JLE(operand.LabelRef(last))
		}
		l := b.weighTwo([2]int{i, j}, [2]vreg{e[i], e[j]}, pos, terms)
		b.add(l[0], l[1], l[0])
		if b.wide() {
			b.sum.take(&half{}, l[0])
		}
		sums = append(sums, l[0])
	}
	b.Label(last)
	if !b.wide() {
		b.takeSums(b.sum, sums)
	}
}

// weighTwo returns the terms of registers i, with a = (1-t)·w of the weight of a negative,
// b = t·w of that of a positive, and c = a where y ≥ 0, else b,
//
//	(a+b)·log1p(e) + c·|y|
//
// and stores the derivatives ±(c - (a+b)·q)·factor, q = e/(1+e).
func (b *bceJoin) weighTwo(i [2]int, e [2]vreg, pos, terms gpreg) [2]vreg {
	w := b.weights
	var either, choice, q, l [2]vreg
	var down [2]mask
	for k := range i {
		d := b.reg()
		q[k] = b.reg()
		b.add(e[k], b.constant(1), d)
		b.either(b.VDIVPS, b.VDIVPD, d, e[k], q[k])
	}
	// log(1+e) = q + z·(1/2 - (e+q)·C(z)),  z = e·q
	c := hyperbolic(b.elem)
	var z [2]vreg
	for k := range i {
		z[k], l[k] = b.reg(), b.reg()
		b.mul(e[k], q[k], z[k])
		b.add(e[k], q[k], e[k])
		b.move(b.constant(c[len(c)-1]), l[k])
	}
	for n := len(c) - 2; n >= 0; n-- {
		for k := range i {
			b.fmaMul(z[k], b.constant(c[n]), l[k])
		}
	}
	for k := range i {
		b.either(b.VFNMADD213PS, b.VFNMADD213PD, b.constant(0.5), e[k], l[k])
	}
	for k, n := range i {
		either[k], choice[k], down[k] = b.weightsOf(n, pos)
		b.fmaMul(z[k], q[k], l[k])
		b.mul(l[k], either[k], l[k])
		b.either(b.VFNMADD231PS, b.VFNMADD231PD, b.register(b.of(0, w.m), n), choice[k], l[k])
	}
	none, without := b.newLabel("none"), b.newLabel("without")
	b.CMPQ(b.file.argument("dst"), operand.U8(0))
	b.JEQ(operand.LabelRef(none))
	for k, n := range i {
		b.mul(choice[k], b.factor, choice[k])
		b.mul(either[k], b.factor, either[k])
		b.either(b.VFNMADD231PS, b.VFNMADD231PD, q[k], either[k], choice[k])
		b.flip(down[k], choice[k])
		b.move(choice[k], at(b.dst, n*b.bytes))
	}
	b.Label(none)
	b.CMPQ(b.file.argument("terms"), operand.U8(0))
	b.JEQ(operand.LabelRef(without))
	for k, n := range i {
		b.move(l[k], at(terms, n*b.bytes))
	}
	b.Label(without)
	return l
}

// hyperbolic are the coefficients of C in kernel.log1pUnit.
func hyperbolic(e elem) []float64 {
	if e == float64s {
		return coef.Log1pHyperbolic64[:]
	}
	return coefficients(coef.Log1pHyperbolic32[:])
}

// weightsOf returns a+b and c of register i, and the lanes in which y < 0 or is -0.
func (b *bceJoin) weightsOf(i int, posWeight gpreg) (either, choice vreg, down mask) {
	w := b.weights
	y, neg, pos := b.register(b.of(0, w.y), i), at(w.neg, i*b.bytes), at(posWeight, i*b.bytes)
	either, choice = b.reg(), b.reg()
	soft, ready := b.newLabel("soft"), b.newLabel("weights")
	var part, label mask
	if b.wide() {
		part, label, down = b.maskOf(b.of(0, w.part), i), b.positives(0, i), b.newMask()
		if r := b.inRegister(y); b.double() {
			b.VPMOVQ2M(r, down)
		} else {
			b.VPMOVD2M(r, down)
		}
	} else {
		part, label = b.bitsSigns(b.lanesBits(b.of(0, w.part)), i), b.bitsSigns(b.lanesBits(b.of(0, b.bits)), i)
		down = b.inRegister(y)
	}
	b.load(part, neg, either)
	b.CMPQ(w.soft, operand.U8(0))
	b.JNE(operand.LabelRef(soft))
	if b.wide() {
		b.either(b.VMOVUPS, b.VMOVUPD, pos, label, either)
		side := b.newMask()
		if b.double() {
			b.KXNORB(down, label, side)
		} else {
			b.KXNORW(down, label, side)
		}
		b.keep(side, either, choice)
	} else {
		b.choose(label, pos, either, either)
		// Where the signs of y and of the label differ there is none.
		b.xor(label, down, label)
		none := b.reg()
		b.zero(none)
		b.choose(label, none, either, choice)
	}
	b.Label(ready)
	b.aside = append(b.aside, func() {
		b.Label(soft)
		from, t := b.GP64(), b.reg()
		b.MOVQ(w.t, from)
		b.load(part, at(from, i*b.bytes), t)
		b.either(b.VFNMADD231PS, b.VFNMADD231PD, t, either, either)
		b.mul(t, pos, t)
		b.choose(down, t, either, choice)
		b.add(either, t, either)
		b.JMP(operand.LabelRef(ready))
	})
	return either, choice, down
}

// place returns a place for a number of the row: on AVX2 in memory.
func (v *vec) place() op {
	if v.wide() {
		return v.reg()
	}
	return v.AllocLocal(v.bytes)
}

// difference returns y = x - hi, and what that and lo leave out.
func (v *vec) difference(x vreg, hi, lo op) (y, short vreg) {
	y, t, u := v.reg(), v.reg(), v.reg()
	v.sub(x, hi, y)
	v.sub(y, x, t)
	v.sub(y, t, u)
	v.sub(x, u, u)
	v.add(t, hi, t)
	v.sub(u, t, u)
	v.sub(u, lo, u)
	return y, u
}
