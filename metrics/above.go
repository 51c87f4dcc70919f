package metrics

import (
	"math"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/kernel"
)

// aboveRow writes the bits x[j] > t[j] to dst, one word for 64 classes, and
// reports whether a score is NaN. Bits past the last class are zero. The
// capacity of t is 64 at least, with zeros past its end.
func aboveRow[T zlpr.Float](dst []uint64, x, t []T) (hasNaN bool) {
	full, rest := len(x)/64, len(x)%64
	if full > 0 {
		hasNaN = !kernel.Above(dst[:full], x, t)
	}
	// The kernel takes whole words.
	switch last := len(x) - 64; {
	case rest == 0:
	case full > 0:
		// The last 64 classes, some of them once more.
		hasNaN = !kernel.Above(dst[full:], x[last:], t[last:]) || hasNaN
		dst[full] >>= 64 - rest
	default:
		// Fill up with scores that are not above their thresholds.
		var xs [64]T
		copy(xs[:], x)
		hasNaN = !kernel.Above(dst, xs[:], t[:64])
		dst[0] &= 1<<rest - 1
	}
	return hasNaN
}

// narrow is the largest T that is not above t: a score of type T is above t
// exactly when it is above narrow(t).
func narrow[T zlpr.Float](t float64) T {
	n := T(t)
	if float64(n) > t {
		return T(math.Nextafter32(float32(n), float32(math.Inf(-1))))
	}
	return n
}
