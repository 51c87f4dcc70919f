package zlpr

import "github.com/zlpr/zlpr/internal/subset"

// Subset is the subset ("combinatorial") softmax: with k positives P a row of the
// scores s,
//
//	loss = log Z_k - Σ_{j∈P} s_j,  Z_k = Σ over the subsets of k classes of e^(sum of scores)
//	     = log Σ_j e_j(u)·e_j(v),  u = e^(s-θ) of the negatives, v = e^(θ-s) of the positives,
//
// the negative log-probability of the positives among all subsets of k classes;
// with k = 1 it is softmax cross-entropy. The terms up to j = 1 are [Pairwise].
// Class weights multiply u and v. The gradient is
//
//	∂loss/∂s_i = π_i          for a negative, π the probability that a class is picked
//	∂loss/∂s_j = -(1 - π_j)   for a positive
//
// Special cases are:
//
//	no positive, or no negative: loss and gradient 0, whatever the scores
//	a NaN score: loss and gradient NaN
//	a negative at +Inf or a positive at -Inf: loss +Inf, the gradient of the limit
//	a negative at -Inf or a positive at +Inf: adds nothing
//
// The loss has a relative error below 1e-13 at every magnitude down to 1e-300, and
// is +Inf only where it is larger than all numbers. So has a float64 gradient
// down to 1e-280; smaller ones have an absolute error below 1e-300. A float32
// gradient is that rounded once: its error is below 0.6 ULP. These bounds hold
// for finite scores of any size, however far apart, with class weights too;
// row weights and Upstream multiply gradients with one more rounding, where
// the results and they are normal numbers. For time see [LogPartition].
//
// See Su, spaces.ac.cn/archives/7359 (in Chinese); Berrada, Zisserman, Kumar,
// arXiv 1802.07595 (smooth top-k); Ahmed et al., arXiv 2210.01941.
type Subset struct{}

// Name returns "subset".
func (Subset) Name() string { return "subset" }

func (Subset) traits() (lossTraits, error) { return lossTraits{classWeights: true}, nil }

func (Subset) work32() work[float32] { return subset.New[float32](subset.Rule{}) }
func (Subset) work64() work[float64] { return subset.New[float64](subset.Rule{}) }

// PaddedSubset is the subset softmax for rows with different numbers of labels:
// up to K classes are picked, and what is missing is filled by a padding of score
// s0, the threshold, which may be a learned one. With k ≤ K positives P a row,
//
//	loss = log Zbar_K - Σ_{j∈P} s_j - (K-k)·s0,  Zbar_K = Σ_{j≤K} e^((K-j)·s0) Z_j
//	     = log Σ_{a ≤ K-k+r} e_a(u)·e_r(v),  u = e^(s-s0) of the negatives, v = e^(s0-s) of the positives.
//
// It lies between [ZLPR] (for K > k) and [BCE], which it is for K = classes. K = 0
// is the largest number of positives of a row of the batch. A row with more than
// K positives is an error.
//
// The gradient is that of [Subset] with the probabilities of the padded law; the
// derivative by s0 is the expected number of paddings minus K-k. Its error is
// below 1e-13 (float32: 0.6 ULP) of Σ|∂loss/∂s_i|: relative to itself it has no
// bound, where the parts of positives and negatives cancel.
//
// Special cases are those of Subset, but that a row without positives or without
// negatives is like any other, and:
//
//	K = 0, the batch having no positives: loss and gradient 0
//	a learned threshold that is NaN or infinite: loss and gradient NaN
//
// The bounds are those of Subset, for thresholds of any finite size. For all else
// see Subset and [PaddedLogPartition].
type PaddedSubset struct {
	K         int
	Threshold float64
}

// Name returns "subset-padded".
func (PaddedSubset) Name() string { return "subset-padded" }

func (l PaddedSubset) traits() (lossTraits, error) {
	t := lossTraits{threshold: l.Threshold, learned: true, classWeights: true, mostAsked: l.K == 0, mostAllowed: l.K}
	switch {
	case l.K < 0:
		return t, fieldError("PaddedSubset.K", "%d, want at least 0", l.K)
	case !finiteNumber(l.Threshold):
		return t, badParameter("PaddedSubset.Threshold", l.Threshold)
	}
	return t, nil
}

func (l PaddedSubset) work32() work[float32] { return subset.New[float32](l.rule()) }
func (l PaddedSubset) work64() work[float64] { return subset.New[float64](l.rule()) }

func (l PaddedSubset) rule() subset.Rule { return subset.Rule{Padded: true, Picks: l.K} }

const manyPositives = "more positive labels than K"
