package zlpr

import (
	"errors"
	"math"
	"unsafe"

	"github.com/zlpr/zlpr/internal/kernel"
)

// A Reduction tells how the losses of the rows become one number, and by what
// their gradients are scaled.
type Reduction int

const (
	// None leaves every row its own loss: gradients are not scaled.
	None Reduction = iota
	// Sum is Σ w_i·L_i over the rows that count, w the row weights.
	Sum
	// Mean is Sum divided by Σ w_i. A mean over nothing is an error.
	Mean
)

// Options are the settings of an Evaluator. The zero value is ready for use.
type Options struct {
	Reduction Reduction

	// Workers is the number of goroutines that share the rows; 0 means
	// runtime.GOMAXPROCS(0). The results do not depend on it. After a batch they
	// stay awake for up to 50 µs, in case another follows.
	Workers int

	// Strict makes the first score that is NaN or infinite, of those that take
	// part, an error.
	Strict bool

	// TopNegatives, if not 0, leaves of every row's negatives only that many
	// with the highest scores. TopScores, if not 0, leaves of the negatives only
	// those among that many highest scores of the row. Ties go to the lowest
	// index. Both are for ZLPR, pairwise and BCE.
	TopNegatives, TopScores int
}

// A Batch is what a loss is evaluated on. Labels are needed, but for SoftZLPR,
// which needs Soft; the rest is optional.
type Batch[T Float] struct {
	Scores Matrix[T] // logits: no sigmoid or softmax before
	Labels Bits      // the positive classes
	Soft   Matrix[T] // labels in [0, 1]
	Mask   Bits      // 1: takes part. 0: left out, its score is not read as a value

	// Thresholds has one learned threshold a row; or ThresholdColumn-1 is the
	// column of the scores that has it, which then is no class: its labels must
	// be 0. At most one of both is used, not with a fixed threshold.
	Thresholds      []T
	ThresholdColumn int

	RowWeights   []float64 // ≥ 0, one a row; 0 leaves the row out
	ClassWeights []float64 // ≥ 0, one a class
}

// An Output is where results go, and how the gradient is scaled. All parts are
// optional.
type Output[T Float] struct {
	// Losses takes the weighted loss of every row, 0 for one that does not count.
	// It must not overlap the scores, soft labels or gradients.
	Losses []float64

	// Grad takes the gradient by the scores: of the sum of the losses, for Mean
	// of their mean, times Upstream. It may be the scores themselves; they must
	// not overlap otherwise. Rows × classes, or no Data.
	Grad Matrix[T]

	// ThresholdGrad takes the gradient by Batch.Thresholds. That by a column of
	// thresholds is in the column of Grad.
	ThresholdGrad []T

	// Upstream is a factor of the gradients; 0 means 1.
	Upstream float64

	// Accumulate adds the gradients to what is there. Grad must not be the
	// scores then.
	Accumulate bool

	// Total, if not nil, has the rows of the batch added, unless there is an
	// error: many batches as one.
	Total *Total
}

// A Result is the reduced loss of a batch.
type Result struct {
	Loss   float64 // the mean for Mean, else the sum
	Sum    float64 // Σ w_i·L_i, exactly rounded
	Weight float64 // Σ w_i, exactly rounded
	Rows   int     // the number of rows that count
	// The smallest and the largest weighted loss of a row that counts, 0 for
	// no rows; NaN losses do not count here.
	Min, Max float64
}

var (
	errScores         = errors.New("zlpr: scores with negative size, stride below columns or too little data")
	errGrad           = errors.New("zlpr: gradient differs from the scores in shape, or has too little data")
	errOverlap        = errors.New("zlpr: gradient overlaps the scores, but is not the scores")
	errAccumulate     = errors.New("zlpr: gradients cannot be accumulated into the scores")
	errLabels         = errors.New("zlpr: the loss needs hard labels and no soft ones")
	errSoft           = errors.New("zlpr: the loss needs soft labels and no hard ones")
	errLabelDims      = errors.New("zlpr: labels differ from the scores in rows or classes")
	errMaskDims       = errors.New("zlpr: mask differs from the scores in rows or classes")
	errLosses         = errors.New("zlpr: losses are not one a row")
	errLossesOverlap  = errors.New("zlpr: losses overlap scores, soft labels or gradients")
	errRowWeights     = errors.New("zlpr: row weights are not one a row")
	errThresholds     = errors.New("zlpr: thresholds, or their gradients, are not one a row")
	errColumn         = errors.New("zlpr: no such column of thresholds")
	errTwoLearned     = errors.New("zlpr: both a vector and a column of thresholds")
	errTwoKinds       = errors.New("zlpr: both a fixed and learned thresholds")
	errNoThreshold    = errors.New("zlpr: the loss has no threshold to be learned")
	errNoGradient     = errors.New("zlpr: gradient of thresholds that are not given")
	errClass          = errors.New("zlpr: class weights are not one a class, or not finite and ≥ 0")
	errPositiveWeight = errors.New("zlpr: positive weights of BCE are not one, nor one a class")
	errNoWeights      = errors.New("zlpr: the loss takes no class weights")
	errUpstream       = errors.New("zlpr: upstream factor is infinite or NaN")
	errOptions        = errors.New("zlpr: negative option")
	errReduction      = errors.New("zlpr: no such reduction")
	errNoHard         = errors.New("zlpr: the loss takes no hard negatives")

	// ErrNoRows is the error of a mean over no rows that count.
	ErrNoRows = errors.New("zlpr: mean over no rows")
)

