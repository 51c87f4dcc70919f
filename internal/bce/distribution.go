package bce

import (
	"math"
	"math/bits"

	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/power"
	"github.com/zlpr/zlpr/internal/scalar"
)

// A DistributionRule has the parameters of the distribution-balanced loss,
//
//	Σ r_i·(y_i·softplus(ν_i-s_i) + (1-y_i)·softplus(λ·(s_i-ν_i))/λ)
//
// with the weights r_i = α + sigmoid(β·(q_i-μ)), q_i = (1/n_i)/Σ_P 1/n_j.
type DistributionRule struct {
	Inverse         []float64 // 1/n
	Shift           []float64 // ν
	Alpha, Beta, Mu float64
	NegativeScale   float64 // λ
}

// A Distribution evaluates it for one worker. In float64, of either type of scores, the
// terms of a row are those of binary cross-entropy with weights,
//
//	w_i·softplus(∓x_i),  x = s-ν, w = r for positives, x = λ·(s-ν), w = r/λ for negatives
//
// which kernel.BCE sums up; the weights' sigmoids are its gradients of rows of negatives.
// What rounding x has lost, d, counts for float64 scores: to first order it adds g·d to the
// loss, g being the derivative by x, and to the derivative of softplus(y), y = ∓x, where that is
// no line, y < 0, its own d-th part. Rows out of the kernels' range take the general way.
type Distribution[T kernel.Float] struct {
	rule DistributionRule
	grad []T

	number  int // of which class weights is known
	fast    bool
	largest float64 // weight, at most

	block                         []float64 // memory of these
	weight, x, lost, slope, share []float64 // of a block of a row
	sum                           [1]float64
	params                        [1]kernel.BCEParams[float64]
	scale                         [1]float64
	none, all                     [distributionBlock / 64]uint64
	copy                          kernel.Copy[float64]
	args                          kernel.BCEArgs[float64]
}

// distributionBlock is how many classes of a row go through the kernels together.
const distributionBlock = 1024

// NewDistribution returns a Distribution for the rule.
func NewDistribution[T kernel.Float](rule DistributionRule) *Distribution[T] {
	d := &Distribution[T]{rule: rule, params: [1]kernel.BCEParams[float64]{{1}}, scale: [1]float64{1}}
	for k := range d.all {
		d.all[k] = ^uint64(0)
	}
	d.block = make([]float64, 5*distributionBlock)
	for k, v := range []*[]float64{&d.weight, &d.x, &d.lost, &d.slope, &d.share} {
		*v = d.block[k*distributionBlock:][:distributionBlock]
	}
	return d
}

// Eval evaluates the rows of a chunk.
func (d *Distribution[T]) Eval(c *chunk.Chunk[T]) {
	c.Unpack()
	if d.number != c.Classes || c.Classes == 0 {
		d.number = c.Classes
		d.measure(c)
	}
	for i := range c.Rows {
		switch {
		case !c.Live[i]:
			c.SetNothing(i)
		case !d.fast || !d.fastRow(c, i):
			d.row(c, i)
		}
	}
}

// measure sets fast, whether the kernels take all weights, and the largest one.
func (d *Distribution[T]) measure(c *chunk.Chunk[T]) {
	rule := &d.rule
	least, most := 1.0, 1.0
	if c.Class != nil {
		least, most = math.Inf(1), 0
		for _, w := range c.Class {
			if w != 0 { // no class then
				least, most = min(least, w), max(most, w)
			}
		}
	}
	down := float64(rule.Beta * rule.Mu)
	least *= (rule.Alpha + scalar.Sigmoid(-down)) * min(1, 1/rule.NegativeScale)
	d.largest = most * (rule.Alpha + 1) * max(1, 1/rule.NegativeScale)
	d.fast = math.Abs(down) < 600 && least >= 0x1p-100 && d.largest <= 0x1p20
}

