package kernel

import "unsafe"

// The kernels of weighted sums by type parameter; side_generic.go specifies them.

func rows32[T Float](r *SideRows[T]) *SideRows[float32] {
	return (*SideRows[float32])(unsafe.Pointer(r))
}
func rows64[T Float](r *SideRows[T]) *SideRows[float64] {
	return (*SideRows[float64])(unsafe.Pointer(r))
}

// SideMax writes the tops of every row.
func SideMax[T Float](top []SideTop[T], r *SideRows[T]) {
	if IsFloat32[T]() {
		sideMax32(Cast[SideTop[float32]](top), rows32(r))
	} else {
		sideMax64(Cast[SideTop[float64]](top), rows64(r))
	}
}

// SideSums writes the weighted sums of every row's negatives and positives.
func SideSums[T Float](sum [][2]float64, r *SideRows[T], p []SideParams[T], pStep int) {
	if IsFloat32[T]() {
		sideSums32(sum, rows32(r), Cast[SideParams[float32]](p), pStep)
	} else {
		sideSums64(sum, rows64(r), Cast[SideParams[float64]](p), pStep)
	}
}

// SideGrad writes every row's terms times the sides' factors, plus add unless
// that is nil.
func SideGrad[T Float](dst []T, dstStride int, r *SideRows[T], p []SideParams[T], add []T, addStride int) {
	if IsFloat32[T]() {
		sideGrad32(As32(dst), dstStride, rows32(r), Cast[SideParams[float32]](p), As32(add), addStride)
	} else {
		sideGrad64(As64(dst), dstStride, rows64(r), Cast[SideParams[float64]](p), As64(add), addStride)
	}
}

// SoftWeights writes the weights of soft labels; class is nil where all classes
// have weight 1.
func SoftWeights[T Float](neg, pos, t []T, stride, rows, n int, part []uint64, words int, class []float64, exponents []T) {
	if IsFloat32[T]() && class == nil {
		softUnit32(As32(neg), As32(pos), As32(t), stride, rows, n, part, words)
	} else if IsFloat32[T]() {
		softWeights32(As32(neg), As32(pos), As32(t), stride, rows, n, part, words, class, As32(exponents))
	} else {
		softWeights64(As64(neg), As64(pos), As64(t), stride, rows, n, part, words, class, As64(exponents))
	}
}
