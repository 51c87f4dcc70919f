//go:build (!amd64 && !arm64) || purego

package kernel

func tiltExp32(e []float64, x []float32, sign, pivot float64) (sum, squares float64) {
	return tiltExpGeneric(e, x, sign, pivot)
}

func TiltExp64(e, x []float64, sign, pivot float64) (sum, squares float64) {
	return tiltExpGeneric(e, x, sign, pivot)
}

func TiltSums(e []float64, g float64) (sum, squares float64) { return tiltSumsGeneric(e, g) }

func TiltSplit(r []float64, above []uint8, e []float64, g, cut float64) (largest float64) {
	return tiltSplitGeneric(r, above, e, g, cut)
}

func EspForward(f, r []float64, d int) { espForwardGeneric(f, r, d) }

func inclusion32(dst []float32, r, c []float64, scale float64) { inclusionGeneric(dst, r, c, scale) }

func Inclusion64(dst, r, c []float64, scale float64) { inclusionGeneric(dst, r, c, scale) }

func Correlate(dst, g, b []float64) { correlateGeneric(dst, g, b) }
