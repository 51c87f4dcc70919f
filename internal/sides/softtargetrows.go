package sides

import (
	"math"
	"math/bits"
	"unsafe"

	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/scalar"
)

// This file evaluates softmax cross-entropy with soft labels by kernels, as softtarget.go
// says, for rows whose labels need no weights and whose sums are right as they stand.
// softtarget.go itself evaluates all others. Where several classes have the highest score,
// one of them is m and the others have the exponential of it.

// softTargetRows is memory for it.
type softTargetRows[T kernel.Float] struct {
	top           []T              // the highest scores
	distance      []float64        // Σ t·(s_m - s_i)
	others        []float64        // T - t_m
	peaks         []kernel.Peak[T] // t_m, and the number of the highest scores
	mass, err     []float64        // T, and what the sum left out
	factor        []float64        // the scale times T
	scale         []T
	power         []T // e^s_m
	most, peak    []T // the exponentials from which on a class is m, and its derivative
	blank         []T // scores, the lowest number where a class takes no part
	slow, settled []bool
	kept          []T            // the exponentials
	sub           chunk.Chunk[T] // of slow rows
}

// nearBytes is about as many bytes of scores as kernels take at a time that read them twice:
// they are in a near cache then.
const nearBytes = 128 << 10

// evalSoftTargetRows evaluates the rows of the chunk.
func (w *Work[T]) evalSoftTargetRows() {
	c, s := w.c, &w.targetRows
	c.Pending.Finish()
	w.prepare(c.Rows)
	stride := w.softTargetSums()
	if w.labels.err != nil {
		return
	}
	room := chunk.Room(c.Rows)
	s.factor = kernel.Resize(s.factor, room)
	clear(w.a[c.Rows:])
	clear(w.b[c.Rows:])
	clear(s.factor[c.Rows:])
	// Local slices of one length spare the checks of their bounds.
	peaks, distance, others, slow := s.peaks[:c.Rows], s.distance[:c.Rows], s.others[:c.Rows], w.slow[:c.Rows]
	mass, top, a, b := s.mass[:c.Rows], s.top[:c.Rows], w.a[:c.Rows], w.b[:c.Rows]
	bad := 0
	for i := range peaks {
		b[i] = float64(top[i])
		slow[i] = peaks[i][1] < 1 || !(distance[i] <= math.MaxFloat64) || kernel.SmallProducts[T](distance[i], others[i])
		if slow[i] || a[i] == 0 {
			bad++
		}
	}
	anySlow := bad > 0
	var scale []float64
	var fa, fb []T
	if c.Grad != nil {
		for i, f := range c.Scale[:c.Rows] {
			s.factor[i] = float64(f * s.mass[i])
			a := math.Abs(f)
			w.settled[i] = coef.LeastScale <= a && a <= coef.MostScale && top[i] >= coef.LeastTop
			anySlow = anySlow || !w.settled[i]
		}
		scale, fa, fb = s.factor, w.fa, w.fb
	}
	if !kernel.FinishTarget(c.Loss, fa, fb, w.a, w.b, scale) || anySlow {
		anySlow = w.findSlowTargets()
	}
	if c.Grad != nil {
		anySlow = w.softTargetGradient(stride) || anySlow
	}
	loss := c.Loss[:c.Rows]
	for i, l := range loss {
		loss[i] = float64(l*mass[i]) + distance[i]
	}
	if anySlow {
		w.evalSlowTargets()
	}
}

