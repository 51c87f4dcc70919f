// Package ceiling has what benchmarks measure kernels against: the fastest plain
// read and copy that the tier in use can do. Nothing else uses it.
package ceiling

// Read reads x, a multiple of 64 elements, with the active tier's registers.
func Read(x []float32) { read(x) }

// Copy copies x, a multiple of 64 elements, with the active tier's registers, past
// the caches or not.
func Copy(dst, x []float32, stream bool) { copying(dst, x, stream) }

// sink keeps sums from being optimised away.
var sink float32

func readGeneric(x []float32) {
	var sum float32
	for _, v := range x {
		sum += v
	}
	sink = sum
}
