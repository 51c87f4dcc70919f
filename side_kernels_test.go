package zlpr

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/zlpr/zlpr/internal/ref"
	"github.com/zlpr/zlpr/internal/scalar"
)

// A sideCase is rows with sides, weights and pivots for the kernels of
// side_generic.go.
type sideCase[T Float] struct {
	sideRows[T]
	params []gradParams[T]
}

// newSideCase makes rows of n scores of magnitude 2^exp around center, some of
// them special, some weights 0.
func newSideCase[T Float](r *rand.Rand, rows, n, exp int, center, gamma float64) *sideCase[T] {
	c := &sideCase[T]{}
	c.rows, c.n, c.stride = rows, n, n+r.IntN(3)
	c.x = make([]T, rows*c.stride)
	for i := range c.x {
		c.x[i] = T(center + math.Ldexp(r.Float64()*2-1, exp))
		if r.IntN(200) == 0 {
			c.x[i] = T([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, 1e-40, math.MaxFloat32}[r.IntN(6)])
		}
	}
	c.words = bitWords(n)
	c.pos, c.neg = make([]uint64, rows*c.words), make([]uint64, rows*c.words)
	size := weightsLen[T](n)
	c.weightStride = size * r.IntN(2)
	c.weights = make([]T, rows*size)
	for i := range rows {
		for j := range n {
			switch bit := uint64(1) << (j % 64); r.IntN(4) {
			case 0:
				c.pos[i*c.words+j/64] |= bit
			case 1, 2:
				c.neg[i*c.words+j/64] |= bit
			}
			if k := i*size + weightPlace[T](j); r.IntN(10) > 0 {
				c.weights[k] = T(1 + r.Float64())
				c.weights[k+lanesOf[T]()] = T(r.IntN(7) - 3)
			}
		}
	}
	c.gamma = gammaPair[T](gamma)
	for range rows {
		var p gradParams[T]
		p[0], p[2] = slopeParams[T](power{hi: 1 + r.Float64(), exp: -int64(gamma*(center+math.Ldexp(1, exp))*math.Log2E) - 8})
		p[3], p[5] = slopeParams[T](power{hi: -1 - r.Float64(), exp: -int64(gamma*(-center+math.Ldexp(1, exp))*math.Log2E) - 8})
		c.params = append(c.params, p)
	}
	return c
}

// results returns all that the kernels make of a case.
func (c *sideCase[T]) results() (all []T, sums []float64) {
	top := make([]sideTop[T], c.rows)
	sideMax(top, &c.sideRows)
	for _, t := range top {
		all = append(all, t.score[0]+0, t.score[1]+0, t.power[0]+0, t.power[1]+0)
	}
	for _, step := range []int{0, 1} {
		s := make([][2]float64, c.rows)
		sideSums(s, &c.sideRows, c.params, step)
		for _, v := range s {
			sums = append(sums, v[0], v[1])
		}
	}
	dst, add := make([]T, c.rows*c.stride), make([]T, c.rows*c.n)
	sideGrad(dst, c.stride, &c.sideRows, c.params, nil, 0)
	all = append(all, dst...)
	for i := range add {
		add[i] = T(i%5) - 2
	}
	sideGrad(dst, c.stride, &c.sideRows, c.params, add, c.n)
	all = append(all, dst...)

	soft, class, exponents := make([]T, c.rows*c.n), make([]float64, c.n), make([]T, weightsLen[T](c.n))
	for i := range soft {
		soft[i] = T(math.Ldexp(float64(i*37%101)/128, -(i*i*i%29)*(i%3)*16))
		if i%7 == 0 {
			soft[i] = T(i / 7 % 2)
		}
	}
	for j := range class {
		class[j] = []float64{1, 1.25, 1 + 0x1p-40, 0}[j%4]
		exponents[weightPlace[T](j)+lanesOf[T]()] = T(j%900 - 450)
	}
	size := weightsLen[T](c.n)
	neg, pos := make([]T, c.rows*size), make([]T, c.rows*size)
	softWeights(neg, pos, soft, c.n, c.rows, c.n, c.neg, c.words, class, exponents)
	all = append(append(all, neg...), pos...)
	if isFloat32[T]() {
		softWeights(neg, pos, soft, c.n, c.rows, c.n, c.neg, c.words, nil, nil)
		all = append(append(all, neg...), pos...)
	}
	canonicalNaNs(all)
	canonicalNaNs(sums)
	return all, sums
}

// canonicalNaNs makes all NaN the same: which one a sum gives is open.
func canonicalNaNs[T Float](x []T) {
	for i, v := range x {
		if v != v {
			x[i] = canonicalNaN[T]()
		}
	}
}

// Every tier gives the bits of the generic one, for every length.
func TestSideTiers(t *testing.T) {
	forBothTypes(t, testSideTiers[float32], testSideTiers[float64])
}

