package zlpr

import (
	"fmt"
	"github.com/zlpr/zlpr/internal/subset"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/ref"
)

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
