//go:build !purego

package ceiling

import (
	"github.com/zlpr/zlpr/internal/kernel"
)

// read reads x with the active tier's registers.
func read(x []float32) {
	switch kernel.Active {
	case kernel.AVX512:
		read32AVX512(&x[0], len(x))
	case kernel.AVX2:
		read32AVX2(&x[0], len(x))
	default:
		readGeneric(x)
	}
}

// copying copies x with the active tier's registers, streaming or not.
func copying(dst, x []float32, stream bool) {
	switch {
	case kernel.Active == kernel.AVX512 && stream:
		copyStream32AVX512(&dst[0], &x[0], len(x))
	case kernel.Active == kernel.AVX512:
		copy32AVX512(&dst[0], &x[0], len(x))
	case kernel.Active == kernel.AVX2 && stream:
		copyStream32AVX2(&dst[0], &x[0], len(x))
	case kernel.Active == kernel.AVX2:
		copy32AVX2(&dst[0], &x[0], len(x))
	default:
		copy(dst, x)
	}
}
