package gen

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
)

// pick returns the one of two constants that belongs to the element type.
func (e elem) pick(single, double float64) float64 {
	if e == float64s {
		return double
	}
	return single
}

// expConstants are the constants of an exponential of an element type; c[i]
// belongs to r^(i+2).
func expConstants(e elem) (log2e, ln2Hi, ln2Lo float64, c []float64) {
	if e == float64s {
		return coef.Log2E64, coef.Ln2Hi64, coef.Ln2Lo64, coef.Exp64[:]
	}
	return coef.Log2E32, coef.Ln2Hi32, coef.Ln2Lo32, coefficients(coef.Exp32[:])
}

// coefficients returns a polynomial's coefficients as float64.
func coefficients[T float32 | float64](c []T) []float64 {
	var all []float64
	for _, x := range c {
		all = append(all, float64(x))
	}
	return all
}

// pivot0 returns the magic number of pivot 0 and the limits to which scores are
// clamped for it, with the roundings of kernel.PivotParams.
func pivot0(e elem) (magic, low, high float64) {
	ln2 := math.Ln2 // a variable: the products are rounded
	return e.pick(coef.Magic32, coef.Magic64),
		e.pick(coef.ClampLow32, coef.ClampLow64) * ln2, e.pick(coef.ClampHigh32, coef.ClampHigh64) * ln2
}
