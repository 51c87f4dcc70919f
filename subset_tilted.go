package zlpr

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
func pickExactly[T Float](c *subsetCore, x []T, k int) (tilted, bool) {
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
	c.product(t.n, t.g, t.degree)
	return t, true
}

// pickUpTo prepares the padded variant with at most k picks, 0 < k < len(x),
// and returns θ - threshold as well.
//
// θ is the threshold while the mean there is no more than k. Else it is higher,
// and j picks have the weight e^(-(k-j)(θ - threshold)) ≤ 1.
func pickUpTo[T Float](c *subsetCore, x []T, k int, threshold float64) (t tilted, above float64, ok bool) {
	if _, squares := exponentials(c, x, 1, threshold); squares != squares {
		return t, 0, false
	}
	mean, squares := kernel.TiltSums(c.e, 1)
	sigma := math.Sqrt(max(mean-squares, 0))
	t = tilted{tilt: tilt{sign: 1, pivot: threshold, g: 1, mean: mean, sigma: sigma}, n: len(x)}
	if mean > float64(k)+max(0.5, sigma/2) {
		if t.tilt, ok = tiltTo(c, x, 1, k); !ok {
			return t, 0, false
		}
		d, err := twoDifference(t.pivot, threshold)
		above = max(0, d+t.shift+err)
	}
	if t.failures = t.mean > float64(t.n)/2; t.failures {
		t.sign, t.pivot, t.shift, t.mean = -1, -t.pivot, -t.shift, float64(t.n)-t.mean
		t.g = scalar.Exp(-t.shift)
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
		case above == 0:
			return 1
		}
		return scalar.Exp(-float64(k-j) * above)
	})
	c.product(t.n, t.g, t.degree)
	return t, above, true
}

// meanPicks returns Σ (j - from)·(probability of j picks), of the polynomials
// that product has built.
func (t *tilted) meanPicks(c *subsetCore, from int) float64 {
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
func addExcess[T Float](t *tilted, sum *sum2, s T, factor float64) {
	sum.addDifference(factor*float64(s), factor*t.sign*t.pivot)
	sum.add(-factor * t.sign * t.shift)
}

// odds returns e^(sign·(s - θ)) of item i.
func (t *tilted) odds(c *subsetCore, i int) float64 { return float64(c.e[i] * t.g) }

// tiltedLogPartition returns log Z_k = Σ_{s>θ} s + (k - m)·θ + log F, with m the
// number of scores above θ.
func tiltedLogPartition[T Float](c *subsetCore, t *tilted, x []T, k int) float64 {
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
func tiltedLoss[T Float](c *subsetCore, t *tilted, x []T, pos []uint64) float64 {
	var sum sum2
	if t.failures {
		for i, s := range x {
			switch over := t.odds(c, i) > 1; { // s < θ
			case over && isSet(pos, i):
				addExcess(t, &sum, s, -1)
			case !over && !isSet(pos, i):
				addExcess(t, &sum, s, 1)
			}
		}
	} else {
		for _, i := range c.positives {
			if !(t.odds(c, int(i)) > 1) {
				addExcess(t, &sum, x[i], -1)
			}
		}
		for _, i := range c.big {
			if t.odds(c, int(i)) > 1 && !isSet(pos, int(i)) {
				addExcess(t, &sum, x[i], 1)
			}
		}
	}
	sum.add(c.logNorm)
	sum.add(scalar.Log(c.total))
	return sum.value()
}

// An output says what is to be written for an item with the inclusion
// probability π.
type output int

const (
	inclusionOutput output = iota // π
	exclusionOutput               // 1 - π
	gradientOutput                // π for a negative, -(1 - π) for a positive
)

// writeProbabilities writes scale times the wanted output of every item.
// Neither π nor 1 - π is formed as a difference where it could cancel: the
// tree gives both, and a small item has one of them below 0.4.
func writeProbabilities[T Float](c *subsetCore, t *tilted, dst []T, what output, pos []uint64, scale float64) {
	c.derivatives(t.degree)
	// The kernel writes factor·π', π' the probability that the polynomial
	// counts the item. What is wanted differs from that by add, everywhere
	// or at the positives (or negatives).
	factor, add := scale, 0.0
	switch {
	case what == inclusionOutput && t.failures, what == exclusionOutput && !t.failures:
		factor, add = -scale, scale
	case what == gradientOutput && t.failures:
		factor = -scale
	}
	smallInclusion(c, dst, factor)
	switch {
	case add != 0:
		for i, v := range dst {
			dst[i] = T(float64(v) + add)
		}
	case what == gradientOutput && t.failures:
		for i, v := range dst {
			if !isSet(pos, i) {
				dst[i] = T(float64(v) + scale)
			}
		}
	case what == gradientOutput:
		for _, i := range c.positives {
			dst[i] = T(float64(dst[i]) - scale)
		}
	}

	tree, scale := &c.tree, scale/c.total
	for j, i := range c.big {
		in, out := tree.p[j]*tree.e1[j]*scale, tree.q[j]*tree.e0[j]*scale
		if t.failures {
			in, out = out, in
		}
		switch {
		case what == exclusionOutput:
			in = out
		case what == gradientOutput && isSet(pos, int(i)):
			in = -out
		}
		dst[i] = T(in)
	}
}
