package zlpr

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/ref"
	"github.com/zlpr/zlpr/internal/subset"
)

const (
	maxSingle = math.MaxFloat32
	maxDouble = math.MaxFloat64
)

// TestSubsetWitnesses takes rows that were wrong once: scores far apart, at the
// ends of the range, weighted at an offset.
func TestSubsetWitnesses(t *testing.T) {
	const ln3 = 1.0986122886681096 // math.Log differs between architectures
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
		// The same as float32, where the scores are some.
		single, q32 := make([]float32, len(c.x)), make([]float32, len(c.x))
		fits := true
		for i, v := range c.x {
			single[i] = float32(v)
			fits = fits && float64(single[i]) == v
		}
		if c.x[1] == -1e30 || c.x[1] == -1e16 || fits {
			InclusionProbabilities(q32, single, c.k)
			assert.InDeltaSlice(t, c.in, q32, 1e-7, "%v", c)
			assert.InEpsilon(t, c.logZ, LogPartition(single, c.k), 1e-7, "%v", c)
		}
	}
	assert.Equal(t, 5.5+math.Log1p(math.Exp(-0.5)+math.Exp(-2)), PaddedLogPartition([]float64{1.5, 2, 3.5}, 2, -1e299))
	assert.Equal(t, 2e299, PaddedLogPartition([]float64{1.5, 2, 3.5}, 2, 1e299))
	// Near 0, but far from each other.
	assert.Equal(t, 8000.0, PaddedLogPartition([]float64{4500, 3500}, 2, -0x1p20))
	assert.Equal(t, 0x1p20+1, PaddedLogPartition([]float64{-0x1p20, 0x1p20 + 1, 0}, 1, -0x1p19))
	assert.Equal(t, -0x1p20, LogPartition([]float64{-0x1p20, -0x1p20 - 60, 0, 0x1p20}, 3)-0x1p20)
	assert.Equal(t, -0x1p20-30, PaddedSubsetLogProbability([]float64{0x1p20, -30}, []int{1}, 1, -1.5))
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

// An exactLaw is the law of the subsets of a few classes by enumeration. The sum
// of a subset's scores is exact, whatever their size, and only differences of
// such sums are exponentiated.
type exactLaw struct {
	highest           *big.Float   // the largest sum of a subset with its paddings
	rest              *big.Float   // Σ e^(sum - highest) but for that one
	included, absent  []*big.Float // probabilities
	positives, spread *big.Float   // the sum of the positives; Σ of the |scores| of the highest sum
	paddings          *big.Float   // the expected number of them
}

const exactBits = 2400 // from 2^1024 with carries down to 2^-1074

func exactFloat(x float64) *big.Float { return new(big.Float).SetPrec(exactBits).SetFloat64(x) }

// newExactLaw enumerates the subsets of x that the law allows. pos are the
// positives, whose number is that of the picks without padding if loss is set;
// weights may be nil and go with loss.
func newExactLaw(x []float64, law subset.Law, pos []bool, weights []float64, loss bool) exactLaw {
	n := len(x)
	scores := make([]*big.Float, n)
	for i, s := range x {
		scores[i] = exactFloat(s)
		if weights != nil {
			l := ref.Log(ref.New(weights[i]))
			if pos[i] {
				l.Neg(l)
			}
			scores[i].Add(scores[i], l)
		}
	}
	picks := law.Picks
	l := exactLaw{positives: exactFloat(0)}
	count := 0
	for i, p := range pos {
		if p {
			count++
			l.positives.Add(l.positives, scores[i])
		}
	}
	if loss && !law.Padded {
		picks = count
	}
	pad := func(sum *big.Float, missing int) {
		if missing > 0 {
			sum.Add(sum, new(big.Float).Mul(exactFloat(law.Threshold), exactFloat(float64(missing))))
		}
	}
	pad(l.positives, picks-count)
	var best int
	sums := make([]*big.Float, 1<<n)
	for set := range sums {
		size, sum := 0, exactFloat(0)
		for i := range n {
			if set>>i&1 != 0 {
				size++
				sum.Add(sum, scores[i])
			}
		}
		if size > picks || !law.Padded && size < picks {
			continue
		}
		pad(sum, picks-size)
		sums[set] = sum
		if l.highest == nil || sum.Cmp(l.highest) > 0 {
			l.highest, best = sum, set
		}
	}
	l.rest, l.paddings, l.spread = ref.New(0), ref.New(0), ref.New(0)
	for range n {
		l.included, l.absent = append(l.included, ref.New(0)), append(l.absent, ref.New(0))
	}
	missing := picks
	for i, s := range x {
		if best>>i&1 != 0 {
			l.spread.Add(l.spread, ref.New(math.Abs(s)))
			missing--
		}
	}
	l.spread.Add(l.spread, ref.Mul(ref.New(float64(missing)), ref.New(math.Abs(law.Threshold))))
	total := ref.New(0)
	for set, sum := range sums {
		if sum == nil {
			continue
		}
		d := new(big.Float).Sub(sum, l.highest)
		if d.Cmp(big.NewFloat(-2000)) < 0 {
			continue
		}
		e := ref.Exp(d)
		total.Add(total, e)
		if sum != l.highest {
			l.rest.Add(l.rest, e)
		}
		size := 0
		for i := range n {
			part := l.absent
			if set>>i&1 != 0 {
				part = l.included
				size++
			}
			part[i].Add(part[i], e)
		}
		l.paddings.Add(l.paddings, ref.Mul(e, ref.New(float64(picks-size))))
	}
	for i := range n {
		l.included[i] = ref.Quo(l.included[i], total)
		l.absent[i] = ref.Quo(l.absent[i], total)
	}
	l.paddings = ref.Quo(l.paddings, total)
	return l
}

