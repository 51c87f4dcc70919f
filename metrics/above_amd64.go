//go:build !purego

package metrics

import "golang.org/x/sys/cpu"

// bestTier demands every feature that a tier's kernels use.
func bestTier() tier {
	x := &cpu.X86
	switch avx2 := x.HasAVX && x.HasAVX2; {
	case avx2 && x.HasAVX512 && x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL:
		return tierAVX512
	case avx2:
		return tierAVX2
	}
	return tierGeneric
}

func above32(dst []uint64, x, t []float32) (nan bool) {
	switch activeTier {
	case tierAVX512:
		above32AVX512(&dst[0], &nan, &x[0], &t[0], len(dst))
	case tierAVX2:
		above32AVX2(&dst[0], &nan, &x[0], &t[0], len(dst))
	default:
		return aboveGeneric(dst, x, t)
	}
	return nan
}

func above64(dst []uint64, x, t []float64) (nan bool) {
	switch activeTier {
	case tierAVX512:
		above64AVX512(&dst[0], &nan, &x[0], &t[0], len(dst))
	case tierAVX2:
		above64AVX2(&dst[0], &nan, &x[0], &t[0], len(dst))
	default:
		return aboveGeneric(dst, x, t)
	}
	return nan
}
