package divergence

import (
	"math"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/scalar"
)

// This file evaluates rows in which the student is close to its teacher: all |δ| are at most
// 4, of float64 scores 2. There φ is a polynomial, by a kernel, and no exponential of a
// difference is taken.

// polynomials returns that distance, and the coefficients h of φ(x) = x·H(-x) and φ(-x) = x·H(-x).
func polynomials[T kernel.Float]() (most float64, plus, minus []float64) {
	if kernel.IsFloat32[T]() {
		return 4, phiPlus[:26], phiMinus[:26]
	}
	return 2, phiPlus[:], phiMinus[:]
}

// phiPlus and phiMinus are (-1)^t/(t+1)! and -1/(t+1)!, but 0 first. What 26 terms leave out
// is below 2^-30 of φ(±4), what 28 do below 2^-58 of φ(±2).
var phiPlus, phiMinus = func() (plus, minus [28]float64) {
	f := 1.0
	for t := 1; t < len(plus); t++ {
		f /= float64(t + 1)
		plus[t], minus[t] = f, -f
		if t%2 == 1 {
			plus[t] = -f
		}
	}
	return plus, minus
}()

// isClose reports whether all d are as close to c as that.
func (w *Work[T]) isClose(c float64) bool {
	most, _, _ := polynomials[T]()
	return w.most-c <= most && w.least-c >= -most
}

// centred writes δ = d - c to x, and returns Σ p·δ. Of float64 scores the short parts of δ
// take those of d.
func (w *Work[T]) centred(x, p []float64, c float64) float64 {
	var m total
	single, block := kernel.IsFloat32[T](), blockLen[T]()
	for from := 0; from < len(p); from += block {
		to := min(from+block, len(p))
		d, y, q := w.d[from:to], x[from:to], p[from:to]
		var m0, m1 float64
		if single {
			for len(d) >= 2 && len(y) >= 2 && len(q) >= 2 {
				y0, y1 := d[0]-c, d[1]-c
				y[0], y[1] = y0, y1
				m0 += float64(q[0] * y0)
				m1 += float64(q[1] * y1)
				d, y, q = d[2:], y[2:], q[2:]
			}
			if len(d) > 0 {
				y[0] = d[0] - c
				m0 += float64(q[0] * y[0])
			}
		} else {
			for k, v := range d {
				z := v - c
				z, short := normalized(z, differenceShort(v, c, z)+w.dShort[from+k])
				y[k], w.dShort[from+k] = z, short
				m0 += float64(q[k] * (z + short))
			}
		}
		m.add(m0 + m1)
	}
	for k := range x[len(p):] {
		x[len(p)+k] = 0
	}
	return m.value()
}

// polynomial writes φ(sign·x) to dst. x has short parts, if those are not nil.
func polynomial(dst, x, h, short []float64, sign float64) {
	kernel.Inclusion(dst, x, h, 1)
	for k, s := range short {
		// φ' = φ + x
		dst[k] += float64((dst[k] + float64(sign*x[k])) * float64(sign*s))
	}
}

// dot returns Σ p·f.
func dot[T kernel.Float](p, f []float64) float64 {
	var sum total
	block := blockLen[T]()
	for len(p) > 0 {
		n := min(len(p), block)
		q, g := p[:n], f[:n]
		var a, b, c, d float64
		for len(q) >= 4 && len(g) >= 4 {
			a += float64(q[0] * g[0])
			b += float64(q[1] * g[1])
			c += float64(q[2] * g[2])
			d += float64(q[3] * g[3])
			q, g = q[4:], g[4:]
		}
		for k, v := range q {
			a += float64(v * g[k])
		}
		sum.add((a + b) + (c + d))
		p, f = p[n:], f[n:]
	}
	return sum.value()
}

// shorts are the short parts of float64 scores.
func (w *Work[T]) shorts() []float64 {
	if kernel.IsFloat32[T]() {
		return nil
	}
	return w.dShort[:w.n]
}

// closeSoftmax evaluates a row of softmax. With E = 1+S+m,
//
//	q - p = p·(e^δ/E - 1) = p·(φ(δ) + δ - (S+m))/E
func (w *Work[T]) closeSoftmax(weight, c, f float64, want bool) float64 {
	n, room := w.n, len(w.z)
	p, x, e := w.w[:n], w.low[:room], w.e[:room]
	_, plus, _ := polynomials[T]()
	over := 1 / weight
	m := float64(w.centred(x, p, c) * over)
	polynomial(e, x, plus, w.shorts(), 1)
	s := float64(dot[T](p, e[:n]) * over)
	if want {
		excess := s + m
		f = float64(f*over) / (1 + excess)
		grad, x, e := w.grad[:n], x[:n], e[:n]
		for k, v := range p {
			grad[k] = float64(float64(f*v) * (e[k] + (x[k] - excess)))
		}
	}
	return divergenceOf[T](s, m)
}

