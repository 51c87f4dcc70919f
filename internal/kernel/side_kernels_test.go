package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
)

// A sideCase is rows with sides, weights and pivots for the kernels of
// side.go.
type sideCase[T Float] struct {
	SideRows[T]
	params []SideParams[T]
}

// newSideCase makes rows of n scores of magnitude 2^exp around center, some of
// them special, some weights 0.
func newSideCase[T Float](r *rand.Rand, rows, n, exp int, center, gamma float64) *sideCase[T] {
	c := &sideCase[T]{}
	c.Rows, c.N, c.Stride = rows, n, n+r.IntN(3)
	c.X = make([]T, rows*c.Stride)
	for i := range c.X {
		c.X[i] = T(center + math.Ldexp(r.Float64()*2-1, exp))
		if r.IntN(200) == 0 {
			c.X[i] = T([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, 1e-40, math.MaxFloat32}[r.IntN(6)])
		}
	}
	c.Words = BitWords(n)
	c.Pos, c.Neg = make([]uint64, rows*c.Words), make([]uint64, rows*c.Words)
	size := WeightsLen[T](n)
	c.WeightStride = size * r.IntN(2)
	c.Weights = make([]T, rows*size)
	for i := range rows {
		for j := range n {
			switch bit := uint64(1) << (j % 64); r.IntN(4) {
			case 0:
				c.Pos[i*c.Words+j/64] |= bit
			case 1, 2:
				c.Neg[i*c.Words+j/64] |= bit
			}
			if k := i*size + WeightPlace[T](j); r.IntN(10) > 0 {
				c.Weights[k] = T(1 + r.Float64())
				c.Weights[k+LanesOf[T]()] = T(r.IntN(7) - 3)
			}
		}
	}
	c.Gamma = GammaPair[T](gamma)
	for range rows {
		var p SideParams[T]
		p[0], p[2] = MagicOf[T](float64(-(-int64(gamma*(center+math.Ldexp(1, exp))*math.Log2E) - 8))), T(1+r.Float64())
		p[3], p[5] = MagicOf[T](float64(-(-int64(gamma*(-center+math.Ldexp(1, exp))*math.Log2E) - 8))), T(-1-r.Float64())
		c.params = append(c.params, p)
	}
	return c
}

// results returns all that the kernels make of a case.
func (c *sideCase[T]) results() (all []T, sums []float64) {
	top := make([]SideTop[T], c.Rows)
	SideMax(top, &c.SideRows)
	for _, t := range top {
		all = append(all, t.Score[0]+0, t.Score[1]+0, t.Power[0]+0, t.Power[1]+0)
	}
	for _, step := range []int{0, 1} {
		s := make([][2]float64, c.Rows)
		SideSums(s, &c.SideRows, c.params, step)
		for _, v := range s {
			sums = append(sums, v[0], v[1])
		}
	}
	dst := make([]T, c.Rows*c.Stride)
	SideGrad(dst, c.Stride, &c.SideRows, c.params)
	all = append(all, dst...)

	// Terms as those that SelectExp keeps, and weights.
	w, m, lo := slices.Clone(dst), make([]T, c.N+32), make([]T, c.N+32)
	for j := range c.N {
		m[j], lo[j] = T(j%5)/7, T(j%3)*0x1p-28
	}
	a, b := make([]float64, c.Rows), make([]float64, c.Rows)
	WeighSums(a, b, w, c.Stride, c.Rows, c.N, m, lo)
	all, sums = append(all, w...), append(append(sums, a...), b...)

	soft, class, exponents := make([]T, c.Rows*c.N), make([]float64, c.N), make([]T, WeightsLen[T](c.N))
	for i := range soft {
		soft[i] = T(math.Ldexp(float64(i*37%101)/128, -(i*i*i%29)*(i%3)*16))
		if i%7 == 0 {
			soft[i] = T(i / 7 % 2)
		}
	}
	for j := range class {
		class[j] = []float64{1, 1.25, 1 + 0x1p-40, 0}[j%4]
		exponents[WeightPlace[T](j)+LanesOf[T]()] = T(j%900 - 450)
	}
	size := WeightsLen[T](c.N)
	neg, pos := make([]T, c.Rows*size), make([]T, c.Rows*size)
	SoftWeights(neg, pos, soft, c.N, c.Rows, c.N, c.Neg, c.Words, class, exponents)
	all = append(append(all, neg...), pos...)
	canonicalNaNs(all)
	canonicalNaNs(sums)
	return all, sums
}

