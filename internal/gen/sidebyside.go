package gen

// sideBySide is an arithmetic on n registers at a time. The chains of a formula on
// them are in step: a processor that looks ahead finds enough to do.
type sideBySide[R any] struct {
	one arithmetic[R]
	n   int
}

// repeated returns n results of f.
func repeated[R any](n int, f func() R) (r []R) {
	for range n {
		r = append(r, f())
	}
	return r
}

func (s sideBySide[R]) temp() []R { return repeated(s.n, s.one.temp) }

func (s sideBySide[R]) drop(r ...[]R) {
	for _, r := range r {
		s.one.drop(r...)
	}
}

func (s sideBySide[R]) constantIn(c float64) []R {
	r := []R{s.one.constantIn(c)}
	for range s.n - 1 {
		more := s.one.temp()
		s.one.copyTo(r[0], more)
		r = append(r, more)
	}
	return r
}

func (s sideBySide[R]) sharing(c float64, body func()) {
	if s.n == 1 {
		body()
		return
	}
	s.one.sharing(c, body)
}

// pairs and triples emit an operation on every register.

func pairs[R any](op func(a, d R), a, d []R) {
	for i := range d {
		op(a[i], d[i])
	}
}

func triples[R any](op func(a, b, d R), a, b, d []R) {
	for i := range d {
		op(a[i], b[i], d[i])
	}
}

// constants emits an operation with a constant on every register.
func (s sideBySide[R]) constants(op func(a R, c float64, d R), a []R, c float64, d []R) {
	s.sharing(c, func() {
		for i := range d {
			op(a[i], c, d[i])
		}
	})
}

func (s sideBySide[R]) copyTo(a, d []R)        { pairs(s.one.copyTo, a, d) }
func (s sideBySide[R]) addPositive(a, d []R)   { pairs(s.one.addPositive, a, d) }
func (s sideBySide[R]) rootOf(a, d []R)        { pairs(s.one.rootOf, a, d) }
func (s sideBySide[R]) plus(a, b, d []R)       { triples(s.one.plus, a, b, d) }
func (s sideBySide[R]) minus(a, b, d []R)      { triples(s.one.minus, a, b, d) }
func (s sideBySide[R]) times(a, b, d []R)      { triples(s.one.times, a, b, d) }
func (s sideBySide[R]) over(a, b, d []R)       { triples(s.one.over, a, b, d) }
func (s sideBySide[R]) larger(a, b, d []R)     { triples(s.one.larger, a, b, d) }
func (s sideBySide[R]) smaller(a, b, d []R)    { triples(s.one.smaller, a, b, d) }
func (s sideBySide[R]) otherSign(a, d []R)     { pairs(s.one.otherSign, a, d) }
func (s sideBySide[R]) flip(a, sign, d []R)    { triples(s.one.flip, a, sign, d) }
func (s sideBySide[R]) addProduct(a, b, d []R) { triples(s.one.addProduct, a, b, d) }
func (s sideBySide[R]) subProduct(a, b, d []R) { triples(s.one.subProduct, a, b, d) }

func (s sideBySide[R]) plusConstant(a []R, c float64, d []R) {
	s.constants(s.one.plusConstant, a, c, d)
}
func (s sideBySide[R]) minusConstant(a []R, c float64, d []R) {
	s.constants(s.one.minusConstant, a, c, d)
}
func (s sideBySide[R]) maxConstant(a []R, c float64, d []R) { s.constants(s.one.maxConstant, a, c, d) }

func (s sideBySide[R]) addProductConstant(a []R, c float64, d []R) {
	s.constants(s.one.addProductConstant, a, c, d)
}

func (s sideBySide[R]) exponentOf(t []R) {
	for _, r := range t {
		s.one.exponentOf(r)
	}
}

func (s sideBySide[R]) productError(a, b, p []R) (d []R) {
	for i := range a {
		d = append(d, s.one.productError(a[i], b[i], p[i]))
	}
	return d
}

func (s sideBySide[R]) fmaConstant(p, a []R, c float64) (d []R) {
	s.sharing(c, func() {
		for i := range a {
			d = append(d, s.one.fmaConstant(p[i], a[i], c))
		}
	})
	return d
}

func (s sideBySide[R]) negative(a []R) (d []R) {
	for _, r := range a {
		d = append(d, s.one.negative(r))
	}
	return d
}

func (s sideBySide[R]) productPlus(a, b, c []R) (d []R) {
	for i := range a {
		d = append(d, s.one.productPlus(a[i], b[i], c[i]))
	}
	return d
}

func (s sideBySide[R]) whereSign(y, a, b []R) (d []R) {
	for i := range y {
		d = append(d, s.one.whereSign(y[i], a[i], b[i]))
	}
	return d
}

func (s sideBySide[R]) whereHalf(e, a []R, head, tail float64) (f, h, t []R) {
	for i := range e {
		x, y, z := s.one.whereHalf(e[i], a[i], head, tail)
		f, h, t = append(f, x), append(h, y), append(t, z)
	}
	return f, h, t
}

func (s sideBySide[R]) repeat(argument string, body func()) { s.one.repeat(argument, body) }

func (s sideBySide[R]) ifAtLeast(argument string, least int, body func()) {
	s.one.ifAtLeast(argument, least, body)
}

// A neonPair is the arithmetic of two registers of NEON, into which one load brings a
// constant that is to be added to.
type neonPair struct {
	sideBySide[*vecReg]
	v *neonVec
}

func newNeonPair(v *neonVec) arithmetic[[]*vecReg] {
	return neonPair{sideBySide[*vecReg]{newNeonArithmetic(v), 2}, v}
}

func (p neonPair) constantIn(c float64) []*vecReg {
	place := p.v.constant(c)
	if place.disp > farthestPair {
		return []*vecReg{p.v.inRegister(place), p.v.inRegister(place)}
	}
	r := p.v.regs(2)
	p.v.loadPair(place, r[0], r[1])
	return r
}

func (p neonPair) fmaConstant(q, a []*vecReg, c float64) []*vecReg {
	r := p.constantIn(c)
	p.addProduct(q, a, r)
	p.drop(q)
	return r
}
