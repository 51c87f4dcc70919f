//go:build (!amd64 && !arm64) || purego

package kernel

func LogPair64(dst, hi, lo []float64) { logPair64Generic(dst, hi, lo) }

func Log1p64(dst, x []float64) { log1p64Generic(dst, x) }
