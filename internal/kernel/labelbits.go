package kernel

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
)

// This file says what kernels that take soft labels in passing tell of them: bounds of their
// bits as integers. Those of numbers that are not negative are in the order of these, and all
// others are above them. Of float64 they are the upper halves.

// labelBits returns the bits of a label plus an integer.
func labelBits[T Float](t T, add int) uint64 {
	if IsFloat32[T]() {
		return uint64(math.Float32bits(float32(t)) + uint32(add))
	}
	return (math.Float64bits(float64(t)) + uint64(add)) >> 32
}

// mostBits returns the highest bits of labels t[i·stride+j], j < n.
func mostBits[T Float](t []T, stride, rows, n int) (most uint64) {
	for i := range rows {
		for _, v := range t[i*stride:][:n] {
			most = max(most, labelBits(v, 0))
		}
	}
	return most
}

// leastBits returns the lowest bits less one: those of 0 are the highest.
func leastBits[T Float](t []T, stride, rows, n int) (least uint64) {
	least = math.MaxUint32
	for i := range rows {
		for _, v := range t[i*stride:][:n] {
			least = min(least, labelBits(v, -1))
		}
	}
	return least
}

// LabelsFit reports whether all labels, of which the highest bits are most, are from 0 to 1, of
// float64 below 1.
func LabelsFit[T Float](most uint64) bool {
	if IsFloat32[T]() {
		return most <= labelBits(T(1), 0)
	}
	return most < labelBits(T(1), 0)
}

// LabelsPlain reports whether all of those that fit, of which the lowest bits less one are
// least, are 0 or from PlainLabel on, of float64 above it.
func LabelsPlain[T Float](least uint64) bool {
	if IsFloat32[T]() {
		return least >= labelBits(T(PlainLabel[T]()), -1)
	}
	return least >= labelBits(T(PlainLabel[T]()), 0)
}

// SmallProducts reports whether so small products of distances and labels have a sum that what
// is below the smallest number counts beside it; labels is the sum of the labels.
func SmallProducts[T Float](products, labels float64) bool {
	return labels > 0 && products < leastProducts[T]()
}

func leastProducts[T Float]() float64 {
	if IsFloat32[T]() {
		return coef.LeastProducts32
	}
	return coef.LeastProducts64
}
