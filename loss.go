package zlpr

import (
	"math"

	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/kernel"
)

// A Loss is a loss function with its parameters: SoftmaxCrossEntropy, BCE,
// Pairwise, ZLPR, SoftZLPR, Subset, PaddedSubset, Asymmetric, TwoWay, DistributionBalanced, ClassBalanced or
// Distillation. An
// Evaluator evaluates it.
type Loss interface {
	// Name returns the name by which the command knows the loss.
	Name() string

	// traits returns what the loss asks of a batch, or what is wrong with its
	// parameters.
	traits() (lossTraits, error)

	// work32 and work64 return what evaluates rows, for one worker.
	work32() work[float32]
	work64() work[float64]
}

// A work evaluates the rows of a chunk: it writes their losses, and the gradients
// that are wanted.
type work[T Float] interface{ Eval(c *chunk.Chunk[T]) }

// workOf returns the loss's work on scores of type T.
func workOf[T Float](loss Loss) work[T] {
	if kernel.IsFloat32[T]() {
		return any(loss.work32()).(work[T])
	}
	return any(loss.work64()).(work[T])
}

// lossTraits tell what a loss takes and needs.
type lossTraits struct {
	threshold     float64 // the fixed threshold
	learned       bool    // thresholds may be scores
	soft          bool    // labels are Batch.Soft
	softToo       bool    // labels may be Batch.Soft
	teacher       bool    // Batch.Teacher is in the labels' place
	smooth        bool    // takes Batch.Smoothing
	hardOnly      string  // why they may not, of a loss that else takes them
	target        bool    // exactly one positive a row
	classWeights  bool
	hardNegative  bool   // TopNegatives and TopScores
	mostAsked     bool   // needs Weights.MostPositives
	mostAllowed   int    // of positives of a row; 0 for any number
	perClassField string // of it
	perClass      int    // a parameter has one value for each of so many classes; 0 for none
	flatLabels    bool   // its work takes labels of short rows from chunk.FlatPos
	sideCopies    bool   // its kernels make Out.Pending while they compute
	near          bool   // its work reads 16-bit scores by Chunk.Widened, or has them all widened
}

// on returns the traits on soft or on hard labels, for a loss that takes both.
func (t lossTraits) on(soft bool) lossTraits {
	if t.softToo && soft {
		t.soft, t.hardNegative, t.flatLabels = true, false, false
	}
	return t
}

// badParameter is the error of a parameter of a loss.
func badParameter(field string, value float64) error {
	return fieldError(field, "%v, want a finite number", value)
}

// badPositive is the error of a parameter that is to be at least 0.
func badPositive(field string, value float64) error {
	return fieldError(field, "%v, want a finite number of at least 0", value)
}

// finiteNumber reports whether x is neither infinite nor NaN.
func finiteNumber(x float64) bool { return math.Abs(x) <= math.MaxFloat64 }
