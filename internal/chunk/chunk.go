// Package chunk is what a loss sees of some rows of a batch, and where it writes
// its results.
package chunk

import "github.com/zlpr/zlpr/internal/kernel"

// A Chunk is some rows of a batch. A loss reads the scores, the bits and the
// weights, and writes Out's Loss, Grad and ThresholdGrad of these rows, nothing
// else.
type Chunk[T kernel.Float] struct {
	First, Rows, N int // number of the first row, of rows, of classes
	Scores[T]
	Bits
	Weights[T]
	Out[T]
	Half Half

	flat []T // scores of short rows without gaps
}

// Scores are the logits. Grad may be in their place: a row's scores must be read
// before its gradient is written.
type Scores[T kernel.Float] struct {
	X      []T // row i is X[i·Stride:][:N]
	Stride int
}

// Bits tell which classes take part, and how. A row that does not count (row
// weight 0, nothing left by the mask, an ignored target) has no bit set and
// Live[i] false: its loss and its gradient are 0.
type Bits struct {
	Words    int      // of bits a row
	Pos, Neg []uint64 // positives and negatives that take part: after Unpack
	Live     []bool   // whether the row counts
	AllLive  bool     // every row does
	Full     bool     // every class of every row takes part
	Target   []int    // the positive class, for losses of one target; -1 for none

	flatPos, flatPart, part []uint64 // of FlatPos and FlatPart
	onlyFlat                bool     // the positives are in flatPos alone
	onlyTarget              bool     // the positives are in Target alone
	OneTarget               bool     // with onlyFlat: every row has one, which Unpack notes in Target
}

// Weights are what else the losses of the rows depend on.
type Weights[T kernel.Float] struct {
	// Classes numbers what there was of class weights: Class and N are those of the last
	// chunk where it is the same, and not 0.
	Classes int
	Class   []float64 // class weights; nil: all 1

	Threshold     []float64 // of every row, fixed or learned
	ZeroThreshold bool      // all of them are 0

	Soft       []T // soft labels, nil for hard ones: then Neg has the classes that take part
	SoftStride int
	// SmallLabels tells that there are labels between 0 and kernel.PlainLabel.
	SmallLabels bool
	// CheckSoft checks the soft labels where that is left to the loss, which sees in passing
	// whether they may be wrong; else nil. SoftError is what it returned.
	CheckSoft func() error
	SoftError error

	Teacher       []T // scores of a teacher, for losses of them: then Neg has the classes that take part
	TeacherStride int

	Smoothing float64 // ε: a hard label y is (1-ε)·y + ε/2; but of one target, Soft has what it becomes

	MostPositives int // of a row of the whole batch, for losses that ask for it
}

// Out is where results go. Slices with an element a row are as long as Room:
// what lies past the last row is open.
type Out[T kernel.Float] struct {
	Loss []float64 // of every row, without the row's weight

	// Grad takes the gradient times Scale[i]: row i at Grad[i·GradStride:][:N],
	// every element of which must be written, 0 where the class does not take
	// part. It is nil where no gradient is wanted.
	Grad       []T
	GradStride int
	GradBehind int // so many elements behind its last row may be written over: they are of later chunks
	Scale      []float64
	OneScale   bool // all of Scale are the same

	// ThresholdGrad takes the derivative by the threshold times Scale[i]; nil
	// where none is wanted.
	ThresholdGrad []float64

	// Stream tells that the gradient is too large for the caches, Buffered that
	// Grad is a buffer in the nearer ones, whose copy to the gradient's place
	// comes later. Pending is the copy that is still to be made of the rows
	// before: kernels take it and make it while they compute.
	Stream, Buffered bool
	Pending          *kernel.Copy[T]
}

// Room returns the length of slices with an element for each of so many rows:
// kernels finish 8 rows at a time.
func Room(rows int) int { return (rows + 7) &^ 7 }

// Row returns the scores of row i.
func (c *Chunk[T]) Row(i int) []T { return c.X[i*c.Stride:][:c.N:c.N] }

// GradRow returns the place of the gradient of row i.
func (c *Chunk[T]) GradRow(i int) []T { return c.Grad[i*c.GradStride:][:c.N:c.N] }

// Sides returns the positives and the negatives of row i.
func (c *Chunk[T]) Sides(i int) (pos, neg []uint64) {
	return c.Pos[i*c.Words:][:c.Words], c.Neg[i*c.Words:][:c.Words]
}

// Derivatives reports whether any are wanted.
func (c *Chunk[T]) Derivatives() bool { return c.Grad != nil || c.ThresholdGrad != nil }

// SetNaN makes the loss of row i NaN, and its gradients where its classes take
// part.
func (c *Chunk[T]) SetNaN(i int) {
	nan := kernel.CanonicalNaN[float64]()
	c.Loss[i] = nan
	if c.ThresholdGrad != nil {
		c.ThresholdGrad[i] = nan
	}
	if c.Grad == nil {
		return
	}
	pos, neg := c.Sides(i)
	for j := range c.GradRow(i) {
		g := T(0)
		if (pos[j/64]|neg[j/64])>>(j%64)&1 != 0 {
			g = kernel.CanonicalNaN[T]()
		}
		c.Grad[i*c.GradStride+j] = g
	}
}

// SetNothing makes the loss and the gradients of row i, which does not count, 0.
func (c *Chunk[T]) SetNothing(i int) {
	c.Loss[i] = 0
	if c.ThresholdGrad != nil {
		c.ThresholdGrad[i] = 0
	}
	if c.Grad != nil {
		clear(c.GradRow(i))
	}
}
