//go:build (!amd64 && !arm64) || purego

package zlpr

func bce32(a *bceArgs[float32]) { bce32Generic(a) }

func bce64(a *bceArgs[float64]) { bce64Generic(a) }
