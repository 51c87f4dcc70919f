package power

import (
	"math"

	"github.com/zlpr/zlpr/internal/scalar"

	"github.com/zlpr/zlpr/internal/exact"
)

// A Factor is Value·2^Exp, the factor of a gradient: Exp is 0 where the value alone
// is far enough from the ends of the float64.
type Factor struct {
	Value float64
	Exp   int
}

// Over returns f divided by a sum above 0, of any size.
func (f Factor) Over(sum *exact.Sum) Factor {
	if by := sum.Float64(); f.Exp == 0 && 0x1p-1022 <= by && by <= math.MaxFloat64 {
		if q := f.Value / by; middling(q) {
			return Factor{Value: q}
		}
	}
	m, e := math.Frexp(f.Value)
	n, by := sum.Scaled()
	return Factor{m / n, f.Exp + e - by}.tidy()
}

// Times returns f·x·y, rounded once.
func (f Factor) Times(x, y float64) Factor {
	if f.Exp == 0 {
		hi := float64(f.Value * x)
		lo := math.FMA(f.Value, x, -hi)
		if p := float64(hi * y); middling(hi) && middling(p) {
			return Factor{Value: p + (math.FMA(hi, y, -p) + float64(lo*y))}
		}
	}
	if f.Value == 0 || x == 0 || y == 0 {
		return Factor{}
	}
	m, e := math.Frexp(f.Value)
	n, g := math.Frexp(x)
	o, h := math.Frexp(y)
	hi := float64(m * n)
	p := float64(hi * o)
	return Factor{p + (math.FMA(hi, o, -p) + float64(math.FMA(m, n, -hi)*o)), f.Exp + e + g + h}.tidy()
}

// tidy returns f without an exponent, if it is not too large or too small.
func (f Factor) tidy() Factor {
	m, e := math.Frexp(f.Value)
	if v := scalar.Ldexp(m, e+f.Exp); middling(v) {
		return Factor{Value: v}
	}
	return Factor{m, e + f.Exp}
}

// middling reports whether x is so far from the ends of the float64 that the error
// of a product is a normal number.
func middling(x float64) bool { return 0x1p-900 <= math.Abs(x) && math.Abs(x) <= 0x1p900 }
