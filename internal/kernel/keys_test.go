package kernel

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestCountKeys: what is counted are the keys up to the first without a page, or whose place
// runs over, whose number is returned; of every number of bits of bins.
func TestCountKeys(t *testing.T) {
	forEachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(4, 9))
		for digits := 8; digits <= 22; digits++ {
			for _, size := range []int{64, 128, 320} {
				for _, end := range []int{0, 1, 7, 8, 63, 64, 200, size} { // the key at which it ends
					for _, full := range []bool{false, true} {
						var low [256]*uint16
						within := 1 << (digits - 8)
						pages := map[int][]uint16{3: make([]uint16, within), 0x7f: make([]uint16, within), 0xff: make([]uint16, within)}
						for lead, page := range pages {
							low[lead] = &page[0]
						}
						keys, positive := make([]uint32, size), make([]uint64, size/64)
						leads := []uint32{3, 0x7f, 0xff}
						for i := range keys {
							keys[i] = leads[r.IntN(3)]<<24 | r.Uint32()&0xffffff
							if r.IntN(4) > 0 { // places that have several
								keys[i] = keys[0]&^0xfff | keys[i]&0xfff
							}
						}
						for i := range positive {
							positive[i] = r.Uint64() & r.Uint64()
						}
						if end < size {
							keys[end] = 0x55 << 24 // has no page
						}
						label := func(i int) uint16 { return uint16(positive[i/64]>>(i%64)) & 1 }
						place := func(i int) *uint16 { return &pages[int(keys[i]>>24)][keys[i]<<8>>(40-digits)] }
						if end < size && full { // it has one, and a place that the keys before fill
							if keys[end] = 3<<24 | 5; end > 0 {
								keys[end] = keys[0]
							}
							before := 0
							for i := range end {
								if place(i) == place(end) {
									before++
								}
							}
							*place(end) = uint16(255-before) << 8
						}
						want := map[int][]uint16{}
						for lead, page := range pages {
							want[lead] = slices.Clone(page)
						}
						counted := 0
						for ; counted < size && low[keys[counted]>>24] != nil; counted++ {
							at := &want[int(keys[counted]>>24)][keys[counted]<<8>>(40-digits)]
							add := label(counted) + 1<<8
							if *at += add; *at < add {
								break
							}
						}
						got := CountKeys(&low, keys, keys, positive, 40-digits)
						if got != counted {
							t.Fatalf("%d bits: %d of %d keys counted, not %d", digits, got, size, counted)
						}
						for lead, page := range pages {
							if !slices.Equal(page, want[lead]) {
								t.Fatalf("%d bits, %d keys up to %d: page %#x is %v, not %v", digits, size, end, lead, page, want[lead])
							}
						}
					}
				}
			}
		}
	})
}
