package sides

import (
	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/kernel"
)

// This file evaluates the exponentials and the sums of short rows of float32, all
// rows of a chunk as one (see kernel/short.go).

// isShort reports whether the chunk's rows are evaluated here.
func (w *Work[T]) isShort() bool { return kernel.IsFloat32[T]() && w.c.N <= kernel.ShortRow }

// shortSums keeps the exponentials of all rows, without gaps, and sets their sums.
func (w *Work[T]) shortSums() {
	c := w.c
	w.kept = kernel.ResizeAligned(w.kept, kernel.ShortRoom(chunk.Room(c.Rows)*c.N+kernel.ShortRows))
	w.shortExp()
	kernel.ShortSums(w.a, w.b, kernel.As32(w.kept), chunk.Room(c.Rows), c.N)
}

func (w *Work[T]) shortExp() {
	c := w.c
	x, n := c.X, c.Rows*c.N
	if c.Stride != c.N {
		w.flat = kernel.Resize(w.flat, n)
		for i := range c.Rows {
			copy(w.flat[i*c.N:][:c.N], c.Row(i))
		}
		x = w.flat
	}
	pos, part := c.FlatPos(), c.FlatPart()
	whole := n &^ (kernel.ShortRows - 1)
	w.normal = true
	if whole > 0 {
		w.normal = kernel.ShortExp(kernel.As32(w.kept), kernel.As32(x[:whole]), pos, part)
	}
	if whole == n {
		return
	}
	// What is left, as a whole group.
	var y [kernel.ShortRows]float32
	copy(y[:], kernel.As32(x[whole:n]))
	shift := whole % 64
	last := [2]uint64{pos[whole/64] >> shift}
	var of []uint64
	if part != nil {
		last[1] = part[whole/64] >> shift
		of = last[1:]
	}
	normal := kernel.ShortExp(kernel.As32(w.kept[whole:]), y[:], last[:1], of)
	w.normal = w.normal && normal
}
