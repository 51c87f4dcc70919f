package kernel

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
)

// TestGuardPagesOfBCE: the kernels of BCE read and write nothing outside of their
// slices.
func TestGuardPagesOfBCE(t *testing.T) {
	forEachTier(t, func(t *testing.T) {
		kerneltest.ForBothTypes(t, testGuardPagesOfBCE[float32], testGuardPagesOfBCE[float64])
	})
}

func testGuardPagesOfBCE[T Float](t *testing.T) {
	const longest = 330
	r := &kerneltest.Rand{Rand: rand.New(rand.NewPCG(23, 24))}
	for _, atEnd := range []bool{false, true} {
		var f [5][]float64
		for i := range f {
			f[i] = kerneltest.Guarded[float64](t, longest, atEnd)
		}
		var g [7][]T
		for i := range g {
			g[i] = kerneltest.Guarded[T](t, 3*longest, atEnd)
		}
		part := func(i int, x []T) []T {
			if x == nil {
				return nil
			}
			y := kerneltest.Touching(g[i], len(x), atEnd)
			copy(y, x)
			return y
		}
		words := func(i int, x []uint64) []uint64 {
			y := kerneltest.Touching(f[i], len(x), atEnd)
			w := unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(y))), len(x))
			copy(w, x)
			return w
		}
		for n := 1; n <= longest; n++ {
			for kind := range bceKinds {
				a := bceCase[T](r, 1, n, kind)
				a.X = part(0, a.X[:n])
				if a.Dst != nil {
					a.Dst = part(1, a.Dst[:n])
				}
				a.NegWeight, a.PosWeight = part(2, a.NegWeight), part(3, a.PosWeight)
				if a.Soft != nil {
					a.Soft = part(5, a.Soft[:n])
				}
				a.Terms = part(6, a.Terms)
				a.Pos, a.Neg = words(0, a.Pos), words(1, a.Neg)
				a.Sum = kerneltest.Touching(f[2], 1, atEnd)
				if a.Product != nil {
					a.Product = kerneltest.Touching(f[3], len(a.Product), atEnd)
				}
				a.Scale = kerneltest.Touching(f[4], 1, atEnd)
				a.Scale[0] = 1
				params := part(4, a.Params[0][:])
				a.Params = unsafe.Slice((*BCEParams[T])(unsafe.Pointer(unsafe.SliceData(params))), 1)
				evaluateCase(a)
			}
		}
	}
}
