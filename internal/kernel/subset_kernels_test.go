package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Every tier's kernels give the bits of the generic ones. Outputs are
// surrounded by numbers that must stay.

// fenced returns a slice of n numbers between others, and a check of those.
func fenced[T Float](t *testing.T, n, offset int) ([]T, func()) {
	const fence = 16
	all := make([]T, n+2*fence+offset)
	for i := range all {
		all[i] = T(1000 + i)
	}
	return all[fence+offset:][:n:n], func() {
		for i, v := range all {
			if (i < fence+offset || i >= fence+offset+n) && v != T(1000+i) {
				t.Errorf("written at %d of %d", i-fence-offset, n)
			}
		}
	}
}

func wantBits[T Float](t *testing.T, what string, got, want []T) {
	t.Helper()
	for i := range want {
		if math.Float64bits(float64(got[i])) != math.Float64bits(float64(want[i])) {
			t.Errorf("%s: element %d of %d: %v, want %v", what, i, len(want), got[i], want[i])
			return
		}
	}
}

// kernelLengths are the lengths around every step of the kernels.
var kernelLengths = []int{8, 16, 24, 32, 40, 56, 64, 72, 96, 104, 128, 136, 200, 1024}

func TestTiltExpBits(t *testing.T) {
	t.Run("float32", testTiltExpBits[float32])
	t.Run("float64", testTiltExpBits[float64])
}

func testTiltExpBits[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 1))
	forEachTier(t, func(t *testing.T) {
		for _, n := range kernelLengths {
			for _, scale := range []float64{1e-3, 3, 300, 1e4, 1e30} {
				for _, sign := range []float64{1, -1} {
					x := make([]T, n)
					for i := range x {
						x[i] = T(rng.NormFloat64() * scale)
					}
					x[0] = T(-sign * math.MaxFloat32)
					x[n-1] = T(math.Inf(rng.IntN(2)))
					if n%16 == 0 {
						x[n-1] = T(rng.NormFloat64() * scale)
					}
					pivot := rng.NormFloat64() * scale
					want := make([]float64, n)
					sum, squares := tiltExpGeneric(want, x, sign, pivot)
					got, check := fenced[float64](t, n, n%3)
					s, q := TiltExp(got, x, sign, pivot)
					check()
					if sum != sum { // an infinite score: NaN, and that is all
						assert.True(t, s != s)
						got, want = got[:n-1], want[:n-1]
					} else {
						wantBits(t, "sums", []float64{s, q}, []float64{sum, squares})
					}
					wantBits(t, "e", got, want)
				}
			}
		}
	})
}

func testOdds(rng *rand.Rand, n int, scale float64) []float64 {
	e := make([]float64, n)
	for i := range e {
		e[i] = math.Exp(rng.NormFloat64() * scale)
	}
	e[rng.IntN(n)] = 0
	return e
}

func TestTiltSumsBits(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 2))
	forEachTier(t, func(t *testing.T) {
		for _, n := range kernelLengths {
			for _, scale := range []float64{0.1, 2, 200} {
				e, g := testOdds(rng, n, scale), math.Exp(rng.NormFloat64())
				sum, squares := tiltSumsGeneric(e, g)
				s, q := TiltSums(e, g)
				wantBits(t, "sums", []float64{s, q}, []float64{sum, squares})

				want, above := make([]float64, n), make([]uint8, n/8)
				cut := []float64{-1, 0.25, math.Inf(1)}[rng.IntN(3)]
				largest := tiltSplitGeneric(want, above, e, g, cut)
				got, check := fenced[float64](t, n, n%3)
				bits := make([]uint8, n/8+1)
				bits[n/8] = 0x5a
				l := TiltSplit(got, bits[:n/8], e, g, cut)
				check()
				wantBits(t, "r", got, want)
				wantBits(t, "largest", []float64{l}, []float64{largest})
				assert.Equal(t, append(above, 0x5a), bits)
			}
		}
	})
}

func TestEspForwardBits(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 3))
	forEachTier(t, func(t *testing.T) {
		for _, n := range []int{32, 64, 96, 320} {
			for d := 5; d <= 70; d += 5 {
				r := testOdds(rng, n, 2)
				want := make([]float64, 8*(d+1))
				for l := range 8 {
					want[l] = 1
				}
				got, check := fenced[float64](t, len(want), d%3)
				copy(got, want)
				espForwardGeneric(want, r, d)
				EspForward(got, r, d)
				check()
				wantBits(t, "f", got, want)
			}
		}
	})
}

func TestInclusionBits(t *testing.T) {
	t.Run("float32", testInclusionBits[float32])
	t.Run("float64", testInclusionBits[float64])
}

func testInclusionBits[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	forEachTier(t, func(t *testing.T) {
		for _, n := range kernelLengths {
			for terms := 1; terms < 12; terms++ {
				r, c := testOdds(rng, n, 2), testOdds(rng, terms, 1)
				want := make([]T, n)
				inclusionGeneric(want, r, c, 0.7)
				got, check := fenced[T](t, n, terms%3)
				Inclusion(got, r, c, 0.7)
				check()
				wantBits(t, "dst", got, want)
			}
		}
	})
}

func TestCorrelateBits(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 5))
	forEachTier(t, func(t *testing.T) {
		for _, n := range kernelLengths {
			for _, terms := range []int{1, 2, 3, 8, 17, 65} {
				g, b := testOdds(rng, n+terms-1, 2), testOdds(rng, terms, 1)
				want := make([]float64, n)
				correlateGeneric(want, g, b)
				got, check := fenced[float64](t, n, terms%3)
				Correlate(got, g, b)
				check()
				wantBits(t, "dst", got, want)
			}
		}
	})
}

func TestSparseProductBits(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 7))
	forEachTier(t, func(t *testing.T) {
		for _, columns := range []int{8, 9, 13, 32, 159} {
			for n := 1; n < 20; n++ {
				rows := 1 + rng.IntN(9)
				values, v, indices := testOdds(rng, n, 2), testOdds(rng, rows*columns, 3), make([]int32, n)
				for k := range indices {
					indices[k] = int32(rng.IntN(rows))
				}
				c := rng.IntN(columns - 7)
				start := testOdds(rng, 8, 1)
				want := slices.Clone(start)
				for l := range want {
					for k, j := range indices {
						want[l] += float64(values[k] * v[int(j)*columns+c+l])
					}
				}
				got, check := fenced[float64](t, 8, n%3)
				copy(got, start)
				SparseProduct(got, indices, values, v[c:], columns)
				check()
				wantBits(t, "dst", got, want)
			}
		}
	})
}
