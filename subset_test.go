package zlpr

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/zlpr/zlpr/internal/subset"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/exact"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
	"github.com/zlpr/zlpr/internal/ref"
)

// relativeError returns |got - want|/|want|.
func relativeError(got float64, want *big.Float) float64 { return ref.RelError(got, want, 1) }

func toFloat(x *big.Float) float64 {
	f, _ := x.Float64()
	return f
}

// highestSum returns max(1, |logZ|, Σ of the |x| of the k highest scores), the
// unit of the error of log Z.
func highestSum[T Float](x []T, k int, logZ float64) float64 {
	sum := 0.0
	for _, i := range MostProbableSubset(make([]int, k), x) {
		sum += math.Abs(float64(x[i]))
	}
	return max(1, math.Abs(logZ), sum)
}

// subsetErrors are the largest errors found.
type subsetErrors struct{ logZ, in, out float64 }

// checkSubset compares one row's log-partition and probabilities with the
// reference.
func checkSubset[T Float](t *testing.T, x []T, k int, worst *subsetErrors) {
	const prec = 320
	law := ref.Subset(ref.Weights(x, prec), ref.Adjoint(k, nil, prec))
	in, out := make([]T, len(x)), make([]T, len(x))
	got := InclusionProbabilities(in, x, k)
	assert.Equal(t, got, ExclusionProbabilities(out, x, k))
	assert.Equal(t, got, LogPartition(x, k))
	want := law.LogTotal()
	worst.logZ = max(worst.logZ, ref.AbsError(got, want, ref.New(highestSum(x, k, toFloat(want))), 1))
	lowest := 1e-280
	if kernel.IsFloat32[T]() {
		lowest = 1e-37
	}
	for i := range x {
		if toFloat(law.Included[i]) > lowest {
			worst.in = max(worst.in, relativeError(float64(in[i]), law.Included[i]))
		}
		if toFloat(law.Absent[i]) > lowest {
			worst.out = max(worst.out, relativeError(float64(out[i]), law.Absent[i]))
		}
	}
}

// picksOf returns some numbers of picks from n classes, the extreme ones too.
func picksOf(n int) []int {
	ks := []int{0, 1, 2, 4, 16, n / 4, n / 2, n/2 + 1, n - 2, n - 1, n}
	ks = slices.DeleteFunc(ks, func(k int) bool { return k < 0 || k > n })
	slices.Sort(ks)
	return slices.Compact(ks)
}

// shapes are rows of n scores of the given scale.
var shapes = []struct {
	name string
	make func(rng *rand.Rand, n int, scale float64) []float64
}{
	{"normal", func(rng *rand.Rand, n int, scale float64) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = rng.NormFloat64() * scale
		}
		return x
	}},
	{"equal", func(rng *rand.Rand, n int, scale float64) []float64 {
		return slices.Repeat([]float64{scale}, n)
	}},
	{"ties", func(rng *rand.Rand, n int, scale float64) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = float64(rng.IntN(3)) * scale
		}
		return x
	}},
	{"one huge", func(rng *rand.Rand, n int, scale float64) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = rng.NormFloat64()
		}
		x[rng.IntN(n)] = 100 * scale
		return x
	}},
	{"bimodal", func(rng *rand.Rand, n int, scale float64) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = rng.NormFloat64() + float64(rng.IntN(2))*10*scale
		}
		return x
	}},
	{"period 8", func(rng *rand.Rand, n int, scale float64) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = rng.NormFloat64()
			if i%8 == 0 {
				x[i] += scale
			}
		}
		return x
	}},
}

