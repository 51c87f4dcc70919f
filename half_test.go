package zlpr

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
)

// halfScores returns n scores of 16 bits and the float32 of the same values, most of
// them ordinary; wild ones are any pattern.
func halfScores[T Score](rng *rand.Rand, n int, wild bool) ([]T, []float32) {
	x, w := make([]float32, n), make([]float32, n)
	for i := range x {
		x[i] = float32(3 * rng.NormFloat64())
	}
	h := make([]T, n)
	narrow(h, x)
	if wild {
		for i := range h {
			if rng.IntN(3) == 0 {
				h[i] = T(uint16(rng.IntN(1 << 16)))
			}
		}
	}
	widen(w, h)
	return h, w
}

// halved is x rounded to 16 bits.
func halved[T Score](x []float32) []T {
	h := make([]T, len(x))
	narrow(h, x)
	return h
}

// equalBits fails where numbers differ in their bits.
func equalBits(t *testing.T, want, got []float64, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	for i := range want {
		if math.Float64bits(want[i]) != math.Float64bits(got[i]) {
			t.Fatalf("%s: %v at %d, want %v", what, got[i], i, want[i])
		}
	}
}

// equalHalves fails where numbers of 16 bits differ in their bits.
func equalHalves[T Score](t *testing.T, want, got []T, what string) {
	t.Helper()
	if !slices.Equal(want, got) {
		require.Equal(t, want, got, what)
	}
}

func testHalfTypes(t *testing.T, bfloat16, float16 func(t *testing.T)) {
	t.Run("bfloat16", bfloat16)
	t.Run("float16", float16)
}

func TestHalfValues(t *testing.T) {
	require.Equal(t, float32(1.5), BFloat16Of(1.5).Float32())
	require.Equal(t, float32(65504), Float16Of(65504).Float32())
	require.Equal(t, float32(math.Inf(1)), Float16Of(65520).Float32())
	require.Equal(t, BFloat16(0x3f80), BFloat16Of(1+0x1p-8)) // a tie goes to even
	require.Equal(t, Float16(0x3c02), Float16Of(1+3*0x1p-11))
	require.Equal(t, uint32(0x7fe00000), math.Float32bits(BFloat16Of(math.Float32frombits(0x7fa00000)).Float32()))
}

// TestHalfFunctions compares the functions of 16-bit scores with those of the
// float32 of the same values.
func TestHalfFunctions(t *testing.T) {
	testHalfTypes(t, testHalfFunctions[BFloat16], testHalfFunctions[Float16])
}

func testHalfFunctions[T Score](t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 7, 16, 100, 1000, 4096, 4097, halfLen, halfLen + 1, 3*halfLen + 5} {
		for _, wild := range []bool{false, true} {
			x, w := halfScores[T](rng, n, wild)
			what := fmt.Sprintf("n=%d wild=%v", n, wild)
			equalHalves(t, halved[T]([]float32{Max(w)}), []T{Max(x)}, what)
			var a Accumulator[T]
			a.Add(x)
			equalBits(t, []float64{LogSumExp(w), LogSumExp(w)}, []float64{LogSumExp(x), a.LogSumExp()}, what)
			for name, f := range map[string]struct {
				half   func(dst, x []T) float64
				single func(dst, x []float32) float64
			}{
				"Softmax":    {Softmax[T], Softmax[float32]},
				"LogSoftmax": {LogSoftmax[T], LogSoftmax[float32]},
				"InclusionProbabilities": {
					func(dst, x []T) float64 { return InclusionProbabilities(dst, x, min(3, n)) },
					func(dst, x []float32) float64 { return InclusionProbabilities(dst, x, min(3, n)) },
				},
				"PaddedExclusionProbabilities": {
					func(dst, x []T) float64 { return PaddedExclusionProbabilities(dst, x, 4, 0.5) },
					func(dst, x []float32) float64 { return PaddedExclusionProbabilities(dst, x, 4, 0.5) },
				},
				"LogPartition": {
					func(dst, x []T) float64 { return LogPartition(x, min(5, n)) },
					func(dst, x []float32) float64 { return LogPartition(x, min(5, n)) },
				},
				"SubsetLogProbability": {
					func(dst, x []T) float64 { return SubsetLogProbability(x, []int{0, 1}[:min(2, n)]) },
					func(dst, x []float32) float64 { return SubsetLogProbability(x, []int{0, 1}[:min(2, n)]) },
				},
			} {
				y, v := make([]T, n), make([]float32, n)
				got, want := f.half(y, x), f.single(v, w)
				equalBits(t, []float64{want}, []float64{got}, name+" "+what)
				equalHalves(t, halved[T](v), y, name+" "+what)
				copy(y, x)
				equalBits(t, []float64{want}, []float64{f.half(y, y)}, name+" in place "+what)
			}
			if !wild {
				top, want := make([]int, min(4, n)), make([]int, min(4, n))
				require.Equal(t, MostProbableSubset(want, w), MostProbableSubset(top, x))
				r, s := rand.New(rand.NewPCG(3, 4)), rand.New(rand.NewPCG(3, 4))
				require.Equal(t, NewSubsetSampler(w, min(3, n)).Draw(r, nil), NewSubsetSampler(x, min(3, n)).Draw(s, nil))
				require.Equal(t, NewPlackettLuceSampler(w).Draw(r, want), NewPlackettLuceSampler(x).Draw(s, top))
				require.Equal(t, PlackettLuceLogProbability(w, want), PlackettLuceLogProbability(x, want))
			}
		}
	}
}

