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
		c.ThresholdGrad == nil &&
		(c.Grad == nil || c.GradStride == c.N && unsafe.SliceData(c.Grad) != unsafe.SliceData(c.X))
}

// Eights sets the losses log1p(u) of all rows. For so many of them, a multiple of 8, from row from
// on, evaluate is to set u and unless dst is nil the gradients (see kernel/shortloss.go).
// Where it reports that it cannot, or an u is none that FinishJoins takes, all results are
// open.
func (c *Chunk[T]) Eights(evaluate func(u []float64, dst, x []float32, rows int, pos []uint64, from int) bool) bool {
	const n = kernel.EightRow
	pos, x, grad := c.FlatPos(), c.X, c.Grad
	whole := c.Rows &^ 7
	direct := grad != nil && c.Half.Grad != nil
	finish := func(dst, x []float32, rows, from int) bool {
		u := c.Loss[from:][:rows]
		return evaluate(u, dst, x, rows, pos[n*from/64:], from) && kernel.FinishJoins(u, nil, u, nil)
	}
	for from := 0; from < whole; from += eightsStep {
		rows := min(eightsStep, whole-from)
		at, to := n*from, n*(from+rows)
		var dst []T
		switch {
		case direct:
			dst = c.NearGrad(to - at)
		case grad != nil:
			dst = grad[at:]
		}
		if !finish(kernel.As32(dst), kernel.As32(c.flatScores(x, at, to)), rows, from) {
			return false
		}
		if direct {
			c.Narrow(dst, at)
		}
	}
	c.Half.Done = direct
	if whole == c.Rows {
		return true
	}
	// What is left, with rows of zeros.
	at, to := n*whole, n*c.Rows
	c.flat = kernel.Resize(c.flat, 2*8*n)
	y, dst := c.flat[:8*n], c.flat[8*n:]
	clear(y[copy(y, c.flatScores(x, at, to)):])
	if grad == nil {
		dst = nil
	}
	if !finish(kernel.As32(dst), kernel.As32(y), 8, whole) {
		return false
	}
	switch {
	case direct:
		c.Narrow(dst[:to-at], at)
	case grad != nil:
		copy(grad[at:to], dst)
	}
	return true
}
