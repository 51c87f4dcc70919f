package sides

import "github.com/zlpr/zlpr/internal/kernel"

// This file evaluates softmax cross-entropy with soft labels of short rows, as softtarget.go
// says, by kernels that have a row in every lane (see kernel/softcolumns.go). It takes rows block
// by block. softtarget.go itself evaluates rows that are not as simple as most.

// softTargetColumns is memory for it.
type softTargetColumns[T kernel.Float] struct {
	x, t, w []T       // columns of scores, labels and exponentials
	rest    []T       // rows that do not fill a virtual vector, and copies of the last
	sums    []float64 // of exponentials, products and labels
	peaks   []T       // labels, scores and powers
	factors []T       // of the gradient

	loss, scale []float64 // of rows with copies of the last
	back        []T       // gradients of a block of which not all rows are right
}

// columnBytes is the size of the scores and labels of a block, and of the exponentials if there
// is a gradient: they and what is known of the rows are in the nearest cache.
const columnBytes = 16384

// mostColumns is the length of the longest row for which that is quicker than what
// softtargetrows.go does: of float32 three quarters of a group of it.
const mostColumns = 48

// takesColumns reports whether the chunk is one for evalSoftTargetColumns.
func (w *Work[T]) takesColumns() bool {
	c := w.c
	return kernel.LeastColumns <= c.N && c.N <= min(mostColumns, kernel.MostColumns[T]()) && c.Class == nil
}

// evalSoftTargetColumns evaluates the rows of the chunk.
func (w *Work[T]) evalSoftTargetColumns() {
	c, lanes := w.c, kernel.LanesOf[T]()
	c.Pending.Finish()
	columns := 2 * kernel.ColumnsLen(c.N)
	if c.Grad != nil {
		columns += kernel.ColumnsLen(c.N)
	}
	step := max(lanes, columnBytes/64*lanes/columns&^(lanes-1))
	w.columns.resize(min(step, (c.Rows+lanes-1)&^(lanes-1)), c.N)
	anySlow := false
	for from := 0; from < c.Rows; from += step {
		count := min(step, c.Rows-from)
		good := w.evalColumns(from, count)
		if w.labels.err != nil {
			return
		}
		if !good {
			if !anySlow {
				w.slow, w.settled = kernel.Resize(w.slow, c.Rows), kernel.Resize(w.settled, c.Rows)
				clear(w.slow)
				anySlow = true
			}
			w.keepGood(from, count)
		}
	}
	if anySlow {
		w.evalSlowTargets()
	}
}

// resize makes room for so many rows, with what fills up their columns.
func (s *softTargetColumns[T]) resize(rows, n int) {
	m, lanes := kernel.ColumnsLen(n), kernel.LanesOf[T]()
	for _, x := range [...]*[]T{&s.x, &s.t, &s.w} {
		*x = kernel.ResizeAligned(*x, rows*m)
	}
	for at := n * lanes; n < m && at < len(s.x); at += m * lanes {
		clear(s.t[at:][:(m-n)*lanes])
		x := s.x[at:][:(m-n)*lanes]
		for i := range x {
			x[i] = lowest[T]()
		}
	}
	room := rows + lanes // so that what is known of a row does not lie powers of two apart
	s.rest, s.sums = kernel.Resize(s.rest, lanes*n), kernel.Resize(s.sums, 3*room)
	s.peaks, s.factors = kernel.Resize(s.peaks, 3*room), kernel.Resize(s.factors, 4*room)
	s.loss, s.scale = kernel.Resize(s.loss, room), kernel.Resize(s.scale, room)
}

// evalColumns evaluates rows from a row on. It reports whether all are right; where not, it
// has written nothing but losses.
func (w *Work[T]) evalColumns(from, count int) bool {
	c, s := w.c, &w.columns
	n, lanes, room := c.N, kernel.LanesOf[T](), len(s.loss)
	whole := count &^ (lanes - 1)
	rows := (count + lanes - 1) &^ (lanes - 1)
	x, stride := c.X[from*c.Stride:], c.Stride
	if !c.Full {
		x, stride = w.blanked(from, count), n
	}
	s.columns(s.x, x, stride, count, n)
	s.columns(s.t, c.Soft[from*c.SoftStride:], c.SoftStride, count, n)
	var kept []T
	var scale []float64
	if c.Grad != nil {
		kept, scale = s.w, c.Scale[from:]
		if whole < count {
			scale = s.scale[:rows]
			for i := range scale {
				scale[i] = c.Scale[from+min(i, count-1)]
			}
		}
	}
	most := kernel.SoftColumnSums(s.sums, room, s.peaks, s.x, s.t, kept, rows, n)
	if !kernel.LabelsFit[T](most) && !w.labels.right() {
		return false
	}
	loss := s.loss
	if whole == count {
		loss = c.Loss[from:]
	}
	good := kernel.SoftColumnFinish(loss, s.factors, s.sums, room, s.peaks, nil, scale, rows)
	if whole < count {
		copy(c.Loss[from:], loss[:count])
	}
	if c.Grad == nil {
		return good
	}
	least := kernel.SoftColumnScale(s.x, s.t, s.w, rows, n, s.factors, room)
	if !good || !kernel.LabelsPlain[T](least) {
		return false
	}
	s.rows(c.Grad[from*c.GradStride:], c.GradStride, count, n)
	return true
}

// keepGood writes the gradient of those rows from a row on that evalColumns has evaluated, and
// notes the others.
func (w *Work[T]) keepGood(from, count int) {
	c, s := w.c, &w.columns
	var scale []float64
	if c.Grad != nil {
		scale = c.Scale[from:]
		s.back = kernel.Resize(s.back, count*c.N)
		s.rows(s.back, c.N, count, c.N)
	}
	for i := range count {
		loss, gradient := kernel.ColumnGood(s.sums, len(s.loss), s.peaks, scale, i)
		w.settled[from+i], w.slow[from+i] = loss, !loss || !gradient
		if c.Grad == nil || w.slow[from+i] || w.findSmallLabels(from+i, from+i+1) {
			continue
		}
		copy(c.GradRow(from+i), s.back[i*c.N:][:c.N])
	}
}

// rows writes the columns of so many rows back to dst.
func (s *softTargetColumns[T]) rows(dst []T, stride, count, n int) {
	lanes := kernel.LanesOf[T]()
	whole := count &^ (lanes - 1)
	if whole > 0 {
		kernel.ToRows(dst, stride, s.w, whole, n)
	}
	if whole == count {
		return
	}
	kernel.ToRows(s.rest, n, s.w[whole*kernel.ColumnsLen(n):], lanes, n)
	for i := whole; i < count; i++ {
		copy(dst[i*stride:][:n], s.rest[(i-whole)*n:])
	}
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
	kernel.ToColumns(dst[whole*kernel.ColumnsLen(n):], s.rest, n, lanes, n)
}
