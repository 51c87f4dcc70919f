//go:build (!amd64 && !arm64) || purego

package kernel

func PackBytes(dst []uint64, src []uint8, stride, rows, n int) bool {
	return packBytesGeneric(dst, src, stride, rows, n)
}

func selectSums32(a, b []float64, x []float32, stride, rows, n int, pos, neg []uint64, words int) {
	selectSums32Generic(a, b, x, stride, rows, n, pos, neg, words)
}

func selectSums64(a, b []float64, x []float64, stride, rows, n int, pos, neg []uint64, words int) {
	selectSums64Generic(a, b, x, stride, rows, n, pos, neg, words)
}

func selectExp32(a, b []float64, w []float32, wStride int, x []float32, stride, rows, n int, pos, neg []uint64, words int, c *Copy[float32]) {
	c.Finish()
	selectExp32Generic(a, b, w, wStride, x, stride, rows, n, pos, neg, words)
}

func selectScale32(dst []float32, dstStride int, w []float32, wStride, rows, n int, fa, fb []float32) {
	selectScaleGeneric(dst, dstStride, w, wStride, rows, n, fa, fb)
}

func selectExp64(a, b []float64, w []float64, wStride int, x []float64, stride, rows, n int, pos, neg []uint64, words int, c *Copy[float64]) {
	c.Finish()
	selectExp64Generic(a, b, w, wStride, x, stride, rows, n, pos, neg, words)
}

func selectScale64(dst []float64, dstStride int, w []float64, wStride, rows, n int, fa, fb []float64) {
	selectScaleGeneric(dst, dstStride, w, wStride, rows, n, fa, fb)
}

func finishSums32(loss []float64, fa, fb []float32, a, b, scale []float64) bool {
	return finishSumsGeneric(loss, fa, fb, a, b, scale)
}

func finishSums64(loss []float64, fa, fb []float64, a, b, scale []float64) bool {
	return finishSumsGeneric(loss, fa, fb, a, b, scale)
}

func copyBlocks[T Float](to, from []T, _ int) { copy(to, from) }

// Streaming reports whether the tier can write past the caches.
func Streaming() bool { return false }

func accumulate32(dst []float32, dstStride int, x []float32, stride, rows, n int) {
	accumulateGeneric(dst, dstStride, x, stride, rows, n)
}

func accumulate64(dst []float64, dstStride int, x []float64, stride, rows, n int) {
	accumulateGeneric(dst, dstStride, x, stride, rows, n)
}

func AddParts(x []float64) lossParts { return addPartsGeneric(x) }
