//go:build !purego

package zlpr

import "unsafe"

func sideMax32(top []sideTop[float32], r *sideRows[float32]) {
	switch activeTier {
	case tierAVX512:
		sideMax32AVX512((*[4]float32)(unsafe.Pointer(&top[0])), &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma)
	case tierAVX2:
		sideMax32AVX2((*[4]float32)(unsafe.Pointer(&top[0])), &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma)
	default:
		sideMax32Generic(top, r)
	}
}

func sideSums32(sum [][2]float64, r *sideRows[float32], p []gradParams[float32], pStep int) {
	switch activeTier {
	case tierAVX512:
		sideSums32AVX512(&sum[0], &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma, (*[6]float32)(&p[0]), pStep)
	case tierAVX2:
		sideSums32AVX2(&sum[0], &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma, (*[6]float32)(&p[0]), pStep)
	default:
		sideSums32Generic(sum, r, p, pStep)
	}
}

func sideGrad32(dst []float32, dstStride int, r *sideRows[float32], p []gradParams[float32], add []float32, addStride int) {
	switch {
	case activeTier == tierGeneric:
		sideGrad32Generic(dst, dstStride, r, p, add, addStride)
	case activeTier == tierAVX512 && add != nil:
		sideGradAdd32AVX512(&dst[0], dstStride, &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma, (*[6]float32)(&p[0]), &add[0], addStride)
	case activeTier == tierAVX512:
		sideGrad32AVX512(&dst[0], dstStride, &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma, (*[6]float32)(&p[0]))
	case add != nil:
		sideGradAdd32AVX2(&dst[0], dstStride, &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma, (*[6]float32)(&p[0]), &add[0], addStride)
	default:
		sideGrad32AVX2(&dst[0], dstStride, &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma, (*[6]float32)(&p[0]))
	}
}

func softWeights32(neg, pos, t []float32, stride, rows, n int, part []uint64, words int, class []float64, exponents []float32) {
	whole := n &^ 7
	switch {
	case activeTier == tierGeneric || whole == 0:
		whole = 0
	case activeTier == tierAVX512:
		softWeights32AVX512(&neg[0], &pos[0], weightsLen[float32](n), &t[0], stride, rows, whole, &part[0], words, &class[0], &exponents[0])
	default:
		softWeights32AVX2(&neg[0], &pos[0], weightsLen[float32](n), &t[0], stride, rows, whole, &part[0], words, &class[0], &exponents[0])
	}
	softWeights32Generic(neg, pos, t, stride, rows, n, part, words, class, exponents, whole)
}

func sideMax64(top []sideTop[float64], r *sideRows[float64]) {
	switch activeTier {
	case tierAVX512:
		sideMax64AVX512((*[4]float64)(unsafe.Pointer(&top[0])), &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma)
	case tierAVX2:
		sideMax64AVX2((*[4]float64)(unsafe.Pointer(&top[0])), &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma)
	default:
		sideMax64Generic(top, r)
	}
}

func sideSums64(sum [][2]float64, r *sideRows[float64], p []gradParams[float64], pStep int) {
	switch activeTier {
	case tierAVX512:
		sideSums64AVX512(&sum[0], &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma, (*[6]float64)(&p[0]), pStep)
	case tierAVX2:
		sideSums64AVX2(&sum[0], &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma, (*[6]float64)(&p[0]), pStep)
	default:
		sideSums64Generic(sum, r, p, pStep)
	}
}

func sideGrad64(dst []float64, dstStride int, r *sideRows[float64], p []gradParams[float64], add []float64, addStride int) {
	switch {
	case activeTier == tierGeneric:
		sideGrad64Generic(dst, dstStride, r, p, add, addStride)
	case activeTier == tierAVX512 && add != nil:
		sideGradAdd64AVX512(&dst[0], dstStride, &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma, (*[6]float64)(&p[0]), &add[0], addStride)
	case activeTier == tierAVX512:
		sideGrad64AVX512(&dst[0], dstStride, &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma, (*[6]float64)(&p[0]))
	case add != nil:
		sideGradAdd64AVX2(&dst[0], dstStride, &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma, (*[6]float64)(&p[0]), &add[0], addStride)
	default:
		sideGrad64AVX2(&dst[0], dstStride, &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma, (*[6]float64)(&p[0]))
	}
}

func softWeights64(neg, pos, t []float64, stride, rows, n int, part []uint64, words int, class []float64, exponents []float64) {
	whole := n &^ 7
	switch {
	case activeTier == tierGeneric || whole == 0:
		whole = 0
	case activeTier == tierAVX512:
		softWeights64AVX512(&neg[0], &pos[0], weightsLen[float64](n), &t[0], stride, rows, whole, &part[0], words, &class[0], &exponents[0])
	default:
		softWeights64AVX2(&neg[0], &pos[0], weightsLen[float64](n), &t[0], stride, rows, whole, &part[0], words, &class[0], &exponents[0])
	}
	softWeights64Generic(neg, pos, t, stride, rows, n, part, words, class, exponents, whole)
}

func softUnit32(neg, pos, t []float32, stride, rows, n int, part []uint64, words int) {
	whole := n &^ 15
	switch {
	case activeTier == tierGeneric || whole == 0:
		whole = 0
	case activeTier == tierAVX512:
		softUnit32AVX512(&neg[0], &pos[0], weightsLen[float32](n), &t[0], stride, rows, whole, &part[0], words)
	default:
		softUnit32AVX2(&neg[0], &pos[0], weightsLen[float32](n), &t[0], stride, rows, whole, &part[0], words)
	}
	softUnit32Generic(neg, pos, t, stride, rows, n, part, words, whole)
}
