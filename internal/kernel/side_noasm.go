//go:build (!amd64 && !arm64) || purego

package kernel

func sideMax32(top []SideTop[float32], r *SideRows[float32]) { sideMax32Generic(top, r) }

func sideMax64(top []SideTop[float64], r *SideRows[float64]) { sideMax64Generic(top, r) }

func sideSums32(sum [][2]float64, r *SideRows[float32], p []SideParams[float32], pStep int) {
	sideSums32Generic(sum, r, p, pStep)
}

func sideSums64(sum [][2]float64, r *SideRows[float64], p []SideParams[float64], pStep int) {
	sideSums64Generic(sum, r, p, pStep)
}

func sideGrad32(dst []float32, dstStride int, r *SideRows[float32], p []SideParams[float32], add []float32, addStride int) {
	sideGrad32Generic(dst, dstStride, r, p, add, addStride)
}

func sideGrad64(dst []float64, dstStride int, r *SideRows[float64], p []SideParams[float64], add []float64, addStride int) {
	sideGrad64Generic(dst, dstStride, r, p, add, addStride)
}

func softWeights32(neg, pos, t []float32, stride, rows, n int, part []uint64, words int, class []float64, exponents []float32) {
	softWeights32Generic(neg, pos, t, stride, rows, n, part, words, class, exponents, 0)
}

func softWeights64(neg, pos, t []float64, stride, rows, n int, part []uint64, words int, class []float64, exponents []float64) {
	softWeights64Generic(neg, pos, t, stride, rows, n, part, words, class, exponents, 0)
}

func softUnit32(neg, pos, t []float32, stride, rows, n int, part []uint64, words int) {
	softUnit32Generic(neg, pos, t, stride, rows, n, part, words, 0)
}