// fastRow evaluates row i by the kernels. It reports whether they served.
func (d *Distribution[T]) fastRow(c *chunk.Chunk[T], i int) bool {
	pos, neg := c.Sides(i)
	x := c.Row(i)
	mass := d.mass(pos)
	small := 0x1p20
	if kernel.IsFloat32[T]() {
		small = 0x1p800
	}
	scale, gradient := 0.0, false
	if c.Grad != nil {
		scale = c.Scale[i]
		gradient = math.Abs(scale)*d.largest <= small
		d.grad = kernel.Resize(d.grad, c.N)
	}
	var sum, err float64
	for from := 0; from < c.N; from += distributionBlock {
		n := min(distributionBlock, c.N-from)
		p, q := pos[from/64:][:kernel.BitWords(n)], neg[from/64:][:kernel.BitWords(n)]
		d.arguments(c, x[from:][:n], from, mass, p)
		a := &d.args
		*a = kernel.BCEArgs[float64]{Sum: d.sum[:], X: d.x[:n], Stride: n, Rows: 1, N: n, Pos: p, Neg: q, Words: len(p),
			Params: d.params[:], NegWeight: d.weight, PosWeight: d.weight}
		if gradient || !kernel.IsFloat32[T]() {
			a.Dst, a.DstStride = d.slope, n
		}
		kernel.WeightedBCE(a)
		if !kernel.IsFloat32[T]() {
			d.sum[0] += d.correct(n, p)
		}
		sum, err = kernel.TwoSum(sum, err, d.sum[0])
		if gradient {
			d.write(d.grad[from:][:n], p, scale)
		}
	}
	sum += err
	if least := float64(c.N) * d.largest * 0x1p-960; !(sum >= least && sum <= math.MaxFloat64) {
		return false
	}
	switch {
	case c.Grad == nil:
	case gradient:
		copy(c.GradRow(i), d.grad)
	default:
		d.row(c, i)
	}
	c.Loss[i] = sum // the same bits whatever the gradient takes
	return true
}

// mass returns Σ_P 1/n.
func (d *Distribution[T]) mass(pos []uint64) float64 {
	var mass, err float64
	for k, v := range pos {
		for ; v != 0; v &= v - 1 {
			mass, err = kernel.TwoSum(mass, err, d.rule.Inverse[64*k+bits.TrailingZeros64(v)])
		}
	}
	return mass + err
}

// arguments sets the weights, x and, for float64 scores, what it has lost, of the classes of
// a block that begins at from.
func (d *Distribution[T]) arguments(c *chunk.Chunk[T], s []T, from int, mass float64, pos []uint64) {
	rule, n := &d.rule, len(s)
	share := d.share[:n]
	if mass == 0 || rule.Beta == 0 {
		v := rule.noPositives()
		for j := range share {
			share[j] = v
		}
	} else {
		up, down := rule.Beta/mass, float64(rule.Beta*rule.Mu)
		for j, v := range rule.Inverse[from:][:n] {
			share[j] = min(float64(v*up)-down, 40) // of which sigmoid is 1
		}
		a := &d.args
		*a = kernel.BCEArgs[float64]{Sum: d.sum[:], X: share, Stride: n, Rows: 1, N: n, Pos: d.none[:kernel.BitWords(n)], Neg: d.all[:],
			Words: kernel.BitWords(n), Scale: d.scale[:], Dst: share, DstStride: n, Copy: &d.copy}
		kernel.BCE(a)
	}
	weight, x, lost := d.weight[:n], d.x[:n], d.lost[:n]
	shift := rule.Shift[from:][:n]
	// By the label: λ or 1, 1/λ or 1.
	scales, over := [2]float64{rule.NegativeScale, 1}, [2]float64{1 / rule.NegativeScale, 1}
	for j, v := range s {
		label := pos[j/64] >> (j % 64) & 1
		scale, s, nu := scales[label], float64(v), shift[j]
		y := s - nu
		z := float64(scale * y)
		x[j], weight[j] = z, float64((rule.Alpha+share[j])*over[label])
		if !kernel.IsFloat32[T]() {
			t := y - s
			lost[j] = math.FMA(scale, y, -z) + float64(scale*((s-(y-t))-(nu+t)))
		}
	}
	if c.Class != nil {
		for j, v := range c.Class[from:][:n] {
			weight[j] = float64(weight[j] * v)
		}
	}
}

// noPositives returns the sigmoid of the weights where it is the same for all classes: of
// a row without positives, or where β is 0.
func (r *DistributionRule) noPositives() float64 {
	if r.Beta == 0 {
		return 0.5
	}
	return 1
}

