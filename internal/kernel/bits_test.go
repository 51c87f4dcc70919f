package kernel

import (
	"math/rand/v2"
	"testing"
)

// TestPackRows: rows of any length have their bytes as bits in words of their own, whether or not
// they follow one another, and a byte that is no label is found wherever it is.
func TestPackRows(t *testing.T) {
	forEachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(6, 4))
		for range 3000 {
			n, rows := 1+r.IntN(70), 1+r.IntN(300)
			stride, words := n+r.IntN(2)*r.IntN(3), BitWords(n)
			src, dst := make([]uint8, (rows-1)*stride+n), make([]uint64, rows*words+1)
			for i := range src {
				src[i] = uint8(r.IntN(2))
			}
			dst[rows*words] = 77
			bad := r.IntN(4) == 0
			if bad {
				src[r.IntN(rows)*stride+r.IntN(n)] = uint8(2 + r.IntN(254))
			}
			if got := PackRows(dst, src, stride, rows, n); got == bad {
				t.Fatalf("%d rows of %d, stride %d: %v", rows, n, stride, got)
			}
			if dst[rows*words] != 77 {
				t.Fatalf("%d rows of %d: written beyond the last", rows, n)
			}
			for i, word := range dst[:rows*words] {
				row, from := i/words, i%words*64
				var want uint64
				for k, v := range src[row*stride:][from:min(n, from+64)] {
					want |= uint64(v) << k
				}
				if !bad && word != want {
					t.Fatalf("%d rows of %d, stride %d: word %d is %#x, not %#x", rows, n, stride, i, word, want)
				}
			}
		}
	})
}
