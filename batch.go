package zlpr

import (
	"errors"
	"fmt"
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
// which needs Soft, and Distillation, which needs Teacher; BCE and SoftmaxCrossEntropy
// take Labels or Soft. The rest is optional.
type Batch[T Score] struct {
	Scores Matrix[T] // logits: no sigmoid or softmax before
	Labels Bits      // the positive classes
	Soft   Matrix[T] // labels in [0, 1]

	// Teacher has a teacher's scores, for Distillation, which takes no labels. It may be
	// the scores themselves.
	Teacher Matrix[T]
	Mask    Bits // 1: takes part. 0: left out, its score is not read as a value

	// Thresholds has one learned threshold a row; or ThresholdColumn-1 is the
	// column of the scores that has it, which then is no class: its labels must
	// be 0. At most one of both is used, not with a fixed threshold.
	Thresholds      []T
	ThresholdColumn int

	// Smoothing is ε, 0 ≤ ε < 1: labels are smoothed, exactly and without a matrix of
	// them. That of SoftmaxCrossEntropy becomes 1-ε for the target, and ε/m more for
	// each of the m classes of the row that take part, it included; a label y of BCE
	// (with Focal 0) and ZLPR becomes (1-ε)·y + ε/2. What is said of soft labels holds,
	// but errors of derivatives of BCE and ZLPR are relative to the sum of the two
	// terms. Not beside hard negatives.
	Smoothing float64

	RowWeights   []float64 // ≥ 0, one a row, of any size; 0 leaves the row out
	ClassWeights []float64 // ≥ 0, one a class
}

// An Output is where results go, and how the gradient is scaled. All parts are
// optional.
type Output[T Score] struct {
	// Losses takes the weighted loss of every row, 0 for one that does not count.
	// It must not overlap inputs or gradients.
	Losses []float64

	// Grad takes the gradient by the scores: of the sum of the losses, for Mean
	// of their mean, times Upstream. It may be the scores themselves; they must
	// not overlap otherwise. Rows × classes, or no Data. In place of the scores it
	// destroys what package metrics would need: add the batch there first.
	Grad Matrix[T]

	// ThresholdGrad takes the gradient by Batch.Thresholds. That by a column of
	// thresholds is in the column of Grad.
	ThresholdGrad []T

	// Upstream is a factor of the gradients; 0 means 1. It, the row's weight,
	// RowUpstream and the divisor of a mean become one factor before anything is
	// rounded to the scores' type; their product alone may be beyond all numbers.
	Upstream float64

	// RowUpstream, if not nil, has one more factor of the gradients for each row, of
	// any sign: the derivative by the row's loss of what a caller makes of it.
	RowUpstream []float64

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

// ErrNoRows is the error of a mean over no rows that count.
var ErrNoRows = errors.New("zlpr: mean over no rows")

// A fieldError is an error in a field of the arguments, of its shape or of a
// value that is not of one row: it says what is there and what is wanted.
func fieldError(field, format string, args ...any) error {
	return fmt.Errorf("zlpr: "+field+": "+format, args...)
}

// fault says what is wrong with a matrix, "" for nothing.
func (m Matrix[T]) fault() string {
	switch {
	case m.valid():
		return ""
	case m.Rows < 0 || m.Cols < 0:
		return fmt.Sprintf("%d rows × %d columns, want at least 0", m.Rows, m.Cols)
	case m.step() < m.Cols:
		return fmt.Sprintf("stride %d, want at least the %d columns", m.Stride, m.Cols)
	}
	return fmt.Sprintf("%d elements of data, too few for %d rows × %d columns of stride %d", len(m.Data), m.Rows, m.Cols, m.Stride)
}

// checkMatrix checks a matrix that is to have the shape of the scores.
func (b *Batch[T]) checkMatrix(field string, m Matrix[T]) error {
	if m.Rows != b.Scores.Rows || m.Cols != b.Scores.Cols {
		return b.shapeError(field, m.Rows, m.Cols)
	}
	if why := m.fault(); why != "" {
		return fieldError(field, "%s", why)
	}
	return nil
}

func (b *Batch[T]) shapeError(field string, rows, cols int) error {
	return fieldError(field, "%d rows × %d classes, want %d × %d as in Batch.Scores", rows, cols, b.Scores.Rows, b.Scores.Cols)
}

// checkBits checks labels or a mask, which are to have the shape of the scores.
func (b *Batch[T]) checkBits(field string, l Bits) error {
	if r, c := l.Dims(); r != b.Scores.Rows || c != b.Scores.Cols {
		return b.shapeError(field, r, c)
	}
	return nil
}

// checkEach checks a number of values that are to be one for each of n.
func checkEach(field string, got int, each string, n int) error {
	if got != n {
		return fieldError(field, "%d, want one for each of %d %s", got, n, each)
	}
	return nil
}

// mostEmptyRows is the largest number of rows of no columns, which no data justify.
const mostEmptyRows = 1 << 24

// check checks a batch and its output against a loss.
func (b *Batch[T]) check(out *Output[T], t *lossTraits, sameClasses bool) error {
	rows, n := b.Scores.Rows, b.Scores.Cols
	if why := b.Scores.fault(); why != "" {
		return fieldError("Batch.Scores", "%s", why)
	}
	if n == 0 && rows > mostEmptyRows {
		return fieldError("Batch.Scores", "%d rows without columns", rows)
	}
	if err := b.checkLabels(t); err != nil {
		return err
	}
	switch {
	case !(b.Smoothing >= 0 && b.Smoothing < 1):
		return fieldError("Batch.Smoothing", "%v, want at least 0 and below 1", b.Smoothing)
	case b.Smoothing != 0 && (!t.smooth || b.Labels == nil):
		return fieldError("Batch.Smoothing", "the loss smooths no labels: softmax, bce and zlpr do, of Batch.Labels")
	}
	if b.Mask != nil {
		if err := b.checkBits("Batch.Mask", b.Mask); err != nil {
			return err
		}
	}
	if b.RowWeights != nil {
		if err := checkEach("Batch.RowWeights", len(b.RowWeights), "rows", rows); err != nil {
			return err
		}
	}
	if err := b.checkClassWeights(t, sameClasses); err != nil {
		return err
	}
	if t.perClass > 0 && t.perClass != n {
		return fieldError(t.perClassField, "%d, want one for each of %d classes", t.perClass, n)
	}
	if err := b.checkThresholds(out, t); err != nil {
		return err
	}
	return b.checkOutput(out)
}

// hasSoft reports whether there are soft labels, be it of no rows.
func (b *Batch[T]) hasSoft() bool { return b.Soft.Data != nil || b.Soft.Rows != 0 || b.Soft.Cols != 0 }

func (b *Batch[T]) checkLabels(t *lossTraits) error {
	switch {
	case t.teacher && (b.Labels != nil || b.hasSoft()):
		return fieldError("Batch.Labels", "there are some, but the loss takes Batch.Teacher alone")
	case t.teacher:
		return b.checkMatrix("Batch.Teacher", b.Teacher)
	case b.Teacher.Data != nil:
		return fieldError("Batch.Teacher", "there are some scores, but only Distillation takes them")
	case t.softToo && b.Labels != nil && b.hasSoft():
		return fieldError("Batch.Soft", "there are some beside Batch.Labels, want one of both")
	case t.soft && b.Labels != nil:
		return fieldError("Batch.Labels", "there are some, but the loss takes Batch.Soft alone")
	case t.soft || t.softToo && b.hasSoft():
		return b.checkMatrix("Batch.Soft", b.Soft)
	case b.Labels == nil && b.hasSoft() && t.hardOnly != "":
		return fieldError("Batch.Soft", "%s", t.hardOnly)
	case b.Labels == nil:
		return fieldError("Batch.Labels", "there are none, but the loss needs them")
	case b.Soft.Data != nil:
		return fieldError("Batch.Soft", "there are some, but the loss takes Batch.Labels alone")
	}
	return b.checkBits("Batch.Labels", b.Labels)
}

// checkClassWeights checks them; same, their numbers are known to be right.
func (b *Batch[T]) checkClassWeights(t *lossTraits, same bool) error {
	const field = "Batch.ClassWeights"
	if b.ClassWeights == nil {
		return nil
	}
	if !t.classWeights {
		return fieldError(field, "the loss takes none")
	}
	if err := checkEach(field, len(b.ClassWeights), "classes", b.Scores.Cols); err != nil {
		return err
	}
	if same || allAtMost(kernel.Cast[uint64](b.ClassWeights), math.Float64bits(math.MaxFloat64)) {
		return nil
	}
	for k, w := range b.ClassWeights {
		if !(w >= 0) || !finiteNumber(w) { // but for -0
			return fieldError(field, "%v of class %d, want a finite number of at least 0", w, k)
		}
	}
	return nil
}

func (b *Batch[T]) checkThresholds(out *Output[T], t *lossTraits) error {
	rows := b.Scores.Rows
	vector, column := b.Thresholds != nil, b.ThresholdColumn != 0
	field := "Batch.Thresholds"
	if column {
		field = "Batch.ThresholdColumn"
	}
	switch {
	case column && (b.ThresholdColumn < 0 || b.ThresholdColumn > b.Scores.Cols):
		return fieldError(field, "%d, want 1 to %d, or 0 for none", b.ThresholdColumn, b.Scores.Cols)
	case vector && column:
		return fieldError(field, "%d, want 0 beside Batch.Thresholds", b.ThresholdColumn)
	case (vector || column) && !t.learned:
		return fieldError(field, "the loss has no threshold to be learned")
	case (vector || column) && t.threshold != 0:
		return fieldError(field, "the loss has the fixed threshold %v, want 0 beside learned ones", t.threshold)
	}
	if vector {
		if err := checkEach(field, len(b.Thresholds), "rows", rows); err != nil {
			return err
		}
	}
	if out.ThresholdGrad == nil {
		return nil
	}
	if !vector {
		return fieldError("Output.ThresholdGrad", "there is no Batch.Thresholds")
	}
	return checkEach("Output.ThresholdGrad", len(out.ThresholdGrad), "rows", rows)
}

func (b *Batch[T]) checkOutput(out *Output[T]) error {
	if out.Losses != nil {
		if err := checkEach("Output.Losses", len(out.Losses), "rows", b.Scores.Rows); err != nil {
			return err
		}
	}
	if !finiteNumber(out.Upstream) {
		return fieldError("Output.Upstream", "%v, want a finite number", out.Upstream)
	}
	if out.RowUpstream != nil {
		if err := checkEach("Output.RowUpstream", len(out.RowUpstream), "rows", b.Scores.Rows); err != nil {
			return err
		}
		for i, f := range out.RowUpstream {
			if !finiteNumber(f) {
				return fieldError("Output.RowUpstream", "%v of row %d, want a finite number", f, i)
			}
		}
	}
	if out.Grad.Data != nil {
		if err := b.checkMatrix("Output.Grad", out.Grad); err != nil {
			return err
		}
	}
	return b.checkOverlaps(out)
}

// checkOverlaps checks that no output shares memory with an input or another
// output, but the gradient with the scores where it is in their place.
func (b *Batch[T]) checkOverlaps(out *Output[T]) error {
	outputs := [...]memory{
		memoryOf("Output.Grad", extent(out.Grad)),
		memoryOf("Output.Losses", out.Losses),
		memoryOf("Output.ThresholdGrad", out.ThresholdGrad),
	}
	inputs := [...]memory{
		memoryOf("Batch.Scores", extent(b.Scores)),
		memoryOf("Batch.Soft", extent(b.Soft)),
		memoryOf("Batch.Teacher", extent(b.Teacher)),
		memoryOf("Batch.Thresholds", b.Thresholds),
		memoryOf("Batch.RowWeights", b.RowWeights),
		memoryOf("Batch.ClassWeights", b.ClassWeights),
		memoryOf("Output.RowUpstream", out.RowUpstream),
	}
	for i, o := range outputs {
		for k, in := range inputs {
			switch {
			case !o.overlaps(in):
			case i > 0 || k > 0:
				return fieldError(o.name, "overlap %s", in.name)
			case out.Accumulate:
				return fieldError("Output.Accumulate", "Output.Grad overlaps Batch.Scores; accumulate into memory of its own")
			case !same(out.Grad, b.Scores):
				return fieldError(o.name, "overlaps %s, but is not the same matrix", in.name)
			}
		}
		for _, other := range outputs[:i] {
			if o.overlaps(other) {
				return fieldError(o.name, "overlap %s", other.name)
			}
		}
	}
	return nil
}

// memory is where a field's elements lie, from a first byte to the one after the
// last.
type memory struct {
	name     string
	from, to uintptr
}

func memoryOf[E Score](name string, x []E) memory {
	if len(x) == 0 {
		return memory{}
	}
	from := uintptr(unsafe.Pointer(unsafe.SliceData(x)))
	return memory{name, from, from + uintptr(len(x))*unsafe.Sizeof(x[0])}
}

func (m memory) overlaps(n memory) bool { return m.from < n.to && n.from < m.to }

// extent returns the elements of m from the first to the last.
func extent[T Score](m Matrix[T]) []T {
	if m.Rows == 0 || m.Cols == 0 {
		return nil
	}
	return m.Data[:(m.Rows-1)*m.step()+m.Cols]
}

// same reports whether two matrices of the same shape are the same.
func same[T Score](a, b Matrix[T]) bool {
	return len(a.Data) > 0 && len(b.Data) > 0 && &a.Data[0] == &b.Data[0] && a.step() == b.step()
}
