package zlpr

import "github.com/zlpr/zlpr/internal/bce"

// Asymmetric is the asymmetric loss of a row with positives P and negatives N, with
// p = sigmoid(s) and r = max(p-m, 0):
//
//	L = Σ_P (1-p_j)^γ+·(-log p_j) + Σ_N r_i^γ-·(-log(1-r_i))
//
// Class weights multiply the terms. A negative with p ≤ m has loss 0 and derivative 0:
// that belongs to the definition; there is no other clamp. With m = 0 and both exponents
// equal it is BCE with that Focal. The gradient is
//
//	∂L/∂s_j = -(1-p)^γ+·(γ+·p·(-log p) + (1-p))               for positives
//	∂L/∂s_i = p·(1-p)·r^γ-·(γ-·(-log(1-r))/r + 1/(1-r))       for negatives
//
// Special cases are:
//
//	a NaN score: loss and gradients NaN
//	a positive at -Inf: loss +Inf, derivative -1
//	a negative at +Inf: loss +Inf, derivative 1; with m > 0 the loss is
//	  (1-m)^γ-·(-log m) and the derivative 0
//
// The error bounds are those of BCE where m = 0. Else the error of a negative's term, and
// of its derivative, is below 4 ULP times 1 + (1+γ-)·2^-10·m/(p-m): near p = m that bounds
// it in absolute terms alone.
//
// See Ridnik, Ben-Baruch, Zamir, Noy, Friedman, Protter and Zelnik-Manor, "Asymmetric Loss
// For Multi-Label Classification", ICCV 2021, arXiv 2009.14119.
type Asymmetric struct {
	GammaPositive, GammaNegative float64 // γ+ and γ-, ≥ 0; the paper has 0 and 4
	Shift                        float64 // m, at least 0 and below 1; the paper has 0.05
}

// Name returns "asymmetric".
func (Asymmetric) Name() string { return "asymmetric" }

func (l Asymmetric) traits() (lossTraits, error) {
	switch {
	case !(l.GammaPositive >= 0) || !finiteNumber(l.GammaPositive):
		return lossTraits{}, badPositive("Asymmetric.GammaPositive", l.GammaPositive)
	case !(l.GammaNegative >= 0) || !finiteNumber(l.GammaNegative):
		return lossTraits{}, badPositive("Asymmetric.GammaNegative", l.GammaNegative)
	case !(l.Shift >= 0 && l.Shift < 1):
		return lossTraits{}, fieldError("Asymmetric.Shift", "%v, want at least 0 and below 1", l.Shift)
	}
	return lossTraits{classWeights: true, hardNegative: true}, nil
}

func (l Asymmetric) work32() work[float32] { return bce.NewAsymmetric[float32](l.rule()) }
func (l Asymmetric) work64() work[float64] { return bce.NewAsymmetric[float64](l.rule()) }

func (l Asymmetric) rule() bce.AsymmetricRule {
	return bce.AsymmetricRule{Positive: l.GammaPositive, Negative: l.GammaNegative, Shift: l.Shift}
}
