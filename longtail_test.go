package zlpr

import (
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
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
