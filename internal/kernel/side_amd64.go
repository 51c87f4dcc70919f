//go:build !purego

package kernel

import "unsafe"

func sideMax32(top []SideTop[float32], r *SideRows[float32]) {
	switch Active {
	case AVX512:
		sideMax32AVX512((*[4]float32)(unsafe.Pointer(&top[0])), &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma)
	case AVX2:
		sideMax32AVX2((*[4]float32)(unsafe.Pointer(&top[0])), &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma)
	default:
		sideMax32Generic(top, r)
	}
}

func sideSums32(sum [][2]float64, r *SideRows[float32], p []SideParams[float32], pStep int) {
	switch Active {
	case AVX512:
		sideSums32AVX512(&sum[0], &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma, (*[6]float32)(&p[0]), pStep)
	case AVX2:
		sideSums32AVX2(&sum[0], &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma, (*[6]float32)(&p[0]), pStep)
	default:
		sideSums32Generic(sum, r, p, pStep)
	}
}

func sideGrad32(dst []float32, dstStride int, r *SideRows[float32], p []SideParams[float32], add []float32, addStride int) {
	switch {
	case Active == Generic:
		sideGrad32Generic(dst, dstStride, r, p, add, addStride)
	case Active == AVX512 && add != nil:
		sideGradAdd32AVX512(&dst[0], dstStride, &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma, (*[6]float32)(&p[0]), &add[0], addStride)
	case Active == AVX512:
		sideGrad32AVX512(&dst[0], dstStride, &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma, (*[6]float32)(&p[0]))
	case add != nil:
		sideGradAdd32AVX2(&dst[0], dstStride, &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma, (*[6]float32)(&p[0]), &add[0], addStride)
	default:
		sideGrad32AVX2(&dst[0], dstStride, &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma, (*[6]float32)(&p[0]))
	}
}

func softWeights32(neg, pos, t []float32, stride, rows, n int, part []uint64, words int, class []float64, exponents []float32) {
	whole := n &^ 7
	switch {
	case Active == Generic || whole == 0:
		whole = 0
	case Active == AVX512:
		softWeights32AVX512(&neg[0], &pos[0], WeightsLen[float32](n), &t[0], stride, rows, whole, &part[0], words, &class[0], &exponents[0])
	default:
		softWeights32AVX2(&neg[0], &pos[0], WeightsLen[float32](n), &t[0], stride, rows, whole, &part[0], words, &class[0], &exponents[0])
	}
	softWeights32Generic(neg, pos, t, stride, rows, n, part, words, class, exponents, whole)
}

func sideMax64(top []SideTop[float64], r *SideRows[float64]) {
	switch Active {
	case AVX512:
		sideMax64AVX512((*[4]float64)(unsafe.Pointer(&top[0])), &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma)
	case AVX2:
		sideMax64AVX2((*[4]float64)(unsafe.Pointer(&top[0])), &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma)
	default:
		sideMax64Generic(top, r)
	}
}

func sideSums64(sum [][2]float64, r *SideRows[float64], p []SideParams[float64], pStep int) {
	switch Active {
	case AVX512:
		sideSums64AVX512(&sum[0], &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma, (*[6]float64)(&p[0]), pStep)
	case AVX2:
		sideSums64AVX2(&sum[0], &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma, (*[6]float64)(&p[0]), pStep)
	default:
		sideSums64Generic(sum, r, p, pStep)
	}
}

func sideGrad64(dst []float64, dstStride int, r *SideRows[float64], p []SideParams[float64], add []float64, addStride int) {
	switch {
	case Active == Generic:
		sideGrad64Generic(dst, dstStride, r, p, add, addStride)
	case Active == AVX512 && add != nil:
		sideGradAdd64AVX512(&dst[0], dstStride, &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma, (*[6]float64)(&p[0]), &add[0], addStride)
	case Active == AVX512:
		sideGrad64AVX512(&dst[0], dstStride, &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma, (*[6]float64)(&p[0]))
	case add != nil:
		sideGradAdd64AVX2(&dst[0], dstStride, &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma, (*[6]float64)(&p[0]), &add[0], addStride)
	default:
		sideGrad64AVX2(&dst[0], dstStride, &r.X[0], r.Stride, r.Rows, r.N, &r.Pos[0], &r.Neg[0], r.Words, &r.Weights[0], r.WeightStride, &r.Gamma, (*[6]float64)(&p[0]))
	}
}

func softWeights64(neg, pos, t []float64, stride, rows, n int, part []uint64, words int, class []float64, exponents []float64) {
	whole := n &^ 7
	switch {
	case Active == Generic || whole == 0:
		whole = 0
	case Active == AVX512:
		softWeights64AVX512(&neg[0], &pos[0], WeightsLen[float64](n), &t[0], stride, rows, whole, &part[0], words, &class[0], &exponents[0])
	default:
		softWeights64AVX2(&neg[0], &pos[0], WeightsLen[float64](n), &t[0], stride, rows, whole, &part[0], words, &class[0], &exponents[0])
	}
	softWeights64Generic(neg, pos, t, stride, rows, n, part, words, class, exponents, whole)
}

func softUnit32(neg, pos, t []float32, stride, rows, n int, part []uint64, words int) {
	whole := n &^ 15
	switch {
	case Active == Generic || whole == 0:
		whole = 0
	case Active == AVX512:
		softUnit32AVX512(&neg[0], &pos[0], WeightsLen[float32](n), &t[0], stride, rows, whole, &part[0], words)
	default:
		softUnit32AVX2(&neg[0], &pos[0], WeightsLen[float32](n), &t[0], stride, rows, whole, &part[0], words)
	}
	softUnit32Generic(neg, pos, t, stride, rows, n, part, words, whole)
}
