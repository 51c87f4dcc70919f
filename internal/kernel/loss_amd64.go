//go:build !purego

package kernel

import "unsafe"

func selectSums32(a, b []float64, x []float32, stride, rows, n int, pos, neg []uint64, words int) {
	switch Active {
	case AVX512:
		selectSums32AVX512(&a[0], &b[0], &x[0], stride, rows, n, &pos[0], &neg[0], words)
	case AVX2:
		selectSums32AVX2(&a[0], &b[0], &x[0], stride, rows, n, &pos[0], &neg[0], words)
	default:
		selectSums32Generic(a, b, x, stride, rows, n, pos, neg, words)
	}
}

func selectSums64(a, b []float64, x []float64, stride, rows, n int, pos, neg []uint64, words int) {
	switch Active {
	case AVX512:
		selectSums64AVX512(&a[0], &b[0], &x[0], stride, rows, n, &pos[0], &neg[0], words)
	case AVX2:
		selectSums64AVX2(&a[0], &b[0], &x[0], stride, rows, n, &pos[0], &neg[0], words)
	default:
		selectSums64Generic(a, b, x, stride, rows, n, pos, neg, words)
	}
}

func PackBytes(dst []uint64, src []uint8, stride, rows, n int) bool {
	w := BitWords(n)
	switch Active {
	case AVX512:
		return packBytesAVX512(&dst[0], w, &src[0], stride, rows, n) == 0
	case AVX2:
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

func selectExp32(a, b []float64, w []float32, wStride int, x []float32, stride, rows, n int, pos, neg []uint64, words int, c *Copy[float32]) {
	switch Active {
	case AVX512:
		selectExp32AVX512(&a[0], &b[0], &w[0], wStride, &x[0], stride, rows, n, &pos[0], &neg[0], words, unsafe.SliceData(c.to), unsafe.SliceData(c.from), c.blocks())
		c.done()
	case AVX2:
		selectExp32AVX2(&a[0], &b[0], &w[0], wStride, &x[0], stride, rows, n, &pos[0], &neg[0], words, unsafe.SliceData(c.to), unsafe.SliceData(c.from), c.blocks())
		c.done()
	default:
		c.Finish()
		selectExp32Generic(a, b, w, wStride, x, stride, rows, n, pos, neg, words)
	}
}

func selectScale32(dst []float32, dstStride int, w []float32, wStride, rows, n int, fa, fb []float32) {
	switch Active {
	case AVX512:
		selectScale32AVX512(&dst[0], dstStride, &w[0], wStride, rows, n, &fa[0], &fb[0])
	case AVX2:
		selectScale32AVX2(&dst[0], dstStride, &w[0], wStride, rows, n, &fa[0], &fb[0])
	default:
		selectScaleGeneric(dst, dstStride, w, wStride, rows, n, fa, fb)
	}
}

func selectExp64(a, b []float64, w []float64, wStride int, x []float64, stride, rows, n int, pos, neg []uint64, words int, c *Copy[float64]) {
	switch Active {
	case AVX512:
		selectExp64AVX512(&a[0], &b[0], &w[0], wStride, &x[0], stride, rows, n, &pos[0], &neg[0], words, unsafe.SliceData(c.to), unsafe.SliceData(c.from), c.blocks())
		c.done()
	case AVX2:
		selectExp64AVX2(&a[0], &b[0], &w[0], wStride, &x[0], stride, rows, n, &pos[0], &neg[0], words, unsafe.SliceData(c.to), unsafe.SliceData(c.from), c.blocks())
		c.done()
	default:
		c.Finish()
		selectExp64Generic(a, b, w, wStride, x, stride, rows, n, pos, neg, words)
	}
}

func selectScale64(dst []float64, dstStride int, w []float64, wStride, rows, n int, fa, fb []float64) {
	switch Active {
	case AVX512:
		selectScale64AVX512(&dst[0], dstStride, &w[0], wStride, rows, n, &fa[0], &fb[0])
	case AVX2:
		selectScale64AVX2(&dst[0], dstStride, &w[0], wStride, rows, n, &fa[0], &fb[0])
	default:
		selectScaleGeneric(dst, dstStride, w, wStride, rows, n, fa, fb)
	}
}

func finishSums32(loss []float64, fa, fb []float32, a, b, scale []float64) bool {
	switch Active {
	case AVX512:
		return finishSums32AVX512(&loss[0], &fa[0], &fb[0], &a[0], &b[0], &scale[0], len(a)) == 0
	case AVX2:
		return finishSums32AVX2(&loss[0], &fa[0], &fb[0], &a[0], &b[0], &scale[0], len(a)) == 0
	}
	return finishSumsGeneric(loss, fa, fb, a, b, scale)
}

func finishSums64(loss []float64, fa, fb []float64, a, b, scale []float64) bool {
	switch Active {
	case AVX512:
		return finishSums64AVX512(&loss[0], &fa[0], &fb[0], &a[0], &b[0], &scale[0], len(a)) == 0
	case AVX2:
		return finishSums64AVX2(&loss[0], &fa[0], &fb[0], &a[0], &b[0], &scale[0], len(a)) == 0
	}
	return finishSumsGeneric(loss, fa, fb, a, b, scale)
}

// copyBlocks copies blocks of 256 bytes past the caches, to a multiple of 64
// bytes, and waits until all such stores are seen.
func copyBlocks[T Float](to, from []T, blocks int) {
	dst, x := (*float32)(unsafe.Pointer(unsafe.SliceData(to))), (*float32)(unsafe.Pointer(unsafe.SliceData(from)))
	switch Active {
	case AVX512:
		copyStream32AVX512(dst, x, blocks*(copyBlock/4))
	case AVX2:
		copyStream32AVX2(dst, x, blocks*(copyBlock/4))
	default:
		copy(to, from)
	}
}

// Streaming reports whether the tier can write past the caches.
func Streaming() bool { return Active != Generic }

func accumulate32(dst []float32, dstStride int, x []float32, stride, rows, n int) {
	switch Active {
	case AVX512:
		accumulate32AVX512(&dst[0], dstStride, &x[0], stride, rows, n)
	case AVX2:
		accumulate32AVX2(&dst[0], dstStride, &x[0], stride, rows, n)
	default:
		accumulateGeneric(dst, dstStride, x, stride, rows, n)
	}
}

func accumulate64(dst []float64, dstStride int, x []float64, stride, rows, n int) {
	switch Active {
	case AVX512:
		accumulate64AVX512(&dst[0], dstStride, &x[0], stride, rows, n)
	case AVX2:
		accumulate64AVX2(&dst[0], dstStride, &x[0], stride, rows, n)
	default:
		accumulateGeneric(dst, dstStride, x, stride, rows, n)
	}
}

func AddParts(x []float64) (p lossParts) {
	switch Active {
	case AVX512:
		addParts64AVX512(&p.Sum[0], &x[0], len(x))
	case AVX2:
		addParts64AVX2(&p.Sum[0], &x[0], len(x))
	default:
		p = addPartsGeneric(x)
	}
	return p
}
