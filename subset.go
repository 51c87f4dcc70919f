package zlpr

import (
	"sync"

	"github.com/zlpr/zlpr/internal/subset"
)

const (
	badPicks   = "zlpr: number of picks negative or above the number of classes"
	badPadding = "zlpr: number of picks negative"
	badLevel   = "zlpr: threshold not finite"
	badLengths = "zlpr: slices of different lengths"
	badSubset  = "zlpr: subset with a class out of range or twice"
)

// subsetCores keeps the working arrays of the functions on slices.
var subsetCores = sync.Pool{New: func() any { return new(subset.Core) }}

// LogPartition returns log Z_k of the k-subset ("combinatorial") softmax, the
// logarithm of the sum over all subsets of k scores of e^(sum of the scores):
//
//	Z_k = Σ_{|S|=k} Π_{i∈S} e^(x_i),
//
// the k-th elementary symmetric polynomial of the e^(x_i), for 0 ≤ k ≤ len(x).
//
// The error is below 4e-15 of max(1, |log Z_k|, Σ of the |x_i| of the k highest
// scores) for up to 16384 finite scores of any size, and below 1e-13 of it for up
// to a million; the result is infinite only where log Z_k lies beyond the numbers. Time grows as n·k for small k and
// as n·√k for large ones, memory as n: a million scores take some 15 MiB and
// milliseconds at k = 64, 400 MiB and a second at k = 500000. The next call uses
// that memory again. Results are the same bits on every machine.
//
// Special cases are:
//
//	LogPartition(x, 0) = 0, infinite scores or not
//	LogPartition(x, len(x)) = Σ x_i, rounded once where a plain sum overflows
//	a NaN score: NaN
//	a +Inf score, k > 0: +Inf
//	fewer than k scores above -Inf: -Inf; NaN if one is +Inf
//
// It panics if k < 0 or k > len(x).
//
// The law was named by Su Jianlin, spaces.ac.cn/archives/7359. The method is a
// tilt (Chen, Dempster, Liu, Biometrika 81(3), 1994) followed by sums of
// positive terms.
func LogPartition[T Score](x []T, k int) float64 {
	checkPicks(k, len(x))
	return queryProbabilities(subset.Law{Picks: k}, subset.Inclusion, x, nil)
}

// InclusionProbabilities writes dst[i] = π_i, the probability that class i is
// among the k picked, when a subset of k classes has a probability proportional
// to e^(sum of its scores), and returns log Z_k, that of [LogPartition]:
//
//	π_i = Σ_{|S|=k, i∈S} Π_{j∈S} e^(x_j) / Z_k = ∂log Z_k/∂x_i,  Σ π_i = k.
//
// dst may be x, and must not overlap it otherwise.
//
// The relative error of a probability above 1e-280 is below 1e-14 for up to
// 16384 classes and below 1e-13 for a million, for finite scores of any size and
// at any offset; smaller ones have an absolute error below 1e-300. A float32
// result is that rounded once: its error is below 0.6 ULP.
//
// Infinite scores follow the limit: +Inf is picked before all finite ones, -Inf
// after all, equal ones with equal probability; a NaN score makes all NaN, also
// for k = 0. It panics if k < 0, k > len(x) or the lengths differ.
func InclusionProbabilities[T Score](dst, x []T, k int) float64 {
	checkPicks(k, len(x))
	checkLengths(dst, x)
	return queryProbabilities(subset.Law{Picks: k}, subset.Inclusion, x, dst)
}

// ExclusionProbabilities writes dst[i] = 1 - π_i, the probability that class i
// is not among the k picked, and returns log Z_k. Unlike 1 minus the inclusion
// probability it keeps its relative accuracy where it is small. All else is as
// for [InclusionProbabilities].
func ExclusionProbabilities[T Score](dst, x []T, k int) float64 {
	checkPicks(k, len(x))
	checkLengths(dst, x)
	return queryProbabilities(subset.Law{Picks: k}, subset.Exclusion, x, dst)
}

// PaddedLogPartition returns log Zbar_k of the padded variant, in which up to k
// classes are picked and each pick that is missing counts as one of a padding
// with score threshold:
//
//	Zbar_k = Σ_{j≤k} e^((k-j)·threshold) Z_j,
//
// for any k ≥ 0, also above len(x).
//
// The error is below 4e-15 of max(1, |log Zbar_k|, Σ of the |x_i| and |threshold|
// of the k highest of scores and paddings) for up to 16384 finite scores and a
// threshold of any size, and below 1e-13 of it for up to a million.
//
// Special cases are:
//
//	PaddedLogPartition(x, 0, threshold) = 0, infinite scores or not
//	a NaN score: NaN
//	a +Inf score, k > 0: +Inf
//
// A -Inf score is never picked. It panics if k < 0 or the threshold is not
// finite. For time and memory see [LogPartition].
func PaddedLogPartition[T Score](x []T, k int, threshold float64) float64 {
	checkPadding(k, threshold)
	return queryProbabilities(subset.Law{Picks: k, Padded: true, Threshold: threshold}, subset.Inclusion, x, nil)
}

