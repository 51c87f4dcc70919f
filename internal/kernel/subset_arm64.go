//go:build !purego

package kernel

func tiltExp32(e []float64, x []float32, sign, pivot float64) (sum, squares float64) {
	p, sums := [2]float64{sign, pivot}, [2]float64{}
	if Active != NEON {
		return tiltExpGeneric(e, x, sign, pivot)
	}
	tiltExp32NEON(&e[0], &x[0], len(x), &p, &sums)
	return sums[0], sums[1]
}

func TiltExp64(e, x []float64, sign, pivot float64) (sum, squares float64) {
	p, sums := [2]float64{sign, pivot}, [2]float64{}
	if Active != NEON {
		return tiltExpGeneric(e, x, sign, pivot)
	}
	tiltExp64NEON(&e[0], &x[0], len(x), &p, &sums)
	return sums[0], sums[1]
}

func TiltSums(e []float64, g float64) (sum, squares float64) {
	var sums [2]float64
	if Active != NEON {
		return tiltSumsGeneric(e, g)
	}
	tiltSums64NEON(&e[0], len(e), &g, &sums)
	return sums[0], sums[1]
}

func TiltSplit(r []float64, above []uint8, e []float64, g, cut float64) (largest float64) {
	p := [2]float64{g, cut}
	if Active != NEON {
		return tiltSplitGeneric(r, above, e, g, cut)
	}
	tiltSplit64NEON(&r[0], &above[0], &e[0], len(e), &p, &largest)
	return largest
}

func EspForward(f, r []float64, d int) {
	if Active != NEON {
		espForwardGeneric(f, r, d)
		return
	}
	espForward64NEON(&f[0], &r[0], len(r)/32, d/5)
}

func inclusion32(dst []float32, r, c []float64, scale float64) {
	if Active != NEON {
		inclusionGeneric(dst, r, c, scale)
		return
	}
	inclusion32NEON(&dst[0], &r[0], len(dst), &c[0], len(c), &scale)
}

func Inclusion64(dst, r, c []float64, scale float64) {
	if Active != NEON {
		inclusionGeneric(dst, r, c, scale)
		return
	}
	inclusion64NEON(&dst[0], &r[0], len(dst), &c[0], len(c), &scale)
}

func Correlate(dst, g, b []float64) {
	if Active != NEON {
		correlateGeneric(dst, g, b)
		return
	}
	correlate64NEON(&dst[0], len(dst), &g[0], &b[0], len(b))
}
