package scalar

import "math"

// Ldexp returns math.Ldexp(x, e). Where 2^e is a normal number that is their product:
// exact, or rounded once where it is subnormal or too large, as there.
func Ldexp(x float64, e int) float64 {
	if -1022 <= e && e <= 1023 {
		return float64(x * math.Float64frombits(uint64(e+1023)<<52))
	}
	return math.Ldexp(x, e)
}
