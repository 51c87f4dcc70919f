package exact

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/zlpr/zlpr/internal/partial"
)

// TestEncode: sums of all sizes and signs come back, all bits.
func TestEncode(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for i := range 2000 {
		var s Sum
		for range i % 4 {
			x := math.Float64frombits(rng.Uint64())
			if i%3 == 0 {
				x = math.Ldexp(rng.NormFloat64(), rng.IntN(40)-20)
			}
			if i%2 == 0 {
				s.Add(x)
			} else {
				s.AddProduct(x, rng.NormFloat64())
			}
		}
		if i%5 == 0 {
			s.Add(-s.Float64())
		}
		w := partial.NewWriter(partial.Total)
		s.Encode(w)
		r, err := partial.NewReader(w.Bytes(), partial.Total)
		if err != nil {
			t.Fatal(err)
		}
		got := Sum{special: hasNaN}
		got.Decode(r)
		if err := r.End(); err != nil || got != s {
			t.Fatalf("%d: %v: %v, want %v", i, err, got.Float64(), s.Float64())
		}
	}
}
