package kernel

import (
	"math/rand/v2"
	"testing"

	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
)

// TestSubsetGuardPages: the kernels of the k-subset softmax read and write
// within their slices.
func TestSubsetGuardPages(t *testing.T) {
	forEachTier(t, func(t *testing.T) {
		kerneltest.ForBothTypes(t, testSubsetGuardPages[float32], testSubsetGuardPages[float64])
	})
}

func testSubsetGuardPages[T Float](t *testing.T) {
	const longest = 256
	rng := rand.New(rand.NewPCG(9, 13))
	for _, atEnd := range []bool{false, true} {
		x, dst := kerneltest.Guarded[T](t, longest, atEnd), kerneltest.Guarded[T](t, longest, atEnd)
		e, r := kerneltest.Guarded[float64](t, longest, atEnd), kerneltest.Guarded[float64](t, longest, atEnd)
		c, f := kerneltest.Guarded[float64](t, longest, atEnd), kerneltest.Guarded[float64](t, longest, atEnd)
		part := func(s []float64, n int) []float64 {
			if atEnd {
				return s[len(s)-n:]
			}
			return s[:n]
		}
		for i := range c {
			c[i] = rng.Float64()
		}
		for n := 8; n <= longest; n += 8 {
			xs, ds := x[:n], dst[:n]
			if atEnd {
				xs, ds = x[longest-n:], dst[longest-n:]
			}
			for i := range xs {
				xs[i] = T(rng.NormFloat64())
			}
			es, rs := part(e, n), part(r, n)
			TiltExp(es, xs, 1, 0.5)
			TiltSums(es, 0.3)
			TiltSplit(rs, make([]uint8, n/8), es, 0.3, 0.25)
			Inclusion(ds, rs, part(c, 1+n%20), 0.5)
			if n%32 == 0 {
				for d := 5; 8*(d+1) <= longest; d += 5 {
					EspForward(part(f, 8*(d+1)), rs, d)
				}
			}
			for terms := 1; n+terms-1 <= longest; terms += 7 {
				Correlate(rs, part(c, n+terms-1), part(f, terms))
			}
			SparseProduct(part(r, 8), []int32{0, int32(n/8 - 1), 0}[:1+n/8%3], part(f, 1+n/8%3), part(c, n), 8)
		}
	}
}
