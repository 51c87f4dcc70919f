package divergence

import (
	"math"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/scalar"
)

// softmax evaluates a row by the kernels. f is the factor of the gradient.
func (w *Work[T]) softmax(f float64, want bool) (loss float64, ok bool) {
	n, room := w.n, len(w.z)
	d, p := w.d[:n], w.w[:n]
	kernel.TiltExp(w.w[:room], w.b[:room], 1, 0)
	if !kernel.IsFloat32[T]() {
		for k, short := range w.bShort[:n] {
			p[k] = math.FMA(p[k], short, p[k])
		}
	}
	weight, mean := weighted[T](p, d)
	c := mean / weight
	if w.most-c > farthest || w.least-c < -farthest {
		return 0, false
	}
	if w.isClose(c) {
		return w.closeSoftmax(weight, c, f, want), true
	}
	kernel.TiltExp(w.e[:room], w.d[:room], 1, c)
	sum, rest := w.moments(p, c)
	over := 1 / weight
	s, m := float64(sum*over), float64(rest*over)
	loss = divergenceOf[T](s, m)
	if !want {
		return loss, true
	}
	// q - p = p·(e^δ/E - 1), E = 1+S+m.
	l := scalar.Log1pFinite(s + m)
	inverse := 1 / (1 + (s + m))
	f = float64(f * over)
	limit, terms := near[T]()
	for k, x := range d {
		var g float64
		if y := (x - c) - l; l < limit && math.Abs(y) < limit {
			if !kernel.IsFloat32[T]() {
				y += w.dShort[k]
			}
			g = float64(y * exponentSeries(y, 1, terms))
		} else {
			g = float64(w.e[k]*inverse) - 1
		}
		w.grad[k] = float64(f * float64(p[k]*g))
	}
	return loss, true
}

// weighted returns Σ p and Σ p·x.
func weighted[T kernel.Float](p, x []float64) (weight, mean float64) {
	var a, m total
	block := blockLen[T]()
	for len(p) > 0 {
		n := min(len(p), block)
		q, y := p[:n], x[:n]
		var a0, a1, m0, m1, m2, m3 float64
		for len(q) >= 4 && len(y) >= 4 {
			a0 += q[0] + q[1]
			a1 += q[2] + q[3]
			m0 = math.FMA(q[0], y[0], m0)
			m1 = math.FMA(q[1], y[1], m1)
			m2 = math.FMA(q[2], y[2], m2)
			m3 = math.FMA(q[3], y[3], m3)
			q, y = q[4:], y[4:]
		}
		for k, v := range q {
			a0 += v
			m0 = math.FMA(v, y[k], m0)
		}
		a.add(a0 + a1)
		m.add((m0 + m1) + (m2 + m3))
		p, x = p[n:], x[n:]
	}
	return a.value(), m.value()
}

// moments returns Σ p·φ(δ) and Σ p·δ, δ = d - c, and completes e.
func (w *Work[T]) moments(p []float64, c float64) (sum, mean float64) {
	var a, m total
	single, block := kernel.IsFloat32[T](), blockLen[T]()
	for from := 0; from < len(p); from += block {
		to := min(from+block, len(p))
		q, d, e := p[from:to], w.d[from:to], w.e[from:to]
		var a0, m0 [2]float64
		for k, v := range q {
			x, short := d[k]-c, 0.0
			if !single {
				x, short = normalized(x, differenceShort(d[k], c, x)+w.dShort[from+k])
				e[k] = math.FMA(e[k], w.dShort[from+k], e[k])
			}
			lane := k & 1
			a0[lane] += float64(v * phi[T](x, short, e[k]))
			m0[lane] += float64(v * (x + short))
		}
		a.add(a0[0] + a0[1])
		m.add(m0[0] + m0[1])
	}
	return a.value(), m.value()
}

// differenceShort returns what x, a - c rounded, lacks.
func differenceShort(a, c, x float64) float64 {
	b := x - a
	return (a - (x - b)) - (c + b)
}