// canonicalNaNs makes all NaN the same: which one a sum gives is open.
func canonicalNaNs[T Float](x []T) {
	for i, v := range x {
		if v != v {
			x[i] = CanonicalNaN[T]()
		}
	}
}

// Every tier gives the bits of the generic one, for every length.
func TestSideTiers(t *testing.T) {
	kerneltest.ForBothTypes(t, testSideTiers[float32], testSideTiers[float64])
}

func testSideTiers[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for n := 1; n <= 4*64+3; n++ {
		for range 4 {
			center := []float64{0, 0, 0, -90, 80, 1000, -2000}[r.IntN(7)]
			gamma := []float64{1, 1, 0.7, 3, 1e-3, 1e3}[r.IntN(6)]
			c := newSideCase[T](r, 1+r.IntN(3), n, r.IntN(13)-2, center, gamma)
			restore := forceTier(Generic)
			want, wantSums := c.results()
			restore()
			for _, tier := range Available()[1:] {
				restore := forceTier(tier)
				got, gotSums := c.results()
				restore()
				kerneltest.SameBits(t, want, got, n)
				kerneltest.SameBits(t, wantSums, gotSums, n)
				if t.Failed() {
					t.Fatalf("tier %s, n = %d, center %g, γ = %g", tier, n, center, gamma)
				}
			}
		}
	}
}

// FuzzSideTiers compares the kernels' results for any scores, weights and γ on
// every tier.
func FuzzSideTiers(f *testing.F) {
	f.Add(kerneltest.FuzzBytes[float32](1, -2, 80, -90, 3e38), uint64(5), uint64(0x12), 1.5, int16(3))
	f.Add(kerneltest.FuzzBytes[float64](1, -2, 700, -800, 1e300, 0, 0.5), uint64(0x55), uint64(0x2a), 1e-3, int16(-40))
	f.Add(kerneltest.FuzzBytes[float32](1e-40, 0, -1e-45, 88, 87.9, 1e10), uint64(1), uint64(0x3e), 1e3, int16(130))
	f.Fuzz(func(t *testing.T, data []byte, pos, neg uint64, gamma float64, exponent int16) {
		if gamma != gamma {
			return // no loss has it
		}
		fuzzSideTiers[float32](t, data, pos, neg, gamma, exponent)
		fuzzSideTiers[float64](t, data, pos, neg, gamma, exponent)
	})
}

func fuzzSideTiers[T Float](t *testing.T, data []byte, pos, neg uint64, gamma float64, exponent int16) {
	x := kerneltest.FuzzFloats[T](data)
	n := len(x)
	if n == 0 || math.IsInf(float64(T(gamma)), 0) {
		return
	}
	c := &sideCase[T]{}
	c.X, c.Stride, c.Rows, c.N, c.Words = x, n, 1, n, BitWords(n)
	c.Pos, c.Neg = make([]uint64, c.Words), make([]uint64, c.Words)
	c.Weights = make([]T, WeightsLen[T](n))
	for j := range n {
		c.Pos[j/64] |= pos >> (j % 64) & 1 << (j % 64)
		c.Neg[j/64] |= (neg &^ pos) >> (j % 64) & 1 << (j % 64)
		if j%11 != 3 {
			k := WeightPlace[T](j)
			c.Weights[k], c.Weights[k+LanesOf[T]()] = 1+T(j%16)/16, T(j%5)*T(exponent%1000)
		}
	}
	c.Gamma = GammaPair[T](gamma)
	p := SideParams[T]{MagicOf[T](float64(exponent % 4000)), 0, 1.25, MagicOf[T](float64(-exponent % 4000)), 0, -1.5}
	c.params = []SideParams[T]{p}
	defer forceTier(Generic)()
	want, wantSums := c.results()
	for _, tier := range Available()[1:] {
		Active = tier
		got, gotSums := c.results()
		kerneltest.SameBits(t, want, got, tier)
		kerneltest.SameBits(t, wantSums, gotSums, tier)
	}
}
