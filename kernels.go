package zlpr

import "unsafe"

// The kernels by type parameter. T is float32 or float64: its size tells.

func isFloat32[T Float]() bool {
	var x T
	return unsafe.Sizeof(x) == 4
}

// as32 and as64 are x itself under its own type.
func as32[T Float](x []T) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}

func as64[T Float](x []T) []float64 {
	return unsafe.Slice((*float64)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}

// rowParams are a kernel's parameters for one row.
type rowParams[T Float] [3]T

// sumExp writes Σ e^y·2^-c, y = min(max(x, low), high), for every row of x to
// sum + err, where err is 0 for float32.
func sumExp[T Float](sum, err []float64, x []T, stride, rows, n int, p *rowParams[T]) {
	if isFloat32[T]() {
		sumExp32(sum, as32(x), stride, rows, n, (*[3]float32)(unsafe.Pointer(p)))
		clear(err[:rows])
	} else {
		sumExp64(sum, err, as64(x), stride, rows, n, (*[3]float64)(unsafe.Pointer(p)))
	}
}

// scaleExp writes e^y·2^-c·factor, or 0 where y < low, for every row of x.
func scaleExp[T Float](dst []T, dstStride int, x []T, stride, rows, n int, p []rowParams[T], pStep int) {
	if isFloat32[T]() {
		q := unsafe.Slice((*[3]float32)(unsafe.Pointer(unsafe.SliceData(p))), len(p))
		scaleExp32(as32(dst), dstStride, as32(x), stride, rows, n, q, pStep)
	} else {
		q := unsafe.Slice((*[3]float64)(unsafe.Pointer(unsafe.SliceData(p))), len(p))
		scaleExp64(as64(dst), dstStride, as64(x), stride, rows, n, q, pStep)
	}
}

// scaleExpStream is scaleExp with stores past the caches: every row of dst
// begins at a multiple of 64 bytes.
func scaleExpStream[T Float](dst []T, dstStride int, x []T, stride, rows, n int, p []rowParams[T], pStep int) {
	if isFloat32[T]() {
		q := unsafe.Slice((*[3]float32)(unsafe.Pointer(unsafe.SliceData(p))), len(p))
		scaleExpStream32(as32(dst), dstStride, as32(x), stride, rows, n, q, pStep)
	} else {
		q := unsafe.Slice((*[3]float64)(unsafe.Pointer(unsafe.SliceData(p))), len(p))
		scaleExpStream64(as64(dst), dstStride, as64(x), stride, rows, n, q, pStep)
	}
}

// misaligned returns the number of elements from the start of x to the first
// at a multiple of 64 bytes.
func misaligned[T Float](x []T) int {
	bytes := -uintptr(unsafe.Pointer(unsafe.SliceData(x))) % 64
	return int(bytes / unsafe.Sizeof(x[0]))
}

// offset writes x - s[i], computed in float64, for every row i.
func offset[T Float](dst []T, dstStride int, x []T, stride, rows, n int, s []float64) {
	if isFloat32[T]() {
		offset32(as32(dst), dstStride, as32(x), stride, rows, n, s)
	} else {
		offset64(as64(dst), dstStride, as64(x), stride, rows, n, s)
	}
}

// maximum writes the maximum of every row of x.
func maximum[T Float](max []T, x []T, stride, rows, n int) {
	if isFloat32[T]() {
		maximum32(as32(max), as32(x), stride, rows, n)
	} else {
		maximum64(as64(max), as64(x), stride, rows, n)
	}
}
