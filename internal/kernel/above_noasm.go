//go:build (!amd64 && !arm64) || purego

package kernel

func above32(dst []uint64, x, t []float32) bool { return aboveGeneric(dst, x, t) }

func above64(dst []uint64, x, t []float64) bool { return aboveGeneric(dst, x, t) }
