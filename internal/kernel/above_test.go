package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

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
			add(word[:], !Above(word[:], x, limits))
			add(word[:], !Above(word[:], single, singleLimits))
		}
		if h != want {
			t.Errorf("hash %#016x, want %#016x", h, uint64(want))
		}
	})
}
