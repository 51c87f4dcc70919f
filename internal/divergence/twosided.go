package divergence

import (
	"math"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/scalar"
)

// twoSided evaluates a row of ZLPR by the kernels. f is the factor of the gradient.
func (w *Work[T]) twoSided(f float64, want bool) (loss float64, ok bool) {
	n, room := w.n, len(w.z)
	d, h := w.d[:n], w.w[:n]
	for k, x := range w.b[:room] {
		w.b[k] = -math.Abs(x)
	}
	kernel.TiltExp(w.w[:room], w.b[:room], 1, 0)
	for k, e := range h {
		if !kernel.IsFloat32[T]() {
			e = math.FMA(e, math.Copysign(w.bShort[k], -w.bShort[k]*w.z[k]), e)
		}
		h[k] = e / (1 + float64(e*e))
		if w.class != nil {
			h[k] = float64(h[k] * w.class[k])
		}
	}
	weight, mean := weighted[T](h, d)
	weight++
	if !(weight <= 0x1p60) { // the share of what is no class, with d = 0, is to count
		return 0, false
	}
	c := mean / weight
	if w.most-c > farthest || w.least-c < -farthest || math.Abs(c) > farthest {
		return 0, false
	}
	if w.isClose(c) {
		return w.closeTwoSided(weight, c, f, want), true
	}
	kernel.TiltExp(w.e[:room], w.d[:room], 1, c)
	up, down, rest := w.bothMoments(h, c)
	// The one that is no class, of d = 0.
	e := scalar.Exp(-c)
	up += phi[T](-c, 0, e)
	down += phi[T](c, 0, 1/e)
	rest -= c
	over := 1 / weight
	up, down, rest = float64(up*over), float64(down*over), float64(rest*over)
	loss = divergenceOf[T](up, rest) + divergenceOf[T](down, -rest)
	if !want {
		return loss, true
	}
	// π·(e^δ/E+ - e^-δ/E-) = 2·π·sinh(y)·e^-k,  y = δ - (l+ - l-)/2,  k = (l+ + l-)/2,
	// l = log E.
	a, b := 1+(up+rest), 1+(down-rest)
	la, lb := scalar.Log1pFinite(up+rest), scalar.Log1pFinite(down-rest)
	shift, size := (la-lb)/2, scalar.Exp(-(la+lb)/2)
	ia, ib := 1/a, 1/b
	f = float64(f * over)
	limit, terms := near[T]()
	small := la < limit && lb < limit
	for k, x := range d {
		var g float64
		if y := (x - c) - shift; small && math.Abs(y) < limit { // half a difference is exact
			if !kernel.IsFloat32[T]() {
				y += w.dShort[k]
			}
			g = float64(float64(2*size) * float64(y*sinhSeries(y, terms)))
		} else {
			e := w.e[k]
			g = float64(e*ia) - float64((1/e)*ib)
		}
		w.grad[k] = float64(f * float64(h[k]*g))
	}
	return loss, true
}

// sinhSeries returns sinh(y)/y by as many terms of the series as take y^terms in.
func sinhSeries(y float64, terms int) float64 {
	z := float64(y * y)
	p := 0.0
	for k := (terms + 1) / 2; k >= 0; k-- {
		p = math.FMA(p, z, inverseFactorials[2*k+1])
	}
	return p
}

// bothMoments is moments with Σ h·φ(-δ), too.
func (w *Work[T]) bothMoments(h []float64, c float64) (up, down, mean float64) {
	var a, b, m total
	single, block := kernel.IsFloat32[T](), blockLen[T]()
	for from := 0; from < len(h); from += block {
		to := min(from+block, len(h))
		q, d, e := h[from:to], w.d[from:to], w.e[from:to]
		var a0, b0, m0 [2]float64
		for k, v := range q {
			x, short := d[k]-c, 0.0
			if !single {
				x, short = normalized(x, differenceShort(d[k], c, x)+w.dShort[from+k])
				e[k] = math.FMA(e[k], w.dShort[from+k], e[k])
			}
			lane := k & 1
			a0[lane] += float64(v * phi[T](x, short, e[k]))
			b0[lane] += float64(v * phi[T](-x, -short, 1/e[k]))
			m0[lane] += float64(v * (x + short))
		}
		a.add(a0[0] + a0[1])
		b.add(b0[0] + b0[1])
		m.add(m0[0] + m0[1])
	}
	return a.value(), b.value(), m.value()
}
