package kernel

import "math"

// maximumGeneric writes the maximum of each row to max: -Inf for an empty
// row, NaN where there is one. The sign of a zero is open.
func maximumGeneric[T Float](max, x []T, stride, rows, n int) {
	for i := range rows {
		m, nan := T(math.Inf(-1)), false
		for _, v := range x[i*stride:][:n] {
			if v > m {
				m = v
			}
			nan = nan || v != v
		}
		if nan {
			m = CanonicalNaN[T]()
		}
		max[i] = m
	}
}
