package sides

import (
	"math"
	"unsafe"

	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/kernel"
)

// isShort reports whether the chunk's rows are short ones of float32, all of which
// are evaluated as one (see kernel/short.go).
func (w *Work[T]) isShort() bool { return kernel.IsFloat32[T]() && w.c.N <= kernel.ShortRow }

// shortSums keeps the exponentials of all rows, without gaps, and sets their sums.
func (w *Work[T]) shortSums() {
	w.kept, w.normal = w.c.ShortExp(w.kept)
	rows := chunk.Room(w.c.Rows)
	if !w.multiplied {
		kernel.ShortSums(w.a, w.b, kernel.As32(w.kept), rows, w.c.N)
		return
	}
	if !w.multiplier.narrow {
		kernel.ShortSums(w.u, w.v, kernel.As32(w.kept), rows, w.c.N)
	}
	count := w.c.Rows * w.c.N
	kernel.WeighSums(w.a[:1], w.b[:1], w.kept, count, 1, count, w.multiplier.m, w.multiplier.lo)
	kernel.ShortSums(w.a, w.b, kernel.As32(w.kept), rows, w.c.N)
	if w.multiplier.narrow {
		copy(w.u, w.a)
		copy(w.v, w.b)
	}
	w.normal = false // the products may be smaller
}

// eightRows evaluates the chunk if its rows are of 8 classes, and kernels for those can.
func (w *Work[T]) eightRows() bool {
	c := w.c
	one := 1.0
	if w.rule.Product {
		one = 0
	}
	if w.multiplied || !c.TakesEights() || (w.rule.Product && !w.joined()) || !w.rule.Product && !c.ZeroThreshold || c.Grad != nil && !w.scalesFit() {
		return false
	}
	return c.Eights(func(u []float64, dst, x []float32, rows int, pos []uint64, from int) bool {
		var scale []float64
		if dst != nil {
			scale = w.scale[from:]
		}
		return kernel.ShortTwoSums(u, dst, x, rows, pos, scale, one)
	})
}

// scalesFit reports whether all scales are such as kernels of rows of 8 take.
func (w *Work[T]) scalesFit() bool {
	scale := w.scale[:w.c.Rows]
	if w.c.OneScale && unsafe.SliceData(scale) == unsafe.SliceData(w.c.Scale) {
		scale = scale[:1]
	}
	for _, v := range scale {
		if v = math.Abs(v); !(v >= kernel.ScaleLow && v <= kernel.ScaleHigh) {
			return false
		}
	}
	return true
}
