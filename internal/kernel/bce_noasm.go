//go:build (!amd64 && !arm64) || purego

package kernel

func bce32(a *BCEArgs[float32]) {
	a.Copy.Finish()
	bce32Generic(a)
}

func bce64(a *BCEArgs[float64]) {
	a.Copy.Finish()
	bce64Generic(a)
}
