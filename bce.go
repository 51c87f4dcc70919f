package zlpr

import "github.com/zlpr/zlpr/internal/bce"

// BCE is the binary cross-entropy summed over the classes of a row, with
// positives P, negatives N and the threshold s0:
//
//	L = Σ_N softplus(s_i-s0) + Σ_P w_j·softplus(s0-s_j),   softplus(x) = log(1+e^x)
//
// w is the positive weight, one for all classes or one a class; class weights
// multiply the terms. With a focal exponent f every term, softplus(x), is
// multiplied by sigmoid(x)^f. The threshold is fixed or learned, as that of
// ZLPR. The gradient of a term softplus(x) by x is sigmoid(x), with the focal
// exponent sigmoid(x)^f·(f·sigmoid(-x)·softplus(x) + sigmoid(x)).
//
// Special cases are:
//
//	a NaN score, or a threshold that is NaN or infinite: loss and gradients NaN
//	a negative at +Inf or a positive at -Inf: loss +Inf, derivative ±1
//	a negative at -Inf or a positive at +Inf adds nothing
//
// The relative error of the loss is below 4 ULP, as that of ZLPR, and so is that
// of gradients above 2^-120 (float64: 2^-1000), with every focal exponent and with
// weights and scales of any size. Exponents 1/2, 1, 3/2, 2, 5/2 and 3 are the fastest, others up
// to 16 take three to four times as long, and larger ones a slow way. The error of the
// derivative by the threshold is below 4 ULP of the sum of the magnitudes of the gradient. The ends of the range
// are those of ZLPR.
//
// Batch.Soft in place of Batch.Labels gives every class a label t in [0, 1], and both
// terms, that of a negative times 1-t and that of a positive times t:
//
//	L = Σ (1-t_i)·softplus(s_i-s0) + w_i·t_i·softplus(s0-s_i)
//
// Labels are not clipped: t = 0 and t = 1 drop a term. There is no focal exponent then,
// and no choice of hard negatives. A derivative by a score is a difference of two
// terms, and its error below 4 ULP of the larger one; that of the derivative by the
// threshold is below 4 ULP of the sum of all of these terms.
//
// See Lin et al., "Focal Loss for Dense Object Detection", arXiv 1708.02002.
type BCE struct {
	Threshold      float64   // s0
	PositiveWeight []float64 // ≥ 0: nil for 1, one for all classes, or one a class
	Focal          float64   // f ≥ 0
}

// Name returns "bce".
func (BCE) Name() string { return "bce" }

func (l BCE) traits() (lossTraits, error) {
	if !(l.Focal >= 0) || !finiteNumber(l.Focal) {
		return lossTraits{}, badPositive("BCE.Focal", l.Focal)
	}
	for _, w := range l.PositiveWeight {
		if !(w >= 0) || !finiteNumber(w) {
			return lossTraits{}, badPositive("BCE.PositiveWeight", w)
		}
	}
	if !finiteNumber(l.Threshold) {
		return lossTraits{}, badParameter("BCE.Threshold", l.Threshold)
	}
	t := lossTraits{threshold: l.Threshold, softToo: l.Focal == 0, smooth: l.Focal == 0, hardOnly: "BCE with a focal exponent takes Batch.Labels alone", learned: true, classWeights: true, hardNegative: true, flatLabels: true, sideCopies: true, near: true}
	if n := len(l.PositiveWeight); n > 1 {
		t.perClass, t.perClassField = n, "BCE.PositiveWeight"
	}
	return t, nil
}

func (l BCE) work32() work[float32] { return bce.New[float32](l.rule()) }
func (l BCE) work64() work[float64] { return bce.New[float64](l.rule()) }

func (l BCE) rule() bce.Rule {
	return bce.Rule{PositiveWeight: l.PositiveWeight, Focal: l.Focal}
}
