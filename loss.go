package zlpr

import (
	"errors"
	"math"

	"github.com/zlpr/zlpr/internal/kernel"
)

// A Loss is a loss function with its parameters: SoftmaxCrossEntropy, BCE,
// Pairwise, ZLPR, SoftZLPR, Subset or PaddedSubset. An Evaluator evaluates it.
//
// Every loss is one file: a small struct of parameters and these methods. The
// evaluator reads labels and masks, checks the batch, hands out rows and sums
// up; the loss turns a lossChunk's scores and bits into losses and gradients.
type Loss interface {
	// Name returns the name by which the command knows the loss.
	Name() string

	// traits returns what the loss asks of a batch, or what is wrong with its
	// parameters.
	traits() (lossTraits, error)

	// eval32 and eval64 evaluate the rows of a chunk.
	eval32(c *lossChunk[float32]) error
	eval64(c *lossChunk[float64]) error
}

// lossTraits tell what a loss takes and needs.
type lossTraits struct {
	threshold    float64 // the fixed threshold
	learned      bool    // thresholds may be scores
	soft         bool    // labels are Batch.Soft
	target       bool    // exactly one positive a row
	classWeights bool
	hardNegative bool // TopNegatives and TopScores
	maxPositives bool // needs lossChunk.maxPositives
	sideCopies   bool // makes lossChunk.pending while it computes
}

// A lossChunk is some rows of a batch: what a loss reads and writes.
//
// A row that does not count (row weight 0, nothing left by the mask, an ignored
// target) has no bit set in pos and neg and live[i] false: its loss and its
// gradient are 0.
type lossChunk[T Float] struct {
	first, rows, n int // number of the first row, of rows, of classes
	batch          int // counts the batches: weights are those of the last chunk where it is the same

	x        []T // row i is x[i*stride:][:n]
	stride   int
	words    int      // of bits a row
	pos, neg []uint64 // positives and negatives that take part
	live     []bool   // whether the row counts
	allLive  bool     // every row does
	target   []int    // the positive class, with lossTraits.target; -1 for none

	soft       []T // soft labels, with lossTraits.soft: neg has the classes that take part
	softStride int

	// threshold has the threshold of every row, fixed or learned.
	threshold     []float64
	zeroThreshold bool      // all of them are 0
	classWeights  []float64 // nil: all 1
	factors       *classFactors[T]
	maxPositives  int // the most positives of a row of the whole batch

	// loss takes the loss of every row, without the row's weight. It has
	// capacity for a multiple of 8 rows, and so has scale.
	loss    []float64
	inPlace bool // loss is in the output already

	// grad takes the gradient times scale[i]: row i at grad[i*gradStride:][:n],
	// every element of which must be written, 0 where the class does not take
	// part. It is nil where no gradient is wanted, and may be x itself: a row's
	// scores must be read before its gradient is written.
	grad       []T
	gradStride int
	scale      []float64

	// stream tells that the gradient is too large for the caches; buffered that
	// grad is a buffer, whose copy to the place of the gradient comes later.
	// pending is the last chunk's copy, for kernels that can make it meanwhile.
	stream, buffered bool
	pending          kernel.Copy[T]

	// thresholdGrad takes the derivative by the threshold times scale[i]; nil
	// where none is wanted.
	thresholdGrad []float64

	// Whether scale and threshold are filled with one value.
	uniform, fixed filled

	scratch lossScratch[T]
}

// row returns the scores of row i.
func (c *lossChunk[T]) row(i int) []T { return c.x[i*c.stride:][:c.n:c.n] }

// gradRow returns the place of the gradient of row i.
func (c *lossChunk[T]) gradRow(i int) []T { return c.grad[i*c.gradStride:][:c.n:c.n] }

// bits returns the positives and the negatives of row i.
func (c *lossChunk[T]) bits(i int) (pos, neg []uint64) {
	return c.pos[i*c.words:][:c.words], c.neg[i*c.words:][:c.words]
}

var errParameter = errors.New("zlpr: parameter of the loss is negative, infinite or NaN")

// finiteNumber reports whether x is neither infinite nor NaN.
func finiteNumber(x float64) bool { return math.Abs(x) <= math.MaxFloat64 }
