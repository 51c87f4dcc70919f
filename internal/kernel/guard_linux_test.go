package kernel

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
)

// TestGuardPagesOfLosses: nor do the kernels of the losses.
func TestGuardPagesOfLosses(t *testing.T) {
	forEachTier(t, func(t *testing.T) {
		kerneltest.ForBothTypes(t, testGuardPagesOfLosses[float32], testGuardPagesOfLosses[float64])
	})
}

func testGuardPagesOfLosses[T Float](t *testing.T) {
	const longest = 330
	rng := rand.New(rand.NewPCG(11, 12))
	for _, atEnd := range []bool{false, true} {
		part := func(x []T, n int) []T { return kerneltest.Touching(x, n, atEnd) }
		wide := func(x []float64, n int) []float64 { return kerneltest.Touching(x, n, atEnd) }
		words := func(x []float64, n int) []uint64 {
			return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(wide(x, n)))), n)
		}
		in, out := kerneltest.Guarded[T](t, longest, atEnd), kerneltest.Guarded[T](t, longest, atEnd)
		var f [4][]float64
		for i := range f {
			f[i] = kerneltest.Guarded[float64](t, longest, atEnd)
		}
		kept := kerneltest.Guarded[T](t, longest+64, atEnd)
		factors := [2][]T{kerneltest.Guarded[T](t, 1, atEnd), kerneltest.Guarded[T](t, 1, atEnd)}
		for n := 1; n <= longest; n++ {
			x, w := part(in, n), BitWords(n)
			pos, neg := words(f[0], w), words(f[1], w)
			for j := range x {
				x[j] = T(rng.NormFloat64())
				bit := uint64(1) << (j % 64)
				pos[j/64], neg[j/64] = pos[j/64]&^bit, neg[j/64]&^bit
				if rng.IntN(2) == 0 {
					pos[j/64] |= bit
				} else {
					neg[j/64] |= bit
				}
			}
			if n%64 != 0 {
				pos[w-1] &= 1<<(n%64) - 1
				neg[w-1] &= 1<<(n%64) - 1
			}
			// Sums have room for 8 rows, exponentials for the end of the group.
			a, b := wide(f[2], 8), wide(f[3], 8)
			SelectSums(a, b, x, n, 1, n, pos, neg, w, Rows16{})
			e := part(kept, (n+63)&^63)
			SelectExp(a, b, e, n, x, n, 1, n, pos, neg, w, Rows16{}, &Copy[T]{})
			fa, fb := part(factors[0], 1), part(factors[1], 1)
			fa[0], fb[0] = 0.5, 0.25
			SelectScale(part(out, n), n, e, n, 1, n, fa, fb)
			Accumulate(part(out, n), n, x, n, 1, n)
			if n%8 == 0 {
				loss, scale := wide(f[0], n), wide(f[1], n)
				for i := range scale {
					scale[i] = 1
				}
				FinishSums(loss, part(kept, n), part(out, n), wide(f[2], n), wide(f[3], n), scale)
			}
			if n > 0 && n <= MostParts && n%8 == 0 {
				clear(wide(f[2], n))
				AddParts(&LossParts{}, wide(f[2], n))
			}
			if stride := n / 8; IsFloat32[T]() && stride >= 8 {
				keys := words(f[2], 32)
				KeyColumns(unsafe.Slice((*uint32)(unsafe.Pointer(&keys[0])), 2*len(keys)), 8, As32(part(in, 7*stride+8)), stride, 8)
			}
			bytes := unsafe.Slice((*uint8)(unsafe.Pointer(unsafe.SliceData(wide(f[2], n)))), 8*n)
			clear(bytes)
			PackBytes(words(f[3], n/8+1), bytes[:n], n, 1, n)
			PackBytes(words(f[3], n/8+1), bytes[7*n:], n, 1, n)
		}
	}
}

// TestGuardPagesOfSides: nor do the kernels of weighted sums.
func TestGuardPagesOfSides(t *testing.T) {
	forEachTier(t, func(t *testing.T) {
		kerneltest.ForBothTypes(t, testGuardPagesOfSides[float32], testGuardPagesOfSides[float64])
	})
}

func testGuardPagesOfSides[T Float](t *testing.T) {
	const longest = 200
	rng := rand.New(rand.NewPCG(13, 14))
	size := WeightsLen[T](longest)
	for _, atEnd := range []bool{false, true} {
		var x [3][]T // scores, output, added
		for i := range x {
			x[i] = kerneltest.Guarded[T](t, longest, atEnd)
		}
		var w [3][]T // weights, and exponents of classes
		for i := range w {
			w[i] = kerneltest.Guarded[T](t, size, atEnd)
		}
		var f [3][]float64
		for i := range f {
			f[i] = kerneltest.Guarded[float64](t, longest, atEnd)
		}
		params, tops := kerneltest.Guarded[T](t, 6, atEnd), kerneltest.Guarded[T](t, 4, atEnd)
		words := func(x []float64, n int) []uint64 { return Cast[uint64](kerneltest.Touching(x, n, atEnd)) }
		for n := 1; n <= longest; n++ {
			k := WeightsLen[T](n)
			part := func(x []T) []T { return kerneltest.Touching(x, n, atEnd) }
			r := &SideRows[T]{
				X: part(x[0]), Stride: n, Rows: 1, N: n, Words: BitWords(n), Pos: words(f[0], BitWords(n)), Neg: words(f[1], BitWords(n)),
				Weights: kerneltest.Touching(w[0], k, atEnd), Gamma: GammaPair[T](1.5),
			}
			clear(r.Pos)
			clear(r.Neg)
			for j := range n {
				r.X[j] = T(rng.NormFloat64())
				m := WeightPlace[T](j)
				r.Weights[m], r.Weights[m+LanesOf[T]()] = 1, 0
				if bit := uint64(1) << (j % 64); rng.IntN(2) == 0 {
					r.Pos[j/64] |= bit
				} else {
					r.Neg[j/64] |= bit
				}
			}
			SideMax(kerneltest.AsOne[SideTop[T]](tops), r)
			p := kerneltest.AsOne[SideParams[T]](params)
			p[0] = ZeroPivot[T]()
			sums := unsafe.Slice((*[2]float64)(unsafe.Pointer(unsafe.SliceData(kerneltest.Touching(f[2], 2, atEnd)))), 1)
			SideSums(sums, r, p, 0)
			SideGrad(part(x[1]), n, r, p)
			m := kerneltest.Touching(w[1], (n+31)&^31, atEnd)
			WeighSums(sums[0][:1], sums[0][1:], part(x[1]), n, 1, n, m, m)
			class := kerneltest.Touching(f[2], n, atEnd)
			for j := range class {
				class[j] = 1
			}
			SoftWeights(kerneltest.Touching(w[0], k, atEnd), kerneltest.Touching(w[1], k, atEnd), part(x[0]), n, 1, n, r.Pos, r.Words, class, kerneltest.Touching(w[2], k, atEnd))
		}
	}
}
