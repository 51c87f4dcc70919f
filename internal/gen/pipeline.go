package gen

import "github.com/mmcloughlin/avo/operand"

// A pipeline evaluates e^y in groups of four registers, on AVX-512. While one
// group is in the polynomial the arguments of the next are loaded: the processor
// by itself does not look far enough ahead to keep its units busy.
type pipeline struct {
	*exponential
	low  vreg
	high op     // nil for none
	y    []vreg // the arguments of the next group
}

// A registerGroup tells where the elements of a group are, by register.
type registerGroup struct {
	begin    func() // before its masks are wanted; nil for nothing
	x        func(i int) operand.Mem
	part     []mask                  // those that exist; nil for all
	sign     op                      // with which arguments are -|x|; nil for x
	pos, neg func(i int) mask        // the sides; nil for none
	w        func(i int) operand.Mem // where the exponentials go; nil for nowhere
}

func newPipeline(e *exponential, low, high op) *pipeline {
	p := &pipeline{exponential: e, low: low.(vreg), high: high}
	for range 4 {
		p.y = append(p.y, p.reg())
	}
	return p
}

// arguments returns the steps that load the arguments of a group; nil is none.
func (p *pipeline) arguments(g *registerGroup) (steps []func()) {
	if g == nil {
		return nil
	}
	if g.begin != nil {
		steps = append(steps, g.begin)
	}
	for i, y := range p.y {
		steps = append(steps, func() {
			var of, part mask
			if g.pos != nil {
				of = g.pos(i)
			}
			if g.part != nil {
				part = g.part[i]
			}
			mem := g.x(i)
			p.load(part, mem, y)
			p.prefetch(mem, i)
			if of != nil {
				p.flip(of, y)
			}
			if g.sign != nil {
				p.or(y, g.sign, y)
			}
		})
	}
	for _, y := range p.y {
		steps = append(steps, func() { p.max(p.low, y, y) })
	}
	for _, y := range p.y {
		if p.high != nil {
			steps = append(steps, func() { p.min(p.high.(vreg), y, y) })
		}
	}
	return steps
}

// begin loads the arguments of the first group.
func (p *pipeline) begin(g *registerGroup) { emit(p.arguments(g)) }

func emit(steps []func()) {
	for _, step := range steps {
		step()
	}
}

// exponentials evaluates the group whose arguments are loaded, and loads those of
// next. It returns factors of the exponentials. Meanwhile it takes the steps of
// more.
func (p *pipeline) exponentials(next *registerGroup, more func()) (a, b []vreg) {
	r, k, free := p.reduce(p.y, true)
	more()
	steps := p.arguments(next)
	a, b = p.powersWith(r, k, free, func() {
		count := min(len(steps), 2)
		emit(steps[:count])
		steps = steps[count:]
	})
	emit(steps)
	return a, b
}

// group is exponentials of a group of two sides: it returns the terms of the
// negatives and of the positives.
func (p *pipeline) group(g, next *registerGroup, more func()) (n, t []vreg) {
	a, b := p.exponentials(next, more)
	if g.begin != nil {
		g.begin()
	}
	return p.signed(a, b, g.neg, g.pos, g.w)
}
