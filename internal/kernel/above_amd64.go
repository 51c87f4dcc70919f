//go:build !purego

package kernel

func above32(dst []uint64, x, t []float32) (nan bool) {
	switch Active {
	case AVX512:
		above32AVX512(&dst[0], &nan, &x[0], &t[0], len(dst))
	case AVX2:
		above32AVX2(&dst[0], &nan, &x[0], &t[0], len(dst))
	default:
		return aboveGeneric(dst, x, t)
	}
	return nan
}

func above64(dst []uint64, x, t []float64) (nan bool) {
	switch Active {
	case AVX512:
		above64AVX512(&dst[0], &nan, &x[0], &t[0], len(dst))
	case AVX2:
		above64AVX2(&dst[0], &nan, &x[0], &t[0], len(dst))
	default:
		return aboveGeneric(dst, x, t)
	}
	return nan
}
