package ref

import (
	"math"
	"math/big"
)

// RelError returns |got - want|/|want| over unit, where unit is the ULP meant:
// 2^-23 or 2^-52. Both zero is 0; want zero alone is +Inf.
func RelError(got float64, want *big.Float, unit float64) float64 {
	return AbsError(got, want, want, unit)
}

// AbsError returns |got - want|/|scale| over unit. Equal infinities have
// distance 0.
func AbsError(got float64, want, scale *big.Float, unit float64) float64 {
	if want.IsInf() && math.IsInf(got, want.Sign()) {
		return 0
	}
	if got != got || math.IsInf(got, 0) {
		return math.Inf(1)
	}
	if want.IsInf() {
		return math.Inf(1)
	}
	d := Sub(New(got), want)
	if d.Sign() == 0 {
		return 0
	}
	if scale.Sign() == 0 {
		return math.Inf(1)
	}
	e, _ := Quo(d, Mul(scale, New(unit))).Float64()
	return math.Abs(e)
}

// ULPs returns the error of got as a T in units in the last place of want: the
// spacing of the numbers of T at want, at least that of the smallest normals.
func ULPs[T float32 | float64](got T, want *big.Float) float64 {
	digits, lowest := 53, -1021
	if _, single := any(got).(float32); single {
		digits, lowest = 24, -125
	}
	if math.IsNaN(float64(got)) || math.IsInf(float64(got), 0) {
		return math.Inf(1)
	}
	e := lowest
	if want.Sign() != 0 {
		e = max(want.MantExp(nil), lowest)
	}
	d := Sub(New(float64(got)), want)
	u, _ := d.SetMantExp(d, digits-e).Float64()
	return math.Abs(u)
}

// One returns max(|x|, 1).
func One(x *big.Float) *big.Float {
	a := newFloat().Abs(x)
	if a.Cmp(New(1)) < 0 {
		return New(1)
	}
	return a
}