// correct corrects the slopes of n classes for what x has lost, and returns what that adds to
// the sum.
func (d *Distribution[T]) correct(n int, pos []uint64) float64 {
	sum := 0.0
	x, lost := d.x[:n], d.lost[:n]
	for j, g := range d.slope[:n] {
		more := float64(g * lost[j])
		sum += more
		switch up := pos[j/64]>>(j%64)&1 != 0; {
		case up && x[j] > 0:
			d.slope[j] = g - more
		case !up && x[j] < 0:
			d.slope[j] = g + more
		}
	}
	return sum
}

// write writes the derivatives by the scores, times scale.
func (d *Distribution[T]) write(grad []T, pos []uint64, scale float64) {
	scales := [2]float64{float64(d.rule.NegativeScale * scale), scale}
	for j, g := range d.slope[:len(grad)] {
		grad[j] = T(float64(g * scales[pos[j/64]>>(j%64)&1]))
	}
}

// row evaluates row i in the general way.
func (d *Distribution[T]) row(c *chunk.Chunk[T], i int) {
	pos, neg := c.Sides(i)
	x, rule := c.Row(i), &d.rule
	d.grad = kernel.Resize(d.grad, c.N)
	clear(d.grad)
	mass := d.mass(pos)
	var sum, err float64
	for side, set := range [2][]uint64{neg, pos} {
		for k, v := range set {
			for ; v != 0; v &= v - 1 {
				j := 64*k + bits.TrailingZeros64(v)
				s := float64(x[j])
				if s != s {
					c.SetNaN(i)
					return
				}
				weight := rule.Alpha
				if mass == 0 || rule.Beta == 0 {
					weight += rule.noPositives()
				} else {
					weight += scalar.Sigmoid(float64(rule.Beta * (rule.Inverse[j]/mass - rule.Mu)))
				}
				factor := power.Number{Hi: weight}
				if c.Class != nil {
					factor = factor.Times(power.Number{Hi: c.Class[j]})
				}
				scale := 1.0
				if side == 0 {
					scale = rule.NegativeScale
				}
				plus, slope := balancedTerm[T](s, rule.Shift[j], scale, side == 1)
				term := plus.Hi
				if !math.IsInf(term, 1) {
					term = plus.Times(factor).Float()
				}
				sum, err = kernel.TwoSum(sum, err, term)
				if c.Grad != nil {
					g := slope.Times(factor).Times(power.Number{Hi: c.Scale[i]}).Float()
					if side == 1 {
						g = -g
					}
					d.grad[j] = T(g)
				}
			}
		}
	}
	if c.Loss[i] = sum; sum <= math.MaxFloat64 {
		c.Loss[i] += err
	}
	if c.Grad != nil {
		copy(c.GradRow(i), d.grad)
	}
}

// balancedTerm returns softplus(y)/scale, y = scale·(s-shift), or of a positive y = shift-s,
// and softplus's derivative.
func balancedTerm[T kernel.Float](s, shift, scale float64, positive bool) (over, slope power.Number) {
	x, short := s-shift, differenceError(s, shift)
	if positive {
		x, short = -x, -short
	}
	y := float64(scale * x)
	if y > 0x1p100 {
		return power.Number{Hi: x, Lo: short}, power.Number{Hi: 1} // y may be beyond the numbers
	}
	short = math.FMA(scale, x, -y) + float64(scale*short)
	a := math.Abs(y)
	if y > 0 {
		short = -short // of -|y|
	}
	var e power.Number
	switch {
	case math.IsInf(a, 1):
	case kernel.IsFloat32[T]() && a < 600:
		e.Hi = scalar.Exp(-a)
	case a < 690:
		e.Hi = expPair(-a, short).hi
	default:
		e = power.ExpPair(-a, short)
	}
	slope = e.Over1p()
	over = e // log(1+e), where that is e
	if a < 60 {
		over = power.Number{Hi: scalar.Log1p(e.Float())}
	}
	if y > 0 {
		over = power.Number{Hi: y + (over.Float() - short)}
	} else {
		slope = e.Times(slope)
	}
	over.Hi /= scale
	over.Lo /= scale
	return over, slope
}
