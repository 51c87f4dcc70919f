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

// FuzzUnmarshal reads what may be no Accumulator; what it takes for one has
// results.
func FuzzUnmarshal(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	b := randomBatch[float32](rng, 4, 3)
	for _, names := range [][]string{All(1), {"lrap", "micro_auc"}, {"psp_at_1"}} {
		a, err := NewAccumulator[float32](3, names, Options{Rule: AboveEach([]float64{0, 1, 2}), Propensities: []float64{1, 1, 0.5}})
		if err != nil {
			f.Fatal(err)
		}
		if err := a.Add(b); err != nil {
			f.Fatal(err)
		}
		data, err := a.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var a Accumulator[float32]
		if a.UnmarshalBinary(data) == nil {
			_, _ = a.Results()
		}
	})
}