// logTotal returns log Z.
func (l exactLaw) logTotal() *big.Float {
	return new(big.Float).Add(l.highest, ref.Log1p(l.rest))
}

// loss returns log Z less the positives' sum.
func (l exactLaw) loss() *big.Float {
	d := new(big.Float).Sub(l.highest, l.positives)
	if d.Sign() == 0 {
		return ref.Log1p(l.rest)
	}
	return d.Add(d, ref.Log1p(l.rest))
}

// hostileScores makes a row of up to 7 scores of any size, many of which are
// equal or differ by little.
func hostileScores[T Float](rng *rand.Rand) []float64 {
	largest, smallest := math.MaxFloat64, 0x1p-1074
	if kernel.IsFloat32[T]() {
		largest, smallest = math.MaxFloat32, 0x1p-149
	}
	exponent := math.Log2(largest)
	pool := []float64{largest, -largest, smallest, -smallest, 0, largest / 2, -largest / 3}
	size := func() float64 {
		switch rng.IntN(6) {
		case 0:
			return math.Exp2(rng.Float64() * exponent)
		case 1:
			return math.Exp2(rng.Float64() * 70)
		case 2:
			return 400 * (1 + rng.Float64())
		}
		return math.Exp2(rng.Float64()*8 - 4)
	}
	n := 1 + rng.IntN(7)
	x := make([]float64, n)
	base := 0.0
	if rng.IntN(3) == 0 {
		base = size() * float64(1-2*rng.IntN(2))
	}
	for i := range x {
		switch r := rng.IntN(8); {
		case r == 0:
			x[i] = pool[rng.IntN(len(pool))]
		case r == 1 && i > 0:
			x[i] = x[rng.IntN(i)]
		case r == 2 && i > 0: // some ULPs away
			x[i] = x[rng.IntN(i)] * (1 + float64(rng.IntN(9)-4)*unit[T]())
		default:
			x[i] = base + size()*float64(1-2*rng.IntN(2))
		}
		x[i] = float64(T(min(max(x[i], -largest), largest)))
	}
	return x
}

// isSet reports whether bit i is set.
func isSet(bits []uint64, i int) bool { return bits[i/64]>>(i%64)&1 != 0 }

// A subsetCase is a row of a few classes for all functions of the family.
type subsetCase[T Float] struct {
	x       []T
	k       int // picks, of the padded variant too
	s0      float64
	pos     []bool // at most k for the padded loss
	weights []float64
}

// subsetFindings are the largest errors of every kind, with what they are of.
type subsetFindings struct {
	worst map[string]float64
	at    map[string]string
}

func (f *subsetFindings) add(kind string, err float64, c any) {
	if f.worst == nil {
		f.worst, f.at = map[string]float64{}, map[string]string{}
	}
	if err > f.worst[kind] || err != err {
		f.worst[kind], f.at[kind] = err, fmt.Sprintf("%+v", c)
	}
}

// valueError compares a logarithm with the exact one: the absolute error over
// the unit, 0 where both are the same infinity.
func valueError(got float64, want, unit *big.Float) float64 {
	if w, _ := want.Float64(); math.IsInf(w, 0) || math.IsInf(got, 0) {
		// At the very end of the range a rounding decides.
		if w == got || math.Nextafter(w, 0) == got || math.Nextafter(got, 0) == w {
			return 0
		}
		return math.Inf(1)
	}
	return ref.AbsError(got, want, unit, 1)
}

