package zlpr

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReuseAfterErrors: an Evaluator gives the same results after batches that
// failed, whatever their size.
func TestReuseAfterErrors(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, loss := range []Loss{ZLPR{}, BCE{}, BCE{Focal: 2}, Pairwise{}} {
		for _, workers := range []int{1, 3} {
			opts := Options{Workers: workers, Reduction: Mean}
			used, err := NewEvaluator[float64](loss, opts)
			require.NoError(t, err)
			for range 100 {
				rows, n := 1+rng.IntN(600), 1+rng.IntN(100)
				x, y := make([]float64, rows*n), make([]uint8, rows*n)
				for i := range x {
					x[i], y[i] = rng.NormFloat64(), uint8(rng.IntN(2))
				}
				batch := &Batch[float64]{Scores: Matrix[float64]{rows, n, x, n}, Labels: &DenseLabels[uint8]{rows, n, y, n}}
				bad := -1
				if rng.IntN(2) == 0 {
					bad = rng.IntN(rows)
					y[bad*n] = 7
				}
				out := func() *Output[float64] {
					return &Output[float64]{Losses: make([]float64, rows), Grad: Matrix[float64]{rows, n, make([]float64, rows*n), n}}
				}
				got := out()
				result, err := used.Evaluate(context.Background(), batch, got)
				if bad >= 0 {
					require.Equal(t, notBinary(bad, 0, 7), err)
					continue
				}
				require.NoError(t, err)
				fresh, err := NewEvaluator[float64](loss, opts)
				require.NoError(t, err)
				want := out()
				wantResult, err := fresh.Evaluate(context.Background(), batch, want)
				require.NoError(t, err)
				require.Equal(t, wantResult, result)
				require.Equal(t, want, got)
			}
		}
	}
}
