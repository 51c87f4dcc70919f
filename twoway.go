package zlpr

import "github.com/zlpr/zlpr/internal/sides"

// TwoWay is the part of the two-way multi-label loss that compares the classes of a row,
// with positives P, negatives N and the temperatures T+ and T-:
//
//	L = softplus(T-·log Σ_N e^(s_i/T-) + T+·log Σ_P e^(-s_j/T+))
//
// The other part, which compares the rows of a class, is the same loss on the transposed
// matrices of scores and labels: evaluate both and add them up. With both temperatures 1
// it is Pairwise. A row without positives or without negatives has loss 0; the authors'
// mean leaves rows without positives out: give them the row weight 0. The gradient is,
// σ being sigmoid of the argument of softplus,
//
//	∂L/∂s_i = σ·softmax_N(s/T-)_i,   ∂L/∂s_j = -σ·softmax_P(-s/T+)_j
//
// Special cases are those of Pairwise. The relative error of the loss, and of gradients
// above 2^-120 (float64: 2^-1000), is below 4 ULP for float32 scores and temperatures up
// to 2^20, and below 4·(1 + T+ + T-) ULP for float64 scores: errors of the logarithms
// count so many times.
//
// See Kobayashi, "Two-Way Multi-Label Loss", CVPR 2023.
type TwoWay struct {
	PositiveTemperature, NegativeTemperature float64 // T+ and T-; 0 means 1; the paper has 4 and 1
}

// Name returns "two-way".
func (TwoWay) Name() string { return "two-way" }

func (l TwoWay) traits() (lossTraits, error) {
	switch {
	case !(l.PositiveTemperature >= 0) || !finiteNumber(l.PositiveTemperature):
		return lossTraits{}, badPositive("TwoWay.PositiveTemperature", l.PositiveTemperature)
	case !(l.NegativeTemperature >= 0) || !finiteNumber(l.NegativeTemperature):
		return lossTraits{}, badPositive("TwoWay.NegativeTemperature", l.NegativeTemperature)
	}
	return lossTraits{hardNegative: true}, nil
}

func (l TwoWay) work32() work[float32] { return sides.NewTwoWay[float32](l.temperatures()) }
func (l TwoWay) work64() work[float64] { return sides.NewTwoWay[float64](l.temperatures()) }

func (l TwoWay) temperatures() (negative, positive float64) {
	negative, positive = l.NegativeTemperature, l.PositiveTemperature
	if negative == 0 {
		negative = 1
	}
	if positive == 0 {
		positive = 1
	}
	return negative, positive
}
