package zlpr

import (
	"math"

	"github.com/zlpr/zlpr/internal/exact"
)

// A scaled is value·2^exp, the factor of a gradient: exp is 0 where the value alone
// is far enough from the ends of the float64.
type scaled struct {
	value float64
	exp   int
}

// over returns s divided by a sum above 0, of any size.
func (s scaled) over(sum *exact.Sum) scaled {
	if by := sum.Float64(); s.exp == 0 && normal(by) {
		if q := s.value / by; middling(q) {
			return scaled{value: q}
		}
	}
	m, e := math.Frexp(s.value)
	n, f := sum.Scaled()
	return scaled{m / n, s.exp + e - f}.tidy()
}

// times returns s·x·y, rounded once.
func (s scaled) times(x, y float64) scaled {
	if s.exp == 0 {
		hi := float64(s.value * x)
		lo := math.FMA(s.value, x, -hi)
		if p := float64(hi * y); middling(hi) && middling(p) {
			return scaled{value: p + (math.FMA(hi, y, -p) + float64(lo*y))}
		}
	}
	if s.value == 0 || x == 0 || y == 0 {
		return scaled{}
	}
	m, e := math.Frexp(s.value)
	n, f := math.Frexp(x)
	o, g := math.Frexp(y)
	hi := float64(m * n)
	p := float64(hi * o)
	return scaled{p + (math.FMA(hi, o, -p) + float64(math.FMA(m, n, -hi)*o)), s.exp + e + f + g}.tidy()
}

// tidy returns s without an exponent, if it is not too large or too small.
func (s scaled) tidy() scaled {
	m, e := math.Frexp(s.value)
	if v := math.Ldexp(m, e+s.exp); middling(v) {
		return scaled{value: v}
	}
	return scaled{m, e + s.exp}
}

// middling reports whether x is so far from the ends of the float64 that the error
// of a product is a normal number.
func middling(x float64) bool { return 0x1p-900 <= math.Abs(x) && math.Abs(x) <= 0x1p900 }
