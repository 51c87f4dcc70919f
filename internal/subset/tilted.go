package subset

import (
	"math"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/scalar"
)

// A tilted row is a row under a tilt, its polynomials built: the general case.
type tilted struct {
	tilt
	n        int
	failures bool // the polynomial counts the items left out
	degree   int
}

// pickExactly prepares k picks out of x, 0 < k < len(x). It reports false where
// a score is not finite.
func pickExactly[T kernel.Float](c *Core, x []T, k int) (tilted, bool) {
	t := tilted{n: len(x), degree: k}
	sign := 1.0
	if t.failures = 2*k > len(x); t.failures {
		sign, t.degree = -1, len(x)-k
	}
	var ok bool
	if t.tilt, ok = tiltTo(c, x, sign, t.degree); !ok {
		return t, false
	}
	c.setPick(t.degree)
	product(c, &t, x)
	return t, true
}

// A span is a non-negative difference as the sum of two numbers.
type span struct{ high, low float64 }

// times returns m times the span.
func (g span) times(m float64) span {
	p := float64(m * g.high)
	return span{p, math.FMA(m, g.high, -p) + float64(m*g.low)}
}

// decay returns e^-span.
func (g span) decay() float64 {
	w := scalar.Exp(-g.high)
	if w == 0 {
		return 0 // low may be large
	}
	return math.FMA(-w, g.low, w)
}

// pickUpTo prepares the padded variant with at most k picks, 0 < k < len(x),
// and returns θ - threshold as well.
//
// θ is the threshold while the mean there is no more than k. Else it is higher,
// and j picks have the weight e^(-(k-j)(θ - threshold)) ≤ 1.
func pickUpTo[T kernel.Float](c *Core, x []T, k int, threshold float64) (t tilted, above span, ok bool) {
	highest := highestOf(x, 1)
	if !reaches(highest, threshold) {
		return t, above, false
	}
	if _, squares := exponentials(c, x, 1, threshold); squares != squares {
		return t, above, false
	}
	mean, squares := kernel.TiltSums(c.e, 1)
	sigma := math.Sqrt(max(mean-squares, 0))
	t = tilted{tilt: tilt{sign: 1, highest: highest, pivot: threshold, g: 1, mean: mean, sigma: sigma}, n: len(x)}
	if mean > float64(k)+max(0.5, sigma/2) {
		if t.tilt, ok = tiltTo(c, x, 1, k); !ok {
			return t, above, false
		}
		d, err := twoDifference(t.pivot, threshold)
		if above.high, above.low = twoDifference(d, -t.shift); above.high > 0 {
			above.low += err
		} else {
			above = span{}
		}
	}
	if t.failures = t.mean > float64(t.n)/2; t.failures {
		t.sign, t.pivot, t.shift, t.mean = -1, -t.pivot, -t.shift, float64(t.n)-t.mean
		t.g, t.highest = scalar.Exp(-t.shift), highestOf(x, -1)
		if !reaches(t.highest, t.pivot) {
			return t, above, false
		}
		exponentials(c, x, -1, t.pivot)
	}
	t.degree = min(t.n, int(math.Ceil(t.mean+float64(12*t.sigma)+8)))
	if !t.failures {
		t.degree = min(t.degree, k)
	}
	c.setAdjoint(t.degree, func(j int) float64 {
		if t.failures {
			j = t.n - j
		}
		switch {
		case j > k:
			return 0
		case above.high == 0:
			return 1
		}
		return above.times(float64(k - j)).decay()
	})
	product(c, &t, x)
	return t, above, true
}

// meanPicks returns Σ (j - from)·(probability of j picks), of the polynomials
// that product has built.
func (t *tilted) meanPicks(c *Core, from int) float64 {
	root := c.tree.root()
	b, s := root.of(c.tree.coef), c.s
	if len(b) > len(s) {
		b, s = s, b
	}
	f := grow(c.adjB, roundUp8(t.degree+1))
	c.adjB = f
	c.tree.product(f, -root.lo, b, s)
	sum := 0.0
	for j, v := range f[:t.degree+1] {
		picks := j
		if t.failures {
			picks = t.n - j
		}
		sum = math.FMA(float64(picks-from), c.adj[j]*v, sum)
	}
	return sum / c.total
}

// addExcess adds s - θ of item i to the sum, with the given factor ±1.
func addExcess[T kernel.Float](c *Core, t *tilted, sum *sum2, x []T, i int, factor float64) {
	sum.addDifference(factor*float64(x[i]), factor*t.sign*t.pivot)
	sum.add(-factor * t.sign * t.shift)
	if c.factor != nil {
		sum.add(factor * c.logFactor(i))
	}
}

// product builds the polynomials of the row under its tilt.
func product[T kernel.Float](c *Core, t *tilted, x []T) {
	c.odds(t.n, t.g, t.degree)
	sharpen(c, t, x)
	c.product(t.n, t.degree)
}

// sharpen makes q = 1/(1+odds) of items far above the tilt right where the odds
// have been cut. Improbable subsets have such a factor and no larger one.
func sharpen[T kernel.Float](c *Core, t *tilted, x []T) {
	if t.highest-t.pivot < 500 {
		return
	}
	for j, i := range c.big {
		if t.odds(c, int(i)) < 0x1p700 {
			continue
		}
		// e^(pivot+shift-y): the difference is below -400, a multiple of 2^-44,
		// and 64 more of it is exact.
		d, err := twoDifference(t.pivot, t.sign*float64(x[i]))
		w := scalar.Exp(d + 64)
		w = math.FMA(w, err, w) * scalar.Exp(t.shift-64)
		if t.sign > 0 {
			w /= c.factorOf(int(i))
		} else {
			w *= c.factorOf(int(i))
		}
		c.tree.q[j] = w
	}
}

