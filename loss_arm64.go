//go:build !purego

package zlpr

func selectSums32(a, b []float64, x []float32, stride, rows, n int, pos, neg []uint64, words int) {
	if activeTier == tierNEON {
		selectSums32NEON(&a[0], &b[0], &x[0], stride, rows, n, &pos[0], &neg[0], words)
	} else {
		selectSums32Generic(a, b, x, stride, rows, n, pos, neg, words)
	}
}

func selectSums64(a, b []float64, x []float64, stride, rows, n int, pos, neg []uint64, words int) {
	if activeTier == tierNEON {
		selectSums64NEON(&a[0], &b[0], &x[0], stride, rows, n, &pos[0], &neg[0], words)
	} else {
		selectSums64Generic(a, b, x, stride, rows, n, pos, neg, words)
	}
}

func selectGrad32(dst []float32, dstStride int, x []float32, stride, rows, n int, pos, neg []uint64, words int, p []gradParams[float32]) {
	if activeTier == tierNEON {
		selectGrad32NEON(&dst[0], dstStride, &x[0], stride, rows, n, &pos[0], &neg[0], words, (*[6]float32)(&p[0]))
	} else {
		selectGrad32Generic(dst, dstStride, x, stride, rows, n, pos, neg, words, p)
	}
}

func selectGrad64(dst []float64, dstStride int, x []float64, stride, rows, n int, pos, neg []uint64, words int, p []gradParams[float64]) {
	if activeTier == tierNEON {
		selectGrad64NEON(&dst[0], dstStride, &x[0], stride, rows, n, &pos[0], &neg[0], words, (*[6]float64)(&p[0]))
	} else {
		selectGrad64Generic(dst, dstStride, x, stride, rows, n, pos, neg, words, p)
	}
}

func packBytes(dst []uint64, src []uint8, stride, rows, n int) bool {
	whole := n &^ 63
	if activeTier != tierNEON || whole == 0 {
		return packBytesGeneric(dst, src, stride, rows, n)
	}
	var bad uint64
	w := bitWords(n)
	packBytesNEON(&dst[0], w, &src[0], stride, rows, whole, &bad)
	good := bad == 0
	for i := range rows {
		if rest := src[i*stride+whole : i*stride+n]; len(rest) > 0 {
			good = packBytesGeneric(dst[i*w+w-1:], rest, len(rest), 1, len(rest)) && good
		}
	}
	return good
}

func selectGradZero32(dst []float32, dstStride int, x []float32, stride, rows, n int, pos, neg []uint64, words int, p []gradParams[float32]) {
	selectGrad32(dst, dstStride, x, stride, rows, n, pos, neg, words, p)
}

func selectGradZero64(dst []float64, dstStride int, x []float64, stride, rows, n int, pos, neg []uint64, words int, p []gradParams[float64]) {
	selectGrad64(dst, dstStride, x, stride, rows, n, pos, neg, words, p)
}
