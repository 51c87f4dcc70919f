package zlpr

import (
	"math"
	"math/bits"

	"github.com/zlpr/zlpr/internal/scalar"
)

// A subsetLaw says how many classes are picked: exactly picks, or, padded, up to
// picks, a padding of score threshold standing in for each that is missing.
type subsetLaw struct {
	picks     int
	padded    bool
	threshold float64
}

// A subsetQuery asks for one row's log-partition and probabilities, or for its
// loss and gradient.
type subsetQuery struct {
	subsetLaw
	what    output
	pos     []uint64  // the positives, where the gradient is asked for
	part    []uint64  // the classes that take part, positives included; nil: all
	weights []float64 // of the classes; nil: 1
	scale   float64   // of what is written
}

// evaluateSubset answers a query for the scores x: it writes to dst, unless
// that is nil, and returns the log-partition or the loss, and the latter's
// derivative by the threshold.
func evaluateSubset[T Float](c *subsetCore, q *subsetQuery, x, dst []T) (value, push float64) {
	if q.part == nil && q.weights == nil {
		if value, push, ok := evaluateDense(c, q, x, dst); ok {
			return value, push
		}
	}
	return evaluateCompact(c, q, x, dst)
}

// evaluateDense is evaluateSubset for rows of finite scores which all take
// part. It reports false where a score is not finite.
func evaluateDense[T Float](c *subsetCore, q *subsetQuery, x, dst []T) (value, push float64, ok bool) {
	n := len(x)
	loss := q.what == gradientOutput
	law := q.subsetLaw
	if loss {
		c.setPositives(q.pos, n)
		if !law.padded {
			law.picks = len(c.positives)
		}
	}
	k := law.picks
	switch {
	case k == 0 || !law.padded && k == n:
		return evaluateFixed(q, k == n, x, dst)
	case loss && trySmall(c, x, q.pos, law):
		if dst != nil {
			smallGradient(c, dst, q.scale)
		}
		return c.small.value(), c.small.push(), true
	case law.padded && k >= n:
		return evaluateIndependent(c, q, x, dst)
	}

	var t tilted
	above := 0.0
	if law.padded {
		t, above, ok = pickUpTo(c, x, k, law.threshold)
	} else {
		t, ok = pickExactly(c, x, k)
	}
	if !ok {
		return 0, 0, false
	}
	if loss {
		value = tiltedLoss(c, &t, x, q.pos)
		if law.padded {
			value += float64(float64(k-len(c.positives)) * above)
			push = -t.meanPicks(c, len(c.positives))
		}
	} else {
		value = tiltedLogPartition(c, &t, x, k)
	}
	if dst != nil {
		writeProbabilities(c, &t, dst, q.what, q.pos, q.scale)
	}
	return value, push, true
}

// evaluateFixed is evaluateDense where no class is picked, or every class.
func evaluateFixed[T Float](q *subsetQuery, all bool, x, dst []T) (value, push float64, ok bool) {
	var sum sum2
	for _, s := range x {
		if s-s != 0 {
			return 0, 0, false
		}
		sum.add(float64(s))
	}
	p := 0.0
	if q.what != gradientOutput && all == (q.what == inclusionOutput) {
		p = q.scale
	}
	for i := range dst {
		dst[i] = T(p)
	}
	if all && q.what != gradientOutput {
		value = sum.value()
	}
	return value, 0, true
}

// evaluateIndependent is evaluateDense for the padded variant with as many picks
// as classes: each class is picked or not on its own, the loss is binary
// cross-entropy at the threshold.
func evaluateIndependent[T Float](c *subsetCore, q *subsetQuery, x, dst []T) (value, push float64, ok bool) {
	if sum, _ := exponentials(c, x, 1, q.threshold); sum != sum {
		return 0, 0, false
	}
	loss := q.what == gradientOutput
	var total, pull sum2
	above := 0
	for i, s := range x {
		positive := loss && isSet(q.pos, i)
		// w = e^-|s-θ|, p = w/(1+w) of the less likely side.
		over, w := c.e[i] > 1, c.e[i]
		if over {
			w = expDifference(q.threshold, float64(s))
		}
		total.add(scalar.Log1p(w))
		in, out := w/(1+w), 1/(1+w)
		if over {
			in, out = out, in
		}
		switch {
		case !loss && over:
			total.add(float64(s))
			above++
		case loss && over && !positive:
			total.addDifference(float64(s), q.threshold)
		case positive && !over:
			total.addDifference(q.threshold, float64(s))
		}
		if positive {
			in = -out
		}
		pull.add(-in)
		if q.what == exclusionOutput {
			in = out
		}
		if dst != nil {
			dst[i] = T(in * q.scale)
		}
	}
	if !loss {
		total.addProduct(float64(q.picks-above), q.threshold)
	}
	return total.value(), pull.value(), true
}

