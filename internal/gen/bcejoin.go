package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// A bceJoin emits a kernel of binary cross-entropy, without weights or with them. It runs
// through all rows by stages of four registers: while one is in the polynomial, the arguments
// of the next are loaded, on AVX2 those of the one after the next: see twoAhead. They may
// be of the next row. A stage of which not every element takes part, the end of a row among
// them, goes through a buffer, in which the others have a score whose exponential is 0.
type bceJoin struct {
	rowsAhead     // the group is the next stage, or the one after it
	shifted, grad bool

	hi, lo op          // of the next stage's row
	params operand.Mem // of the same

	// Of this stage:
	dst, left gpreg       // the gradient's place; elements of the row with those of the stage
	saved     operand.Mem // of dst, while that is the buffer
	factor    op          // of its row
	copy      *sideCopy   // with the gradient

	slots [2]gpreg    // offsets of the places of this stage and of that to load
	bits  operand.Mem // in a place: the positives
	whole operand.Mem // whether the stage is not in the buffer
	part  operand.Mem // the bits of the elements in the buffer

	low, high op // between which arguments are clamped
	e         *exponential
	line      *narrowPipeline // AVX2
	next      vreg            // AVX2: the bits of the next stage
	args, rem []vreg          // AVX-512: the next arguments, and what they are short of

	product *accumulator // float32
	sum     *accumulator // float64
	log     *logarithms
	half    operand.Mem // AVX2, float64: the joins of the stage before, where that is the first of 32 elements
	weights *bceWeights // nil for none

	slope *accumulator // of the derivatives of float32, with thresholds; nil for none
}

// ahead is how many stages ahead arguments are loaded.
func (b *bceJoin) ahead() int {
	if b.wide() {
		return 1
	}
	return 2
}

// placeBytes is the distance of the places of stages, of which there are twice ahead.
func (b *bceJoin) placeBytes() int {
	switch {
	case b.weights != nil:
		return 1024
	case b.wide():
		return 64
	}
	return 512
}

func emitBCEJoin(v *vec, shifted, grad bool) {
	b := &bceJoin{shifted: shifted, grad: grad}
	if grad {
		b.copy = &sideCopy{v, v.param("to"), v.param("from"), v.param("blocks")}
	}
	b.emit(v)
}

// emit emits the kernel.
func (b *bceJoin) emit(v *vec) {
	v.Attributes(0) // the frame is too large for NOSPLIT
	b.rowsAhead = rowsAhead{vec: v, n: v.argument("n"), groupSize: 4 * v.perReg(), buffer: v.AllocLocal(5 * v.bytes), look: b.look, fill: b.fill}
	if !v.double() && !b.shifted {
		b.sixteen = newSixteenBits(v, 4, b.buffer)
	}
	rows, last := v.argument("rows"), v.newLabel("last")
	for _, m := range []operand.Mem{rows, b.n} {
		b.CMPQ(m, operand.U8(0))
		b.JEQ(operand.LabelRef(last))
	}
	b.arguments()
	b.constants()
	b.run(rows)
	v.Label(last)
	b.copy.rest()
	v.VZEROUPPER()
	v.RET()
}

// arguments loads the arguments.
func (b *bceJoin) arguments() {
	v := b.vec
	b.from, b.bitsAt, b.left = v.param("x"), []gpreg{v.param("pos"), v.param("neg")}, v.GP64()
	strides := []gpreg{v.stride("stride")}
	if b.grad {
		b.dst, b.saved = v.param("dst"), v.AllocLocal(8)
		b.factor = v.place()
		strides = append(strides, v.stride("dstStride"))
	}
	if b.shifted {
		b.hi, b.lo = v.place(), v.place()
		b.params = v.slot(v.param("p"))
		b.beginRow = func() {
			b.ADDQ(operand.U8(3*b.size), b.params)
			b.threshold()
		}
	}
	if b.weights != nil {
		strides = append(strides, b.weightArguments())
	}
	b.part = v.AllocLocal(8)
	words := v.param("words")
	v.SHLQ(operand.U8(3), words)
	b.begin(v.param("n"), v.param("rows"), words, strides...)
	if b.sixteen == nil {
		return
	}
	names, pointers := []string{"x16"}, []gpreg{b.from}
	if b.grad {
		names, pointers = append(names, "dst16"), append(pointers, b.dst)
	}
	var skip []op
	for _, m := range b.skip[1:] {
		skip = append(skip, m)
	}
	b.sixteen.rows(names, pointers, skip...)
	b.readSixteen(b.lookSixteen, func() vreg { return b.inRegister(b.constant(coef.NoScore32)) }, b.part)
}

