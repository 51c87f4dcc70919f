package main

import (
	"math"
	"runtime"
	"unsafe"

	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/sparse"
)

// block returns rows r0 to r1-1 of the scores, where they lie or in buffer,
// which grows. A score that a sparse matrix does not list is -Inf.
func block[T array.Number](s *scoreSource, buffer *[]T, r0, r1 int) []T {
	if s.csr != nil {
		return sparse.Block(s.csr, buffer, r0, r1, T(math.Inf(-1)))
	}
	n := s.classes()
	ahead(s.dense, r0*n, r1*n)
	return elements(s.dense, buffer, r0*n, r1*n)
}

// readAhead is how many elements the system is told to read ahead at a time.
const readAhead = 4 << 20

// ahead tells the system, as blocks pass from one stretch of readAhead elements
// to the next, that the stretch after that is wanted soon. It reads while
// blocks are computed.
func ahead(a *array.Array, from, to int) {
	if next := (to/readAhead + 1) * readAhead; from == 0 || from/readAhead != to/readAhead {
		a.WillNeed(next, next+readAhead)
	}
}

// reach reads a byte of every page of a long row: what it waits for a disk does
// not happen in a kernel, which nothing can interrupt.
func reach[T array.Number | uint16](x []T) {
	const long, page = 1 << 23, 4096
	if len(x) < long {
		return
	}
	var sum T
	for i := 0; i < len(x); i += page / int(unsafe.Sizeof(sum)) {
		sum += x[i]
	}
	runtime.KeepAlive(sum)
}

// elements returns the elements from to to-1, where they lie or in buffer.
func elements[T array.Number](a *array.Array, buffer *[]T, from, to int) []T {
	if v, ok := array.View[T](a, from, to); ok {
		reach(v)
		return v
	}
	if h, ok := array.Halves(a, from, to); ok {
		if _, ok := any(buffer).(*[]float32); ok {
			reach(h)
			*buffer = kernel.Resize(*buffer, to-from)
			kernel.Widen(kernel.Cast[float32](*buffer), h, a.Type == array.BFloat16)
			return *buffer
		}
	}
	*buffer = array.Read(a, *buffer, from, to)
	return *buffer
}

// blockRows is the number of rows of a block: about as many scores as the
// second-level cache holds.
func blockRows(rows, classes int) int {
	return max(1, min(rows, blockScores/max(1, classes), 1<<15))
}

const blockScores = 1 << 18
