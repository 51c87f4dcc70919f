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

// A Distribution evaluates it for one worker.
type Distribution[T kernel.Float] struct {
	rule DistributionRule
	grad []T
}

// NewDistribution returns a Distribution for the rule.
func NewDistribution[T kernel.Float](rule DistributionRule) *Distribution[T] {
	return &Distribution[T]{rule: rule}
}

// Eval evaluates the rows of a chunk.
func (d *Distribution[T]) Eval(c *chunk.Chunk[T]) {
	c.Unpack()
	for i := range c.Rows {
		d.row(c, i)
	}
}

// row evaluates row i.
func (d *Distribution[T]) row(c *chunk.Chunk[T], i int) {
	pos, neg := c.Sides(i)
	x, rule := c.Row(i), &d.rule
	d.grad = kernel.Resize(d.grad, c.N)
	clear(d.grad)
	var mass, massErr float64 // Σ_P 1/n
	for k, v := range pos {
		for ; v != 0; v &= v - 1 {
			mass, massErr = kernel.TwoSum(mass, massErr, rule.Inverse[64*k+bits.TrailingZeros64(v)])
		}
	}
	mass += massErr
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
				// Of no positives the quotient is +Inf, and its sigmoid 1.
				weight := rule.Alpha + scalar.Sigmoid(float64(rule.Beta*(rule.Inverse[j]/mass-rule.Mu)))
				if c.Class != nil {
					weight = float64(weight * c.Class[j])
				}
				y, short := s, 0.0
				if math.Abs(s) <= math.MaxFloat64 {
					y, short = s-rule.Shift[j], differenceError(s, rule.Shift[j])
				}
				scale := 1.0
				if side == 0 {
					scale = rule.NegativeScale
					z := float64(scale * y)
					y, short = z, math.FMA(scale, y, -z)+float64(scale*short)
					if math.IsInf(z, 0) {
						short = 0
					}
				} else {
					y, short = -y, -short
				}
				plus, slope := softplus[T](y, short)
				sum, err = kernel.TwoSum(sum, err, float64(weight*plus/scale))
				if c.Grad != nil {
					factor := power.Number{Hi: c.Scale[i]}.Times(power.Number{Hi: weight})
					if side == 1 {
						factor.Hi, factor.Lo = -factor.Hi, -factor.Lo
					}
					d.grad[j] = T(slope.Times(factor).Float())
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

// softplus returns log(1 + e^(y+short)) and its derivative.
func softplus[T kernel.Float](y, short float64) (plus float64, slope power.Number) {
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
	f := e.Float()
	plus = scalar.Log1p(f)
	slope = e.Over1p()
	if y > 0 {
		plus = y + (plus - short)
	} else {
		slope = e.Times(slope)
	}
	return plus, slope
}