// odds returns e^(sign·(s - θ)) of item i.
func (t *tilted) odds(c *Core, i int) float64 { return float64(c.e[i] * t.g) }

// tiltedLogPartition returns log Z_k = Σ_{s>θ} s + (k - m)·θ + log F, with m the
// number of scores above θ.
func tiltedLogPartition[T kernel.Float](c *Core, t *tilted, x []T, k int) float64 {
	var sum sum2
	m := 0
	if t.failures {
		for i, s := range x {
			if !(t.odds(c, i) > 1) {
				sum.add(float64(s))
				m++
			}
		}
	} else {
		for _, i := range c.big {
			if t.odds(c, int(i)) > 1 {
				sum.add(float64(x[i]))
				m++
			}
		}
	}
	sum.addProduct(float64(k-m), t.sign*t.pivot)
	sum.addProduct(float64(k-m), t.sign*t.shift)
	sum.add(c.logNorm)
	sum.add(scalar.Log(c.total))
	return sum.value()
}

// tiltedLoss returns Σ_{negative s>θ} (s - θ) + Σ_{positive s<θ} (θ - s) + log F.
func tiltedLoss[T kernel.Float](c *Core, t *tilted, x []T, pos []uint64) float64 {
	var sum sum2
	if t.failures {
		for i := range x {
			switch over := t.odds(c, i) > 1; { // s < θ
			case over && isSet(pos, i):
				addExcess(c, t, &sum, x, i, -1)
			case !over && !isSet(pos, i):
				addExcess(c, t, &sum, x, i, 1)
			}
		}
	} else {
		for _, i := range c.positives {
			if !(t.odds(c, int(i)) > 1) {
				addExcess(c, t, &sum, x, int(i), -1)
			}
		}
		for _, i := range c.big {
			if t.odds(c, int(i)) > 1 && !isSet(pos, int(i)) {
				addExcess(c, t, &sum, x, int(i), 1)
			}
		}
	}
	sum.add(c.logNorm)
	sum.add(scalar.Log(c.total))
	return sum.value()
}

// writeProbabilities writes what is asked for of every item. Neither π nor 1 - π
// is formed as a difference where it could cancel: the tree gives both, and a
// small item has one of them below 0.4.
func writeProbabilities[T kernel.Float](c *Core, t *tilted, dst []T, q *Query) {
	c.derivatives(t.degree)
	writeSmall(c, t, dst, q)
	tree, inverse := &c.tree, 1/c.total
	for j, i := range c.big {
		in, out := tree.p[j]*(tree.e1[j]*inverse), tree.q[j]*(tree.e0[j]*inverse)
		if t.failures {
			in, out = out, in
		}
		dst[i] = T(q.output(int(i), in, out))
	}
}

// writeSmall is writeProbabilities for the small items; what it writes for the
// others does not matter. The kernel gives factor·π', π' the probability that
// the polynomial counts the item. Where that is all that is wanted it goes to
// dst at once; else 1 - π' is formed in float64 and rounded once.
func writeSmall[T kernel.Float](c *Core, t *tilted, dst []T, q *Query) {
	complement := t.failures != (q.What == Exclusion) // 1 - π' is wanted, but of positives
	var positives []int32
	if q.What == Gradient {
		positives = c.positives
	}
	positive := func(i int32, counted float64) {
		if !t.failures {
			counted = 1 - counted
		}
		dst[i] = T(-counted * q.Scale)
	}
	size := math.Abs(q.Scale)
	if !complement && size > 0x1p-400 && size < 0x1p400 { // else the factor could leave the range
		for i := 0; i < len(dst); i += splitStep {
			writeBlock(c, dst[i:min(i+splitStep, len(dst))], i, q.Scale/c.total)
		}
		if len(positives) > 0 {
			for j, p := range countedPositives(c) {
				positive(positives[j], p)
			}
		}
		return
	}
	var block [splitStep]float64
	for i := 0; i < len(dst); i += splitStep {
		part := dst[i:min(i+splitStep, len(dst))]
		counted := block[:len(part)]
		writeBlock(c, counted, i, 1/c.total)
		if complement {
			for j, p := range counted {
				part[j] = T((1 - p) * q.Scale)
			}
		} else {
			for j, p := range counted {
				part[j] = T(p * q.Scale)
			}
		}
		for ; len(positives) > 0 && int(positives[0]) < i+len(part); positives = positives[1:] {
			positive(positives[0], counted[int(positives[0])-i])
		}
	}
}

// writeBlock writes factor·r·H(-r) of the small items, 0 for others, of the block
// of items that begins at i.
func writeBlock[T kernel.Float](c *Core, dst []T, i int, factor float64) {
	if largest := c.largest[i/splitStep]; largest > 0 && len(c.s) > 1 {
		inclusionBlock(dst, c.r[i:], c.terms(largest), factor)
	} else {
		clear(dst)
	}
}

// countedPositives returns π' of the positives, what it gives for those that are
// not small is open.
func countedPositives(c *Core) []float64 {
	n := roundUp8(len(c.positives))
	c.reverse, c.buf = grow(c.reverse, n), grow(c.buf, n)
	r, p := c.reverse, c.buf
	clear(r[len(c.positives):])
	largest := 0.0
	for j, i := range c.positives {
		v := c.r[i] // a number
		if r[j] = v; v > largest {
			largest = v
		}
	}
	if largest > 0 && len(c.s) > 1 {
		kernel.Inclusion(p, r, c.terms(largest), 1/c.total)
	} else {
		clear(p)
	}
	return p[:len(c.positives)]
}
