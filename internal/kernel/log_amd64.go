//go:build !purego

package kernel

func LogPair64(dst, hi, lo []float64) {
	switch Active {
	case AVX512:
		logPair64AVX512(&dst[0], &hi[0], &lo[0], len(dst))
	case AVX2:
		logPair64AVX2(&dst[0], &hi[0], &lo[0], len(dst))
	default:
		logPair64Generic(dst, hi, lo)
	}
}

func Log1p64(dst, x []float64) {
	switch Active {
	case AVX512:
		log1p64AVX512(&dst[0], &x[0], len(x))
	case AVX2:
		log1p64AVX2(&dst[0], &x[0], len(x))
	default:
		log1p64Generic(dst, x)
	}
}
