package kernel

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
)

// TestGuardPagesOfSoft: the kernels of soft labels read and write nothing outside of
// their slices.
func TestGuardPagesOfSoft(t *testing.T) {
	forEachTier(t, func(t *testing.T) {
		kerneltest.ForBothTypes(t, testGuardPagesOfSoft[float32], testGuardPagesOfSoft[float64])
	})
}

func testGuardPagesOfSoft[T Float](t *testing.T) {
	const longest = 330
	r := &kerneltest.Rand{Rand: rand.New(rand.NewPCG(33, 34))}
	for _, atEnd := range []bool{false, true} {
		var f [4][]float64
		for i := range f {
			f[i] = kerneltest.Guarded[float64](t, longest, atEnd)
		}
		var g [5][]T
		for i := range g {
			g[i] = kerneltest.Guarded[T](t, longest, atEnd)
		}
		part := func(i int, x []T) []T {
			y := kerneltest.Touching(g[i], len(x), atEnd)
			copy(y, x)
			return y
		}
		for n := 1; n <= longest; n++ {
			c := newSoftCase[T](r, 1, n, true)
			c.x, c.t, c.dst, c.f = part(0, c.x[:n]), part(1, c.t[:n]), part(2, c.dst[:n]), part(3, c.f)
			words := func(i int, x []uint64) []uint64 {
				y := kerneltest.Touching(f[i], len(x), atEnd)
				w := unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(y))), len(x))
				copy(w, x)
				return w
			}
			c.part = words(0, c.part)
			c.sum = kerneltest.Touching(f[1], 1, atEnd)
			if c.product != nil {
				c.product = kerneltest.Touching(f[2], len(c.product), atEnd)
			}
			c.bce()
			PlainLabels(c.t, n, 1, n)
			c.targets()
			LessLabels(c.dst, c.dstStride, c.t, c.tStride, 1, n, c.f)
			c.dst, c.dstStride = nil, 0
			c.bce()
			if !IsFloat32[T]() {
				continue
			}
			l := newSoftCase[float32](r, 1, n, false)
			one := func(i int, x []float32) []float32 {
				y := As32(kerneltest.Touching(g[i], len(x), atEnd))
				copy(y, x)
				return y
			}
			x, t, u, v := one(0, l.x[:n]), one(1, l.t[:n]), one(2, l.x[:n]), one(3, l.x[:n])
			SoftTerms(make([][2]float64, 1), u, v, n, x, n, t, n, 1, n, words(0, l.part), l.words)
		}
	}
}
