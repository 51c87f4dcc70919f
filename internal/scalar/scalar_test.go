package scalar

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/zlpr/zlpr/internal/ref"
)

// functions are tried on lo to hi, where their results are normal numbers. The
// largest error found in 750000 trials is that of the witness.
var functions = []struct {
	name    string
	f       func(float64) float64
	exact   func(*big.Float) *big.Float
	lo, hi  float64
	bound   float64 // ULP
	witness float64
	found   float64 // ULP, at the witness
}{
	{"Exp", Exp, ref.Exp, expLow, expHigh, 1, 0x1.e80742d66e14ep+01, 0.8881},
	{"Log", Log, ref.Log, 0x1p-1074, math.MaxFloat64, 1, 0x1.69efae5beaf07p+00, 0.8334},
	{"Log1p", Log1p, ref.Log1p, -1 + 0x1p-53, math.MaxFloat64, 1, -0x1.2bf80a57b3d66p-02, 0.8344},
	{"Sigmoid", Sigmoid, ref.Sigmoid, expLow, math.MaxFloat64, 3, -0x1.8f40b5e8a776dp+02, 2.4667},
}

// input returns an input in [lo, hi] of one of several kinds.
func input(rng *rand.Rand, lo, hi float64) float64 {
	for {
		var x float64
		switch rng.IntN(7) {
		case 0: // any exponent
			x = math.Float64frombits(rng.Uint64())
		case 1:
			x = 4 * rng.NormFloat64()
		case 2: // near 1, √½, √2 and their like
			x = math.Exp2(float64(rng.IntN(9)-4)/2) * (1 + math.Ldexp(rng.NormFloat64(), -rng.IntN(50)))
		case 3: // near 0 and near the multiples of ln(2)/2
			x = float64(rng.IntN(40)-20)*math.Ln2/2 + math.Ldexp(rng.NormFloat64(), -rng.IntN(50))
		case 4: // 1+x near a power of two, or √2 of it
			x = math.Exp2(float64(rng.IntN(12)-6)/2)*(1+math.Ldexp(rng.NormFloat64(), -rng.IntN(50))) - 1
		case 5:
			x = 1500*rng.Float64() - 750
		case 6:
			x = 3*rng.Float64() - 1
		}
		if x >= lo && x <= hi {
			return x
		}
	}
}

// TestError searches for the largest error: random inputs, the worst of them
// improved by steps to their neighbourhood.
func TestError(t *testing.T) {
	rounds := 6000
	if testing.Short() {
		rounds = 2000
	}
	for _, c := range functions {
		rng := rand.New(rand.NewPCG(1, 1))
		worst, at := 0.0, 0.0
		try := func(x float64) {
			if e := ref.ULPs(c.f(x), c.exact(ref.New(x))); e > worst {
				worst, at = e, x
			}
		}
		try(c.witness)
		if math.Abs(worst-c.found) > 0.0001 {
			t.Errorf("%s(%x): error %.4f ULP, not %g", c.name, c.witness, worst, c.found)
		}
		for i := range rounds {
			try(input(rng, c.lo, c.hi))
			if i%4 == 0 {
				x := at * (1 + math.Ldexp(rng.NormFloat64(), -5-rng.IntN(45)))
				if x >= c.lo && x <= c.hi {
					try(x)
				}
			}
		}
		t.Logf("%s: worst error %.4f ULP at %x", c.name, worst, at)
		if worst > c.bound {
			t.Errorf("%s(%x): error %.4f ULP, above %g", c.name, at, worst, c.bound)
		}
	}
}