// PaddedInclusionProbabilities writes the probability that class i is among the
// at most k picked to dst[i], and returns log Zbar_k of [PaddedLogPartition]:
//
//	π_i = ∂log Zbar_k/∂x_i,  Σ π_i + (expected number of paddings) = k.
//
// Error bounds and special cases are those of [InclusionProbabilities] and
// PaddedLogPartition. dst may be x.
func PaddedInclusionProbabilities[T Score](dst, x []T, k int, threshold float64) float64 {
	checkPadding(k, threshold)
	checkLengths(dst, x)
	return queryProbabilities(subset.Law{Picks: k, Padded: true, Threshold: threshold}, subset.Inclusion, x, dst)
}

// PaddedExclusionProbabilities writes the probability that class i is not among
// the at most k picked to dst[i], and returns log Zbar_k; see
// [PaddedInclusionProbabilities].
func PaddedExclusionProbabilities[T Score](dst, x []T, k int, threshold float64) float64 {
	checkPadding(k, threshold)
	checkLengths(dst, x)
	return queryProbabilities(subset.Law{Picks: k, Padded: true, Threshold: threshold}, subset.Exclusion, x, dst)
}

// SubsetLogProbability returns the logarithm of the probability of a subset of
// the classes, in any order, among the subsets of its size:
//
//	Σ_{i∈classes} x_i - log Z_k,  k = len(classes).
//
// It is the negative of the loss [Subset], with its bounds: relative errors below
// 1e-13 however close to 0, for finite scores of any size.
//
// Special cases are:
//
//	no class, or all classes: 0, infinite scores or not
//	a NaN score: NaN
//	a class of score -Inf in the subset, or of +Inf outside: -Inf
//
// It panics if a class is out of range or occurs twice.
func SubsetLogProbability[T Score](x []T, classes []int) float64 {
	return 0 - queryLoss(subset.Law{}, x, classes) // 0, not -0
}

// PaddedSubsetLogProbability returns the logarithm of the probability that the
// padded variant with up to k picks picks just the subset:
//
//	Σ_{i∈classes} x_i + (k - len(classes))·threshold - log Zbar_k.
//
// It is the negative of the loss [PaddedSubset], with its bounds; see
// [PaddedLogPartition] and [SubsetLogProbability]. It panics if the subset has
// more than k classes, too.
func PaddedSubsetLogProbability[T Score](x []T, classes []int, k int, threshold float64) float64 {
	checkPadding(k, threshold)
	if len(classes) > k {
		panic(badSubset)
	}
	return 0 - queryLoss(subset.Law{Picks: k, Padded: true, Threshold: threshold}, x, classes)
}

// MostProbableSubset fills dst with the most probable subset of len(dst) classes
// under the k-subset law: those with the highest scores, the highest first, ties
// by the lowest index. NaN counts as -Inf. It returns dst and panics if it is
// longer than x.
func MostProbableSubset[T Score](dst []int, x []T) []int {
	checkPicks(len(dst), len(x))
	c := subsetCores.Get().(*subset.Core)
	defer subsetCores.Put(c)
	return ofRow(x,
		func(x []float32) []int { subset.Highest(c, dst, x); return dst },
		func(x []float64) []int { subset.Highest(c, dst, x); return dst })
}

func checkPicks(k, n int) {
	if k < 0 || k > n {
		panic(badPicks)
	}
}

func checkPadding(k int, threshold float64) {
	if k < 0 {
		panic(badPadding)
	}
	if threshold-threshold != 0 {
		panic(badLevel)
	}
}

func checkLengths[T Score](dst, x []T) {
	if len(dst) != len(x) {
		panic(badLengths)
	}
}

// queryProbabilities evaluates the law of the scores x.
func queryProbabilities[T Score](law subset.Law, what subset.Output, x, dst []T) float64 {
	c := subsetCores.Get().(*subset.Core)
	defer subsetCores.Put(c)
	q := subset.Query{Law: law, What: what, Scale: 1}
	single := func(dst, x []float32) float64 { return valueOf(subset.Evaluate(c, &q, x, dst)) }
	double := func(dst, x []float64) float64 { return valueOf(subset.Evaluate(c, &q, x, dst)) }
	if dst == nil {
		return ofRow(x,
			func(x []float32) float64 { return single(nil, x) },
			func(x []float64) float64 { return double(nil, x) })
	}
	return intoRow(dst, x, single, double)
}

// queryLoss evaluates the loss of x with the subset as its positives.
func queryLoss[T Score](law subset.Law, x []T, classes []int) float64 {
	c := subsetCores.Get().(*subset.Core)
	defer subsetCores.Put(c)
	pos, ok := c.Bits(classes, len(x))
	if !ok {
		panic(badSubset)
	}
	q := subset.Query{Law: law, What: subset.Gradient, Pos: pos, Scale: 1}
	return ofRow(x,
		func(x []float32) float64 { return valueOf(subset.Evaluate(c, &q, x, nil)) },
		func(x []float64) float64 { return valueOf(subset.Evaluate(c, &q, x, nil)) })
}
