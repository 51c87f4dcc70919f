package gen

import "github.com/mmcloughlin/avo/operand"

// A narrowPipeline evaluates e^y, four registers at a time, mostly on AVX2. While four are
// in the polynomial the arguments of the next four are reduced, one register after
// the other; they go through memory, for there are 16 registers: the polynomial
// takes 9, a register on its way to its reduced argument 3, constants or bits 4.
type narrowPipeline struct {
	*exponential
	low, high op                 // in registers, if there are enough; high may be nil
	atLeast   func(low, x, d op) // d = x, at least low
	slots     []narrowSlots      // one for every register of a virtual vector
	ahead     [2]gpreg           // of twoAhead: offsets of the 2^n in use and of those that wait
}

// narrowSlots are places of four reduced arguments and of their 2^n, next where those
// wait that are reduced while the ones before them are in use. On AVX-512 the arguments
// stay in registers.
type narrowSlots struct {
	r, s, next operand.Mem
	registers  []vreg
}

func newNarrowPipeline(e *exponential, low, high op) *narrowPipeline {
	p := &narrowPipeline{exponential: e, low: e.asRegister(low), high: high, atLeast: e.max}
	if high != nil {
		p.high = e.asRegister(high)
	}
	if e.wide() {
		p.slots = []narrowSlots{{registers: e.newRegs(4)}} // those of 2^n are two ahead
		return p
	}
	for range e.regs() {
		r, s := e.AllocLocal(4*e.bytes), e.AllocLocal(4*e.bytes)
		p.slots = append(p.slots, narrowSlots{r: r, s: s, next: s})
	}
	return p
}

// twoAhead has a slot filled while its last arguments are in the polynomial, so that
// reduced ones wait for a whole turn of both slots: the processor can then keep its
// units busy with what it sees at a time. swap goes with every turn.
func (p *narrowPipeline) twoAhead() {
	size := 4 * p.bytes
	place := p.AllocLocal(2 * p.aheadBytes())
	for i := range p.ahead {
		p.ahead[i] = p.GP64()
		p.MOVQ(operand.U32(p.aheadBytes()*i), p.ahead[i])
	}
	for i := range p.slots {
		m := place
		m.Disp += i * size
		m.Index, m.Scale = p.ahead[0], 1
		p.slots[i].s = m
		m.Index = p.ahead[1]
		p.slots[i].next = m
	}
}

// aheadBytes is the size of the 2^n of all slots.
func (p *narrowPipeline) aheadBytes() int { return 4 * p.bytes * len(p.slots) }

// swap makes what was reduced in the last turn what is next in the polynomial.
func (p *narrowPipeline) swap() {
	for _, r := range p.ahead {
		p.XORQ(operand.I32(p.aheadBytes()), r)
	}
}

// register is the place of register i.
func (v *vec) register(m operand.Mem, i int) operand.Mem {
	m.Disp += i * v.bytes
	return m
}

// reduced returns the steps that fill a slot with four arguments. Each comes from
// argument, with its magic number; both are overwritten where they are in registers,
// but not the magic number of all.
func (p *narrowPipeline) reduced(slot int, argument func(i int) (y, magic op)) (steps []func()) {
	return p.reducedShifted(slot, func(i int) (y, magic op, shift vreg) {
		y, magic = argument(i)
		return y, magic, nil
	})
}

// reducedShifted is reduced of arguments to which a small number is added, once they
// are reduced; nil for none.
func (p *narrowPipeline) reducedShifted(slot int, argument func(i int) (y, magic op, shift vreg)) (steps []func()) {
	to := p.slots[slot]
	for i := range 4 {
		var y, t, n, shift vreg
		var magic op
		steps = append(steps,
			func() {
				var from op
				from, magic, shift = argument(i)
				var ok bool
				if y, ok = from.(vreg); !ok {
					y = p.reg()
				}
				if to.registers != nil {
					y = to.registers[i]
				}
				p.atLeast(p.asRegister(p.low), from, y)
			},
			func() {
				if p.high != nil {
					p.min(p.asRegister(p.high), y, y)
				}
			},
			func() {
				t = p.reg()
				p.move(y, t)
				if _, ok := p.log2e.(operand.Mem); ok {
					p.fmaFactor(p.log2e, magic, t)
				} else {
					p.fmaMul(p.log2e, magic, t)
				}
			},
			func() {
				if r, ok := magic.(vreg); ok && magic != p.magic {
					n = r
				} else {
					n = p.reg()
				}
				p.sub(t, magic, n)
				p.shiftToExponent(t, t)
			},
			func() {
				p.fmaAcc(n, p.minusLn2Hi, y)
				p.fmaAcc(n, p.minusLn2Lo, y)
				if shift != nil {
					p.add(y, shift, y)
				}
			},
			func() {
				if to.registers == nil {
					p.move(y, p.register(to.r, i))
				}
				p.move(t, p.register(to.next, i))
			},
		)
	}
	return steps
}

// powersOf returns the exponentials of a slot as factors, the second ones in memory.
// Meanwhile it takes the steps.
func (p *narrowPipeline) powersOf(slot int, steps []func()) (a []vreg, s []op) {
	from, r := p.slots[slot], p.newRegs(4)
	for i := range r {
		if from.registers != nil {
			p.move(from.registers[i], r[i])
		} else {
			p.move(p.register(from.r, i), r[i])
		}
	}
	each := (len(steps) + len(p.rest) - 1) / len(p.rest)
	a, _ = p.powersWith(r, nil, p.newRegs(4), func() {
		count := min(len(steps), each)
		emit(steps[:count])
		steps = steps[count:]
	})
	for i := range a {
		s = append(s, p.register(from.s, i))
	}
	return a, s
}
