package divergence

import (
	"math"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/scalar"
)

// inverseFactorials are 1/k!.
var inverseFactorials = func() (f [24]float64) {
	f[0] = 1
	for k := 1; k < len(f); k++ {
		f[k] = f[k-1] / float64(k)
	}
	return f
}()

// near is where the functions below go by their series: |x| < near.
// seriesTerms is the number of terms that leave out less than 2^-30 and 2^-56 there.
func near[T kernel.Float]() (x float64, terms int) {
	if kernel.IsFloat32[T]() {
		return 0x1p-3, 6
	}
	return 1, 18
}

// exponentSeries returns Σ_(k≥0) x^k/(k+first)!, of that many terms.
func exponentSeries(x float64, first, terms int) float64 {
	f := inverseFactorials[first:][:terms]
	p := f[len(f)-1]
	for k := len(f) - 2; k >= 0; k-- {
		p = math.FMA(p, x, f[k])
	}
	return p
}

// phi returns φ(x + short), e being the exponential of x + short.
func phi[T kernel.Float](x, short, e float64) float64 {
	limit, terms := near[T]()
	switch {
	case math.Abs(x) >= limit:
		return (e - 1 - x) - short
	case kernel.IsFloat32[T]():
		p := math.FMA(x, 1.0/40320, 1.0/5040)
		p = math.FMA(x, p, 1.0/720)
		p = math.FMA(x, p, 1.0/120)
		p = math.FMA(x, p, 1.0/24)
		p = math.FMA(x, p, 1.0/6)
		p = math.FMA(x, p, 0.5)
		return float64(float64(x*x) * p)
	}
	x2 := float64(x * x)
	return float64(x2*exponentSeries(x, 2, terms)) + float64((e-1)*short)
}

// expm1 returns e^x - 1 in the same way.
func expm1[T kernel.Float](x, short, e float64) float64 {
	limit, terms := near[T]()
	if math.Abs(x) >= limit {
		return e - 1
	}
	return math.FMA(e, short, float64(x*exponentSeries(x, 1, terms)))
}

// psi returns ψ(y) = y - log(1+y), y > -1. With s = y/(2+y), log(1+y) = 2·atanh(s):
//
//	ψ(y) = s·(y - 2·s²·(1/3 + s²/5 + …))
func psi[T kernel.Float](y float64) float64 {
	limit, last := 1.0, 17
	if kernel.IsFloat32[T]() {
		limit, last = 0.25, 5
	}
	if y > limit || y < -limit/2-0x1p-10 {
		return y - scalar.Log1pFinite(y)
	}
	s := y / (2 + y)
	z := float64(s * s)
	p := 1 / float64(2*last+3)
	for k := last - 1; k >= 0; k-- {
		p = math.FMA(p, z, oddInverses[k])
	}
	return float64(s * (y - float64(float64(2*z)*p)))
}

// oddInverses are 1/(2k+3).
var oddInverses = func() (f [20]float64) {
	for k := range f {
		f[k] = 1 / float64(2*k+3)
	}
	return f
}()

// divergenceOf returns log(1+S+m) - m, m being small beside S, or its square is.
func divergenceOf[T kernel.Float](s, m float64) float64 {
	if s < 0.5 {
		return s - psi[T](s+m)
	}
	return scalar.Log1pFinite(s+m) - m
}

// normalized returns x + short, the second at most half an ULP of the first.
func normalized(x, short float64) (float64, float64) {
	s := x + short
	b := s - x
	return s, (x - (s - b)) + (short - b)
}

// A total adds up terms of either sign: lanes of a block, and blocks with their errors.
type total struct{ sum, err float64 }

func (t *total) add(x float64) {
	s := t.sum + x
	b := s - t.sum
	t.err += (t.sum - (s - b)) + (x - b)
	t.sum = s
}

func (t *total) value() float64 { return t.sum + t.err }

// blockLen is the number of terms that are added up without their errors, in lanes: 64, of
// which as many half ULP of float64 are nothing to float32, and 8 of float64 scores.
func blockLen[T kernel.Float]() int {
	if kernel.IsFloat32[T]() {
		return 64
	}
	return 8
}
