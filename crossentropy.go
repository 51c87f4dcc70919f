package zlpr

import "github.com/zlpr/zlpr/internal/sides"

// SoftmaxCrossEntropy is the softmax cross-entropy of a row with the target t:
//
//	L = log(1 + Σ_{i≠t} e^(s_i-s_t))
//
// A row has exactly one positive class. Only with TargetLabels it may have
// none: the target Ignore leaves the row out. The gradient is, with E the sum
// above,
//
//	∂L/∂s_i = e^(s_i-s_t) / (1+E) for i ≠ t,   ∂L/∂s_t = -E / (1+E)
//
// The class weight of the target multiplies the row's loss and gradient, not
// the weight by which Mean divides. With weight 0 both are 0, of
// an infinite loss, too.
//
// Special cases and error bounds are those of Pairwise, the target's derivative and
// class weights included: a loss near 0 is not log Σ e^s minus s_t.
//
// Batch.Soft in place of Batch.Labels gives every class a label t in [0, 1]. They need
// not add up to 1; class weights multiply them:
//
//	L = Σ t_i·(log Σ e^s - s_i),   ∂L/∂s_i = T·p_i - t_i
//
// T being the sum of the labels and p the softmax. For one label 1 and all others 0
// it is the loss of that target. A derivative is a difference of two terms, T·p_i and
// t_i, of the class with the highest score T-t_m and T·(1-p_m); its error is below
// 4 ULP of the larger one, where p_i and 1-p_i are above 2^-120 (float64: 2^-1000). A
// class at -Inf has loss +Inf, if its label is not 0.
type SoftmaxCrossEntropy struct{}

// Name returns "softmax".
func (SoftmaxCrossEntropy) Name() string { return "softmax" }

func (SoftmaxCrossEntropy) traits() (lossTraits, error) {
	return lossTraits{target: true, softToo: true, smooth: true, classWeights: true, flatLabels: true, sideCopies: true}, nil
}

func (SoftmaxCrossEntropy) work32() work[float32] { return sides.New[float32](targetRule) }
func (SoftmaxCrossEntropy) work64() work[float64] { return sides.New[float64](targetRule) }

var targetRule = sides.Rule{Product: true, Gamma: 1, Target: true}
