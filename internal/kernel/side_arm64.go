//go:build !purego

package kernel

import "unsafe"

func sideMax32(top []SideTop[float32], r *SideRows[float32]) {
	if Active == NEON {
		sideMax32NEON((*[4]float32)(unsafe.Pointer(&top[0])), &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma)
	} else {
		sideMax32Generic(top, r)
	}
}

func sideSums32(sum [][2]float64, r *SideRows[float32], p []SideParams[float32], pStep int) {
	if Active == NEON {
		sideSums32NEON(&sum[0], &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma, (*[6]float32)(&p[0]), pStep)
	} else {
		sideSums32Generic(sum, r, p, pStep)
	}
}

func sideGrad32(dst []float32, dstStride int, r *SideRows[float32], p []SideParams[float32], add []float32, addStride int) {
	switch {
	case Active != NEON:
		sideGrad32Generic(dst, dstStride, r, p, add, addStride)
	case add != nil:
		sideGradAdd32NEON(&dst[0], dstStride, &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma, (*[6]float32)(&p[0]), &add[0], addStride)
	default:
		sideGrad32NEON(&dst[0], dstStride, &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma, (*[6]float32)(&p[0]))
	}
}

func softWeights32(neg, pos, t []float32, stride, rows, n int, part []uint64, words int, class []float64, exponents []float32) {
	whole := n &^ 7
	if Active != NEON || whole == 0 {
		whole = 0
	} else {
		softWeights32NEON(&neg[0], &pos[0], WeightsLen[float32](n), &t[0], stride, rows, whole, &part[0], words, &class[0], &exponents[0])
	}
	softWeights32Generic(neg, pos, t, stride, rows, n, part, words, class, exponents, whole)
}

func sideMax64(top []SideTop[float64], r *SideRows[float64]) {
	if Active == NEON {
		sideMax64NEON((*[4]float64)(unsafe.Pointer(&top[0])), &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma)
	} else {
		sideMax64Generic(top, r)
	}
}

func sideSums64(sum [][2]float64, r *SideRows[float64], p []SideParams[float64], pStep int) {
	if Active == NEON {
		sideSums64NEON(&sum[0], &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma, (*[6]float64)(&p[0]), pStep)
	} else {
		sideSums64Generic(sum, r, p, pStep)
	}
}

func sideGrad64(dst []float64, dstStride int, r *SideRows[float64], p []SideParams[float64], add []float64, addStride int) {
	switch {
	case Active != NEON:
		sideGrad64Generic(dst, dstStride, r, p, add, addStride)
	case add != nil:
		sideGradAdd64NEON(&dst[0], dstStride, &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma, (*[6]float64)(&p[0]), &add[0], addStride)
	default:
		sideGrad64NEON(&dst[0], dstStride, &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma, (*[6]float64)(&p[0]))
	}
}

func softWeights64(neg, pos, t []float64, stride, rows, n int, part []uint64, words int, class []float64, exponents []float64) {
	whole := n &^ 7
	if Active != NEON || whole == 0 {
		whole = 0
	} else {
		softWeights64NEON(&neg[0], &pos[0], WeightsLen[float64](n), &t[0], stride, rows, whole, &part[0], words, &class[0], &exponents[0])
	}
	softWeights64Generic(neg, pos, t, stride, rows, n, part, words, class, exponents, whole)
}

func softUnit32(neg, pos, t []float32, stride, rows, n int, part []uint64, words int) {
	whole := n &^ 15
	if Active != NEON || whole == 0 {
		whole = 0
	} else {
		softUnit32NEON(&neg[0], &pos[0], WeightsLen[float32](n), &t[0], stride, rows, whole, &part[0], words)
	}
	softUnit32Generic(neg, pos, t, stride, rows, n, part, words, whole)
}
