package metrics

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
)

// all computes all metrics of batches.
func all(t *testing.T, options Options, batches ...*Batch[float32]) []Result {
	t.Helper()
	classes := batches[0].Scores.Cols
	if options.Propensities == nil {
		options.Propensities = make([]float64, classes)
		for j := range options.Propensities {
			options.Propensities[j] = 1 / float64(1+j%7)
		}
	}
	a, err := NewAccumulator[float32](classes, everything(1, 3, 5), options)
	require.NoError(t, err)
	for _, b := range batches {
		require.NoError(t, a.Add(b))
	}
	results, err := a.Results()
	require.NoError(t, err)
	return results
}

// sameBits demands the same bits.
func sameBits(t *testing.T, want, got []Result, message string) {
	t.Helper()
	for i := range want {
		if math.Float64bits(want[i].Value) != math.Float64bits(got[i].Value) {
			t.Errorf("%s: %s = %v, not %v", message, got[i].Name, got[i].Value, want[i].Value)
		}
	}
}

// weighableBatch is a random batch of which some rows count.
func weighableBatch(rng *rand.Rand, rows, classes int) *Batch[float32] {
	for {
		b := randomBatch[float32](rng, rows, classes)
		b.RowWeights = nil
		if len(newBrute(b, Rule{}, nil).rows) > rows/2 {
			return b
		}
	}
}

func scaled(w []float64, exponent int) []float64 {
	s := make([]float64, len(w))
	for i, v := range w {
		s[i] = math.Ldexp(v, exponent)
	}
	return s
}

// Equal weights change no bit, whatever they are, nor does a common power of two.
func TestEqualWeights(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	for range 30 {
		rows, classes := 1+rng.IntN(40), 1+rng.IntN(80)
		b := weighableBatch(rng, rows, classes)
		options := Options{Rule: randomRule(rng, classes), Workers: 1}
		want := all(t, options, b)
		weigh := func(w float64) *Batch[float32] {
			c := *b
			c.RowWeights = make([]float64, rows)
			for i := range c.RowWeights {
				c.RowWeights[i] = w
			}
			return &c
		}
		for _, w := range []float64{1, 3.7, 1.0 / 3, math.SmallestNonzeroFloat64, math.MaxFloat64} {
			sameBits(t, want, all(t, options, weigh(w)), "equal weights")
		}
		sameBits(t, all(t, options, b, b), all(t, options, weigh(1), b), "a batch without weights and one with weights 1")

		c := *b
		c.RowWeights = make([]float64, rows)
		for i := range rows {
			c.RowWeights[i] = rng.ExpFloat64()
		}
		want = all(t, options, &c)
		for _, e := range []int{-900, -3, 1, 64, 1000} {
			d := c
			d.RowWeights = scaled(c.RowWeights, e)
			sameBits(t, want, all(t, options, &d), "scaled weights")
		}
	}
}

// A row of an integer weight counts as so many rows, in every bit.
func TestRepeatedRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 2))
	for range 30 {
		rows, classes := 1+rng.IntN(30), 1+rng.IntN(80)
		b := weighableBatch(rng, rows, classes)
		c := *b
		c.RowWeights = make([]float64, rows)
		var repeated []*Batch[float32]
		for r := range rows {
			n := rng.IntN(5)
			c.RowWeights[r] = float64(n)
			for range n {
				repeated = append(repeated, slice(b, r, r+1))
			}
		}
		if len(newBrute(&c, Rule{}, nil).rows) == 0 {
			continue
		}
		options := Options{Rule: randomRule(rng, classes), Workers: 2}
		sameBits(t, all(t, options, repeated...), all(t, options, &c), "repeated rows")

		if b.Thresholds != nil || b.ThresholdColumn > 0 {
			continue
		}
		one, other := NewTuner[float32](classes, 1), NewTuner[float32](classes, 1)
		for _, r := range repeated {
			require.NoError(t, one.Add(r))
		}
		require.NoError(t, other.Add(&c))
		for _, average := range []Average{Micro, Macro} {
			sameTuner(t, one, other, average)
		}
	}
}

