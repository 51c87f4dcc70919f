package scalar

import "math"

// Sigmoid returns 1/(1+e^-x), with an error below 3 ULP (at most 2.467 found).
//
// Special cases are:
//
//	Sigmoid(+Inf) = 1
//	Sigmoid(x < -708.39…) = 0
//	Sigmoid(NaN) = NaN
func Sigmoid(x float64) float64 {
	e := Exp(-math.Abs(x))
	if x < 0 {
		return e / (1 + e)
	}
	return 1 / (1 + e)
}
