package zlpr

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/ref"
)

// TestAsymmetric compares the asymmetric loss with the reference, and special cases.
func TestAsymmetric(t *testing.T) {
	t.Run("float32", testAsymmetric[float32])
	t.Run("float64", testAsymmetric[float64])
	t.Run("limits", func(t *testing.T) {
		inf := math.Inf(1)
		for _, c := range []struct {
			loss     Asymmetric
			x        float64
			positive bool
			want     float64
			grad     float64
		}{
			{Asymmetric{}, inf, false, inf, 1},
			{Asymmetric{GammaNegative: 4}, -inf, false, 0, 0},
			{Asymmetric{GammaPositive: 1}, -inf, true, inf, -1},
			{Asymmetric{Shift: 0.5}, inf, false, math.Ln2, 0},
			{Asymmetric{Shift: 0.5}, 0, false, 0, 0}, // p = m
			{Asymmetric{Shift: 0.5, GammaNegative: 2}, -3, false, 0, 0},
			{Asymmetric{Shift: 0.5, GammaNegative: 2}, math.NaN(), false, math.NaN(), math.NaN()},
		} {
			b := &Batch[float64]{Scores: MatrixOf([][]float64{{c.x}}), Labels: &DenseLabels[bool]{1, 1, []bool{c.positive}, 1}}
			_, losses, grad := evalBatch(t, c.loss, Options{}, b, Output[float64]{})
			if c.want != c.want {
				require.True(t, losses[0] != losses[0] && grad[0] != grad[0])
				continue
			}
			require.InDelta(t, 1, (1+min(losses[0], 1e300))/(1+min(c.want, 1e300)), 1e-15, "%+v", c)
			require.Equal(t, c.grad, grad[0], "%+v", c)
		}
	})
	for _, loss := range []Asymmetric{{GammaPositive: -1}, {GammaNegative: math.NaN()}, {Shift: 1}, {Shift: -0.1}, {Shift: math.NaN()}} {
		_, err := NewEvaluator[float32](loss, Options{})
		require.ErrorContains(t, err, "Asymmetric.", "%+v", loss)
	}
}

func testAsymmetric[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(81, 82))
	ulp, smallest := unitsOf[T]()
	for _, n := range []int{1, 2, 5, 64, 100} {
		for _, loss := range []Asymmetric{{}, {GammaNegative: 4}, {GammaPositive: 1, GammaNegative: 4, Shift: 0.05}, {GammaNegative: 0.3, Shift: 0.5}, {Shift: 0.2}} {
			x, positive := pathRows[T](r, 2, n)
			b := &Batch[T]{Scores: Matrix[T]{2, n, x, n}, Labels: &DenseLabels[bool]{2, n, positive, n}}
			_, losses, grad := evalBatch(t, loss, Options{}, b, Output[T]{})
			for i := range 2 {
				c := lossCase[T]{scores: b.Scores.Row(i), positive: positive[i*n:][:n]}
				want, near := c.row().Asymmetric(loss.GammaPositive, loss.GammaNegative, loss.Shift)
				most := 0.0
				for j, g := range grad[i*n:][:n] {
					m, _ := near[j].Float64()
					most = max(most, m)
					if a, _ := want.Grad[j].Float64(); math.Abs(a) >= smallest {
						require.Less(t, ref.RelError(float64(g), want.Grad[j], ulp), 4*(1+(1+loss.GammaNegative)*m/1024), "%+v n=%d class %d", loss, n, j)
					}
				}
				if l, _ := want.Loss.Float64(); l > 0x1p-1000 {
					require.Less(t, ref.RelError(losses[i], want.Loss, ulp), 4*(1+(1+loss.GammaNegative)*most/1024), "%+v n=%d", loss, n)
				}
			}
		}
	}
}

// TestAsymmetricBits: the same bits for any number of workers, with the gradient in
// place of the scores, and everywhere.
func TestAsymmetricBits(t *testing.T) {
	forEachTier(t, func(t *testing.T) {
		require.Equal(t, uint64(0x9c628ab701ca6101), asymmetricHash[float32](t))
		require.Equal(t, uint64(0x9b91652ec599e95f), asymmetricHash[float64](t))
	})
}

func asymmetricHash[T Float](t *testing.T) uint64 {
	r := rand.New(rand.NewPCG(83, 84))
	h := fnv.New64a()
	for _, loss := range []Loss{TwoWay{PositiveTemperature: 4}, Asymmetric{GammaNegative: 4}, Asymmetric{GammaPositive: 1, GammaNegative: 4, Shift: 0.05}} {
		for _, n := range []int{1, 5, 64, 70, 300} {
			x, positive := pathRows[T](r, 40, n)
			b := &Batch[T]{Scores: Matrix[T]{40, n, x, n}, Labels: &DenseLabels[bool]{40, n, positive, n}}
			_, losses, grad := evalBatch(t, loss, Options{Workers: 1}, b, Output[T]{})
			in := *b
			in.Scores.Data = append([]T(nil), x...)
			out := Output[T]{Losses: make([]float64, 40), Grad: in.Scores}
			e, err := NewEvaluator[T](loss, Options{Workers: 3})
			require.NoError(t, err)
			_, err = e.Evaluate(context.Background(), &in, &out)
			require.NoError(t, err)
			for i, l := range losses {
				require.Equal(t, math.Float64bits(l), math.Float64bits(out.Losses[i]), "n=%d", n)
				fmt.Fprintf(h, "%x ", math.Float64bits(l))
			}
			for i, g := range grad {
				require.Equal(t, math.Float64bits(float64(g)), math.Float64bits(float64(out.Grad.Data[i])), "n=%d", n)
				fmt.Fprintf(h, "%x ", math.Float64bits(float64(g)))
			}
		}
	}
	return h.Sum64()
}

// TestAsymmetricLargeExponents: exponents so large that the rounding of p-m to the digits
// of 1 would count.
func TestAsymmetricLargeExponents(t *testing.T) {
	x := []float64{0x1.e7e0d577a8089p+57, 40, 3}
	l := Asymmetric{GammaNegative: 0x1.45f7caff3a9d8p+31, Shift: 0x1.00009398d36eap-30}
	b := &Batch[float64]{Scores: MatrixOf([][]float64{x}), Labels: &DenseLabels[bool]{1, 3, make([]bool, 3), 3}}
	_, losses, _ := evalBatch(t, l, Options{}, b, Output[float64]{})
	c := lossCase[float64]{scores: x, positive: make([]bool, 3)}
	want, _ := c.row().Asymmetric(0, l.GammaNegative, l.Shift)
	require.Less(t, ref.RelError(losses[0], want.Loss, 0x1p-52), 4.0)
}
