//go:build (!amd64 && !arm64) || purego

package zlpr

func bce32(a *bceArgs[float32]) {
	a.copy.finish()
	bce32Generic(a)
}

func bce64(a *bceArgs[float64]) {
	a.copy.finish()
	bce64Generic(a)
}
