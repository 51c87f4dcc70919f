package zlpr

import "unsafe"

// The kernels of the losses by type parameter.

// selectSums writes the sums of e^x over neg to a and of e^-x over pos to b,
// which have room for a multiple of 8 rows.
func selectSums[T Float](a, b []float64, x []T, stride, rows, n int, pos, neg []uint64, words int) {
	if isFloat32[T]() {
		selectSums32(a, b, as32(x), stride, rows, n, pos, neg, words)
	} else {
		selectSums64(a, b, as64(x), stride, rows, n, pos, neg, words)
	}
}

// selectExp is selectSums and writes the exponentials to w, those of pos
// negative. Meanwhile it makes the copy c.
func selectExp[T Float](a, b []float64, w []T, wStride int, x []T, stride, rows, n int, pos, neg []uint64, words int, c *sideCopy[T]) {
	if isFloat32[T]() {
		c := (*sideCopy[float32])(unsafe.Pointer(c))
		selectExp32(a, b, as32(w), wStride, as32(x), stride, rows, n, pos, neg, words, c)
	} else {
		c := (*sideCopy[float64])(unsafe.Pointer(c))
		selectExp64(a, b, as64(w), wStride, as64(x), stride, rows, n, pos, neg, words, c)
	}
}

// selectScale writes the exponentials times the factor of their side: fa where
// they are positive, fb where they are negative.
func selectScale[T Float](dst []T, dstStride int, w []T, wStride, rows, n int, fa, fb []T) {
	if isFloat32[T]() {
		selectScale32(as32(dst), dstStride, as32(w), wStride, rows, n, as32(fa), as32(fb))
	} else {
		selectScale64(as64(dst), dstStride, as64(w), wStride, rows, n, as64(fa), as64(fb))
	}
}

// finishSums finishes a loss of two sums, for a multiple of 8 rows:
//
//	loss = log1p(a) + log1p(b),  fa = scale·(1/(1+a)),  fb = scale·(1/(1+b))
//
// It reports whether all sums are natural or 0 and all factors fit.
func finishSums[T Float](loss []float64, fa, fb []T, a, b, scale []float64) bool {
	if isFloat32[T]() {
		return finishSums32(loss, as32(fa), as32(fb), a, b, scale)
	}
	return finishSums64(loss, as64(fa), as64(fb), a, b, scale)
}

// accumulate adds rows of x to those of dst.
func accumulate[T Float](dst []T, dstStride int, x []T, stride, rows, n int) {
	if isFloat32[T]() {
		accumulate32(as32(dst), dstStride, as32(x), stride, rows, n)
	} else {
		accumulate64(as64(dst), dstStride, as64(x), stride, rows, n)
	}
}
