package zlpr

import (
	"cmp"
	"math"
	"slices"
	"sync"
)

const (
	badPicks   = "zlpr: number of picks negative or above the number of classes"
	badPadding = "zlpr: number of picks negative"
	badLevel   = "zlpr: threshold not finite"
	badLengths = "zlpr: slices of different lengths"
	badSubset  = "zlpr: subset with a class out of range or twice"
)

// subsetCores keeps the working arrays of the functions on slices.
var subsetCores = sync.Pool{New: func() any { return new(subsetCore) }}

// LogPartition returns log Z_k of the k-subset ("combinatorial") softmax, the
// logarithm of the sum over all subsets of k scores of e^(sum of the scores):
//
//	Z_k = Σ_{|S|=k} Π_{i∈S} e^(x_i),
//
// the k-th elementary symmetric polynomial of the e^(x_i), for 0 ≤ k ≤ len(x).
//
// The error is below 1e-14 of max(1, |log Z_k|, Σ of the |x_i| of the k highest
// scores) for up to 300 scores, and below 1e-13 of it at (n, k) = (16384, 64).
// Time grows as n·k for small k and as n·√k for large ones, memory as n: a million
// scores take some 15 MiB and milliseconds at k = 64, 400 MiB and a second at
// k = 500000. The next call uses that memory again.
//
// Special cases are:
//
//	LogPartition(x, 0) = 0
//	LogPartition(x, len(x)) = Σ x_i
//	a NaN score: NaN
//	a +Inf score, k > 0: +Inf
//	fewer than k scores above -Inf: -Inf; NaN if one is +Inf
//
// It panics if k < 0 or k > len(x).
//
// The law was named by Su Jianlin, spaces.ac.cn/archives/7359. The method is a
// tilt (Chen, Dempster, Liu, Biometrika 81(3), 1994) followed by sums of
// positive terms.
func LogPartition[T Float](x []T, k int) float64 {
	checkPicks(k, len(x))
	return queryProbabilities(subsetLaw{picks: k}, inclusionOutput, x, nil)
}

// InclusionProbabilities writes dst[i] = π_i, the probability that class i is
// among the k picked, when a subset of k classes has a probability proportional
// to e^(sum of its scores), and returns log Z_k: π_i = ∂log Z_k/∂x_i and
// Σ π_i = k. dst may be x.
//
// The relative error of a probability above 1e-280 is below 1e-14 for scores
// within a few tens, 2e-13 within a thousand, and 2e-14 for float32 scores of
// any size (before it is rounded to float32).
//
// Infinite scores follow the limit: +Inf is picked before all finite ones, -Inf
// after all, equal ones with equal probability. It panics if k < 0, k > len(x)
// or the lengths differ.
func InclusionProbabilities[T Float](dst, x []T, k int) float64 {
	checkPicks(k, len(x))
	checkLengths(dst, x)
	return queryProbabilities(subsetLaw{picks: k}, inclusionOutput, x, dst)
}

// ExclusionProbabilities writes dst[i] = 1 - π_i, the probability that class i
// is not among the k picked, and returns log Z_k. Unlike 1 minus the inclusion
// probability it keeps its relative accuracy where it is small. All else is as
// for InclusionProbabilities.
func ExclusionProbabilities[T Float](dst, x []T, k int) float64 {
	checkPicks(k, len(x))
	checkLengths(dst, x)
	return queryProbabilities(subsetLaw{picks: k}, exclusionOutput, x, dst)
}

// PaddedLogPartition returns log Zbar_k of the padded variant, in which up to k
// classes are picked and each pick that is missing counts as one of a padding
// with score threshold:
//
//	Zbar_k = Σ_{j≤k} e^((k-j)·threshold) Z_j,
//
// for any k ≥ 0. Special cases are:
//
//	PaddedLogPartition(x, 0, threshold) = 0
//	a NaN score: NaN
//	a +Inf score, k > 0: +Inf
//
// A -Inf score is never picked. It panics if k < 0 or the threshold is not
// finite.
func PaddedLogPartition[T Float](x []T, k int, threshold float64) float64 {
	checkPadding(k, threshold)
	return queryProbabilities(subsetLaw{k, true, threshold}, inclusionOutput, x, nil)
}