// check checks a batch and its output against a loss.
func (b *Batch[T]) check(out *Output[T], t *lossTraits) error {
	rows, n := b.Scores.Rows, b.Scores.Cols
	if !b.Scores.valid() {
		return errScores
	}
	if t.soft {
		if b.Labels != nil || b.Soft.Rows != rows || b.Soft.Cols != n || !b.Soft.valid() {
			return errSoft
		}
	} else {
		if b.Labels == nil || b.Soft.Data != nil {
			return errLabels
		}
		if r, c := b.Labels.Dims(); r != rows || c != n {
			return errLabelDims
		}
	}
	if b.Mask != nil {
		if r, c := b.Mask.Dims(); r != rows || c != n {
			return errMaskDims
		}
	}
	if b.RowWeights != nil && len(b.RowWeights) != rows {
		return errRowWeights
	}
	if b.ClassWeights != nil {
		if !t.classWeights {
			return errNoWeights
		}
		if len(b.ClassWeights) != n {
			return errClass
		}
		if !allAtMost(kernel.Cast[uint64](b.ClassWeights), math.Float64bits(math.MaxFloat64)) {
			for _, w := range b.ClassWeights {
				if !(w >= 0) || !finiteNumber(w) { // but for -0
					return errClass
				}
			}
		}
	}
	if t.perClass > 0 && t.perClass != n {
		return errPositiveWeight
	}
	if err := b.checkThresholds(out, t); err != nil {
		return err
	}
	return b.checkOutput(out)
}

func (b *Batch[T]) checkThresholds(out *Output[T], t *lossTraits) error {
	rows := b.Scores.Rows
	vector, column := b.Thresholds != nil, b.ThresholdColumn != 0
	switch {
	case column && (b.ThresholdColumn < 0 || b.ThresholdColumn > b.Scores.Cols):
		return errColumn
	case vector && column:
		return errTwoLearned
	case (vector || column) && !t.learned:
		return errNoThreshold
	case (vector || column) && t.threshold != 0:
		return errTwoKinds
	case vector && len(b.Thresholds) != rows:
		return errThresholds
	case out.ThresholdGrad != nil && !vector:
		return errNoGradient
	case out.ThresholdGrad != nil && len(out.ThresholdGrad) != rows:
		return errThresholds
	}
	return nil
}

func (b *Batch[T]) checkOutput(out *Output[T]) error {
	if out.Losses != nil && len(out.Losses) != b.Scores.Rows {
		return errLosses
	}
	if overlap(out.Losses, extent(b.Scores)) || b.Soft.Data != nil && overlap(out.Losses, extent(b.Soft)) {
		return errLossesOverlap
	}
	if !finiteNumber(out.Upstream) {
		return errUpstream
	}
	if out.Grad.Data == nil {
		return nil
	}
	if out.Grad.Rows != b.Scores.Rows || out.Grad.Cols != b.Scores.Cols || !out.Grad.valid() {
		return errGrad
	}
	if overlap(out.Losses, extent(out.Grad)) {
		return errLossesOverlap
	}
	if overlap(extent(out.Grad), extent(b.Scores)) {
		switch {
		case out.Accumulate:
			return errAccumulate
		case !same(out.Grad, b.Scores):
			return errOverlap
		}
	}
	return nil
}

// extent returns the elements of m from the first to the last.
func extent[T Float](m Matrix[T]) []T {
	if m.Rows == 0 || m.Cols == 0 {
		return nil
	}
	return m.Data[:(m.Rows-1)*m.Stride+m.Cols]
}

// overlap reports whether two slices share memory.
func overlap[A, B Float](a []A, b []B) bool {
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	a0, b0 := uintptr(unsafe.Pointer(&a[0])), uintptr(unsafe.Pointer(&b[0]))
	return a0 < b0+uintptr(len(b))*unsafe.Sizeof(b[0]) && b0 < a0+uintptr(len(a))*unsafe.Sizeof(a[0])
}

// same reports whether two matrices of the same shape are the same.
func same[T Float](a, b Matrix[T]) bool {
	return len(a.Data) > 0 && len(b.Data) > 0 && &a.Data[0] == &b.Data[0] && a.Stride == b.Stride
}
