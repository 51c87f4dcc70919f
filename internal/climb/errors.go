package climb

import (
	"math"
	"math/big"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/ref"
)

// isSingle reports whether T is float32.
func isSingle[T zlpr.Float]() bool {
	_, single := any(T(0)).(float32)
	return single
}

// typeName returns the name of T.
func typeName[T zlpr.Float]() string {
	if isSingle[T]() {
		return "float32"
	}
	return "float64"
}

// unit returns what the documentation calls an ULP of 1.
func unit[T zlpr.Float]() float64 {
	if isSingle[T]() {
		return 0x1p-23
	}
	return 0x1p-52
}

// narrow returns numbers as T, of which they are values.
func narrow[T zlpr.Float](x []float64) []T {
	y := make([]T, len(x))
	for i, v := range x {
		y[i] = T(v)
	}
	return y
}

func abs(x *big.Float) *big.Float { return new(big.Float).Abs(x) }

// below reports |x| < y.
func below(x *big.Float, y float64) bool { return abs(x).Cmp(new(big.Float).SetFloat64(y)) < 0 }

// relative returns the error of got over the unit, relative to scale, which is
// that of want or above. What the numbers of T cannot hold is infinite; below
// the lowest scale, got is within that too.
func relative[T zlpr.Float](got T, want, scale *big.Float, lowest, unit float64) float64 {
	if got != got {
		return math.Inf(1)
	}
	largest, epsilon := math.MaxFloat64, 0x1p-52
	if isSingle[T]() {
		largest, epsilon = math.MaxFloat32, 0x1p-23
	}
	if !below(want, largest*(1-8*epsilon)) { // at the end of the range a rounding decides
		if float64(got)*float64(want.Sign()) >= largest*(1-16*epsilon) {
			return 0
		}
		return math.Inf(1)
	}
	if below(scale, lowest) {
		if math.Abs(float64(got)) <= 2*lowest {
			return 0
		}
		return math.Inf(1)
	}
	return ref.AbsError(float64(got), want, scale, unit)
}
