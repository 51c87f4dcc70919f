package sides

import (
	"math"

	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/kernel"
)

// This file evaluates softmax cross-entropy with soft labels by kernels, as softtarget.go
// says, for rows whose labels need no weights: those with one highest score and sums that
// are right as they stand. softtarget.go itself evaluates all others.

// softTargetRows is memory for it.
type softTargetRows[T kernel.Float] struct {
	top           []T              // the highest scores
	sums          [][2]float64     // of the kernel: Σ t·(s_m - s_i) and T - t_m
	peaks         []kernel.Peak[T] // t_m, and the number of the highest scores
	mass, err     []float64        // T, and what the sum left out
	factor        []float64        // the scale times T
	scale         []T
	peak          []T       // derivatives by the highest scores
	power         []float64 // e^-s_m
	slow, settled []bool
	sub           chunk.Chunk[T] // of slow rows
}

// nearScores is about as many scores as kernels take at a time that read them twice: they
// are in the nearest cache then.
const nearScores = 2048

// evalSoftTargetRows evaluates the rows of the chunk.
func (w *Work[T]) evalSoftTargetRows() {
	c, s := w.c, &w.targetRows
	c.Pending.Finish()
	w.prepare(c.Rows)
	stride := w.softTargetSums()
	room := chunk.Room(c.Rows)
	s.factor = kernel.Resize(s.factor, room)
	s.mass, s.err = kernel.Resize(s.mass, c.Rows), kernel.Resize(s.err, c.Rows)
	clear(w.a[c.Rows:])
	clear(w.b[c.Rows:])
	clear(s.factor[c.Rows:])
	// Local slices of one length spare the checks of their bounds.
	peaks, sums, slow := s.peaks[:c.Rows], s.sums[:c.Rows], w.slow[:c.Rows]
	mass, lost, top, a, b := s.mass[:c.Rows], s.err[:c.Rows], s.top[:c.Rows], w.a[:c.Rows], w.b[:c.Rows]
	bad := 0
	for i := range peaks {
		b[i] = float64(top[i])
		mass[i], lost[i] = kernel.TwoSum(sums[i][1], 0, float64(peaks[i][0]))
		slow[i] = peaks[i][1] != 1 || !(sums[i][0] <= math.MaxFloat64)
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
			w.settled[i] = coef.LeastScale <= a && a <= 0x1p60
			anySlow = anySlow || !w.settled[i]
		}
		scale, fa, fb = s.factor, w.fa, w.fb
	}
	if c.SmallLabels {
		anySlow = w.findSmallLabels() || anySlow
	}
	if !kernel.FinishTarget(c.Loss, fa, fb, w.a, w.b, scale) || anySlow {
		anySlow = w.findSlowTargets()
	}
	loss := c.Loss[:c.Rows]
	for i, l := range loss {
		loss[i] = float64(l*mass[i]) + sums[i][0]
	}
	if c.Grad != nil {
		w.softTargetGradient(stride)
	}
	if anySlow {
		w.evalSlowTargets()
	}
}

// softTargetSums sets the sums of the rows and keeps the exponentials for the gradient, in
// rows of that stride.
func (w *Work[T]) softTargetSums() (stride int) {
	c, s := w.c, &w.targetRows
	s.top, s.peaks, s.sums = kernel.Resize(s.top, c.Rows), kernel.Resize(s.peaks, c.Rows), kernel.Resize(s.sums, c.Rows)
	if c.Grad != nil {
		stride = kernel.KeptStride[T](c.N)
	}
	w.kept = kernel.ResizeAligned(w.kept, c.Rows*stride+c.N)
	step := max(1, nearScores/c.N)
	for i := 0; i < c.Rows; i += step {
		rows, x, top := min(step, c.Rows-i), c.X[i*c.Stride:], s.top[i:]
		if c.Full {
			kernel.Maximum(top[:rows], x, c.Stride, rows, c.N)
		} else {
			for k := range rows {
				top[k] = kernel.CanonicalNaN[T]()
				if m := w.highest(i + k); m >= 0 {
					top[k] = c.Row(i + k)[m]
				}
			}
		}
		kernel.SoftTargets(w.a[i:], s.sums[i:], s.peaks[i:], w.kept[i*stride:], stride, x, c.Stride,
			c.Soft[i*c.SoftStride:], c.SoftStride, rows, c.N, c.Neg[i*c.Words:], c.Words, top)
	}
	return stride
}

// findSmallLabels makes rows with labels between 0 and the least plain one slow.
func (w *Work[T]) findSmallLabels() (anySlow bool) {
	c, least := w.c, T(kernel.PlainLabel[T]())
	for i := range c.Rows {
		for _, t := range c.Soft[i*c.SoftStride:][:c.N] {
			if t != 0 && t < least {
				w.slow[i], anySlow = true, true
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

// softTargetGradient writes the gradient of the rows that are not slow.
func (w *Work[T]) softTargetGradient(stride int) {
	c, s := w.c, &w.targetRows
	s.scale, s.peak = kernel.Resize(s.scale, c.Rows), kernel.Resize(s.peak, c.Rows)
	w.peakDerivatives()
	for i := 0; i < c.Rows; i++ {
		from := i
		for i < c.Rows && !w.slow[i] {
			i++
		}
		if from < i {
			kernel.SoftTargetScale(c.Grad[from*c.GradStride:], c.GradStride, w.kept[from*stride:], stride,
				c.Soft[from*c.SoftStride:], c.SoftStride, i-from, c.N, w.fa[from:], s.scale[from:], s.peak[from:])
		}
	}
}

// peakDerivatives sets the derivatives by the highest scores, with u = A·e^-s_m:
//
//	T·p_m - t_m,  p_m = 1/(1+u)             where that is at most a half
//	(T - t_m) - T·(1-p_m),  1-p_m = u/(1+u) else
func (w *Work[T]) peakDerivatives() {
	c, s := w.c, &w.targetRows
	const lanes = 64
	room := (c.Rows + lanes - 1) &^ (lanes - 1)
	s.power = kernel.ResizeAligned(s.power, room)
	for i, b := range w.b[:c.Rows] {
		s.power[i] = -b
	}
	clear(s.power[c.Rows:])
	kernel.ShortPowers(s.power, s.power)
	scales, factors, peaks, sums := c.Scale[:c.Rows], s.factor[:c.Rows], s.peaks[:c.Rows], s.sums[:c.Rows]
	power, a, out, peak := s.power[:c.Rows], w.a[:c.Rows], s.scale[:c.Rows], s.peak[:c.Rows]
	for i, scale := range scales {
		out[i] = T(scale)
		u := float64(a[i] * power[i])
		g := float64(factors[i] / (1 + u))
		// A branch would be taken now and then.
		first, second := [2]float64{-float64(g * u), g}, [2]float64{-sums[i][1], float64(peaks[i][0])}
		k := 0
		if u > 1 {
			k = 1
		}
		if kernel.IsFloat32[T]() {
			peak[i] = T(first[k] - float64(scale*second[k]))
			continue
		}
		f := softFactor{value: factors[i]}
		if f.value != 0 {
			f.rest = (math.FMA(scale, s.mass[i], -f.value) + float64(scale*s.err[i])) / f.value
		}
		peak[i] = T(f.less(first[k], scale, second[k]))
	}
}
