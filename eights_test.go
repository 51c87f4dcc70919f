package zlpr

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRowsOfEight: rows of 8 classes without gaps, for which there are kernels of their own,
// have the bits of the same rows with gaps between them, whatever their number, and
// whether their scores are moderate or not.
func TestRowsOfEight(t *testing.T) {
	const n = 8
	forEachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(8, 8))
		for _, loss := range []Loss{ZLPR{}, SoftmaxCrossEntropy{}, Pairwise{}} {
			for _, rows := range []int{1, 7, 8, 9, 255, 256, 263, 1000} {
				for _, spread := range []float64{2, 12} {
					t.Run(fmt.Sprintf("%s/rows=%d/spread=%v", loss.Name(), rows, spread), func(t *testing.T) {
						x, y := make([]float32, rows*n), make([]uint8, rows*n)
						targets := &TargetLabels{n, make([]int32, rows)}
						for i := range x {
							x[i] = float32(spread * r.NormFloat64())
							if r.IntN(4) == 0 {
								y[i] = 1
							}
						}
						for i := range targets.Targets {
							targets.Targets[i] = int32(r.IntN(n))
						}
						b := &Batch[float32]{Scores: Matrix[float32]{rows, n, x, n}, Labels: &DenseLabels[uint8]{rows, n, y, n}}
						if _, one := loss.(SoftmaxCrossEntropy); one {
							b.Labels = targets
						}
						want := evaluateEights(t, loss, b, 0, true)
						require.Equal(t, want, evaluateEights(t, loss, b, 3, true), "with gaps")
						require.Equal(t, want.losses, evaluateEights(t, loss, b, 0, false).losses, "without gradient")
						x[len(x)-1] = 1e4
						require.Equal(t, evaluateEights(t, loss, b, 3, true), evaluateEights(t, loss, b, 0, true), "a large score")
					})
				}
			}
		}
	})
}

// evaluated is what an evaluation gives.
type evaluated struct {
	result Result
	losses []float64
	grad   []float32
}

// evaluateEights evaluates the batch with a gap of so many elements between its rows.
func evaluateEights(t *testing.T, loss Loss, b *Batch[float32], gap int, gradient bool) evaluated {
	rows, n := b.Scores.Rows, b.Scores.Cols
	spaced := *b
	spaced.Scores = Matrix[float32]{rows, n, make([]float32, rows*(n+gap)), n + gap}
	for i := range rows {
		copy(spaced.Scores.Data[i*(n+gap):], b.Scores.Data[i*n:][:n])
	}
	out := &Output[float32]{Losses: make([]float64, rows)}
	grad := make([]float32, rows*(n+gap))
	if gradient {
		out.Grad = Matrix[float32]{rows, n, grad, n + gap}
	}
	e, err := NewEvaluator[float32](loss, Options{Workers: 1})
	require.NoError(t, err)
	result, err := e.Evaluate(context.Background(), &spaced, out)
	require.NoError(t, err)
	v := evaluated{result: result, losses: out.Losses}
	for i := range rows {
		v.grad = append(v.grad, grad[i*(n+gap):][:n]...)
	}
	return v
}
