package zlpr

import (
	"github.com/zlpr/zlpr/internal/subset"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/zlpr/zlpr/internal/ref"
)

const (
	maxSingle = math.MaxFloat32
	maxDouble = math.MaxFloat64
)

// TestSubsetWitnesses takes rows that were wrong once: scores far apart, at the
// ends of the range, weighted at an offset.
func TestSubsetWitnesses(t *testing.T) {
	ln3 := math.Log(3)
	for _, c := range []struct {
		x    []float64
		k    int
		logZ float64
		in   []float64
	}{
		{[]float64{-5, -1e30, -1e30, -1e30}, 2, -1e30, []float64{1, 1. / 3, 1. / 3, 1. / 3}},
		{[]float64{-5, -1e16, -1e16, -1e16}, 2, -1e16 - 4, []float64{1, 1. / 3, 1. / 3, 1. / 3}},
		{[]float64{-maxSingle, -maxSingle, -maxSingle}, 1, -maxSingle, []float64{1. / 3, 1. / 3, 1. / 3}},
		{[]float64{5, -maxSingle, -maxSingle, -maxSingle}, 2, -maxSingle, []float64{1, 1. / 3, 1. / 3, 1. / 3}},
		{[]float64{1e308, math.Inf(-1)}, 1, 1e308, []float64{1, 0}},
		{[]float64{-maxDouble, -maxDouble, -maxDouble}, 2, math.Inf(-1), []float64{2. / 3, 2. / 3, 2. / 3}},
		{[]float64{maxDouble, maxDouble, -maxDouble}, 3, maxDouble, []float64{1, 1, 1}},
		{[]float64{maxDouble, maxDouble, -maxDouble, 0}, 3, math.Inf(1), []float64{1, 1, 0, 1}},
		{[]float64{2.5, -0.5, -5e19, -5e19, 5e19, 5e19}, 3, 1e20, []float64{1 / (1 + math.Exp(-3)), 1 / (1 + math.Exp(3)), 0, 0, 1, 1}},
		{[]float64{0x1p60, 0x1p60 + 256, 0x1p60}, 1, 0x1p60 + 256, []float64{math.Exp(-256), 1, math.Exp(-256)}},
		{[]float64{5e-324, -5e-324, 0}, 1, ln3, []float64{1. / 3, 1. / 3, 1. / 3}},
	} {
		p, q := make([]float64, len(c.x)), make([]float64, len(c.x))
		assert.Equal(t, c.logZ, LogPartition(c.x, c.k), "%v", c)
		InclusionProbabilities(p, c.x, c.k)
		ExclusionProbabilities(q, c.x, c.k)
		assert.InDeltaSlice(t, c.in, p, 1e-15, "%v", c)
		for i := range p {
			assert.InDelta(t, 1, p[i]+q[i], 1e-15, "%v", c)
		}
		s := NewSubsetSampler(c.x, c.k)
		d := s.Draw(rand.New(rand.NewPCG(1, 2)), nil)
		assert.Len(t, d, c.k)
		for _, i := range d {
			assert.NotZero(t, p[i], "%v draws %v", c, d)
		}
	}
	assert.Equal(t, 5.5+math.Log1p(math.Exp(-0.5)+math.Exp(-2)), PaddedLogPartition([]float64{1.5, 2, 3.5}, 2, -1e299))
	assert.Equal(t, 2e299, PaddedLogPartition([]float64{1.5, 2, 3.5}, 2, 1e299))
}

