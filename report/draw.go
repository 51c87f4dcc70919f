package report

import "math/rand/v2"

// The random numbers of resample r are of a stream of its own, that of (seed, kind,
// r), so that no resample depends on who draws the others.
const (
	drawing  = iota // what a bootstrap draws
	swapping        // what approximate randomisation swaps
)

func stream(seed uint64, kind, r int) *rand.PCG {
	return rand.NewPCG(mix(seed), mix(uint64(2*r+kind)))
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood, "Fast splittable
// pseudorandom number generators", OOPSLA 2014): a bijection that makes numbers
// that are near one another differ in half of their bits.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// draw draws as many units as there are, with replacement, and counts how often
// each came. A count beyond 255 has a probability of less than 2^-1600.
//
// A 32-bit number x draws unit ⌊x·n/2^32⌋, unless it is one of the 2^32 mod n that
// would favour some units (Lemire, "Fast random integer generation in an interval",
// ACM TOMACS 29(1), 2019).
func draw(counts []uint8, source *rand.PCG) {
	clear(counts)
	n := uint64(len(counts))
	if n == 0 {
		return
	}
	reject := uint32(1 << 32 % n)
	for left := len(counts); left > 0; {
		x := source.Uint64()
		if p := x & (1<<32 - 1) * n; uint32(p) >= reject {
			counts[p>>32]++
			left--
		}
		if p := x >> 32 * n; uint32(p) >= reject && left > 0 {
			counts[p>>32]++
			left--
		}
	}
}

// swap chooses units with probability ½ each: count 1.
func swap(counts []uint8, source *rand.PCG) {
	for len(counts) > 0 {
		x := source.Uint64()
		part := counts[:min(64, len(counts))]
		for i := range part {
			part[i] = uint8(x & 1)
			x >>= 1
		}
		counts = counts[len(part):]
	}
}

// counted fills counts with those of resample r.
func counted(counts []uint8, seed uint64, kind, r int) {
	if source := stream(seed, kind, r); kind == drawing {
		draw(counts, source)
	} else {
		swap(counts, source)
	}
}
