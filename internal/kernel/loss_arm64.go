//go:build !purego

package kernel

func selectSums32(a, b []float64, x []float32, stride, rows, n int, pos, neg []uint64, words int) {
	if Active == NEON {
		selectSums32NEON(&a[0], &b[0], &x[0], stride, rows, n, &pos[0], &neg[0], words)
	} else {
		selectSums32Generic(a, b, x, stride, rows, n, pos, neg, words)
	}
}

func selectSums64(a, b []float64, x []float64, stride, rows, n int, pos, neg []uint64, words int) {
	if Active == NEON {
		selectSums64NEON(&a[0], &b[0], &x[0], stride, rows, n, &pos[0], &neg[0], words)
	} else {
		selectSums64Generic(a, b, x, stride, rows, n, pos, neg, words)
	}
}

func PackBytes(dst []uint64, src []uint8, stride, rows, n int) bool {
	whole := n &^ 63
	if Active != NEON || whole == 0 {
		return packBytesGeneric(dst, src, stride, rows, n)
	}
	var bad uint64
	w := BitWords(n)
	packBytesNEON(&dst[0], w, &src[0], stride, rows, whole, &bad)
	good := bad == 0
	for i := range rows {
		if rest := src[i*stride+whole : i*stride+n]; len(rest) > 0 {
			good = packBytesGeneric(dst[i*w+w-1:], rest, len(rest), 1, len(rest)) && good
		}
	}
	return good
}

func selectExp32(a, b []float64, w []float32, wStride int, x []float32, stride, rows, n int, pos, neg []uint64, words int, c *Copy[float32]) {
	c.Finish()
	if Active == NEON {
		selectExp32NEON(&a[0], &b[0], &w[0], wStride, &x[0], stride, rows, n, &pos[0], &neg[0], words)
	} else {
		selectExp32Generic(a, b, w, wStride, x, stride, rows, n, pos, neg, words)
	}
}

func selectScale32(dst []float32, dstStride int, w []float32, wStride, rows, n int, fa, fb []float32) {
	if Active == NEON {
		selectScale32NEON(&dst[0], dstStride, &w[0], wStride, rows, n, &fa[0], &fb[0])
	} else {
		selectScaleGeneric(dst, dstStride, w, wStride, rows, n, fa, fb)
	}
}

func selectExp64(a, b []float64, w []float64, wStride int, x []float64, stride, rows, n int, pos, neg []uint64, words int, c *Copy[float64]) {
	c.Finish()
	if Active == NEON {
		selectExp64NEON(&a[0], &b[0], &w[0], wStride, &x[0], stride, rows, n, &pos[0], &neg[0], words)
	} else {
		selectExp64Generic(a, b, w, wStride, x, stride, rows, n, pos, neg, words)
	}
}

func selectScale64(dst []float64, dstStride int, w []float64, wStride, rows, n int, fa, fb []float64) {
	if Active == NEON {
		selectScale64NEON(&dst[0], dstStride, &w[0], wStride, rows, n, &fa[0], &fb[0])
	} else {
		selectScaleGeneric(dst, dstStride, w, wStride, rows, n, fa, fb)
	}
}

func finishSums32(loss []float64, fa, fb []float32, a, b, scale []float64) bool {
	if Active == NEON {
		var bad uint64
		finishSums32NEON(&loss[0], &fa[0], &fb[0], &a[0], &b[0], &scale[0], len(a), &bad)
		return bad == 0
	}
	return finishSumsGeneric(loss, fa, fb, a, b, scale)
}

func finishSums64(loss []float64, fa, fb []float64, a, b, scale []float64) bool {
	if Active == NEON {
		var bad uint64
		finishSums64NEON(&loss[0], &fa[0], &fb[0], &a[0], &b[0], &scale[0], len(a), &bad)
		return bad == 0
	}
	return finishSumsGeneric(loss, fa, fb, a, b, scale)
}

func copyBlocks[T Float](to, from []T, _ int) { copy(to, from) }

// Streaming reports whether the tier can write past the caches.
func Streaming() bool { return false }

func accumulate32(dst []float32, dstStride int, x []float32, stride, rows, n int) {
	if Active == NEON {
		accumulate32NEON(&dst[0], dstStride, &x[0], stride, rows, n)
	} else {
		accumulateGeneric(dst, dstStride, x, stride, rows, n)
	}
}

func accumulate64(dst []float64, dstStride int, x []float64, stride, rows, n int) {
	if Active == NEON {
		accumulate64NEON(&dst[0], dstStride, &x[0], stride, rows, n)
	} else {
		accumulateGeneric(dst, dstStride, x, stride, rows, n)
	}
}

func AddParts(x []float64) (p lossParts) {
	if Active == NEON {
		addParts64NEON(&p.Sum[0], &x[0], len(x))
		return p
	}
	return addPartsGeneric(x)
}
