package chunk

import (
	"unsafe"

	"github.com/zlpr/zlpr/internal/kernel"
)

// eightsStep is the number of rows that the kernel of rows of 8 takes at a time: where their scores
// are too large, no more are evaluated in vain.
const eightsStep = 256

// TakesEights reports whether the chunk is one for Eights.
func (c *Chunk[T]) TakesEights() bool {
	return c.N == kernel.EightRow && kernel.IsFloat32[T]() && kernel.HasEights() && c.Full && c.Stride == c.N &&
		!c.Near() && c.ThresholdGrad == nil &&
		(c.Grad == nil || c.GradStride == c.N && unsafe.SliceData(c.Grad) != unsafe.SliceData(c.X))
}

// Eights sets the losses log1p(u) of all rows. For so many of them, a multiple of 8, from row from
// on, evaluate is to set u and unless dst is nil the gradients (see kernel/shortloss.go).
// Where it reports that it cannot, or an u is none that FinishJoins takes, all results are
// open.
func (c *Chunk[T]) Eights(evaluate func(u []float64, dst, x []float32, rows int, pos []uint64, from int) bool) bool {
	const n = kernel.EightRow
	pos, x, grad := c.FlatPos(), kernel.As32(c.X), kernel.As32(c.Grad)
	whole := c.Rows &^ 7
	finish := func(dst, x []float32, rows, from int) bool {
		u := c.Loss[from:][:rows]
		return evaluate(u, dst, x, rows, pos[n*from/64:], from) && kernel.FinishJoins(u, nil, u, nil)
	}
	for from := 0; from < whole; from += eightsStep {
		var dst []float32
		if c.Grad != nil {
			dst = grad[n*from:]
		}
		if !finish(dst, x[n*from:], min(eightsStep, whole-from), from) {
			return false
		}
	}
	if whole == c.Rows {
		return true
	}
	// What is left, with rows of zeros.
	c.flat = kernel.Resize(c.flat, 2*8*n)
	y := kernel.As32(c.flat)
	y, dst := y[:8*n], y[8*n:]
	clear(y[copy(y, x[n*whole:n*c.Rows]):])
	if c.Grad == nil {
		dst = nil
	}
	if !finish(dst, y, 8, whole) {
		return false
	}
	if dst != nil {
		copy(grad[n*whole:n*c.Rows], dst)
	}
	return true
}
