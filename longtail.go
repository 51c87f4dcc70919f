package zlpr

import (
	"math"

	"github.com/zlpr/zlpr/internal/scalar"
)

// ClassBalancedWeights returns class weights from the numbers of positives of the classes:
// the inverse of their effective numbers of samples,
//
//	w_j ∝ (1-β) / (1-β^n_j),   Σ w_j = the number of classes
//
// A class without positives counts as one with a single one. With β = 0 all weights are 1,
// and as β tends to 1 they tend to those of 1/n_j. They are for Batch.ClassWeights. It
// panics unless 0 ≤ β < 1 and no count is negative. The relative error is below 2^-46.
//
// See Cui, Jia, Lin, Song and Belongie, "Class-Balanced Loss Based on Effective Number of
// Samples", CVPR 2019, arXiv 1901.05555.
func ClassBalancedWeights(counts []int, beta float64) []float64 {
	if !(beta >= 0 && beta < 1) {
		panic("zlpr: ClassBalancedWeights of a beta that is not at least 0 and below 1")
	}
	w, sum := make([]float64, len(counts)), 0.0
	for j, n := range counts {
		if n < 0 {
			panic("zlpr: ClassBalancedWeights of a negative count")
		}
		w[j] = 1
		if beta > 0 {
			// 1 - β^n = -(e^(n·log β) - 1)
			y := float64(max(1, n)) * scalar.Log(beta)
			lost := 1 - scalar.Exp(y)
			if y > -math.Ln2/2 {
				lost = -y * scalar.ExpQuotient(y)
			}
			w[j] = (1 - beta) / lost
		}
		sum += w[j]
	}
	for j := range w {
		w[j] *= float64(len(w)) / sum
	}
	return w
}