// TestHalfRows is TestHalfFunctions for matrices with a stride.
func TestHalfRows(t *testing.T) {
	testHalfTypes(t, testHalfRows[BFloat16], testHalfRows[Float16])
}

func testHalfRows[T Score](t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{0, 1, 8, 20, 100, 1000, halfLen + 1} {
		rows, stride := 1+rng.IntN(300000/(n+300)), n+rng.IntN(2)
		x, w := halfScores[T](rng, rows*stride, true)
		m, s := Matrix[T]{rows, n, x, stride}, Matrix[float32]{rows, n, w, stride}
		what := fmt.Sprintf("n=%d", n)

		top, want := make([]T, rows), make([]float32, rows)
		MaxRows(top, m)
		MaxRows(want, s)
		equalHalves(t, halved[T](want), top, what)
		lse, lse32 := make([]float64, rows), make([]float64, rows)
		LogSumExpRows(lse, m)
		LogSumExpRows(lse32, s)
		equalBits(t, lse32, lse, what)
		for name, f := range map[string]struct {
			half   func(dst Matrix[T], lse []float64, m Matrix[T])
			single func(dst Matrix[float32], lse []float64, m Matrix[float32])
		}{
			"SoftmaxRows":    {SoftmaxRows[T], SoftmaxRows[float32]},
			"LogSoftmaxRows": {LogSoftmaxRows[T], LogSoftmaxRows[float32]},
		} {
			d := Matrix[T]{rows, n, make([]T, rows*stride), stride}
			d32 := Matrix[float32]{rows, n, make([]float32, rows*stride), stride}
			f.half(d, lse, m)
			f.single(d32, lse32, s)
			equalHalves(t, halved[T](d32.Data), d.Data, name+" "+what)
			equalBits(t, lse32, lse, name+" "+what)
		}
	}
	unit := Matrix[T]{2, 2, halved[T]([]float32{0, 0.25, 0.5, 1}), 0}
	require.True(t, LooksLikeProbabilities(unit))
	unit.Data[3] = halved[T]([]float32{2})[0]
	require.False(t, LooksLikeProbabilities(unit))
}

// TestHalfEvaluate compares every loss on 16-bit scores with that on the float32 of
// the same values.
func TestHalfEvaluate(t *testing.T) {
	testHalfTypes(t, testHalfEvaluate[BFloat16], testHalfEvaluate[Float16])
}

