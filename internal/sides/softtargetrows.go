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
	peaks         []kernel.Peak[T] // t_m, and the number of the highest scores
	known         []T              // of the peaks, what follows:
	label, power  []T              // t_m and e^s_m
	top           []T              // s_m
	sums          []float64        // of the kernel, what follows:
	a             []float64        // Σ e^s_i, i ≠ m
	distance      []float64        // Σ t·(s_m - s_i)
	others        []float64        // T - t_m
	mass          []float64        // T
	inverse       []float64        // e^-s_m
	factor        []float64        // the scale times T
	factors       []T              // of the gradient, what follows:
	f, scale      []T              // of exponentials and labels
	most, peak    []T              // the exponentials from which on a class is m, and its derivative
	loss          []float64        // of rows with copies of the last, as the scale of rows
	rowScale      []float64
	blank         []T // scores, the lowest number where a class takes no part
	below         []T // scores of -Inf
	slow, settled []bool
	kept          []T            // the exponentials
	sub           chunk.Chunk[T] // of slow rows
}

// nearBytes is about as many bytes of scores as are copied for kernels at a time: they are in
// a near cache then.
const nearBytes = 128 << 10

// evalSoftTargetRows evaluates the rows of the chunk.
func (w *Work[T]) evalSoftTargetRows() {
	c := w.c
	c.Pending.Finish()
	w.prepare(c.Rows)
	stride, simple := w.softTargetSums()
	if w.labels.err != nil {
		return
	}
	anySlow := false
	if simple && w.finishSoftTargets() {
		clear(w.slow)
	} else {
		anySlow = w.finishEach()
	}
	if c.Grad != nil {
		anySlow = w.softTargetGradient(stride, anySlow) || anySlow
	}
	if anySlow {
		w.evalSlowTargets()
	}
}

// finishSoftTargets sets the losses and what the gradient takes, of rows of which all are
// simple. It reports whether they were.
func (w *Work[T]) finishSoftTargets() bool {
	c, s := w.c, &w.targetRows
	rows, room, lanes := c.Rows, len(s.a), kernel.LanesOf[T]()
	all := (rows + lanes - 1) &^ (lanes - 1)
	loss, scale := c.Loss, c.Scale
	inverse := s.inverse[:powersRoom(rows)]
	clear(inverse[all:])
	p := kernel.PivotParams[float64](0)
	kernel.ShortPowers(inverse, inverse, &p)
	if c.Grad == nil {
		scale = nil
	} else {
		w.powersOfTops()
	}
	if all > rows {
		s.loss = kernel.Resize(s.loss, all)
		loss = s.loss
		if scale != nil {
			s.rowScale = kernel.Resize(s.rowScale, all)
			for i := copy(s.rowScale, scale[:rows]); i < all; i++ {
				s.rowScale[i] = scale[rows-1]
			}
			scale = s.rowScale
		}
	}
	if !kernel.SoftColumnFinish(loss, s.factors, s.sums, room, s.known, s.inverse, scale, all) {
		return false
	}
	if all > rows {
		copy(c.Loss, loss[:rows])
	}
	return true
}

// finishEach does that row by row, and finds the slow ones.
func (w *Work[T]) finishEach() (anySlow bool) {
	c, s := w.c, &w.targetRows
	room := chunk.Room(c.Rows)
	s.factor = kernel.Resize(s.factor, room)
	clear(w.a[copy(w.a, s.a[:c.Rows]):])
	clear(w.b[c.Rows:])
	clear(s.factor[c.Rows:])
	for i, p := range s.peaks {
		w.b[i] = float64(s.top[i])
		if p[1] <= 1 {
			s.mass[i] = s.others[i] + float64(p[0])
		}
		w.slow[i] = p[1] < 1 || !(s.distance[i] <= math.MaxFloat64) || kernel.SmallProducts[T](s.distance[i], s.others[i])
		anySlow = anySlow || w.slow[i] || w.a[i] == 0
	}
	var scale []float64
	var fa, fb []T
	if c.Grad != nil {
		for i, f := range c.Scale[:c.Rows] {
			s.factor[i] = float64(f * s.mass[i])
			a := math.Abs(f)
			w.settled[i] = coef.LeastScale <= a && a <= coef.MostScale && s.top[i] >= coef.LeastTop
			anySlow = anySlow || !w.settled[i]
		}
		scale, fa, fb = s.factor, w.fa, w.fb
	}
	if !kernel.FinishTarget(c.Loss, fa, fb, w.a, w.b, scale) || anySlow {
		anySlow = w.findSlowTargets()
	}
	if c.Grad != nil {
		w.peakDerivatives()
	}
	for i, l := range c.Loss[:c.Rows] {
		c.Loss[i] = float64(l*s.mass[i]) + s.distance[i]
	}
	return anySlow
}

