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
		for _, m := range index {
			b.line.slots = append(b.line.slots, narrowSlots{r: m, s: v.register(m, 4), next: v.register(m, 4)})
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
