package zlpr

import (
	"math"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/power"
)

// This file evaluates the rows of a loss of two sums (see sides.go) in the
// general way: with weights, soft labels or γ; the rows whose sums at pivot 0
// leave the natural range are in slowrow.go. The kernels of side_generic.go do
// what costs an element each.

// sideScratch is memory for the general way.
type sideScratch[T Float] struct {
	// The passes over the rows: one for both sides with hard labels; with soft
	// ones each side has its own weights, and its own pass.
	passes []kernel.SideRows[T]

	soft    [2][]T                 // weights of soft labels, of all rows
	sum     [2][][2]float64        // results of the passes
	top     [2][]kernel.SideTop[T] // results of the passes
	params  []kernel.SideParams[T] // of slow rows
	natural []kernel.SideParams[T] // of the others
	values  [][2]sideValue[T]
	log     [2][]float64 // of the rows' losses: arguments of log1p
	half    []T          // gradient of the first pass
	shifted []T          // scores less the highest of a side
	row     []T          // gradient of a row

	wide *wideChunk // float32: for a γ outside of its range
}

// general reports whether all rows go the general way.
func (r *sideRule) general() bool { return r.gamma != 1 || r.weights != nil || r.soft }

// evalGeneral evaluates a loss of two sums with weights, soft labels or γ.
func evalGeneral[T Float](c *lossChunk[T], rule *sideRule) {
	if kernel.IsFloat32[T]() && !(rule.gamma >= 0x1p-100 && rule.gamma <= 0x1p127) {
		evalWide(any(c).(*lossChunk[float32]), rule)
		return
	}
	s := &c.scratch
	g := &s.general
	c.prepareSides(rule)
	if rule.product && c.grad != nil {
		// ∂L/∂s = γ·∂L/∂(γs)
		c.uniform.spoil()
		for i := range c.scale {
			c.scale[i] *= rule.gamma
		}
	}
	s.prepare(c.rows)
	g.natural = kernel.Resize(g.natural, c.rows)
	anySlow := true
	if rule.gamma >= 0x1p-100 && rule.gamma <= 0x1p100 {
		zero := [1]kernel.SideParams[T]{kernel.ZeroPivot[T]()}
		for k := range g.passes {
			g.sum[k] = kernel.Resize(g.sum[k], c.rows)
			kernel.SideSums(g.sum[k], &g.passes[k], zero[:], 0)
		}
		second := g.sum[len(g.passes)-1]
		for i, sum := range g.sum[0] {
			s.a[i], s.b[i] = c.terms(i, sum[0], false, rule), c.terms(i, second[i][1], true, rule)
		}
		if rule.product {
			anySlow = c.finishProduct(rule, c.keepSlopes)
		} else {
			anySlow = c.finishSum()
		}
	} else {
		for i := range s.slow {
			s.slow[i] = true
		}
	}
	if anySlow {
		c.evalSlow(rule)
	}
	if c.grad == nil {
		return
	}
	if !rule.product {
		for i := range g.natural {
			p := &g.natural[i]
			*p = kernel.ZeroPivot[T]()
			p[2], p[5] = s.fa[i], -s.fb[i]
		}
	}
	for i := 0; i < c.rows; {
		end := i + 1
		for ; !anySlow && end < c.rows || end < c.rows && s.slow[end] == s.slow[i]; end++ {
		}
		if !anySlow || !s.slow[i] {
			c.sideGradients(i, end, g.natural[i:end])
		}
		i = end
	}
}

// keepSlopes keeps the factors of row i, of almost any magnitude.
func (c *lossChunk[T]) keepSlopes(i int, fa, fb float64) bool {
	p := &c.scratch.general.natural[i]
	p[0], p[2] = slopeParams[T](power.Number{Hi: fa})
	p[3], p[5] = slopeParams[T](power.Number{Hi: -fb})
	fits := func(f float64) bool { return f == 0 || 0x1p-900 <= math.Abs(f) && math.Abs(f) <= 0x1p900 }
	return fits(fa) && fits(fb)
}

// terms returns a sum at pivot 0 of row i. Where there are terms but it is 0,
// they are too small for pivot 0; the result is not a natural sum then.
func (c *lossChunk[T]) terms(i int, sum float64, positive bool, rule *sideRule) float64 {
	if sum == 0 && c.anyTerm(i, positive, rule) {
		return math.SmallestNonzeroFloat64
	}
	return sum
}

