package zlpr

import (
	"github.com/zlpr/zlpr/internal/divergence"
)

// Distillation is how far a student's scores s are from a teacher's z, Batch.Teacher, at
// the temperature T:
//
//	L = T²·D(z/T ‖ s/T)
//
// D is the divergence that goes with Loss: what the loss with the teacher's labels is above
// its minimum, which is the one at s = z. With a = s/T and b = z/T,
//
//	SoftmaxCrossEntropy: Σ p_i·log(p_i/q_i),  p = softmax(b), q = softmax(a)
//	BCE:                 Σ p_i·log(p_i/q_i) + (1-p_i)·log((1-p_i)/(1-q_i)),  p = sigmoid(b), q = sigmoid(a)
//	ZLPR:                L_soft(a; t) - L_soft(b; t),  t = sigmoid(2b), L_soft that of SoftZLPR
//
// It is at least 0, and 0, with the gradient 0, where s = z. The gradient by the scores is
//
//	SoftmaxCrossEntropy, BCE: T·(q_i - p_i)
//	ZLPR: T·((1-t_i)·e^a_i/(1 + Σ (1-t)·e^a) - t_i·e^-a_i/(1 + Σ t·e^-a))
//
// There are no labels: Batch.Labels and Batch.Soft must be nil. Class weights multiply the
// terms of BCE and, as in ZLPR, the exponentials of ZLPR; SoftmaxCrossEntropy takes none. The
// Loss has no other parameters: no threshold, positive weight or focal exponent.
//
// Special cases are:
//
//	a NaN score of the student or the teacher: loss and gradients NaN
//	a student's score at ±Inf where the teacher gives all else a share: loss +Inf
//	a teacher's score at ±Inf: the limit, a label that is certain; with SoftmaxCrossEntropy
//	  NaN where several are at +Inf or all at -Inf
//
// Nothing cancels: the relative error of the loss is below 4 ULP for float32 scores and
// 8 ULP for float64 scores, of any size, however close s is to z. So is that of a derivative
// of BCE above 2^-120 (float64: 2^-1000); the others are differences of two terms, and their
// error is below as many ULP of the larger one. Scores of float64 beyond ±2^900 are held to
// no bound.
//
// See Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", arXiv
// 1503.02531; for the labels of ZLPR, Su, spaces.ac.cn/archives/9064 (in Chinese).
type Distillation struct {
	Loss        Loss    // SoftmaxCrossEntropy{}, BCE{} or ZLPR{}
	Temperature float64 // T, from 2^-100 to 2^100; 0 means 1
}

// Name returns the name of Loss and "-distillation".
func (l Distillation) Name() string {
	if l.Loss == nil {
		return "distillation"
	}
	return l.Loss.Name() + "-distillation"
}

func (l Distillation) traits() (lossTraits, error) {
	const field = "Distillation.Loss"
	switch of := l.Loss.(type) {
	case SoftmaxCrossEntropy:
	case BCE:
		if of.Threshold != 0 || len(of.PositiveWeight) > 0 || of.Focal != 0 {
			return lossTraits{}, fieldError(field, "BCE with a parameter, want BCE{}")
		}
	case ZLPR:
		if of.Threshold != 0 {
			return lossTraits{}, fieldError(field, "ZLPR with a threshold, want ZLPR{}")
		}
	case nil:
		return lossTraits{}, fieldError(field, "there is none, want SoftmaxCrossEntropy, BCE or ZLPR")
	default:
		return lossTraits{}, fieldError(field, "%s, want SoftmaxCrossEntropy, BCE or ZLPR", of.Name())
	}
	if t := l.temperature(); !(t >= 0x1p-100 && t <= 0x1p100) {
		return lossTraits{}, fieldError("Distillation.Temperature", "%v, want a number above 0, from 2^-100 to 2^100", l.Temperature)
	}
	_, softmax := l.Loss.(SoftmaxCrossEntropy)
	return lossTraits{teacher: true, classWeights: !softmax}, nil
}

func (l Distillation) temperature() float64 {
	if l.Temperature == 0 {
		return 1
	}
	return l.Temperature
}

func (l Distillation) work32() work[float32] { return divergence.New[float32](l.rule()) }
func (l Distillation) work64() work[float64] { return divergence.New[float64](l.rule()) }

func (l Distillation) rule() divergence.Rule {
	r := divergence.Rule{Temperature: l.temperature()}
	switch l.Loss.(type) {
	case BCE:
		r.Kind = divergence.BCE
	case ZLPR:
		r.Kind = divergence.ZLPR
	}
	return r
}
