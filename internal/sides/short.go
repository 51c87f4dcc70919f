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
	kernel.ShortSums(w.a, w.b, kernel.As32(w.kept), chunk.Room(w.c.Rows), w.c.N)
}
