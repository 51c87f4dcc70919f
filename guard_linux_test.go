package zlpr

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// guarded returns a slice of n elements that ends (or begins) at a page that
// cannot be touched.
func guarded[T Float](t *testing.T, n int, atEnd bool) []T {
	page := syscall.Getpagesize()
	var x T
	size := int(unsafe.Sizeof(x))
	inner := (n*size + page - 1) / page * page
	memory, err := syscall.Mmap(-1, 0, inner+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Munmap(memory)) })
	require.NoError(t, syscall.Mprotect(memory[:page], syscall.PROT_NONE))
	require.NoError(t, syscall.Mprotect(memory[page+inner:], syscall.PROT_NONE))
	from := page
	if atEnd {
		from = page + inner - n*size
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&memory[from])), n)
}

// TestGuardPages: no tier reads or writes outside of its slices.
func TestGuardPages(t *testing.T) {
	forEachTier(t, func(t *testing.T) { forBothTypes(t, testGuardPages[float32], testGuardPages[float64]) })
}

func testGuardPages[T Float](t *testing.T) {
	const longest = BlockLen + 70
	rng := rand.New(rand.NewPCG(9, 10))
	for _, atEnd := range []bool{false, true} {
		in, out := guarded[T](t, longest, atEnd), guarded[T](t, longest, atEnd)
		sums := guarded[float64](t, batch, atEnd)
		for n := 1; n <= longest; n++ {
			if n == 140 {
				n = BlockLen - 70
			}
			x, y := in[:n], out[:n]
			s, e := sums[:1], sums[1:2]
			if atEnd {
				x, y = in[longest-n:], out[longest-n:]
				s, e = sums[batch-1:], sums[batch-2:]
			}
			for i := range x {
				x[i] = T(rng.NormFloat64())
			}
			want := LogSumExp(append([]T(nil), x...))
			sameBits(t, []float64{want, want, want}, []float64{LogSumExp(x), Softmax(y, x), LogSoftmax(y, x)}, n)
			Max(x)
			p := [1]rowParams[T]{pivotParams[T](0)}
			sumExp(s, e, x, n, 1, n, &p[0])
			p[0] = scaleParams[T](power{hi: 3})
			scale(y, n, x, n, 1, n, p[:], 0, true)
		}
		// Many rows, whose results fill the guarded slice.
		const n = 5
		hi, lo := sums, make([]float64, batch)
		p := pivotParams[T](0)
		rows := in[:batch*n]
		if atEnd {
			rows = in[longest-batch*n:]
		}
		for i := range rows {
			rows[i] = T(rng.NormFloat64())
		}
		sumExp(hi, lo, rows, n, batch, n, &p)
		for rest := 1; rest <= batch; rest++ {
			part := sums[:rest]
			if atEnd {
				part = sums[batch-rest:]
			}
			for i := range part {
				part[i] = 1 + rng.Float64()
			}
			logPair64(part, part, make([]float64, rest))
			for i := range part {
				part[i] = rng.Float64()
			}
			log1p64(part, part)
		}
		maximum(out[:1], rows, n, 1, n)
	}
}

// touching returns n elements of a guarded slice that touch the guard page.
func touching[T Float](x []T, n int, atEnd bool) []T {
	if atEnd {
		return x[len(x)-n:]
	}
	return x[:n]
}

// TestGuardPagesOfLosses: nor do the kernels of the losses.
func TestGuardPagesOfLosses(t *testing.T) {
	forEachTier(t, func(t *testing.T) { forBothTypes(t, testGuardPagesOfLosses[float32], testGuardPagesOfLosses[float64]) })
}