// lookSixteen is look of groups that go through the buffer.
func (b *bceJoin) lookSixteen(bits gpreg) {
	pos, neg := at(b.bitsAt[0], 0), at(b.bitsAt[1], 0)
	if b.wide() {
		b.MOVQ(pos, bits)
		b.MOVQ(bits, b.of(1, b.bits))
		b.ORQ(neg, bits)
	} else {
		b.MOVL(pos, bits.As32())
		b.MOVQ(bits, b.of(1, b.bits))
		b.ORL(neg, bits.As32())
		b.MOVQ(bits, b.part)
	}
	if b.grad {
		b.MOVB(operand.U8(1), b.of(1, b.whole))
	}
}

// constants loads what stays.
func (b *bceJoin) constants() {
	v := b.vec
	switch {
	case b.weights != nil:
		b.sum = newAccumulator(v)
	case v.double():
		b.sum, b.log = newAccumulator(v), newLogarithms(v)
	default:
		b.product = newProduct(v)
		b.product.clear()
	}
	if b.shifted && b.grad && b.weights == nil && !v.double() {
		b.slope = newStackAccumulator(v)
	}
	bias, least, most := zeroToInf(v.elem)
	b.low, b.high = v.constant(least), v.constant(most)
	if b.weights != nil {
		b.high = nil // there is none above
	}
	if !b.shifted {
		b.low, b.high = v.inRegister(v.constant(least)), v.inRegister(v.constant(most))
	}
	half := b.ahead() * b.placeBytes()
	place := v.AllocLocal(2 * half)
	var index [2]operand.Mem
	for i := range b.slots {
		b.slots[i] = v.GP64()
		v.MOVQ(operand.U32(half*(1-i)), b.slots[i]) // the last ones before the first stage
		index[i] = place
		index[i].Index, index[i].Scale = b.slots[i], 1
	}
	b.bits = index[0]
	if v.wide() {
		b.e = newExponential(v, v.inRegister(v.constant(bias)), !v.double() && !b.grad && !b.shifted)
		b.args = v.newRegs(4)
		if b.shifted {
			b.rem = v.newRegs(4)
		}
	} else {
		if v.double() {
			b.half = v.AllocLocal(2 * v.bytes)
		}
		b.e = newExponentialBy(v, v.log2e(), v.inRegister(v.constant(bias)), false)
		b.line = &narrowPipeline{exponential: b.e, low: b.low, high: b.high, atLeast: b.e.max}
		for i, m := range index {
			b.line.slots[i] = narrowSlots{m, v.register(m, 4), v.register(m, 4)}
		}
		b.bits = v.register(b.bits, 8)
	}
	b.whole = b.bits
	b.whole.Disp += 8
	if b.weights != nil {
		b.weightPlaces()
	}
}

// zeroToInf returns the magic number of pivot 0, and the arguments between which e^y
// is neither 0 nor +Inf.
func zeroToInf(e elem) (bias, least, most float64) {
	return e.pick(coef.Magic32, coef.Magic64), e.pick(coef.ZeroExp32, coef.ZeroExp64) * math.Ln2, e.pick(coef.InfExp32, coef.InfExp64) * math.Ln2
}

// of returns a place of this stage for that of this one or of that to load.
func (b *bceJoin) of(stage int, m operand.Mem) operand.Mem {
	m.Index = b.slots[stage]
	return m
}

// run emits the loop through the stages.
func (b *bceJoin) run(rows operand.Mem) {
	var (
		group = b.newLabel("group")
		goTo  = func(label string) operand.LabelRef { return operand.LabelRef(label) }
	)
	if b.shifted {
		b.threshold()
	}
	b.startRow()
	first := b.newLabel("first")
	b.Label(first)
	b.prepare()
	emit(b.reduced())
	b.nextSlots()
	if b.ahead() > 1 {
		b.TESTQ(b.slots[0], b.slots[0])
		b.JNZ(goTo(first))
	}
	b.Label(group)
	b.copy.block()
	b.prepare()
	b.enterBuffer()
	b.terms()
	b.leaveBuffer()
	if b.grad {
		b.ADDQ(operand.I32(4*b.bytes), b.dst)
	}
	if b.weights != nil {
		b.ADDQ(operand.I32(4*b.bytes), b.weights.neg)
		b.ADDQ(operand.I32(4*b.bytes), b.weights.t)
	}
	b.nextSlots()
	b.SUBQ(operand.U8(b.groupSize), b.left)
	row, end := b.newLabel("row"), b.newLabel("end")
	if b.product != nil {
		// Of a block that is complete.
		count := b.param("n")
		b.JLE(goTo(row))
		b.SUBQ(b.left, count)
		b.TESTQ(operand.U32(coef.JoinBlock-1), count)
		b.JNZ(goTo(group))
		b.storeProduct()
		b.JMP(goTo(group))
		b.Label(row)
		b.storeProduct()
	} else {
		b.JG(goTo(group))
		out := b.param("sum")
		b.sum.store(at(out, 0))
		b.ADDQ(operand.U8(8), b.file.argument("sum"))
	}
	b.storeSlope()
	if b.grad {
		b.ADDQ(b.skip[2], b.dst)
	}
	if b.weights != nil {
		step := b.GP64()
		b.MOVQ(b.skip[3], step)
		b.ADDQ(step, b.weights.t)
	}
	b.DECQ(rows)
	b.JZ(goTo(end))
	b.startRow()
	b.JMP(goTo(group))
	for _, f := range b.aside {
		f()
	}
	b.Label(end)
}