// anyTerm reports whether a side of row i has classes.
func (c *lossChunk[T]) anyTerm(i int, positive bool, rule *sideRule) bool {
	var any uint64
	for _, v := range c.side(i, positive, rule) {
		any |= v
	}
	return any != 0
}

// side returns the bits of a side of row i: with soft labels all classes.
func (c *lossChunk[T]) side(i int, positive bool, rule *sideRule) []uint64 {
	pos, neg := c.bits(i)
	if positive && !rule.soft {
		return pos
	}
	return neg
}

// noBits returns n words of no bits.
func (s *lossScratch[T]) noBits(n int) []uint64 {
	if len(s.none) < n {
		s.none = make([]uint64, n)
	}
	return s.none[:n]
}

// prepareSides sets the passes over the chunk's rows.
func (c *lossChunk[T]) prepareSides(rule *sideRule) {
	s := &c.scratch
	g := &s.general
	class := c.factors.get(c.n)
	r := kernel.SideRows[T]{
		X: c.x, Stride: c.stride, Rows: c.rows, N: c.n,
		Pos: c.pos, Neg: c.neg, Words: c.words,
		Weights: class.weights, Gamma: kernel.GammaPair[T](rule.gamma),
	}
	g.passes = append(g.passes[:0], r)
	if !rule.soft {
		return
	}
	size := kernel.WeightsLen[T](c.n)
	for side := range g.soft {
		g.soft[side] = kernel.Resize(g.soft[side], c.rows*size)
	}
	m := class.m
	if rule.weights == nil && kernel.IsFloat32[T]() {
		m = nil
	}
	kernel.SoftWeights(g.soft[0], g.soft[1], c.soft, c.softStride, c.rows, c.n, c.neg, c.words, m, class.weights)
	none := s.noBits(len(c.neg))
	g.passes = append(g.passes, r)
	for side := range g.passes {
		g.passes[side].Weights, g.passes[side].WeightStride = g.soft[side], size
	}
	g.passes[0].Pos = none
	g.passes[1].Pos, g.passes[1].Neg = c.neg, none
}

// pass returns the number of the pass of a side.
func (g *sideScratch[T]) pass(side int) int { return min(side, len(g.passes)-1) }

// sideGradients writes the gradient of rows i to end-1.
func (c *lossChunk[T]) sideGradients(i, end int, p []kernel.SideParams[T]) {
	g := &c.scratch.general
	dst := c.grad[i*c.gradStride:]
	first := g.passes[0].From(i, end)
	if len(g.passes) == 1 {
		kernel.SideGrad(dst, c.gradStride, &first, p, nil, 0)
		return
	}
	for j := range p {
		deepen(&p[j], c.scale[i+j])
	}
	g.half = kernel.Resize(g.half, (end-i)*c.n)
	second := g.passes[1].From(i, end)
	kernel.SideGrad(g.half, c.n, &first, p, nil, 0)
	kernel.SideGrad(dst, c.gradStride, &second, p, g.half, c.n)
}

// deepen changes parameters so that terms which times the factor are below the
// smallest normal number are kept: those of the other side may be added to them.
// Terms times the factor are at most scale.
func deepen[T Float](p *kernel.SideParams[T], scale float64) {
	depth, most := 100, 1000
	if kernel.IsFloat32[T]() {
		depth, most = 60, 120
	}
	if _, e := math.Frexp(scale); e > most-depth {
		depth = max(0, most-e)
	}
	for k := 0; k < 6; k += 3 {
		m, e := math.Frexp(float64(p[k+2]))
		p[k] += T(e + depth)
		p[k+2] = T(m * math.Float64frombits(uint64(1023-depth)<<52))
	}
}

// exponentials sets e[k] = e^y[k]·2^-c, 0 where that is below the smallest
// normal number.
func (s *lossScratch[T]) exponentials(m int, c float64) {
	high := (c + 1022) * math.Ln2
	for k, y := range s.y[:m] {
		if y > high {
			s.y[k] = high
		}
	}
	p := [1][3]float64{{kernel.Magic64 - c, (c - 1021.5) * math.Ln2, 1}}
	scaleExp64(s.e, m, s.y, m, 1, m, p[:], 0)
}
