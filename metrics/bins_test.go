package metrics

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
)

var areaNames = []string{"micro_auc", "macro_auc", "micro_average_precision", "macro_average_precision"}

// resultsOf are the areas of a batch, the results by class and the best threshold.
func areasOf[T zlpr.Score](t *testing.T, b *Batch[T], options Options) ([]Result, []ClassResult) {
	t.Helper()
	options.ByClass = true
	a, err := NewAccumulator[T](b.Scores.Cols, areaNames, options)
	require.NoError(t, err)
	require.NoError(t, a.Add(b))
	r, err := a.Results()
	require.NoError(t, err)
	c, err := a.Classes()
	require.NoError(t, err)
	return r, c
}

// requireWithin checks that a value lies between bounds, and is one of them where
// they are equal; NaN lies between NaN.
func requireWithin(t *testing.T, v float64, b Bounds, what string) {
	t.Helper()
	if !(b.Low <= v && v <= b.High) && !(math.IsNaN(v) && math.IsNaN(b.Low) && math.IsNaN(b.High)) {
		t.Fatalf("%s: %v is not in [%v, %v]", what, v, b.Low, b.High)
	}
}

// TestBins compares with the areas of scores that are kept: they lie between the
// bounds, and are the same bits where scores have no more bits than bins.
func TestBins(t *testing.T) {
	t.Run("float32", testBins[float32])
	t.Run("float64", testBins[float64])
}

func testBins[T zlpr.Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 18))
	for i := range 60 {
		rows, classes := 1+rng.IntN(400), 1+rng.IntN(4)
		b := &Batch[T]{Scores: zlpr.Matrix[T]{Rows: rows, Cols: classes, Stride: classes, Data: make([]T, rows*classes)}}
		labels, mask := make(denseBits, rows), make(denseBits, rows)
		share := rng.Float64()
		for r := range rows {
			labels[r], mask[r] = make([]bool, classes), make([]bool, classes)
			for j := range classes {
				x := 2 * rng.NormFloat64()
				switch rng.IntN(20) {
				case 0:
					x = math.Inf(1 - 2*rng.IntN(2))
				case 1:
					x = math.Copysign(0, float64(rng.IntN(2))-0.5)
				case 2:
					x *= 1e-40
				}
				if i%3 == 0 { // few bits
					x = math.Ldexp(math.Round(math.Ldexp(x, 3)), -3)
				}
				b.Scores.Data[r*classes+j] = T(x)
				mask[r][j] = i%2 == 0 || rng.IntN(5) > 0
				labels[r][j] = mask[r][j] && rng.Float64() < share
			}
		}
		b.Labels, b.Mask = labels, mask
		if i%4 > 1 {
			b.RowWeights = binWeights(rng, rows, i%8 > 5)
		}
		kept, keptClasses := areasOf(t, b, Options{})
		for _, n := range []int{8, 9, 13, 19, 22} {
			options := Options{MicroBits: n, ClassBits: max(8, n-2), Workers: 1 + rng.IntN(3)}
			got, gotClasses := areasOf(t, b, options)
			for k, v := range kept {
				what := fmt.Sprintf("%s of %d bits", v.Name, n)
				requireWithin(t, v.Value, got[k].Bounds, what)
				requireWithin(t, got[k].Value, got[k].Bounds, what)
			}
			for j, c := range keptClasses {
				requireWithin(t, c.AUC, gotClasses[j].AUCBounds, "AUC of a class")
				requireWithin(t, c.AveragePrecision, gotClasses[j].AveragePrecisionBounds, "average precision of a class")
			}
		}
		if i%3 == 0 { // of at most 9 bits of significand, all areas are known
			bits := 1 + 11 + 9
			got, gotClasses := areasOf(t, b, Options{MicroBits: bits, ClassBits: bits})
			for k, v := range kept {
				if v.Value == v.Value || got[k].Value == got[k].Value {
					require.Equal(t, v, got[k])
				}
			}
			require.Equal(t, fmt.Sprint(keptClasses), fmt.Sprint(gotClasses))
		}
	}
}

// binWeights are some weights, of any size if they are wild.
func binWeights(rng *rand.Rand, rows int, wild bool) []float64 {
	w := make([]float64, rows)
	for r := range w {
		w[r] = 0.1 + rng.Float64()
		if wild {
			w[r] *= math.Pow(10, float64(rng.IntN(600)-300))
		}
		if rng.IntN(10) == 0 {
			w[r] = 0
		}
	}
	w[0] = 1
	return w
}

