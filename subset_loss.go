package zlpr

import "github.com/zlpr/zlpr/internal/kernel"

// Subset is the subset ("combinatorial") softmax: with k positives P a row,
//
//	loss = log Z_k - Σ_{j∈P} s_j,  Z_k = Σ over the subsets of k classes of e^(sum of scores)
//	     = log Σ_j e_j(u)·e_j(v),  u = e^(s-θ) of the negatives, v = e^(θ-s) of the positives,
//
// the negative log-probability of the positives among all subsets of k classes;
// with k = 1 it is softmax cross-entropy. The terms up to j = 1 are Pairwise. A
// row with no positive, or no negative, has loss 0.
//
// The gradient is π_i for a negative and -(1 - π_j) for a positive, π the
// probability that a class is picked. Loss and gradient have relative errors
// below 1e-13 at every magnitude down to 1e-300. See LogPartition for the
// method, time and source. Class weights multiply u and v.
type Subset struct{}

// Name returns "subset".
func (Subset) Name() string { return "subset" }

func (Subset) traits() (lossTraits, error) { return lossTraits{classWeights: true}, nil }

func (Subset) eval32(c *lossChunk[float32]) error { return evalSubset(c, subsetLaw{}) }
func (Subset) eval64(c *lossChunk[float64]) error { return evalSubset(c, subsetLaw{}) }

// PaddedSubset is the subset softmax for rows with different numbers of labels:
// up to K classes are picked, and what is missing is filled by a padding of score
// s0, the threshold, which may be a learned one. With k ≤ K positives P a row,
//
//	loss = log Zbar_K - Σ_{j∈P} s_j - (K-k)·s0,  Zbar_K = Σ_{j≤K} e^((K-j)·s0) Z_j.
//
// It lies between ZLPR (for K > k) and BCE, which it is for K = classes. K = 0 is
// the largest number of positives of a row of the batch. A row with more than K
// positives is an error.
//
// The derivative by s0 is the expected number of paddings minus K-k. For all
// else see Subset and PaddedLogPartition.
type PaddedSubset struct {
	K         int
	Threshold float64
}

// Name returns "subset-padded".
func (PaddedSubset) Name() string { return "subset-padded" }

func (l PaddedSubset) traits() (lossTraits, error) {
	t := lossTraits{threshold: l.Threshold, learned: true, classWeights: true, maxPositives: l.K == 0}
	if l.K < 0 || !finiteNumber(l.Threshold) {
		return t, errParameter
	}
	return t, nil
}

func (l PaddedSubset) eval32(c *lossChunk[float32]) error { return evalPadded(c, l.K) }
func (l PaddedSubset) eval64(c *lossChunk[float64]) error { return evalPadded(c, l.K) }

func evalPadded[T Float](c *lossChunk[T], k int) error {
	if k == 0 {
		k = c.maxPositives
	}
	return evalSubset(c, subsetLaw{picks: k, padded: true})
}

const manyPositives = "more positive labels than K"

// evalSubset evaluates the rows of a chunk.
func evalSubset[T Float](c *lossChunk[T], law subsetLaw) error {
	if c.scratch.subset == nil {
		c.scratch.subset = new(subsetCore)
	}
	core := c.scratch.subset
	q := subsetQuery{subsetLaw: law, what: gradientOutput, weights: c.classWeights, scale: 1}
	for i := range c.rows {
		var grad []T
		if c.grad != nil {
			grad = c.gradRow(i)
			q.scale = c.scale[i]
		}
		push := 0.0
		if c.live[i] {
			var neg []uint64
			q.pos, neg = c.bits(i)
			q.part = core.takingPart(q.pos, neg, c.n)
			if law.padded {
				q.threshold = c.threshold[i]
				if kernel.CountBits(q.pos) > law.picks {
					return &DataError{Row: c.first + i, Class: -1, Kind: LabelsAboveK, Reason: manyPositives}
				}
			}
			c.loss[i], push = evaluateSubset(core, &q, c.row(i), grad)
		} else {
			c.loss[i] = 0
			clear(grad)
		}
		if c.thresholdGrad != nil {
			c.thresholdGrad[i] = push * c.scale[i]
		}
	}
	return nil
}

// takingPart returns the union of the positives and the negatives, nil where that
// is all n classes.
func (c *subsetCore) takingPart(pos, neg []uint64, n int) []uint64 {
	c.part = grow(c.part, len(pos))
	all := true
	for i, p := range pos {
		c.part[i] = p | neg[i]
		all = all && (c.part[i] == ^uint64(0) || i == n/64 && c.part[i] == 1<<(n%64)-1)
	}
	if all {
		return nil
	}
	return c.part
}
