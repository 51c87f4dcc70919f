//go:build (!amd64 && !arm64) || purego

package zlpr

func packBytes(dst []uint64, src []uint8, stride, rows, n int) bool {
	return packBytesGeneric(dst, src, stride, rows, n)
}

func selectSums32(a, b []float64, x []float32, stride, rows, n int, pos, neg []uint64, words int) {
	selectSums32Generic(a, b, x, stride, rows, n, pos, neg, words)
}

func selectSums64(a, b []float64, x []float64, stride, rows, n int, pos, neg []uint64, words int) {
	selectSums64Generic(a, b, x, stride, rows, n, pos, neg, words)
}

func selectGrad32(dst []float32, dstStride int, x []float32, stride, rows, n int, pos, neg []uint64, words int, p []gradParams[float32]) {
	selectGrad32Generic(dst, dstStride, x, stride, rows, n, pos, neg, words, p)
}

func selectGrad64(dst []float64, dstStride int, x []float64, stride, rows, n int, pos, neg []uint64, words int, p []gradParams[float64]) {
	selectGrad64Generic(dst, dstStride, x, stride, rows, n, pos, neg, words, p)
}

func selectGradZero32(dst []float32, dstStride int, x []float32, stride, rows, n int, pos, neg []uint64, words int, p []gradParams[float32]) {
	selectGrad32(dst, dstStride, x, stride, rows, n, pos, neg, words, p)
}

func selectGradZero64(dst []float64, dstStride int, x []float64, stride, rows, n int, pos, neg []uint64, words int, p []gradParams[float64]) {
	selectGrad64(dst, dstStride, x, stride, rows, n, pos, neg, words, p)
}
