package scalar

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/ref"
)

func TestSpecial(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	negativeZero := math.Copysign(0, -1)
	for _, c := range []struct {
		name string
		f    func(float64) float64
		x    float64
		want float64
	}{
		{"Exp", Exp, 0, 1},
		{"Exp", Exp, negativeZero, 1},
		{"Exp", Exp, inf, inf},
		{"Exp", Exp, -inf, 0},
		{"Exp", Exp, nan, nan},
		{"Exp", Exp, math.Nextafter(expHigh, inf), inf},
		{"Exp", Exp, math.Nextafter(expLow, -inf), 0},
		{"Exp", Exp, -0x1p-1074, 1},
		{"Log", Log, 1, 0},
		{"Log", Log, 0, -inf},
		{"Log", Log, negativeZero, -inf},
		{"Log", Log, -1, nan},
		{"Log", Log, -inf, nan},
		{"Log", Log, inf, inf},
		{"Log", Log, nan, nan},
		{"Log1p", Log1p, 0, 0},
		{"Log1p", Log1p, negativeZero, negativeZero},
		{"Log1p", Log1p, 0x1p-1074, 0x1p-1074},
		{"Log1p", Log1p, -0x1p-1074, -0x1p-1074},
		{"Log1p", Log1p, 0x1p-60, 0x1p-60},
		{"Log1p", Log1p, -1, -inf},
		{"Log1p", Log1p, -1 - 0x1p-52, nan},
		{"Log1p", Log1p, -inf, nan},
		{"Log1p", Log1p, inf, inf},
		{"Log1p", Log1p, nan, nan},
		{"Sigmoid", Sigmoid, inf, 1},
		{"Sigmoid", Sigmoid, -inf, 0},
		{"Sigmoid", Sigmoid, nan, nan},
		{"Sigmoid", Sigmoid, 0, 0.5},
	} {
		got := c.f(c.x)
		if math.Float64bits(got) != math.Float64bits(c.want) && !(c.want != c.want && math.Float64bits(got) == 0x7ff8<<48) {
			t.Errorf("%s(%g) = %g, want %g", c.name, c.x, got, c.want)
		}
	}
}

// TestEnds: the limits of Exp are where the results leave the normal numbers.
func TestEnds(t *testing.T) {
	if y := Exp(expHigh); y > math.MaxFloat64 || ref.ULPs(y, ref.Exp(ref.New(expHigh))) > 1 {
		t.Errorf("Exp(%x) = %x", float64(expHigh), y)
	}
	if y := Exp(expLow); y < 0x1p-1022 || ref.ULPs(y, ref.Exp(ref.New(expLow))) > 1 {
		t.Errorf("Exp(%x) = %x", float64(expLow), y)
	}
}

// TestPair compares LogPair with the logarithm of the exact sum.
func TestPair(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	worst := 0.0
	for range 20000 {
		hi := math.Ldexp(1+rng.Float64(), rng.IntN(40)-20)
		lo := math.Ldexp(hi*(2*rng.Float64()-1), -rng.IntN(70))
		if hi+lo < hi/8 {
			continue
		}
		exact := ref.Log(ref.Add(ref.New(hi), ref.New(lo)))
		worst = max(worst, ref.AbsError(LogPair(hi, lo), exact, ref.One(exact), 0x1p-52))
	}
	t.Logf("LogPair: worst error %.4f ULP of max(|log|, 1)", worst)
	if worst > 1 {
		t.Errorf("LogPair: error %.4f ULP of max(|log|, 1)", worst)
	}
}

// TestReduce checks n and r against x = n·ln2 + r.
func TestReduce(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	ln2 := ref.Ln2()
	for range 20000 {
		x := math.Ldexp(1+rng.Float64(), rng.IntN(72)-10)
		if rng.IntN(3) == 0 {
			x = math.Ldexp(x, -rng.IntN(1100)) // to subnormal numbers
		}
		if rng.IntN(2) == 0 {
			x = -x
		}
		n, r := Reduce(x)
		if math.Abs(x) < 0.25 && (n != 0 || r != x) {
			t.Errorf("Reduce(%x) = %d, %x", x, n, r)
		}
		exact := ref.Sub(ref.New(x), ref.Mul(ref.New(0).SetInt64(n), ln2))
		if e, _ := ref.Sub(exact, ref.New(r)).Float64(); math.Abs(e) > 0x1p-52 || math.Abs(r) > math.Ln2/2+0x1p-50 {
			t.Errorf("Reduce(%x) = %d, %g: off by %g", x, n, r, e)
		}
	}
}

// TestSameBits pins the results on 10^5 inputs of magnitude 2^-48 to 2^16: they
// are the same on every architecture, with any GOAMD64. The inputs are made of
// bits, since arithmetic and package math are not.
func TestSameBits(t *testing.T) {
	const want = 0x7397f4f7f8c250d3
	h := fnv.New64a()
	rng := rand.New(rand.NewPCG(5, 5))
	for range 100000 {
		x := math.Float64frombits(rng.Uint64()&(1<<63|significand) | (1023-48+rng.Uint64N(64))<<52)
		for _, c := range functions {
			b := math.Float64bits(c.f(x))
			h.Write([]byte{byte(b), byte(b >> 8), byte(b >> 16), byte(b >> 24), byte(b >> 32), byte(b >> 40), byte(b >> 48), byte(b >> 56)})
		}
	}
	if got := h.Sum64(); got != want {
		t.Errorf("the results have hash %#x, want %#x", got, uint64(want))
	}
}

// Ldexp has the bits of math's, at every exponent and at the ends.
func TestLdexp(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 3))
	for e := -2300; e <= 2300; e++ {
		for _, x := range []float64{0, math.Copysign(0, -1), math.Inf(1), math.NaN(), 5e-324, -3 * 5e-324, 0x1.fffffffffffffp-1023, 0x1p-1022, -1, math.MaxFloat64} {
			require.Equal(t, math.Float64bits(math.Ldexp(x, e)), math.Float64bits(Ldexp(x, e)), "%v·2^%d", x, e)
		}
		for range 20 {
			if x := math.Float64frombits(rng.Uint64()); x == x {
				require.Equal(t, math.Float64bits(math.Ldexp(x, e)), math.Float64bits(Ldexp(x, e)), "%v·2^%d", x, e)
			}
		}
	}
}