// TestBinsWeighed: with weights, bins hold the same whatever the split, the order and
// the time at which scores were counted; weights that are scaled by a power of two
// change no area; integers count as so many rows.
func TestBinsWeighed(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 18))
	for i := range 20 {
		rows, classes := 20+rng.IntN(300), 1+rng.IntN(5)
		b := &Batch[float32]{Scores: zlpr.Matrix[float32]{Rows: rows, Cols: classes, Stride: classes, Data: make([]float32, rows*classes)}}
		labels := make(denseBits, rows)
		for r := range rows {
			labels[r] = make([]bool, classes)
			for j := range classes {
				b.Scores.Data[r*classes+j] = float32(2 * rng.NormFloat64())
				labels[r][j] = rng.IntN(3) == 0
			}
		}
		b.Labels, b.RowWeights = labels, binWeights(rng, rows, i%2 > 0)
		options := Options{MicroBits: 12, ClassBits: 10, ByClass: true, Workers: 2}
		fresh := func(o Options) *Accumulator[float32] {
			a, err := NewAccumulator[float32](classes, areaNames, o)
			require.NoError(t, err)
			return a
		}
		encoded := func(a *Accumulator[float32]) string {
			data, err := a.MarshalBinary()
			require.NoError(t, err)
			require.NoError(t, new(Accumulator[float32]).UnmarshalBinary(data))
			return string(data)
		}
		whole := fresh(options)
		require.NoError(t, whole.Add(b))
		cut := 1 + rng.IntN(rows-1)
		first, second := fresh(options), fresh(Options{ByClass: true})
		require.NoError(t, first.Add(slice(b, cut, rows)))
		require.NoError(t, second.Add(slice(b, 0, cut)))
		require.NoError(t, second.CountScores(12, 10))
		require.NoError(t, first.Merge(second))
		require.True(t, encoded(whole) == encoded(first))
		require.NoError(t, first.Merge(first)) // twice everything has the same areas
		want, err := whole.Results()
		require.NoError(t, err)
		twice, err := first.Results()
		require.NoError(t, err)
		scaled, repeated := *b, fresh(options)
		scaled.RowWeights = nil
		integers := *b
		integers.RowWeights = make([]float64, rows)
		for r := range rows {
			scaled.RowWeights = append(scaled.RowWeights, b.RowWeights[r]*0x1p-20)
			integers.RowWeights[r] = float64(rng.IntN(3))
			for range int(integers.RowWeights[r]) {
				require.NoError(t, repeated.Add(slice(&Batch[float32]{Scores: b.Scores, Labels: labels}, r, r+1)))
			}
		}
		small := fresh(options)
		require.NoError(t, small.Add(&scaled))
		smaller, err := small.Results()
		require.NoError(t, err)
		counted := fresh(options)
		require.NoError(t, counted.Add(&integers))
		asRows, err := repeated.Results()
		require.NoError(t, err)
		asWeights, err := counted.Results()
		require.NoError(t, err)
		for k := range want {
			require.Equal(t, want[k].Value, twice[k].Value)
			require.Equal(t, fmt.Sprint(want[k]), fmt.Sprint(smaller[k]))
			require.Equal(t, fmt.Sprint(asRows[k].Value), fmt.Sprint(asWeights[k].Value))
		}
		threshold, value, err := whole.BestThreshold()
		require.NoError(t, err)
		require.Equal(t, value, f1(t, b, Above(threshold), "micro_f1"))
		micro := &whole.single.total.binned.micro
		for _, key := range micro.weighed.Key {
			if s := lowest[float32](micro, int(key)); s == s {
				require.LessOrEqual(t, f1(t, b, Above(float64(before(s))), "micro_f1"), value)
			}
		}
	}
}

// TestBinsPlaces: bins are apart at threshold 0, and what belongs to one lies between
// its lowest and its highest number.
func TestBinsPlaces(t *testing.T) {
	t.Run("float32", testBinsPlaces[float32])
	t.Run("float64", testBinsPlaces[float64])
}