// TestSubsetAccuracy pins the errors of log Z_k, of inclusion and of exclusion
// probabilities.
func TestSubsetAccuracy(t *testing.T) {
	sizes := []int{1, 2, 3, 5, 9, 17, 64, 100, 300}
	if testing.Short() {
		sizes = []int{1, 2, 3, 5, 9, 17, 64}
	}
	for _, scale := range []float64{1e-3, 1, 5, 30, 300, 1e4} {
		t.Run(fmt.Sprintf("scale=%g", scale), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, 1))
			var worst, worst32 subsetErrors
			for _, n := range sizes {
				for s, shape := range shapes {
					for _, k := range picksOf(n) {
						if n == 300 && s > 0 && k != 4 && k != n/2 {
							continue // time
						}
						x := shape.make(rng, n, scale)
						checkSubset(t, x, k, &worst)
						if n <= 17 {
							single := make([]float32, n)
							for i, v := range x {
								single[i] = float32(v)
							}
							checkSubset(t, single, k, &worst32)
						}
					}
				}
			}
			t.Logf("float64: log Z %.2g, in %.2g, out %.2g; float32: log Z %.2g, in %.2g, out %.2g",
				worst.logZ, worst.in, worst.out, worst32.logZ, worst32.in, worst32.out)
			// The bars are 1e-14, and 1e-14 or 2e-13 by scale.
			assert.LessOrEqual(t, worst.logZ, 1e-15)
			assert.LessOrEqual(t, worst32.logZ, 1e-15)
			assert.LessOrEqual(t, worst.in, 4e-15)
			assert.LessOrEqual(t, worst.out, 4e-15)
			// Rounded to float32: half an ULP, 2^-24, and as much again where
			// a probability is 1 minus one that has been rounded.
			assert.LessOrEqual(t, worst32.in, 1.1*0x1p-23)
			assert.LessOrEqual(t, worst32.out, 1.1*0x1p-23)
		})
	}
}

// TestSubsetAccuracyFloat32 takes float32 scores of any scale; the results are
// float64 where a mask makes a copy, and keep their digits.
func TestSubsetAccuracyFloat32(t *testing.T) {
	const prec = 320
	rng := rand.New(rand.NewPCG(3, 2))
	var c subset.Core
	worst := 0.0
	for _, scale := range []float64{1, 30, 300, 1e4} {
		for _, n := range []int{5, 40} {
			for _, k := range picksOf(n) {
				x := make([]float64, n)
				for i := range x {
					x[i] = float64(float32(rng.NormFloat64() * scale))
				}
				law := ref.Subset(ref.Weights(x, prec), ref.Adjoint(k, nil, prec))
				in, out := make([]float64, n), make([]float64, n)
				subset.Evaluate(&c, &subset.Query{Law: subset.Law{Picks: k}, What: subset.Inclusion, Scale: 1}, x, in)
				subset.Evaluate(&c, &subset.Query{Law: subset.Law{Picks: k}, What: subset.Exclusion, Scale: 1}, x, out)
				for i := range x {
					if toFloat(law.Included[i]) > 1e-280 {
						worst = max(worst, relativeError(in[i], law.Included[i]))
					}
					if toFloat(law.Absent[i]) > 1e-280 {
						worst = max(worst, relativeError(out[i], law.Absent[i]))
					}
				}
			}
		}
	}
	t.Logf("worst %.2g", worst)
	assert.LessOrEqual(t, worst, 4e-15) // the bar is 2e-14
}

// TestSubsetWindows takes degrees above those of the lanes, where the nodes of
// the tree keep windows of their degrees only.
func TestSubsetWindows(t *testing.T) {
	const n = 700
	var worst subsetErrors
	rng := rand.New(rand.NewPCG(3, 12))
	for i, shape := range shapes {
		if testing.Short() && i > 0 {
			break
		}
		checkSubset(t, shape.make(rng, n, []float64{3, 40}[i%2]), 256+44*i, &worst)
	}
	t.Logf("log Z %.2g, in %.2g, out %.2g", worst.logZ, worst.in, worst.out)
	assert.LessOrEqual(t, worst.logZ, 1e-15)
	assert.LessOrEqual(t, worst.in, 1e-14)
	assert.LessOrEqual(t, worst.out, 1e-14)
}

