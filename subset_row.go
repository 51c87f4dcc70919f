package zlpr

import (
	"math"
	"math/bits"

	"github.com/zlpr/zlpr/internal/exact"
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
	what     output
	infinite bool      // the loss is: its gradient is wanted alone, under the law given
	pos      []uint64  // the positives, where the gradient is asked for
	part     []uint64  // the classes that take part, positives included; nil: all
	weights  []float64 // of the classes; nil: 1
	scale    float64   // of what is written
}

// loss reports whether the value asked for is the loss of the positives, and not
// the log-partition.
func (q *subsetQuery) loss() bool { return q.what == gradientOutput && !q.infinite }

// evaluateSubset answers a query for the scores x: it writes to dst, unless
// that is nil, and returns the log-partition or the loss, and the latter's
// derivative by the threshold.
func evaluateSubset[T Float](c *subsetCore, q *subsetQuery, x, dst []T) (value, push float64) {
	c.factor = nil
	if q.part == nil && q.weights == nil {
		if value, push, ok := evaluateDense(c, q, x, dst); ok {
			return value, push
		}
	}
	return evaluateCompact(c, q, x, dst)
}

const (
	// Scores up to this size have sums and differences that are numbers.
	farthest = 0x1p900
	// Up to this distance above the pivot a difference has a rounding error
	// small beside 1, as the exponentials want it.
	widest = 0x1p20
)

// evaluateDense is evaluateSubset for rows of finite scores which all take
// part. It reports false where a score is not finite, or where scores are too
// large or too far apart for the exponentials; compactRow.near mends the latter.
func evaluateDense[T Float](c *subsetCore, q *subsetQuery, x, dst []T) (value, push float64, ok bool) {
	n := len(x)
	loss := q.loss()
	law := q.subsetLaw
	if q.what == gradientOutput {
		c.setPositives(q.pos, n)
		if loss && !law.padded {
			law.picks = len(c.positives)
		}
	}
	k := law.picks
	if k == 0 || !law.padded && k == n {
		return evaluateFixed(q, k == n, x, dst)
	}
	if !(math.Abs(law.threshold) <= farthest) {
		return 0, 0, false
	}
	if loss {
		small, ok := trySmall(c, x, q.pos, law)
		switch {
		case !ok:
			return 0, 0, false
		case small:
			if dst != nil {
				smallGradient(c, dst, q.scale)
			}
			return c.small.value(), c.small.push(), true
		}
	}
	if law.padded && k >= n {
		return evaluateIndependent(c, q, x, dst)
	}

	var t tilted
	var above span
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
			value += above.times(float64(k - len(c.positives))).high
		}
	} else {
		value = tiltedLogPartition(c, &t, x, k)
	}
	if law.padded && q.what == gradientOutput {
		push = -t.meanPicks(c, len(c.positives))
	}
	if dst != nil {
		writeProbabilities(c, &t, dst, q)
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
	in, out := 0.0, 1.0
	if all {
		in, out = 1, 0
	}
	for i := range dst {
		dst[i] = T(q.output(i, in, out))
	}
	if all && !q.loss() {
		if value = sum.value(); value-value != 0 {
			value = exactSum(x)
		}
	}
	return value, 0, true
}

// exactSum returns Σ x, right where partial sums overflow.
func exactSum[T Float](x []T) float64 {
	var sum exact.Sum
	for _, s := range x {
		sum.Add(float64(s))
	}
	return sum.Float64()
}

// output returns what is to be written for class i, which is picked with
// probability in and is not with probability out.
func (q *subsetQuery) output(i int, in, out float64) float64 {
	switch {
	case q.what == exclusionOutput:
		in = out
	case q.positive(i):
		in = -out
	}
	return in * q.scale
}

// evaluateIndependent is evaluateDense for the padded variant with as many picks
// as classes: each class is picked or not on its own, the loss is binary
// cross-entropy at the threshold.
func evaluateIndependent[T Float](c *subsetCore, q *subsetQuery, x, dst []T) (value, push float64, ok bool) {
	if len(x) > 0 && !reaches(highestOf(x, 1), q.threshold) {
		return 0, 0, false
	}
	if sum, _ := exponentials(c, x, 1, q.threshold); sum != sum {
		return 0, 0, false
	}
	loss := q.loss()
	var total, pull sum2
	above := 0
	for i, s := range x {
		positive := q.positive(i)
		// w = e^-|s-θ|, p = w/(1+w) of the less likely side.
		over, w := c.e[i] > 1, c.e[i]
		if over {
			w = expDifference(q.threshold, float64(s)) / c.factorOf(i)
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
			total.add(c.logFactor(i))
		case positive && !over:
			total.addDifference(q.threshold, float64(s))
			total.add(-c.logFactor(i))
		}
		if positive {
			pull.add(out)
		} else {
			pull.add(-in)
		}
		if dst != nil {
			dst[i] = T(q.output(i, in, out))
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

// factorOf returns e^(score of item i as it is, minus as it is given).
func (c *subsetCore) factorOf(i int) float64 {
	if c.factor == nil {
		return 1
	}
	return c.factor[i]
}

// logFactor returns the logarithm of that.
func (c *subsetCore) logFactor(i int) float64 {
	if c.factor == nil {
		return 0
	}
	return scalar.Log(c.factor[i])
}

func isSet(bits []uint64, i int) bool { return bits[i>>6]>>(i&63)&1 != 0 }