// startRow clears the sums and loads what is the row's.
func (b *bceJoin) startRow() {
	if b.sum != nil {
		b.sum.clear()
	}
	if b.slope != nil {
		b.slope.clear()
	}
	switch {
	case b.weights != nil:
		b.startWeights()
	case b.grad:
		b.setFactor()
	}
	b.Load(b.Param("n"), b.left)
}

// setFactor loads that of a row, and moves on.
func (b *bceJoin) setFactor() {
	r := b.reg()
	b.VBROADCASTSD(at(b.param("scale"), 0), r)
	b.toElement(r)
	b.move(r, b.factor)
	b.ADDQ(operand.U8(8), b.file.argument("scale"))
}

// threshold loads that of the row of the next stage.
func (b *bceJoin) threshold() {
	p := b.GP64()
	b.MOVQ(b.params, p)
	b.ifShifted(func() {
		b.setKept(at(p, b.size), b.hi)
		b.setKept(at(p, 2*b.size), b.lo)
	})
}

// nextSlots makes the next stage this one.
func (b *bceJoin) nextSlots() {
	for _, s := range b.slots {
		if b.ahead() == 1 {
			b.XORQ(operand.I32(b.placeBytes()), s)
			continue
		}
		b.ADDQ(operand.I32(b.placeBytes()), s)
		b.ANDQ(operand.I32(2*b.ahead()*b.placeBytes()-1), s)
	}
}

// look finds the bits of the next stage's positives, and whether it is whole.
func (b *bceJoin) look(bits gpreg, other string) {
	t, pos, neg := b.GP64(), at(b.bitsAt[0], 0), at(b.bitsAt[1], 0)
	full := operand.Op(operand.I8(-1))
	switch b.groupSize {
	case 64:
		b.MOVQ(pos, bits)
		b.MOVQ(bits, b.of(1, b.bits))
		b.ORQ(neg, bits)
		b.CMPQ(bits, full)
	case 32:
		b.MOVL(pos, bits.As32())
		b.MOVQ(bits, b.of(1, b.bits))
		b.ORL(neg, bits.As32())
		b.CMPL(bits.As32(), full)
	default:
		b.MOVWLZX(pos, bits.As32())
		b.MOVQ(bits, b.of(1, b.bits))
		b.ORW(neg, bits.As16())
		b.CMPL(bits.As32(), operand.U32(0xffff))
	}
	b.SETEQ(t.As8())
	if b.weights != nil {
		b.MOVQ(bits, b.of(1, b.weights.part))
	}
	b.MOVB(t.As8(), b.of(1, b.whole))
	b.JNE(operand.LabelRef(other))
}

// fill fills the buffer with those elements whose bits are set.
func (b *bceJoin) fill(bits gpreg) {
	var part vreg
	if !b.wide() {
		b.MOVQ(bits, b.part)
		part = b.lanesBits(b.part)
	}
	var none vreg
	if b.weights != nil {
		none = b.asRegister(b.hi) // y = +0
	} else if none = b.inRegister(b.constant(b.pick(coef.NoScore32, coef.NoScore64))); b.shifted {
		b.add(none, b.hi, none)
	}
	for i := range 4 {
		r, from := b.reg(), at(b.from, i*b.bytes)
		if b.wide() {
			k := b.K()
			if i > 0 {
				b.SHRQ(operand.U8(b.lanes), bits)
			}
			b.loadMask(bits.As32(), k)
			b.move(none, r)
			b.either(b.VMOVUPS, b.VMOVUPD, from, k, r)
		} else {
			k, read := b.bitsSigns(part, i), b.reg()
			b.load(k, from, read)
			b.choose(k, read, none, r)
		}
		b.move(r, b.register(b.buffer, i))
	}
}

