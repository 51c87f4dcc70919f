package zlpr

import (
	"math/rand/v2"
	"testing"
	"unsafe"
)

// TestGuardPagesOfBCE: the kernels of BCE read and write nothing outside of their
// slices.
func TestGuardPagesOfBCE(t *testing.T) {
	forEachTier(t, func(t *testing.T) { forBothTypes(t, testGuardPagesOfBCE[float32], testGuardPagesOfBCE[float64]) })
}

func testGuardPagesOfBCE[T Float](t *testing.T) {
	const longest = 330
	r := &rawRand{rand.New(rand.NewPCG(23, 24))}
	for _, atEnd := range []bool{false, true} {
		var f [4][]float64
		for i := range f {
			f[i] = guarded[float64](t, longest, atEnd)
		}
		var g [5][]T
		for i := range g {
			g[i] = guarded[T](t, 3*longest, atEnd)
		}
		part := func(i int, x []T) []T {
			if x == nil {
				return nil
			}
			y := touching(g[i], len(x), atEnd)
			copy(y, x)
			return y
		}
		words := func(i int, x []uint64) []uint64 {
			y := touching(f[i], len(x), atEnd)
			w := unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(y))), len(x))
			copy(w, x)
			return w
		}
		for n := 1; n <= longest; n++ {
			for kind := range bceKinds {
				a := bceCase[T](r, 1, n, kind)
				a.x = part(0, a.x[:n])
				if a.dst != nil {
					a.dst = part(1, a.dst[:n])
				}
				a.negWeight, a.posWeight = part(2, a.negWeight), part(3, a.posWeight)
				a.pos, a.neg = words(0, a.pos), words(1, a.neg)
				a.sum = touching(f[2], 1, atEnd)
				if a.product != nil {
					a.product = touching(f[3], len(a.product), atEnd)
				}
				params := part(4, a.params[0][:])
				a.params = unsafe.Slice((*bceParams[T])(unsafe.Pointer(unsafe.SliceData(params))), 1)
				bceSum(a)
			}
		}
	}
}
