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

// TestAboveHash compares the kernels' results for 10^5 random words of either
// type with the recorded hash of them: the same on every tier and architecture.
func TestAboveHash(t *testing.T) {
	const words, want = 100_000, 0xed1bee1b673f593e
	if testing.Short() {
		t.Skip("takes many words")
	}
	forEachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(13, 14))
		var h uint64
		for range words {
			x, limits := make([]float64, 64), make([]float64, 64)
			for j := range x {
				// Small integers: equal ones are frequent, and exact in both types.
				x[j], limits[j] = float64(r.IntN(9)), float64(r.IntN(9))
				switch r.IntN(500) {
				case 0:
					x[j] = math.NaN()
				case 1:
					limits[j] = math.Inf(1 - 2*r.IntN(2))
				}
			}
			single, singleLimits := make([]float32, 64), make([]float32, 64)
			for j, v := range x {
				single[j], singleLimits[j] = float32(v), float32(limits[j])
			}
			add := func(word []uint64, nan bool) {
				h = (h ^ word[0]) * 0x9e3779b97f4a7c15
				h ^= h >> 32
				if nan {
					h++
				}
			}
			var word [1]uint64
			add(word[:], above(word[:], x, limits))
			add(word[:], above(word[:], single, singleLimits))
		}
		if h != want {
			t.Errorf("hash %#016x, want %#016x", h, uint64(want))
		}
	})
}
