package zlpr

import (
	"math/rand/v2"
	"sync/atomic"

	"github.com/zlpr/zlpr/internal/subset"
)

const (
	badOrder      = "zlpr: order with a class out of range or twice"
	badDraws      = "zlpr: more draws than classes above -Inf"
	sharedSampler = "zlpr: PlackettLuceSampler used by two goroutines"
)

// A PlackettLuceSampler draws classes from the softmax one after the other
// without replacement: each time a class i that is left has the probability
//
//	e^(x_i) / Σ_{j left} e^(x_j).
//
// That is the Plackett-Luce law, and the law of the highest scores after adding
// independent Gumbel noise (Gumbel top-k). It is an order of classes, and the law
// of the set of them is not that of [SubsetSampler].
//
// Scores of any finite size are right, whatever was drawn before: a probability
// has a relative error below 1e-13, beyond the 2^-53 of the uniform numbers. A
// class less probable than e^-80 of all that are left may count as impossible. A
// draw of k classes takes O(k log n) after a set-up of O(n).
//
// A sampler is for one goroutine at a time; a second one, and a method of a
// sampler that was not made by [NewPlackettLuceSampler], panics.
type PlackettLuceSampler struct {
	luce *subset.Luce
	busy atomic.Bool // a draw is at hand
}

// NewPlackettLuceSampler returns a sampler for the scores x, of which it makes a
// copy. A class at -Inf is never drawn. It panics if a score is NaN or +Inf.
func NewPlackettLuceSampler[T Score](x []T) *PlackettLuceSampler {
	luce := ofRow(x,
		func(x []float32) *subset.Luce { return orNil(subset.NewLuce(x)) },
		func(x []float64) *subset.Luce { return orNil(subset.NewLuce(x)) })
	if luce == nil {
		panic(undefinedLaw)
	}
	return &PlackettLuceSampler{luce: luce}
}

// Draw fills dst with len(dst) different classes in the order in which they are
// drawn, and returns it. Equal sources give equal draws, on every machine. It
// panics if fewer classes have a score above -Inf, or if another goroutine is
// drawing from the sampler.
func (s *PlackettLuceSampler) Draw(rng *rand.Rand, dst []int) []int {
	if s == nil || s.luce == nil {
		panic(zeroSampler)
	}
	if !s.busy.CompareAndSwap(false, true) {
		panic(sharedSampler)
	}
	defer s.busy.Store(false)
	if !s.luce.Draw(rng, dst) {
		panic(badDraws)
	}
	return dst
}

// PlackettLuceLogProbability returns the logarithm of the probability that the
// first len(order) classes drawn from the softmax of x without replacement are
// those of order, in that order:
//
//	Σ_t (x_(o_t) - log Σ_{i left before draw t} e^(x_i))
//	= -Σ_t log1p(Σ_{i left after draw t} e^(x_i - x_(o_t))).
//
// The relative error is below 2e-15, for a million classes and for scores of
// any finite size, down to 1e-300; a result below the numbers is -Inf.
//
// Special cases are:
//
//	an empty order, or all classes but those at -Inf in the one order there is: 0
//	a NaN score: NaN
//	a class of score -Inf in the order: -Inf
//
// It panics if a class is out of range or occurs twice, or if a score is +Inf.
func PlackettLuceLogProbability[T Score](x []T, order []int) float64 {
	c := subsetCores.Get().(*subset.Core)
	defer subsetCores.Put(c)
	given, ok := c.Bits(order, len(x))
	if !ok {
		panic(badOrder)
	}
	log := func(value float64, ok bool) float64 {
		if !ok {
			panic(undefinedLaw)
		}
		return value
	}
	return ofRow(x,
		func(x []float32) float64 { return log(subset.LuceLog(x, order, given)) },
		func(x []float64) float64 { return log(subset.LuceLog(x, order, given)) })
}
