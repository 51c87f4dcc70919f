package zlpr

import "github.com/zlpr/zlpr/internal/sides"

// SoftZLPR is ZLPR for soft labels t in [0, 1]:
//
//	L = log(1 + Σ (1-t_i)·e^(s_i-s0)) + log(1 + Σ t_i·e^(s0-s_i))
//
// For labels 0 and 1 it is ZLPR. Labels multiply the exponentials and are not
// clipped: t = 0 and t = 1 drop a term. The labels are Batch.Soft, 0 where a
// mask leaves a class out. Trained to its optimum, t = sigmoid(2·(s-s0)). The
// special cases and error bounds are those of ZLPR, but a derivative by a score is a
// difference of two terms, and its error below 4 ULP of the larger one; that of the
// derivative by the threshold is below 4 ULP of the sum of all of these terms.
//
// See Su, spaces.ac.cn/archives/9064 (in Chinese).
type SoftZLPR struct {
	Threshold float64 // s0
}

// Name returns "zlpr-soft".
func (SoftZLPR) Name() string { return "zlpr-soft" }

func (l SoftZLPR) traits() (lossTraits, error) {
	if !finiteNumber(l.Threshold) {
		return lossTraits{}, badParameter("SoftZLPR.Threshold", l.Threshold)
	}
	return lossTraits{threshold: l.Threshold, learned: true, soft: true, classWeights: true}, nil
}

func (SoftZLPR) work32() work[float32] { return sides.New[float32](sides.Rule{Gamma: 1, Soft: true}) }
func (SoftZLPR) work64() work[float64] { return sides.New[float64](sides.Rule{Gamma: 1, Soft: true}) }
