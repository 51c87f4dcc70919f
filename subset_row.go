package zlpr

import (
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
