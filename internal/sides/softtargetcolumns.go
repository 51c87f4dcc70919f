package sides

import (
	"math"

	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/kernel"
)

// This file evaluates what softtargetrows.go does, of short rows: by kernels that have a row
// in every lane (see kernel/softcolumns.go). It takes rows block by block, and leaves blocks
// that are not as simple as most to softtargetrows.go. The results have the same bits.

// softTargetColumns is memory for it.
type softTargetColumns[T kernel.Float] struct {
	x, t, w []T       // columns of scores, labels and exponentials
	rest    []T       // rows that do not fill a virtual vector, and copies of the last
	out     []float64 // of the kernel: exponentials, products, labels, highest scores, and all labels

	label, fa, fb, scale, most, peak, power []T
	loss, mass, factor                      []float64

	sub chunk.Chunk[T] // of a block that is left
}

// columnBytes is the size of the scores of a block: with labels and exponentials they are in
// the nearest cache.
const columnBytes = 8192

// takesColumns reports whether the chunk is one for evalSoftTargetColumns.
func (w *Work[T]) takesColumns() bool {
	c := w.c
	return kernel.LeastColumns <= c.N && c.N <= kernel.MostColumns[T]() && kernel.HasColumns() && c.Class == nil && c.Full
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
	s.power = kernel.Resize(s.power, powersRoom(rows))
	s.rest, s.out = kernel.Resize(s.rest, kernel.LanesOf[T]()*n), kernel.Resize(s.out, 5*rows)
	for _, x := range [...]*[]T{&s.label, &s.fa, &s.fb, &s.scale, &s.most, &s.peak} {
		*x = kernel.Resize(*x, rows)
	}
	for _, x := range [...]*[]float64{&s.loss, &s.factor} {
		*x = kernel.Resize(*x, rows)
	}
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
	a, distance, others, top := s.out[:rows], s.out[room:][:rows], s.out[2*room:][:rows], s.out[3*room:][:rows]
	s.mass = s.out[4*room:][:rows]
	var factor []float64
	var fa, fb []T
	if c.Grad != nil {
		factor, fa, fb = s.factor[:rows], s.fa[:rows], s.fb[:rows]
		if !s.factors(c.Scale[from:][:count]) {
			return false
		}
	}
	loss := s.loss[:rows]
	if !kernel.FinishTarget(loss, fa, fb, a, top, factor) {
		return false
	}
	if c.Grad != nil {
		s.peaks(c.Scale[from:][:count], others, top)
		least := kernel.SoftColumnScale(s.w, s.t, rows, n, fa, s.scale, s.most, s.peak)
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
	}
	out := c.Loss[from:][:count]
	loss, distance = loss[:len(out)], distance[:len(out)]
	mass := s.mass[:len(out)]
	for i := range out {
		out[i] = float64(loss[i]*mass[i]) + distance[i]
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

// factors sets the products of the scales and T. It reports whether all scales are such as
// kernels take.
func (s *softTargetColumns[T]) factors(scales []float64) (fit bool) {
	factor, mass := s.factor[:len(scales)], s.mass[:len(scales)]
	fit = true
	for i, f := range scales {
		factor[i] = float64(f * mass[i])
		a := math.Abs(f)
		fit = fit && coef.LeastScale <= a && a <= 0x1p60
	}
	// Those of the copies.
	last := factor[len(factor)-1]
	for i := len(scales); i < len(s.factor); i++ {
		s.factor[i] = last
	}
	return fit
}

// peaks sets what the gradient takes of the highest scores (see peakDerivatives).
func (s *softTargetColumns[T]) peaks(scales, others, top []float64) {
	for i, v := range top {
		s.power[i] = T(v)
	}
	p := kernel.SoftPowers[T]()
	powers := s.power[:powersRoom(len(top))]
	kernel.ShortPowers(powers, powers, &p)
	n := len(scales)
	most, out, peak, loss, product := s.most[:n], s.scale[:n], s.peak[:n], s.loss[:n], s.fb[:n]
	others = others[:n]
	none := T(math.Inf(1))
	for i, scale := range scales {
		out[i], most[i] = T(scale), powers[i]
		if loss[i] > largeLoss {
			most[i] = none
		}
		if kernel.IsFloat32[T]() {
			peak[i] = T(float64(product[i]) + float64(scale*others[i]))
			continue
		}
		_, err := kernel.TwoSum(others[i], 0, float64(s.label[i]))
		peak[i] = T(exactPeak(scale, s.factor[i], s.mass[i], err, others[i], float64(product[i])))
	}
}
