package subset

import (
	"math"

	"github.com/zlpr/zlpr/internal/kernel"
)

// A pbTree is the product tree of a Poisson-binomial law: the number of
// successes among independent items, item i succeeding with probability p[i]
// and failing with q[i] = 1 - p[i], has the generating polynomial
//
//	Π (q[i] + p[i]·x).
//
// A leaf is a block of items, a node the product of its two children. A node
// keeps the degrees in the window mean ± (12σ + 8) of its own law, cut at the
// highest degree wanted; what lies outside is below 2^-64 of anything that it
// could add to. All terms are positive.
type pbTree struct {
	p, q    []float64
	degree  int
	nodes   []pbNode // level by level, the leaves first
	levels  []int    // where each level begins in nodes, and its end
	coef    []float64
	adjoint []float64
	e0, e1  []float64 // what backward returns

	reversed, padded []float64 // operands of a product

	prefix [pbBlock][pbBlock + 2]float64 // the products of a leaf's first items
}

// A pbNode is a polynomial whose coefficient of x^(lo+j) is coef[at+j], j < n.
type pbNode struct {
	lo, n, at      int
	mean, variance float64
}

// pbBlock is the number of items of a leaf.
const pbBlock = 16

// extend returns s with n more elements of unspecified contents.
func extend(s []float64, n int) []float64 {
	if len(s)+n > cap(s) {
		s = append(s, make([]float64, n)...)
		return s
	}
	return s[:len(s)+n]
}

// forward builds the tree of the items in p and q up to the given degree.
func (t *pbTree) forward(degree int) {
	t.degree = degree
	t.nodes, t.levels, t.coef = t.nodes[:0], append(t.levels[:0], 0), t.coef[:0]
	for i := 0; i < len(t.p) || i == 0; i += pbBlock {
		t.leaf(t.p[i:min(i+pbBlock, len(t.p))], t.q[i:])
	}
	for {
		first, end := t.levels[len(t.levels)-1], len(t.nodes)
		t.levels = append(t.levels, end)
		if end-first == 1 {
			return
		}
		for i := first; i+1 < end; i += 2 {
			t.multiply(t.nodes[i], t.nodes[i+1])
		}
		if (end-first)%2 == 1 {
			t.nodes = append(t.nodes, t.nodes[end-1]) // the same place: nothing to do on the way back
		}
	}
}

// root returns the node of the whole product.
func (t *pbTree) root() pbNode { return t.nodes[len(t.nodes)-1] }

// of returns the part of an arena that belongs to a node.
func (b pbNode) of(arena []float64) []float64 { return arena[b.at:][:b.n:b.n] }

// leaf appends the product of at most pbBlock items.
func (t *pbTree) leaf(p, q []float64) {
	var f [pbBlock + 1]float64
	f[0] = 1
	b := pbNode{at: len(t.coef)}
	for i, p := range p {
		q := q[i]
		top := min(i+1, t.degree)
		a := f[top]
		for j := top; j > 0; j-- {
			b := f[j-1]
			f[j] = float64(a*q) + float64(b*p)
			a = b
		}
		f[0] = a * q
		b.mean += p
		b.variance += float64(p * q)
	}
	b.n = min(len(p), t.degree) + 1
	t.coef = append(t.coef, f[:b.n]...)
	t.nodes = append(t.nodes, b)
}

// multiply appends the product of two nodes, within its window.
func (t *pbTree) multiply(a, b pbNode) {
	c := pbNode{at: len(t.coef), mean: a.mean + b.mean, variance: a.variance + b.variance}
	reach := float64(12*math.Sqrt(c.variance)) + 8
	c.lo = max(a.lo+b.lo, int(math.Floor(c.mean-reach)))
	high := min(a.lo+b.lo+a.n+b.n-2, t.degree, int(math.Ceil(c.mean+reach)))
	c.lo = min(c.lo, high)
	c.n = high - c.lo + 1

	t.coef = extend(t.coef, roundUp8(c.n))
	x, y := a.of(t.coef), b.of(t.coef)
	if len(x) > len(y) {
		x, y = y, x
	}
	t.product(t.coef[c.at:][:roundUp8(c.n)], c.lo-a.lo-b.lo, x, y)
	t.coef = t.coef[:c.at+c.n]
	t.nodes = append(t.nodes, c)
}

