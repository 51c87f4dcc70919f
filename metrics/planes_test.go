package metrics

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestPlanes(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for _, columns := range []int{1, 7, 8, 63, 64, 65, 130} {
		w := (columns + 63) / 64
		p := make(planes, w)
		got, want := make([]uint64, columns), make([]uint64, columns)
		for _, rows := range []int{1, 7, 8, 9, 16, 100, 3000} {
			words := make([]uint64, rows*w)
			for i := range words {
				words[i] = rng.Uint64()
				if rest := columns % 64; rest > 0 && i%w == w-1 {
					words[i] &= 1<<rest - 1
				}
			}
			p.add(words, rows)
			for r := range rows {
				for j := range columns {
					want[j] += words[r*w+j/64] >> (j % 64) & 1
				}
			}
			if rows%2 == 0 {
				p.drain(got)
				if !slices.Equal(got, want) {
					t.Fatalf("%d columns: %v, want %v", columns, got, want)
				}
			}
		}
	}
}

// TestPlanesFull counts as many rows as fit.
func TestPlanesFull(t *testing.T) {
	words := make([]uint64, maxPlaneRows)
	for i := range words {
		words[i] = 1<<63 | 1
	}
	p := make(planes, 1)
	counts := make([]uint64, 64)
	p.add(words, maxPlaneRows)
	p.drain(counts)
	if counts[0] != maxPlaneRows || counts[63] != maxPlaneRows || counts[1] != 0 {
		t.Error(counts)
	}
}