// setPositives lists the set bits of pos, of n.
func (c *subsetCore) setPositives(pos []uint64, n int) {
	c.positives = c.positives[:0]
	for w, word := range pos[:(n+63)/64] {
		for ; word != 0; word &= word - 1 {
			c.positives = append(c.positives, int32(64*w+bits.TrailingZeros64(word)))
		}
	}
}

func isSet(bits []uint64, i int) bool { return bits[i>>6]>>(i&63)&1 != 0 }

// A compactRow holds the finite scores that take part.
type compactRow struct {
	x, out []float64
	pos    []uint64
}

// evaluateCompact is evaluateSubset by a copy of the scores that are finite
// and take part. Infinite scores follow the limit: +Inf is picked before all
// others, -Inf after all others, equal ones with equal probability.
func evaluateCompact[T Float](c *subsetCore, q *subsetQuery, x, dst []T) (value, push float64) {
	loss := q.what == gradientOutput
	w := &c.compact
	w.x = w.x[:0]
	w.pos = grow(w.pos, (len(x)+63)/64)
	clear(w.pos)
	ups, downs, positives := 0, 0, 0
	nan, infinite := q.threshold-q.threshold != 0, false
	for i, s := range x {
		if q.part != nil && !isSet(q.part, i) {
			continue
		}
		s, positive := float64(s), loss && isSet(q.pos, i)
		if q.weights != nil {
			// The weight multiplies e^s of a negative, e^-s of a positive.
			switch weight := q.weights[i]; {
			case weight == 0:
				continue
			case weight == 1:
			case positive:
				s -= scalar.Log(weight)
			default:
				s += scalar.Log(weight)
			}
		}
		if positive {
			positives++
		}
		switch {
		case s != s:
			nan = true
		case math.IsInf(s, 1):
			ups++
			infinite = infinite || !positive
		case math.IsInf(s, -1):
			downs++
			infinite = infinite || positive
		default:
			if positive {
				w.pos[len(w.x)>>6] |= 1 << (len(w.x) & 63)
			}
			// So that differences are finite.
			w.x = append(w.x, min(max(s, -0x1p1022), 0x1p1022))
		}
	}

	inner := *q
	inner.pos, inner.part, inner.weights = w.pos, nil, nil
	if loss && !q.padded {
		inner.picks = positives
	}
	inner.picks -= ups
	n := len(w.x)
	// The probabilities of +Inf, of finite scores where it is the same for
	// all, and of -Inf.
	pUp, pFinite, pDown := 1.0, math.NaN(), 0.0
	switch {
	case nan:
		pUp, pDown = math.NaN(), math.NaN()
		value, push = math.NaN(), math.NaN()
	case inner.picks < 0:
		pUp, pFinite = float64(inner.picks+ups)/float64(ups), 0
		value = math.Inf(1)
	case !q.padded && inner.picks > n:
		pFinite, pDown = 1, float64(inner.picks-n)/float64(downs)
		value = math.Inf(-1)
		if ups > 0 {
			value = math.NaN()
		}
	default:
		w.out = grow(w.out, n)
		out := w.out
		if dst == nil {
			out = nil
		}
		if loss {
			// Forced picks are not the finite scores' positives.
			c.setPositives(w.pos, n)
			if !q.padded && len(c.positives) != inner.picks {
				infinite = true
				inner.what = inclusionOutput
			}
			if q.padded && len(c.positives) > inner.picks {
				infinite = true
				inner.what = inclusionOutput
			}
		}
		value, push, _ = evaluateDense(c, &inner, w.x, out)
		if !loss && ups > 0 {
			value = math.Inf(1)
		}
	}
	if loss && infinite && !nan {
		value, push = math.Inf(1), math.NaN()
	}
	if dst == nil {
		return value, push
	}

	put := func(i int, p float64) {
		switch {
		case q.what == exclusionOutput, loss && isSet(q.pos, i):
			p = 1 - p
			if loss {
				p = -p
			}
		}
		dst[i] = T(p * q.scale)
	}
	next := 0
	for i, s := range x {
		switch {
		case q.part != nil && !isSet(q.part, i), q.weights != nil && q.weights[i] == 0:
			dst[i] = 0
			if q.what == exclusionOutput {
				dst[i] = T(q.scale)
			}
		case nan:
			dst[i] = T(math.NaN())
		case math.IsInf(float64(s), 1):
			put(i, pUp)
		case math.IsInf(float64(s), -1):
			put(i, pDown)
		case pFinite == pFinite:
			put(i, pFinite)
			next++
		case inner.what == q.what:
			dst[i] = T(w.out[next])
			next++
		default: // inclusion probabilities in place of the gradient
			put(i, w.out[next]/q.scale)
			next++
		}
	}
	return value, push
}