// TestSubsetLarge checks (16384, 4) and (16384, 64). Equal scores have rounding
// errors that add up; of those the probabilities are known.
func TestSubsetLarge(t *testing.T) {
	const n, prec = 16384, 160
	p := make([]float64, n)
	for _, k := range []int{4, 64} {
		if !testing.Short() {
			x := normalScores[float64](n)
			want := ref.ESP(ref.Weights(x, prec), k)[k].Log()
			got := LogPartition(x, k)
			e := ref.AbsError(got, want, ref.New(highestSum(x, k, got)), 1)
			t.Logf("k %d: error %.2g", k, e)
			assert.LessOrEqual(t, e, 1e-15) // the bar is 1e-13
		}

		x := slices.Repeat([]float64{-0.3}, n)
		binomial := big.NewInt(0).Binomial(n, int64(k))
		want := ref.Log(new(big.Float).SetPrec(prec).SetInt(binomial))
		want.Add(want, new(big.Float).Mul(ref.New(-0.3), ref.New(float64(k))))
		got := InclusionProbabilities(p, x, k)
		e, worst := ref.AbsError(got, want, ref.New(highestSum(x, k, got)), 1), 0.0
		for _, v := range p {
			worst = max(worst, math.Abs(v*n/float64(k)-1))
		}
		t.Logf("k %d, equal: error %.2g, of the probabilities %.2g", k, e, worst)
		assert.LessOrEqual(t, e, 2e-15)
		assert.LessOrEqual(t, worst, 1e-14)
	}
}

// TestSubsetHuge takes half of a million classes.
func TestSubsetHuge(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const n = 1_000_000
	// Equal scores: Z_k = C(n, k) e^(ks), π = k/n. log C by Stirling's series.
	logFactorial := func(n float64) float64 { v, _ := math.Lgamma(n + 1); return v }
	p := make([]float64, n)
	for _, k := range []int{3, 300, 10_000, n / 2, n - 300} {
		x := slices.Repeat([]float64{0.25}, n)
		want := logFactorial(n) - logFactorial(float64(k)) - logFactorial(float64(n-k)) + 0.25*float64(k)
		got := InclusionProbabilities(p, x, k)
		// Most of this is the error of the factorials' logarithms.
		assert.InEpsilon(t, want, got, 1e-14*logFactorial(n)/want, "k %d", k)
		for _, v := range p {
			if math.Abs(v*n/float64(k)-1) > 1e-13 {
				t.Fatalf("k %d: π %v", k, v)
			}
		}
	}
	// The same with logarithms added up: log C(n, k) = Σ log(n-k+i) - log(i).
	for _, k := range []int{300, n / 2} {
		var sum exact.Sum
		for i := 1; i <= k; i++ {
			sum.Add(math.Log(float64(n - k + i)))
			sum.Add(-math.Log(float64(i)))
		}
		sum.AddProduct(0.25, float64(k))
		got := LogPartition(slices.Repeat([]float64{0.25}, n), k)
		assert.InEpsilon(t, sum.Float64(), got, 1e-13, "k %d", k) // equal roundings add up in equal scores
	}
	// Scores of all sizes: the probabilities add up.
	x := normalScores[float64](n)
	for _, k := range []int{64, n / 2} {
		InclusionProbabilities(p, x, k)
		var sum exact.Sum
		for _, v := range p {
			sum.Add(v)
		}
		assert.InEpsilon(t, float64(k), sum.Float64(), 1e-13)
	}
}

// TestTextbookFails shows the published route in float64, Newton's identities
// k·e_k = Σ ± e_(k-i) S_i, failing where the tilt does not: their terms alternate,
// and no simplification that brings them back is one.
func TestTextbookFails(t *testing.T) {
	const n, k, prec = 100, 20, 320
	rng := rand.New(rand.NewPCG(3, 3))
	failed := 0
	for range 10 {
		x := shapes[0].make(rng, n, 3)
		e := make([]float64, k+1)
		e[0] = 1
		m := slices.Max(x)
		for j := 1; j <= k; j++ {
			sign := 1.0
			for i := 1; i <= j; i++ {
				s := 0.0
				for _, v := range x {
					s += math.Exp(float64(i) * (v - m))
				}
				e[j] += sign * e[j-i] * s
				sign = -sign
			}
			e[j] /= float64(j)
		}
		want := ref.ESP(ref.Weights(x, prec), k)[k].Log()
		if relativeError(float64(k)*m+math.Log(e[k]), want) > 1e-6 || e[k] <= 0 {
			failed++
		}
		assert.LessOrEqual(t, relativeError(LogPartition(x, k), want), 1e-15)
	}
	assert.GreaterOrEqual(t, failed, 5, "Newton's identities in float64 have become accurate?")
}

