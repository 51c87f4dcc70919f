package kerneltest

import (
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strings"
	"testing"
)

// hashedBlocks is the number of random blocks behind a recorded hash, shortBlocks
// that of the first of them behind the hash for slow machines.
const (
	hashedBlocks = 25_000
	shortBlocks  = 2_000
)

// A HashCase is a kernel and the recorded hashes of its results for random short
// blocks, of all and of the first few: the same on every tier and architecture.
type HashCase struct {
	name        string
	want, short uint64
	block       func(h *Hash, r *Rand)
}

// Case returns the HashCase of a kernel, of which block hashes the results of one
// block.
func Case(name string, want, short uint64, block func(h *Hash, r *Rand)) HashCase {
	return HashCase{name, want, short, block}
}

// Hashes compares the results of kernels with their recorded hashes, on every tier,
// several kernels at a time. The inputs are made without rounding, so that they are
// the same everywhere. With ZLPR_HASH_BLOCKS=short, for emulators, and with -short it
// takes the first blocks alone; and so it does of the tier in Go, which takes longest,
// but with ZLPR_HASH_BLOCKS=all.
func Hashes(t *testing.T, cases []HashCase, forEachTier func(*testing.T, func(*testing.T))) {
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // blocks are made and forgotten
	blocks := os.Getenv("ZLPR_HASH_BLOCKS")
	forEachTier(t, func(t *testing.T) {
		short := testing.Short() || blocks == "short" || blocks != "all" && strings.HasSuffix(t.Name(), "/generic")
		t.Run("kernels", func(t *testing.T) { // which waits for all of them, before the tier changes
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.compare(t, short)
				})
			}
		})
	})
}

// compare makes the blocks and compares their hash.
func (c *HashCase) compare(t *testing.T, short bool) {
	var h Hash
	r := Rand{Rand: rand.New(rand.NewPCG(11, 12))}
	for range shortBlocks {
		c.block(&h, &r)
	}
	if uint64(h) != c.short {
		t.Errorf("hash of %d blocks %#016x, want %#016x", shortBlocks, uint64(h), c.short)
	}
	if short {
		return
	}
	for range hashedBlocks - shortBlocks {
		c.block(&h, &r)
	}
	if uint64(h) != c.want {
		t.Errorf("hash %#016x, want %#016x", uint64(h), c.want)
	}
}
