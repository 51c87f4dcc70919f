package kernel

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
)

// TestGuardPagesOfSixteen: the kernels read and write nothing outside of slices of 16-bit
// floats.
func TestGuardPagesOfSixteen(t *testing.T) {
	forEachTier(t, func(t *testing.T) {
		const longest = 330
		r := &kerneltest.Rand{Rand: rand.New(rand.NewPCG(33, 34))}
		for _, atEnd := range []bool{false, true} {
			var f [2][]float32
			for i := range f {
				f[i] = kerneltest.Guarded[float32](t, longest, atEnd)
			}
			place := func(i, n int) []uint16 {
				x := kerneltest.Touching(f[i], (n+1)/2, atEnd)
				all := unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(x))), 2*len(x))
				if atEnd {
					return all[len(all)-n:]
				}
				return all[:n]
			}
			for n := 1; n <= longest; n++ {
				for _, kind := range sixteens() {
					c := newSixteenCase(r, 1, n, kind)
					half := place(0, n)
					copy(half, c.half)
					c.half = half
					a := c.args(true, true)
					a.Dst16 = place(1, n)
					BCE(a)
					if n >= LeastSixteen {
						var s [2][8]float64
						w := make([]float32, KeptStride[float32](n)+64)
						SelectExp(s[0][:], s[1][:], w, n, nil, n, 1, n, c.pos, c.neg, c.words, Rows16{kind, half}, &Copy[float32]{})
						SelectSums(s[0][:], s[1][:], []float32(nil), n, 1, n, c.pos, c.neg, c.words, Rows16{kind, half})
					}
				}
			}
		}
	})
}