// TestSubsetLossWitnesses is the same for losses and their gradients.
func TestSubsetLossWitnesses(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		x       []float64
		pos     []bool
		mask    []bool
		weights []float64
		loss    float64
		at      int
		grad    float64
	}{
		{x: []float64{10000, 10000.5, 9999}, pos: []bool{false, true, false}, weights: []float64{.3, .7, 1.1},
			loss: math.Log1p(.7 * (.3*math.Exp(-.5) + 1.1*math.Exp(-1.5))), at: 0, grad: 0.09803974477125301},
		{x: []float64{1e18, 1e18, 1e18}, pos: []bool{false, true, false}, weights: []float64{.5, .25, 1.5},
			loss: math.Log1p(.5), at: 2, grad: .25},
		{x: []float64{685, 0, .5, -3}, pos: []bool{true, true, false, false},
			loss: math.Log1p(math.Exp(.5) + math.Exp(-3)), at: 0, grad: -2.13e-298},
		{x: []float64{0, 40, 41, -inf, -3}, pos: []bool{false, true, true, true, false}, loss: inf, at: 1, grad: -2.0e-19},
		{x: []float64{.55 * maxDouble, .3 * maxDouble, 0}, pos: []bool{false, true, false}, mask: []bool{true, true, false},
			loss: .55*maxDouble - .3*maxDouble, at: 0, grad: 1},
		{x: []float64{inf, -inf, 3}, pos: []bool{false, false, false}, loss: 0},
		{x: []float64{inf, -inf, 3}, pos: []bool{true, true, true}, loss: 0},
		{x: []float64{inf, 1, 2}, pos: []bool{false, true, false}, loss: inf, at: 1, grad: -1},
		{x: []float64{inf, -inf, 3, 3}, pos: []bool{true, false, true, false}, loss: math.Ln2, at: 2, grad: -.5},
	} {
		n := len(c.x)
		b := &Batch[float64]{Scores: Matrix[float64]{1, n, c.x, n}, Labels: &DenseLabels[bool]{1, n, c.pos, n}, ClassWeights: c.weights}
		if c.mask != nil {
			b.Mask = &DenseLabels[bool]{1, n, c.mask, n}
		}
		_, loss, grad := evalBatch(t, Subset{}, Options{}, b, Output[float64]{})
		if math.IsInf(c.loss, 0) || c.loss == 0 {
			assert.Equal(t, c.loss, loss[0], "%v", c)
		} else {
			assert.InEpsilon(t, c.loss, loss[0], 4e-16, "%v", c)
		}
		if c.grad == 0 {
			assert.Zero(t, grad[c.at], "%v", c)
			continue
		}
		// Exactly, where the row is finite; else the decimals above.
		bound := 2e-2
		if !slices.ContainsFunc(c.x, func(v float64) bool { return math.IsInf(v, 0) }) && c.mask == nil {
			law := newExactLaw(c.x, subset.Law{}, c.pos, c.weights, true)
			want := law.included[c.at]
			if c.pos[c.at] {
				want = ref.Neg(law.absent[c.at])
			}
			assert.LessOrEqual(t, ref.RelError(grad[c.at], want, 1), 1e-15, "%v", c)
		}
		assert.InEpsilon(t, c.grad, grad[c.at], bound, "%v", c)
	}
}

// TestNothingPicked: with no pick there is one subset, whatever the scores.
func TestNothingPicked(t *testing.T) {
	inf := math.Inf(1)
	for _, x := range [][]float64{{inf}, {2, inf}, {inf, -inf, 0}, {inf, inf, 3, inf}, {-inf}, {maxDouble, -maxDouble}} {
		zero := func(v float64) {
			t.Helper()
			assert.Equal(t, uint64(0), math.Float64bits(v), "%v", x) // not -0
		}
		zero(LogPartition(x, 0))
		zero(PaddedLogPartition(x, 0, -2))
		zero(SubsetLogProbability(x, nil))
		zero(PaddedSubsetLogProbability(x, nil, 0, 3))
		zero(PlackettLuceLogProbability([]float64{1, -inf, maxDouble}, nil))
		p := make([]float64, len(x))
		InclusionProbabilities(p, x, 0)
		assert.Zero(t, slices.Max(p), "%v", x)
		ExclusionProbabilities(p, x, 0)
		assert.Equal(t, 1.0, slices.Min(p), "%v", x)
		assert.Empty(t, NewPaddedSubsetSampler([]float64{-inf, 3}, 0, 1).Draw(rand.New(rand.NewPCG(1, 1)), nil))
	}
}

// TestSubsetUpstream: factors of any size scale the gradient, whatever the parts
// of the row that go other ways.
func TestSubsetUpstream(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 30))
	for _, n := range []int{5, 40, 300} {
		for _, share := range []int{1, n / 4, 2 * n / 3} {
			x, pos := normalScores[float64](n), make([]bool, n)
			for _, i := range rng.Perm(n)[:max(share, 1)] {
				pos[i] = true
			}
			b := &Batch[float64]{Scores: Matrix[float64]{1, n, x, n}, Labels: &DenseLabels[bool]{1, n, pos, n}}
			for _, loss := range []Loss{Subset{}, PaddedSubset{K: share + 1}} {
				_, wantLoss, want := evalBatch(t, loss, Options{}, b, Output[float64]{})
				for _, factor := range []float64{0x1p-900, 0x1p1023, -0x1p1000} {
					_, got, grad := evalBatch(t, loss, Options{}, b, Output[float64]{Upstream: factor})
					assert.Equal(t, wantLoss, got)
					for i := range grad {
						assert.InEpsilon(t, want[i], grad[i]/factor, 1e-14, "%s n %d, %d positives, factor %g", loss.Name(), n, share, factor)
					}
				}
			}
		}
	}
}

