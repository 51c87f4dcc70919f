package zlpr

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
	"github.com/zlpr/zlpr/internal/ref"
	"github.com/zlpr/zlpr/internal/subset"
)

// seeds adds rows of both types.
func seeds(f *testing.F) {
	inf := math.Inf(1)
	for _, x := range [][]float64{
		{}, {0}, {1, 2, 3}, {-inf, -inf}, {inf, 1}, {math.NaN(), 1}, {3e38, 3e38}, {-3e38, 3e38},
		{88, 89, 90}, {-100, -101}, {700, 710, 720}, {2047, 2048, 2049}, {1e-40, -1e-40}, {0, -16.6356, -16.6356},
		{1e5, 1e5, 99999}, {0x1p61, 0x1p62, 0x1p63}, {5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5},
	} {
		single := make([]float32, len(x))
		for i, v := range x {
			single[i] = float32(v)
		}
		f.Add(kerneltest.FuzzBytes(x...))
		f.Add(kerneltest.FuzzBytes(single...))
	}
}

// FuzzTiers compares all results of every tier with those of the generic one.
func FuzzTiers(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzTiers[float32](t, data)
		fuzzTiers[float64](t, data)
	})
}

func fuzzTiers[T Float](t *testing.T, data []byte) {
	x := kerneltest.FuzzFloats[T](data)
	defer forceTier(kernel.Generic)()
	want := evaluate(t, x)
	for _, tier := range kernel.Available()[1:] {
		kernel.Active = tier
		got := evaluate(t, x)
		want.same(t, &got, tier)
	}
}

// finiteRow returns the row of a fuzz input, cut to a length for which the
// reference is quick, and whether all its scores are finite.
func finiteRow[T Float](data []byte) ([]T, bool) {
	x := kerneltest.FuzzFloats[T](data)
	x = x[:min(len(x), 64)]
	for _, v := range x {
		if v-v != 0 {
			return nil, false
		}
	}
	return x, len(x) > 0
}

// FuzzReference compares LogSumExp, Softmax and LogSoftmax with big.Float.
func FuzzReference(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzReference[float32](t, data)
		fuzzReference[float64](t, data)
	})
}

func fuzzReference[T Float](t *testing.T, data []byte) {
	x, ok := finiteRow[T](data)
	if !ok {
		return
	}
	want := ref.LogSumExp(ref.Floats(x))
	got := evaluate(t, x)
	if err := ref.AbsError(got.lse[0], want, ref.One(want), unit[T]()); err > boundLSE {
		t.Errorf("LogSumExp(%x) = %x, off by %v ULP", x, got.lse[0], err)
	}
	if got.lse[0] < float64(Max(x)) {
		t.Errorf("LogSumExp(%x) = %x, less than Max", x, got.lse[0])
	}
	differences, below := exactExcess(x)
	smallest := 0x1p-124
	if !kernel.IsFloat32[T]() {
		smallest = 0x1p-1020
	}
	for i, d := range differences {
		logarithm := ref.Sub(d, below) // of one sign
		if err := logSoftmaxError(got.logarithm[i], logarithm); err > boundLogSoftmax {
			t.Errorf("LogSoftmax(%x)[%d] = %x, off by %v ULP", x, i, got.logarithm[i], err)
		}
		if l, _ := logarithm.Float64(); l < math.Log(smallest) {
			if got.softmax[i] > T(2*smallest) {
				t.Errorf("Softmax(%x)[%d] = %x, not tiny", x, i, got.softmax[i])
			}
			continue
		}
		if err := ref.RelError(float64(got.softmax[i]), ref.Exp(logarithm), unit[T]()); err > boundSoftmax {
			t.Errorf("Softmax(%x)[%d] = %x, off by %v ULP", x, i, got.softmax[i], err)
		}
	}
}

// FuzzShift: adding a power of two to scores on its grid is exact and adds it
// to the result.
func FuzzShift(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzShift[float32](t, data)
		fuzzShift[float64](t, data)
	})
}

func fuzzShift[T Float](t *testing.T, data []byte) {
	x, ok := finiteRow[T](data)
	if !ok {
		return
	}
	const shift = 64
	y := make([]T, len(x))
	for i, v := range x {
		// Quarters between -1024 and 1024.
		x[i] = T(math.Round(math.Mod(float64(v), 1024)*4) / 4)
		y[i] = x[i] + shift
	}
	a, b := LogSumExp(x), LogSumExp(y)
	if err := math.Abs(b-a-shift) / max(1, math.Abs(a), math.Abs(b)) / unit[T](); err > 2*boundLSE {
		t.Errorf("LogSumExp(%v) = %v, shifted by %v %v", x, a, shift, b)
	}
}