// softTargetSums sets the sums of the rows and keeps the exponentials for the gradient, in
// rows of that stride. It reports whether all have one highest score.
func (w *Work[T]) softTargetSums() (stride int, simple bool) {
	c, s := w.c, &w.targetRows
	s.resize(c.Rows, c.Grad != nil)
	simple = c.Full && kernel.HasColumns()
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
	step := c.Rows
	if !c.Full {
		step = max(1, nearBytes/(c.N*int(unsafe.Sizeof(T(0)))))
	}
	for i := 0; i < c.Rows; i += step {
		rows, x, xStride := min(step, c.Rows-i), c.X[i*c.Stride:], c.Stride
		if !c.Full {
			x, xStride = w.blanked(i, rows), c.N
		}
		if kept != nil {
			kept = s.kept[i*stride:]
		}
		kernel.Maximum(s.top[i:i+1], x, xStride, 1, c.N)
		most := kernel.SoftTargets(s.a[i:], s.distance[i:], s.others[i:], s.peaks[i:], kept, stride, x, xStride,
			c.Soft[i*c.SoftStride:], c.SoftStride, rows, c.N, s.top[i:])
		if !kernel.LabelsFit[T](most) && !w.labels.right() {
			break
		}
	}
	simple = s.knowPeaks() && simple
	if !simple {
		w.joinPeaks()
	}
	return stride, simple
}

// knowPeaks sets what is known of the peaks, and reports whether all rows are simple: finishEach
// takes the same steps with them as the kernel that finishes all. Copies of the last row fill
// up a vector.
func (s *softTargetRows[T]) knowPeaks() bool {
	rows, room, lanes := len(s.peaks), len(s.a), kernel.LanesOf[T]()
	all := (rows + lanes - 1) &^ (lanes - 1)
	s.peaks = s.peaks[:all]
	for i := rows; i < all; i++ {
		s.peaks[i], s.top[i] = s.peaks[rows-1], s.top[rows-1]
		for k := i; k < len(s.sums); k += room {
			s.sums[k] = s.sums[k-i+rows-1]
		}
	}
	simple := kernel.KnowPeaks(s.label, s.inverse, s.peaks, s.top, s.sums, room, all)
	s.peaks = s.peaks[:rows]
	return simple
}

// joinPeaks completes the sums of rows of which several classes have the highest score, or
// none takes part.
func (w *Work[T]) joinPeaks() {
	c, s := w.c, &w.targetRows
	for i, p := range s.peaks {
		if !c.Full {
			if _, part := c.Sides(i); kernel.CountBits(part) == 0 {
				s.distance[i] = math.NaN()
				continue
			}
		}
		if p[1] > 1 {
			w.joinPeak(i)
		}
	}
}

