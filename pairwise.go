package zlpr

import "github.com/zlpr/zlpr/internal/sides"

// Pairwise is the unified pairwise loss of a row with positives P and negatives
// N, a scale γ > 0 and a margin m:
//
//	L = log(1 + Σ_N e^(γ(s_i+m)) · Σ_P e^(-γ s_j))
//
// It compares every negative with every positive and has no threshold. With one
// positive, γ = 1 and m = 0 it is softmax cross-entropy. A row without positives
// or without negatives has loss 0. The gradient is
//
//	∂L/∂s_i = γ·softmax_N(γs)_i·sigmoid(log of the product)     for negatives
//	∂L/∂s_j = -γ·softmax_P(-γs)_j·sigmoid(log of the product)   for positives
//
// Class weights multiply the exponentials.
//
// Special cases are those of ZLPR; where one sum is infinite and the other 0,
// loss and gradients are NaN. The error bounds are those of ZLPR, for every γ and
// m: what decides, γ·(s_i + m - s_j), is formed to twice the precision of float64,
// and may lie beyond the numbers; γ·m alone may not: NewEvaluator refuses it.
//
// See Sun et al., "Circle Loss", arXiv 2002.10857, formula 1 (which is not
// Circle Loss itself), and Su, spaces.ac.cn/archives/7359 (in Chinese).
type Pairwise struct {
	Gamma  float64 // γ; 0 means 1
	Margin float64 // m
}

// Name returns "pairwise".
func (Pairwise) Name() string { return "pairwise" }

func (l Pairwise) traits() (lossTraits, error) {
	switch {
	case !(l.Gamma >= 0) || !finiteNumber(l.Gamma):
		return lossTraits{}, badPositive("Pairwise.Gamma", l.Gamma)
	case !finiteNumber(l.Margin):
		return lossTraits{}, badParameter("Pairwise.Margin", l.Margin)
	case !finiteNumber(l.Gamma * l.Margin):
		return lossTraits{}, badParameter("Pairwise.Gamma · Margin", l.Gamma*l.Margin)
	}
	return lossTraits{classWeights: true, hardNegative: true, flatLabels: true, sideCopies: true}, nil
}

func (l Pairwise) work32() work[float32] { return sides.New[float32](l.rule()) }
func (l Pairwise) work64() work[float64] { return sides.New[float64](l.rule()) }

func (l Pairwise) rule() sides.Rule {
	gamma := l.Gamma
	if gamma == 0 {
		gamma = 1
	}
	return sides.Rule{Product: true, Gamma: gamma, Margin: l.Margin}
}
