package zlpr

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/zlpr/zlpr/internal/kernel"
)

// chiSquareLimit is the quantile of the χ² law that is exceeded with probability
// 1e-6, by the approximation of Wilson and Hilferty, a little high: so often
// would a test fail for a right sampler if its seed were not fixed.
func chiSquareLimit(degrees int) float64 {
	const z = 4.76 // of the normal law
	v := 2 / (9 * float64(degrees))
	return float64(degrees) * math.Pow(1-v+z*math.Sqrt(v), 3) * 1.02
}

// chiSquare compares counts with probabilities; outcomes with an expected count
// below 5 are taken together. It returns χ² over its limit.
func chiSquare(counts map[string]int, law map[string]float64) float64 {
	total := 0
	for name, n := range counts {
		total += n
		if _, possible := law[name]; !possible {
			return math.Inf(1)
		}
	}
	sum, cells := 0.0, 0
	restCount, restExpected := 0.0, 0.0
	add := func(n, expected float64) {
		sum += (n - expected) * (n - expected) / expected
		cells++
	}
	for name, p := range law {
		n, expected := float64(counts[name]), p*float64(total)
		if expected < 5 {
			restCount, restExpected = restCount+n, restExpected+expected
		} else {
			add(n, expected)
		}
	}
	if restExpected > 5 {
		add(restCount, restExpected)
	}
	return sum / chiSquareLimit(max(cells-1, 1))
}

// subsetsOf calls f with every subset of 0..n-1 of low to high elements.
func subsetsOf(n, low, high int, f func(subset []int)) {
	var grow func(from int, subset []int)
	grow = func(from int, subset []int) {
		if len(subset) >= low {
			f(subset)
		}
		if len(subset) < high {
			for i := from; i < n && n-i >= low-len(subset); i++ {
				grow(i+1, append(slices.Clip(subset), i))
			}
		}
	}
	grow(0, nil)
}

// ordersOf calls f with every sequence of k different elements of 0..n-1.
func ordersOf(n, k int, f func(order []int)) {
	var grow func(order []int)
	grow = func(order []int) {
		if len(order) == k {
			f(order)
			return
		}
		for i := range n {
			if !slices.Contains(order, i) {
				grow(append(slices.Clip(order), i))
			}
		}
	}
	grow(nil)
}

const draws = 200_000

func countDraws(draw func(rng *rand.Rand, dst []int) []int, k int, seed uint64, sorted bool) map[string]int {
	rng := rand.New(rand.NewPCG(9, seed))
	counts := map[string]int{}
	dst := make([]int, k)
	for range draws {
		out := draw(rng, dst)
		if sorted {
			out = slices.Sorted(slices.Values(out))
		}
		counts[fmt.Sprint(out)]++
	}
	return counts
}

// TestSubsetSampler compares draws with the exact law on small cases. For right
// samplers a case fails with probability 1e-6 by choice of the seed.
func TestSubsetSampler(t *testing.T) {
	inf := math.Inf(1)
	many := make([]float64, 40) // more than one leaf of the tree
	for i := range many {
		many[i] = math.Sin(float64(i)) * 2
	}
	for i, c := range []struct {
		x []float64
		k int
	}{
		{[]float64{2, 1, 0, -1, 0.5, 3}, 1},
		{[]float64{2, 1, 0, -1, 0.5, 3}, 3},
		{[]float64{2, 1, 0, -1, 0.5, 3}, 5},
		{[]float64{2, inf, 0, -1, -inf, 3}, 3},
		{[]float64{2, inf, 0, -1, -inf, 3}, 4},
		{[]float64{2, inf, 0, -1, -inf, 3}, 5},
		{[]float64{500, 501, -300, -301, 0}, 2},
		{many, 2},
		{many, 38},
	} {
		law := map[string]float64{}
		subsetsOf(len(c.x), c.k, c.k, func(s []int) {
			if p := math.Exp(SubsetLogProbability(c.x, s)); p > 0 {
				law[fmt.Sprint(s)] = p
			}
		})
		sum := 0.0
		for _, p := range law {
			sum += p
		}
		assert.InDelta(t, 1, sum, 1e-12)
		counts := countDraws(NewSubsetSampler(c.x, c.k).Draw, c.k, uint64(i), false)
		assert.Less(t, chiSquare(counts, law), 1.0, "case %d", i)
	}
}

func TestPaddedSubsetSampler(t *testing.T) {
	for i, c := range []struct {
		x         []float64
		k         int
		threshold float64
	}{
		{[]float64{2, 1, 0, -1, 0.5, 3}, 3, 0},
		{[]float64{2, 1, 0, -1, 0.5, 3}, 3, 2},
		{[]float64{2, 1, 0, -1, 0.5, 3}, 5, -4},
		{[]float64{2, 1, 0, -1, 0.5, 3}, 6, 0.7},
		{[]float64{2, math.Inf(1), 0, -1, math.Inf(-1), 3}, 3, 1},
		{[]float64{2, 1}, 9, 1},
	} {
		law := map[string]float64{}
		subsetsOf(len(c.x), 0, min(c.k, len(c.x)), func(s []int) {
			if p := math.Exp(PaddedSubsetLogProbability(c.x, s, c.k, c.threshold)); p > 0 {
				law[fmt.Sprint(s)] = p
			}
		})
		counts := countDraws(NewPaddedSubsetSampler(c.x, c.k, c.threshold).Draw, len(c.x), 20+uint64(i), false)
		assert.Less(t, chiSquare(counts, law), 1.0, "case %d", i)
	}
}

