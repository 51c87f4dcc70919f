package scalar

import "math"

// Softplus returns log(1+e^x), with an error below 2 ULP (at most 1.570 found).
//
// Special cases are:
//
//	Softplus(+Inf) = +Inf
//	Softplus(x < -708.39…) = 0
//	Softplus(NaN) = NaN
func Softplus(x float64) float64 {
	// e^-|x| ≤ 1: log(1+e^x) = max(x, 0) + log(1+e^-|x|).
	return max(x, 0) + Log1p(Exp(-math.Abs(x)))
}

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
