package kernel

// Above writes the bits x[j] > t[j] to dst, len(dst) ≥ 1 whole words of 64, and
// reports whether a score is NaN.
func Above[T Float](dst []uint64, x, t []T) bool {
	switch x := any(x).(type) {
	case []float32:
		return above32(dst, x, any(t).([]float32))
	default:
		return above64(dst, any(x).([]float64), any(t).([]float64))
	}
}

// aboveGeneric is the kernel in Go.
func aboveGeneric[T Float](dst []uint64, x, t []T) bool {
	hasNaN := false
	for i := range dst {
		x, t := x[i*64:][:64], t[i*64:][:64]
		var word uint64
		for j, s := range x {
			var bit uint64
			if s > t[j] {
				bit = 1
			}
			word |= bit << j
			hasNaN = hasNaN || s != s
		}
		dst[i] = word
	}
	return hasNaN
}