// FuzzSplit: an accumulator that gets the row in two parts and in reverse
// order, and a permuted row, give the result within twice the bound; cut at a
// block the bits.
func FuzzSplit(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzSplit[float32](t, data)
		fuzzSplit[float64](t, data)
	})
}

func fuzzSplit[T Float](t *testing.T, data []byte) {
	x := kerneltest.FuzzFloats[T](data)
	if len(x) == 0 {
		return
	}
	want := LogSumExp(x)
	near := func(got float64, what string) {
		if canonical(got) == canonical(want) || got != got && want != want {
			return
		}
		if err := math.Abs(got-want) / max(1, math.Abs(want)) / unit[T](); !(err <= 2*boundLSE) {
			t.Errorf("%s of %x: %v, not %v", what, x, got, want)
		}
	}
	at := int(data[0]) % len(x)
	var a, b Accumulator[T]
	a.Add(x[at:])
	b.Add(x[:at])
	a.Merge(&b)
	near(a.LogSumExp(), "split")
	reversed := slices.Clone(x)
	slices.Reverse(reversed)
	near(LogSumExp(reversed), "reverse")

	// The row again and again, to beyond a block.
	long := slices.Repeat(x, (BlockLen+100)/len(x)+1)
	a.Reset()
	b.Reset()
	a.Add(long[BlockLen:])
	b.Add(long[:BlockLen])
	a.Merge(&b)
	kerneltest.SameBits(t, []float64{LogSumExp(long)}, []float64{a.LogSumExp()}, "blocks")
}

// lossSeeds adds rows with their labels and mask in bits.
func lossSeeds(f *testing.F) {
	for _, x := range [][]float32{
		{0}, {1, -2}, {-50, -60, 50, 70}, {-80, -90, -100}, {88, 89, -88}, {1e-8, -1e-8, 3},
		{3e38, -3e38, 1}, {-87.5, 87.5}, {17, 17, 17, 17}, {2047, 2049, -2048}, {1e-40, 0, -1e-40},
	} {
		for _, bits := range []uint64{0, 1, 0x55, ^uint64(0)} {
			f.Add(kerneltest.FuzzBytes(x...), bits, ^uint64(0))
			f.Add(kerneltest.FuzzBytes(x...), bits, uint64(0xb))
		}
	}
}

// fuzzRow returns a row of finite scores, at most 64.
func fuzzRow[T Float](data []byte, labels, mask uint64) (lossCase[T], bool) {
	c := lossCase[T]{scores: kerneltest.FuzzFloats[T](data)}
	n := len(c.scores)
	if n == 0 || n > 64 {
		return c, false
	}
	for i, x := range c.scores {
		// Below that the reference keeps all digits.
		if !(math.Abs(float64(x)) < 1e8) {
			return c, false
		}
		c.mask = append(c.mask, mask>>i&1 != 0)
		c.positive = append(c.positive, labels&mask>>i&1 != 0)
	}
	return c, true
}

// FuzzLossValue compares losses and gradients with the reference.
func FuzzLossValue(f *testing.F) {
	lossSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte, labels, mask uint64) {
		fuzzLossValue[float32](t, data, labels, mask)
		fuzzLossValue[float64](t, data, labels, mask)
	})
}

// shiftedRow is row with a threshold.
func (c *lossCase[T]) shiftedRow(s0 float64) ref.Row {
	d := *c
	d.threshold = s0
	return d.row()
}

func fuzzLossValue[T Float](t *testing.T, data []byte, labels, mask uint64) {
	c, ok := fuzzRow[T](data, labels, mask)
	if !ok {
		return
	}
	for _, l := range []struct {
		loss Loss
		want ref.Result
	}{
		{ZLPR{}, c.row().ZLPR()},
		{Pairwise{}, c.row().Pairwise(1, 0)},
		{Pairwise{Gamma: 0.7, Margin: 2}, c.row().Pairwise(0.7, 2)},
		{BCE{}, c.row().BCE(nil, 0)},
		{BCE{Threshold: 0.3}, c.shiftedRow(0.3).BCE(nil, 0)},
	} {
		_, losses, grad := evalBatch(t, l.loss, Options{}, c.batch(), Output[T]{})
		checkRow(t, l.loss.Name(), losses[0], grad, l.want, 4, 4)
	}
}

// FuzzLossTiers compares all bits of every tier with those of the generic one,
// for any scores.
func FuzzLossTiers(f *testing.F) {
	lossSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte, labels, mask uint64) {
		fuzzLossTiers[float32](t, data, labels, mask)
		fuzzLossTiers[float64](t, data, labels, mask)
	})
}

