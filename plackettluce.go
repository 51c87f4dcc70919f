package zlpr

import (
	"math"
	"math/rand/v2"
	"sync/atomic"

	"github.com/zlpr/zlpr/internal/scalar"
)

const (
	badOrder      = "zlpr: order with a class out of range or twice"
	sharedSampler = "zlpr: PlackettLuceSampler used by two goroutines"
	badDraws      = "zlpr: more draws than classes above -Inf, or more than one score +Inf"
)

// A PlackettLuceSampler draws classes from the softmax one after the other
// without replacement: each time a class i that is left has a probability
// proportional to e^(x_i). That is the Plackett-Luce law, and the law of the
// highest scores after adding independent Gumbel noise (Gumbel top-k). It is an
// order of classes, and the law of the set of them is not that of SubsetSampler.
//
// A draw of k classes takes O(k log n) after a set-up of O(n). A sampler belongs
// to one goroutine.
type PlackettLuceSampler struct {
	x     []float64
	pivot float64
	// sums is a binary tree: node i has the children 2i and 2i+1, the leaves
	// begin at half its length and hold e^(x-pivot).
	sums  []float64
	taken []int       // by the draw at hand
	busy  atomic.Bool // there is one
}

// NewPlackettLuceSampler returns a sampler for the scores x. A -Inf score is never
// drawn. It panics if a score is NaN or +Inf.
func NewPlackettLuceSampler[T Float](x []T) *PlackettLuceSampler {
	size := 1
	for size < len(x) {
		size *= 2
	}
	s := &PlackettLuceSampler{x: make([]float64, len(x)), sums: make([]float64, 2*size)}
	for i, v := range x {
		s.x[i] = float64(v)
		if v != v || math.IsInf(float64(v), 1) {
			panic(undefinedLaw)
		}
	}
	s.rebuild()
	return s
}

// rebuild makes the tree of the classes that are not taken.
func (s *PlackettLuceSampler) rebuild() {
	size := len(s.sums) / 2
	leaves := s.sums[size:]
	clear(leaves)
	for _, i := range s.taken {
		leaves[i] = -1
	}
	s.pivot = math.Inf(-1)
	for i, v := range s.x {
		if leaves[i] == 0 {
			s.pivot = max(s.pivot, v)
		}
	}
	for i, v := range s.x {
		if leaves[i] < 0 || math.IsInf(v, -1) {
			leaves[i] = 0
		} else {
			leaves[i] = expDifference(v, s.pivot)
		}
	}
	for i := size - 1; i > 0; i-- {
		s.sums[i] = s.sums[2*i] + s.sums[2*i+1]
	}
}

// set gives class i the weight w and updates the sums above it.
func (s *PlackettLuceSampler) set(i int, w float64) {
	at := len(s.sums)/2 + i
	s.sums[at] = w
	for at /= 2; at > 0; at /= 2 {
		s.sums[at] = s.sums[2*at] + s.sums[2*at+1]
	}
}

// Draw fills dst with len(dst) different classes in the order in which they are
// drawn, and returns it. Equal sources give equal draws, on every machine. It
// panics if fewer classes have a score above -Inf, or if another goroutine is
// drawing from the sampler.
func (s *PlackettLuceSampler) Draw(rng *rand.Rand, dst []int) []int {
	if s == nil || len(s.sums) == 0 {
		panic(zeroSampler)
	}
	if !s.busy.CompareAndSwap(false, true) {
		panic(sharedSampler)
	}
	defer s.restore(s.pivot)
	s.taken = s.taken[:0]
	for n := range dst {
		// Once all that is left lies far below the first pivot: a new one.
		if s.sums[1] < 0x1p-900 {
			s.rebuild()
		}
		if s.sums[1] == 0 {
			panic(badDraws)
		}
		at := 1
		u := float64(rng.Float64() * s.sums[1])
		for at < len(s.sums)/2 {
			at *= 2
			if left := s.sums[at]; u >= left && s.sums[at+1] > 0 || left == 0 {
				u -= left
				at++
			}
		}
		i := at - len(s.sums)/2
		dst[n] = i
		s.taken = append(s.taken, i)
		s.set(i, 0)
	}
	return dst
}

// restore puts back what was taken and sets the sampler free.
func (s *PlackettLuceSampler) restore(pivot float64) {
	if s.pivot != pivot {
		s.taken = s.taken[:0]
		s.rebuild()
	} else {
		for _, i := range s.taken {
			s.set(i, expDifference(s.x[i], s.pivot))
		}
	}
	s.busy.Store(false)
}

// PlackettLuceLogProbability returns the logarithm of the probability that the
// first len(order) classes drawn from the softmax of x without replacement are
// those of order, in that order:
//
//	Σ_t x_(o_t) - log Σ_{i left before draw t} e^(x_i)
//	= -Σ_t log1p(Σ_{i left after draw t} e^(x_i - x_(o_t))).
//
// It keeps its relative accuracy however close to 0. A NaN score gives NaN, a class
// of score -Inf in the order -Inf. It panics if a class is out of range or occurs
// twice, or if a score is +Inf.
func PlackettLuceLogProbability[T Float](x []T, order []int) float64 {
	c := subsetCores.Get().(*subsetCore)
	defer subsetCores.Put(c)
	c.given = grow(c.given, (len(x)+63)/64)
	clear(c.given)
	for _, i := range order {
		if i < 0 || i >= len(x) || isSet(c.given, i) {
			panic(badOrder)
		}
		c.given[i>>6] |= 1 << (i & 63)
	}
	left := luceSum{pivot: math.Inf(-1)}
	for i, v := range x {
		switch v := float64(v); {
		case v != v:
			return math.NaN()
		case math.IsInf(v, 1):
			panic(undefinedLaw)
		case !isSet(c.given, i):
			left.pivot = max(left.pivot, v)
		}
	}
	for i, v := range x {
		if v := float64(v); !isSet(c.given, i) && !math.IsInf(v, -1) {
			left.sum.add(expDifference(v, left.pivot))
		}
	}
	var total sum2
	for t := len(order) - 1; t >= 0; t-- {
		s := float64(x[order[t]])
		if math.IsInf(s, -1) {
			return s
		}
		left.draw(s, &total)
	}
	return 0 - total.value() // 0, not -0
}

// A luceSum is Σ e^x = sum·e^pivot over the classes that are left after a draw.
type luceSum struct {
	pivot float64
	sum   sum2
}

// luceReach is how far scores lie from the pivot before it follows them:
// e^luceReach times any number of classes is a number.
const luceReach = 300

// draw adds log1p(Σ e^(x-s)) to the total, of the draw of a class with score
// s, and the class to the sum.
func (l *luceSum) draw(s float64, total *sum2) {
	if l.sum.high == 0 || s-l.pivot > luceReach {
		// What is left keeps a weight below e^-luceReach, so that its rounding
		// here does not add up over many draws.
		w := 0.0
		if l.sum.high != 0 {
			w = expDifference(l.pivot, s)
		}
		l.pivot, l.sum = s, sum2{high: float64(l.sum.value() * w)}
	}
	w := expDifference(s, l.pivot)
	if s-l.pivot < -luceReach { // else sum/w is a number, up to e^(2·luceReach) for every class
		// log(1 + sum·e^(pivot-s)) = pivot - s + log(sum + e^(s-pivot))
		total.addDifference(l.pivot, s)
		l.sum.add(w)
		total.add(scalar.Log(l.sum.value()))
		return
	}
	total.add(scalar.Log1p(l.sum.value() / w))
	l.sum.add(w)
}