// sameTuner demands the same thresholds and values.
func sameTuner(t *testing.T, one, other *Tuner[float32], average Average) {
	t.Helper()
	threshold1, f1, err1 := one.Best(average)
	threshold2, f2, err2 := other.Best(average)
	require.Equal(t, err1, err2)
	require.Equal(t, [2]float64{threshold1, f1}, [2]float64{threshold2, f2})
	each1, f1, err1 := one.BestEach(average)
	each2, f2, err2 := other.BestEach(average)
	require.Equal(t, err1, err2)
	require.Equal(t, each1, each2)
	require.Equal(t, f1, f2)
	var points1, points2 []Point
	for p := range one.Curve(average) {
		points1 = append(points1, p)
	}
	for p := range other.Curve(average) {
		points2 = append(points2, p)
	}
	require.Equal(t, points1, points2)
}

// Each class has rows of one weight only, in the first rows 2^-1060 and in the
// others 2^1000: no class is lost beside the others.
func TestFarWeights(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	const rows, classes = 40, 12
	for range 20 {
		b := randomBatch[float32](rng, rows, classes)
		b.Thresholds, b.ThresholdColumn, b.RowWeights = nil, 0, nil
		mask := make(denseBits, rows)
		for r := range rows {
			mask[r] = make([]bool, classes)
			for j := range classes {
				mask[r][j] = (r < rows/2) == (j < classes/2)
				b.Labels.(denseBits)[r][j] = mask[r][j] && rng.IntN(3) == 0
				b.Scores.Data[r*b.Scores.Stride+j] = float32(rng.IntN(9)-4) / 4
			}
		}
		b.Mask = mask
		c := *b
		c.RowWeights = make([]float64, rows)
		for r := range rows {
			c.RowWeights[r] = 0x1p1000
			if r < rows/2 {
				c.RowWeights[r] = 0x1p-1060
			}
		}
		names := []string{"macro_f1", "macro_precision", "macro_recall", "macro_jaccard", "macro_f2", "macro_auc", "macro_average_precision"}
		measure := func(b *Batch[float32]) []Result {
			a, err := NewAccumulator[float32](classes, names, Options{})
			require.NoError(t, err)
			require.NoError(t, a.Add(b))
			r, err := a.Results()
			require.NoError(t, err)
			return r
		}
		sameBits(t, measure(b), measure(&c), "weights far apart")
		one, other := NewTuner[float32](classes, 1), NewTuner[float32](classes, 1)
		require.NoError(t, one.Add(b))
		require.NoError(t, other.Add(&c))
		sameTuner(t, one, other, Macro)
	}
}

// Long numbers are compared with math/big.
func TestWide(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	random := func(n int) []uint64 {
		x := make([]uint64, n)
		for i := range 1 + rng.IntN(n) {
			switch rng.IntN(4) {
			case 0:
				x[i] = rng.Uint64()
			case 1:
				x[i] = math.MaxUint64
			case 2:
				x[i] = 1 << rng.IntN(64)
			}
		}
		return x
	}
	for range 20000 {
		n := 1 + rng.IntN(5)
		a, b := random(n), random(n)
		if cmpWide(a, b) != toBig(a).Cmp(toBig(b)) {
			t.Fatal("cmpWide", a, b)
		}
		if cmpWide(a, b) > 0 {
			a, b = b, a
		}
		x, y := toBig(a), toBig(b)
		want := new(big.Int)
		if y.Sign() > 0 {
			want.Quo(new(big.Int).Lsh(x, 64), y)
		}
		if r := ratioWide(a, b); toBig([]uint64{r.Frac, r.Int}).Cmp(want) != 0 {
			t.Fatal("ratioWide", a, b, r, want)
		}
		product := make([]uint64, 2*n+1)
		addMul(product, a, b)
		addMul(product, b, b)
		want.Add(want.Mul(x, y), new(big.Int).Mul(y, y))
		if toBig(product).Cmp(want) != 0 {
			t.Fatal("addMul", a, b)
		}
		sum := make([]uint64, n+6)
		m, v, at := rng.Uint64()>>rng.IntN(64), fixed{rng.Uint64() >> rng.IntN(64), rng.Uint64()}, rng.IntN(100)
		copy(sum, a)
		addWide(sum, b)
		addShifted(sum, m, at)
		addProduct(sum, m, v, at)
		want.SetUint64(m)
		term := new(big.Int).Mul(want, toBig([]uint64{v.Frac, v.Int}))
		want.Lsh(want.Add(want, term), uint(at))
		want.Add(want, x)
		want.Add(want, y)
		if toBig(sum).Cmp(want) != 0 {
			t.Fatal("addShifted, addProduct", a, b, m, v, at)
		}
		subWide(b, a)
		if toBig(b).Cmp(y.Sub(y, x)) != 0 {
			t.Fatal("subWide", a, b)
		}
	}
}

