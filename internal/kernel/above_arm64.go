//go:build !purego

package kernel

func above32(dst []uint64, x, t []float32) (nan bool) {
	if Active != NEON {
		return aboveGeneric(dst, x, t)
	}
	above32NEON(&dst[0], &nan, &x[0], &t[0], len(dst))
	return nan
}

func above64(dst []uint64, x, t []float64) (nan bool) {
	if Active != NEON {
		return aboveGeneric(dst, x, t)
	}
	above64NEON(&dst[0], &nan, &x[0], &t[0], len(dst))
	return nan
}
