package kernel

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
	"github.com/zlpr/zlpr/internal/power"
	"github.com/zlpr/zlpr/internal/ref"
	"github.com/zlpr/zlpr/internal/scalar"
)

// affineSum returns the sum of e^(a·x+b) over the classes of bits, by the kernel:
// e^b is a power of two, which goes into the pivot, times a factor.
func affineSum[T Float](x []T, a, b float64, bits []uint64) power.Number {
	n := len(x)
	r := SideRows[T]{X: x, Stride: n, Rows: 1, N: n, Pos: make([]uint64, len(bits)), Neg: bits, Words: len(bits), Weights: unitWeights[T](n), Gamma: GammaPair[T](math.Abs(a))}
	side := 0
	if a < 0 {
		r.Pos, r.Neg, side = r.Neg, r.Pos, 1
	}
	var top [1]SideTop[T]
	SideMax(top[:], &r)
	exp, rest := scalar.Reduce(b)
	pivot := math.RoundToEven(float64(top[0].Power[side])) + float64(exp)
	var p [1]SideParams[T]
	p[0][0], p[0][3] = MagicOf[T](pivot-float64(exp)), MagicOf[T](pivot-float64(exp))
	var sum [1][2]float64
	SideSums(sum[:], &r, p[:], 0)
	return power.Number{Hi: sum[0][side] * scalar.Exp(rest), Exp: int64(pivot)}
}

func testAffineSum[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(41, 42))
	ulp := 0x1p-52
	if IsFloat32[T]() {
		ulp = 0x1p-23
	}
	worst := 0.0
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	for range rounds {
		n := 1 + r.IntN(30)
		a := (1 + r.Float64()) * math.Ldexp(1, r.IntN(21)-10)
		if r.IntN(4) == 0 {
			a = 1
		}
		a *= float64(1 - 2*r.IntN(2))
		b := []float64{0, 1.25, -700, 3000, r.NormFloat64()}[r.IntN(5)]
		x, bits := make([]T, n), []uint64{0}
		// |a·x| stays below shiftFrom.
		center, spread := r.Float64()*3600-1800, math.Exp(r.Float64()*8-4)
		for j := range x {
			x[j] = T((center + spread*(r.Float64()*2-1)) / a)
			if r.IntN(5) > 0 {
				bits[0] |= 1 << j
			} else if r.IntN(2) == 0 {
				x[j] = T(math.NaN())
			}
		}
		if bits[0] == 0 {
			continue
		}
		got := affineSum(x, a, b, bits)
		want := new(big.Float).SetPrec(300)
		for j, x := range x {
			if bits[0]>>j&1 != 0 {
				want.Add(want, ref.Exp(ref.Add(ref.Mul(ref.New(a), ref.New(float64(x))), ref.New(b))))
			}
		}
		scaled := new(big.Float).SetMantExp(want, -int(got.Exp))
		if e := ref.RelError(got.Hi, scaled, ulp); e > worst {
			worst = e
			if e > boundAffine {
				t.Errorf("a = %v, b = %v, x = %v, bits %b: %.3g ULP", a, b, x, bits, e)
			}
		}
	}
	t.Logf("worst error %.4f ULP", worst)
}

// TestAffineSum compares sums of e^(ax+b) with big.Float.
func TestAffineSum(t *testing.T) {
	forEachTier(t, func(t *testing.T) { kerneltest.ForBothTypes(t, testAffineSum[float32], testAffineSum[float64]) })
}

// boundAffine bounds the relative error of a sum of e^(ax+b), in ULP; the worst
// found are 0.853 (float32) and 1.256 (float64).
const boundAffine = 1.4

// unitWeights returns the weights of n classes, all 1, as the kernels take them.
func unitWeights[T Float](n int) []T {
	w := make([]T, WeightsLen[T](n))
	for j := range n {
		w[WeightPlace[T](j)] = 1
	}
	return w
}