// Counts of every length agree.
func TestCounts(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	for range 1000 {
		var x [4]uint64
		for i := range x {
			x[i] = rng.Uint64() >> (1 + rng.IntN(63))
		}
		less := lessProduct(&[1]uint64{x[0]}, &[1]uint64{x[1]}, &[1]uint64{x[2]}, &[1]uint64{x[3]})
		require.Equal(t, less, lessProduct(&[3]uint64{0, x[0]}, &[3]uint64{x[1]}, &[3]uint64{0, x[2]}, &[3]uint64{x[3]}))
		require.Equal(t, less, lessProduct(&[34]uint64{31: x[0]}, &[34]uint64{x[1]}, &[34]uint64{31: x[2]}, &[34]uint64{x[3]}))
		a, b := min(x[0], x[1]), max(x[0], x[1])
		require.Equal(t, ratio(a, b), ratioOf(&[3]uint64{1: a}, &[3]uint64{1: b}))
	}
	// From the smallest weight to the largest, and 2^20 of the latter.
	var w window
	for _, v := range []float64{math.SmallestNonzeroFloat64, math.MaxFloat64} {
		w.include(v)
	}
	require.Equal(t, window{-1074, 1024}, w)
	require.Equal(t, 34, wordsFor(w, 1<<20))
	require.Equal(t, 1, wordsFor(windowOf([]float64{0.5, 2.5, 1, 0, math.NaN()}), math.MaxInt32))
	require.Equal(t, 3, wordsFor(windowOf([]float64{0.1, 3, 1e-9}), 1<<30))
}

// Row weights that are none are an error of their row; a row of weight 0 is not
// looked at, but for labels on classes that are left out.
func TestBadWeights(t *testing.T) {
	nan := float32(math.NaN())
	batch := func(w ...float64) *Batch[float32] {
		return &Batch[float32]{
			Scores:     zlpr.Matrix[float32]{Rows: 3, Cols: 2, Data: []float32{1, -1, nan, nan, 3, -3}},
			Labels:     &zlpr.DenseLabels[uint8]{Rows: 3, Cols: 2, Stride: 2, Data: []uint8{1, 0, 0, 1, 1, 1}},
			RowWeights: w,
		}
	}
	a, err := NewAccumulator[float32](2, All(1), Options{})
	require.NoError(t, err)
	require.NoError(t, a.Add(batch(1, 0, 2)))
	require.Equal(t, 2, a.Rows())
	want, err := a.Results()
	require.NoError(t, err)
	require.Equal(t, Result{"micro_recall", 0.6, Bounds{0.6, 0.6}}, want[8])
	for _, w := range []float64{-1, math.NaN(), math.Inf(1)} {
		var fault *zlpr.DataError
		require.ErrorAs(t, a.Add(batch(1, 0, w)), &fault)
		require.Equal(t, 2, fault.Row)
		require.Equal(t, zlpr.WeightRange, fault.Kind)
	}
	require.Error(t, a.Add(batch(1, 0)))
	require.Error(t, a.Add(batch(1, 1, 1))) // the NaN counts
	b := batch(1, 0, 1)
	b.Mask = &zlpr.LengthMask{Classes: 2, Lengths: []int{2, 1, 2}}
	require.Error(t, a.Add(b))
	got, err := a.Results()
	require.NoError(t, err)
	require.Equal(t, want, got)

	tuner := NewTuner[float32](2, 1)
	require.Error(t, tuner.Add(batch(1, 0, -1)))
	require.NoError(t, tuner.Add(batch(1, 0, 2)))

	none, err := NewAccumulator[float32](2, All(1), Options{})
	require.NoError(t, err)
	require.NoError(t, none.Add(batch(0, 0, 0)))
	require.Zero(t, none.Rows())
	_, err = none.Results()
	require.ErrorIs(t, err, ErrNoRows)
}

