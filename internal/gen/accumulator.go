package gen

import "github.com/mmcloughlin/avo/operand"

// An accumulator takes in the terms of a row, lane by lane, in float64 lanes: those
// of float64 in 8, with their errors; those of float32 in 16 or, where lanes l and
// l+8 are added in float32 first, in 8. It adds them or, as a product, joins them,
// x·y + (x+y): products of 1 + x less 1.
type accumulator struct {
	*vec
	product  bool // of float32
	sixteen  bool // float32: there are 16 lanes
	sum, err []vreg
	stack    operand.Mem // the same in memory: on AVX2, unless registers are left
	low      vreg        // float32, 8 lanes: the terms of lanes 0 to 7; on the stack they follow the sums
}

// newAccumulator returns one of 8 lanes, on AVX2 on the stack.
func newAccumulator(v *vec) *accumulator {
	if v.wide() {
		return newRegisterAccumulator(v)
	}
	return newStackAccumulator(v)
}

// newStackAccumulator is newAccumulator of one on the stack.
func newStackAccumulator(v *vec) *accumulator {
	return &accumulator{vec: v, stack: v.AllocLocal(4 * v.bytes)}
}

// newRegisterAccumulator is newAccumulator of one in registers.
func newRegisterAccumulator(v *vec) *accumulator {
	a := &accumulator{vec: v, sum: v.newRegs(v.regs())}
	if v.double() {
		a.err = v.newRegs(v.regs())
	}
	return a
}

// newWideAccumulator is newAccumulator, of float32 of 16 lanes.
func newWideAccumulator(v *vec) *accumulator {
	a := newAccumulator(v)
	if a.sixteen = !v.double(); a.sixteen && v.wide() {
		a.sum = append(a.sum, v.reg())
	}
	return a
}

// newPairSums returns accumulators of loops by pairs, which on AVX2 leave registers for
// those of float32.
func newPairSums(v *vec, n int) (all []*accumulator) {
	for range n {
		if v.double() {
			all = append(all, newAccumulator(v))
		} else {
			all = append(all, newRegisterAccumulator(v))
		}
	}
	return all
}

// newProduct is newAccumulator of a product.
func newProduct(v *vec) *accumulator {
	a := newAccumulator(v)
	a.product = true
	return a
}

// place is that of a register on the stack: of the sums and then, of 8 lanes, of the
// errors or of the terms of the two halves.
func (a *accumulator) place(i int) operand.Mem { return a.register(a.stack, i) }

func (a *accumulator) clear() {
	if a.sum != nil {
		for _, r := range append(a.sum[:len(a.sum):len(a.sum)], a.err...) {
			a.zero(r)
		}
		return
	}
	zero := a.reg()
	a.zero(zero)
	for i := range a.quantities() * a.regs() {
		a.move(zero, a.place(i))
	}
}

// copy copies the lanes of another one of a product.
func (a *accumulator) copy(from *accumulator) {
	for i, r := range from.lanes()[0] {
		if a.sum != nil {
			a.move(r, a.sum[i])
		} else {
			a.move(r, a.place(i))
		}
	}
}

// quantities is how many times 8 lanes there are.
func (a *accumulator) quantities() int {
	if a.double() || a.sixteen {
		return 2
	}
	return 1
}

// take takes in a group's terms of the lanes of a half. Those of float32 in 8 lanes
// are complete with the second half, or after a loop through the halves by endGroup.
func (a *accumulator) take(h *half, terms vreg) {
	switch {
	case a.double() && a.sum != nil:
		a.twoSum(a.sum[h.number], a.err[h.number], terms)
	case a.double():
		sums, errs := h.at(a.place(0)), h.at(a.place(a.regs()))
		sum, err := a.inRegister(sums), a.inRegister(errs)
		a.twoSum(sum, err, terms)
		a.move(sum, sums)
		a.move(err, errs)
	case a.sixteen:
		a.takeWidened(2*h.number, terms)
	case a.wide():
		low, high := a.split(terms)
		a.combine(low, high)
		r := a.reg()
		a.VCVTPS2PD(low, r)
		a.takeWide(0, r)
	case a.sum == nil && (h.loop || h.number == 0):
		a.move(terms, h.at(a.place(2)))
	case h.number == 0:
		a.low = terms
	case a.sum == nil:
		a.combine(terms, a.place(2))
		a.takeWidened(0, terms)
	default:
		a.combine(terms, a.low)
		a.takeWidened(0, terms)
	}
}

