package zlpr

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/exact"
	"github.com/zlpr/zlpr/internal/kernel"
)

// TestAddParts: where the parts are right their sum is the exact one, on every
// tier, and they are right wherever they are promised to be.
func TestAddParts(t *testing.T) {
	below := math.Nextafter(kernel.PartBound, 0)
	for _, c := range []struct {
		name  string
		right bool // for certain
		wrong bool // for certain
		value func(r *rand.Rand) float64
	}{
		{"one", true, false, func(*rand.Rand) float64 { return 1 }},
		{"zero", true, false, func(*rand.Rand) float64 { return 0 }},
		{"largest", true, false, func(*rand.Rand) float64 { return below }},
		{"just above the parts' halves", true, false, func(r *rand.Rand) float64 { return 0x1p-29 + 0x1p-74*float64(r.IntN(2)) }},
		{"usual", true, false, func(r *rand.Rand) float64 { return r.ExpFloat64() }},
		{"all magnitudes", true, false, func(r *rand.Rand) float64 {
			if r.IntN(10) == 0 {
				return 0
			}
			return math.Ldexp(1+r.Float64(), r.IntN(83)-66)
		}},
		{"tiny", false, false, func(r *rand.Rand) float64 { return math.Ldexp(1+r.Float64(), -66-r.IntN(60)) }},
		{"subnormal", false, true, func(*rand.Rand) float64 { return 5e-324 }},
		{"too large", false, true, func(*rand.Rand) float64 { return kernel.PartBound }},
		{"huge", false, true, func(*rand.Rand) float64 { return math.MaxFloat64 }},
		{"infinite", false, true, func(*rand.Rand) float64 { return math.Inf(1) }},
		{"NaN", false, true, func(*rand.Rand) float64 { return math.NaN() }},
		{"negative", false, true, func(*rand.Rand) float64 { return -1 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			forEachTier(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(1, 2))
				for k := range 500 {
					x := make([]float64, 8*(1+r.IntN(kernel.MostParts/8)))
					if k == 0 {
						x = make([]float64, kernel.MostParts)
					}
					for i := range x {
						x[i] = r.Float64()
						if k%3 > 0 {
							x[i] = c.value(r)
						}
					}
					odd := r.IntN(len(x))
					x[odd] = c.value(r)
					var p kernel.LossParts
					kernel.AddParts(&p, x)
					if c.right || c.wrong {
						require.Equal(t, c.right, p.Right(), "%v", x)
					}
					if !p.Right() {
						continue
					}
					var want, got exact.Sum
					least, most := math.Inf(1), math.Inf(-1)
					for _, v := range x {
						want.Add(v)
						least, most = min(least, v), max(most, v)
					}
					for _, v := range p.Sum {
						got.Add(v)
					}
					require.Equal(t, want, got, fmt.Sprint(x))
					require.Equal(t, []float64{least, most}, []float64{p.Min, p.Max})
				}
			})
		})
	}
}