// softTargetSums sets the sums of the rows and keeps the exponentials for the gradient, in
// rows of that stride.
func (w *Work[T]) softTargetSums() (stride int) {
	c, s := w.c, &w.targetRows
	room := chunk.Room(c.Rows) + 8 // see prepare
	s.top, s.peaks = kernel.Resize(s.top, c.Rows), kernel.Resize(s.peaks, c.Rows)
	s.distance, s.others = kernel.Resize(s.distance, room), kernel.Resize(s.others, room)
	s.mass, s.err = kernel.Resize(s.mass, c.Rows), kernel.Resize(s.err, c.Rows)
	var kept []T
	if c.Grad != nil {
		s.kept, stride = c.Grad, c.GradStride // which so comes into the nearest cache
		if w.overScores() {
			stride = kernel.KeptStride[T](c.N)
			w.kept = kernel.ResizeAligned(w.kept, c.Rows*stride+c.N)
			s.kept = w.kept
		}
		kept = s.kept
	}
	step := max(1, nearBytes/(c.N*int(unsafe.Sizeof(T(0)))))
	for i := 0; i < c.Rows; i += step {
		rows, x, xStride := min(step, c.Rows-i), c.X[i*c.Stride:], c.Stride
		if !c.Full {
			x, xStride = w.blanked(i, rows), c.N
		}
		kernel.Maximum(s.top[i:i+rows], x, xStride, rows, c.N)
		if !c.Full {
			for k := range rows {
				if _, part := c.Sides(i + k); kernel.CountBits(part) == 0 {
					s.top[i+k] = kernel.CanonicalNaN[T]()
				}
			}
		}
		if kept != nil {
			kept = s.kept[i*stride:]
		}
		most := kernel.SoftTargets(w.a[i:], s.distance[i:], s.others[i:], s.peaks[i:], kept, stride, x, xStride,
			c.Soft[i*c.SoftStride:], c.SoftStride, rows, c.N, s.top[i:])
		if !kernel.LabelsFit[T](most) && !w.labels.right() {
			break
		}
		for k, p := range s.peaks[i:][:rows] {
			if p[1] > 1 {
				w.joinPeak(i+k, x[k*xStride:])
				continue
			}
			s.mass[i+k], s.err[i+k] = kernel.TwoSum(s.others[i+k], 0, float64(p[0]))
		}
	}
	return stride
}

// blanked returns the scores of rows from i on with the lowest number where a class takes no
// part: its exponential is 0, and so is its label.
func (w *Work[T]) blanked(i, rows int) []T {
	c, s := w.c, &w.targetRows
	s.blank = kernel.Resize(s.blank, rows*c.N)
	for k := range rows {
		row := s.blank[k*c.N:][:c.N]
		copy(row, c.Row(i+k))
		_, part := c.Sides(i + k)
		for j, in := range part {
			for out := ^in; out != 0; out &= out - 1 {
				if at := 64*j + bits.TrailingZeros64(out); at < c.N {
					row[at] = lowest[T]()
				}
			}
		}
	}
	return s.blank
}

// lowest returns the lowest number.
func lowest[T kernel.Float]() T {
	least := -math.MaxFloat64
	if kernel.IsFloat32[T]() {
		least = -math.MaxFloat32
	}
	return T(least)
}

// joinPeak completes the sums of row i, of the scores x, where several classes have the
// highest: to all but one of them belongs its exponential. The labels are added without a
// peak.
func (w *Work[T]) joinPeak(i int, x []T) {
	c, s := w.c, &w.targetRows
	var a, distance, others [8]float64
	var peak [1]kernel.Peak[T]
	top := [1]T{T(math.Inf(1))}
	kernel.SoftTargets(a[:], distance[:], others[:], peak[:], nil, 0, x, c.N, c.Soft[i*c.SoftStride:], c.N, 1, c.N, top[:])
	s.mass[i], s.err[i] = others[0], 0
	w.a[i] += float64(float64(s.peaks[i][1]-1) * scalar.Exp(float64(s.top[i])))
}

// findSmallLabels makes rows from i to end-1 with labels between 0 and the least plain one
// slow. Their losses stand.
func (w *Work[T]) findSmallLabels(i, end int) (anySlow bool) {
	c, least := w.c, T(kernel.PlainLabel[T]())
	for ; i < end; i++ {
		for _, t := range c.Soft[i*c.SoftStride:][:c.N] {
			if t != 0 && t < least && !w.slow[i] {
				w.slow[i], w.settled[i], anySlow = true, true, true
				break
			}
		}
	}
	return anySlow
}

// findSlowTargets finds the rows that FinishTarget has not finished; of those whose
// gradient is not right settled says whether the loss is.
func (w *Work[T]) findSlowTargets() (anySlow bool) {
	c, s := w.c, &w.targetRows
	for i := range c.Rows {
		if w.slow[i] || w.a[i] == 0 && w.hasOthers(i) {
			w.slow[i], w.settled[i], anySlow = true, false, true
			continue
		}
		fits := w.settled[i] || c.Grad == nil
		b, u, ok := kernel.TargetFast[T](w.a[i], w.b[i])
		w.settled[i] = ok
		if ok && c.Grad != nil {
			f, target := kernel.TargetFactors(b, u, s.factor[i])
			ok = fits && kernel.TargetFits[T](w.a[i], f, target)
		}
		w.slow[i] = !ok
		anySlow = anySlow || !ok
	}
	return anySlow
}

