package zlpr

import (
	"math"
	"math/bits"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/power"
	"github.com/zlpr/zlpr/internal/scalar"
)

// BCE is the binary cross-entropy summed over the classes of a row, with
// positives P, negatives N and the threshold s0:
//
//	L = Σ_N softplus(s_i-s0) + Σ_P w_j·softplus(s0-s_j),   softplus(x) = log(1+e^x)
//
// w is the positive weight, one for all classes or one a class; class weights
// multiply the terms. With a focal exponent f every term, softplus(x), is
// multiplied by sigmoid(x)^f. The threshold is fixed or learned, as that of
// ZLPR. The gradient of a term softplus(x) by x is sigmoid(x), with the focal
// exponent sigmoid(x)^f·(f·sigmoid(-x)·softplus(x) + sigmoid(x)).
//
// Special cases are:
//
//	a NaN score, or a threshold that is NaN or infinite: loss and gradients NaN
//	a negative at +Inf or a positive at -Inf: loss +Inf, derivative ±1
//	a negative at -Inf or a positive at +Inf adds nothing
//
// The relative error of the loss is below 4 ULP, as that of ZLPR, and so is that
// of gradients above 2^-120 (float64: 2^-1000); without focal exponent at most
// 2.1 ULP were found of either. With one, that holds while weights times scale
// are below 1e37: beyond, terms whose exponential is too small for float64 lose
// digits. The error of the derivative by the threshold is below 4 ULP of the sum
// of the magnitudes of the gradient.
//
// See Lin et al., "Focal Loss for Dense Object Detection", arXiv 1708.02002.
type BCE struct {
	Threshold      float64   // s0
	PositiveWeight []float64 // ≥ 0: nil for 1, one for all classes, or one a class
	Focal          float64   // f ≥ 0
}

// Name returns "bce".
func (BCE) Name() string { return "bce" }

func (l BCE) traits() (lossTraits, error) {
	for _, w := range append([]float64{l.Focal}, l.PositiveWeight...) {
		if !(w >= 0) || !finiteNumber(w) {
			return lossTraits{}, errParameter
		}
	}
	if !finiteNumber(l.Threshold) {
		return lossTraits{}, errParameter
	}
	return lossTraits{threshold: l.Threshold, learned: true, classWeights: true, hardNegative: true, sideCopies: true}, nil
}

// positiveWeight returns the positive weight of class j.
func (l *BCE) positiveWeight(j int) float64 {
	switch len(l.PositiveWeight) {
	case 0:
		return 1
	case 1:
		return l.PositiveWeight[0]
	}
	return l.PositiveWeight[j]
}

func (l BCE) eval32(c *lossChunk[float32]) error { return evalBCE(c, &l) }
func (l BCE) eval64(c *lossChunk[float64]) error { return evalBCE(c, &l) }

func evalBCE[T Float](c *lossChunk[T], l *BCE) error {
	if w := len(l.PositiveWeight); w > 1 && w != c.n {
		return errPositiveWeight
	}
	if l.Focal != 0 || !c.bceRows(l) {
		for i := range c.rows {
			c.bceRow(i, l)
		}
	}
	return nil
}

