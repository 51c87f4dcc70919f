//go:build (!amd64 && !arm64) || purego

package zlpr

func sumExp32(sum []float64, x []float32, stride, rows, n int, p *[3]float32) {
	sumExp32Generic(sum, x, stride, rows, n, p)
}

func sumExp64(sum, err []float64, x []float64, stride, rows, n int, p *[3]float64) {
	sumExp64Generic(sum, err, x, stride, rows, n, p)
}

func scaleExp32(dst []float32, dstStride int, x []float32, stride, rows, n int, p [][3]float32, pStep int) {
	scaleExp32Generic(dst, dstStride, x, stride, rows, n, p, pStep)
}

func scaleExp64(dst []float64, dstStride int, x []float64, stride, rows, n int, p [][3]float64, pStep int) {
	scaleExp64Generic(dst, dstStride, x, stride, rows, n, p, pStep)
}

func maximum32(max []float32, x []float32, stride, rows, n int) {
	maximum32Generic(max, x, stride, rows, n)
}

func maximum64(max []float64, x []float64, stride, rows, n int) {
	maximum64Generic(max, x, stride, rows, n)
}

func scaleExpStream32(dst []float32, dstStride int, x []float32, stride, rows, n int, p [][3]float32, pStep int) {
	scaleExp32Generic(dst, dstStride, x, stride, rows, n, p, pStep)
}

func offset32(dst []float32, dstStride int, x []float32, stride, rows, n int, s []float64) {
	offsetGeneric(dst, dstStride, x, stride, rows, n, s)
}

func scaleExpStream64(dst []float64, dstStride int, x []float64, stride, rows, n int, p [][3]float64, pStep int) {
	scaleExp64Generic(dst, dstStride, x, stride, rows, n, p, pStep)
}

func offset64(dst []float64, dstStride int, x []float64, stride, rows, n int, s []float64) {
	offsetGeneric(dst, dstStride, x, stride, rows, n, s)
}
