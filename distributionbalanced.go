package zlpr

import (
	"github.com/zlpr/zlpr/internal/bce"
	"github.com/zlpr/zlpr/internal/scalar"
)

// DistributionBalanced is the distribution-balanced loss of a row with positives P and
// negatives N, for classes of which n_j of N training rows have the label:
//
//	L = Σ_P r_j·softplus(ν_j-s_j) + Σ_N r_i·softplus(λ·(s_i-ν_i))/λ
//	r_i = α + sigmoid(β·(q_i-μ)),  q_i = (1/n_i) / Σ_P 1/n_j        rebalanced weights
//	ν_i = κ·log(N/n_i - 1)                                         negative tolerance
//
// The weights undo what sampling rows by their rare classes does to the classes that come
// with them; λ and ν let negatives of rare classes be. A row without positives has
// q = ∞, r = α + 1; with β = 0 all rows have r = α + 1/2. Class weights multiply the terms. The
// gradient is
//
//	∂L/∂s_j = -r_j·sigmoid(ν_j-s_j),  ∂L/∂s_i = r_i·sigmoid(λ·(s_i-ν_i))
//
// Special cases are those of BCE. The error of losses and of gradients above 2^-120
// (float64: 2^-1000) is below 4 ULP for float32 scores, of parameters up to 2^10 and λ ≥ 2^-10, and for
// float64 scores, whose weights and shifts are rounded as well, below
// 16 + 4·β·max(1, |μ|) + 8·max(1, λ)·max|ν| ULP.
//
// See Wu, Huang, Liu, Wang and Lin, "Distribution-Balanced Loss for Multi-Label
// Classification in Long-Tailed Datasets", ECCV 2020, arXiv 2007.09654. The authors' code
// divides κ by λ.
type DistributionBalanced struct {
	Counts          []int // n of every class; one without positives counts as with one
	Rows            int   // N; a class that all rows have counts as without one of them
	Alpha, Beta, Mu float64
	Kappa           float64 // κ ≥ 0
	NegativeScale   float64 // λ > 0
}

// NewDistributionBalanced returns the loss with the paper's parameters: α = 0.1, β = 10,
// μ = 0.3, κ = 0.05, λ = 2.
func NewDistributionBalanced(counts []int, rows int) DistributionBalanced {
	return DistributionBalanced{Counts: counts, Rows: rows, Alpha: 0.1, Beta: 10, Mu: 0.3, Kappa: 0.05, NegativeScale: 2}
}

// Name returns "distribution-balanced".
func (DistributionBalanced) Name() string { return "distribution-balanced" }

func (l DistributionBalanced) traits() (lossTraits, error) {
	for _, p := range []struct {
		name  string
		value float64
	}{{"Alpha", l.Alpha}, {"Beta", l.Beta}, {"Kappa", l.Kappa}} {
		if !(p.value >= 0) || !finiteNumber(p.value) {
			return lossTraits{}, badPositive("DistributionBalanced."+p.name, p.value)
		}
	}
	switch {
	case !finiteNumber(l.Mu):
		return lossTraits{}, badParameter("DistributionBalanced.Mu", l.Mu)
	case !(l.NegativeScale > 0) || !finiteNumber(l.NegativeScale):
		return lossTraits{}, fieldError("DistributionBalanced.NegativeScale", "%v, want a finite number above 0", l.NegativeScale)
	case l.Rows < 1:
		return lossTraits{}, fieldError("DistributionBalanced.Rows", "%d, want at least 1", l.Rows)
	case len(l.Counts) == 0:
		return lossTraits{}, fieldError("DistributionBalanced.Counts", "there are none, want one for each class")
	}
	for j, n := range l.Counts {
		if n < 0 || n > l.Rows {
			return lossTraits{}, fieldError("DistributionBalanced.Counts", "%d of class %d, want 0 to the %d rows", n, j, l.Rows)
		}
	}
	return lossTraits{classWeights: true, hardNegative: true, perClass: len(l.Counts), perClassField: "DistributionBalanced.Counts"}, nil
}

func (l DistributionBalanced) work32() work[float32] { return bce.NewDistribution[float32](l.rule()) }
func (l DistributionBalanced) work64() work[float64] { return bce.NewDistribution[float64](l.rule()) }

func (l DistributionBalanced) rule() bce.DistributionRule {
	r := bce.DistributionRule{Alpha: l.Alpha, Beta: l.Beta, Mu: l.Mu, NegativeScale: l.NegativeScale,
		Inverse: make([]float64, len(l.Counts)), Shift: make([]float64, len(l.Counts))}
	for j, n := range l.Counts {
		n := float64(max(1, n))
		r.Inverse[j] = 1 / n
		rest := max(1, float64(l.Rows)-n)
		// Near 1 the quotient has not the digits that its logarithm needs.
		logarithm := scalar.Log1p(max(0, rest-n)/n) - scalar.Log1p(max(0, n-rest)/rest)
		r.Shift[j] = float64(l.Kappa * logarithm)
	}
	return r
}
