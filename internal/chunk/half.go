package chunk

import "github.com/zlpr/zlpr/internal/kernel"

// nearLen is about as many 16-bit scores as are widened at a time, a multiple of the elements
// that short rows and the products of BCE are taken by: so many that calls do not count, and
// so few that the nearest cache has what is read and written.
const nearLen = 4096

// FarLen is as many where the scores come from memory. A block's lines are asked for at
// once, while an earlier one is widened, and arrive while something is computed: of more
// than some 64 lines the last ones wait for a place in the queue.
const FarLen = 2048

// NearGradLen is about as many elements of the gradient as are narrowed at a time, while
// they are in the nearest cache.
const NearGradLen = 4096

// Half are rows of 16-bit scores without gaps. Where it has them, X is open until Widen.
type Half struct {
	X        []uint16
	Grad     []uint16 // where the gradient goes, if wanted, once it is rounded: from Out.Grad, or by NearGrad
	BFloat16 bool
	Far      bool // they come from memory
	Done     bool // Grad is there: the loss has brought it

	x, grad []float32 // near
}

// Kind is the kind of floats, for kernels.
func (h *Half) Kind() int {
	if h.BFloat16 {
		return kernel.BFloat16
	}
	return kernel.Float16
}

// Near reports whether scores are to be read by Widened.
func (c *Chunk[T]) Near() bool { return c.Half.X != nil }

// NearLen is the number of scores that are widened at a time.
func (c *Chunk[T]) NearLen() int {
	if c.Half.Far {
		return FarLen
	}
	return nearLen
}

// NearRows is the number of whole rows that are.
func (c *Chunk[T]) NearRows() int { return max(1, c.NearLen()/c.N) }

// Widened returns scores of rows without gaps, of which they are those from from to
// to-1: until the next call.
func (c *Chunk[T]) Widened(from, to int) []T {
	h := &c.Half
	if h.X == nil {
		return c.X[from:to]
	}
	h.x = kernel.ResizeAligned(h.x, max(to-from, nearLen))[:to-from]
	kernel.Widen(h.x, h.X[from:to], h.BFloat16)
	return kernel.Cast[T](h.x)
}

// Widen makes sure that X is there.
func (c *Chunk[T]) Widen() {
	h := &c.Half
	if h.X != nil {
		kernel.Widen(kernel.As32(c.X[:len(h.X)]), h.X, h.BFloat16)
		h.X = nil
	}
}

// NearGrad returns a place for n elements of the gradient, for Narrow.
func (c *Chunk[T]) NearGrad(n int) []T {
	h := &c.Half
	h.grad = kernel.ResizeAligned(h.grad, max(n, NearGradLen))[:n]
	return kernel.Cast[T](h.grad)
}

// Narrow brings the gradient's elements g, from element from of all rows on, to their
// place.
func (c *Chunk[T]) Narrow(g []T, from int) {
	kernel.Narrow(c.Half.Grad[from:][:len(g)], kernel.As32(g), c.Half.BFloat16)
}
