//go:build !purego

package zlpr

import "golang.org/x/sys/cpu"

// bestTier demands every feature that a tier's kernels use.
func bestTier() tier {
	x := &cpu.X86
	switch avx2 := x.HasAVX && x.HasAVX2 && x.HasFMA && x.HasBMI2; {
	case avx2 && x.HasAVX512 && x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL:
		return tierAVX512
	case avx2:
		return tierAVX2
	}
	return tierGeneric
}

func sumExp32(sum []float64, x []float32, stride, rows, n int, p *[3]float32) {
	switch activeTier {
	case tierAVX512:
		sumExp32AVX512(&sum[0], &x[0], stride, rows, n, p)
	case tierAVX2:
		sumExp32AVX2(&sum[0], &x[0], stride, rows, n, p)
	default:
		sumExp32Generic(sum, x, stride, rows, n, p)
	}
}

func sumExp64(sum, err []float64, x []float64, stride, rows, n int, p *[3]float64) {
	switch activeTier {
	case tierAVX512:
		sumExp64AVX512(&sum[0], &err[0], &x[0], stride, rows, n, p)
	case tierAVX2:
		sumExp64AVX2(&sum[0], &err[0], &x[0], stride, rows, n, p)
	default:
		sumExp64Generic(sum, err, x, stride, rows, n, p)
	}
}

func scaleExp32(dst []float32, dstStride int, x []float32, stride, rows, n int, p [][3]float32, pStep int) {
	switch activeTier {
	case tierAVX512:
		scaleExp32AVX512(&dst[0], dstStride, &x[0], stride, rows, n, &p[0], pStep)
	case tierAVX2:
		scaleExp32AVX2(&dst[0], dstStride, &x[0], stride, rows, n, &p[0], pStep)
	default:
		scaleExp32Generic(dst, dstStride, x, stride, rows, n, p, pStep)
	}
}

func scaleExp64(dst []float64, dstStride int, x []float64, stride, rows, n int, p [][3]float64, pStep int) {
	switch activeTier {
	case tierAVX512:
		scaleExp64AVX512(&dst[0], dstStride, &x[0], stride, rows, n, &p[0], pStep)
	case tierAVX2:
		scaleExp64AVX2(&dst[0], dstStride, &x[0], stride, rows, n, &p[0], pStep)
	default:
		scaleExp64Generic(dst, dstStride, x, stride, rows, n, p, pStep)
	}
}

func maximum32(max []float32, x []float32, stride, rows, n int) {
	switch activeTier {
	case tierAVX512:
		maximum32AVX512(&max[0], &x[0], stride, rows, n)
	case tierAVX2:
		maximum32AVX2(&max[0], &x[0], stride, rows, n)
	default:
		maximum32Generic(max, x, stride, rows, n)
	}
}

func maximum64(max []float64, x []float64, stride, rows, n int) {
	switch activeTier {
	case tierAVX512:
		maximum64AVX512(&max[0], &x[0], stride, rows, n)
	case tierAVX2:
		maximum64AVX2(&max[0], &x[0], stride, rows, n)
	default:
		maximum64Generic(max, x, stride, rows, n)
	}
}

func logPair64(dst, hi, lo []float64) {
	switch activeTier {
	case tierAVX512:
		logPair64AVX512(&dst[0], &hi[0], &lo[0], len(dst))
	case tierAVX2:
		logPair64AVX2(&dst[0], &hi[0], &lo[0], len(dst))
	default:
		logPair64Generic(dst, hi, lo)
	}
}

func log1p64(dst, x []float64) {
	switch activeTier {
	case tierAVX512:
		log1p64AVX512(&dst[0], &x[0], len(x))
	case tierAVX2:
		log1p64AVX2(&dst[0], &x[0], len(x))
	default:
		log1p64Generic(dst, x)
	}
}

func scaleExpStream32(dst []float32, dstStride int, x []float32, stride, rows, n int, p [][3]float32, pStep int) {
	switch activeTier {
	case tierAVX512:
		scaleExpStream32AVX512(&dst[0], dstStride, &x[0], stride, rows, n, &p[0], pStep)
	case tierAVX2:
		scaleExpStream32AVX2(&dst[0], dstStride, &x[0], stride, rows, n, &p[0], pStep)
	default:
		scaleExp32Generic(dst, dstStride, x, stride, rows, n, p, pStep)
	}
}

func offset32(dst []float32, dstStride int, x []float32, stride, rows, n int, s []float64) {
	switch activeTier {
	case tierAVX512:
		offset32AVX512(&dst[0], dstStride, &x[0], stride, rows, n, &s[0])
	case tierAVX2:
		offset32AVX2(&dst[0], dstStride, &x[0], stride, rows, n, &s[0])
	default:
		offsetGeneric(dst, dstStride, x, stride, rows, n, s)
	}
}

func scaleExpStream64(dst []float64, dstStride int, x []float64, stride, rows, n int, p [][3]float64, pStep int) {
	switch activeTier {
	case tierAVX512:
		scaleExpStream64AVX512(&dst[0], dstStride, &x[0], stride, rows, n, &p[0], pStep)
	case tierAVX2:
		scaleExpStream64AVX2(&dst[0], dstStride, &x[0], stride, rows, n, &p[0], pStep)
	default:
		scaleExp64Generic(dst, dstStride, x, stride, rows, n, p, pStep)
	}
}

func offset64(dst []float64, dstStride int, x []float64, stride, rows, n int, s []float64) {
	switch activeTier {
	case tierAVX512:
		offset64AVX512(&dst[0], dstStride, &x[0], stride, rows, n, &s[0])
	case tierAVX2:
		offset64AVX2(&dst[0], dstStride, &x[0], stride, rows, n, &s[0])
	default:
		offsetGeneric(dst, dstStride, x, stride, rows, n, s)
	}
}