// A row of which only classes of weight 0 are left counts in no measure, as it does not
// in losses of several labels. Other rows are measured as without class weights.
func TestClassesOfWeightZero(t *testing.T) {
	const rows, n = 200, 70
	rng := rand.New(rand.NewPCG(18, 19))
	x, y, mask := make([]float32, rows*n), make([]uint8, rows*n), make([]uint8, rows*n)
	weights, rowWeights := make([]float64, n), make([]float64, rows)
	for j := range weights {
		weights[j] = []float64{0, 1, 2.5}[j%3]
	}
	gone := 0
	for r := range rows {
		rowWeights[r] = 1
		if r%4 == 0 { // classes of weight 0 alone
			rowWeights[r] = 0
			gone++
		}
		for j := range n {
			x[r*n+j] = float32(rng.NormFloat64())
			if rng.IntN(2) == 0 && (r%4 != 0 || weights[j] == 0) {
				mask[r*n+j] = 1
				y[r*n+j] = uint8(rng.IntN(2))
			}
		}
		if r%8 == 0 {
			x[r*n] = float32(math.NaN()) // of a row that is not looked at
			mask[r*n] = 1
		}
	}
	labels := &zlpr.DenseLabels[uint8]{Rows: rows, Cols: n, Data: y}
	b := &Batch[float32]{Scores: zlpr.Matrix[float32]{Rows: rows, Cols: n, Data: x}, Labels: labels,
		Mask: &zlpr.DenseLabels[uint8]{Rows: rows, Cols: n, Data: mask}, ClassWeights: weights}
	without := *b
	without.ClassWeights, without.RowWeights = nil, rowWeights
	for _, options := range []Options{{}, {Rule: Top(2), Workers: 2}, {Sparse: true}} {
		sameBits(t, all(t, options, &without), all(t, options, b), "dense")
	}
	halves := &Batch[zlpr.BFloat16]{Scores: zlpr.Matrix[zlpr.BFloat16]{Rows: rows, Cols: n, Data: make([]zlpr.BFloat16, rows*n)}, Labels: labels, Mask: b.Mask, ClassWeights: weights}
	a, err := NewAccumulator[zlpr.BFloat16](n, nil, Options{})
	require.NoError(t, err)
	require.NoError(t, a.Add(halves))
	require.Equal(t, rows-gone, a.Rows())

	e, err := zlpr.NewEvaluator[float32](zlpr.ZLPR{}, zlpr.Options{})
	require.NoError(t, err)
	result, err := e.Evaluate(t.Context(), b, nil)
	require.NoError(t, err)
	require.Equal(t, result.Rows, a.Rows())

	tuner, same := NewTuner[float32](n, 1), NewTuner[float32](n, 1)
	require.NoError(t, tuner.Add(b))
	require.NoError(t, same.Add(&without))
	want, f, err := same.Best(Micro)
	require.NoError(t, err)
	got, g, err := tuner.Best(Micro)
	require.NoError(t, err)
	require.Equal(t, []any{want, f}, []any{got, g})

	b.ClassWeights = weights[1:]
	require.EqualError(t, a.Add(&Batch[zlpr.BFloat16]{Scores: halves.Scores, Labels: labels, ClassWeights: weights[1:]}), "metrics: 69 class weights for 70 classes")
	_, err = Predict(b, Above(0), 1) // looks at no weights
	require.NotContains(t, err.Error(), "weights")
}
