package gen

import "github.com/mmcloughlin/avo/operand"

// A pipeline evaluates groups of four registers, on AVX-512. While one is in the
// polynomial, the scores of the next are loaded.
type pipeline struct {
	s         *sides
	e         *exponential
	low, high op
	x, w      gpreg
	y         []vreg // the arguments of the next group
	n, t      vreg
	lanes     func() []func()
}

// head returns the steps that bring the arguments of the group at off to y.
func (g *pipeline) head(off gpreg) (steps []func()) {
	v := g.e.vec
	steps = append(steps, func() { g.s.group(off) })
	for i, r := range g.y {
		steps = append(steps, func() {
			mem := operand.Mem{Base: g.x, Index: off, Scale: 1, Disp: i * v.bytes}
			of := g.s.mask(g.s.pos, i)
			v.move(mem, r)
			mem.Disp += prefetchAhead
			v.PREFETCHT0(mem)
			v.flip(of, r)
		})
	}
	for _, r := range g.y {
		steps = append(steps, func() { v.max(g.low.(vreg), r, r) })
	}
	for _, r := range g.y {
		steps = append(steps, func() { v.min(g.high.(vreg), r, r) })
	}
	return steps
}

// body evaluates the group at off, whose arguments are in y, and brings those of
// the group at next there. It returns the sums of the two sides.
func (g *pipeline) body(off, next gpreg) {
	e, v := g.e, g.e.vec
	x := g.y
	k, m, r := make([]vreg, 4), make([]vreg, 4), make([]vreg, 4)
	for i := range x {
		k[i], m[i], r[i] = v.reg(), v.reg(), v.reg()
		v.move(x[i], k[i])
		v.fmaMul(e.log2e, e.magic, k[i])
	}
	for i := range x {
		v.sub(k[i], e.magic, m[i])
	}
	for i := range x {
		v.move(m[i], r[i])
		v.fmaMul(e.minusLn2Hi, x[i], r[i])
	}
	head := g.head(next)
	step := func(n int) {
		for range n {
			if len(head) > 0 {
				head[0]()
				head = head[1:]
			}
		}
	}
	for i := range r {
		v.fmaAcc(m[i], e.minusLn2Lo, r[i])
	}
	for _, step := range g.lanes() {
		step()
	}
	step(2)
	p := m
	for i := range r {
		v.move(e.highest, p[i])
	}
	for _, c := range e.rest {
		for i := range r {
			v.fmaMul(r[i], c, p[i])
		}
		step(2)
	}
	for i := range r {
		v.shiftToExponent(k[i], k[i])
	}
	step(99)
	g.s.group(off)
	var terms [2][]vreg
	for i := 0; i < 4; i += 2 {
		a, b := v.signed(p[i:i+2], k[i:i+2],
			func(j int) mask { return g.s.mask(g.s.neg, i+j) },
			func(j int) mask { return g.s.mask(g.s.pos, i+j) },
			func() func(int) operand.Mem {
				if g.w == nil {
					return nil
				}
				return func(j int) operand.Mem {
					return operand.Mem{Base: g.w, Index: off, Scale: 1, Disp: (i + j) * v.bytes}
				}
			}())
		v.add(a[0], a[1], a[0])
		v.add(b[0], b[1], b[0])
		terms[0], terms[1] = append(terms[0], a[0]), append(terms[1], b[0])
	}
	v.add(terms[0][0], terms[0][1], g.n)
	v.add(terms[1][0], terms[1][1], g.t)
}