// randomLoss returns a row with positives, often above the negatives by a gap.
func randomLoss(rng *rand.Rand) (x []float64, classes []int, law subset.Law) {
	n := 1 + rng.IntN(12)
	if rng.IntN(10) == 0 {
		n = 40
	}
	scale, gap := math.Pow(10, rng.Float64()*3-1), math.Pow(10, rng.Float64()*4.3-2)
	if rng.IntN(3) == 0 {
		gap = 0
	}
	x = make([]float64, n)
	for i := range x {
		x[i] = rng.NormFloat64() * scale
		if rng.IntN(3) == 0 {
			classes = append(classes, i)
			x[i] += gap / 2
		} else {
			x[i] -= gap / 2
		}
	}
	law.Picks = len(classes)
	if rng.IntN(2) == 0 {
		law.Padded = true
		if rng.IntN(3) > 0 {
			law.Picks += rng.IntN(n - len(classes) + 1)
		}
		law.Threshold = rng.NormFloat64() * min(scale, gap)
	}
	return x, classes, law
}

func subsetBits(n int, classes []int) []uint64 {
	pos := make([]uint64, (n+63)/64)
	for _, i := range classes {
		pos[i>>6] |= 1 << (i & 63)
	}
	return pos
}

// TestSubsetLossAccuracy pins the relative errors of both losses, of their
// gradients and of the derivative by the threshold, down to 1e-300. The
// reference subtracts log Z and the target's sum with digits to lose.
func TestSubsetLossAccuracy(t *testing.T) {
	const prec = 1400
	rng := rand.New(rand.NewPCG(3, 4))
	var c subset.Core
	var loss, gradient, push float64
	small, trials := 0, 3000
	if testing.Short() {
		trials = 300
	}
	for range trials {
		x, classes, law := randomLoss(rng)
		var padding *float64
		if law.Padded {
			padding = &law.Threshold
		}
		w, adjoint := ref.Weights(x, prec), ref.Adjoint(law.Picks, padding, prec)
		l := ref.Subset(w, adjoint)
		want := l.Loss(w, adjoint, classes)
		if v := toFloat(want); v < 1e-300 && !(len(classes) == 0 && law.Picks == 0) {
			continue
		} else if v < 1e-9 {
			small++
		}
		pos, grad := subsetBits(len(x), classes), make([]float64, len(x))
		got, p := subset.Evaluate(&c, &subset.Query{Law: law, What: subset.Gradient, Pos: pos, Scale: 1}, x, grad)
		e := relativeError(got, want)
		if e > 1e-13 {
			t.Fatalf("%v %v %+v: loss %v, want %v", x, classes, law, got, toFloat(want))
		}
		loss = max(loss, e)
		wantPush, size := new(big.Float).SetPrec(prec), 1e-290
		for i := range x {
			g := new(big.Float).Copy(l.Included[i])
			if isSet(pos, i) {
				g.Neg(l.Absent[i])
			}
			wantPush.Sub(wantPush, g)
			size += math.Abs(toFloat(g))
			if math.Abs(toFloat(g)) > 1e-280 {
				e := relativeError(grad[i], g)
				if e > 1e-13 {
					t.Fatalf("%v %v %+v: gradient %d %v, want %v", x, classes, law, i, grad[i], toFloat(g))
				}
				gradient = max(gradient, e)
			}
		}
		if law.Padded {
			push = max(push, ref.AbsError(p, wantPush, ref.New(size), 1))
		}
	}
	t.Logf("loss %.2g, gradient %.2g, by the threshold %.2g; %d of %d losses below 1e-9", loss, gradient, push, small, trials)
	assert.Greater(t, small, trials/20)
	assert.LessOrEqual(t, loss, 1e-14) // the bar is 1e-13
	assert.LessOrEqual(t, gradient, 1e-14)
	assert.LessOrEqual(t, push, 1e-14)
}

