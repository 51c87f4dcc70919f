// Package subset evaluates the k-subset softmax and its padded variant: values,
// probabilities, losses and gradients of a row, and samplers.
//
// A tilt θ turns the scores into independent items with odds e^(s-θ), whose
// number of successes has a law of positive terms only; everything that is asked
// for follows from that law and from its derivatives.
package subset

import (
	"math"
	"math/bits"

	"github.com/zlpr/zlpr/internal/exact"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/scalar"
)

// A Law says how many classes are picked: exactly Picks, or, padded, up to
// Picks, a padding of score Threshold standing in for each that is missing.
type Law struct {
	Picks     int
	Padded    bool
	Threshold float64
}

// An Output says what is to be written for a class with the inclusion
// probability π.
type Output int

const (
	Inclusion Output = iota // π
	Exclusion               // 1 - π
	Gradient                // π for a negative, -(1 - π) for a positive
)

// A Query asks for one row's log-partition and probabilities, or for its
// loss and gradient.
type Query struct {
	Law
	What    Output
	Pos     []uint64  // the positives, where the gradient is asked for
	Part    []uint64  // the classes that take part, positives included; nil: all
	Weights []float64 // of the classes; nil: 1
	Scale   float64   // of what is written

	infinite bool // the loss is: its gradient is wanted alone, under the law given
}

// loss reports whether the value asked for is the loss of the positives, and not
// the log-partition.
func (q *Query) loss() bool { return q.What == Gradient && !q.infinite }

// Evaluate answers a query for the scores x: it writes to dst, unless that is
// nil, and returns the log-partition or, for the gradient, the loss, which takes
// as many picks as there are positives unless it is padded, and its derivative
// by the threshold. dst may be x.
func Evaluate[T kernel.Float](c *Core, q *Query, x, dst []T) (value, push float64) {
	c.factor = nil
	if q.Part == nil && q.Weights == nil {
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

// evaluateDense is Evaluate for rows of finite scores which all take
// part. It reports false where a score is not finite, or where scores are too
// large or too far apart for the exponentials; compactRow.near mends the latter.
func evaluateDense[T kernel.Float](c *Core, q *Query, x, dst []T) (value, push float64, ok bool) {
	n := len(x)
	loss := q.loss()
	law := q.Law
	if q.What == Gradient {
		c.setPositives(q.Pos, n)
		if loss && !law.Padded {
			law.Picks = len(c.positives)
		}
	}
	k := law.Picks
	if k == 0 || !law.Padded && k == n {
		return evaluateFixed(q, k == n, x, dst)
	}
	if !(math.Abs(law.Threshold) <= farthest) {
		return 0, 0, false
	}
	if loss {
		small, ok := trySmall(c, x, q.Pos, law)
		switch {
		case !ok:
			return 0, 0, false
		case small:
			if dst != nil {
				smallGradient(c, dst, q.Scale)
			}
			return c.small.value(), c.small.push(), true
		}
	}
	if law.Padded && k >= n {
		return evaluateIndependent(c, q, x, dst)
	}

	var t tilted
	var above span
	if law.Padded {
		t, above, ok = pickUpTo(c, x, k, law.Threshold)
	} else {
		t, ok = pickExactly(c, x, k)
	}
	if !ok {
		return 0, 0, false
	}
	if loss {
		value = tiltedLoss(c, &t, x, q.Pos)
		if law.Padded {
			value += above.times(float64(k - len(c.positives))).high
		}
	} else {
		value = tiltedLogPartition(c, &t, x, k)
	}
	if law.Padded && q.What == Gradient {
		push = -t.meanPicks(c, len(c.positives))
	}
	if dst != nil {
		writeProbabilities(c, &t, dst, q)
	}
	return value, push, true
}

// evaluateFixed is evaluateDense where no class is picked, or every class.
func evaluateFixed[T kernel.Float](q *Query, all bool, x, dst []T) (value, push float64, ok bool) {
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
func exactSum[T kernel.Float](x []T) float64 {
	var sum exact.Sum
	for _, s := range x {
		sum.Add(float64(s))
	}
	return sum.Float64()
}

// output returns what is to be written for class i, which is picked with
// probability in and is not with probability out.
func (q *Query) output(i int, in, out float64) float64 {
	switch {
	case q.What == Exclusion:
		in = out
	case q.positive(i):
		in = -out
	}
	return in * q.Scale
}

// evaluateIndependent is evaluateDense for the padded variant with as many picks
// as classes: each class is picked or not on its own, the loss is binary
// cross-entropy at the threshold.
func evaluateIndependent[T kernel.Float](c *Core, q *Query, x, dst []T) (value, push float64, ok bool) {
	if len(x) > 0 && !reaches(highestOf(x, 1), q.Threshold) {
		return 0, 0, false
	}
	if sum, _ := exponentials(c, x, 1, q.Threshold); sum != sum {
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
			w = expDifference(q.Threshold, float64(s)) / c.factorOf(i)
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
			total.addDifference(float64(s), q.Threshold)
			total.add(c.logFactor(i))
		case positive && !over:
			total.addDifference(q.Threshold, float64(s))
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
		total.addProduct(float64(q.Picks-above), q.Threshold)
	}
	return total.value(), pull.value(), true
}

// setPositives lists the set bits of pos, of n.
func (c *Core) setPositives(pos []uint64, n int) {
	c.positives = c.positives[:0]
	for w, word := range pos[:(n+63)/64] {
		for ; word != 0; word &= word - 1 {
			c.positives = append(c.positives, int32(64*w+bits.TrailingZeros64(word)))
		}
	}
}

// factorOf returns e^(score of item i as it is, minus as it is given).
func (c *Core) factorOf(i int) float64 {
	if c.factor == nil {
		return 1
	}
	return c.factor[i]
}

// logFactor returns the logarithm of that.
func (c *Core) logFactor(i int) float64 {
	if c.factor == nil {
		return 0
	}
	return scalar.Log(c.factor[i])
}

func isSet(bits []uint64, i int) bool { return bits[i>>6]>>(i&63)&1 != 0 }

// roundUp8 returns the multiple of 8 that follows n.
func roundUp8(n int) int { return (n + 7) &^ 7 }

func roundUp32(n int) int { return (n + 31) &^ 31 }

// grow returns s with length n: what was there, then unspecified contents.
func grow[E any](s []E, n int) []E {
	if n <= cap(s) {
		return s[:n]
	}
	return append(s[:cap(s)], make([]E, n-cap(s))...)
}
