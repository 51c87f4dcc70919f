package zlpr

import "github.com/zlpr/zlpr/internal/sides"

// ZLPR is the zero-bounded log-sum-exp and pairwise rank-based loss of a row
// with positives P, negatives N and the threshold s0:
//
//	L = log(1 + Σ_N e^(s_i-s0)) + log(1 + Σ_P e^(s0-s_j))
//
// Classes with s_i > s0 are predicted. The threshold is fixed, or learned:
// Batch.Thresholds or Batch.ThresholdColumn. The gradient is
//
//	∂L/∂s_i = e^(s_i-s0) / (1 + Σ_N e^(s-s0))     for negatives
//	∂L/∂s_j = -e^(s0-s_j) / (1 + Σ_P e^(s0-s))    for positives
//	∂L/∂s0 = -Σ_i ∂L/∂s_i
//
// Class weights multiply the exponentials. A row may have any number of
// positives, none and all included.
//
// Special cases are:
//
//	a NaN score, or a threshold that is NaN or infinite: loss and gradients NaN
//	a negative at +Inf or a positive at -Inf: loss +Inf; that score's derivative
//	  is ±1 and 0 for the others of its side, NaN where several are infinite
//	a negative at -Inf or a positive at +Inf adds nothing
//
// The relative error of the loss is below 4 ULP at every magnitude, an ULP being
// 2^-23 for float32 scores and 2^-52 for float64; of gradients above 2^-120
// (float64: 2^-1000) too. That of the derivative by the threshold is below 4 ULP of
// Σ|∂L/∂s_i|: relative to itself it has no bound, where positives and negatives
// cancel. These bounds count class weights, row weights, Upstream and thresholds of
// every size in, as long as each of them and the result is a normal number. A loss
// or a derivative is infinite only where it is beyond the numbers of its type, and
// may be 0 where it is below the normal ones.
//
// For one positive and no other class it is the binary cross-entropy. Scores
// trained on hard labels: with one class the probability of a label is
// sigmoid(s), with many expected positives a row it tends to sigmoid(2s). On
// soft labels see SoftZLPR.
//
// See Su, Zhu, Murtadha, Pan, Wen and Liu, "ZLPR: A Novel Loss for Multi-label
// Classification", arXiv 2208.02955, and Su, "Generalising softmax +
// cross-entropy to multi-label classification" (in Chinese),
// spaces.ac.cn/archives/7359.
type ZLPR struct {
	Threshold float64 // s0
}

// Name returns "zlpr".
func (ZLPR) Name() string { return "zlpr" }

func (l ZLPR) traits() (lossTraits, error) {
	if !finiteNumber(l.Threshold) {
		return lossTraits{}, badParameter("ZLPR.Threshold", l.Threshold)
	}
	return lossTraits{threshold: l.Threshold, learned: true, smooth: true, classWeights: true, hardNegative: true, flatLabels: true, sideCopies: true, near: true}, nil
}

func (ZLPR) work32() work[float32] { return sides.New[float32](sides.Rule{Gamma: 1}) }
func (ZLPR) work64() work[float64] { return sides.New[float64](sides.Rule{Gamma: 1}) }
