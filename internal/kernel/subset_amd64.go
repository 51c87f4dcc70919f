//go:build !purego

package kernel

func tiltExp32(e []float64, x []float32, sign, pivot float64) (sum, squares float64) {
	p, sums := [2]float64{sign, pivot}, [2]float64{}
	switch Active {
	case AVX512:
		tiltExp32AVX512(&e[0], &x[0], len(x), &p, &sums)
	case AVX2:
		tiltExp32AVX2(&e[0], &x[0], len(x), &p, &sums)
	default:
		return tiltExpGeneric(e, x, sign, pivot)
	}
	return sums[0], sums[1]
}

func TiltExp64(e, x []float64, sign, pivot float64) (sum, squares float64) {
	p, sums := [2]float64{sign, pivot}, [2]float64{}
	switch Active {
	case AVX512:
		tiltExp64AVX512(&e[0], &x[0], len(x), &p, &sums)
	case AVX2:
		tiltExp64AVX2(&e[0], &x[0], len(x), &p, &sums)
	default:
		return tiltExpGeneric(e, x, sign, pivot)
	}
	return sums[0], sums[1]
}

func TiltSums(e []float64, g float64) (sum, squares float64) {
	var sums [2]float64
	switch Active {
	case AVX512:
		tiltSums64AVX512(&e[0], len(e), &g, &sums)
	case AVX2:
		tiltSums64AVX2(&e[0], len(e), &g, &sums)
	default:
		return tiltSumsGeneric(e, g)
	}
	return sums[0], sums[1]
}

func TiltSplit(r []float64, above []uint8, e []float64, g, cut float64) (largest float64) {
	p := [2]float64{g, cut}
	switch Active {
	case AVX512:
		tiltSplit64AVX512(&r[0], &above[0], &e[0], len(e), &p, &largest)
	case AVX2:
		tiltSplit64AVX2(&r[0], &above[0], &e[0], len(e), &p, &largest)
	default:
		return tiltSplitGeneric(r, above, e, g, cut)
	}
	return largest
}

func EspForward(f, r []float64, d int) {
	switch Active {
	case AVX512:
		espForward64AVX512(&f[0], &r[0], len(r)/32, d/5)
	case AVX2:
		espForward64AVX2(&f[0], &r[0], len(r)/32, d/5)
	default:
		espForwardGeneric(f, r, d)
	}
}

func inclusion32(dst []float32, r, c []float64, scale float64) {
	switch Active {
	case AVX512:
		inclusion32AVX512(&dst[0], &r[0], len(dst), &c[0], len(c), &scale)
	case AVX2:
		inclusion32AVX2(&dst[0], &r[0], len(dst), &c[0], len(c), &scale)
	default:
		inclusionGeneric(dst, r, c, scale)
	}
}

func Inclusion64(dst, r, c []float64, scale float64) {
	switch Active {
	case AVX512:
		inclusion64AVX512(&dst[0], &r[0], len(dst), &c[0], len(c), &scale)
	case AVX2:
		inclusion64AVX2(&dst[0], &r[0], len(dst), &c[0], len(c), &scale)
	default:
		inclusionGeneric(dst, r, c, scale)
	}
}

func Correlate(dst, g, b []float64) {
	switch Active {
	case AVX512:
		correlate64AVX512(&dst[0], len(dst), &g[0], &b[0], len(b))
	case AVX2:
		correlate64AVX2(&dst[0], len(dst), &g[0], &b[0], len(b))
	default:
		correlateGeneric(dst, g, b)
	}
}