// closeTwoSided evaluates a row of ZLPR, whose class that is none has the rest of the weight.
// With u = e^δ - 1 = φ(δ) + δ, v = e^-δ - 1, and E+ and E- as U and V above 1,
//
//	e^δ/E+ - e^-δ/E- = ((u-U)·(1+V) - (v-V)·(1+U))/(E+·E-)
func (w *Work[T]) closeTwoSided(weight, c, f float64, want bool) float64 {
	n, room := w.n, len(w.z)
	h, x, e, back := w.w[:n], w.low[:room], w.e[:room], w.low[room:2*room]
	_, plus, minus := polynomials[T]()
	over := 1 / weight
	rest := w.centred(x, h, c) - c
	polynomial(e, x, plus, w.shorts(), 1)
	polynomial(back, x, minus, w.shorts(), -1)
	g := scalar.Exp(-c)
	up := dot[T](h, e[:n]) + phi[T](-c, 0, g)
	down := dot[T](h, back[:n]) + phi[T](c, 0, 1/g)
	up, down, rest = float64(up*over), float64(down*over), float64(rest*over)
	if want {
		above, below := up+rest, down-rest
		f = float64(f*over) / float64((1+above)*(1+below))
		grad, x, e, back := w.grad[:n], x[:n], e[:n], back[:n]
		for k, v := range h {
			a := float64((e[k] + (x[k] - above)) * (1 + below))
			b := float64((back[k] - (x[k] + below)) * (1 + above))
			grad[k] = float64(float64(f*v) * (a - b))
		}
	}
	return divergenceOf[T](up, rest) + divergenceOf[T](down, -rest)
}

// closeBernoulli evaluates a row of BCE, around the mean p·d of each class,
//
//	D = log(1 + S), S = p·φ(q·d) + q·φ(-p·d),  ∂D/∂a = p·q·((φ(q·d) + q·d) - (φ(-p·d) - p·d))/(1 + S)
func (w *Work[T]) closeBernoulli(f float64, want bool) float64 {
	n, room := w.n, len(w.z)
	w.more = kernel.Resize(w.more, 4*room)
	x, y, a, b := w.more[:room], w.more[room:2*room], w.more[2*room:3*room], w.more[3*room:4*room]
	p, q, d := w.low[:room], w.low[room:2*room], w.d[:room]
	single := kernel.IsFloat32[T]()
	for k, u := range w.w[:room] {
		s := w.b[k]
		if !single && k < n {
			u = math.FMA(u, math.Copysign(w.bShort[k], -float64(w.bShort[k]*s)), u)
		}
		high := 1 / (1 + u)
		low := float64(u * high)
		high, low = exchanged(high, low, s)
		p[k], q[k] = high, low
		x[k], y[k] = float64(low*d[k]), float64(high*d[k])
	}
	_, plus, minus := polynomials[T]()
	kernel.Inclusion(a, x, plus, 1)
	kernel.Inclusion(b, y, minus, 1)
	e := w.e[:room]
	for k, v := range p {
		e[k] = float64(v*a[k]) + float64(q[k]*b[k])
	}
	var grad []float64
	if want {
		grad = w.grad[:n]
		for k := range grad {
			g := float64(p[k]*q[k]) * ((a[k] + x[k]) - (b[k] - y[k])) / (1 + e[k])
			if w.class != nil {
				g = float64(g * w.class[k])
			}
			grad[k] = float64(f * g)
		}
	}
	if !single {
		for k := range e[:n] {
			g := float64(p[k]*q[k]) * ((a[k] + x[k]) - (b[k] - y[k]))
			e[k] += float64(g * w.dShort[k])
		}
	}
	kernel.Log1p64(e, e)
	if w.class != nil {
		return dot[T](w.class[:n], e[:n])
	}
	return sum[T](e[:n])
}

// exchanged returns x and y, exchanged where s has the sign bit: without a jump, for which
// signs of scores are too irregular.
func exchanged(x, y, s float64) (float64, float64) {
	a, b := math.Float64bits(x), math.Float64bits(y)
	other := (a ^ b) & uint64(int64(math.Float64bits(s))>>63)
	return math.Float64frombits(a ^ other), math.Float64frombits(b ^ other)
}

// sum returns Σ x.
func sum[T kernel.Float](x []float64) float64 {
	var sum total
	block := blockLen[T]()
	for len(x) > 0 {
		n := min(len(x), block)
		var a, b float64
		y := x[:n]
		for ; len(y) >= 2; y = y[2:] {
			a += y[0]
			b += y[1]
		}
		if len(y) > 0 {
			a += y[0]
		}
		sum.add(a + b)
		x = x[n:]
	}
	return sum.value()
}
