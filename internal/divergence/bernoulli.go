package divergence

import (
	"math"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/scalar"
)

// This file evaluates the sum of the divergences of every class alone, with p for
// sigmoid(b) where d > 0, else for sigmoid(-b), and q = 1-p: that is, with the sign of
// scores chosen for d ≥ 0,
//
//	D = log(q + p·e^d) - p·d = q·φ(-d) - ψ(-q·(1-e^-d))    for q ≤ 1/2
//	                         = p·φ(d) - ψ(p·(e^d-1))       for p < 1/2, d small, of float32 scores
//	                         = log(1 + p·φ(q·d) + q·φ(-p·d))  for that of float64 scores
//	∂D/∂a = p·q·(1-e^-d)/(p + q·e^-d)
//
// The second terms are at most 2/3 of the first ones.

// bernoulli evaluates a row by the kernels. f is the factor of the gradient.
func (w *Work[T]) bernoulli(f float64, want bool) (loss float64, ok bool) {
	n, room := w.n, len(w.z)
	if w.least < -farthest || w.most > farthest {
		return 0, false
	}
	below, apart := w.low[:room], w.low[room:2*room]
	for k, x := range w.b[:room] {
		below[k], apart[k] = -math.Abs(x), -math.Abs(w.d[k])
	}
	kernel.TiltExp(w.w[:room], below, 1, 0)
	if w.isClose(0) {
		return w.closeBernoulli(f, want), true
	}
	kernel.TiltExp(w.e[:room], apart, 1, 0)
	var sum total
	single, block := kernel.IsFloat32[T](), blockLen[T]()
	for from := 0; from < n; from += block {
		to := min(from+block, n)
		lanes := 0.0
		for k := from; k < to; k++ {
			b, d, u, e, short := w.b[k], w.d[k], w.w[k], w.e[k], 0.0
			up := d > 0
			if !single {
				short = w.dShort[k]
				if !up {
					short = -short
				}
				bShort := w.bShort[k]
				if b > 0 {
					bShort = -bShort
				}
				u = math.FMA(u, bShort, u)
				e = math.FMA(e, -short, e)
			}
			p := 1 / (1 + u)
			q := float64(u * p)
			if (b > 0) != up {
				p, q = q, p
			}
			t, g := bernoulliTerm[T](p, q, math.Abs(d), short, e)
			if w.class != nil {
				t, g = float64(t*w.class[k]), float64(g*w.class[k])
			}
			if single {
				lanes += t
			} else {
				sum.add(t)
			}
			if want {
				if !up {
					g = 0 - g // not -0
				}
				w.grad[k] = float64(f * g)
			}
		}
		if single {
			sum.add(lanes)
		}
	}
	loss = sum.value()
	return loss, loss <= math.MaxFloat64
}

// bernoulliTerm returns the divergence and its derivative for p, q = 1-p and d + short ≥ 0, e
// being e^-(d+short).
func bernoulliTerm[T kernel.Float](p, q, d, short, e float64) (t, g float64) {
	lost := -expm1[T](-d, -short, e) // 1 - e^-d
	g = float64(p*q) * lost / (p + float64(q*e))
	switch {
	case q <= 0.5:
		return float64(q*phi[T](-d, -short, e)) - psi[T](-float64(q*lost)), g
	case d <= 4 && !kernel.IsFloat32[T]():
		// Around the mean p·d, with two terms of one sign.
		x, y := float64(q*d), -float64(p*d)
		ex, ey := 1.0, 1.0 // below 1 there are series
		if d >= 1 {
			ex, ey = scalar.Exp(x), scalar.Exp(y)
		}
		s := float64(p*phi[T](x, 0, ex)) + float64(q*phi[T](y, 0, ey))
		return divergenceOf[T](s, 0) + float64(g*short), g
	case d <= 1:
		e = 1 / e
		return float64(p*phi[T](d, short, e)) - psi[T](float64(p*expm1[T](d, short, e))), g
	}
	return scalar.Log1pFinite(float64(p*(1/e-1))) - float64(p*(d+short)), g
}
