package kernel

import "unsafe"

// The kernels of the losses by type parameter.

// SelectSums writes the sums of e^x over neg to a and of e^-x over pos to b,
// which have room for a multiple of 8 rows.
func SelectSums[T Float](a, b []float64, x []T, stride, rows, n int, pos, neg []uint64, words int) {
	if IsFloat32[T]() {
		selectSums32(a, b, As32(x), stride, rows, n, pos, neg, words)
	} else {
		selectSums64(a, b, As64(x), stride, rows, n, pos, neg, words)
	}
}

// SelectExp is SelectSums and writes the exponentials to w, those of pos
// negative. Meanwhile it makes the copy c.
func SelectExp[T Float](a, b []float64, w []T, wStride int, x []T, stride, rows, n int, pos, neg []uint64, words int, c *Copy[T]) {
	if IsFloat32[T]() {
		c := (*Copy[float32])(unsafe.Pointer(c))
		selectExp32(a, b, As32(w), wStride, As32(x), stride, rows, n, pos, neg, words, c)
	} else {
		c := (*Copy[float64])(unsafe.Pointer(c))
		selectExp64(a, b, As64(w), wStride, As64(x), stride, rows, n, pos, neg, words, c)
	}
}

// SelectScale writes the exponentials times the factor of their side: fa where
// they are positive, fb where they are negative.
func SelectScale[T Float](dst []T, dstStride int, w []T, wStride, rows, n int, fa, fb []T) {
	if IsFloat32[T]() {
		selectScale32(As32(dst), dstStride, As32(w), wStride, rows, n, As32(fa), As32(fb))
	} else {
		selectScale64(As64(dst), dstStride, As64(w), wStride, rows, n, As64(fa), As64(fb))
	}
}

// FinishSums finishes a loss of two sums, for a multiple of 8 rows:
//
//	loss = log1p(a) + log1p(b),  fa = scale·(1/(1+a)),  fb = scale·(1/(1+b))
//
// It reports whether all sums are natural or 0 and all factors fit.
func FinishSums[T Float](loss []float64, fa, fb []T, a, b, scale []float64) bool {
	if IsFloat32[T]() {
		return finishSums32(loss, As32(fa), As32(fb), a, b, scale)
	}
	return finishSums64(loss, As64(fa), As64(fb), a, b, scale)
}

// Accumulate adds rows of x to those of dst.
func Accumulate[T Float](dst []T, dstStride int, x []T, stride, rows, n int) {
	if IsFloat32[T]() {
		accumulate32(As32(dst), dstStride, As32(x), stride, rows, n)
	} else {
		accumulate64(As64(dst), dstStride, As64(x), stride, rows, n)
	}
}
