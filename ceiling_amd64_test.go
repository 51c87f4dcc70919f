//go:build !purego

package zlpr

// ceilingRead reads x with the active tier's registers.
func ceilingRead(x []float32) {
	switch activeTier {
	case tierAVX512:
		read32AVX512(&x[0], len(x))
	case tierAVX2:
		read32AVX2(&x[0], len(x))
	default:
		var sum float32
		for _, v := range x {
			sum += v
		}
		sink32 = sum
	}
}

// ceilingCopy copies x with the active tier's registers, streaming or not.
func ceilingCopy(dst, x []float32, stream bool) {
	switch {
	case activeTier == tierAVX512 && stream:
		copyStream32AVX512(&dst[0], &x[0], len(x))
	case activeTier == tierAVX512:
		copy32AVX512(&dst[0], &x[0], len(x))
	case activeTier == tierAVX2 && stream:
		copyStream32AVX2(&dst[0], &x[0], len(x))
	case activeTier == tierAVX2:
		copy32AVX2(&dst[0], &x[0], len(x))
	default:
		copy(dst, x)
	}
}

var sink32 float32