// endGroup completes what take began in a loop through the halves.
func (a *accumulator) endGroup() {
	if !a.wide() && !a.double() {
		a.take(&half{number: 1}, a.inRegister(a.place(3)))
	}
}

// takeWidened takes in float32 terms, those of registers first and first + 1 of the
// float64 lanes.
func (a *accumulator) takeWidened(first int, terms vreg) {
	low, high := a.widen(terms)
	a.takeWide(first, low)
	a.takeWide(first+1, high)
}

// takePairSums takes in the float32 sums of two pairs, one after the other, on AVX2 in 16
// lanes: the lanes are loaded and stored once.
func (a *accumulator) takePairSums(h *half, one, two vreg) {
	low, high := a.widen(one)
	then, thenHigh := a.widen(two)
	for i, r := range []vreg{low, high} {
		place := a.place(2*h.number + i)
		a.combine64(r, place)
		a.combine64(r, []vreg{then, thenHigh}[i])
		a.VMOVUPD(r, place)
	}
}

// takeWide takes in float64 terms of register i of the lanes.
func (a *accumulator) takeWide(i int, terms vreg) {
	if a.sum != nil {
		a.combine64(a.sum[i], terms)
		return
	}
	a.combine64(terms, a.place(i))
	a.VMOVUPD(terms, a.place(i))
}

// stage joins four registers of terms, of 32 elements or on AVX-512 twice as many, to
// the lanes: of 32, lane l and l+16, then these and l+8 and l+24.
func (a *accumulator) stage(w []vreg) {
	if !a.wide() {
		a.joinProducts(w[0], w[2])
		a.joinProducts(w[1], w[3])
		a.joinProducts(w[0], w[1])
		a.takeWidened(0, w[0])
		return
	}
	a.joinProducts(w[0], w[1])
	a.joinProducts(w[2], w[3])
	a.VSHUFF64X2(operand.U8(0x44), w[2], w[0], w[1])
	a.VSHUFF64X2(operand.U8(0xee), w[2], w[0], w[3])
	a.joinProducts(w[1], w[3])
	low, high := a.widen(w[1])
	a.takeWide(0, low)
	a.takeWide(0, high)
}

// combine and combine64 combine y into x.
func (a *accumulator) combine(x vreg, y op) {
	if a.product {
		a.joinProducts(x, a.asRegister(y))
	} else {
		a.add(x, y, x)
	}
}

func (a *accumulator) combine64(x vreg, y op) {
	if a.product {
		a.joinProducts64(x, a.asRegister(y))
	} else {
		a.VADDPD(y, x, x)
	}
}

// lanes returns the row's lanes: the sums and, of float64, the errors.
func (a *accumulator) lanes() [][]vreg {
	sum, err := a.sum, a.err
	if sum == nil {
		for i := range a.quantities() * a.regs() {
			sum = append(sum, a.inRegister(a.place(i)))
		}
		if a.double() {
			sum, err = sum[:a.regs()], sum[a.regs():]
		}
	}
	if a.double() {
		return [][]vreg{sum, err}
	}
	return [][]vreg{sum}
}

// total combines the lanes: it returns the row's sum and, of float64, the error.
func (a *accumulator) total() []vreg {
	q := a.lanes()
	if a.sixteen {
		// Lane l gets lane l + 8.
		n := len(q[0]) / 2
		for i, r := range q[0][n:] {
			a.VADDPD(r, q[0][i], q[0][i])
		}
		q[0] = q[0][:n]
	}
	return a.eight(q, func(x, y []vreg) {
		if a.product {
			a.joinProducts64(x[0], y[0])
		} else {
			a.joinSums(x, y)
		}
	})
}

// store writes the row's sum, or product less 1.
func (a *accumulator) store(out operand.Mem) {
	r := a.total()
	if len(r) > 1 {
		a.VADDPD(r[1], r[0], r[0])
	}
	a.VMOVSD(r[0], out)
}

// joinSums adds y to x: sums, or sums and their errors.
func (v *vec) joinSums(x, y []vreg) {
	if len(x) == 1 {
		v.VADDPD(y[0], x[0], x[0])
		return
	}
	v.VADDPD(y[1], x[1], x[1])
	v.twoSum(x[0], x[1], y[0])
}