func testBinsPlaces[T zlpr.Float](t *testing.T) {
	smallest := T(math.SmallestNonzeroFloat32)
	if scoreSize[T]() == 8 {
		tiny := math.SmallestNonzeroFloat64
		smallest = T(tiny)
	}
	scores := []T{T(math.Inf(-1)), -3e38, -1.5, -1, -1e-30, -smallest, 0, smallest, 1e-30, 0.3, 1, 1.5, 3e38, T(math.Inf(1))}
	for _, digits := range []int{8, 12, 20, 22} {
		b := bins{Bits: digits}
		last := -1
		for _, s := range append(scores, T(math.Copysign(0, -1))) {
			place, _ := represent(s)
			key := int(place >> (64 - digits))
			if s != 0 || !math.Signbit(float64(s)) {
				require.GreaterOrEqual(t, key, last)
				last = key
			}
			low, high := lowest[T](&b, key), highest[T](&b, key)
			if low == low {
				require.LessOrEqual(t, low, s)
			}
			require.LessOrEqual(t, s, high)
			if low == low {
				require.Equal(t, s > 0, before(low) >= 0)
			}
		}
	}
}

// TestBinsHalf: areas of 16-bit scores are exact by the bits of the default.
func TestBinsHalf(t *testing.T) {
	t.Run("BFloat16", testBinsHalf[zlpr.BFloat16])
	t.Run("Float16", testBinsHalf[zlpr.Float16])
}

func testBinsHalf[T zlpr.Score](t *testing.T) {
	rng := rand.New(rand.NewPCG(16, 18))
	const rows, classes = 3000, 3
	x, y := make([]float32, rows*classes), make([]uint8, rows*classes)
	for i := range x {
		x[i] = float32(2 * rng.NormFloat64() * math.Exp(-float64(rng.IntN(12)))) // subnormal Float16, too
		y[i] = uint8(rng.IntN(10) / 9)
	}
	b := &Batch[T]{Scores: zlpr.Matrix[T]{Rows: rows, Cols: classes, Stride: classes, Data: make([]T, len(x))},
		Labels: &zlpr.DenseLabels[uint8]{Rows: rows, Cols: classes, Stride: classes, Data: y}}
	narrow16(b.Scores.Data, x)
	kept, keptClasses := areasOf(t, b, Options{})
	got, gotClasses := areasOf(t, b, Options{MicroBits: 20, ClassBits: 16})
	require.Equal(t, kept, got)
	require.Equal(t, keptClasses, gotClasses)
}

// TestBinsMerge: what bins hold does not depend on batches, workers and merges.
func TestBinsMerge(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	d := newBenchData(70)
	rows := min(d.rows, 3000)
	b := &Batch[float32]{Scores: zlpr.Matrix[float32]{Rows: rows, Cols: 70, Stride: 70, Data: d.scores[:rows*70]},
		Labels: &words{rows, 70, d.bits.bits}}
	var want []byte
	for range 4 {
		options := Options{MicroBits: 12, ClassBits: 10, ByClass: true, Workers: 1 + rng.IntN(3)}
		var sum *Accumulator[float32]
		for r0, r1 := 0, 0; r0 < rows; r0 = r1 {
			r1 = min(rows, r0+1+rng.IntN(rows))
			a, err := NewAccumulator[float32](70, areaNames, options)
			require.NoError(t, err)
			part := *b
			part.Scores = zlpr.Matrix[float32]{Rows: r1 - r0, Cols: 70, Stride: 70, Data: b.Scores.Data[r0*70 : r1*70]}
			part.Labels = &words{r1 - r0, 70, d.bits.bits[r0*2 : r1*2]}
			require.NoError(t, a.Add(&part))
			data, err := a.MarshalBinary()
			require.NoError(t, err)
			back := new(Accumulator[float32])
			require.NoError(t, back.UnmarshalBinary(data))
			if sum == nil {
				sum = back
			} else {
				require.NoError(t, sum.Merge(back))
			}
		}
		got, err := sum.MarshalBinary()
		require.NoError(t, err)
		if want == nil {
			want = got
		}
		require.True(t, string(want) == string(got))
		// Those that were kept first.
		kept := Options{ByClass: true, Workers: 2}
		a, err := NewAccumulator[float32](70, areaNames, kept)
		require.NoError(t, err)
		require.NoError(t, a.Add(b))
		require.NoError(t, a.CountScores(12, 10))
		require.NoError(t, a.CountScores(12, 10))
		require.Error(t, a.CountScores(12, 11))
		counted, err := a.MarshalBinary()
		require.NoError(t, err)
		require.True(t, string(want) == string(counted))
		for cut := range min(len(got), 300) {
			require.Error(t, new(Accumulator[float32]).UnmarshalBinary(got[:len(got)-1-cut]))
		}
		require.NoError(t, sum.Merge(sum))
		twice, err := sum.Results()
		require.NoError(t, err)
		once := new(Accumulator[float32])
		require.NoError(t, once.UnmarshalBinary(want))
		results, err := once.Results()
		require.NoError(t, err)
		require.Equal(t, results[0], twice[0])
		other, err := NewAccumulator[float32](70, areaNames, Options{MicroBits: 12, ClassBits: 11, ByClass: true})
		require.NoError(t, err)
		require.ErrorContains(t, sum.Merge(other), "bins of 12 and 10 bits")
	}
}