func testSideTiers[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for n := 1; n <= 4*64+3; n++ {
		for range 4 {
			center := []float64{0, 0, 0, -90, 80, 1000, -2000}[r.IntN(7)]
			gamma := []float64{1, 1, 0.7, 3, 1e-3, 1e3}[r.IntN(6)]
			c := newSideCase[T](r, 1+r.IntN(3), n, r.IntN(13)-2, center, gamma)
			restore := forceTier(tierGeneric)
			want, wantSums := c.results()
			restore()
			for _, tier := range availableTiers()[1:] {
				restore := forceTier(tier)
				got, gotSums := c.results()
				restore()
				sameBits(t, want, got, n)
				sameBits(t, wantSums, gotSums, n)
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
	f.Add(fuzzBytes[float32](1, -2, 80, -90, 3e38), uint64(5), uint64(0x12), 1.5, int16(3))
	f.Add(fuzzBytes[float64](1, -2, 700, -800, 1e300, 0, 0.5), uint64(0x55), uint64(0x2a), 1e-3, int16(-40))
	f.Add(fuzzBytes[float32](1e-40, 0, -1e-45, 88, 87.9, 1e10), uint64(1), uint64(0x3e), 1e3, int16(130))
	f.Fuzz(func(t *testing.T, data []byte, pos, neg uint64, gamma float64, exponent int16) {
		if gamma != gamma {
			return // no loss has it
		}
		fuzzSideTiers[float32](t, data, pos, neg, gamma, exponent)
		fuzzSideTiers[float64](t, data, pos, neg, gamma, exponent)
	})
}

func fuzzSideTiers[T Float](t *testing.T, data []byte, pos, neg uint64, gamma float64, exponent int16) {
	x := fuzzFloats[T](data)
	n := len(x)
	if n == 0 || math.IsInf(float64(T(gamma)), 0) {
		return
	}
	c := &sideCase[T]{}
	c.x, c.stride, c.rows, c.n, c.words = x, n, 1, n, bitWords(n)
	c.pos, c.neg = make([]uint64, c.words), make([]uint64, c.words)
	c.weights = make([]T, weightsLen[T](n))
	for j := range n {
		c.pos[j/64] |= pos >> (j % 64) & 1 << (j % 64)
		c.neg[j/64] |= (neg &^ pos) >> (j % 64) & 1 << (j % 64)
		if j%11 != 3 {
			k := weightPlace[T](j)
			c.weights[k], c.weights[k+lanesOf[T]()] = 1+T(j%16)/16, T(j%5)*T(exponent%1000)
		}
	}
	c.gamma = gammaPair[T](gamma)
	p := gradParams[T]{magicOf[T](float64(exponent % 4000)), 0, 1.25, magicOf[T](float64(-exponent % 4000)), 0, -1.5}
	c.params = []gradParams[T]{p}
	defer forceTier(tierGeneric)()
	want, wantSums := c.results()
	for _, tier := range availableTiers()[1:] {
		activeTier = tier
		got, gotSums := c.results()
		sameBits(t, want, got, tier)
		sameBits(t, wantSums, gotSums, tier)
	}
}

// affineSum returns the sum of e^(a·x+b) over the classes of bits, by the kernel:
// e^b is a power of two, which goes into the pivot, times a factor.
func affineSum[T Float](x []T, a, b float64, bits []uint64) power {
	n := len(x)
	f := &classFactors[T]{}
	f.begin(nil)
	r := sideRows[T]{x: x, stride: n, rows: 1, n: n, pos: make([]uint64, len(bits)), neg: bits, words: len(bits), weights: f.get(n).weights, gamma: gammaPair[T](math.Abs(a))}
	side := 0
	if a < 0 {
		r.pos, r.neg, side = r.neg, r.pos, 1
	}
	var top [1]sideTop[T]
	sideMax(top[:], &r)
	exp, rest := scalar.Reduce(b)
	pivot := math.RoundToEven(float64(top[0].power[side])) + float64(exp)
	var p [1]gradParams[T]
	p[0][0], p[0][3] = magicOf[T](pivot-float64(exp)), magicOf[T](pivot-float64(exp))
	var sum [1][2]float64
	sideSums(sum[:], &r, p[:], 0)
	return power{hi: sum[0][side] * scalar.Exp(rest), exp: int64(pivot)}
}

// boundAffine bounds the relative error of a sum of e^(ax+b), in ULP; the worst
// found are 0.853 (float32) and 1.256 (float64).
const boundAffine = 1.4

func testAffineSum[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(41, 42))
	ulp, _ := unitsOf[T]()
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
		scaled := new(big.Float).SetMantExp(want, -int(got.exp))
		if e := ref.RelError(got.hi, scaled, ulp); e > worst {
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
	forEachTier(t, func(t *testing.T) { forBothTypes(t, testAffineSum[float32], testAffineSum[float64]) })
}
