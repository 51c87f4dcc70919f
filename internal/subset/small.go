package subset

import (
	"math"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/scalar"
)

// A smallLoss evaluates the losses of rows whose positives lie above their
// negatives, with full relative accuracy down to the smallest numbers. With
// u = e^(s-θ) of the negatives and v = e^(θ-s) of the positives,
//
//	loss = log Σ W_ar e_a(u) e_r(v)
//
// where W_00 = 1: the loss is log1p of the other terms, all positive. With
// e_1(u) ≤ 1 and e_1(v) ≤ 1 a few terms are enough, e_a ≤ e_1^a/a!.
type smallLoss struct {
	x, e, r        []float64 // of the positives: scores, e^(lowest - s), v
	u, v           []float64 // e_a(u), e_r(v)
	adjU, adjV     []float64
	loss, negative float64 // Σ W_ar e_a e_r without the first term; all of it inverted
	pull           float64 // Σ (r-a) W_ar e_a e_r over all of it: ∂loss/∂threshold
}

const (
	smallSubset = 12 // highest degree: (1/13!)² < 2^-64
	smallPadded = 20 // 1/21! < 2^-65
)

// trySmall evaluates the loss of a row if the form applies, and reports whether
// it does; ok is that of evaluateDense. The positives are also listed in
// c.positives.
func trySmall[T kernel.Float](c *Core, x []T, pos []uint64, law Law) (small, ok bool) {
	w := &c.small
	k, limit, padded, threshold := len(c.positives), law.Picks, law.Padded, law.Threshold
	lowest, top := math.Inf(1), math.Inf(-1)
	for _, i := range c.positives {
		lowest, top = min(lowest, float64(x[i])), max(top, float64(x[i]))
	}
	if k > 0 && !(lowest >= -farthest && top <= farthest) {
		return false, false
	}
	above := padded && limit > k // the threshold separates them, too
	bar := lowest
	if above {
		if bar = threshold; lowest < bar {
			return false, true
		}
	}
	highest, ok := separated(x, pos, T(bar))
	if !ok {
		return false, true
	}

	// Sums of e^(s-highest) and e^(lowest-s), and their logarithms.
	sumU, sumV := 0.0, 0.0
	if k < len(x) {
		if !(math.Abs(highest) <= farthest) || top-highest > widest {
			return false, false
		}
		sum, _ := exponentials(c, x, 1, highest)
		if sum != sum {
			return false, false
		}
		sumU = sum - float64(k) // a positive counts 1
	}
	if k > 0 {
		w.x = grow(w.x, roundUp32(k))
		for j, i := range c.positives {
			w.x[j] = float64(x[i])
		}
		for j := k; j < len(w.x); j++ {
			w.x[j] = -farBelow(-lowest)
		}
		w.e = grow(w.e, len(w.x))
		sumV, _ = kernel.TiltExp(w.e, w.x, -1, -lowest)
		if c.factor != nil {
			for j, i := range c.positives {
				w.e[j] /= c.factor[i]
			}
		}
	}

	// Factors that bring them to θ.
	var gu, gv float64
	var delta span
	if above {
		gu, gv = expDifference(highest, threshold), expDifference(threshold, lowest)
	} else {
		gap, err := twoDifference(highest, lowest)
		logU, logV := scalar.Log(sumU), scalar.Log(sumV)
		if gap+logU+logV > 0 {
			return false, true
		}
		// highest - θ = h, a coarse number, so that gap - h is exact.
		h := math.Round(((gap+logV-logU)/2)*64) / 64
		gu, gv = scalar.Exp(h), scalar.Exp(gap-h) // h is exact
		gv = math.FMA(gv, err, gv)
		if padded {
			d, err := twoDifference(highest, threshold)
			if delta.high, delta.low = twoDifference(d, h); delta.high > 0 {
				delta.low += err
			} else {
				delta = span{}
				// θ = threshold lies higher
				gu, gv = expDifference(highest, threshold), expDifference(threshold, lowest)
			}
		}
	}
	e1u, e1v := sumU*gu, sumV*gv
	if !(e1u <= 1.02 && e1v <= 1.02) {
		return false, true
	}

	// Degrees at which the terms vanish beside the first.
	z, degree := max(e1u, e1v), smallPadded
	if !padded {
		z, degree = math.Sqrt(e1u*e1v), smallSubset
	}
	for d, term := 1, 1.0; d < degree; d++ {
		if term *= z / float64(d+1); term < 0x1p-62 {
			degree = d
			break
		}
	}

	w.u = append(w.u[:0], 1)
	if k < len(x) {
		c.r, c.above = grow(c.r, len(c.e)), grow(c.above, len(c.e)/8)
		kernel.TiltSplit(c.r, c.above, c.e, gu, math.Inf(1))
		for _, i := range c.positives {
			c.r[i] = 0
		}
		c.forwardLanes(c.r, min(degree, len(x)-k))
		w.u = append(w.u[:0], c.s...)
	}
	w.v = append(w.v[:0], 1)
	if k > 0 {
		w.r, c.above = grow(w.r, len(w.e)), grow(c.above, max(len(c.above), len(w.e)/8))
		kernel.TiltSplit(w.r, c.above[:len(w.e)/8], w.e, gv, math.Inf(1))
		c.forwardLanes(w.r, min(degree, k))
		w.v = append(w.v[:0], c.s...)
	}
	w.combine(padded, limit-k, delta)
	return true, true
}

