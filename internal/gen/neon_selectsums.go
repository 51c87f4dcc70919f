package gen

// neonSelectSums emits the sums of e^x over the negative and of e^-x over the
// positive classes, in the order that selectSums describes. Up to four registers
// go through the exponential together; the accumulators lie on the stack.
func neonSelectSums(v *neonVec, keep bool) {
	a, b := v.param("a"), v.param("b")
	x := v.input("x", "stride")
	streams := []*stream{x}
	var w *stream
	if keep {
		w = v.padded("w", "wStride")
		streams = append(streams, w)
	}
	l := newNeonLoop(v, 4, streams...)
	l.halves(16)
	l.accumulators()
	pos, _ := l.withSides()
	v.loadConstants()
	magic, low, high := v.naturalRange()
	e := newNeonExponential(v, magic)
	negative, positive := newNeonStackAccumulator(v, l.acc), newNeonStackAccumulator(v, l.acc.offset(128))

	l.run(func() {
		negative.clear()
		positive.clear()
	}, func(t neonTurn) {
		// The registers of the same lanes of all vectors together.
		lanes := max(1, 2/t.vectors) // at a time
		for first := 0; first < len(t.lanes); first += lanes {
			part := neonTurn{t.vectors, t.lanes[first:][:lanes], t.whole}
			var y []*vecReg
			for _, i := range part.numbers() {
				r, k, test := v.inRegister(x.place(i)), v.reg(), v.laneTest(i)
				pos.selected(i, test, k)
				v.flip(k, r)
				v.max(low, r, r)
				v.min(high, r, r)
				v.free(k, test)
				y = append(y, r)
			}
			terms, s := e.evaluate(y)
			for i := range terms {
				v.mul(terms[i], s[i], terms[i])
			}
			v.free(s...)
			for i, h := range part.lanes {
				number, terms := part.numbers()[i*t.vectors:][:t.vectors], terms[i*t.vectors:][:t.vectors]
				n, p := l.ofSides(number, terms)
				if keep {
					v.comment("a term's sign tells its side")
					for k, r := range terms {
						v.sub(n[k], p[k], r)
						v.store(r, w.place(number[k]))
					}
				}
				negative.take(h, v.sumOf(n))
				positive.take(h, v.sumOf(p))
			}
			v.free(terms...)
		}
	}, func() {
		negative.store(a)
		positive.store(b)
		v.spreadNaN(a, b)
	})
}

// spreadNaN makes both of two sums NaN where one is; they have just been written.
func (v *neonVec) spreadNaN(a, b genReg) {
	v.scope(func() {
		r, sum, numbers := v.regs(2), v.reg(), v.reg()
		v.op("FMOVD", address{a, -8}, r[0])
		v.op("FMOVD", address{b, -8}, r[1])
		v.VFADD(r[0].d2(), r[1].d2(), sum.d2())
		v.VFCMGE(sum.d2(), sum.d2(), numbers.d2())
		for i, place := range []genReg{a, b} {
			v.keepOr(numbers, sum, r[i])
			v.op("FMOVD", r[i], address{place, -8})
		}
	})
}

// ofSides returns the terms w of either side, the registers of those numbers, 0
// elsewhere.
func (l *neonLoop) ofSides(number []int, w []*vecReg) (n, p []*vecReg) {
	pos, neg := l.sides[0], l.sides[1]
	for i, r := range w {
		a, b, test := l.reg(), l.reg(), l.laneTest(number[i])
		neg.selected(number[i], test, a)
		pos.selected(number[i], test, b)
		l.and(r, a, a)
		l.and(r, b, b)
		l.free(test)
		n, p = append(n, a), append(p, b)
	}
	return n, p
}

// sumOf returns the sum of terms, (w0+w1) + (w2+w3) or of fewer, and frees the
// others.
func (v *neonVec) sumOf(w []*vecReg) *vecReg {
	for len(w) > 1 {
		var half []*vecReg
		for i := 0; i < len(w); i += 2 {
			v.add(w[i], w[i+1], w[i])
			v.free(w[i+1])
			half = append(half, w[i])
		}
		w = half
	}
	return w[0]
}

// naturalRange returns the magic number of pivot 0 and the limits to which
// scores are clamped for it.
func (v *neonVec) naturalRange() (magic, low, high *vecReg) {
	bias, least, most := pivot0(v.elem)
	place := func(x float64) *vecReg { return v.inRegister(v.constant(x)) }
	return place(bias), place(least), place(most)
}