// plackettLuce is PlackettLuceLogProbability as it is defined.
func plackettLuce(x []float64, order []int) float64 {
	left := slices.Clone(x)
	total := ref.New(0)
	for _, i := range order {
		rest := ref.New(0)
		for j, s := range left {
			if j != i && !math.IsNaN(s) {
				d := exactFloat(s)
				if d.Sub(d, exactFloat(x[i])); toFloat(d) > 2000 { // e^d alone counts
					return math.NaN()
				}
				rest = ref.Add(rest, ref.Exp(d))
			}
		}
		total = ref.Sub(total, ref.Log1p(rest))
		left[i] = math.NaN()
	}
	return toFloat(total)
}

func TestPlackettLuceAccuracy(t *testing.T) {
	assert.InEpsilon(t, -math.Exp(-701), PlackettLuceLogProbability([]float64{701, 0}, []int{0}), 1e-13)
	assert.Equal(t, -2e300, PlackettLuceLogProbability([]float64{1e300, -1e300}, []int{1, 0}))
	assert.Equal(t, math.Inf(-1), PlackettLuceLogProbability([]float64{maxDouble, -maxDouble}, []int{1, 0}))
	assert.Equal(t, -math.Log(6), PlackettLuceLogProbability([]float64{-maxDouble, -maxDouble, -maxDouble}, []int{2, 0}))

	// A million classes: of equal scores, and the first draw of random ones.
	const n = 1_000_000
	x := slices.Repeat([]float64{0.3}, n)
	order := make([]int, 1000)
	want := ref.New(0)
	for i := range order {
		order[i] = 7 * i
		want = ref.Sub(want, ref.Log(ref.New(float64(n-i))))
	}
	assert.LessOrEqual(t, ref.RelError(PlackettLuceLogProbability(x, order), want, 1), 1e-15)
	copy(x, normalScores[float64](n))
	sum := ref.New(0)
	for i := range 2000 {
		sum = ref.Add(sum, ref.Exp(ref.New(x[i])))
	}
	got := PlackettLuceLogProbability(x[:2000], []int{1999})
	assert.LessOrEqual(t, ref.RelError(got, ref.Sub(ref.New(x[1999]), ref.Log(sum)), 1), 1e-15)

	rng := rand.New(rand.NewPCG(9, 100))
	worst := 0.0
	for range 3000 {
		x := hostileScores[float64](rng)
		order := rng.Perm(len(x))[:rng.IntN(len(x)+1)]
		if rng.IntN(2) == 0 {
			order = MostProbableSubset(order, x)
		}
		want := plackettLuce(x, order)
		got := PlackettLuceLogProbability(x, order)
		switch {
		case want != want || math.IsInf(want, 0): // too far apart for this reference
		case math.Abs(want) < 1e-300:
			assert.InDelta(t, want, got, 1e-300, "%v %v", x, order)
		default:
			e := math.Abs(got/want - 1)
			worst = max(worst, e)
			assert.LessOrEqual(t, e, 2e-15, "%v %v: %v, want %v", x, order, got, want)
		}
		// The sampler draws what is possible, all of it.
		drawn := NewPlackettLuceSampler(x).Draw(rng, make([]int, len(x)))
		assert.ElementsMatch(t, rng.Perm(len(x)), drawn)
	}
	t.Logf("worst %.3g", worst)
}

// TestSamplersMisused: zero samplers, and a second goroutine, panic with a
// message of this package.
func TestSamplersMisused(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 101))
	for _, f := range []func(){
		func() { new(SubsetSampler).Draw(rng, nil) },
		func() { (*SubsetSampler)(nil).Draw(rng, nil) },
		func() { new(PlackettLuceSampler).Draw(rng, nil) },
		func() { (*PlackettLuceSampler)(nil).Draw(rng, make([]int, 1)) },
	} {
		assert.PanicsWithValue(t, zeroSampler, f)
	}
	assert.Empty(t, NewSubsetSampler[float64](nil, 0).Draw(rng, nil))
	assert.Empty(t, NewPlackettLuceSampler[float64](nil).Draw(rng, nil))

	s := NewPlackettLuceSampler([]float64{1, 2, 3})
	in, out := make(chan bool), make(chan bool)
	go func() {
		s.Draw(rand.New(waitingSource{in, out}), make([]int, 3))
		close(in)
	}()
	<-in // the other goroutine is drawing
	assert.PanicsWithValue(t, sharedSampler, func() { s.Draw(rng, make([]int, 3)) })
	close(out)
	for range in {
		runtime.Gosched()
	}
	assert.Len(t, s.Draw(rng, make([]int, 3)), 3)
	// A draw that panics leaves the sampler free, and whole.
	assert.PanicsWithValue(t, badDraws, func() { s.Draw(rng, make([]int, 4)) })
	assert.Len(t, s.Draw(rng, make([]int, 3)), 3)
}

// A waitingSource tells in that it is asked and waits for out.
type waitingSource struct{ in, out chan bool }

func (w waitingSource) Uint64() uint64 {
	select {
	case w.in <- true:
	case <-w.out:
	}
	<-w.out
	return 1 << 60
}
