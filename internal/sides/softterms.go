package sides

import (
	"github.com/zlpr/zlpr/internal/kernel"
)

// This file evaluates ZLPR with soft labels of float32 at pivot 0, without class weights:
// one exponential an element gives the terms of both sides (see kernel/soft.go), and the
// gradient is theirs times the factors. Short rows are evaluated one after the other,
// whatever the row, and their sums side by side.

// softTerms is memory for it.
type softTerms[T kernel.Float] struct {
	u, v         []T // the terms of both sides
	sums         [][2]float64
	scores, soft []T // of short rows, without gaps
	all          []uint64
}

// hasSoftTerms reports whether the chunk's rows are evaluated here.
func (w *Work[T]) hasSoftTerms() bool {
	c := w.c
	return kernel.IsFloat32[T]() && w.rule.Soft && w.weights() == nil && c.N > 0 && c.N <= keepLen
}

// evalSoftTerms evaluates the rows of the chunk.
func (w *Work[T]) evalSoftTerms() {
	c, s := w.c, &w.terms
	w.prepare(c.Rows)
	c.Pending.Finish()
	stride := 0
	if short := c.N <= kernel.ShortRow; short {
		stride = c.N
		w.shortTerms()
	} else {
		if c.Grad != nil {
			stride = kernel.KeptStride[T](c.N)
		}
		s.u, s.v = kernel.ResizeAligned(s.u, c.Rows*stride+c.N), kernel.ResizeAligned(s.v, c.Rows*stride+c.N)
		s.sums = kernel.Resize(s.sums, c.Rows)
		kernel.SoftTerms(s.sums, kernel.As32(s.u), kernel.As32(s.v), stride, kernel.As32(c.X), c.Stride,
			kernel.As32(c.Soft), c.SoftStride, c.Rows, c.N, c.Neg, c.Words)
		for i, sum := range s.sums {
			w.a[i], w.b[i] = sum[0], sum[1]
		}
	}
	for i := range c.Rows {
		if w.a[i] == 0 && w.loses(i, false) || w.b[i] == 0 && w.loses(i, true) {
			w.a[i], w.b[i] = kernel.CanonicalNaN[float64](), 0
		}
	}
	anySlow := w.finishSum(w.scale)
	if anySlow {
		w.prepareSides()
		w.evalSlow()
	}
	if c.Grad == nil {
		return
	}
	for i := 0; i < c.Rows; {
		if anySlow && w.slow[i] {
			i++
			continue
		}
		end := i + 1
		for end < c.Rows && !(anySlow && w.slow[end]) {
			end++
		}
		dst, u, v := c.Grad[i*c.GradStride:], s.u[i*stride:], s.v[i*stride:]
		if c.N <= kernel.ShortRow {
			kernel.ShortScale(kernel.As32(dst), c.GradStride, kernel.As32(u), end-i, c.N, kernel.As32(w.fa[i:]), kernel.As32(w.fb[i:]))
		} else {
			kernel.TargetScale(dst, c.GradStride, u, stride, end-i, c.N, w.fa[i:])
		}
		kernel.LessLabels(dst, c.GradStride, v, stride, end-i, c.N, w.fb[i:])
		i = end
	}
}

// shortTerms sets the terms and the sums of short rows.
func (w *Work[T]) shortTerms() {
	c, s, count := w.c, &w.terms, w.c.Rows*w.c.N
	x, t := s.flat(&s.scores, c.X, c.Stride, c.Rows, c.N), s.flat(&s.soft, c.Soft, c.SoftStride, c.Rows, c.N)
	rows := len(w.a)
	room := kernel.ShortRoom(rows * c.N)
	s.u, s.v, s.sums = kernel.ResizeAligned(s.u, room), kernel.ResizeAligned(s.v, room), kernel.Resize(s.sums, 1)
	part := c.FlatPart()
	if part == nil {
		part = s.allBits(count)
	}
	kernel.SoftTerms(s.sums, kernel.As32(s.u), kernel.As32(s.v), count, kernel.As32(x), count, kernel.As32(t), count, 1, count, part, len(part))
	clear(s.u[count:])
	clear(s.v[count:])
	// No term is negative: the other sums are 0.
	kernel.ShortSums(w.a, w.u, kernel.As32(s.u), rows, c.N)
	kernel.ShortSums(w.b, w.v, kernel.As32(s.v), rows, c.N)
}

// flat returns rows of n without gaps: those of x, or a copy.
func (s *softTerms[T]) flat(place *[]T, x []T, stride, rows, n int) []T {
	if stride == n {
		return x[:rows*n]
	}
	*place = kernel.Resize(*place, rows*n)
	for i := range rows {
		copy((*place)[i*n:][:n], x[i*stride:])
	}
	return *place
}

// allBits returns the bits of so many elements, or of more.
func (s *softTerms[T]) allBits(count int) []uint64 {
	for words := kernel.BitWords(count); len(s.all) < words; {
		s.all = append(s.all, ^uint64(0))
	}
	return s.all
}

// loses reports whether row i, whose sum of a side is 0, has a term there that is too
// small.
func (w *Work[T]) loses(i int, positive bool) bool {
	c := w.c
	none := T(1)
	if positive {
		none = 0
	}
	_, part := c.Sides(i)
	for j, t := range c.Soft[i*c.SoftStride:][:c.N] {
		if t != none && part[j/64]>>(j%64)&1 != 0 {
			return true
		}
	}
	return false
}
