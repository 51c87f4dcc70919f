//go:build !purego

package zlpr

import "unsafe"

func sideMax32(top []sideTop[float32], r *sideRows[float32]) {
	if activeTier == tierNEON {
		sideMax32NEON((*[4]float32)(unsafe.Pointer(&top[0])), &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma)
	} else {
		sideMax32Generic(top, r)
	}
}

func sideSums32(sum [][2]float64, r *sideRows[float32], p []gradParams[float32], pStep int) {
	if activeTier == tierNEON {
		sideSums32NEON(&sum[0], &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma, (*[6]float32)(&p[0]), pStep)
	} else {
		sideSums32Generic(sum, r, p, pStep)
	}
}

func sideGrad32(dst []float32, dstStride int, r *sideRows[float32], p []gradParams[float32], add []float32, addStride int) {
	switch {
	case activeTier != tierNEON:
		sideGrad32Generic(dst, dstStride, r, p, add, addStride)
	case add != nil:
		sideGradAdd32NEON(&dst[0], dstStride, &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma, (*[6]float32)(&p[0]), &add[0], addStride)
	default:
		sideGrad32NEON(&dst[0], dstStride, &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma, (*[6]float32)(&p[0]))
	}
}

func softWeights32(neg, pos, t []float32, stride, rows, n int, part []uint64, words int, class []float64, exponents []float32) {
	whole := n &^ 7
	if activeTier != tierNEON || whole == 0 {
		whole = 0
	} else {
		softWeights32NEON(&neg[0], &pos[0], weightsLen[float32](n), &t[0], stride, rows, whole, &part[0], words, &class[0], &exponents[0])
	}
	softWeights32Generic(neg, pos, t, stride, rows, n, part, words, class, exponents, whole)
}

func sideMax64(top []sideTop[float64], r *sideRows[float64]) {
	if activeTier == tierNEON {
		sideMax64NEON((*[4]float64)(unsafe.Pointer(&top[0])), &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma)
	} else {
		sideMax64Generic(top, r)
	}
}

func sideSums64(sum [][2]float64, r *sideRows[float64], p []gradParams[float64], pStep int) {
	if activeTier == tierNEON {
		sideSums64NEON(&sum[0], &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma, (*[6]float64)(&p[0]), pStep)
	} else {
		sideSums64Generic(sum, r, p, pStep)
	}
}

func sideGrad64(dst []float64, dstStride int, r *sideRows[float64], p []gradParams[float64], add []float64, addStride int) {
	switch {
	case activeTier != tierNEON:
		sideGrad64Generic(dst, dstStride, r, p, add, addStride)
	case add != nil:
		sideGradAdd64NEON(&dst[0], dstStride, &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma, (*[6]float64)(&p[0]), &add[0], addStride)
	default:
		sideGrad64NEON(&dst[0], dstStride, &r.x[0], r.stride, r.rows, r.n, &r.pos[0], &r.neg[0], r.words, &r.weights[0], r.weightStride, &r.gamma, (*[6]float64)(&p[0]))
	}
}

func softWeights64(neg, pos, t []float64, stride, rows, n int, part []uint64, words int, class []float64, exponents []float64) {
	whole := n &^ 7
	if activeTier != tierNEON || whole == 0 {
		whole = 0
	} else {
		softWeights64NEON(&neg[0], &pos[0], weightsLen[float64](n), &t[0], stride, rows, whole, &part[0], words, &class[0], &exponents[0])
	}
	softWeights64Generic(neg, pos, t, stride, rows, n, part, words, class, exponents, whole)
}

func softUnit32(neg, pos, t []float32, stride, rows, n int, part []uint64, words int) {
	whole := n &^ 15
	if activeTier != tierNEON || whole == 0 {
		whole = 0
	} else {
		softUnit32NEON(&neg[0], &pos[0], weightsLen[float32](n), &t[0], stride, rows, whole, &part[0], words)
	}
	softUnit32Generic(neg, pos, t, stride, rows, n, part, words, whole)
}
