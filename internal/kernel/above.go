package kernel

// aboveGeneric writes the bits x[j] > t[j] to dst, len(dst) ≥ 1 whole words of 64,
// and reports whether all scores are numbers.
func aboveGeneric[T Float](dst []uint64, x, t []T) bool {
	numbers := true
	for i := range dst {
		x, t := x[i*64:][:64], t[i*64:][:64]
		var word uint64
		for j, s := range x {
			var bit uint64
			if s > t[j] {
				bit = 1
			}
			word |= bit << j
			numbers = numbers && s == s
		}
		dst[i] = word
	}
	return numbers
}
