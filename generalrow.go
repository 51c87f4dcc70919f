package zlpr

import (
	"math"
	"math/bits"

	"github.com/zlpr/zlpr/internal/scalar"
)

// This file evaluates one row of a loss of two sums (see sides.go) in the
// general way, in float64: with weights, soft labels or γ, and whenever a sum at
// pivot 0 leaves the natural range. Every sum and every factor is a power, so
// nothing overflows and nothing that counts underflows; NaN and infinite scores
// get their limits here.

// gather collects the terms of classes from to to-1 of row i, from a multiple of
// 64, of the positives or the negatives: term k is factor[k]·e^y[k] and belongs
// to class at[k].
func (c *lossChunk[T]) gather(i int, rule *sideRule, positive bool, from, to int) int {
	s := &c.scratch
	if s.y == nil {
		s.y, s.factor, s.e = make([]float64, BlockLen), make([]float64, BlockLen), make([]float64, BlockLen)
		s.at = make([]int, BlockLen)
	}
	pos, neg := c.bits(i)
	set := neg
	if positive && !rule.soft {
		set = pos
	}
	row, m := c.row(i), 0
	for k := from / 64; k < bitWords(to); k++ {
		for v := set[k]; v != 0; v &= v - 1 {
			j := 64*k + bits.TrailingZeros64(v)
			factor := 1.0
			if rule.soft {
				t := float64(c.soft[i*c.softStride+j])
				if !positive {
					t = 1 - t
				}
				factor = t
			}
			if rule.weights != nil {
				factor *= rule.weights[j]
			}
			if factor == 0 {
				continue
			}
			x := float64(row[j])
			if positive {
				x = -x
			}
			y := float64(rule.gamma * x)
			if rule.gamma != 1 && math.Abs(y) < 1<<50 {
				// e^(γx) = e^y·e^rest
				rest := math.FMA(rule.gamma, x, -y)
				if math.Abs(rest) < 0x1p-27 {
					factor += float64(factor * rest)
				} else {
					factor *= scalar.Exp(rest)
				}
			}
			s.y[m], s.factor[m], s.at[m] = y, factor, j
			m++
		}
	}
	return m
}

// side returns A or B of row i, and whether it has terms.
func (c *lossChunk[T]) side(i int, rule *sideRule, positive bool) (p power, k class, any bool) {
	var sum expSum
	for from := 0; from < c.n; from += BlockLen {
		m := c.gather(i, rule, positive, from, min(from+BlockLen, c.n))
		if m == 0 {
			continue
		}
		any = true
		q, k := c.scratch.sum(m)
		if k == finite {
			sum.powers.add(q)
		}
		sum.class = max(sum.class, k)
	}
	p, k = sum.result()
	return p, k, any
}

// highest returns the largest y of m terms, NaN where there is one.
func (s *lossScratch[T]) highest(m int) float64 {
	top := math.Inf(-1)
	for _, y := range s.y[:m] {
		if y != y {
			return y
		}
		top = max(top, y)
	}
	return top
}

// sum adds m gathered terms.
func (s *lossScratch[T]) sum(m int) (power, class) {
	top := s.highest(m)
	switch {
	case top != top:
		return power{}, notANumber
	case top > math.MaxFloat64:
		return power{}, infinite
	case top < -math.MaxFloat64:
		return power{}, nothing
	}
	base := 0.0
	if math.Abs(top) >= shiftFrom {
		base = top
		for k := range s.y[:m] {
			s.y[k] -= base
		}
	}
	// The pivot is the binary exponent of the largest term.
	top = math.Inf(-1)
	for k, y := range s.y[:m] {
		_, e := math.Frexp(s.factor[k])
		top = max(top, float64(y*math.Log2E)+float64(e-1))
	}
	c := math.RoundToEven(top)
	s.exponentials(m, c)
	var sum, err float64
	for k, e := range s.e[:m] {
		sum, err = twoSum(sum, err, e*s.factor[k])
	}
	p := power{hi: sum + err, exp: int64(c)}
	p.lo = err - (p.hi - sum)
	if base != 0 {
		p = p.times(expPower(base))
	}
	return p, finite
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
	p := [1][3]float64{{magic64 - c, (c - 1021.5) * math.Ln2, 1}}
	scaleExp64(s.e, m, s.y, m, 1, m, p[:], 0)
}

// A slope is the derivative of the loss by A or by B, times a row's scale; where
// that sum is infinite the derivative by its one infinite score is limit.
type slope struct {
	power
	limit    float64
	infinite bool
}

