package sides

import (
	"math"

	"github.com/zlpr/zlpr/internal/kernel"
)

// factors are the class weights of a batch as m·2^e, 1 ≤ m < 2, or m = 0 for
// weight 0: m in float64, and m and e in the form of the kernels' weights.
type factors[T kernel.Float] struct {
	number  int // of the weights of which they are
	m       []float64
	weights []T
}

// get returns f, computed for n classes with the weights given, of that number; nil: all
// 1.
func (f *factors[T]) get(number, n int, given []float64) *factors[T] {
	if f.number == number && number != 0 {
		return f
	}
	f.number = number
	f.m, f.weights = kernel.Resize(f.m, n), kernel.Resize(f.weights, kernel.WeightsLen[T](n))
	clear(f.weights)
	for j := range n {
		w := 1.0
		if given != nil {
			w = given[j]
		}
		m, e := math.Frexp(w)
		f.m[j] = 2 * m
		if m != 0 {
			k := kernel.WeightPlace[T](j)
			f.weights[k], f.weights[k+kernel.LanesOf[T]()] = T(2*m), T(e-1)
		}
	}
	return f
}

// multipliers are the class weights of a batch as multipliers of kept exponentials:
// m·scale, m at most 1 and scale a power of two.
type multipliers[T kernel.Float] struct {
	number, count int  // of the weights of which they are; of elements
	fit           bool // the weights are 0 or moderate
	narrow        bool // all m but 0 are large: see clamped
	scale         float64
	m, lo         []T // of count elements, those of a row of n again and again, and room; lo of float32
}

// Weights from 1/moderate to moderate are multipliers: so no product with an exponential
// at pivot 0 becomes 0, and exponentials below the range of pivot 0 still do not count in a
// natural sum.
//
// An exponential above that range is found by the sum being too large: by that of the
// products where no m is below clamped.
const (
	moderate = 1 << 10
	clamped  = 1.0 / (1 << 6)
)

// get sets f for n classes with the weights given, of that number, and reports whether they
// fit.
func (f *multipliers[T]) get(number, n, count int, given []float64) bool {
	if f.number != number || number == 0 {
		f.number, f.count = number, 0
		f.setScale(given)
	}
	if !f.fit || f.count >= count {
		return f.fit
	}
	const group = 32 // of which the kernels take whole ones
	f.m, f.count = kernel.Resize(f.m, count+group), count
	if kernel.IsFloat32[T]() {
		f.lo = kernel.Resize(f.lo, count+group)
	}
	for j := range min(n, count) {
		w := given[j] / f.scale
		f.m[j] = T(w)
		if f.lo != nil {
			f.lo[j] = T(w - float64(f.m[j]))
		}
	}
	for _, m := range [][]T{f.m, f.lo} {
		if m == nil {
			continue
		}
		for done := n; done < count; done *= 2 {
			copy(m[done:count], m[:done])
		}
		clear(m[count:])
	}
	return true
}

// setScale sets what follows from the weights alone.
func (f *multipliers[T]) setScale(given []float64) {
	f.fit, f.scale = true, 1
	least, most := math.Inf(1), 0.0
	for _, w := range given {
		if w != 0 {
			least, most = min(least, w), max(most, w)
		}
	}
	if most == 0 {
		return
	}
	f.fit = least >= 1.0/moderate && most <= moderate
	m, e := math.Frexp(most)
	if m == 0.5 {
		e--
	}
	f.scale = math.Ldexp(1, e)
	f.narrow = least/f.scale >= clamped
}
