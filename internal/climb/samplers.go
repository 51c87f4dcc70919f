package climb

import (
	"math"
	"math/big"
	"math/rand/v2"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/ref"
)

const rowSampler = "samplers: chance of a decision, beyond 2⁻⁵³"

// A constantSource gives the same uniform number again and again.
type constantSource uint64

func (s constantSource) Uint64() uint64 { return uint64(s) }

// chanceOf returns the share of the 2^53 uniform numbers with which a sampler
// takes class 0 where its first decision is on that class, and below some number
// it does.
func chanceOf(draw func(rng *rand.Rand) bool) float64 {
	const numbers = 1 << 53
	low, high := uint64(0), uint64(numbers) // it does below low, not from high on
	for low < high {
		if u := (low + high) / 2; draw(rand.New(constantSource(u))) {
			low = u + 1
		} else {
			high = u
		}
	}
	return float64(low) / numbers
}

// samplerError is the relative error of a chance beyond the grid of the numbers.
func samplerError(got float64, want *big.Float) float64 {
	if d := math.Abs(ref.AbsError(got, want, ref.New(1), 1)); d > 0x1p-53 {
		w, _ := want.Float64()
		return (d - 0x1p-53) / w
	}
	return 0
}

// subsetSampler is the chance that a SubsetSampler takes class 0 of at most 16.
func subsetSampler[T zlpr.Float]() *Function {
	f := &Function{
		Name: "SubsetSampler, " + typeName[T](), single: isSingle[T](), uses: hasPicks,
		Quantities: []Quantity{{"chance of class 0", boundFamily, "relative", rowSampler}},
	}
	f.errors = func(in *Input, e []float64) {
		n := min(len(in.Scores), 16)
		x, k := narrow[T](in.Scores[:n]), min(in.K, n)
		if k == 0 || k == n {
			return
		}
		s := zlpr.NewSubsetSampler(x, k)
		var dst []int
		takes := func(rng *rand.Rand) bool {
			dst = s.Draw(rng, dst)
			return dst[0] == 0
		}
		const precision = ref.Prec + 64
		law := ref.Subset(ref.Weights(x, precision), ref.Adjoint(k, nil, precision))
		if takes(rand.New(constantSource(0))) {
			e[0] = samplerError(chanceOf(takes), law.Included[0])
		} else { // the sampler draws those that are not picked
			e[0] = samplerError(chanceOf(func(rng *rand.Rand) bool { return !takes(rng) }), law.Absent[0])
		}
	}
	return f
}

// luceSampler is the chance that a PlackettLuceSampler draws class 0 first.
func luceSampler[T zlpr.Float]() *Function {
	f := &Function{
		Name: "PlackettLuceSampler, " + typeName[T](), single: isSingle[T](),
		Quantities: []Quantity{{"chance of class 0", boundFamily, "relative", rowSampler}},
	}
	f.errors = func(in *Input, e []float64) {
		s := zlpr.NewPlackettLuceSampler(narrow[T](in.Scores))
		var dst [1]int
		got := chanceOf(func(rng *rand.Rand) bool { return s.Draw(rng, dst[:])[0] == 0 })
		e[0] = samplerError(got, ref.Exp(logProbabilities(in.Scores, 1)[0]))
	}
	return f
}
