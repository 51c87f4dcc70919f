package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/zlpr/zlpr"
)

func testAbove[T zlpr.Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	special := []T{0, T(math.Copysign(0, -1)), T(math.Inf(1)), T(math.Inf(-1)), T(math.NaN())}
	for n := range 400 {
		x, thresholds := make([]T, n), make([]T, n, max(n, 64))
		wantNaN := false
		want := make([]uint64, (n+63)/64)
		for j := range x {
			x[j], thresholds[j] = T(rng.NormFloat64()), T(rng.NormFloat64())
			switch rng.IntN(8) {
			case 0:
				thresholds[j] = x[j]
			case 1:
				x[j] = special[rng.IntN(len(special)-1+n%2)]
			case 2:
				thresholds[j] = special[rng.IntN(4)]
			}
			wantNaN = wantNaN || x[j] != x[j]
			if x[j] > thresholds[j] {
				want[j/64] |= 1 << (j % 64)
			}
		}
		got := make([]uint64, len(want))
		for i := range got {
			got[i] = 0xaaaaaaaaaaaaaaaa
		}
		if nan := aboveRow(got, x, thresholds); nan != wantNaN || !slices.Equal(got, want) {
			t.Fatalf("n = %d: %x %v, want %x %v", n, got, nan, want, wantNaN)
		}
	}
}

func TestAbove(t *testing.T) {
	forEachTier(t, func(t *testing.T) {
		testAbove[float32](t)
		testAbove[float64](t)
	})
}

func TestNarrow(t *testing.T) {
	for _, s0 := range []float64{0, 0.1, -0.1, 1e300, -1e300, 1e-300, -1e-300, math.Inf(1), math.Inf(-1), 0.5} {
		got := narrow[float32](s0)
		next := math.Nextafter32(got, float32(math.Inf(1)))
		if float64(got) > s0 || next > got && float64(next) <= s0 {
			t.Errorf("narrow(%v) = %v", s0, got)
		}
		if narrow[float64](s0) != s0 {
			t.Errorf("float64: narrow(%v) = %v", s0, narrow[float64](s0))
		}
	}
}