func testHalfEvaluate[T Score](t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	most := 60 // rows
	if testing.Short() {
		most = 12
	}
	for _, loss := range []Loss{
		SoftmaxCrossEntropy{}, BCE{}, BCE{Threshold: 0.3}, BCE{Focal: 2}, Pairwise{Gamma: 2}, ZLPR{}, SoftZLPR{}, Subset{}, PaddedSubset{},
	} {
		for _, n := range []int{1, 8, 20, 100, 1000, halfLen + 3} {
			rows, stride := 1+rng.IntN(most), n+rng.IntN(2)
			if n > 1000 {
				rows = min(3, most/6)
			}
			x, w := halfScores[T](rng, rows*stride, rng.IntN(2) == 0)
			what := fmt.Sprintf("%s n=%d", loss.Name(), n)
			b, single := &Batch[T]{Scores: Matrix[T]{rows, n, x, stride}}, &Batch[float32]{Scores: Matrix[float32]{rows, n, w, stride}}
			tr, err := loss.traits()
			require.NoError(t, err)
			switch {
			case tr.soft:
				soft := make([]float32, rows*n)
				for i := range soft {
					soft[i] = rng.Float32()
				}
				b.Soft = Matrix[T]{rows, n, halved[T](soft), n}
				widen(soft, b.Soft.Data)
				single.Soft = Matrix[float32]{rows, n, soft, n}
			case tr.target:
				targets := make([]int32, rows)
				for i := range targets {
					targets[i] = int32(rng.IntN(n))
				}
				b.Labels = &TargetLabels{n, targets}
			default:
				y := make([]uint8, rows*n)
				for i := range y {
					y[i] = uint8(rng.IntN(4)) / 3
				}
				b.Labels = &DenseLabels[uint8]{rows, n, y, n}
			}
			single.Labels = b.Labels
			out := &Output[T]{Losses: make([]float64, rows), Upstream: 0.7}
			out32 := &Output[float32]{Losses: make([]float64, rows), Upstream: 0.7}
			out.Grad = Matrix[T]{rows, n, make([]T, rows*n), n}
			out32.Grad = Matrix[float32]{rows, n, make([]float32, rows*n), n}
			if tr.learned && tr.threshold == 0 && rng.IntN(2) == 0 {
				th := make([]float32, rows)
				for i := range th {
					th[i] = rng.Float32()
				}
				b.Thresholds = halved[T](th)
				widen(th, b.Thresholds)
				single.Thresholds = th
				out.ThresholdGrad, out32.ThresholdGrad = make([]T, rows), make([]float32, rows)
			}
			options := Options{Workers: 1 + rng.IntN(2), Reduction: Mean}
			e, err := NewEvaluator[T](loss, options)
			require.NoError(t, err)
			e32, err := NewEvaluator[float32](loss, options)
			require.NoError(t, err)
			want, err := e32.Evaluate(context.Background(), single, out32)
			require.NoError(t, err, what)
			got, err := e.Evaluate(context.Background(), b, out)
			require.NoError(t, err, what)
			equalBits(t, []float64{want.Loss, want.Sum, want.Min, want.Max}, []float64{got.Loss, got.Sum, got.Min, got.Max}, what)
			equalBits(t, out32.Losses, out.Losses, what)
			equalHalves(t, halved[T](out32.Grad.Data), out.Grad.Data, what)
			if out.ThresholdGrad != nil {
				equalHalves(t, halved[T](out32.ThresholdGrad), out.ThresholdGrad, what)
			}

			// Once more, added to what is there.
			out.Accumulate, out32.Accumulate = true, true
			widen(out32.Grad.Data, out.Grad.Data)
			if out.ThresholdGrad != nil {
				widen(out32.ThresholdGrad, out.ThresholdGrad)
			}
			_, err = e32.Evaluate(context.Background(), single, out32)
			require.NoError(t, err, what)
			_, err = e.Evaluate(context.Background(), b, out)
			require.NoError(t, err, what)
			equalHalves(t, halved[T](out32.Grad.Data), out.Grad.Data, what)
			if out.ThresholdGrad != nil {
				equalHalves(t, halved[T](out32.ThresholdGrad), out.ThresholdGrad, what)
			}

			// And in place.
			out.Accumulate, out32.Accumulate = false, false
			out.Grad, out32.Grad = b.Scores, single.Scores
			_, err = e32.Evaluate(context.Background(), single, out32)
			require.NoError(t, err, what)
			_, err = e.Evaluate(context.Background(), b, out)
			require.NoError(t, err, what)
			for i := range rows {
				equalHalves(t, halved[T](out32.Grad.Row(i)), out.Grad.Row(i), what)
			}
		}
	}
}

