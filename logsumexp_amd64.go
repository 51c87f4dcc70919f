//go:build !purego

package zlpr

import "github.com/zlpr/zlpr/internal/kernel"

func sumExp32(sum []float64, x []float32, stride, rows, n int, p *[3]float32) {
	switch kernel.Active {
	case kernel.AVX512:
		sumExp32AVX512(&sum[0], &x[0], stride, rows, n, p)
	case kernel.AVX2:
		sumExp32AVX2(&sum[0], &x[0], stride, rows, n, p)
	default:
		sumExp32Generic(sum, x, stride, rows, n, p)
	}
}

func sumExp64(sum, err []float64, x []float64, stride, rows, n int, p *[3]float64) {
	switch kernel.Active {
	case kernel.AVX512:
		sumExp64AVX512(&sum[0], &err[0], &x[0], stride, rows, n, p)
	case kernel.AVX2:
		sumExp64AVX2(&sum[0], &err[0], &x[0], stride, rows, n, p)
	default:
		sumExp64Generic(sum, err, x, stride, rows, n, p)
	}
}

func scaleExp32(dst []float32, dstStride int, x []float32, stride, rows, n int, p [][3]float32, pStep int) {
	switch kernel.Active {
	case kernel.AVX512:
		scaleExp32AVX512(&dst[0], dstStride, &x[0], stride, rows, n, &p[0], pStep)
	case kernel.AVX2:
		scaleExp32AVX2(&dst[0], dstStride, &x[0], stride, rows, n, &p[0], pStep)
	default:
		scaleExp32Generic(dst, dstStride, x, stride, rows, n, p, pStep)
	}
}

func scaleExp64(dst []float64, dstStride int, x []float64, stride, rows, n int, p [][3]float64, pStep int) {
	switch kernel.Active {
	case kernel.AVX512:
		scaleExp64AVX512(&dst[0], dstStride, &x[0], stride, rows, n, &p[0], pStep)
	case kernel.AVX2:
		scaleExp64AVX2(&dst[0], dstStride, &x[0], stride, rows, n, &p[0], pStep)
	default:
		scaleExp64Generic(dst, dstStride, x, stride, rows, n, p, pStep)
	}
}

func maximum32(max []float32, x []float32, stride, rows, n int) {
	switch kernel.Active {
	case kernel.AVX512:
		maximum32AVX512(&max[0], &x[0], stride, rows, n)
	case kernel.AVX2:
		maximum32AVX2(&max[0], &x[0], stride, rows, n)
	default:
		maximum32Generic(max, x, stride, rows, n)
	}
}

func maximum64(max []float64, x []float64, stride, rows, n int) {
	switch kernel.Active {
	case kernel.AVX512:
		maximum64AVX512(&max[0], &x[0], stride, rows, n)
	case kernel.AVX2:
		maximum64AVX2(&max[0], &x[0], stride, rows, n)
	default:
		maximum64Generic(max, x, stride, rows, n)
	}
}

func scaleExpStream32(dst []float32, dstStride int, x []float32, stride, rows, n int, p [][3]float32, pStep int) {
	switch kernel.Active {
	case kernel.AVX512:
		scaleExpStream32AVX512(&dst[0], dstStride, &x[0], stride, rows, n, &p[0], pStep)
	case kernel.AVX2:
		scaleExpStream32AVX2(&dst[0], dstStride, &x[0], stride, rows, n, &p[0], pStep)
	default:
		scaleExp32Generic(dst, dstStride, x, stride, rows, n, p, pStep)
	}
}

func offset32(dst []float32, dstStride int, x []float32, stride, rows, n int, s []float64) {
	switch kernel.Active {
	case kernel.AVX512:
		offset32AVX512(&dst[0], dstStride, &x[0], stride, rows, n, &s[0])
	case kernel.AVX2:
		offset32AVX2(&dst[0], dstStride, &x[0], stride, rows, n, &s[0])
	default:
		offsetGeneric(dst, dstStride, x, stride, rows, n, s)
	}
}

func scaleExpStream64(dst []float64, dstStride int, x []float64, stride, rows, n int, p [][3]float64, pStep int) {
	switch kernel.Active {
	case kernel.AVX512:
		scaleExpStream64AVX512(&dst[0], dstStride, &x[0], stride, rows, n, &p[0], pStep)
	case kernel.AVX2:
		scaleExpStream64AVX2(&dst[0], dstStride, &x[0], stride, rows, n, &p[0], pStep)
	default:
		scaleExp64Generic(dst, dstStride, x, stride, rows, n, p, pStep)
	}
}

func offset64(dst []float64, dstStride int, x []float64, stride, rows, n int, s []float64) {
	switch kernel.Active {
	case kernel.AVX512:
		offset64AVX512(&dst[0], dstStride, &x[0], stride, rows, n, &s[0])
	case kernel.AVX2:
		offset64AVX2(&dst[0], dstStride, &x[0], stride, rows, n, &s[0])
	default:
		offsetGeneric(dst, dstStride, x, stride, rows, n, s)
	}
}
