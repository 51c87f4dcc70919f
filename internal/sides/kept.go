package sides

import (
	"unsafe"

	"github.com/zlpr/zlpr/internal/kernel"
)

// This file decides where the exponentials of a chunk of one target are kept until the
// factors of the gradient are known: in the gradient's own place, if that may be. What is
// written there first comes into the nearest cache while the processor computes, and has
// not to be waited for when exponentials are multiplied, which is a matter of memory alone.

// groupLen is the most elements of a group. Kernels write on to the end of a row's last
// group, over the beginning of the next row, which is written later.
const groupLen = 64

// placeKept makes room for the exponentials. Those of rows that follow each other are in
// the gradient, unless the scores are there, too: these are needed for rows that pivot 0
// does not serve. The last row is apart where what lies behind it may not be written.
func (w *Work[T]) placeKept() {
	c := w.c
	w.inGrad = 0
	if c.N >= groupLen && c.GradStride == c.N && !c.Buffered && !c.Stream && unsafe.SliceData(c.Grad) != unsafe.SliceData(c.X) {
		w.inGrad = c.Rows
		if -c.N&(groupLen-1) > c.GradBehind {
			w.inGrad--
		}
	}
	w.kept = kernel.ResizeAligned(w.kept, (c.Rows-w.inGrad)*kernel.KeptStride[T](c.N)+groupLen)
}

// eachKept calls do with rows from i to end-1, and where their exponentials are kept.
func (w *Work[T]) eachKept(i, end int, do func(i, end int, kept []T, wStride int)) {
	if to := min(end, w.inGrad); i < to {
		do(i, to, w.c.Grad[i*w.c.GradStride:], w.c.GradStride)
		i = to
	}
	if i < end {
		wStride := kernel.KeptStride[T](w.c.N)
		do(i, end, w.kept[(i-w.inGrad)*wStride:], wStride)
	}
}
