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
