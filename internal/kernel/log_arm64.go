//go:build !purego

package kernel

func LogPair64(dst, hi, lo []float64) {
	if Active == NEON {
		logPair64NEON(&dst[0], &hi[0], &lo[0], len(dst))
	} else {
		logPair64Generic(dst, hi, lo)
	}
}

func Log1p64(dst, x []float64) {
	if Active == NEON {
		log1p64NEON(&dst[0], &x[0], len(x))
	} else {
		log1p64Generic(dst, x)
	}
}
