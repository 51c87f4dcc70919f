package gen

// A neonAccumulator combines the terms of a row, lane by lane: by addition, of
// float64 terms with the errors, or as a product of 1 + e less 1. It has 8
// float64 lanes, of float32 terms 8 or 16. They are in registers, or on the stack
// by the halves of a loop.
//
// A place is a pair of registers: for float64 the sums and the errors of a
// register of a virtual vector; for float32 the sums of one, or, where there are
// 8 lanes, of two that were combined in float32 before.
type neonAccumulator struct {
	*neonVec
	product bool // float32
	places  int
	regs    []*vecReg
	stack   address // of the half's places, the next 64 bytes on
	low     *vecReg // 8 lanes of float32: the terms of lanes 0 to 7
}

// newNeonAccumulator returns an accumulator in registers, for float32 of 16 lanes.
func newNeonAccumulator(v *neonVec) *neonAccumulator {
	return &neonAccumulator{neonVec: v, places: neonRegs, regs: v.regs(2 * neonRegs)}
}

// newNeonStackAccumulator returns an accumulator of 8 lanes at stack.
func newNeonStackAccumulator(v *neonVec, stack address) *neonAccumulator {
	a := &neonAccumulator{neonVec: v, places: neonRegs, stack: stack}
	if !v.double() {
		a.places /= 2
	}
	return a
}

func (a *neonAccumulator) clear() {
	for _, r := range a.regs {
		a.zero(r)
	}
	if a.regs == nil {
		zero := a.cleared(1)[0]
		for i := range a.places {
			a.storePair(zero, zero, a.stack.offset(32*i))
		}
		a.free(zero)
	}
}

// update has f change the pair of a place, which on the stack is that of the half.
func (a *neonAccumulator) update(place int, f func(x, y *vecReg)) {
	if a.regs != nil {
		f(a.regs[2*place], a.regs[2*place+1])
		return
	}
	at := a.stack.offset(32 * place)
	r := a.regsOf(at)
	f(r[0], r[1])
	a.storePair(r[0], r[1], at)
	a.free(r...)
}

// regsOf loads a pair.
func (a *neonAccumulator) regsOf(at address) []*vecReg {
	r := []*vecReg{a.reg(), a.reg()}
	a.loadPair(at, r[0], r[1])
	return r
}

// take takes in the group's terms of register h of a virtual vector, which it
// frees. In a loop of halves h is 0 or 2, and those of float32 go together.
func (a *neonAccumulator) take(h int, terms *vecReg) {
	switch {
	case a.double():
		a.update(h, func(sum, err *vecReg) { a.twoSum(sum, err, terms) })
		a.free(terms)
		return
	case a.places < neonRegs:
		if h < 2 {
			a.low = terms
			return
		}
		if a.product {
			a.joinProducts(a.low, terms)
		} else {
			a.add(a.low, terms, a.low)
			a.free(terms)
		}
		h, terms = h-2, a.low
	}
	low, high := a.widen(terms)
	a.update(h, func(x, y *vecReg) {
		a.join(x, low)
		a.join(y, high)
	})
	a.free(terms, low, high)
}

// join combines float64 lanes: x = x+y, or x = x·y + (x+y).
func (a *neonAccumulator) join(x, y *vecReg) {
	if !a.product {
		a.VFADD(y.d2(), x.d2(), x.d2())
		return
	}
	sum := a.reg()
	a.VFADD(x.d2(), y.d2(), sum.d2())
	a.op("VFMLA", x.d2(), y.d2(), sum.d2())
	a.become(x, sum)
}

// joinProducts is x = x·y + (x+y); it frees y.
func (v *neonVec) joinProducts(x, y *vecReg) {
	sum := v.reg()
	v.add(x, y, sum)
	v.fmaAcc(x, y, sum)
	v.become(x, sum)
	v.free(y)
}

// become makes x the register of what is y, and frees that of x.
func (v *neonVec) become(x, y *vecReg) {
	x.n, y.n = y.n, x.n
	v.free(y)
}

// twoSum is sum + err' = sum + x exactly, err += err', for sum ≥ 0 and x ≥ 0:
//
//	t = sum + x;  err += min(sum, x) - (t - max(sum, x));  sum = t
//
// It overwrites x.
func (v *neonVec) twoSum(sum, err, x *vecReg) {
	u := v.reg()
	v.max(sum, x, u)
	v.min(sum, x, x)
	v.add(u, x, sum)
	v.sub(sum, u, u)
	v.sub(x, u, x)
	v.add(err, x, err)
	v.free(u)
}

// store combines the lanes and writes the row's sum, and for float64 the errors:
// those of two lanes are added, then that of their sums. Without a place of their
// own the errors are added to the sum.
func (a *neonAccumulator) store(out genReg, errs ...genReg) {
	a.scope(func() {
		r := a.regs
		for i := 0; a.regs == nil && i < a.places; i++ {
			r = append(r, a.regsOf(a.stack.offset(32*i))...)
		}
		if !a.double() {
			for i := 4; i < len(r); i++ {
				a.join(r[i-4], r[i]) // lanes l and l + 8
			}
			sum := a.eight([][]*vecReg{r[:4]}, func(x, y []*vecReg) { a.join(x[0], y[0]) })
			a.op("FMOVD.P", sum[0], address{out, 8})
			return
		}
		var sum, err []*vecReg
		for i := range a.places {
			sum, err = append(sum, r[2*i]), append(err, r[2*i+1])
		}
		r = a.eight([][]*vecReg{sum, err}, func(x, y []*vecReg) {
			a.add(x[1], y[1], x[1])
			a.twoSum(x[0], x[1], y[0])
		})
		if len(errs) > 0 {
			a.op("FMOVD.P", r[1], address{errs[0], 8})
		} else {
			a.add(r[0], r[1], r[0])
		}
		a.op("FMOVD.P", r[0], address{out, 8})
	})
}
