package zlpr

import (
	"math/rand/v2"

	"github.com/zlpr/zlpr/internal/subset"
)

const (
	zeroSampler  = "zlpr: sampler that was not made by its New function"
	undefinedLaw = "zlpr: scores that define no law: NaN, too many +Inf or too many -Inf"
)

// A SubsetSampler draws subsets S of classes with a probability proportional to
// e^(sum of their scores): the k-subset law (conditional Poisson sampling) of
// [NewSubsetSampler],
//
//	P(S) = Π_{i∈S} e^(x_i) / Z_k,  |S| = k,
//
// or its padded variant of [NewPaddedSubsetSampler] with at most k classes. See
// [LogPartition] and [PaddedLogPartition] for Z. This is not the law of drawing
// from the softmax without replacement, for which see [PlackettLuceSampler].
//
// Draws are exact but for the rounding of the probabilities, of which those of
// the parts that a draw decides on have relative errors below 1e-13, and are 0
// below 1e-300; scores of any finite size are right. After a set-up like that of
// [InclusionProbabilities] a draw takes O(k² log n) for small k and at most O(n);
// memory is O(n log k).
//
// Draws do not change a sampler: several goroutines may share one, each with its
// own source. A method of a sampler that was not made by a New function panics.
//
// See Chen, Dempster, Liu, Biometrika 81(3), 1994.
type SubsetSampler struct{ sampler *subset.Sampler }

// NewSubsetSampler returns a sampler of subsets of exactly k classes, 0 ≤ k ≤
// len(x). A class at +Inf is in every subset, one at -Inf in none. It copies
// what it needs of x.
//
// It panics if k < 0, k > len(x) or a score is NaN, or if infinite scores leave
// the law undefined: with more than k scores +Inf or fewer than k above -Inf.
func NewSubsetSampler[T Score](x []T, k int) *SubsetSampler {
	checkPicks(k, len(x))
	return newSubsetSampler(x, subset.Law{Picks: k})
}

// NewPaddedSubsetSampler returns a sampler of subsets of at most k classes, k ≥ 0,
// after the padded variant:
//
//	P(S) = e^((k-|S|)·threshold) Π_{i∈S} e^(x_i) / Zbar_k,  |S| ≤ k.
//
// All else is as for [NewSubsetSampler]. It panics if k < 0, the threshold is not
// finite, a score is NaN or more than k scores are +Inf.
func NewPaddedSubsetSampler[T Score](x []T, k int, threshold float64) *SubsetSampler {
	checkPadding(k, threshold)
	return newSubsetSampler(x, subset.Law{Picks: k, Padded: true, Threshold: threshold})
}

func newSubsetSampler[T Score](x []T, law subset.Law) *SubsetSampler {
	s := ofRow(x,
		func(x []float32) *subset.Sampler { return orNil(subset.NewSampler(x, law)) },
		func(x []float64) *subset.Sampler { return orNil(subset.NewSampler(x, law)) })
	if s == nil {
		panic(undefinedLaw)
	}
	return &SubsetSampler{s}
}

// Draw appends one subset to dst[:0], its classes in ascending order, and
// returns it; the result is shorter than k only in the padded variant. There
// is no allocation if dst has room for k classes, or for all of them where more
// than half are picked. Equal sources give equal draws, on every machine.
func (s *SubsetSampler) Draw(rng *rand.Rand, dst []int) []int {
	if s == nil || s.sampler == nil {
		panic(zeroSampler)
	}
	return s.sampler.Draw(rng, dst)
}
