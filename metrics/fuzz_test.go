package metrics

import (
	"math/rand/v2"
	"testing"
)

// FuzzBrute compares all metrics with their definitions on small matrices with
// many equal scores, masks, learned thresholds and infinities.
func FuzzBrute(f *testing.F) {
	for seed := range uint64(16) {
		f.Add(seed, seed%7, seed%5)
	}
	f.Fuzz(func(t *testing.T, seed, rows, classes uint64) {
		rng := rand.New(rand.NewPCG(seed, 0))
		if seed%2 == 0 {
			testBrute[float32](t, rng, 1+int(rows%12), 1+int(classes%20))
		} else {
			testBrute[float64](t, rng, 1+int(rows%12), 1+int(classes%20))
		}
	})
}
