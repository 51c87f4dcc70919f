package zlpr

import "unsafe"

// The kernels of weighted sums by type parameter; side_generic.go specifies them.

func rows32[T Float](r *sideRows[T]) *sideRows[float32] {
	return (*sideRows[float32])(unsafe.Pointer(r))
}
func rows64[T Float](r *sideRows[T]) *sideRows[float64] {
	return (*sideRows[float64])(unsafe.Pointer(r))
}

// castSlice returns x as a slice of another type of the same size.
func castSlice[U, V any](x []V) []U {
	return unsafe.Slice((*U)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}

// sideMax writes the tops of every row.
func sideMax[T Float](top []sideTop[T], r *sideRows[T]) {
	if isFloat32[T]() {
		sideMax32(castSlice[sideTop[float32]](top), rows32(r))
	} else {
		sideMax64(castSlice[sideTop[float64]](top), rows64(r))
	}
}

// sideSums writes the weighted sums of every row's negatives and positives.
func sideSums[T Float](sum [][2]float64, r *sideRows[T], p []gradParams[T], pStep int) {
	if isFloat32[T]() {
		sideSums32(sum, rows32(r), castSlice[gradParams[float32]](p), pStep)
	} else {
		sideSums64(sum, rows64(r), castSlice[gradParams[float64]](p), pStep)
	}
}

// sideGrad writes every row's terms times the sides' factors, plus add unless
// that is nil.
func sideGrad[T Float](dst []T, dstStride int, r *sideRows[T], p []gradParams[T], add []T, addStride int) {
	if isFloat32[T]() {
		sideGrad32(as32(dst), dstStride, rows32(r), castSlice[gradParams[float32]](p), as32(add), addStride)
	} else {
		sideGrad64(as64(dst), dstStride, rows64(r), castSlice[gradParams[float64]](p), as64(add), addStride)
	}
}

// softWeights writes the weights of soft labels; class is nil where all classes
// have weight 1.
func softWeights[T Float](neg, pos, t []T, stride, rows, n int, part []uint64, words int, class []float64, exponents []T) {
	if isFloat32[T]() && class == nil {
		softUnit32(as32(neg), as32(pos), as32(t), stride, rows, n, part, words)
	} else if isFloat32[T]() {
		softWeights32(as32(neg), as32(pos), as32(t), stride, rows, n, part, words, class, as32(exponents))
	} else {
		softWeights64(as64(neg), as64(pos), as64(t), stride, rows, n, part, words, class, as64(exponents))
	}
}