func testGuardPagesOfLosses[T Float](t *testing.T) {
	const longest = 330
	rng := rand.New(rand.NewPCG(11, 12))
	for _, atEnd := range []bool{false, true} {
		part := func(x []T, n int) []T { return touching(x, n, atEnd) }
		wide := func(x []float64, n int) []float64 { return touching(x, n, atEnd) }
		words := func(x []float64, n int) []uint64 {
			return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(wide(x, n)))), n)
		}
		in, out := guarded[T](t, longest, atEnd), guarded[T](t, longest, atEnd)
		var f [4][]float64
		for i := range f {
			f[i] = guarded[float64](t, longest, atEnd)
		}
		kept := guarded[T](t, longest+64, atEnd)
		factors := [2][]T{guarded[T](t, 1, atEnd), guarded[T](t, 1, atEnd)}
		for n := 1; n <= longest; n++ {
			x, w := part(in, n), bitWords(n)
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
			selectSums(a, b, x, n, 1, n, pos, neg, w)
			e := part(kept, (n+63)&^63)
			selectExp(a, b, e, n, x, n, 1, n, pos, neg, w, &sideCopy[T]{})
			fa, fb := part(factors[0], 1), part(factors[1], 1)
			fa[0], fb[0] = 0.5, 0.25
			selectScale(part(out, n), n, e, n, 1, n, fa, fb)
			accumulate(part(out, n), n, x, n, 1, n)
			if n%8 == 0 {
				loss, scale := wide(f[0], n), wide(f[1], n)
				for i := range scale {
					scale[i] = 1
				}
				finishSums(loss, part(kept, n), part(out, n), wide(f[2], n), wide(f[3], n), scale)
			}
			if n > 0 && n <= mostParts && n%8 == 0 {
				clear(wide(f[2], n))
				addParts(wide(f[2], n))
			}
			bytes := unsafe.Slice((*uint8)(unsafe.Pointer(unsafe.SliceData(wide(f[2], n)))), 8*n)
			clear(bytes)
			packBytes(words(f[3], n/8+1), bytes[:n], n, 1, n)
			packBytes(words(f[3], n/8+1), bytes[7*n:], n, 1, n)
		}
	}
}

// TestGuardPagesOfSides: nor do the kernels of weighted sums.
func TestGuardPagesOfSides(t *testing.T) {
	forEachTier(t, func(t *testing.T) { forBothTypes(t, testGuardPagesOfSides[float32], testGuardPagesOfSides[float64]) })
}

func testGuardPagesOfSides[T Float](t *testing.T) {
	const longest = 200
	rng := rand.New(rand.NewPCG(13, 14))
	size := weightsLen[T](longest)
	for _, atEnd := range []bool{false, true} {
		var x [3][]T // scores, output, added
		for i := range x {
			x[i] = guarded[T](t, longest, atEnd)
		}
		var w [3][]T // weights, and exponents of classes
		for i := range w {
			w[i] = guarded[T](t, size, atEnd)
		}
		var f [3][]float64
		for i := range f {
			f[i] = guarded[float64](t, longest, atEnd)
		}
		params, tops := guarded[T](t, 6, atEnd), guarded[T](t, 4, atEnd)
		words := func(x []float64, n int) []uint64 { return castSlice[uint64](touching(x, n, atEnd)) }
		for n := 1; n <= longest; n++ {
			k := weightsLen[T](n)
			part := func(x []T) []T { return touching(x, n, atEnd) }
			r := &sideRows[T]{
				x: part(x[0]), stride: n, rows: 1, n: n, words: bitWords(n), pos: words(f[0], bitWords(n)), neg: words(f[1], bitWords(n)),
				weights: touching(w[0], k, atEnd), gamma: gammaPair[T](1.5),
			}
			clear(r.pos)
			clear(r.neg)
			for j := range n {
				r.x[j] = T(rng.NormFloat64())
				m := weightPlace[T](j)
				r.weights[m], r.weights[m+lanesOf[T]()] = 1, 0
				if bit := uint64(1) << (j % 64); rng.IntN(2) == 0 {
					r.pos[j/64] |= bit
				} else {
					r.neg[j/64] |= bit
				}
			}
			sideMax(asOne[sideTop[T]](tops), r)
			p := asOne[gradParams[T]](params)
			p[0] = zeroPivot[T]()
			sums := unsafe.Slice((*[2]float64)(unsafe.Pointer(unsafe.SliceData(touching(f[2], 2, atEnd)))), 1)
			sideSums(sums, r, p, 0)
			sideGrad(part(x[1]), n, r, p, nil, 0)
			sideGrad(part(x[1]), n, r, p, part(x[2]), n)
			class := touching(f[2], n, atEnd)
			for j := range class {
				class[j] = 1
			}
			softWeights(touching(w[0], k, atEnd), touching(w[1], k, atEnd), part(x[0]), n, 1, n, r.pos, r.words, class, touching(w[2], k, atEnd))
			if isFloat32[T]() {
				softWeights(touching(w[0], k, atEnd), touching(w[1], k, atEnd), part(x[0]), n, 1, n, r.pos, r.words, nil, nil)
			}
		}
	}
}

// asOne returns the elements of x as one element of another type.
func asOne[U any, T Float](x []T) []U {
	return unsafe.Slice((*U)(unsafe.Pointer(unsafe.SliceData(x))), 1)
}
