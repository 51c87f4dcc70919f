package zlpr

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/zlpr/zlpr/internal/subset"

	"github.com/zlpr/zlpr/internal/ref"
)

// fuzzScores makes a row of a shape and scale: ties, all equal, one huge score,
// excluded (-Inf) and forced (+Inf) ones.
func fuzzScores(seed uint64, n int, shape uint8, scale float64) []float64 {
	rng := rand.New(rand.NewPCG(seed, 11))
	x := shapes[int(shape)%len(shapes)].make(rng, n, scale)
	for i := range x {
		switch {
		case shape&64 != 0 && rng.IntN(6) == 0:
			x[i] = math.Inf(-1)
		case shape&128 != 0 && rng.IntN(9) == 0:
			x[i] = math.Inf(1)
		}
	}
	return x
}

// fuzzPicks returns 0, 1, n-1, n or a number between.
func fuzzPicks(k uint8, n int) int {
	return []int{0, min(1, n), max(n-1, 0), n, int(k) % (n + 1), int(k) % (n + 1)}[int(k)%6]
}

// FuzzSubset compares log Z_k and the probabilities with the reference, and
// checks what holds between them.
func FuzzSubset(f *testing.F) {
	for i := range 40 {
		f.Add(uint64(i), uint8(1+3*i), uint8(7*i), uint8(i), int8(i%9-3))
	}
	f.Add(uint64(1), uint8(20), uint8(10), uint8(64), int8(0))
	f.Add(uint64(2), uint8(20), uint8(10), uint8(128), int8(4))
	f.Add(uint64(3), uint8(20), uint8(4), uint8(192), int8(-3))
	f.Fuzz(func(t *testing.T, seed uint64, size, pick, shape uint8, magnitude int8) {
		const prec = 320
		n := int(size)%60 + 1
		scale := math.Pow(10, float64(max(min(magnitude, 4), -3)))
		x := fuzzScores(seed, n, shape, scale)
		k := fuzzPicks(pick, n)

		var finite []int
		ups := 0
		var inner []float64
		for i, v := range x {
			switch {
			case math.IsInf(v, 1):
				ups++
			case !math.IsInf(v, -1):
				finite, inner = append(finite, i), append(inner, v)
			}
		}
		in, out := make([]float64, n), make([]float64, n)
		logZ := InclusionProbabilities(in, x, k)
		if other := ExclusionProbabilities(out, x, k); math.Float64bits(other) != math.Float64bits(logZ) && logZ == logZ {
			t.Fatalf("log Z %v and %v", logZ, other)
		}
		sum := 0.0
		for i := range x {
			if !(in[i] >= 0 && in[i] <= 1+1e-14) || math.Abs(in[i]+out[i]-1) > 1e-14 {
				t.Fatalf("%v, k %d: class %d with %v, without %v", x, k, i, in[i], out[i])
			}
			sum += in[i]
		}
		if math.Abs(sum-float64(k)) > 1e-13*float64(n) {
			t.Fatalf("%v, k %d: the probabilities sum to %v", x, k, sum)
		}

		rest := k - ups
		if rest < 0 || rest > len(inner) {
			return // infinite; the sum has told
		}
		if ups > 0 {
			if k > 0 && !math.IsInf(logZ, 1) {
				t.Fatalf("log Z %v with +Inf", logZ)
			}
		}
		if len(inner) == 0 {
			return
		}
		law := ref.Subset(ref.Weights(inner, prec), ref.Adjoint(rest, nil, prec))
		if ups == 0 {
			want := law.LogTotal()
			if e := ref.AbsError(logZ, want, ref.New(highestSum(inner, rest, toFloat(want))), 1); e > 1e-14 {
				t.Fatalf("%v, k %d: log Z %v, want %v", x, k, logZ, toFloat(want))
			}
		}
		// 1e-14 holds for scales up to 5, 2e-13 up to 300 and, as it turns out, above.
		for j, i := range finite {
			if p := toFloat(law.Included[j]); p > 1e-280 && relativeError(in[i], law.Included[j]) > 1e-14 {
				t.Fatalf("%v, k %d: class %d with %v, want %v", x, k, i, in[i], p)
			}
			if p := toFloat(law.Absent[j]); p > 1e-280 && relativeError(out[i], law.Absent[j]) > 1e-14 {
				t.Fatalf("%v, k %d: class %d without %v, want %v", x, k, i, out[i], p)
			}
		}
	})
}

// FuzzSubsetLoss compares the losses and their gradients with the reference.
func FuzzSubsetLoss(f *testing.F) {
	for i := range 40 {
		f.Add(uint64(i), uint8(1+3*i), uint8(i), int8(i%9-3), int16(40*i), uint8(3*i))
	}
	f.Fuzz(func(t *testing.T, seed uint64, size, shape uint8, magnitude int8, gap int16, spare uint8) {
		const prec = 1400
		n := int(size)%24 + 1
		scale := math.Pow(10, float64(max(min(magnitude, 2), -3)))
		x := fuzzScores(seed, n, shape&63, scale)
		rng := rand.New(rand.NewPCG(seed, 12))
		var classes []int
		for i := range x {
			if rng.IntN(3) == 0 {
				classes = append(classes, i)
				x[i] += float64(gap) / 64
			}
		}
		law := subset.Law{Picks: len(classes)}
		var padding *float64
		if spare&1 != 0 {
			law = subset.Law{Picks: min(len(classes)+int(spare)/2%8, n), Padded: true, Threshold: rng.NormFloat64() * scale}
			padding = &law.Threshold
		}
		w, adjoint := ref.Weights(x, prec), ref.Adjoint(law.Picks, padding, prec)
		l := ref.Subset(w, adjoint)
		want := l.Loss(w, adjoint, classes)
		pos, grad := subsetBits(n, classes), make([]float64, n)
		var c subset.Core
		loss, _ := subset.Evaluate(&c, &subset.Query{Law: law, What: subset.Gradient, Pos: pos, Scale: 1}, x, grad)
		if v := toFloat(want); v > 1e-300 && !(relativeError(loss, want) < 1e-13) {
			t.Fatalf("%v %v %+v: loss %v, want %v", x, classes, law, loss, v)
		}
		for i := range x {
			g := l.Included[i]
			if isSet(pos, i) {
				g.Neg(l.Absent[i])
			}
			if v := toFloat(g); math.Abs(v) > 1e-280 && !(relativeError(grad[i], g) < 1e-13) {
				t.Fatalf("%v %v %+v: gradient %d %v, want %v", x, classes, law, i, grad[i], v)
			}
		}
	})
}

// FuzzSubsetRange takes rows of scores, thresholds and weights between the
// smallest and the largest numbers of both types: all functions of the family
// and the samplers against the enumeration of the subsets.
func FuzzSubsetRange(f *testing.F) {
	for i := range 20 {
		f.Add(uint64(i), i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, seed uint64, single bool) {
		rng := rand.New(rand.NewPCG(seed, 13))
		if single {
			fuzzRange[float32](t, rng)
		} else {
			fuzzRange[float64](t, rng)
		}
	})
}

func fuzzRange[T Float](t *testing.T, rng *rand.Rand) {
	var found subsetFindings
	hostileCase[T](rng).check(t, &found)
	for kind, worst := range found.worst {
		if !(worst <= subsetBound[T](kind)) {
			t.Errorf("%s: %g at %s", kind, worst, found.at[kind])
		}
	}
}
