package zlpr

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/zlpr/zlpr/internal/ref"
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
		setFactor(p[:3], math.Ldexp(1+r.Float64(), -int(gamma*(center+math.Ldexp(1, exp))*math.Log2E)-8), 1)
		setFactor(p[3:], math.Ldexp(1+r.Float64(), -int(gamma*(-center+math.Ldexp(1, exp))*math.Log2E)-8), -1)
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

var _ = ref.New
var _ *big.Float