// enterBuffer has the gradient of a stage that is not whole go to the buffer, and
// leaveBuffer writes it, as far as the row goes.
func (b *bceJoin) enterBuffer() {
	if !b.grad {
		return
	}
	some, ready := b.newLabel("into"), b.newLabel("entered")
	b.CMPB(b.of(0, b.whole), operand.U8(0))
	b.JEQ(operand.LabelRef(some))
	b.Label(ready)
	b.aside = append(b.aside, func() {
		b.Label(some)
		b.MOVQ(b.dst, b.saved)
		b.LEAQ(b.buffer, b.dst)
		b.JMP(operand.LabelRef(ready))
	})
}

func (b *bceJoin) leaveBuffer() {
	if !b.grad {
		return
	}
	some, ready := b.newLabel("out"), b.newLabel("left")
	b.CMPB(b.of(0, b.whole), operand.U8(0))
	b.JEQ(operand.LabelRef(some))
	b.Label(ready)
	b.aside = append(b.aside, func() {
		b.Label(some)
		b.MOVQ(b.saved, b.dst)
		if b.weights != nil {
			b.CMPQ(b.file.argument("dst"), operand.U8(0))
			b.JEQ(operand.LabelRef(ready))
		}
		count := b.GP64()
		b.MOVQ(operand.U32(b.groupSize), count)
		b.CMPQ(b.left, count)
		b.CMOVQLT(b.left, count)
		for i, k := range b.tailMasks(count, 4) {
			b.store(k, b.inRegister(b.register(b.buffer, i)), at(b.dst, i*b.bytes))
		}
		b.JMP(operand.LabelRef(ready))
	})
}

// leadingBits returns a register whose signs are, on AVX2, the bits of register i of
// the stage whose bits are at mem; what else is in it is open.
func (v *vec) leadingBits(mem operand.Mem, i int) vreg {
	r := v.reg()
	if v.double() {
		v.VPBROADCASTW(mem, r)
	} else {
		v.VPBROADCASTD(mem, r)
	}
	v.either(v.VPSLLVD, v.VPSLLVQ, v.signShifts(i*v.perReg()), r, r)
	return r
}

// reduced returns the steps that load the arguments of the next stage.
func (b *bceJoin) reduced() (steps []func()) {
	from := func(i int) operand.Mem { return at(b.src, i*b.bytes) }
	if !b.wide() {
		return b.line.reducedShifted(1, func(i int) (r, magic op, short vreg) {
			if i == 0 && b.weights == nil {
				b.next = b.lanesBits(b.of(1, b.bits))
			}
			if b.weights != nil {
				r, short = b.weightArgument(from(i), i)
				return r, b.e.magic, short
			}
			y := b.reg()
			b.prefetch(from(i), i)
			if b.shifted {
				b.move(from(i), y)
				y, short = b.difference(y, b.hi, b.lo)
				sign := b.sign(i)
				b.xor(short, sign, short)
				b.xor(y, sign, y)
			} else {
				b.xor(b.sign(i), from(i), y)
			}
			return y, b.e.magic, short
		})
	}
	for i, y := range b.args {
		if b.weights != nil {
			steps = append(steps, func() {
				a, short := b.weightArgument(from(i), i)
				b.move(a, y)
				b.move(short, b.rem[i])
			}, func() { b.max(b.asRegister(b.low), y, y) })
			continue
		}
		steps = append(steps, func() {
			k := b.positives(1, i)
			b.prefetch(from(i), i)
			b.move(from(i), y)
			if b.shifted {
				d, short := b.difference(y, b.hi, b.lo)
				b.move(d, y)
				b.move(short, b.rem[i])
				b.flip(k, b.rem[i])
			}
			b.flip(k, y)
		}, func() { b.clamp(y, b.low, b.high) })
	}
	return steps
}

// positives returns, on AVX-512, those of register i of this stage or of the next.
func (b *bceJoin) positives(stage, i int) mask {
	return b.maskOf(b.of(stage, b.bits), i)
}

// maskOf returns, on AVX-512, the bits at mem of register i.
func (v *vec) maskOf(mem operand.Mem, i int) mask {
	k := v.newMask()
	mem.Disp += i * v.perReg() / 8
	v.loadMask(mem, k)
	return k
}

// sign returns, on AVX2, the signs of register i of the next stage.
func (b *bceJoin) sign(i int) vreg {
	r := b.bitsSigns(b.next, i)
	b.and(r, b.constant(math.Copysign(0, -1)), r)
	return r
}

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
