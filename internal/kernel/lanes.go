package kernel

import (
	"bytes"
	"math"
	"unsafe"
)

// Lanes32 and Lanes64 are the lanes of a virtual vector of 64 bytes, into which rows
// are cut.
const (
	Lanes32 = 16
	Lanes64 = 8
)

// Tree adds 16 lanes in the order (l, l+8), (l, l+4), (l, l+2), (l, l+1).
func Tree(acc *[16]float64) float64 {
	for half := 8; half > 0; half /= 2 {
		for l := range half {
			acc[l] += acc[half+l]
		}
	}
	return acc[0]
}

// CanonicalNaN is the quiet NaN with an empty payload.
func CanonicalNaN[T Float]() T { return T(math.Float64frombits(0x7ff8 << 48)) }

// TwoSum adds x ≥ 0 to sum ≥ 0, and the error to err.
func TwoSum(sum, err, x float64) (float64, float64) {
	t := sum + x // x, a number times a power of two, is exact
	return t, err + (min(sum, x) - (t - max(sum, x)))
}

func IsFloat32[T Float]() bool {
	var x T
	return unsafe.Sizeof(x) == 4
}

// As32 and as64 are x itself under its own type.
func As32[T Float](x []T) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}

func As64[T Float](x []T) []float64 {
	return unsafe.Slice((*float64)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}

// Misaligned returns the number of elements from the start of x to the first
// at a multiple of 64 bytes.
func Misaligned[T Float](x []T) int {
	bytes := -uintptr(unsafe.Pointer(unsafe.SliceData(x))) % 64
	return int(bytes / unsafe.Sizeof(x[0]))
}

// Cast returns x as a slice of another type of the same size.
func Cast[U, V any](x []V) []U {
	return unsafe.Slice((*U)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}

// LanesOf is the number of elements of a virtual vector.
func LanesOf[T Float]() int {
	if IsFloat32[T]() {
		return Lanes32
	}
	return Lanes64
}

// WeightsLen is the number of elements that the weights of a row of n take.
func WeightsLen[T Float](n int) int {
	lanes := LanesOf[T]()
	return (n + lanes - 1) / lanes * lanes * 2
}

// WeightPlace returns where the m of element j is in the weights of a row; its e
// is a virtual vector on.
func WeightPlace[T Float](j int) int { return j + j&^(LanesOf[T]()-1) }

// eight adds 8 lanes in the order (l, l+4), (l, l+2), (l, l+1).
func eight(acc *[8]float64) float64 {
	for half := 4; half > 0; half /= 2 {
		for l := range half {
			acc[l] += acc[half+l]
		}
	}
	return acc[0]
}

// Resize returns x with length n, its contents open.
func Resize[E any](x []E, n int) []E {
	if cap(x) < n {
		return touched(make([]E, n))
	}
	return x[:n]
}

// touched returns x, new memory, with every page of a large one written to: the
// system takes far longer to hand out memory than kernels to fill it, and no other
// goroutine runs while the collector waits for one that is in a kernel.
func touched[E any](x []E) []E {
	const large, page = 1 << 25, 4096
	var zero E
	if size := int(unsafe.Sizeof(zero)); size > 0 && len(x) >= large/size {
		for i := 0; i < len(x); i += max(1, page/size) {
			x[i] = zero
		}
	}
	return x
}

// ResizeAligned is Resize for a slice that begins at a multiple of 64 bytes.
func ResizeAligned[T Float](x []T, n int) []T {
	if cap(x) >= n {
		return x[:n]
	}
	x = touched(make([]T, n+16))
	return x[Misaligned(x):][:n]
}

// KeptStride is the distance of the rows of kept exponentials: whole virtual
// vectors. Kernels write whole groups, but the rows in order: what is written
// over the next row's place is written over.
func KeptStride[T Float](n int) int {
	if IsFloat32[T]() {
		return (n + Lanes32 - 1) &^ (Lanes32 - 1)
	}
	return (n + Lanes64 - 1) &^ (Lanes64 - 1)
}

// Float is the type of scores and gradients.
type Float interface{ float32 | float64 }

// SameBits reports whether two slices have the same bits: far faster than a comparison
// of numbers.
func SameBits(a, b []float64) bool {
	bytesOf := func(x []float64) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 8*len(x)) }
	return bytes.Equal(bytesOf(a), bytesOf(b))
}
