package gen

// neonSelectSums emits the sums of e^x over the negative and of e^-x over the
// positive classes, in the order that selectSums describes. Up to four registers
// go through the exponential together; the accumulators lie on the stack.
func neonSelectSums(v *neonVec, one, keep bool) {
	out := []genReg{v.param("a")}
	if !one {
		out = append(out, v.param("b"))
	}
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
	l.withSides(one)
	v.loadConstants()
	magic, low, high := v.naturalRange()
	e := newNeonExponential(v, magic)
	var sums []*neonAccumulator
	for i := range out {
		sums = append(sums, newNeonStackAccumulator(v, l.acc.offset(128*i)))
	}

	l.run(func() {
		for _, s := range sums {
			s.clear()
		}
	}, func(t neonTurn) {
		// The registers of the same lanes of all vectors together.
		lanes := max(1, 2/t.vectors) // at a time
		for first := 0; first < len(t.lanes); first += lanes {
			part := neonTurn{t.vectors, t.lanes[first:][:lanes], t.whole}
			var y []*vecReg
			for _, i := range part.numbers() {
				r := v.inRegister(x.place(i))
				if !one {
					k, test := v.reg(), v.laneTest(i)
					l.sides[1].selected(i, test, k)
					v.flip(k, r)
					v.free(k, test)
				}
				v.max(low, r, r)
				v.min(high, r, r)
				y = append(y, r)
			}
			terms, s := e.evaluate(y)
			for i := range terms {
				v.mul(terms[i], s[i], terms[i])
			}
			v.free(s...)
			for i, h := range part.lanes {
				number, terms := part.numbers()[i*t.vectors:][:t.vectors], terms[i*t.vectors:][:t.vectors]
				of := l.ofSides(number, terms)
				if keep {
					for k, r := range terms {
						if one {
							v.store(of[0][k], w.place(number[k]))
							continue
						}
						v.comment("a term's sign tells its side")
						v.sub(of[0][k], of[1][k], r)
						v.store(r, w.place(number[k]))
					}
				}
				for k, s := range sums {
					s.take(h, v.sumOf(of[k]))
				}
			}
			v.free(terms...)
		}
	}, func() {
		for i, s := range sums {
			s.store(out[i])
		}
		if !one {
			v.spreadNaN(out[0], out[1])
		}
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

// ofSides returns the terms w of each side, the registers of those numbers, 0
// elsewhere.
func (l *neonLoop) ofSides(number []int, w []*vecReg) (of [2][]*vecReg) {
	for i, r := range w {
		test := l.laneTest(number[i])
		for s, side := range l.sides {
			k := l.reg()
			side.selected(number[i], test, k)
			l.and(r, k, k)
			of[s] = append(of[s], k)
		}
		l.free(test)
	}
	return of
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
