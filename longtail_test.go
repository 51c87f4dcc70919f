package zlpr

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/ref"
)

// TestClassBalancedWeights compares with exact powers.
func TestClassBalancedWeights(t *testing.T) {
	counts := []int{0, 1, 2, 10, 1000, 5}
	for _, beta := range []float64{0, 0.5, 0.9, 0.999, 0.9999999, 1e-30} {
		var exact []*big.Float
		total := new(big.Float).SetPrec(400)
		for _, n := range counts {
			power := big.NewFloat(1).SetPrec(400)
			for range max(1, n) {
				power.Mul(power, new(big.Float).SetPrec(400).SetFloat64(beta))
			}
			one := big.NewFloat(1).SetPrec(400)
			w := new(big.Float).SetPrec(400).Sub(one, new(big.Float).SetFloat64(beta))
			w.Quo(w, one.Sub(one, power))
			exact = append(exact, w)
			total.Add(total, w)
		}
		for j, got := range ClassBalancedWeights(counts, beta) {
			want, _ := exact[j].Mul(exact[j], big.NewFloat(float64(len(counts)))).Quo(exact[j], total).Float64()
			require.InEpsilon(t, want, got, 0x1p-46, "beta %v class %d", beta, j)
		}
	}
	require.Panics(t, func() { ClassBalancedWeights(counts, 1) })
	require.Panics(t, func() { ClassBalancedWeights([]int{-1}, 0.5) })
	require.Empty(t, ClassBalancedWeights(nil, 0.5))
}

// TestLogitAdjustment compares with the formula in big.Float.
func TestLogitAdjustment(t *testing.T) {
	counts := []int{0, 1, 2, 10, 100000, 5}
	for _, tau := range []float64{0, 1, -0.5, 1.7} {
		for j, got := range LogitAdjustment(counts, tau) {
			share := ref.Quo(ref.New(float64(max(1, counts[j]))), ref.New(100019))
			want, _ := ref.Mul(ref.New(tau), ref.Log(share)).Float64()
			require.InDelta(t, want, got, 0x1p-50*(math.Abs(want)+math.Abs(tau)), "tau %v class %d", tau, j)
		}
	}
	require.Panics(t, func() { LogitAdjustment(counts, math.NaN()) })
	require.Panics(t, func() { LogitAdjustment([]int{-1}, 1) })
	require.Empty(t, LogitAdjustment(nil, 1))
}