func fuzzLossTiers[T Float](t *testing.T, data []byte, labels, mask uint64) {
	x := kerneltest.FuzzFloats[T](data)
	n := len(x)
	if n == 0 {
		return
	}
	c := lossCase[T]{scores: x}
	for i := range x {
		c.mask = append(c.mask, mask>>(i%64)&1 != 0)
		c.positive = append(c.positive, labels&mask>>(i%64)&1 != 0)
	}
	for _, loss := range []Loss{ZLPR{}, ZLPR{Threshold: 0.5}, Pairwise{}, Pairwise{Gamma: 2}, BCE{}, BCE{Threshold: 0.3}, BCE{PositiveWeight: []float64{3}}, BCE{Focal: 2}} {
		restore := forceTier(kernel.Generic)
		want := runOnce(t, loss, Options{}, c.batch())
		restore()
		for _, tier := range kernel.Available() {
			restore := forceTier(tier)
			requireSame(t, want, runOnce(t, loss, Options{}, c.batch()), loss.Name()+" "+tier.String())
			restore()
		}
	}
}

// FuzzLabels: dense, packed and sparse labels of the same classes are the same
// bits, and what is no label is an error.
func FuzzLabels(f *testing.F) {
	f.Add([]byte{0, 1, 1, 0}, uint8(2))
	f.Add([]byte{1, 2}, uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, rows uint8) {
		if rows == 0 || len(data) < int(rows) {
			return
		}
		n := len(data) / int(rows)
		d := &DenseLabels[uint8]{int(rows), n, data, n}
		w := kernel.BitWords(n)
		bits := make([]uint64, int(rows)*w)
		err := d.ReadRows(bits, 0, int(rows))
		s := &SparseLabels{Classes: n, RowPtr: []int64{0}}
		for i := range int(rows) {
			for j, v := range data[i*n:][:n] {
				if v > 1 {
					if err == nil || err.(*DataError).Row > i {
						t.Fatalf("row %d, class %d: label %d, error %v", i, j, v, err)
					}
					return
				}
				if v == 1 {
					s.Indices = append(s.Indices, int32(n-1-j))
				}
			}
			s.RowPtr = append(s.RowPtr, int64(len(s.Indices)))
		}
		if err != nil {
			t.Fatal(err)
		}
		for k := range s.Indices {
			s.Indices[k] = int32(n-1) - s.Indices[k]
		}
		same := make([]uint64, len(bits))
		if err := s.ReadRows(same, 0, int(rows)); err != nil {
			t.Fatal(err)
		}
		for k := range bits {
			if bits[k] != same[k] {
				t.Fatalf("word %d: %x dense, %x sparse", k, bits[k], same[k])
			}
		}
	})
}

// FuzzWeightedValue compares losses and gradients with class weights, soft
// labels and γ with the reference.
func FuzzWeightedValue(f *testing.F) {
	f.Add(kerneltest.FuzzBytes[float32](1, -2, 3, 50), uint64(5), uint64(0x1234567), 1.5)
	f.Add(kerneltest.FuzzBytes[float32](-90, -91, -89.5), uint64(1), uint64(0xfedcba), 1e-2)
	f.Add(kerneltest.FuzzBytes[float64](700, -800, 1e-9, 3), uint64(2), uint64(0xf0f0f0), 40.0)
	f.Add(kerneltest.FuzzBytes[float32](3000, 2990, -2049), uint64(2), uint64(0x777), 1.0)
	f.Fuzz(func(t *testing.T, data []byte, labels, weights uint64, gamma float64) {
		if gamma >= 1e-3 && gamma <= 1e3 {
			fuzzWeightedValue[float32](t, data, labels, weights, gamma)
			fuzzWeightedValue[float64](t, data, labels, weights, gamma)
		}
	})
}

func fuzzWeightedValue[T Float](t *testing.T, data []byte, labels, weights uint64, gamma float64) {
	c, ok := fuzzRow[T](data, labels, ^uint64(0))
	if !ok {
		return
	}
	for i, x := range c.scores {
		if math.Abs(float64(x)) > 1e5 {
			return // e^(γx) stays within the reference
		}
		w := weights >> (i * 7 % 57) & 127
		c.weights = append(c.weights, math.Ldexp(float64(w), int(w)-64))
		c.soft = append(c.soft, T(math.Ldexp(float64(w%9), -3-int(w/9)*(i%3)*3)))
	}
	hard := c
	hard.soft = nil
	for _, l := range []struct {
		c    *lossCase[T]
		loss Loss
		want ref.Result
	}{
		{&hard, ZLPR{}, hard.row().ZLPR()},
		{&hard, Pairwise{Gamma: gamma}, hard.row().Pairwise(gamma, 0)},
		{&c, SoftZLPR{}, c.row().SoftZLPR()},
	} {
		if lossError, gradError := generalErrors(t, l.c, l.loss, l.want); lossError > 4 || gradError > 4 {
			t.Errorf("%+v: loss off by %.3g ULP, gradient by %.3g", l.loss, lossError, gradError)
		}
	}
}

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

