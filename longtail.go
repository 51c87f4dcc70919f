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

// LogitAdjustment returns the shifts τ·log π_j, π_j = n_j / Σ n the frequencies of the
// classes of which there are n_j. Trained on scores s + shift, or without it, classes are
// predicted by s, or by s - shift: for labels of one class the highest, for any number of
// labels those above the thresholds that the shifts are, as metrics.AboveEach takes them. A
// class without positives counts as one with a single one. It panics unless τ is finite
// and no count negative. The error is below 2^-50 of |shift| + |τ|.
//
// See Menon, Jayasumana, Rawat, Jain, Veit and Kumar, "Long-tail learning via logit
// adjustment", ICLR 2021, arXiv 2007.07314.
func LogitAdjustment(counts []int, tau float64) []float64 {
	if !finiteNumber(tau) {
		panic("zlpr: LogitAdjustment by no finite number")
	}
	sum := 0.0
	for _, n := range counts {
		if n < 0 {
			panic("zlpr: LogitAdjustment of a negative count")
		}
		sum += float64(max(1, n))
	}
	shift := make([]float64, len(counts))
	for j, n := range counts {
		shift[j] = tau * scalar.Log(float64(max(1, n))/sum)
	}
	return shift
}