// bceRow evaluates row i in the general way: with a focal exponent, and where
// the kernels do not serve (see bce_rows.go). With x = ±(s-s0) by the label and
// e = e^-|x|,
//
//	softplus(x) = max(x, 0) + log1p(e)
//	sigmoid(x) = 1/(1+e) for x ≥ 0, e/(1+e) else
func (c *lossChunk[T]) bceRow(i int, l *BCE) {
	s := &c.scratch
	if !c.live[i] {
		c.loss[i] = 0
		if c.thresholdGrad != nil {
			c.thresholdGrad[i] = 0
		}
		if c.grad != nil {
			clear(c.gradRow(i))
		}
		return
	}
	s0 := c.threshold[i]
	if !finiteNumber(s0) {
		c.nanRow(i)
		return
	}
	scale := 0.0
	if c.grad != nil || c.thresholdGrad != nil {
		scale = c.scale[i]
		s.row = kernel.Resize(s.row, c.n)
		clear(s.row)
	}
	s.u, s.v = kernel.Resize(s.u, BlockLen), kernel.Resize(s.v, BlockLen)
	x, log1p := s.u, s.v
	var sum, err, slope float64
	infinite := false
	for from := 0; from < c.n; from += BlockLen {
		m := c.gatherBCE(i, l, s0, from, min(from+BlockLen, c.n), x)
		if m == 0 {
			continue
		}
		s.exponentials(m, 0)
		kernel.Log1p64(log1p[:m], s.e[:m])
		for k, v := range x[:m] {
			e, factor := s.e[k], s.factor[k]
			if v != v {
				c.nanRow(i)
				return
			}
			infinite = infinite || v > math.MaxFloat64
			softplus := max(v, 0) + log1p[k]
			var term float64
			derivative := 1 / (1 + e)
			if v < 0 {
				derivative *= e
			}
			rest := 0.0
			if s0 != 0 && softplus <= math.MaxFloat64 {
				// What rounding s-s0 has lost.
				rest = differenceError(float64(c.row(i)[s.at[k]&math.MaxInt]), s0)
				if s.at[k] < 0 {
					rest = -rest
				}
				softplus += float64(derivative * rest)
				derivative += float64(derivative * (1 - derivative) * rest)
			}
			if l.Focal == 0 {
				term = softplus
			} else {
				term, derivative = focal(l.Focal, v, rest, e, log1p[k], softplus, derivative)
			}
			term, g := factor*term, factor*scale*derivative
			if most := factor * max(math.Abs(scale), 1); most > 0x1p20 && (most > 0x1p1000 || e == 0 && v < 0) {
				term, g = extremeTerm(l.Focal, v, rest, factor, scale, derivative, term)
			}
			if !infinite {
				sum, err = kernel.TwoSum(sum, err, term)
			}
			if c.grad != nil || c.thresholdGrad != nil {
				if s.at[k] < 0 {
					g = -g
				}
				s.row[s.at[k]&math.MaxInt] = g
				slope -= g
			}
		}
	}
	c.loss[i] = sum + err
	if infinite || sum > math.MaxFloat64 {
		c.loss[i] = math.Inf(1)
	}
	if c.thresholdGrad != nil {
		c.thresholdGrad[i] = slope
	}
	if c.grad != nil {
		out := c.gradRow(i)
		for j, v := range s.row {
			out[j] = T(v)
		}
	}
}

// extremeTerm returns factor·term and factor·scale·derivative where a product on
// the way may overflow, or e^x is too small for float64 though the products are
// not. Without focal exponent term and derivative are e^x then.
func extremeTerm(f, x, rest, factor, scale, derivative, term float64) (float64, float64) {
	d := power.Number{Hi: derivative}
	if f == 0 && x < -700 {
		d = power.Exp(x)
		d.Hi *= 1 + rest
		term = d.Times(power.Number{Hi: factor}).Float()
	}
	return term, d.Times(power.Number{Hi: factor}).Times(power.Number{Hi: scale}).Float()
}

// focal returns sigmoid(x)^f·softplus(x) and its derivative by x, where x is
// short of rest.
func focal(f, x, rest, e, log1p, softplus, sigmoid float64) (term, derivative float64) {
	if x > math.MaxFloat64 {
		return x, 1
	}
	// log(sigmoid(x)) = min(x, 0) - log1p(e), and what rounding f·x has lost.
	power := scalar.Exp(-f * log1p)
	if x < 0 {
		y := float64(f * x)
		lost := 0.0
		if y > -1000 {
			lost = math.FMA(f, x, -y) + float64(f*rest)
		}
		power = float64(power * scalar.Exp(y))
		power += float64(power * lost)
	}
	other := 1 / (1 + e) // sigmoid(-x)
	if x >= 0 {
		other *= e
	}
	return power * softplus, power * (float64(f*other*softplus) + sigmoid)
}

// differenceError returns what rounding a - b has lost.
func differenceError(a, b float64) float64 {
	d := a - b
	t := d - a
	return (a - (d - t)) - (b + t)
}

// gatherBCE collects the terms of classes from to to-1 of row i: x[k] their
// arguments and y[k] = -|x[k]|. The class is at[k], its sign bit set for a
// positive.
func (c *lossChunk[T]) gatherBCE(i int, l *BCE, s0 float64, from, to int, x []float64) int {
	s := &c.scratch
	if s.y == nil {
		s.y, s.factor, s.e = make([]float64, BlockLen), make([]float64, BlockLen), make([]float64, BlockLen)
		s.at = make([]int, BlockLen)
	}
	pos, neg := c.bits(i)
	row, m := c.row(i), 0
	for k := from / 64; k < kernel.BitWords(to); k++ {
		for v := pos[k] | neg[k]; v != 0; v &= v - 1 {
			b := bits.TrailingZeros64(v)
			j := 64*k + b
			factor := 1.0
			if c.classWeights != nil {
				factor = c.classWeights[j]
			}
			y, at := float64(row[j])-s0, j
			if pos[k]>>b&1 != 0 {
				factor *= l.positiveWeight(j)
				y, at = -y, j|math.MinInt
			}
			if factor == 0 {
				continue
			}
			x[m], s.y[m], s.factor[m], s.at[m] = y, -math.Abs(y), factor, at
			m++
		}
	}
	return m
}