// chanceLowest is the size from which on results have their relative accuracy.
func chanceLowest[T Float]() float64 {
	if kernel.IsFloat32[T]() {
		return 0x1p-126
	}
	return 1e-280
}

// allowance is the absolute error of results below chanceLowest.
func allowance[T Float]() float64 {
	if kernel.IsFloat32[T]() {
		return 0x1p-149
	}
	return 1e-300
}

// absoluteError is 0 where got is within 1e-13 and the allowance of want, else
// +Inf.
func absoluteError(got float64, want *big.Float, allowance float64) float64 {
	w := toFloat(want)
	if math.Abs(got-w) <= 1e-13*math.Abs(w)+allowance {
		return 0
	}
	return math.Inf(1)
}

// chanceError compares a probability, or a part of the gradient, with the exact
// one: relative down to the lowest, absolute to it below.
func chanceError[T Float](got T, want *big.Float) float64 {
	if math.Abs(toFloat(want)) < chanceLowest[T]() {
		return absoluteError(float64(got), want, allowance[T]())
	}
	if kernel.IsFloat32[T]() { // in units of the last place
		return ref.ULPs(float32(got), want)
	}
	return ref.RelError(float64(got), want, 1)
}

func wide[T Float](x []T) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// check evaluates all functions and records their errors.
func (f *subsetFindings) check(t testing.TB, c subsetCaseOf) { c.check(t, f) }

type subsetCaseOf interface {
	check(t testing.TB, f *subsetFindings)
}

func (c subsetCase[T]) check(t testing.TB, f *subsetFindings) {
	n, x := len(c.x), wide(c.x)
	in, out := make([]T, n), make([]T, n)
	type laws struct {
		name         string
		law          subset.Law
		logZ         float64
		in, out      func() float64
		sampler      func() *SubsetSampler
		logProbility func(classes []int) float64
	}
	for _, l := range []laws{
		{"subset", subset.Law{Picks: c.k}, LogPartition(c.x, c.k),
			func() float64 { return InclusionProbabilities(in, c.x, c.k) },
			func() float64 { return ExclusionProbabilities(out, c.x, c.k) },
			func() *SubsetSampler { return NewSubsetSampler(c.x, c.k) }, nil},
		{"padded", subset.Law{Picks: c.k, Padded: true, Threshold: c.s0}, PaddedLogPartition(c.x, c.k, c.s0),
			func() float64 { return PaddedInclusionProbabilities(in, c.x, c.k, c.s0) },
			func() float64 { return PaddedExclusionProbabilities(out, c.x, c.k, c.s0) },
			func() *SubsetSampler { return NewPaddedSubsetSampler(c.x, c.k, c.s0) }, nil},
	} {
		law := newExactLaw(x, l.law, make([]bool, n), nil, false)
		want := law.logTotal()
		unit := ref.One(law.spread)
		if a := new(big.Float).Abs(want); a.Cmp(unit) > 0 {
			unit = a
		}
		f.add(l.name+" log Z", valueError(l.logZ, want, unit), c)
		if a, b := l.in(), l.out(); a != l.logZ || b != l.logZ {
			f.add(l.name+" log Z", math.NaN(), c)
		}
		for i := range in {
			f.add(l.name+" in", chanceError(in[i], law.included[i]), c)
			f.add(l.name+" out", chanceError(out[i], law.absent[i]), c)
		}
		// A draw has a subset that is possible.
		d := l.sampler().Draw(rand.New(rand.NewPCG(1, uint64(n))), nil)
		if len(d) > c.k || !l.law.Padded && len(d) != c.k {
			f.add(l.name+" draw", math.Inf(1), c)
		}
		for i := range x {
			p := law.absent[i]
			for _, j := range d {
				if i == j {
					p = law.included[i]
				}
			}
			if toFloat(p) < 1e-15 {
				f.add(l.name+" draw", math.Inf(1), c)
			}
		}
	}

	count := 0
	for _, p := range c.pos {
		if p {
			count++
		}
	}
	labels := &DenseLabels[bool]{1, n, c.pos, n}
	for _, padded := range []bool{false, true} {
		b := &Batch[T]{Scores: Matrix[T]{1, n, c.x, n}, Labels: labels, ClassWeights: c.weights}
		var loss Loss = Subset{}
		law := subset.Law{}
		o := Output[T]{}
		if padded {
			if c.k < count || c.k == 0 {
				continue
			}
			loss, law = PaddedSubset{K: c.k}, subset.Law{Picks: c.k, Padded: true, Threshold: float64(T(c.s0))}
			b.Thresholds, o.ThresholdGrad = []T{T(c.s0)}, make([]T, 1)
		}
		exact := newExactLaw(x, law, c.pos, c.weights, true)
		_, losses, grad := evalBatch(t, loss, Options{Workers: 1}, b, o)
		want := exact.loss()
		if w := toFloat(want); w < 1e-300 {
			f.add(loss.Name()+" loss", math.Abs(losses[0])/1e-300-1, c)
			if losses[0] < 0 {
				f.add(loss.Name()+" loss", math.NaN(), c)
			}
		} else {
			f.add(loss.Name()+" loss", valueError(losses[0], want, want), c)
		}
		size := 0.0
		for i := range x {
			g := exact.included[i]
			if c.pos[i] {
				g = ref.Neg(exact.absent[i])
			}
			size += math.Abs(toFloat(g))
			f.add(loss.Name()+" gradient", chanceError(grad[i], g), c)
		}
		if padded {
			// E[paddings] - (K-k) = -Σ gradient
			push := ref.New(0)
			for i := range x {
				if c.pos[i] {
					push = ref.Add(push, exact.absent[i])
				} else {
					push = ref.Sub(push, exact.included[i])
				}
			}
			e := ref.AbsError(float64(o.ThresholdGrad[0]), push, ref.New(size), 1)
			if kernel.IsFloat32[T]() {
				e *= 0x1p23
			}
			if size < chanceLowest[T]() {
				e = 0
			}
			f.add("threshold", e, c)
		}
	}
}