// FuzzDistillation compares the divergences of the first half of the scores from the second
// with the reference, and any scores on every tier with those of the generic one.
func FuzzDistillation(f *testing.F) {
	seeds(f)
	f.Add(kerneltest.FuzzBytes(1, 2, 3, 1.0000001, 2, 3.5))
	f.Add(kerneltest.FuzzBytes(500, -500, 0, -500, 500, 1e-9))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzDistillation[float32](t, data)
		fuzzDistillation[float64](t, data)
	})
}

func fuzzDistillation[T Float](t *testing.T, data []byte) {
	x := kerneltest.FuzzFloats[T](data)
	n := min(len(x)/2, 16)
	if n == 0 {
		return
	}
	s, z := x[:n], x[len(x)-n:]
	finite := true
	for _, v := range append(slices.Clone(s), z...) {
		finite = finite && math.Abs(float64(v)) <= 1e4 // beyond, the reference takes long
	}
	ulp, smallest := unitsOf[T]()
	for _, of := range distillations {
		b := &Batch[T]{Scores: Matrix[T]{1, n, s, n}, Teacher: Matrix[T]{1, n, z, n}}
		loss := Distillation{of.loss, 2}
		restore := forceTier(kernel.Generic)
		want := runOnce(t, loss, Options{}, b)
		restore()
		for _, tier := range kernel.Available() {
			restore := forceTier(tier)
			requireSame(t, want, runOnce(t, loss, Options{}, b), loss.Name()+" "+tier.String())
			restore()
		}
		if !finite {
			continue
		}
		exact, terms := (ref.Row{Scores: wide(s)}).Distillation(of.exact, wide(z), 2)
		_, losses, grad := evalBatch(t, loss, Options{}, b, Output[T]{})
		if l, _ := exact.Loss.Float64(); l > 0x1p-1000 {
			require.LessOrEqual(t, ref.RelError(losses[0], exact.Loss, ulp), distillationULPs[T](), "%s: %v from %v", loss.Name(), s, z)
		}
		for j, g := range grad {
			if a, _ := exact.Grad[j].Float64(); math.Abs(a) >= smallest {
				require.LessOrEqual(t, ref.AbsError(float64(g), exact.Grad[j], terms[j], ulp), distillationULPs[T](), "%s: %v from %v", loss.Name(), s, z)
			}
		}
	}
}

// FuzzLongTail compares the asymmetric, two-way and distribution-balanced losses with the
// reference, and smoothed labels.
func FuzzLongTail(f *testing.F) {
	lossSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte, labels, mask uint64) {
		fuzzLongTail[float32](t, data, labels, mask)
		fuzzLongTail[float64](t, data, labels, mask)
	})
}

func fuzzLongTail[T Float](t *testing.T, data []byte, labels, mask uint64) {
	c, ok := fuzzRow[T](data, labels, mask)
	if !ok {
		return
	}
	n := len(c.scores)
	balanced := NewDistributionBalanced(make([]int, n), 1000)
	for j := range balanced.Counts {
		balanced.Counts[j] = j*j%999 + 1
	}
	asymmetric, _ := c.row().Asymmetric(1, 4, 0)
	for _, l := range []struct {
		loss  Loss
		want  ref.Result
		bound float64 // of float64 scores
	}{
		{Asymmetric{GammaPositive: 1, GammaNegative: 4}, asymmetric, 4},
		{TwoWay{PositiveTemperature: 4}, c.row().TwoWay(4, 1), 24},
		{balanced, c.row().DistributionBalanced(balanced.Counts, 1000, 0.1, 10, 0.3, 0.05, 2), 56},
	} {
		bound := 4.0
		if ulp, _ := unitsOf[T](); ulp == 0x1p-52 {
			bound = l.bound
		}
		_, losses, grad := evalBatch(t, l.loss, Options{}, c.batch(), Output[T]{})
		checkRow(t, l.loss.Name(), losses[0], grad, l.want, bound, bound)
	}
	b := c.batch()
	b.Smoothing = 0.25
	_, losses, _ := evalBatch(t, ZLPR{}, Options{}, b, Output[T]{})
	row := c.row()
	row.Soft = make([]float64, n)
	for j := range row.Soft {
		if row.Mask == nil || row.Mask[j] {
			row.Soft[j] = 0.125
			if row.Positive[j] {
				row.Soft[j] = 0.875
			}
		}
	}
	ulp, _ := unitsOf[T]()
	require.LessOrEqual(t, ref.RelError(losses[0], row.SoftZLPR().Loss, ulp), 4.0)
}
