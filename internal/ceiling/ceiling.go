// Package ceiling has what benchmarks measure kernels against: the fastest plain
// read and copy that the tier in use can do. Nothing else uses it.
package ceiling

// sink keeps sums from being optimised away.
var sink float32

func readGeneric(x []float32) {
	var sum float32
	for _, v := range x {
		sum += v
	}
	sink = sum
}

func copyGeneric(dst, x []float32, _ bool) { copy(dst, x) }