// separated returns the highest score of the negatives; it reports false where
// one of them lies above the bar.
func separated[T kernel.Float](x []T, pos []uint64, bar T) (float64, bool) {
	highest := T(math.Inf(-1))
	for i, s := range x {
		if s >= bar {
			if isSet(pos, i) {
				continue
			}
			if s > bar {
				return 0, false
			}
		}
		if s > highest {
			highest = s
		}
	}
	return float64(highest), true
}

// expDifference returns e^(a-b), 0 below the normal numbers and +Inf above them.
func expDifference(a, b float64) float64 {
	d, err := twoDifference(a, b)
	e := scalar.Exp(d)
	if e == 0 || e > math.MaxFloat64 {
		return e // err may be NaN
	}
	return math.FMA(e, err, e)
}

// combine forms the weighted sum of the products e_a(u)·e_r(v) and its
// derivatives. The weights W are
//
//	subset: 1 where a = r
//	padded: e^((a-r)·delta) where a ≤ r + spare, delta > 0 only for spare = 0
func (w *smallLoss) combine(padded bool, spare int, delta span) {
	w.adjU, w.adjV = grow(w.adjU, len(w.u)), grow(w.adjV, len(w.v))
	clear(w.adjU)
	clear(w.adjV)
	var decay [smallPadded + 1]float64 // e^(-j·delta)
	for j := range decay {
		decay[j] = 1
		if delta.high > 0 {
			decay[j] = delta.times(float64(j)).decay()
		}
	}
	w.loss, w.pull = 0, 0
	for r := len(w.v) - 1; r >= 0; r-- {
		low, high := 0, min(r+spare, len(w.u)-1)
		if !padded {
			low, high = r, min(r, len(w.u)-1)
		}
		for a := high; a >= low; a-- {
			weight := decay[max(r-a, 0)]
			w.adjU[a] += float64(weight * w.v[r])
			w.adjV[r] += float64(weight * w.u[a])
			if a+r > 0 {
				term := float64(weight * w.u[a] * w.v[r])
				w.loss += term
				w.pull += float64(float64(r-a) * term)
			}
		}
	}
	w.negative = 1 / (1 + w.loss)
}

// value returns the loss.
func (w *smallLoss) value() float64 { return scalar.Log1p(w.loss) }

// push returns the loss's derivative by the threshold.
func (w *smallLoss) push() float64 { return w.pull * w.negative }

// smallGradient writes scale times the gradient.
func smallGradient[T kernel.Float](c *Core, dst []T, scale float64) {
	w := &c.small
	scale *= w.negative
	if len(w.u) > 1 {
		c.setHorner(w.adjU, w.u, smallPadded)
		inclusionBlock(dst, c.r, c.horner, scale)
	} else {
		clear(dst)
	}
	if len(w.v) > 1 {
		c.setHorner(w.adjV, w.v, smallPadded)
		w.x = grow(w.x, len(w.r))
		kernel.Inclusion(w.x, w.r, c.horner, -scale)
		for j, i := range c.positives {
			dst[i] = T(w.x[j])
		}
	}
}
