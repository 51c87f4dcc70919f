package gen

import (
	"github.com/mmcloughlin/avo/operand"
	"math"
)

// terms adds the stage, and stores its gradient, while the arguments of the next are
// loaded.
func (b *bceJoin) terms() {
	steps := b.reduced()
	var w []vreg
	var s []op
	if b.wide() {
		r, k, free := b.e.reduce(b.args, true)
		for i := range b.rem {
			b.add(r[i], b.rem[i], r[i])
		}
		each := (len(steps) + len(b.e.rest) - 1) / len(b.e.rest)
		var powers []vreg
		w, powers = b.e.powersWith(r, k, free, func() {
			count := min(len(steps), each)
			emit(steps[:count])
			steps = steps[count:]
		})
		s = operands(powers)
	} else {
		w, s = b.line.powersOf(0, steps)
	}
	for i := range w {
		b.mul(w[i], s[i], w[i])
	}
	switch {
	case b.weights != nil:
		b.weigh(w)
		return
	case b.grad:
		b.gradient(w)
	}
	if b.product != nil {
		b.product.stage(w)
	} else {
		b.logs(w)
	}
}

// gradient stores the derivatives ±factor·(w/(1+w)), of float32 or of 16 bits.
func (b *bceJoin) gradient(w []vreg) {
	store := func(i int, g vreg) { b.move(g, at(b.dst, i*b.bytes)) }
	if b.sixteen == nil {
		b.derivatives(w, store)
		return
	}
	sixteen, ready := b.newLabel("narrow"), b.newLabel("stored")
	b.sixteen.ifSixteen(sixteen)
	b.derivatives(w, store)
	b.Label(ready)
	b.aside = append(b.aside, func() {
		b.Label(sixteen)
		var all []vreg
		b.derivatives(w, func(_ int, g vreg) { all = append(all, g) })
		b.sixteen.narrow(all, b.dst, b.left)
		b.SUBQ(operand.I32(2*b.bytes), b.dst)
		b.JMP(operand.LabelRef(ready))
	})
}

// derivatives takes them, one register after the other, to store.
func (b *bceJoin) derivatives(w []vreg, store func(i int, g vreg)) {
	one := b.shared(b.constant(1), len(w))
	var bits, sign vreg
	if !b.wide() {
		bits, sign = b.lanesBits(b.of(0, b.bits)), b.inRegister(b.constant(math.Copysign(0, -1)))
	}
	sums := b.newRegs(2)
	for i, x := range w {
		g := b.reg()
		b.add(x, one, g)
		b.either(b.VDIVPS, b.VDIVPD, g, x, g)
		if b.wide() {
			b.flip(b.positives(0, i), g)
			b.mul(g, b.factor, g)
		} else {
			f := b.bitsSigns(bits, i)
			b.and(f, sign, f)
			b.xor(f, b.factor, f)
			b.mul(g, f, g)
		}
		store(i, g)
		if b.slope == nil {
			continue
		}
		if sum, second := b.sumOf(i); second {
			b.add(sums[sum], g, sums[sum])
		} else {
			b.move(g, sums[sum])
		}
	}
	if b.slope != nil {
		b.takeSums(b.slope, sums)
	}
}

// sumOf returns in which of two sums register i goes, those of its lanes in two virtual
// vectors, and whether as the second.
func (b *bceJoin) sumOf(i int) (sum int, second bool) {
	if b.wide() {
		return i / 2, i%2 == 1
	}
	return i % 2, i >= 2
}

// takeSums takes in these sums.
func (b *bceJoin) takeSums(to *accumulator, sums []vreg) {
	switch {
	case b.wide():
		to.take(&half{}, sums[0])
		to.take(&half{}, sums[1])
	case b.double():
		to.take(&half{}, sums[0])
		to.take(&half{number: 1}, sums[1])
	default:
		b.add(sums[0], sums[1], sums[0])
		to.takeWidened(0, sums[0])
	}
}

// storeSlope writes the sum of a row's derivatives, if it is wanted.
func (b *bceJoin) storeSlope() {
	if b.slope == nil {
		return
	}
	out, none := b.param("slope"), b.newLabel("none")
	b.TESTQ(out, out)
	b.JZ(operand.LabelRef(none))
	b.slope.store(at(out, 0))
	b.ADDQ(operand.U8(8), b.file.argument("slope"))
	b.Label(none)
}

// logs adds the terms of float64: the logarithms of the joins of 32 elements, which on
// AVX2 are two stages. One of no number is NaN.
func (b *bceJoin) logs(w []vreg) {
	added := b.newLabel("added")
	if b.wide() {
		b.joinProducts(w[0], w[1])
		b.joinProducts(w[2], w[3])
		b.joinProducts(w[0], w[2])
		w = w[:1]
	} else {
		b.joinProducts(w[0], w[2])
		b.joinProducts(w[1], w[3])
		w = w[:2]
		second, both := b.newLabel("second"), b.newLabel("both")
		done := b.param("n")
		b.SUBQ(b.left, done)
		b.TESTQ(operand.U32(b.groupSize), done)
		b.JNZ(operand.LabelRef(second))
		b.CMPQ(b.left, operand.U8(b.groupSize))
		b.JLE(operand.LabelRef(both))
		for i, x := range w {
			b.move(x, b.register(b.half, i))
		}
		b.JMP(operand.LabelRef(added))
		b.Label(second)
		for i, x := range w {
			b.joinProducts(x, b.inRegister(b.register(b.half, i)))
		}
		b.Label(both)
	}
	for i, x := range w {
		none := b.reg()
		b.sub(x, x, none) // 0, or NaN
		log, _ := b.log.log1p(x)
		b.add(log, none, log)
		b.sum.take(&half{number: i}, log)
	}
	b.Label(added)
}

// storeProduct writes a block's product.
func (b *bceJoin) storeProduct() {
	out := b.param("product")
	b.product.store(at(out, 0))
	b.product.clear()
	b.ADDQ(operand.U8(8), b.file.argument("product"))
}
