// Package ceiling has what benchmarks measure kernels against: the fastest plain
// read and copy that the tier in use can do. Nothing else uses it.
package ceiling

import "runtime"

func readGeneric(x []float32) {
	var sum float32
	for _, v := range x {
		sum += v
	}
	runtime.KeepAlive(sum)
}

func copyGeneric(dst, x []float32, _ bool) { copy(dst, x) }
