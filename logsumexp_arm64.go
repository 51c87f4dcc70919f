//go:build !purego

package zlpr

// bestTier needs no detection: every arm64 CPU has NEON.
func bestTier() tier { return tierNEON }

func sumExp32(sum []float64, x []float32, stride, rows, n int, p *[3]float32) {
	if activeTier == tierNEON {
		sumExp32NEON(&sum[0], &x[0], stride, rows, n, p)
	} else {
		sumExp32Generic(sum, x, stride, rows, n, p)
	}
}

func sumExp64(sum, err []float64, x []float64, stride, rows, n int, p *[3]float64) {
	if activeTier == tierNEON {
		sumExp64NEON(&sum[0], &err[0], &x[0], stride, rows, n, p)
	} else {
		sumExp64Generic(sum, err, x, stride, rows, n, p)
	}
}

func scaleExp32(dst []float32, dstStride int, x []float32, stride, rows, n int, p [][3]float32, pStep int) {
	if activeTier == tierNEON {
		scaleExp32NEON(&dst[0], dstStride, &x[0], stride, rows, n, &p[0], pStep)
	} else {
		scaleExp32Generic(dst, dstStride, x, stride, rows, n, p, pStep)
	}
}

func scaleExp64(dst []float64, dstStride int, x []float64, stride, rows, n int, p [][3]float64, pStep int) {
	if activeTier == tierNEON {
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
	if activeTier == tierNEON {
		maximum32NEON(&max[0], &x[0], stride, rows, n)
	} else {
		maximum32Generic(max, x, stride, rows, n)
	}
}

func maximum64(max []float64, x []float64, stride, rows, n int) {
	if activeTier == tierNEON {
		maximum64NEON(&max[0], &x[0], stride, rows, n)
	} else {
		maximum64Generic(max, x, stride, rows, n)
	}
}

func offset32(dst []float32, dstStride int, x []float32, stride, rows, n int, s []float64) {
	if activeTier == tierNEON {
		offset32NEON(&dst[0], dstStride, &x[0], stride, rows, n, &s[0])
	} else {
		offsetGeneric(dst, dstStride, x, stride, rows, n, s)
	}
}

func offset64(dst []float64, dstStride int, x []float64, stride, rows, n int, s []float64) {
	if activeTier == tierNEON {
		offset64NEON(&dst[0], dstStride, &x[0], stride, rows, n, &s[0])
	} else {
		offsetGeneric(dst, dstStride, x, stride, rows, n, s)
	}
}

func logPair64(dst, hi, lo []float64) {
	if activeTier == tierNEON {
		logPair64NEON(&dst[0], &hi[0], &lo[0], len(dst))
	} else {
		logPair64Generic(dst, hi, lo)
	}
}

func log1p64(dst, x []float64) {
	if activeTier == tierNEON {
		log1p64NEON(&dst[0], &x[0], len(x))
	} else {
		log1p64Generic(dst, x)
	}
}
