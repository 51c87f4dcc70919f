package gen

// neonSumExp emits the sum of exponentials.
func neonSumExp(v *neonVec) {
	out := "sum *float64, "
	if v.double() {
		out = "sum, err *float64, "
	}
	v.kernel("sumExp", out+"x *"+v.goType+", stride, rows, n int, p *[3]"+v.goType,
		"writes the sum over j < n of e^y·2^-c, y = min(max(x[i·stride+j], low), high),",
		"to sum[i] for every row i, with p = {magic of c, low, high}.",
	)
	sum := v.param("sum")
	var errs genReg
	if v.double() {
		errs = v.param("err")
	}
	x := v.input("x", "stride")
	p := v.param("p")
	l := newNeonRowLoop(v, x)
	magic, low, high := v.reg(), v.reg(), v.reg()
	v.broadcasts(p, magic, low, high)
	e := newNeonExponential(v, magic)
	acc := newNeonAccumulator(v)

	l.run(acc.clear,
		func(pairs []pair) {
			y := v.loadTerms(x, pairs)
			for _, r := range y {
				v.max(low, r, r)
			}
			for _, r := range y {
				v.min(high, r, r)
			}
			p, s := e.evaluate(y)
			acc.add(pairs, p, s)
		},
		func() {
			acc.store(sum, errs)
		})
}

// A neonAccumulator sums the terms of a row, lane by lane, as an accumulator
// does.
type neonAccumulator struct {
	*neonVec
	sum []*vecReg // in the order of the lanes
	err []*vecReg
}

func newNeonAccumulator(v *neonVec) *neonAccumulator {
	a := &neonAccumulator{neonVec: v}
	n := 2 * neonRegs // float32: 16 float64 lanes
	if v.double() {
		n = neonRegs
	}
	for range n {
		a.sum = append(a.sum, v.reg())
		if v.double() {
			a.err = append(a.err, v.reg())
		}
	}
	return a
}

func (a *neonAccumulator) clear() {
	for _, r := range append(a.sum, a.err...) {
		a.zero(r)
	}
}

// add adds the terms p·s of the pairs, whose registers it frees.
func (a *neonAccumulator) add(pairs []pair, p, s []*vecReg) {
	a.comment("add the two terms of a lane, and their sum to the row's")
	for _, q := range pairs {
		sum := p[0]
		a.mul(p[0], s[0], sum)
		a.keep(q[0].mask, sum)
		if len(q) == 2 {
			a.addProduct(q[1].mask, p[1], s[1], sum)
			a.free(p[1])
		}
		a.free(s[:len(q)]...)
		p, s = p[len(q):], s[len(q):]
		lane := q[0].reg
		if a.double() {
			a.twoSum(a.sum[lane], a.err[lane], sum)
			a.free(sum)
			continue
		}
		low, high := a.widen(sum)
		for i, r := range []*vecReg{low, high} {
			acc := a.sum[2*lane+i].d2()
			a.VFADD(r.d2(), acc, acc)
		}
		a.free(sum, low, high)
	}
}

// addProduct is d += a·b in the lanes of k, where the product is exact.
func (v *neonVec) addProduct(k mask, a, b, d *vecReg) {
	if k == nil {
		v.fmaAcc(a, b, d)
		return
	}
	v.mul(a, b, a)
	v.keep(k, a)
	v.add(d, a, d)
}

// twoSum is sum + err' = sum + x exactly, err += err', for sum ≥ 0 and x ≥ 0:
//
//	t = sum + x;  err += min(sum, x) - (t - max(sum, x));  sum = t
//
// It overwrites x.
func (a *neonAccumulator) twoSum(sum, err, x *vecReg) {
	v, u := a.neonVec, a.reg()
	v.max(sum, x, u)
	v.min(sum, x, x)
	v.add(u, x, sum)
	v.sub(sum, u, u)
	v.sub(x, u, x)
	v.add(err, x, err)
	v.free(u)
}

// store combines the lanes and writes the row's sum, and for float64 the
// errors: those of two lanes are added, then that of their sums.
func (a *neonAccumulator) store(sum, errs genReg) {
	if a.double() {
		r := a.eight([][]*vecReg{a.sum, a.err}, func(x, y []*vecReg) {
			a.neonVec.add(x[1], y[1], x[1])
			a.twoSum(x[0], x[1], y[0])
		})
		a.op("FMOVD.P", r[0], address{sum, 8})
		a.op("FMOVD.P", r[1], address{errs, 8})
		return
	}
	// Lane l gets lane l + 8.
	half := len(a.sum) / 2
	for i := range half {
		a.VFADD(a.sum[half+i].d2(), a.sum[i].d2(), a.sum[i].d2())
	}
	r := a.eight([][]*vecReg{a.sum[:half]}, func(x, y []*vecReg) { a.VFADD(y[0].d2(), x[0].d2(), x[0].d2()) })
	a.op("FMOVD.P", r[0], address{sum, 8})
}
