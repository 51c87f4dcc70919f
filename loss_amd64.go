//go:build !purego

package zlpr

func selectSums32(a, b []float64, x []float32, stride, rows, n int, pos, neg []uint64, words int) {
	switch activeTier {
	case tierAVX512:
		selectSums32AVX512(&a[0], &b[0], &x[0], stride, rows, n, &pos[0], &neg[0], words)
	case tierAVX2:
		selectSums32AVX2(&a[0], &b[0], &x[0], stride, rows, n, &pos[0], &neg[0], words)
	default:
		selectSums32Generic(a, b, x, stride, rows, n, pos, neg, words)
	}
}

func selectGrad32(dst []float32, dstStride int, x []float32, stride, rows, n int, pos, neg []uint64, words int, p []gradParams[float32]) {
	switch activeTier {
	case tierAVX512:
		selectGrad32AVX512(&dst[0], dstStride, &x[0], stride, rows, n, &pos[0], &neg[0], words, (*[6]float32)(&p[0]))
	case tierAVX2:
		selectGrad32AVX2(&dst[0], dstStride, &x[0], stride, rows, n, &pos[0], &neg[0], words, (*[6]float32)(&p[0]))
	default:
		selectGrad32Generic(dst, dstStride, x, stride, rows, n, pos, neg, words, p)
	}
}

func selectSums64(a, b []float64, x []float64, stride, rows, n int, pos, neg []uint64, words int) {
	switch activeTier {
	case tierAVX512:
		selectSums64AVX512(&a[0], &b[0], &x[0], stride, rows, n, &pos[0], &neg[0], words)
	case tierAVX2:
		selectSums64AVX2(&a[0], &b[0], &x[0], stride, rows, n, &pos[0], &neg[0], words)
	default:
		selectSums64Generic(a, b, x, stride, rows, n, pos, neg, words)
	}
}

func selectGrad64(dst []float64, dstStride int, x []float64, stride, rows, n int, pos, neg []uint64, words int, p []gradParams[float64]) {
	switch activeTier {
	case tierAVX512:
		selectGrad64AVX512(&dst[0], dstStride, &x[0], stride, rows, n, &pos[0], &neg[0], words, (*[6]float64)(&p[0]))
	case tierAVX2:
		selectGrad64AVX2(&dst[0], dstStride, &x[0], stride, rows, n, &pos[0], &neg[0], words, (*[6]float64)(&p[0]))
	default:
		selectGrad64Generic(dst, dstStride, x, stride, rows, n, pos, neg, words, p)
	}
}

// selectGradZero32 is selectGrad32 where all rows have pivot 0.
func selectGradZero32(dst []float32, dstStride int, x []float32, stride, rows, n int, pos, neg []uint64, words int, p []gradParams[float32]) {
	switch activeTier {
	case tierAVX512:
		selectGradZero32AVX512(&dst[0], dstStride, &x[0], stride, rows, n, &pos[0], &neg[0], words, (*[6]float32)(&p[0]))
	case tierAVX2:
		selectGradZero32AVX2(&dst[0], dstStride, &x[0], stride, rows, n, &pos[0], &neg[0], words, (*[6]float32)(&p[0]))
	default:
		selectGrad32Generic(dst, dstStride, x, stride, rows, n, pos, neg, words, p)
	}
}

// selectGradZero64 is selectGrad64 where all rows have pivot 0.
func selectGradZero64(dst []float64, dstStride int, x []float64, stride, rows, n int, pos, neg []uint64, words int, p []gradParams[float64]) {
	switch activeTier {
	case tierAVX512:
		selectGradZero64AVX512(&dst[0], dstStride, &x[0], stride, rows, n, &pos[0], &neg[0], words, (*[6]float64)(&p[0]))
	case tierAVX2:
		selectGradZero64AVX2(&dst[0], dstStride, &x[0], stride, rows, n, &pos[0], &neg[0], words, (*[6]float64)(&p[0]))
	default:
		selectGrad64Generic(dst, dstStride, x, stride, rows, n, pos, neg, words, p)
	}
}

func packBytes(dst []uint64, src []uint8, stride, rows, n int) bool {
	w := bitWords(n)
	switch activeTier {
	case tierAVX512:
		return packBytesAVX512(&dst[0], w, &src[0], stride, rows, n) == 0
	case tierAVX2:
		whole := n &^ 63
		if whole == 0 {
			break
		}
		good := packBytesAVX2(&dst[0], w, &src[0], stride, rows, whole) == 0
		for i := range rows {
			if rest := src[i*stride+whole : i*stride+n]; len(rest) > 0 {
				good = packBytesGeneric(dst[i*w+w-1:], rest, len(rest), 1, len(rest)) && good
			}
		}
		return good
	}
	return packBytesGeneric(dst, src, stride, rows, n)
}
