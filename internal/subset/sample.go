package subset

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/zlpr/zlpr/internal/kernel"
)

// A Sampler draws subsets after a law: it descends the product tree, splitting
// a node's number of items between its children. Draws do not change it.
type Sampler struct {
	fixed    []int32 // classes that are always picked
	index    []int32 // the classes of the items; nil: item i is class i
	n        int     // items
	failures bool    // items are drawn that are not picked
	tree     pbTree
	root     []float64 // the weights of the numbers of items, from the root's lowest on
	total    float64
}

// Ready reports whether the sampler was made by NewSampler.
func (s *Sampler) Ready() bool { return len(s.tree.levels) > 0 }

// NewSampler returns a sampler for the scores x. It reports false where a score
// is NaN, or where infinite scores leave the law undefined: with more +Inf than
// picks, or too few above -Inf.
func NewSampler[T kernel.Float](x []T, law Law) (*Sampler, bool) {
	s := new(Sampler)
	var c Core
	w := &c.compact // of the finite scores
	for i, v := range x {
		switch v := float64(v); {
		case v != v:
			return nil, false
		case math.IsInf(v, 1):
			s.fixed = append(s.fixed, int32(i))
		case !math.IsInf(v, -1):
			w.x, s.index = append(w.x, v), append(s.index, int32(i))
			w.largest = max(w.largest, math.Abs(v))
		}
	}
	if len(w.x) == len(x) {
		s.index = nil
	}
	law.Picks -= len(s.fixed)
	s.n = len(w.x)
	if law.Picks < 0 || !law.Padded && law.Picks > s.n {
		return nil, false
	}
	law.Picks = min(law.Picks, s.n)

	switch k := law.Picks; {
	case k == 0:
		s.setFixed(0)
	case k == s.n && !law.Padded:
		s.setFixed(s.n)
	default:
		q := Query{Law: law}
		w.near(&c, &q)
		s.build(&c, w.x, q.Law)
	}
	return s, true
}

// setFixed makes the number of items certain: all or none.
func (s *Sampler) setFixed(k int) {
	if k > 0 { // all: draw none of the failures
		s.failures = true
	}
	s.tree.p, s.tree.q = make([]float64, s.n), make([]float64, s.n)
	for i := range s.tree.q {
		s.tree.q[i] = 1
	}
	s.tree.forward(0)
	s.root, s.total = []float64{1}, 1
}

// build makes the product tree of all items, down to the leaves, and the weights
// of the numbers of items.
func (s *Sampler) build(c *Core, x []float64, law Law) {
	var t tilted
	var ok bool
	if law.Padded {
		t, _, ok = pickUpTo(c, x, law.Picks, law.Threshold)
	} else {
		t, ok = pickExactly(c, x, law.Picks)
	}
	if !ok {
		panic(tooFarApart)
	}
	s.failures = t.failures
	s.tree.p, s.tree.q = make([]float64, s.n), make([]float64, s.n)
	for i := range s.n {
		odds := t.odds(c, i)
		s.tree.q[i] = 1 / (1 + odds)
		s.tree.p[i] = odds * s.tree.q[i]
	}
	s.tree.forward(t.degree)
	root := s.tree.root()
	s.root = make([]float64, root.n)
	for j, v := range root.of(s.tree.coef) {
		s.root[j] = v * c.adj[root.lo+j]
		s.total += s.root[j]
	}
	s.tree.coef = slices.Clip(s.tree.coef)
}

// Draw appends one subset to dst[:0], its classes in ascending order, and
// returns it.
func (s *Sampler) Draw(rng *rand.Rand, dst []int) []int {
	d := subsetDraw{s, rng, dst[:0]}
	root := s.tree.root()
	j := root.lo
	if len(s.root) > 1 {
		j += choose(float64(rng.Float64()*s.total), s.root)
	}
	level := len(s.tree.levels) - 2
	d.node(level, 0, j)
	if s.failures {
		d.out = s.complement(d.out)
	}
	if s.index != nil {
		for i, item := range d.out {
			d.out[i] = int(s.index[item])
		}
	}
	if len(s.fixed) > 0 {
		for _, class := range s.fixed {
			d.out = append(d.out, int(class))
		}
		slices.Sort(d.out)
	}
	return d.out
}

// complement replaces the ascending items by those missing among them.
func (s *Sampler) complement(items []int) []int {
	m := len(items)
	items = slices.Grow(items, s.n-m)
	// The missing ones are written behind, then moved to the front.
	next := 0
	for i := range s.n {
		if next < m && items[next] == i {
			next++
		} else {
			items = append(items, i)
		}
	}
	copy(items, items[m:])
	return items[:len(items)-m]
}

// choose returns the first index where the running sum of the weights exceeds
// u; where rounding lets it pass them all, the last with a positive weight.
func choose(u float64, weights []float64) int {
	last := 0
	for i, w := range weights {
		if u < w {
			return i
		}
		u -= w
		if w > 0 {
			last = i
		}
	}
	return last
}

// A subsetDraw is one draw on its way.
type subsetDraw struct {
	s   *Sampler
	rng *rand.Rand
	out []int
}

// node draws j items from a node: i from its left child and j-i from its right
// one with a probability proportional to left_i·right_(j-i).
func (d *subsetDraw) node(level, at, j int) {
	for j > 0 {
		t := &d.s.tree
		if level == 0 {
			d.leaf(at, j)
			return
		}
		level--
		first, end := t.levels[level], t.levels[level+1]
		left := first + 2*at
		if left+1 == end {
			at *= 2
			continue
		}
		a, b := t.nodes[left], t.nodes[left+1]
		i := d.divide(a, b, j)
		d.node(level, 2*at, i)
		at, j = 2*at+1, j-i
	}
}

// divide draws the part of j that the left one of two nodes takes.
func (d *subsetDraw) divide(a, b pbNode, j int) int {
	x, y := a.of(d.s.tree.coef), b.of(d.s.tree.coef)
	low, high := max(a.lo, j-(b.lo+b.n-1)), min(a.lo+a.n-1, j-b.lo)
	if low >= high {
		return low
	}
	x = x[low-a.lo:][:high-low+1]
	y = y[j-high-b.lo:][:len(x)] // runs down
	total := 0.0
	for i, v := range x {
		total += float64(v * y[len(y)-1-i])
	}
	u := float64(d.rng.Float64() * total)
	last := low
	for i, v := range x {
		w := float64(v * y[len(y)-1-i])
		if u < w {
			return low + i
		}
		u -= w
		if w > 0 {
			last = low + i
		}
	}
	return last
}

// leaf draws j items of a block, one after the other: with the product f of the
// items behind item i, that one is in with probability p f_(j-1) / (p f_(j-1) + q f_j).
func (d *subsetDraw) leaf(at, j int) {
	t := &d.s.tree
	first := at * pbBlock
	items := min(pbBlock, len(t.p)-first)
	p, q := t.p[first:][:items], t.q[first:][:items]
	var behind [pbBlock][pbBlock + 1]float64
	behind[items-1][0] = 1
	for i := items - 1; i > 0; i-- {
		from, to := &behind[i], &behind[i-1]
		to[0] = from[0] * q[i]
		for m := 1; m <= min(items-i, j); m++ {
			to[m] = float64(from[m]*q[i]) + float64(from[m-1]*p[i])
		}
	}
	for i := range items {
		in, out := float64(p[i]*behind[i][j-1]), float64(q[i]*behind[i][j])
		if j == items-i || out == 0 || d.rng.Float64()*(in+out) < in {
			d.out = append(d.out, first+i)
			if j--; j == 0 {
				return
			}
		}
	}
}
