package kernel

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestCountKeys: all keys are counted, or those up to the one with which there is no more room for
// what is left; of every number of bits of bins, of places that run over, and without pages.
func TestCountKeys(t *testing.T) {
	forEachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(4, 9))
		for digits := 8; digits <= 22; digits++ {
			for _, size := range []int{64, 128, 320} {
				for _, room := range []int{1, 2, 9, 400} {
					for range 4 {
						testCountKeys(t, r, digits, size, room)
					}
				}
			}
		}
	})
}

func testCountKeys(t *testing.T, r *rand.Rand, digits, size, room int) {
	t.Helper()
	var low [256]*uint16
	pages, want := map[uint32][]uint16{}, map[uint32][]uint16{}
	leads := []uint32{3, 0x7f, 0xff}
	for _, lead := range leads {
		page := make([]uint16, 1<<(digits-8))
		for i := range page {
			if r.IntN(2) > 0 { // of which some will run over
				all := 250 + r.IntN(6)
				page[i] = uint16(all<<8 | r.IntN(all+1))
			}
			if r.IntN(8) == 0 {
				page[i] = 0xffff
			}
		}
		low[lead], pages[lead], want[lead] = &page[0], page, slices.Clone(page)
	}
	keys, positive := make([]uint32, size), make([]uint64, size/64)
	for i := range keys {
		keys[i] = leads[r.IntN(3)]<<24 | r.Uint32()&0xffffff
		if r.IntN(50) == 0 {
			keys[i] ^= 1 << 30 // has no page
		}
		if r.IntN(4) > 0 { // places that have several
			keys[i] = keys[0]&^0xfff | keys[i]&0xfff
		}
	}
	for i := range positive {
		positive[i] = r.Uint64() & r.Uint64()
	}
	counted := 0
	var left []uint64
	for ; counted < size && len(left) < room; counted++ {
		key, label := keys[counted], uint16(positive[counted/64]>>(counted%64))&1
		page := want[key>>24]
		if page == nil {
			left = append(left, uint64(key)<<32|1<<16|uint64(label))
			continue
		}
		at := &page[key<<8>>(40-digits)]
		all, positives := *at>>8+1, *at&0xff+label
		if *at = all<<8 + positives; all == 256 {
			*at = 0
			left = append(left, uint64(key)<<32|uint64(positives))
		}
	}
	got := make([]uint64, room)
	n, rest := CountKeys(&low, keys, keys, positive, got, 40-digits)
	if n != counted || rest != room-len(left) || !slices.Equal(got[:room-rest], left) {
		t.Fatalf("%d bits, room for %d: %d of %d keys counted, %#x left; not %d, %#x", digits, room, n, size, got[:room-rest], counted, left)
	}
	for lead, page := range pages {
		if !slices.Equal(page, want[lead]) {
			t.Fatalf("%d bits, %d keys: page %#x is %v, not %v", digits, size, lead, page, want[lead])
		}
	}
}