// hasOthers reports whether more than one class of row i takes part: exponentials whose sum
// is 0 are too small.
func (w *Work[T]) hasOthers(i int) bool {
	_, part := w.c.Sides(i)
	return kernel.CountBits(part) > 1
}

// evalSlowTargets evaluates the slow rows. The loss of those that are settled stands.
func (w *Work[T]) evalSlowTargets() {
	c, s := w.c, &w.targetRows
	s.slow, s.settled = append(s.slow[:0], w.slow[:c.Rows]...), append(s.settled[:0], w.settled[:c.Rows]...)
	for i := 0; i < c.Rows; i++ {
		from := i
		for i < c.Rows && s.slow[i] {
			i++
		}
		if from == i {
			continue
		}
		w.c = &s.sub
		c.Part(w.c, from, i)
		w.evalSoftTarget()
		for k, l := range w.c.Loss[:i-from] {
			if !s.settled[from+k] {
				c.Loss[from+k] = l
			}
		}
		w.c = c
	}
}

// softTargetGradient writes the gradient of the rows that are not slow. The losses are those
// of the target m. Rows with small labels become slow, after their gradient is written unless
// that is over the scores.
func (w *Work[T]) softTargetGradient(stride int) (anySlow bool) {
	c, s := w.c, &w.targetRows
	if w.overScores() && !kernel.PlainLabels(c.Soft, c.SoftStride, c.Rows, c.N) {
		anySlow = w.findSmallLabels(0, c.Rows)
	}
	w.peakDerivatives()
	for i := 0; i < c.Rows; i++ {
		from := i
		for i < c.Rows && !w.slow[i] {
			i++
		}
		if from < i {
			least := kernel.SoftTargetScale(c.Grad[from*c.GradStride:], c.GradStride, s.kept[from*stride:], stride,
				c.Soft[from*c.SoftStride:], c.SoftStride, i-from, c.N, w.fa[from:], s.scale[from:], s.most[from:], s.peak[from:])
			if !kernel.LabelsPlain[T](least) {
				anySlow = w.findSmallLabels(from, i) || anySlow
			}
		}
	}
	return anySlow
}

// overScores reports whether the gradient takes the place of the scores.
func (w *Work[T]) overScores() bool { return unsafe.SliceData(w.c.Grad) == unsafe.SliceData(w.c.X) }

// peakDerivatives sets the derivatives by the highest scores,
//
//	(T - t_m) - T·(1-p_m)
//
// where p_m is above a half: FinishTarget has the product. Elsewhere it is that of any class.
func (w *Work[T]) peakDerivatives() {
	c, s := w.c, &w.targetRows
	s.scale, s.peak, s.most = kernel.Resize(s.scale, c.Rows), kernel.Resize(s.peak, c.Rows), kernel.Resize(s.most, c.Rows)
	const lanes = 64
	room := (c.Rows + lanes - 1) &^ (lanes - 1)
	s.power = kernel.ResizeAligned(s.power, room)
	clear(s.power[copy(s.power, s.top[:c.Rows]):])
	p := kernel.PivotParams[T](0)
	kernel.ShortPowers(s.power, s.power, &p)
	scales, others, loss := c.Scale[:c.Rows], s.others[:c.Rows], c.Loss[:c.Rows]
	power, product, out, most, peak := s.power[:c.Rows], w.fb[:c.Rows], s.scale[:c.Rows], s.most[:c.Rows], s.peak[:c.Rows]
	none := T(math.Inf(1))
	for i, scale := range scales {
		out[i], most[i] = T(scale), power[i]
		if loss[i] > coef.LargeLoss {
			most[i] = none
		}
		if kernel.IsFloat32[T]() {
			peak[i] = T(float64(product[i]) + float64(scale*others[i]))
			continue
		}
		peak[i] = T(exactPeak(scale, s.factor[i], s.mass[i], s.err[i], others[i], float64(product[i])))
	}
}

// exactPeak returns (T - t_m) - T·(1-p_m) times the scale, given that of the second product.
func exactPeak(scale, factor, mass, err, others, product float64) float64 {
	d, rest := kernel.ExactPeak(scale, factor, mass, err, others, product)
	if math.Abs(d) <= math.MaxFloat64 {
		return d
	}
	f := softFactor{value: factor, rest: rest}
	return f.less(product, scale, -others)
}