// TestHalfEights is TestHalfEvaluate of rows of 8 without gaps, which kernels of their own
// take some at a time, unless a score is too large for them.
func TestHalfEights(t *testing.T) {
	testHalfTypes(t, testHalfEights[BFloat16], testHalfEights[Float16])
}

func testHalfEights[T Score](t *testing.T) {
	const n = kernel.EightRow
	rng := rand.New(rand.NewPCG(15, 16))
	for _, loss := range []Loss{ZLPR{}, Pairwise{}} {
		for _, rows := range []int{1, 7, 8, 21, 256, 700, 1001} {
			for _, large := range []bool{false, true} {
				what := fmt.Sprintf("%s rows=%d large=%v", loss.Name(), rows, large)
				x, w := halfScores[T](rng, rows*n, false)
				if large {
					w[len(w)-1] = 300
					x[len(x)-1] = halved[T](w[len(w)-1:])[0]
				}
				labels := benchBits(rows, n)
				out := &Output[T]{Losses: make([]float64, rows), Grad: Matrix[T]{rows, n, make([]T, rows*n), n}}
				out32 := &Output[float32]{Losses: make([]float64, rows), Grad: Matrix[float32]{rows, n, make([]float32, rows*n), n}}
				for _, grad := range []bool{true, false} {
					if !grad {
						out.Grad, out32.Grad = Matrix[T]{}, Matrix[float32]{}
					}
					e, err := NewEvaluator[T](loss, Options{Workers: 1})
					require.NoError(t, err)
					e32, err := NewEvaluator[float32](loss, Options{Workers: 1})
					require.NoError(t, err)
					_, err = e32.Evaluate(context.Background(), &Batch[float32]{Scores: Matrix[float32]{rows, n, w, n}, Labels: labels}, out32)
					require.NoError(t, err, what)
					_, err = e.Evaluate(context.Background(), &Batch[T]{Scores: Matrix[T]{rows, n, x, n}, Labels: labels}, out)
					require.NoError(t, err, what)
					equalBits(t, out32.Losses, out.Losses, what)
					if grad {
						equalHalves(t, halved[T](out32.Grad.Data), out.Grad.Data, what)
					}
				}
			}
		}
	}
}

// TestHalfStream compares gradients that go past the caches, at odd places, with those of
// the float32 of the same values.
func TestHalfStream(t *testing.T) {
	if !kernel.Streaming() {
		t.Skip("this tier writes through the caches")
	}
	testHalfTypes(t, testHalfStream[BFloat16], testHalfStream[Float16])
}

func testHalfStream[T Score](t *testing.T) {
	for _, n := range []int{7, 1093, 20001} {
		const part = 1 << 20 // scores of its own, repeated
		rows := streamBytes/2/n + 1
		x, w := halfScores[T](rand.New(rand.NewPCG(9, 10)), part, n == 1093)
		for len(x) < rows*n {
			x, w = append(x, x[:part]...), append(w, w[:part]...)
		}
		labels := benchBits(rows, n)
		for _, loss := range []Loss{ZLPR{}, BCE{}} {
			what := fmt.Sprintf("%s n=%d", loss.Name(), n)
			out := &Output[T]{Grad: Matrix[T]{rows, n, make([]T, rows*n+1)[1:], n}}
			out32 := &Output[float32]{Grad: Matrix[float32]{rows, n, make([]float32, rows*n), n}}
			e, err := NewEvaluator[T](loss, Options{Workers: 2})
			require.NoError(t, err)
			e32, err := NewEvaluator[float32](loss, Options{Workers: 2})
			require.NoError(t, err)
			want, err := e32.Evaluate(context.Background(), &Batch[float32]{Scores: Matrix[float32]{rows, n, w[:rows*n], n}, Labels: labels}, out32)
			require.NoError(t, err, what)
			got, err := e.Evaluate(context.Background(), &Batch[T]{Scores: Matrix[T]{rows, n, x[:rows*n], n}, Labels: labels}, out)
			require.NoError(t, err, what)
			equalBits(t, []float64{want.Loss, want.Sum}, []float64{got.Loss, got.Sum}, what)
			require.True(t, slices.Equal(halved[T](out32.Grad.Data), out.Grad.Data), what)
		}
	}
}