// TestSubsetTiers compares whole results bit by bit.
func TestSubsetTiers(t *testing.T) {
	type result struct {
		value, push float64
		grad        []float32
	}
	var want []result
	for _, tier := range kernel.Available() {
		restore := forceTier(tier)
		rng := rand.New(rand.NewPCG(3, 5))
		var c subset.Core
		var got []result
		for _, n := range []int{9, 100, 1000, 4096} {
			for _, shape := range shapes {
				wide := shape.make(rng, n, 2)
				x := make([]float32, n)
				for i, v := range wide {
					x[i] = float32(v)
				}
				for _, k := range []int{1, 5, n / 3, n - 2} {
					classes := rng.Perm(n)[:k]
					for _, law := range []subset.Law{{}, {Picks: k + 1, Padded: true, Threshold: 0.5}} {
						r := result{grad: make([]float32, n)}
						r.value, r.push = subset.Evaluate(&c, &subset.Query{Law: law, What: subset.Gradient, Pos: subsetBits(n, classes), Scale: 0.3}, x, r.grad)
						got = append(got, r)
					}
				}
			}
		}
		restore()
		if want == nil {
			want = got
		}
		for i := range want {
			require.Equal(t, want[i], got[i], "tier %v, case %d", tier, i)
		}
	}
}

func TestSubsetSpecialCases(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		x    []float64
		k    int
		logZ float64
		in   []float64
	}{
		{nil, 0, 0, nil},
		{[]float64{1, 2}, 0, 0, []float64{0, 0}},
		{[]float64{1, 2}, 2, 3, []float64{1, 1}},
		{[]float64{1, nan}, 1, nan, []float64{nan, nan}},
		{[]float64{1, nan}, 0, nan, []float64{nan, nan}},
		{[]float64{1, inf, 1}, 1, inf, []float64{0, 1, 0}},
		{[]float64{1, inf, 1}, 2, inf, []float64{0.5, 1, 0.5}},
		{[]float64{inf, inf, 0}, 1, inf, []float64{0.5, 0.5, 0}},
		{[]float64{-inf, 0, 0}, 1, math.Ln2, []float64{0, 0.5, 0.5}},
		{[]float64{-inf, 3, 4}, 2, 7, []float64{0, 1, 1}},
		{[]float64{-inf, -inf, 4}, 2, -inf, []float64{0.5, 0.5, 1}},
		{[]float64{-inf, -inf, inf}, 2, nan, []float64{0.5, 0.5, 1}},
		{[]float64{1e17, 1e17, 1e17, 1e17}, 2, 2e17, []float64{0.5, 0.5, 0.5, 0.5}},
		{[]float64{1e300, -1e300, 0}, 1, 1e300, []float64{1, 0, 0}},
		{[]float64{1e300, -1e300, 0}, 2, 1e300, []float64{1, 0, 1}},
	} {
		name := fmt.Sprint(c.x, c.k)
		in, out := make([]float64, len(c.x)), make([]float64, len(c.x))
		equal := func(want, got float64) {
			if want != want {
				assert.True(t, got != got, name)
			} else if math.IsInf(want, 0) || want == 0 {
				assert.Equal(t, want, got, name)
			} else {
				assert.InEpsilon(t, want, got, 1e-15, name)
			}
		}
		equal(c.logZ, LogPartition(c.x, c.k))
		equal(c.logZ, InclusionProbabilities(in, c.x, c.k))
		equal(c.logZ, ExclusionProbabilities(out, c.x, c.k))
		for i := range c.in {
			equal(c.in[i], in[i])
			equal(1-c.in[i], out[i])
		}
	}
	for _, c := range []struct {
		x         []float64
		k         int
		threshold float64
		logZ      float64
	}{
		{nil, 3, 2, 6},
		{[]float64{1, 2}, 0, 5, 0},
		{[]float64{0, 0}, 2, 0, 2 * math.Ln2},
		{[]float64{0, 0}, 5, 1, 3 + 2*math.Log(1+math.E)},
		{[]float64{-inf, -inf}, 1, 2, 2},
		{[]float64{inf, 0}, 1, 2, inf},
		{[]float64{nan, 0}, 1, 2, nan},
	} {
		got := PaddedLogPartition(c.x, c.k, c.threshold)
		if c.logZ-c.logZ == 0 && c.logZ != 0 {
			assert.InEpsilon(t, c.logZ, got, 1e-15)
		} else {
			assert.Equal(t, fmt.Sprint(c.logZ), fmt.Sprint(got))
		}
	}
	// Losses: a target at -Inf, a negative at +Inf; forced ones otherwise.
	assert.Equal(t, inf, -SubsetLogProbability([]float64{-inf, 1, 2}, []int{0}))
	assert.Equal(t, inf, -SubsetLogProbability([]float64{inf, 1, 2}, []int{1}))
	assert.Equal(t, -SubsetLogProbability([]float64{1, 2}, []int{0}), -SubsetLogProbability([]float64{inf, 1, -inf, 2}, []int{0, 1}))
}