// product writes the coefficients from x^first on of the product of two
// polynomials to dst, x being the shorter. len(dst) is a multiple of 8.
//
//	Σ_i x_i y_(m-i) = Σ_i x_(n-1-i) padded_(m+i),  padded = n-1 zeros, y, zeros
func (t *pbTree) product(dst []float64, first int, x, y []float64) {
	n := len(x)
	t.reversed = grow(t.reversed, n)
	for i, v := range x {
		t.reversed[n-1-i] = v
	}
	t.padded = padded(t.padded, y, n-1-first, len(dst)+n-1)
	kernel.Correlate(dst, t.padded, t.reversed)
}

// padded returns, in buf, the n elements of the sequence that is y from
// index shift on and 0 elsewhere; shift may be negative.
func padded(buf, y []float64, shift, n int) []float64 {
	buf = grow(buf, n)
	from := min(max(shift, 0), n)
	clear(buf[:from])
	y = y[min(max(-shift, 0), len(y)):]
	clear(buf[from+copy(buf[from:], y):])
	return buf
}

// backward takes the adjoint of the root, the derivative of a linear function
// F of the root's coefficients by each of them, and leaves in e0[i] and e1[i]
// the derivatives of F by q[i] and p[i]. It is the transpose of forward: a
// child's adjoint is the correlation of its parent's adjoint with its sibling.
func (t *pbTree) backward(root []float64) {
	t.adjoint = grow(t.adjoint, len(t.coef)+8)
	copy(t.root().of(t.adjoint), root)
	for l := len(t.levels) - 2; l > 0; l-- {
		child := t.levels[l-1]
		for _, parent := range t.nodes[t.levels[l]:t.levels[l+1]] {
			if child+1 == t.levels[l] { // an only child is the parent
				break
			}
			a, b := t.nodes[child], t.nodes[child+1]
			t.transpose(parent, a, b)
			t.transpose(parent, b, a)
			child += 2
		}
	}
	t.e0, t.e1 = grow(t.e0, len(t.p)), grow(t.e1, len(t.p))
	for i, leaf := range t.nodes[:t.levels[1]] {
		t.leafBackward(leaf, i*pbBlock)
	}
}

// transpose writes the adjoint of a child: h_j = Σ_i g_(i+j) sibling_i.
func (t *pbTree) transpose(parent, child, sibling pbNode) {
	n := roundUp8(child.n)
	// g_(lo of child + lo of sibling) comes first.
	t.padded = padded(t.padded, parent.of(t.adjoint), parent.lo-child.lo-sibling.lo, n+sibling.n-1)
	t.reversed = grow(t.reversed, n)
	kernel.Correlate(t.reversed, t.padded, sibling.of(t.coef))
	copy(child.of(t.adjoint), t.reversed)
}

// leafBackward takes a leaf's adjoint down to its items: with the product f of
// the items before item i and the adjoint g of the product up to it,
//
//	e0 = Σ g_j f_j,  e1 = Σ g_(j+1) f_j,  and before it  g_j = q g_j + p g_(j+1).
func (t *pbTree) leafBackward(leaf pbNode, first int) {
	var (
		g     [pbBlock + 2]float64
		items = min(pbBlock, len(t.p)-first)
		d     = leaf.n - 1
	)
	if items <= 0 {
		return
	}
	p, q := t.p[first:][:items], t.q[first:][:items]
	copy(g[:], leaf.of(t.adjoint))
	prefix := &t.prefix
	prefix[0][0], prefix[0][1] = 1, 0
	for i := range items - 1 {
		from, to := &prefix[i], &prefix[i+1]
		to[i+2] = 0 // above its degree
		to[0] = from[0] * q[i]
		for j := 1; j <= min(i+1, d); j++ {
			to[j] = float64(from[j]*q[i]) + float64(from[j-1]*p[i])
		}
	}
	for i := items - 1; i >= 0; i-- {
		f := &prefix[i]
		e0, e1 := 0.0, 0.0
		p, q, a := p[i], q[i], g[0]
		for j := range min(i, d) + 1 {
			b := g[j+1]
			e0 += float64(f[j] * a)
			e1 += float64(f[j] * b)
			g[j] = float64(q*a) + float64(p*b)
			a = b
		}
		t.e0[first+i], t.e1[first+i] = e0, e1
	}
}
