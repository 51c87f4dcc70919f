package zlpr

import (
	"unsafe"

	"github.com/zlpr/zlpr/internal/kernel"
)

// The kernels by type parameter. T is float32 or float64: its size tells.

// sumExp writes Σ e^y·2^-c, y = min(max(x, low), high), for every row of x to
// sum + err, where err is 0 for float32.
func sumExp[T Float](sum, err []float64, x []T, stride, rows, n int, p *kernel.RowParams[T]) {
	if kernel.IsFloat32[T]() {
		sumExp32(sum, kernel.As32(x), stride, rows, n, (*[3]float32)(unsafe.Pointer(p)))
		clear(err[:rows])
	} else {
		sumExp64(sum, err, kernel.As64(x), stride, rows, n, (*[3]float64)(unsafe.Pointer(p)))
	}
}

// scaleExp writes e^y·2^-c·factor, or 0 where y < low, for every row of x.
func scaleExp[T Float](dst []T, dstStride int, x []T, stride, rows, n int, p []kernel.RowParams[T], pStep int) {
	if kernel.IsFloat32[T]() {
		q := unsafe.Slice((*[3]float32)(unsafe.Pointer(unsafe.SliceData(p))), len(p))
		scaleExp32(kernel.As32(dst), dstStride, kernel.As32(x), stride, rows, n, q, pStep)
	} else {
		q := unsafe.Slice((*[3]float64)(unsafe.Pointer(unsafe.SliceData(p))), len(p))
		scaleExp64(kernel.As64(dst), dstStride, kernel.As64(x), stride, rows, n, q, pStep)
	}
}

// scaleExpStream is scaleExp with stores past the caches: every row of dst
// begins at a multiple of 64 bytes.
func scaleExpStream[T Float](dst []T, dstStride int, x []T, stride, rows, n int, p []kernel.RowParams[T], pStep int) {
	if kernel.IsFloat32[T]() {
		q := unsafe.Slice((*[3]float32)(unsafe.Pointer(unsafe.SliceData(p))), len(p))
		scaleExpStream32(kernel.As32(dst), dstStride, kernel.As32(x), stride, rows, n, q, pStep)
	} else {
		q := unsafe.Slice((*[3]float64)(unsafe.Pointer(unsafe.SliceData(p))), len(p))
		scaleExpStream64(kernel.As64(dst), dstStride, kernel.As64(x), stride, rows, n, q, pStep)
	}
}

// offset writes x - s[i], computed in float64, for every row i.
func offset[T Float](dst []T, dstStride int, x []T, stride, rows, n int, s []float64) {
	if kernel.IsFloat32[T]() {
		offset32(kernel.As32(dst), dstStride, kernel.As32(x), stride, rows, n, s)
	} else {
		offset64(kernel.As64(dst), dstStride, kernel.As64(x), stride, rows, n, s)
	}
}

// maximum writes the maximum of every row of x.
func maximum[T Float](max []T, x []T, stride, rows, n int) {
	if kernel.IsFloat32[T]() {
		maximum32(kernel.As32(max), kernel.As32(x), stride, rows, n)
	} else {
		maximum64(kernel.As64(max), kernel.As64(x), stride, rows, n)
	}
}