// evalRow evaluates row i.
func (c *lossChunk[T]) evalRow(i int, rule *sideRule) {
	a, ka, anyA := c.side(i, rule, false)
	b, kb, anyB := c.side(i, rule, true)
	scale := 1.0
	if c.scale != nil && (c.grad != nil || c.thresholdGrad != nil) {
		scale = c.scale[i]
	}
	s0 := c.threshold[i]
	if !c.live[i] {
		s0 = 0
	}
	var fa, fb slope
	nan := ka == notANumber || kb == notANumber
	if rule.product {
		if !nan && anyA && anyB {
			c.loss[i], fa, fb, nan = productRow(a, b, ka, kb, rule, scale)
		} else {
			c.loss[i] = 0
		}
	} else {
		nan = nan || !finiteNumber(s0)
		if !nan {
			up, down := expPower(s0), expPower(-s0)
			u, v := a.times(down), b.times(up)
			c.loss[i] = 0
			du, dv := u.float(), v.float()
			if fa = (slope{limit: scale, infinite: ka == infinite}); !fa.infinite {
				fa.power = down.times(u.over1p()).times(power{hi: scale})
				c.loss[i] += u.log1p()
			} else {
				c.loss[i], du = math.Inf(1), math.Inf(1)
			}
			if fb = (slope{limit: -scale, infinite: kb == infinite}); !fb.infinite {
				fb.power = up.times(v.over1p()).times(power{hi: -scale})
				c.loss[i] += v.log1p()
			} else {
				c.loss[i], dv = math.Inf(1), math.Inf(1)
			}
			if c.thresholdGrad != nil {
				c.thresholdGrad[i] = scale * thresholdSlope(du, dv)
			}
		}
	}
	if nan {
		c.nanRow(i)
		return
	}
	if c.grad == nil {
		return
	}
	s := &c.scratch
	s.row = resize(s.row, c.n)
	clear(s.row)
	c.addSide(i, rule, false, &fa)
	c.addSide(i, rule, true, &fb)
	out := c.gradRow(i)
	for j, v := range s.row {
		out[j] = T(v)
	}
}

// productRow returns loss and slopes of a loss of the product, or nan.
func productRow(a, b power, ka, kb class, rule *sideRule, scale float64) (loss float64, fa, fb slope, nan bool) {
	g := scale * rule.gamma
	if ka == infinite || kb == infinite {
		if ka == nothing || kb == nothing {
			return 0, fa, fb, true
		}
		fa = slope{limit: g, infinite: ka == infinite}
		fb = slope{limit: -g, infinite: kb == infinite}
		if !fa.infinite {
			fa.power = a.inverse().times(power{hi: g})
		}
		if !fb.infinite {
			fb.power = b.inverse().times(power{hi: -g})
		}
		return math.Inf(1), fa, fb, false
	}
	shift := expPower(rule.shift)
	p := a.times(b).times(shift)
	f := shift.times(p.over1p())
	fa.power = f.times(b).times(power{hi: g})
	fb.power = f.times(a).times(power{hi: -g})
	return p.log1p(), fa, fb, false
}

// inverse returns 1/p.
func (p power) inverse() power {
	p = p.tidy()
	return power{hi: 1 / p.hi, exp: -p.exp, shift: -p.shift}
}

// nanRow makes row i's loss NaN, and its gradients where its classes take part.
func (c *lossChunk[T]) nanRow(i int) {
	nan := canonicalNaN[float64]()
	c.loss[i] = nan
	if c.thresholdGrad != nil {
		c.thresholdGrad[i] = nan
	}
	if c.grad == nil {
		return
	}
	pos, neg := c.bits(i)
	for j := range c.gradRow(i) {
		g := T(0)
		if (pos[j/64]|neg[j/64])>>(j%64)&1 != 0 {
			g = canonicalNaN[T]()
		}
		c.grad[i*c.gradStride+j] = g
	}
}

// addSide adds the gradient of the negatives or the positives to the row.
func (c *lossChunk[T]) addSide(i int, rule *sideRule, positive bool, f *slope) {
	s := &c.scratch
	if f.infinite {
		c.addLimit(i, rule, positive, f.limit)
		return
	}
	p := f.tidy()
	if p.hi == 0 {
		return
	}
	base := 0.0
	if p.shift != 0 || p.exp > shiftFrom || p.exp < -shiftFrom {
		// Take the highest argument away: exact where the exponential counts.
		base = math.Inf(-1)
		for from := 0; from < c.n; from += BlockLen {
			if m := c.gather(i, rule, positive, from, min(from+BlockLen, c.n)); m > 0 {
				base = max(base, s.highest(m))
			}
		}
		if math.IsInf(base, -1) {
			return
		}
		p = p.times(expPower(base))
		if p.shift < 0 || p.exp < -4000 {
			return
		}
	}
	pivot := float64(-max(-4000, min(4000, p.exp)))
	for from := 0; from < c.n; from += BlockLen {
		m := c.gather(i, rule, positive, from, min(from+BlockLen, c.n))
		if m == 0 {
			continue
		}
		if base != 0 {
			for k := range s.y[:m] {
				s.y[k] -= base
			}
		}
		s.exponentials(m, pivot)
		for k, e := range s.e[:m] {
			s.row[s.at[k]] += float64(e * p.hi * s.factor[k])
		}
	}
}

// addLimit adds the gradient of a side with an infinite sum: all of it at the
// one infinite argument, or NaN where there are several.
func (c *lossChunk[T]) addLimit(i int, rule *sideRule, positive bool, limit float64) {
	s, count := &c.scratch, 0
	for pass := range 2 {
		for from := 0; from < c.n; from += BlockLen {
			m := c.gather(i, rule, positive, from, min(from+BlockLen, c.n))
			for k, y := range s.y[:m] {
				top := y > math.MaxFloat64
				switch {
				case pass == 0 && top:
					count++
				case pass == 1 && count > 1:
					s.row[s.at[k]] = canonicalNaN[float64]()
				case pass == 1 && top:
					s.row[s.at[k]] += limit
				}
			}
		}
	}
}