// TestBinsNarrow: on normal scores of standard deviation 2, one label in ten
// positive, 20 bits tell the micro area within 1e-4.
func TestBinsNarrow(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	const rows, classes = 20000, 50
	b := &Batch[float32]{Scores: zlpr.Matrix[float32]{Rows: rows, Cols: classes, Stride: classes, Data: make([]float32, rows*classes)}}
	y := make([]uint8, rows*classes)
	for i := range y {
		b.Scores.Data[i] = float32(2 * rng.NormFloat64())
		y[i] = uint8(rng.IntN(10) / 9)
	}
	b.Labels = &zlpr.DenseLabels[uint8]{Rows: rows, Cols: classes, Stride: classes, Data: y}
	r, _ := areasOf(t, b, Options{MicroBits: 20, ClassBits: 16})
	for _, v := range r {
		t.Logf("%s in [%v, %v], %.2g wide", v.Name, v.Bounds.Low, v.Bounds.High, v.Bounds.High-v.Bounds.Low)
	}
	require.Less(t, r[0].Bounds.High-r[0].Bounds.Low, 1e-4)
}

// TestBinsThreshold: the threshold that bins find has the F1 that they say, and no
// other threshold between bins has more.
func TestBinsThreshold(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 18))
	for i := range 40 {
		const rows, classes = 50, 3
		b := randomBatch[float32](rng, rows, classes)
		b.RowWeights, b.Thresholds, b.ThresholdColumn = nil, nil, 0
		for k := range b.Scores.Data {
			if rng.IntN(10) > 0 {
				b.Scores.Data[k] = float32(3 * rng.NormFloat64())
			}
		}
		a, err := NewAccumulator[float32](classes, []string{"micro_auc"}, Options{MicroBits: 8 + i%5, ClassBits: 8})
		require.NoError(t, err)
		require.NoError(t, a.Add(b))
		threshold, value, err := a.BestThreshold()
		require.NoError(t, err)
		require.Equal(t, value, f1(t, b, Above(threshold), "micro_f1"))
		micro := &a.single.total.binned.micro
		for k := range micro.Bin {
			if s := lowest[float32](micro, int(micro.Bin[k].Key)); s == s {
				require.LessOrEqual(t, f1(t, b, Above(float64(before(s))), "micro_f1"), value)
			}
		}
	}
	a, err := NewAccumulator[float32](2, []string{"micro_auc"}, Options{MicroBits: 8, ClassBits: 8})
	require.NoError(t, err)
	_, _, err = a.BestThreshold()
	require.Equal(t, errNoScores, err)
	for _, n := range [][2]int{{7, 8}, {8, 23}, {0, 8}, {8, 0}, {-8, 8}} {
		_, err := NewAccumulator[float32](2, nil, Options{MicroBits: n[0], ClassBits: n[1]})
		require.Equal(t, errBins.Error(), err.Error())
	}
}

// TestLeastPrecisions compares the lower bound with the sum.
func TestLeastPrecisions(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for range 300 {
		tp, p, fp := rng.Uint64N(1000), 1+rng.Uint64N(2000), rng.Uint64N(3000)
		var sum fixed
		for i := range p {
			sum.add(ratio(tp+i+1, tp+i+1+fp))
		}
		got := leastPrecisions(tp, p, fp)
		require.False(t, sum.less(got), "%d %d %d", tp, p, fp)
		if pieces := min(64, tp/64+1); p <= 64 && tp < 64 {
			require.Equal(t, sum, got)
		} else if p <= 64*pieces {
			require.InEpsilon(t, sum.float(), got.float(), 1.6e-5)
		}
		require.InDelta(t, sum.float(), got.float(), 0.02*float64(p))
	}
}