func TestSubsetPanics(t *testing.T) {
	x := []float64{1, 2, 3}
	for want, f := range map[string]func(){
		badPicks:     func() { LogPartition(x, 4) },
		badPadding:   func() { PaddedLogPartition(x, -1, 0) },
		badLevel:     func() { PaddedLogPartition(x, 1, math.Inf(1)) },
		badLengths:   func() { InclusionProbabilities(x[:2], x, 1) },
		badSubset:    func() { SubsetLogProbability(x, []int{1, 1}) },
		undefinedLaw: func() { NewSubsetSampler([]float64{math.NaN()}, 1) },
	} {
		assert.PanicsWithValue(t, want, f)
	}
	assert.PanicsWithValue(t, badPicks, func() { InclusionProbabilities(x, x, -1) })
	assert.PanicsWithValue(t, badSubset, func() { PaddedSubsetLogProbability(x, []int{0, 1}, 1, 0) })
	assert.PanicsWithValue(t, badSubset, func() { SubsetLogProbability(x, []int{3}) })
	assert.PanicsWithValue(t, badPicks, func() { MostProbableSubset(make([]int, 4), x) })
}

// TestSubsetRelations checks what holds between the members of the family.
func TestSubsetRelations(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 6))
	for range 300 {
		n := 2 + rng.IntN(60)
		x := shapes[0].make(rng, n, math.Pow(10, rng.Float64()*3-1))
		k := 1 + rng.IntN(n-1)
		logZ := LogPartition(x, k)
		unit := highestSum(x, k, logZ)

		// Z_k(s+c) = e^(kc) Z_k(s), for an exact shift; Z_(n-k)(-s) = e^(-Σs) Z_k(s).
		var sum exact.Sum
		moved, negated := make([]float64, n), make([]float64, n)
		for i, v := range x {
			x[i] = math.Round(v*1024) / 1024
			moved[i], negated[i] = x[i]+32, -x[i]
			sum.Add(x[i])
		}
		logZ = LogPartition(x, k)
		assert.InDelta(t, logZ+32*float64(k), LogPartition(moved, k), 1e-14*(unit+32*float64(k)))
		assert.InDelta(t, logZ-sum.Float64(), LogPartition(negated, n-k), 1e-14*max(unit, highestSum(negated, n-k, 0)))

		// Picking 1 is the softmax.
		in, softmax := make([]float64, n), make([]float64, n)
		assert.InDelta(t, Softmax(softmax, x), InclusionProbabilities(in, x, 1), 1e-14*unit)
		assert.InDeltaSlice(t, softmax, in, 1e-14)

		// Probabilities sum to k; permuted scores have permuted ones.
		InclusionProbabilities(in, x, k)
		total := 0.0
		for _, v := range in {
			total += v
		}
		assert.InEpsilon(t, float64(k), total, 1e-14*float64(n))

		// Padded is monotone in K, above the subset loss; K = n is BCE.
		threshold := rng.NormFloat64()
		classes := rng.Perm(n)[:k]
		before := -SubsetLogProbability(x, classes)
		for _, picks := range []int{k, min(k+1, n), max(min(k+1, n), (n+k)/2), n} {
			loss := -PaddedSubsetLogProbability(x, classes, picks, threshold)
			assert.GreaterOrEqual(t, loss, before*(1-1e-13))
			before = loss
		}
		bce := 0.0
		pos := subsetBits(n, classes)
		for i, v := range x {
			y := v - threshold
			if isSet(pos, i) {
				y = -y
			}
			bce += max(y, 0) + math.Log1p(math.Exp(-math.Abs(y)))
		}
		assert.InEpsilon(t, bce, -PaddedSubsetLogProbability(x, classes, n, threshold), 1e-14)
		if n < 20 { // one less than all picks: BCE but for the full set
			full := 0.0
			for _, v := range x {
				full += v - threshold
			}
			a, b := PaddedLogPartition(x, n, threshold), PaddedLogPartition(x, n-1, threshold)+threshold
			if p := math.Exp(full + float64(n)*threshold - a); p < 0.9 {
				assert.InDelta(t, a+math.Log1p(-p), b, 1e-12*max(1, math.Abs(a)))
			}
		}
	}
}

