package kernel

import (
	"math"
	"testing"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
)

// TestFastSum: a sum is fast that is natural or 0, and none that is NaN, whatever its sign.
func TestFastSum(t *testing.T) {
	kerneltest.ForBothTypes(t, testFastSum[float32], testFastSum[float64])
}

func testFastSum[T Float](t *testing.T) {
	low, high := coef.NaturalLow64, coef.NaturalHigh64
	if IsFloat32[T]() {
		low, high = coef.NaturalLow32, coef.NaturalHigh32
	}
	nan := math.NaN()
	for _, x := range []float64{
		0, math.Copysign(0, -1), 1, -1, low, high, math.Nextafter(low, 0), math.Nextafter(high, math.MaxFloat64), -low, -high,
		math.SmallestNonzeroFloat64, math.MaxFloat64, math.Inf(1), math.Inf(-1), nan, math.Copysign(nan, -1), math.Float64frombits(math.MaxUint64),
	} {
		if got, want := FastSum[T](x), Natural[T](x) || x == 0; got != want {
			t.Errorf("FastSum(%v, %#x) = %v", x, math.Float64bits(x), got)
		}
	}
}
