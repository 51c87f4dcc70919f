package sides

import (
	"math"

	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/kernel"
)

// This file evaluates what softtargetrows.go does, of short rows: by kernels that have a row
// in every lane (see kernel/softcolumns.go). It takes rows block by block, and leaves blocks
// that are not as simple as most to softtargetrows.go. The results have the same bits.

// softTargetColumns is memory for it.
type softTargetColumns[T kernel.Float] struct {
	x, t, w []T       // columns of scores, labels and exponentials
	rest    []T       // rows that do not fill a virtual vector, and copies of the last
	out     []float64 // sums: of exponentials, products, labels, highest scores, and all labels
	label   []T       // of the highest scores
	factors []T       // of the gradient

	loss, scale []float64 // of rows with copies of the last

	sub chunk.Chunk[T] // of a block that is left
}

// columnBytes is the size of the scores of a block: with labels and exponentials they are in
// the nearest cache.
const columnBytes = 8192

// mostColumns is the length of the longest row for which that is quicker than what
// softtargetrows.go does: of float32 three quarters of a group of it.
const mostColumns = 48

// takesColumns reports whether the chunk is one for evalSoftTargetColumns.
func (w *Work[T]) takesColumns() bool {
	c := w.c
	return kernel.LeastColumns <= c.N && c.N <= min(mostColumns, kernel.MostColumns[T]()) && kernel.HasColumns() && c.Class == nil && c.Full
}

// evalSoftTargetColumns evaluates the rows of the chunk.
func (w *Work[T]) evalSoftTargetColumns() {
	c, lanes := w.c, kernel.LanesOf[T]()
	c.Pending.Finish()
	size := columnBytes / 64 * lanes
	step := max(lanes, size/c.N&^(lanes-1))
	w.columns.resize(step, c.N)
	for from := 0; from < c.Rows; from += step {
		end := min(from+step, c.Rows)
		if !w.evalColumns(from, end-from) {
			s := &w.columns.sub
			c.Part(s, from, end)
			w.c = s
			w.evalSoftTargetRows()
			copy(c.Loss[from:end], s.Loss)
			w.c = c
		}
		if w.labels.err != nil {
			return
		}
	}
}

// resize makes room for so many rows.
func (s *softTargetColumns[T]) resize(rows, n int) {
	for _, x := range [...]*[]T{&s.x, &s.t, &s.w} {
		*x = kernel.ResizeAligned(*x, powersRoom(rows*n))
	}
	s.rest, s.out = kernel.Resize(s.rest, kernel.LanesOf[T]()*n), kernel.Resize(s.out, 5*rows)
	s.label, s.factors = kernel.Resize(s.label, rows), kernel.Resize(s.factors, 4*rows)
	s.loss, s.scale = kernel.Resize(s.loss, rows), kernel.Resize(s.scale, rows)
}

// powersRoom returns of how many elements ShortPowers takes so many.
func powersRoom(n int) int { return (n + 63) &^ 63 }

// evalColumns evaluates rows from a row on. It reports whether it could.
func (w *Work[T]) evalColumns(from, count int) bool {
	c, s := w.c, &w.columns
	n, lanes := c.N, kernel.LanesOf[T]()
	whole := count &^ (lanes - 1)
	rows := (count + lanes - 1) &^ (lanes - 1)
	s.columns(s.x, c.X[from*c.Stride:], c.Stride, count, n)
	s.columns(s.t, c.Soft[from*c.SoftStride:], c.SoftStride, count, n)
	p := kernel.SoftPowers[T]()
	size := powersRoom(rows * n)
	kernel.ShortPowers(s.w[:size], s.x[:size], &p)
	room := len(s.loss)
	most := kernel.SoftColumnSums(s.out, room, s.label, s.x, s.t, s.w, rows, n)
	switch {
	case most == math.MaxUint64:
		return false
	case !kernel.LabelsFit[T](most) && !w.labels.right():
		return true
	}
	loss, scale := s.loss[:rows], []float64(nil)
	if whole == count {
		loss = c.Loss[from:][:rows]
	}
	if c.Grad != nil {
		if scale = c.Scale[from:]; whole < count {
			scale = s.scale[:rows]
			for i := range scale {
				scale[i] = c.Scale[from+min(i, count-1)]
			}
		}
	}
	if !kernel.SoftColumnFinish(loss, s.factors, s.out, room, s.label, scale, rows) {
		return false
	}
	if whole < count {
		copy(c.Loss[from:], loss[:count])
	}
	if c.Grad == nil {
		return true
	}
	least := kernel.SoftColumnScale(s.x, s.t, s.w, rows, n, s.factors, room)
	if !kernel.LabelsPlain[T](least) {
		return false
	}
	grad := c.Grad[from*c.GradStride:]
	if whole > 0 {
		kernel.ToRows(grad, c.GradStride, s.w, whole, n)
	}
	if whole < count {
		kernel.ToRows(s.rest, n, s.w[whole*n:], lanes, n)
		for i := whole; i < count; i++ {
			copy(grad[i*c.GradStride:][:n], s.rest[(i-whole)*n:])
		}
	}
	return true
}

// columns sets the columns of so many rows, and of the last one as often as it takes to fill
// a virtual vector.
func (s *softTargetColumns[T]) columns(dst, x []T, stride, count, n int) {
	lanes := kernel.LanesOf[T]()
	whole := count &^ (lanes - 1)
	if whole > 0 {
		kernel.ToColumns(dst, x, stride, whole, n)
	}
	if whole == count {
		return
	}
	for i := range lanes {
		copy(s.rest[i*n:][:n], x[min(whole+i, count-1)*stride:])
	}
	kernel.ToColumns(dst[whole*n:], s.rest, n, lanes, n)
}
