package zlpr

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/ref"
)

// TestDistributionBalanced compares with the reference, and special cases.
func TestDistributionBalanced(t *testing.T) {
	t.Run("float32", testDistributionBalanced[float32])
	t.Run("float64", testDistributionBalanced[float64])
	t.Run("limits", func(t *testing.T) {
		inf := math.Inf(1)
		loss := NewDistributionBalanced([]int{5, 50}, 100)
		for _, c := range []struct {
			x, loss float64
			grad    []float64
		}{
			{inf, 0, []float64{0, 0}},
			{-inf, inf, []float64{-(0.1 + 1/(1+math.Exp(-7))), 0}},
			{math.NaN(), math.NaN(), nil},
		} {
			b := &Batch[float64]{Scores: MatrixOf([][]float64{{c.x, -inf}}), Labels: &DenseLabels[bool]{1, 2, []bool{true, false}, 2}}
			_, losses, grad := evalBatch(t, loss, Options{}, b, Output[float64]{})
			if c.loss != c.loss {
				require.True(t, losses[0] != losses[0] && grad[0] != grad[0] && grad[1] != grad[1])
				continue
			}
			require.Equal(t, c.loss, losses[0])
			require.InDeltaSlice(t, c.grad, grad, 1e-14)
		}
	})
	t.Run("β = 0", func(t *testing.T) { // all weights are α + 1/2, of rows without positives, too
		loss := NewDistributionBalanced([]int{5, 50}, 100)
		loss.Beta = 0
		for _, positive := range [][]bool{{true, false}, {false, false}} {
			b := &Batch[float64]{Scores: MatrixOf([][]float64{{1, -0.5}}), Labels: &DenseLabels[bool]{1, 2, positive, 2}}
			_, losses, _ := evalBatch(t, loss, Options{}, b, Output[float64]{})
			c := lossCase[float64]{scores: []float64{1, -0.5}, positive: positive}
			want, _ := c.row().DistributionBalanced(loss.Counts, 100, 0.1, 0, 0.3, 0.05, 2).Loss.Float64()
			require.InEpsilon(t, want, losses[0], 1e-14)
		}
	})
	good := NewDistributionBalanced([]int{5, 50}, 100)
	for _, change := range []func(l *DistributionBalanced){
		func(l *DistributionBalanced) { l.Counts = nil },
		func(l *DistributionBalanced) { l.Counts = []int{5, 101} },
		func(l *DistributionBalanced) { l.Counts = []int{5, -1} },
		func(l *DistributionBalanced) { l.Rows = 0 },
		func(l *DistributionBalanced) { l.Alpha = -1 },
		func(l *DistributionBalanced) { l.Beta = math.Inf(1) },
		func(l *DistributionBalanced) { l.Mu = math.NaN() },
		func(l *DistributionBalanced) { l.Kappa = -1 },
		func(l *DistributionBalanced) { l.NegativeScale = 0 },
	} {
		l := good
		change(&l)
		_, err := NewEvaluator[float32](l, Options{})
		require.ErrorContains(t, err, "DistributionBalanced.")
	}
	e, err := NewEvaluator[float32](good, Options{})
	require.NoError(t, err)
	_, err = e.Evaluate(t.Context(), &Batch[float32]{Scores: Matrix[float32]{1, 3, make([]float32, 3), 3}, Labels: &DenseLabels[bool]{1, 3, make([]bool, 3), 3}}, nil)
	require.ErrorContains(t, err, "DistributionBalanced.Counts: 2, want one for each of 3 classes")
}

func testDistributionBalanced[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(111, 112))
	ulp, smallest := unitsOf[T]()
	for _, n := range []int{1, 2, 5, 64, 100} {
		for range 6 {
			x, positive := pathRows[T](r, 2, n)
			if r.IntN(3) == 0 {
				clear(positive[:n])
			}
			loss := NewDistributionBalanced(make([]int, n), 1000)
			for j := range loss.Counts {
				loss.Counts[j] = int(math.Exp(7 * r.Float64()))
				loss.Counts[j] = min(loss.Counts[j], 1000)
			}
			if r.IntN(2) == 0 {
				loss.Alpha, loss.Beta, loss.Mu, loss.Kappa, loss.NegativeScale = r.Float64(), 10*r.Float64(), r.Float64(), r.Float64(), 5*r.Float64()+0.1
			}
			bound := 4.0
			if ulp == 0x1p-52 {
				bound = 16 + 4*loss.Beta
				for _, v := range loss.rule().Shift {
					bound = max(bound, 16+4*loss.Beta+8*max(1, loss.NegativeScale)*math.Abs(v))
				}
			}
			b := &Batch[T]{Scores: Matrix[T]{2, n, x, n}, Labels: &DenseLabels[bool]{2, n, positive, n}}
			_, losses, grad := evalBatch(t, loss, Options{}, b, Output[T]{})
			for i := range 2 {
				c := lossCase[T]{scores: b.Scores.Row(i), positive: positive[i*n:][:n]}
				want := c.row().DistributionBalanced(loss.Counts, loss.Rows, loss.Alpha, loss.Beta, loss.Mu, loss.Kappa, loss.NegativeScale)
				if l, _ := want.Loss.Float64(); l > 0x1p-1000 {
					require.Less(t, ref.RelError(losses[i], want.Loss, ulp), bound, "%+v n=%d", loss, n)
				}
				for j, g := range grad[i*n:][:n] {
					if a, _ := want.Grad[j].Float64(); math.Abs(a) >= smallest {
						require.Less(t, ref.RelError(float64(g), want.Grad[j], ulp), bound, "%+v n=%d class %d", loss, n, j)
					}
				}
			}
		}
	}
}

// TestDistributionBalancedBits: the same bits everywhere.
func TestDistributionBalancedBits(t *testing.T) {
	r := rand.New(rand.NewPCG(113, 114))
	h := fnv.New64a()
	for _, n := range []int{1, 5, 64, 70} {
		x, positive := pathRows[float64](r, 40, n)
		loss := NewDistributionBalanced(make([]int, n), 1000)
		for j := range loss.Counts {
			loss.Counts[j] = r.IntN(1000)
		}
		_, losses, grad := evalBatch(t, loss, Options{}, &Batch[float64]{Scores: Matrix[float64]{40, n, x, n}, Labels: &DenseLabels[bool]{40, n, positive, n}}, Output[float64]{})
		for _, v := range append(losses, grad...) {
			fmt.Fprintf(h, "%x ", math.Float64bits(v))
		}
	}
	require.Equal(t, uint64(0x4ecbbe6d96dbd5f9), h.Sum64())
}
