package kernel

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/ref"
)

// TestShiftedBits: the kernels give the specification's bits.
func TestShiftedBits(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	forEachTier(t, func(t *testing.T) {
		for n := 8; n < coef.ShiftedPlane; n += 8 {
			for _, plain := range []bool{false, true} {
				w, check := fenced[float64](t, coef.ShiftedLen, n%3)
				m := math.Exp(-20 * rng.Float64())
				for i := range w {
					w[i] = 5 * rng.NormFloat64()
				}
				want, p := append([]float64(nil), w...), []float64{m, 1 - m, (1 - (1 - m)) - m}
				ShiftedOdds64(w, n, p, plain)
				shiftedOdds64Generic(want, n, p, plain)
				wantBits(t, "odds", w, want)
				LogPair64(w[coef.ShiftedLog:][:n], w[coef.ShiftedR:][:n], nil)
				Log1p64(w[coef.ShiftedLog1p:][:n], w[coef.ShiftedOddsAt:][:n])
				copy(want, w)
				gamma := 6 * rng.Float64()
				ShiftedTerms64(w, n, gamma, plain)
				shiftedTerms64Generic(want, n, gamma, plain)
				wantBits(t, "terms", w, want)
				check()
			}
		}
	})
}

// TestExpPair bounds the relative error of expPair.
func TestExpPair(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	worst := 0.0
	for i := range 5000 {
		y := 2 * rng.NormFloat64()
		if i%4 == 0 {
			y *= 50
		}
		hi, lo := expPair(y)
		want := ref.Exp(big.NewFloat(y))
		rest := new(big.Float).Sub(want, big.NewFloat(hi))
		e, _ := rest.Quo(rest.Sub(rest, big.NewFloat(lo)), want).Float64()
		if worst = max(worst, math.Abs(e)); worst > 0x1p-61 {
			t.Fatalf("e^%x: error %g", y, e)
		}
	}
}