// TestPlackettLuceSampler compares orders with their exact law.
func TestPlackettLuceSampler(t *testing.T) {
	for i, c := range []struct {
		x []float64
		k int
	}{
		{[]float64{2, 1, 0, -1, 0.5}, 1},
		{[]float64{2, 1, 0, -1, 0.5}, 3},
		{[]float64{2, 1, 0, -1}, 4},
		{[]float64{-700, 1, math.Inf(-1), 800, 0.5}, 4},
	} {
		law := map[string]float64{}
		ordersOf(len(c.x), c.k, func(o []int) {
			if p := math.Exp(PlackettLuceLogProbability(c.x, o)); p > 0 {
				law[fmt.Sprint(o)] = p
			}
		})
		sum := 0.0
		for _, p := range law {
			sum += p
		}
		assert.InDelta(t, 1, sum, 1e-12)
		counts := countDraws(NewPlackettLuceSampler(c.x).Draw, c.k, 40+uint64(i), false)
		assert.Less(t, chiSquare(counts, law), 1.0, "case %d", i)
	}
	// Far below what has been taken there is an order left.
	x := []float64{0, -5000, -2500, -7500, math.Inf(-1)}
	s := NewPlackettLuceSampler(x)
	rng := rand.New(rand.NewPCG(9, 50))
	for range 3 {
		assert.Equal(t, []int{0, 2, 1, 3}, s.Draw(rng, make([]int, 4)))
		assert.Equal(t, []int{0}, s.Draw(rng, make([]int, 1)))
		assert.PanicsWithValue(t, badDraws, func() { s.Draw(rng, make([]int, 5)) })
	}
}

// TestLawsDiffer draws without replacement from the softmax and compares the
// sets with the subset law, and the other way round: both must fail.
func TestLawsDiffer(t *testing.T) {
	const k = 2
	x := []float64{2, 1, 0, -1}
	subsets, sets := map[string]float64{}, map[string]float64{}
	subsetsOf(len(x), k, k, func(s []int) { subsets[fmt.Sprint(s)] = math.Exp(SubsetLogProbability(x, s)) })
	ordersOf(len(x), k, func(o []int) {
		sets[fmt.Sprint(slices.Sorted(slices.Values(o)))] += math.Exp(PlackettLuceLogProbability(x, o))
	})
	subset := countDraws(NewSubsetSampler(x, k).Draw, k, 60, true)
	luce := countDraws(NewPlackettLuceSampler(x).Draw, k, 61, true)
	assert.Less(t, chiSquare(subset, subsets), 1.0)
	assert.Less(t, chiSquare(luce, sets), 1.0)
	assert.Greater(t, chiSquare(subset, sets), 10.0)
	assert.Greater(t, chiSquare(luce, subsets), 10.0)
}

// TestSamplerMatchesProbabilities counts the classes of large draws. A class
// fails with probability below 1e-9: 6.1 standard deviations.
func TestSamplerMatchesProbabilities(t *testing.T) {
	const n, draws = 3000, 2000
	x := normalScores[float64](n)
	p := make([]float64, n)
	for _, k := range []int{4, 700, 2500} {
		InclusionProbabilities(p, x, k)
		counts := make([]int, n)
		s := NewSubsetSampler(x, k)
		rng := rand.New(rand.NewPCG(9, 70))
		var dst []int
		for range draws {
			dst = s.Draw(rng, dst)
			assert.Len(t, dst, k)
			assert.True(t, slices.IsSorted(dst))
			for _, i := range dst {
				counts[i]++
			}
		}
		for i, c := range counts {
			// Few expected: the Poisson tail is heavier than the normal one.
			limit := 6.1*math.Sqrt(draws*p[i]*(1-p[i])) + 12
			if math.Abs(float64(c)-draws*p[i]) > limit {
				t.Errorf("k %d, class %d: %d draws, %v expected", k, i, c, draws*p[i])
			}
		}
	}
}

// TestDrawsReproducible pins that draws depend on the source alone.
func TestDrawsReproducible(t *testing.T) {
	x := normalScores[float32](5000)
	var want [][]int
	for _, tier := range kernel.Available() {
		restore := forceTier(tier)
		rng := rand.New(rand.NewPCG(9, 80))
		s, l := NewSubsetSampler(x, 17), NewPlackettLuceSampler(x)
		var got [][]int
		for range 20 {
			got = append(got, s.Draw(rng, nil), l.Draw(rng, make([]int, 9)))
		}
		restore()
		if want == nil {
			want = got
		}
		assert.Equal(t, want, got, tier.String())
	}
}

func TestMostProbableSubset(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	assert.Equal(t, []int{3, 0, 2}, MostProbableSubset(make([]int, 3), []float64{1, -1, 1, 5, 1}))
	assert.Equal(t, []int{0, 1}, MostProbableSubset(make([]int, 2), []float64{7, 7, 7}))
	assert.Equal(t, []int{1, 2, 0}, MostProbableSubset(make([]int, 3), []float64{nan, inf, 0}))
	assert.Equal(t, []int{2, 0, 1}, MostProbableSubset(make([]int, 3), []float64{-inf, nan, -5, nan}))
	rng := rand.New(rand.NewPCG(9, 90))
	for range 200 {
		n := 1 + rng.IntN(300)
		x, want := make([]float32, n), make([]int, n)
		for i := range x {
			x[i], want[i] = float32(rng.IntN(40)), i
		}
		slices.SortStableFunc(want, func(i, j int) int { return int(x[j] - x[i]) })
		k := rng.IntN(n + 1)
		assert.Equal(t, want[:k], MostProbableSubset(make([]int, k), x))
	}
}