// hostileCase makes a case of hostile scores.
func hostileCase[T Float](rng *rand.Rand) subsetCase[T] {
	x := hostileScores[T](rng)
	n := len(x)
	c := subsetCase[T]{k: rng.IntN(n + 1), pos: make([]bool, n)}
	for _, s := range x {
		c.x = append(c.x, T(s))
	}
	switch rng.IntN(4) {
	case 0:
		c.s0 = x[rng.IntN(n)]
	case 1:
		c.s0 = x[rng.IntN(n)] + rng.NormFloat64()
	case 2:
		c.s0 = hostileScores[T](rng)[0]
	default:
		c.s0 = rng.NormFloat64()
	}
	c.s0 = min(max(float64(T(c.s0)), -math.MaxFloat64), math.MaxFloat64)
	if kernel.IsFloat32[T]() {
		c.s0 = min(max(c.s0, -math.MaxFloat32), math.MaxFloat32)
	}
	for i := range c.pos {
		c.pos[i] = rng.IntN(3) == 0
	}
	if rng.IntN(2) == 0 { // as a trained model has it: the highest ones
		classes := MostProbableSubset(make([]int, c.k), c.x)
		clear(c.pos)
		for _, i := range classes {
			c.pos[i] = true
		}
	}
	if rng.IntN(3) == 0 {
		c.weights = make([]float64, n)
		for i := range c.weights {
			c.weights[i] = math.Exp(max(min(rng.NormFloat64()*[]float64{1, 1, 200}[rng.IntN(3)], 700), -740))
		}
	}
	return c
}

// bounds of subsetFindings, as the documentation has them.
func subsetBound[T Float](kind string) float64 {
	switch {
	case kind == "subset log Z" || kind == "padded log Z":
		return 1e-15
	case kind == "subset draw" || kind == "padded draw":
		return 0
	case kind == "subset loss" || kind == "subset-padded loss":
		return 1e-13
	case kernel.IsFloat32[T]():
		return 0.6 // ULP
	}
	return 1e-13
}

func (f *subsetFindings) report(t *testing.T, bound func(kind string) float64) {
	for kind, worst := range f.worst {
		t.Logf("%-24s %.3g at %s", kind, worst, f.at[kind])
		assert.LessOrEqual(t, worst, bound(kind), "%s at %s", kind, f.at[kind])
	}
}

// TestSubsetHostile takes scores, thresholds and weights of all sizes, from the
// smallest numbers to the largest ones.
func TestSubsetHostile(t *testing.T) {
	t.Run("float32", testSubsetHostile[float32])
	t.Run("float64", testSubsetHostile[float64])
}

func testSubsetHostile[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 20))
	var f subsetFindings
	trials := 2000
	if testing.Short() {
		trials = 100
	}
	for range trials {
		c := hostileCase[T](rng)
		f.check(t, c)
	}
	f.report(t, subsetBound[T])
}