// PaddedInclusionProbabilities writes the probability that class i is among the
// at most k picked to dst[i], and returns log Zbar_k. Errors and special cases
// are those of InclusionProbabilities and PaddedLogPartition. dst may be x.
func PaddedInclusionProbabilities[T Float](dst, x []T, k int, threshold float64) float64 {
	checkPadding(k, threshold)
	checkLengths(dst, x)
	return queryProbabilities(subsetLaw{k, true, threshold}, inclusionOutput, x, dst)
}

// PaddedExclusionProbabilities writes the probability that class i is not among
// the at most k picked to dst[i], and returns log Zbar_k; see
// PaddedInclusionProbabilities.
func PaddedExclusionProbabilities[T Float](dst, x []T, k int, threshold float64) float64 {
	checkPadding(k, threshold)
	checkLengths(dst, x)
	return queryProbabilities(subsetLaw{k, true, threshold}, exclusionOutput, x, dst)
}

// SubsetLogProbability returns the logarithm of the probability of a subset of
// the classes, in any order, among the subsets of its size:
//
//	Σ_{i∈subset} x_i - log Z_k,  k = len(subset).
//
// It is the negative subset softmax loss and keeps its relative accuracy however
// close to 0. It panics if a class is out of range or occurs twice.
func SubsetLogProbability[T Float](x []T, subset []int) float64 {
	return 0 - queryLoss(subsetLaw{}, x, subset) // 0, not -0
}

// PaddedSubsetLogProbability returns the logarithm of the probability that the
// padded variant with up to k picks picks just the subset; see
// SubsetLogProbability and PaddedLogPartition. It panics if the subset has more
// than k classes, too.
func PaddedSubsetLogProbability[T Float](x []T, subset []int, k int, threshold float64) float64 {
	checkPadding(k, threshold)
	if len(subset) > k {
		panic(badSubset)
	}
	return 0 - queryLoss(subsetLaw{k, true, threshold}, x, subset)
}

// MostProbableSubset fills dst with the most probable subset of len(dst) classes
// under the k-subset law: those with the highest scores, the highest first, ties
// by the lowest index. NaN counts as -Inf. It returns dst and panics if it is
// longer than x.
func MostProbableSubset[T Float](dst []int, x []T) []int {
	k := len(dst)
	checkPicks(k, len(x))
	if k == 0 {
		return dst
	}
	c := subsetCores.Get().(*subsetCore)
	defer subsetCores.Put(c)
	c.sorted = grow(c.sorted, len(x))
	for i, v := range x {
		c.sorted[i] = notNaN(v)
	}
	cut := kthHighest(c.sorted, k)
	// All above the cut, and the first ones at it.
	n := 0
	for i, v := range x {
		if notNaN(v) > cut {
			dst[n] = i
			n++
		}
	}
	for i, v := range x {
		if n == k {
			break
		}
		if notNaN(v) == cut {
			dst[n] = i
			n++
		}
	}
	slices.SortStableFunc(dst, func(i, j int) int {
		return cmp.Or(cmp.Compare(notNaN(x[j]), notNaN(x[i])), i-j)
	})
	return dst
}

// notNaN returns a score, -Inf in place of NaN.
func notNaN[T Float](s T) float64 {
	if s != s {
		return math.Inf(-1)
	}
	return float64(s)
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

func checkLengths[T Float](dst, x []T) {
	if len(dst) != len(x) {
		panic(badLengths)
	}
}

// queryProbabilities evaluates the law of the scores x.
func queryProbabilities[T Float](law subsetLaw, what output, x, dst []T) float64 {
	c := subsetCores.Get().(*subsetCore)
	defer subsetCores.Put(c)
	value, _ := evaluateSubset(c, &subsetQuery{subsetLaw: law, what: what, scale: 1}, x, dst)
	return value
}

// queryLoss evaluates the loss of x with the subset as its positives.
func queryLoss[T Float](law subsetLaw, x []T, subset []int) float64 {
	c := subsetCores.Get().(*subsetCore)
	defer subsetCores.Put(c)
	c.given = grow(c.given, (len(x)+63)/64)
	clear(c.given)
	for _, i := range subset {
		if i < 0 || i >= len(x) || isSet(c.given, i) {
			panic(badSubset)
		}
		c.given[i>>6] |= 1 << (i & 63)
	}
	value, _ := evaluateSubset(c, &subsetQuery{subsetLaw: law, what: gradientOutput, pos: c.given, scale: 1}, x, nil)
	return value
}