// TestHalfFewRows compares gradients where single rows are beyond the kernels' range, or
// have nothing that takes part, and are evaluated again.
func TestHalfFewRows(t *testing.T) {
	testHalfTypes(t, testHalfFewRows[BFloat16], testHalfFewRows[Float16])
}

func testHalfFewRows[T Score](t *testing.T) {
	rows, step := 200, 17
	if testing.Short() {
		rows, step = 40, 5
	}
	for _, n := range []int{5, 20, 64, 129, 1000, 9000} {
		x, w := halfScores[T](rand.New(rand.NewPCG(11, 12)), rows*n, false)
		mask := make([]uint8, rows*n)
		for i := range mask {
			mask[i] = 1
		}
		special := halved[T]([]float32{float32(math.Inf(1)), float32(math.NaN()), 3e38, -3e38, float32(math.Inf(-1)), 95, -95})
		for i := 3; i < rows; i += step {
			if i%2 == 0 {
				clear(mask[i*n:][:n])
				continue
			}
			k := i*n + i%n
			x[k] = special[i%len(special)]
			widen(w[k:k+1], x[k:k+1])
		}
		labels := benchBits(rows, n)
		for i := 3; i < rows; i += step {
			clear(labels.Words[i*kernel.BitWords(n):][:kernel.BitWords(n)])
		}
		for _, loss := range []Loss{ZLPR{}, BCE{}} {
			for _, m := range []Bits{nil, &DenseLabels[uint8]{rows, n, mask, n}} {
				for _, upstream := range []float64{1, 1e-3, 1e30} {
					what := fmt.Sprintf("%s n=%d masked=%v upstream=%v", loss.Name(), n, m != nil, upstream)
					b := &Batch[T]{Scores: Matrix[T]{rows, n, x, n}, Labels: labels, Mask: m}
					b32 := &Batch[float32]{Scores: Matrix[float32]{rows, n, w, n}, Labels: labels, Mask: m}
					out := &Output[T]{Losses: make([]float64, rows), Grad: Matrix[T]{rows, n, make([]T, rows*n), n}, Upstream: upstream}
					out32 := &Output[float32]{Losses: make([]float64, rows), Grad: Matrix[float32]{rows, n, make([]float32, rows*n), n}, Upstream: upstream}
					e, err := NewEvaluator[T](loss, Options{})
					require.NoError(t, err)
					e32, err := NewEvaluator[float32](loss, Options{})
					require.NoError(t, err)
					_, err = e32.Evaluate(context.Background(), b32, out32)
					require.NoError(t, err, what)
					_, err = e.Evaluate(context.Background(), b, out)
					require.NoError(t, err, what)
					equalBits(t, out32.Losses, out.Losses, what)
					require.True(t, slices.Equal(halved[T](out32.Grad.Data), out.Grad.Data), what)
				}
			}
		}
	}
}

// TestHalfErrors has the errors of 16-bit batches name the values.
func TestHalfErrors(t *testing.T) {
	e, err := NewEvaluator[BFloat16](ZLPR{}, Options{Strict: true})
	require.NoError(t, err)
	b := &Batch[BFloat16]{
		Scores: MatrixOf([][]BFloat16{{0, BFloat16Of(float32(math.Inf(1)))}}),
		Labels: &DenseLabels[uint8]{1, 2, []uint8{0, 1}, 2},
	}
	_, err = e.Evaluate(context.Background(), b, nil)
	require.EqualError(t, err, "zlpr: row 0, class 1: score is +Inf")
	out := &Output[BFloat16]{Grad: Matrix[BFloat16]{1, 2, b.Scores.Data[1:], 2}}
	_, err = e.Evaluate(context.Background(), b, out)
	require.Error(t, err)
}

