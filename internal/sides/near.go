package sides

import (
	"unsafe"

	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/kernel"
)

// This file takes rows in portions that the nearer caches hold: 16-bit scores that are widened
// there and gradients on their way back, and rows too long to keep their exponentials.

// weighBlock is about as many bytes of exponentials as are kept before they are multiplied by
// weights: so many that starting a kernel does not count, and so few that the caches have them.
const weighBlock = 128 << 10

// eachNear calls a kernel with rows from i on, as many as its scores are in the nearest
// cache of, and a share of the pending copy.
func (w *Work[T]) eachNear(call func(i, rows int, x []T, stride int, h kernel.Rows16, pending *kernel.Copy[T])) {
	c := w.c
	near, sixteen := c.Near(), c.Near() && kernel.Sixteen(c.Half.Kind()) && c.N >= kernel.LeastSixteen
	step := max(1, weighBlock/int(unsafe.Sizeof(T(0)))/max(1, c.N))
	switch {
	case near && !sixteen:
		step = c.NearRows()
	case !w.multiplied:
		step = c.Rows
	}
	for i := 0; i < c.Rows; i += step {
		rows := min(step, c.Rows-i)
		w.portion = c.Pending.Split(rows * c.Words)
		x, stride, h := c.X, c.Stride, kernel.Rows16{}
		switch {
		case sixteen:
			x, stride, h = nil, c.N, kernel.Rows16{Kind: c.Half.Kind(), X: c.Half.X[i*c.N:]}
		case near:
			x, stride = c.Widened(i*c.N, (i+rows)*c.N), c.N
		default:
			x = x[i*stride:]
		}
		call(i, rows, x, stride, h, &w.portion)
	}
	c.Pending.Finish()
}

// nearGradient brings the gradient of rows i to end-1 to its place of 16-bit elements.
func (w *Work[T]) nearGradient(i, end int, short bool, wStride int) {
	c, n := w.c, w.c.N
	switch {
	case short:
		g := c.NearGrad((end - i) * n)
		kernel.ShortScale(kernel.As32(g), n, kernel.As32(w.kept[i*n:]), end-i, n, kernel.As32(w.fa[i:]), kernel.As32(w.fb[i:]))
		c.Narrow(g, i*n)
	case n <= chunk.NearGradLen:
		g := c.NearGrad((end - i) * n)
		kernel.SelectScale(g, n, w.kept[i*wStride:], wStride, end-i, n, w.fa[i:], w.fb[i:])
		c.Narrow(g, i*n)
	default: // one row
		for from := 0; from < n; from += chunk.NearGradLen {
			m := min(chunk.NearGradLen, n-from)
			g := c.NearGrad(m)
			kernel.SelectScale(g, m, w.kept[i*wStride+from:], m, 1, m, w.fa[i:], w.fb[i:])
			c.Narrow(g, i*n+from)
		}
	}
}

// longGradient writes the gradient of row i, a block at a time. (A chunk has one
// row of that length.)
func (w *Work[T]) longGradient(i int) {
	w.kept = kernel.ResizeAligned(w.kept, 3*keepBlock+64)
	x, out := w.c.Row(i), w.c.GradRow(i)
	for from := 0; from < w.c.N; from += keepBlock {
		n := min(keepBlock, w.c.N-from)
		w.blockExp(x[from:], n, i*w.c.Words+from/64)
		if !w.c.Stream {
			w.blockScale(out[from:], n, i)
			continue
		}
		// The copies of two blocks take turns.
		buffer := w.kept[keepBlock+64:][from/keepBlock%2*keepBlock:][:n]
		w.blockScale(buffer, n, i)
		*w.c.Pending = kernel.NewCopy(out[from:][:n], buffer)
	}
	w.c.Pending.Finish()
}

// blockExp keeps the exponentials of a block of n scores whose bits begin at that
// word.
func (w *Work[T]) blockExp(x []T, n, word int) {
	var a, b [8]float64
	if w.rule.Target {
		kernel.TargetExp(a[:], w.kept, n, x, n, 1, n, w.c.Neg[word:], kernel.BitWords(n), w.c.Pending)
	} else {
		kernel.SelectExp(a[:], b[:], w.kept, n, x, n, 1, n, w.c.Pos[word:], w.c.Neg[word:], kernel.BitWords(n), kernel.Rows16{}, w.c.Pending)
	}
}

// blockScale writes the gradient of a block of row i.
func (w *Work[T]) blockScale(dst []T, n, i int) {
	if w.rule.Target {
		kernel.TargetScale(dst, n, w.kept, n, 1, n, w.fa[i:])
	} else {
		kernel.SelectScale(dst, n, w.kept, n, 1, n, w.fa[i:], w.fb[i:])
	}
}
