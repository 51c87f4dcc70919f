package subset

import (
	"math"
	"math/rand/v2"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/scalar"
)

// A Luce draws classes from the softmax one after the other without
// replacement.
type Luce struct {
	x     []float64
	pivot float64
	// sums is a binary tree: node i has the children 2i and 2i+1, the leaves
	// begin at half its length and hold e^(x-pivot).
	sums  []float64
	taken []int // by the draw at hand
}

// NewLuce returns a sampler for the scores x. A -Inf score is never drawn. It
// reports false where a score is NaN or +Inf.
func NewLuce[T kernel.Float](x []T) (*Luce, bool) {
	size := 1
	for size < len(x) {
		size *= 2
	}
	s := &Luce{x: make([]float64, len(x)), sums: make([]float64, 2*size)}
	for i, v := range x {
		s.x[i] = float64(v)
		if v != v || math.IsInf(float64(v), 1) {
			return nil, false
		}
	}
	s.rebuild()
	return s, true
}

// rebuild makes the tree of the classes that are not taken.
func (s *Luce) rebuild() {
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
func (s *Luce) set(i int, w float64) {
	at := len(s.sums)/2 + i
	s.sums[at] = w
	for at /= 2; at > 0; at /= 2 {
		s.sums[at] = s.sums[2*at] + s.sums[2*at+1]
	}
}

// Draw fills dst with different classes in the order in which they are drawn. It
// reports false where there are fewer. The sampler is as before when it returns,
// or when the source panics.
func (s *Luce) Draw(rng *rand.Rand, dst []int) bool {
	defer s.restore(s.pivot)
	s.taken = s.taken[:0]
	for n := range dst {
		// Once all that is left lies far below the first pivot: a new one.
		if s.sums[1] < 0x1p-900 {
			s.rebuild()
		}
		if s.sums[1] == 0 {
			return false
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
	return true
}

// restore puts back what was taken.
func (s *Luce) restore(pivot float64) {
	if s.pivot != pivot {
		s.taken = s.taken[:0]
		s.rebuild()
	} else {
		for _, i := range s.taken {
			s.set(i, expDifference(s.x[i], s.pivot))
		}
	}
}

// LuceLog returns the logarithm of the probability that the first len(order)
// classes drawn are those of order, in that order; their bits are set in given.
//
//	-Σ_t log1p(Σ_{i left after draw t} e^(x_i - x_(o_t)))
//
// It reports false where a score is +Inf.
func LuceLog[T kernel.Float](x []T, order []int, given []uint64) (value float64, ok bool) {
	left := luceSum{pivot: math.Inf(-1)}
	for i, v := range x {
		switch v := float64(v); {
		case v != v:
			return math.NaN(), true
		case math.IsInf(v, 1):
			return 0, false
		case !isSet(given, i):
			left.pivot = max(left.pivot, v)
		}
	}
	for i, v := range x {
		if v := float64(v); !isSet(given, i) && !math.IsInf(v, -1) {
			left.sum.add(expDifference(v, left.pivot))
		}
	}
	var total sum2
	for t := len(order) - 1; t >= 0; t-- {
		s := float64(x[order[t]])
		if math.IsInf(s, -1) {
			return s, true
		}
		left.draw(s, &total)
	}
	return 0 - total.value(), true // 0, not -0
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