// TestHalfAllocations evaluates 16-bit scores without allocations.
func TestHalfAllocations(t *testing.T) {
	if kerneltest.RaceEnabled {
		t.Skip("SKIPPED: the race detector makes pools lose what they are given")
	}
	x, _ := halfScores[BFloat16](rand.New(rand.NewPCG(1, 1)), 1000, false)
	m := Matrix[BFloat16]{10, 100, x, 100}
	dst, lse := Matrix[BFloat16]{10, 100, make([]BFloat16, 1000), 100}, make([]float64, 10)
	e, err := NewEvaluator[BFloat16](ZLPR{}, Options{Workers: 1})
	require.NoError(t, err)
	b := &Batch[BFloat16]{Scores: m, Labels: &DenseLabels[uint8]{10, 100, make([]uint8, 1000), 100}}
	out := &Output[BFloat16]{Grad: dst}
	for name, f := range map[string]func(){
		"LogSumExp":     func() { lse[0] = LogSumExp(x) },
		"Softmax":       func() { lse[0] = Softmax(dst.Data, x) },
		"LogSumExpRows": func() { LogSumExpRows(lse, m) },
		"SoftmaxRows":   func() { SoftmaxRows(dst, lse, m) },
		"LogPartition":  func() { lse[0] = LogPartition(x, 3) },
		"Evaluate":      func() { _, _ = e.Evaluate(context.Background(), b, out) },
	} {
		if n := kerneltest.SteadyAllocs(100, f); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// BenchmarkHalf compares 16-bit scores with float32, in the cache.
func BenchmarkHalf(b *testing.B) {
	for _, n := range []int{8, 20, 64, 1000, 30522} {
		b.Run(fmt.Sprintf("job=logsumexp/n=%d", n), func(b *testing.B) {
			b.Run("type=f32", func(b *testing.B) { benchHalfRows[float32](b, n) })
			b.Run("type=bf16", func(b *testing.B) { benchHalfRows[BFloat16](b, n) })
			b.Run("type=f16", func(b *testing.B) { benchHalfRows[Float16](b, n) })
		})
		for _, loss := range []Loss{ZLPR{}, BCE{}} {
			for _, op := range []string{"loss", "lossgrad"} {
				b.Run(fmt.Sprintf("job=%s/op=%s/n=%d", loss.Name(), op, n), func(b *testing.B) {
					b.Run("type=f32", func(b *testing.B) { benchHalfLoss[float32](b, loss, op, n) })
					b.Run("type=bf16", func(b *testing.B) { benchHalfLoss[BFloat16](b, loss, op, n) })
					b.Run("type=f16", func(b *testing.B) { benchHalfLoss[Float16](b, loss, op, n) })
				})
			}
		}
	}
}

// halfMatrix returns the benchmarks' scores in rows of n.
func halfMatrix[T Score](n int) Matrix[T] {
	rows := benchRows[float32](n)
	m := Matrix[T]{Rows: rows, Cols: n, Data: make([]T, rows*n), Stride: n}
	x := normalScores[float32](rows * n)
	if bytesOf[T]() == 4 {
		copy(any(m.Data).([]float32), x)
	} else {
		narrow(m.Data, x)
	}
	return m
}

func benchHalfRows[T Score](b *testing.B, n int) {
	m := halfMatrix[T](n)
	lse := make([]float64, m.Rows)
	benchTiers(b, func(b *testing.B) {
		for b.Loop() {
			LogSumExpRows(lse, m)
		}
		perElement[float32](b, m.Rows*n)
	})
}

func benchHalfLoss[T Score](b *testing.B, loss Loss, op string, n int) {
	m := halfMatrix[T](n)
	batch := &Batch[T]{Scores: m, Labels: labelFormat("u8", m.Rows, n, benchLabels(m.Rows, n, 0.1))}
	out := &Output[T]{Losses: make([]float64, m.Rows)}
	if op == "lossgrad" {
		out.Grad = Matrix[T]{Rows: m.Rows, Cols: n, Data: make([]T, m.Rows*n), Stride: n}
	}
	benchTiers(b, func(b *testing.B) {
		e, err := NewEvaluator[T](loss, Options{Workers: 1})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := e.Evaluate(context.Background(), batch, out); err != nil {
				b.Fatal(err)
			}
		}
		perElement[float32](b, m.Rows*n)
	})
}

// memoryHalves returns 1 GiB of scores as T: those of memoryScores, rounded.
func memoryHalves[T Score]() []T {
	if bytesOf[T]() == 4 {
		return kernel.Cast[T](memoryScores())
	}
	x := make([]T, memoryElements)
	const step = 1 << 20 // of the pattern
	narrow(x[:step], memoryScores()[:step])
	for i := step; i < len(x); i += step {
		copy(x[i:], x[:step])
	}
	return x
}

// BenchmarkHalfMemory compares 16-bit scores with float32 from memory: as many scores
// as 1 GiB of float32 has, with one worker and with all, and beside each the same rows
// in the cache. Of 16-bit scores from memory it reports, as of-bar, the least time so far
// beside the larger of 1.1 times that in the cache and 0.55 times that of float32 from
// memory: run it several times in one process.
func BenchmarkHalfMemory(b *testing.B) {
	b.Run("type=f32", benchHalfMemory[float32])
	b.Run("type=bf16", benchHalfMemory[BFloat16])
	b.Run("type=f16", benchHalfMemory[Float16])
}

// A halfMemoryRun is a job of BenchmarkHalfMemory.
type halfMemoryRun struct {
	score, job string
	workers    int
	fromMemory bool
}

// halfMemoryLeast has the least times an element so far.
var halfMemoryLeast = map[halfMemoryRun]float64{}

// report reports the time an element and, where there is a bar, the part of it.
func (r halfMemoryRun) report(b *testing.B, elements int) {
	perElement[float32](b, elements)
	took := float64(b.Elapsed().Nanoseconds()) / float64(b.N*elements)
	least, ok := halfMemoryLeast[r]
	if ok {
		took = min(took, least)
	}
	halfMemoryLeast[r] = took
	cached, single := r, r
	cached.fromMemory, single.score = false, typeName[float32]()
	if r.fromMemory && r != single {
		b.ReportMetric(took/max(1.1*halfMemoryLeast[cached], 0.55*halfMemoryLeast[single]), "of-bar")
	}
}

func benchHalfMemory[T Score](b *testing.B) {
	const n, rows = 1000, memoryElements / 1000
	x := memoryHalves[T]()
	g := make([]T, len(x))
	for i := 0; i < len(g); i += 1024 {
		g[i] = 1 // every page is there
	}
	for _, workers := range slices.Compact([]int{1, runtime.GOMAXPROCS(0)}) {
		for _, place := range []struct {
			name         string
			rows, passes int
		}{{"cache", 72 * workers, 1000}, {"memory", rows, 1}} {
			run := func(job string, f func(rows int)) {
				b.Run(fmt.Sprintf("job=%s/n=%d/workers=%d/from=%s", job, n, workers, place.name), func(b *testing.B) {
					for b.Loop() {
						for range place.passes {
							f(place.rows)
						}
					}
					r := halfMemoryRun{typeName[T](), job, workers, place.name == "memory"}
					r.report(b, place.passes*place.rows*n)
				})
			}
			m := Matrix[T]{place.rows, n, x, n}
			lse := make([]float64, place.rows)
			run("logsumexp", func(rows int) {
				splitRows(rows, workers, func(from, to int) {
					LogSumExpRows(lse[from:to], Matrix[T]{to - from, n, x[from*n : to*n], n})
				})
			})
			for _, loss := range []Loss{ZLPR{}, BCE{}} {
				for _, op := range []string{"loss", "lossgrad"} {
					batch := &Batch[T]{Scores: m, Labels: benchBits(place.rows, n)}
					out := &Output[T]{Losses: lse}
					if op == "lossgrad" {
						out.Grad = Matrix[T]{place.rows, n, g, n}
					}
					e, err := NewEvaluator[T](loss, Options{Workers: workers})
					if err != nil {
						b.Fatal(err)
					}
					run(fmt.Sprintf("%s/op=%s", loss.Name(), op), func(int) {
						if _, err := e.Evaluate(context.Background(), batch, out); err != nil {
							b.Fatal(err)
						}
					})
				}
			}
		}
	}
}
