//go:build !purego

package zlpr

import "github.com/zlpr/zlpr/internal/kernel"

func sumExp32(sum []float64, x []float32, stride, rows, n int, p *[3]float32) {
	if kernel.Active == kernel.NEON {
		sumExp32NEON(&sum[0], &x[0], stride, rows, n, p)
	} else {
		sumExp32Generic(sum, x, stride, rows, n, p)
	}
}

func sumExp64(sum, err []float64, x []float64, stride, rows, n int, p *[3]float64) {
	if kernel.Active == kernel.NEON {
		sumExp64NEON(&sum[0], &err[0], &x[0], stride, rows, n, p)
	} else {
		sumExp64Generic(sum, err, x, stride, rows, n, p)
	}
}

func scaleExp32(dst []float32, dstStride int, x []float32, stride, rows, n int, p [][3]float32, pStep int) {
	if kernel.Active == kernel.NEON {
		scaleExp32NEON(&dst[0], dstStride, &x[0], stride, rows, n, &p[0], pStep)
	} else {
		scaleExp32Generic(dst, dstStride, x, stride, rows, n, p, pStep)
	}
}

func scaleExp64(dst []float64, dstStride int, x []float64, stride, rows, n int, p [][3]float64, pStep int) {
	if kernel.Active == kernel.NEON {
		scaleExp64NEON(&dst[0], dstStride, &x[0], stride, rows, n, &p[0], pStep)
	} else {
		scaleExp64Generic(dst, dstStride, x, stride, rows, n, p, pStep)
	}
}

// scaleExpStream32 and scaleExpStream64 stream nothing: the assembler has no
// stores past the caches.
func scaleExpStream32(dst []float32, dstStride int, x []float32, stride, rows, n int, p [][3]float32, pStep int) {
	scaleExp32(dst, dstStride, x, stride, rows, n, p, pStep)
}

func scaleExpStream64(dst []float64, dstStride int, x []float64, stride, rows, n int, p [][3]float64, pStep int) {
	scaleExp64(dst, dstStride, x, stride, rows, n, p, pStep)
}

func maximum32(max []float32, x []float32, stride, rows, n int) {
	if kernel.Active == kernel.NEON {
		maximum32NEON(&max[0], &x[0], stride, rows, n)
	} else {
		maximum32Generic(max, x, stride, rows, n)
	}
}

func maximum64(max []float64, x []float64, stride, rows, n int) {
	if kernel.Active == kernel.NEON {
		maximum64NEON(&max[0], &x[0], stride, rows, n)
	} else {
		maximum64Generic(max, x, stride, rows, n)
	}
}

func offset32(dst []float32, dstStride int, x []float32, stride, rows, n int, s []float64) {
	if kernel.Active == kernel.NEON {
		offset32NEON(&dst[0], dstStride, &x[0], stride, rows, n, &s[0])
	} else {
		offsetGeneric(dst, dstStride, x, stride, rows, n, s)
	}
}

func offset64(dst []float64, dstStride int, x []float64, stride, rows, n int, s []float64) {
	if kernel.Active == kernel.NEON {
		offset64NEON(&dst[0], dstStride, &x[0], stride, rows, n, &s[0])
	} else {
		offsetGeneric(dst, dstStride, x, stride, rows, n, s)
	}
}
