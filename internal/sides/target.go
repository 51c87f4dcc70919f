package sides

import "github.com/zlpr/zlpr/internal/kernel"

// This file evaluates softmax cross-entropy: A is the sum over all classes but the
// target t, whose exponential is left out of it, and
//
//	L = log1p(u),  u = A·e^-s_t
//	∂L/∂s_i = e^s_i·(e^-s_t/(1+u)),  ∂L/∂s_t = -u/(1+u)

// evalTarget evaluates the rows at pivot 0, and by evalSlow those for which that
// does not serve.
func (w *Work[T]) evalTarget() {
	c := w.c
	w.prepare(c.Rows)
	keep := c.Grad != nil && (c.N <= keepLen || c.Buffered)
	if keep {
		w.placeKept()
		w.eachKept(0, c.Rows, func(i, end int, kept []T, wStride int) {
			kernel.TargetExp(w.a[i:], kept, wStride, c.X[i*c.Stride:], c.Stride, end-i, c.N, c.Neg[i*c.Words:], c.Words, c.Pending)
		})
	} else {
		kernel.TargetSums(w.a, c.X, c.Stride, c.Rows, c.N, c.Neg, c.Words)
	}
	targetScores(w.b, c.X, c.Stride, c.Target)
	anySlow := w.finishTarget()
	if anySlow {
		w.prepareSides()
		w.evalSlow()
	}
	if c.Grad == nil {
		return
	}
	for i := 0; i < c.Rows; {
		if anySlow && w.slow[i] {
			i++
			continue
		}
		end := c.Rows
		if anySlow {
			for end = i + 1; end < c.Rows && !w.slow[end]; end++ {
			}
		}
		if keep {
			w.eachKept(i, end, func(i, end int, kept []T, wStride int) {
				kernel.TargetScale(c.Grad[i*c.GradStride:], c.GradStride, kept, wStride, end-i, c.N, w.fa[i:])
			})
		} else {
			w.longGradient(i)
		}
		setTargets(c.Grad[i*c.GradStride:], c.GradStride, c.Target[i:end], w.fb[i:])
		i = end
	}
}

// targetScores sets b to the targets' scores, 0 where there is no target.
func targetScores[T kernel.Float](b []float64, x []T, stride int, target []int) {
	b = b[:len(target)]
	at := 0
	for i, t := range target {
		b[i] = 0
		if t >= 0 {
			b[i] = float64(x[at+t])
		}
		at += stride
	}
}

// setTargets sets the derivatives by the targets' scores.
func setTargets[T kernel.Float](grad []T, stride int, target []int, d []T) {
	d = d[:len(target)]
	at := 0
	for i, t := range target {
		if t >= 0 {
			grad[at+t] = d[i]
		}
		at += stride
	}
}

// finishTarget computes losses and factors of the gradient from the sums a and the
// targets' scores b of all rows, and reports whether there are slow rows.
func (w *Work[T]) finishTarget() (anySlow bool) {
	clear(w.a[w.c.Rows:])
	clear(w.b[w.c.Rows:])
	scale, fa, fb := w.scale, w.fa, w.fb
	if w.c.Grad == nil {
		scale, fa, fb = nil, nil, nil
	}
	if kernel.FinishTarget(w.c.Loss, fa, fb, w.a, w.b, scale) {
		return false
	}
	for i := range w.c.Rows {
		b, u, ok := kernel.TargetFast[T](w.a[i], w.b[i])
		w.settled[i] = ok
		if !ok {
			w.c.Loss[i] = 0 // and evalSlow adds to it
		} else if scale != nil {
			f, target := kernel.TargetFactors(b, u, scale[i])
			ok = kernel.TargetFits[T](w.a[i], f, target)
		}
		w.slow[i] = !ok
		anySlow = anySlow || !ok
	}
	return anySlow
}