// resize makes room for so many rows.
func (s *softTargetRows[T]) resize(rows int, grad bool) {
	room := (rows+15)&^15 + 8 // see prepare
	s.peaks, s.known, s.sums = kernel.Resize(s.peaks, room)[:rows], kernel.ResizeAligned(s.known, room+powersRoom(room)), kernel.Resize(s.sums, 3*room)
	s.label, s.power, s.top = s.known[:room], s.known[room:], kernel.ResizeAligned(s.top, powersRoom(room))
	s.a, s.distance, s.others = s.sums[:room], s.sums[room:][:room], s.sums[2*room:]
	s.mass, s.inverse = kernel.Resize(s.mass, room), kernel.ResizeAligned(s.inverse, powersRoom(room))
	if grad {
		s.factors = kernel.Resize(s.factors, 4*room)
		for i, x := range [...]*[]T{&s.f, &s.scale, &s.most, &s.peak} {
			*x = s.factors[i*room:][:room]
		}
	}
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

// joinPeak completes the sums of row i where several classes have the highest score: to all
// but one of them belongs its exponential. The labels are added without a peak.
func (w *Work[T]) joinPeak(i int) {
	c, s := w.c, &w.targetRows
	var a, distance, others [8]float64
	var peak [1]kernel.Peak[T]
	top := [1]T{T(math.Inf(-1))}
	s.below = kernel.Resize(s.below, c.N)
	for j := range s.below {
		s.below[j] = T(math.Inf(-1))
	}
	kernel.SoftTargets(a[:], distance[:], others[:], peak[:], nil, 0, s.below, c.N, c.Soft[i*c.SoftStride:], c.N, 1, c.N, top[:])
	s.mass[i] = others[0]
	s.a[i] += float64(float64(s.peaks[i][1]-1) * scalar.Exp(float64(s.top[i])))
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

// softTargetGradient writes the gradient of the rows that are not slow; unless some are, slow is
// not read. Rows with small labels become slow, after their gradient is written unless that is
// over the scores.
func (w *Work[T]) softTargetGradient(stride int, some bool) (anySlow bool) {
	c, s := w.c, &w.targetRows
	if w.overScores() && !kernel.PlainLabels(c.Soft, c.SoftStride, c.Rows, c.N) {
		anySlow = w.findSmallLabels(0, c.Rows)
	}
	some = some || anySlow
	for i := 0; i < c.Rows; i++ {
		from := i
		if !some {
			i = c.Rows
		}
		for i < c.Rows && !w.slow[i] {
			i++
		}
		if from < i {
			least := kernel.SoftTargetScale(c.Grad[from*c.GradStride:], c.GradStride, s.kept[from*stride:], stride,
				c.Soft[from*c.SoftStride:], c.SoftStride, i-from, c.N, s.f[from:], s.scale[from:], s.most[from:], s.peak[from:])
			if !kernel.LabelsPlain[T](least) {
				anySlow = w.findSmallLabels(from, i) || anySlow
			}
		}
	}
	return anySlow
}

// overScores reports whether the gradient takes the place of the scores.
func (w *Work[T]) overScores() bool { return unsafe.SliceData(w.c.Grad) == unsafe.SliceData(w.c.X) }

// powersOfTops sets the exponentials of the highest scores.
func (w *Work[T]) powersOfTops() {
	s, rows, lanes := &w.targetRows, w.c.Rows, kernel.LanesOf[T]()
	top := s.top[:powersRoom(rows)]
	clear(top[(rows+lanes-1)&^(lanes-1):])
	p := kernel.PivotParams[T](0)
	kernel.ShortPowers(s.power, top, &p)
}

// peakDerivatives sets what the gradient takes. The losses are those of the target m, and the
// derivatives by the highest scores
//
//	(T - t_m) - T·(1-p_m)
//
// where p_m is above a half: FinishTarget has the product. Elsewhere it is that of any class.
func (w *Work[T]) peakDerivatives() {
	c, s := w.c, &w.targetRows
	w.powersOfTops()
	copy(s.f, w.fa[:c.Rows])
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
		err := 0.0
		if p := s.peaks[i]; p[1] == 1 {
			_, err = kernel.TwoSum(others[i], 0, float64(p[0]))
		}
		peak[i] = T(exactPeak(scale, s.factor[i], s.mass[i], err, others[i], float64(product[i])))
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

// powersRoom returns of how many elements ShortPowers takes so many.
func powersRoom(n int) int { return (n + 63) &^ 63 }
