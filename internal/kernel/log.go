package kernel

import "github.com/zlpr/zlpr/internal/scalar"

// logPair64Generic writes log(hi[i]+lo[i]) to dst[i], for positive normal hi[i]
// ≥ |lo[i]|; lo nil is 0 everywhere.
func logPair64Generic(dst, hi, lo []float64) {
	for i := range dst {
		low := 0.0
		if lo != nil {
			low = lo[i]
		}
		dst[i] = scalar.LogPair(hi[i], low)
	}
}

// log1p64Generic writes log(1+x[i]) for finite x[i] ≥ 0 to dst[i].
func log1p64Generic(dst, x []float64) {
	for i, v := range x {
		dst[i] = scalar.Log1pFinite(v)
	}
}