// TestBinsCounts compares the counts of bins with a map's: of few and many scores, of
// one value thousands of times, of scores all over the range, for which there are no
// pages at first, and of parts that are given away.
func TestBinsCounts(t *testing.T) {
	rng := rand.New(rand.NewPCG(12, 19))
	draws := map[string]func() float32{
		"normal": func() float32 { return float32(2 * rng.NormFloat64()) },
		"few":    func() float32 { return float32(rng.IntN(3)) - 1 },
		"wild":   func() float32 { return math.Float32frombits(rng.Uint32() &^ (1 << 23)) },
		"both": func() float32 {
			if rng.IntN(100) == 0 {
				return math.Float32frombits(rng.Uint32() &^ (1 << 23))
			}
			return float32(rng.NormFloat64())
		},
	}
	for name, draw := range draws {
		for _, digits := range []int{8, 9, 16, 22} {
			whole, part := newBinned(digits, 0, 1, false, 1), newBinned(digits, 0, 1, false, 1)
			want := map[uint32]bin{}
			for step := range 30 {
				to := []*binned{&whole, &part}[step%2]
				n := 3 * rng.IntN(20_000)
				c := keyColumn{key: make([]uint32, n), positive: make([]uint64, (n+63)/64)}
				if step%5 > 0 {
					c.part = make([]uint64, (n+63)/64)
				}
				for i := range n {
					s, y := draw(), uint32(rng.IntN(2))
					place, _ := represent(s)
					c.key[i] = keyOfScore(s)
					if c.part != nil {
						if i%3 > 0 || rng.IntN(9) == 0 {
							continue
						}
						c.part[i/64] |= 1 << (i % 64)
					}
					c.positive[i/64] |= uint64(y) << (i % 64)
					v := want[uint32(place>>(64-digits))]
					v.Key = uint32(place >> (64 - digits))
					v.Pos += uint64(y)
					v.Neg += uint64(1 - y)
					want[v.Key] = v
				}
				to.micro.count([]keyColumn{c}, to.scratch)
				if part.counted = true; step%7 == 6 {
					whole.take(&part)
				}
				if step%11 == 10 {
					whole.finish()
				}
			}
			whole.take(&part)
			whole.finish()
			require.Equal(t, len(want), len(whole.micro.Bin), "%s, %d bits", name, digits)
			for i, v := range whole.micro.Bin {
				require.Equal(t, want[v.Key], v)
				require.True(t, i == 0 || whole.micro.Bin[i-1].Key < v.Key)
			}
			require.True(t, part.micro.pages == nil || part.micro.pages.fresh == 0)
			if name == "normal" && digits <= 16 {
				require.NotNil(t, whole.micro.pages)
			}
		}
	}
}

// BenchmarkBins adds 48 times 2^20 scores, in batches as the command has them: every
// measure but the areas, these and the areas of bins, and the areas of 2^20 scores alone,
// in bins and of scores that are kept.
func BenchmarkBins(b *testing.B) {
	const times = 48
	counted := slices.DeleteFunc(All(1, 3, 5), NeedsScores)
	inBins := Options{MicroBits: 20, ClassBits: 16, Workers: 1}
	for _, n := range []int{30, 256, 1000, 10000} {
		d := newBenchData(n)
		weights := make([]float64, d.rows)
		rng := rand.New(rand.NewPCG(5, 6))
		for r := range weights {
			weights[r] = 0.1 + rng.Float64()
		}
		for _, weighted := range []bool{false, true} {
			var batches []Batch[float32]
			step := max(8, 1<<18/n)
			for r := 0; r < d.rows; r += step {
				r1 := min(d.rows, r+step)
				w := (n + 63) / 64
				batch := Batch[float32]{Scores: zlpr.Matrix[float32]{Rows: r1 - r, Cols: n, Stride: n, Data: d.scores[r*n : r1*n]}, Labels: &words{r1 - r, n, d.bits.bits[r*w : r1*w]}}
				if weighted {
					batch.RowWeights = weights[r:r1]
				}
				batches = append(batches, batch)
			}
			for _, run := range []struct {
				by      string
				names   []string
				options Options
				repeat  int
			}{
				{"counts", counted, inBins, times}, {"counts+bins", append(counted[:len(counted):len(counted)], areaNames...), inBins, times},
				{"bins", areaNames, inBins, 1}, {"kept", areaNames, Options{Workers: 1}, 1},
			} {
				b.Run(fmt.Sprintf("by=%s/n=%d/weights=%v", run.by, n, weighted), func(b *testing.B) {
					b.SetBytes(int64(4 * d.rows * n * run.repeat))
					for b.Loop() {
						a, err := NewAccumulator[float32](n, run.names, run.options)
						if err != nil {
							b.Fatal(err)
						}
						for range run.repeat {
							for i := range batches {
								if err := a.Add(&batches[i]); err != nil {
									b.Fatal(err)
								}
							}
						}
						if _, err := a.Results(); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(d.scores)*run.repeat), "ns/element")
				})
			}
		}
	}
}