// TestSubsetMask leaves classes out and weights them.
func TestSubsetMask(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 7))
	var c subset.Core
	for range 200 {
		n := 3 + rng.IntN(80)
		x, weights := make([]float32, n), make([]float64, n)
		var part, pos []int
		var inner []float64
		var innerPos []int
		for i := range x {
			x[i] = float32(rng.NormFloat64() * 3)
			weights[i] = math.Exp(rng.NormFloat64())
			if rng.IntN(4) == 0 {
				x[i] = float32(math.NaN()) // left out: not read
				continue
			}
			if rng.IntN(7) == 0 {
				weights[i] = 0
			}
			part = append(part, i)
			positive := rng.IntN(3) == 0
			if positive {
				pos = append(pos, i)
			}
			if weights[i] > 0 {
				v := float64(x[i])
				if positive {
					innerPos = append(innerPos, len(inner))
					v -= math.Log(weights[i])
				} else {
					v += math.Log(weights[i])
				}
				inner = append(inner, v)
			}
		}
		grad := make([]float32, n)
		q := &subset.Query{What: subset.Gradient, Pos: subsetBits(n, pos), Part: subsetBits(n, part), Weights: weights, Scale: 2}
		got, _ := subset.Evaluate(&c, q, x, grad)
		want := -SubsetLogProbability(inner, innerPos)
		assert.InDelta(t, want, got, 1e-12*max(1, want))
		wantGrad := make([]float64, len(inner))
		subset.Evaluate(&c, &subset.Query{What: subset.Gradient, Pos: subsetBits(len(inner), innerPos), Scale: 2}, inner, wantGrad)
		j := 0
		for i := range x {
			if !isSet(q.Part, i) || weights[i] == 0 {
				assert.Zero(t, grad[i])
				continue
			}
			assert.InDelta(t, wantGrad[j], grad[i], 1e-6)
			j++
		}
	}
}

func TestSubsetAllocations(t *testing.T) {
	if kerneltest.RaceEnabled {
		t.Skip("the working arrays are in a sync.Pool")
	}
	x := normalScores[float32](1000)
	dst, classes := make([]float32, 1000), []int{1, 5, 7}
	s := NewSubsetSampler(x, 5)
	rng := rand.New(rand.NewPCG(1, 1))
	draw := make([]int, 5)
	for name, f := range map[string]func(){
		"LogPartition":                 func() { LogPartition(x, 5) },
		"InclusionProbabilities":       func() { InclusionProbabilities(dst, x, 400) },
		"PaddedInclusionProbabilities": func() { PaddedInclusionProbabilities(dst, x, 5, 0.3) },
		"SubsetLogProbability":         func() { SubsetLogProbability(x, classes) },
		"Draw":                         func() { s.Draw(rng, draw) },
	} {
		if n := kerneltest.SteadyAllocs(20, f); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
