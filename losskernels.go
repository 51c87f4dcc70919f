package zlpr

import "unsafe"

// The kernels of the losses by type parameter.

// selectSums writes the sums of e^x over neg to a and of e^-x over pos to b.
func selectSums[T Float](a, b []float64, x []T, stride, rows, n int, pos, neg []uint64, words int) {
	if isFloat32[T]() {
		selectSums32(a, b, as32(x), stride, rows, n, pos, neg, words)
	} else {
		selectSums64(a, b, as64(x), stride, rows, n, pos, neg, words)
	}
}

// selectGrad writes the gradient of rows; zero tells that all parameters are
// those of pivot 0.
func selectGrad[T Float](dst []T, dstStride int, x []T, stride, rows, n int, pos, neg []uint64, words int, p []gradParams[T], zero bool) {
	if isFloat32[T]() {
		q := unsafe.Slice((*gradParams[float32])(unsafe.Pointer(unsafe.SliceData(p))), len(p))
		if zero {
			selectGradZero32(as32(dst), dstStride, as32(x), stride, rows, n, pos, neg, words, q)
		} else {
			selectGrad32(as32(dst), dstStride, as32(x), stride, rows, n, pos, neg, words, q)
		}
		return
	}
	q := unsafe.Slice((*gradParams[float64])(unsafe.Pointer(unsafe.SliceData(p))), len(p))
	if zero {
		selectGradZero64(as64(dst), dstStride, as64(x), stride, rows, n, pos, neg, words, q)
	} else {
		selectGrad64(as64(dst), dstStride, as64(x), stride, rows, n, pos, neg, words, q)
	}
}
