package zlpr

import "github.com/zlpr/zlpr/internal/chunk"

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

func (Subset) work32() work[float32] { return &subsetWork[float32]{} }
func (Subset) work64() work[float64] { return &subsetWork[float64]{} }

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
	t := lossTraits{threshold: l.Threshold, learned: true, classWeights: true, mostAsked: l.K == 0, mostAllowed: l.K}
	if l.K < 0 || !finiteNumber(l.Threshold) {
		return t, errParameter
	}
	return t, nil
}

func (l PaddedSubset) work32() work[float32] { return &subsetWork[float32]{padded: true, picks: l.K} }
func (l PaddedSubset) work64() work[float64] { return &subsetWork[float64]{padded: true, picks: l.K} }

const manyPositives = "more positive labels than K"

// A subsetWork evaluates the subset loss, or the padded one of so many picks; 0 for
// the most positives of a row.
type subsetWork[T Float] struct {
	padded bool
	picks  int
	core   subsetCore
}

// Eval evaluates the rows of a chunk.
func (w *subsetWork[T]) Eval(c *chunk.Chunk[T]) {
	core := &w.core
	q := subsetQuery{subsetLaw: subsetLaw{picks: w.picks, padded: w.padded}, what: gradientOutput, weights: c.Class, scale: 1}
	if w.padded && w.picks == 0 {
		q.picks = c.MostPositives
	}
	for i := range c.Rows {
		if !c.Live[i] {
			c.SetNothing(i)
			continue
		}
		var grad []T
		if c.Grad != nil {
			grad = c.GradRow(i)
			q.scale = c.Scale[i]
		}
		var neg []uint64
		q.pos, neg = c.Sides(i)
		q.part = core.takingPart(q.pos, neg, c.N)
		if w.padded {
			q.threshold = c.Threshold[i]
		}
		push := 0.0
		c.Loss[i], push = evaluateSubset(core, &q, c.Row(i), grad)
		if c.ThresholdGrad != nil {
			c.ThresholdGrad[i] = push * c.Scale[i]
		}
	}
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
