package sides

import (
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
