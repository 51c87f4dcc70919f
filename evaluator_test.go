package zlpr

import (
	"context"
	"errors"
	"math"
	"math/big"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zlpr/zlpr/internal/exact"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
	"github.com/zlpr/zlpr/internal/ref"
)

var (
	inf = math.Inf(1)
	nan = math.NaN()
)

// oneRow is a batch of one row of float64 scores.
func oneRow(y []uint8, x ...float64) *Batch[float64] {
	n := len(x)
	return &Batch[float64]{Scores: Matrix[float64]{1, n, x, n}, Labels: &DenseLabels[uint8]{1, n, y, n}}
}

// The table of special cases in the doc comments.
func TestLossLimits(t *testing.T) {
	third := 1 / (1 + math.E)
	for _, c := range []struct {
		name string
		loss Loss
		y    []uint8
		x    []float64
		want float64
		grad []float64
	}{
		{"no positive", Pairwise{}, []uint8{0, 0}, []float64{1, 2}, 0, []float64{0, 0}},
		{"all positive", Pairwise{}, []uint8{1, 1}, []float64{1, 2}, 0, []float64{0, 0}},
		{"no positive, far", Pairwise{}, []uint8{0, 0}, []float64{1000, 2}, 0, []float64{0, 0}},
		{"no positive, far", Pairwise{Gamma: 2, Margin: 1}, []uint8{0, 0}, []float64{1000, 2}, 0, []float64{0, 0}},
		{"all positive, far", Pairwise{}, []uint8{1, 1}, []float64{-1000, 2}, 0, []float64{0, 0}},
		{"one class, far", SoftmaxCrossEntropy{}, []uint8{1}, []float64{-1000}, 0, []float64{0}},
		{"all positive", ZLPR{}, []uint8{1}, []float64{0}, math.Ln2, []float64{-0.5}},
		{"no positive", ZLPR{}, []uint8{0}, []float64{0}, math.Ln2, []float64{0.5}},
		{"NaN", ZLPR{}, []uint8{0, 1, 0}, []float64{nan, 0, 1}, nan, []float64{nan, nan, nan}},
		{"NaN positive", ZLPR{}, []uint8{0, 1, 0}, []float64{1, nan, 1}, nan, []float64{nan, nan, nan}},
		{"NaN", Pairwise{}, []uint8{0, 1, 0}, []float64{nan, 0, 1}, nan, []float64{nan, nan, nan}},
		{"NaN", BCE{}, []uint8{0, 1, 0}, []float64{nan, 0, 1}, nan, []float64{nan, nan, nan}},
		{"NaN", SoftmaxCrossEntropy{}, []uint8{0, 1, 0}, []float64{0, nan, 1}, nan, []float64{nan, nan, nan}},
		{"-Inf negative", ZLPR{}, []uint8{0, 1}, []float64{-inf, 0}, math.Ln2, []float64{0, -0.5}},
		{"+Inf positive", ZLPR{}, []uint8{0, 1}, []float64{0, inf}, math.Ln2, []float64{0.5, 0}},
		{"+Inf negative", ZLPR{}, []uint8{0, 0, 1}, []float64{5, inf, 0}, inf, []float64{0, 1, -0.5}},
		{"-Inf positive", ZLPR{}, []uint8{0, 1, 1}, []float64{0, -inf, 7}, inf, []float64{0.5, -1, 0}},
		{"two +Inf", ZLPR{}, []uint8{0, 0, 1}, []float64{inf, inf, 0}, inf, []float64{nan, nan, -0.5}},
		{"+Inf negative", Pairwise{}, []uint8{0, 0, 1}, []float64{5, inf, 0}, inf, []float64{0, 1, -1}},
		{"+Inf against +Inf", Pairwise{}, []uint8{0, 1}, []float64{inf, inf}, nan, []float64{nan, nan}},
		{"-Inf target", SoftmaxCrossEntropy{}, []uint8{0, 1}, []float64{3, -inf}, inf, []float64{1, -1}},
		{"+Inf target", SoftmaxCrossEntropy{}, []uint8{0, 1}, []float64{3, inf}, 0, []float64{0, 0}},
		{"-Inf others", SoftmaxCrossEntropy{}, []uint8{0, 1}, []float64{-inf, 3}, 0, []float64{0, 0}},
		{"one class", SoftmaxCrossEntropy{}, []uint8{1}, []float64{3}, 0, []float64{0}},
		{"two", SoftmaxCrossEntropy{}, []uint8{0, 1}, []float64{0, 1}, math.Log1p(1 / math.E), []float64{third, -third}},
		{"+Inf negative", BCE{}, []uint8{0, 1}, []float64{inf, 0}, inf, []float64{1, -0.5}},
		{"-Inf positive", BCE{}, []uint8{0, 1}, []float64{0, -inf}, inf, []float64{0.5, -1}},
		{"nothing to add", BCE{}, []uint8{0, 1}, []float64{-inf, inf}, 0, []float64{0, 0}},
	} {
		forEachTier(t, func(t *testing.T) {
			_, losses, grad := evalBatch(t, c.loss, Options{}, oneRow(c.y, c.x...), Output[float64]{})
			requireClose(t, append([]float64{c.want}, c.grad...), append(losses, grad...), c.loss.Name()+" "+c.name)
			// The same in float32.
			b := oneRow(c.y, c.x...)
			single := &Batch[float32]{Scores: Matrix[float32]{1, len(c.x), nil, len(c.x)}, Labels: b.Labels}
			for _, v := range c.x {
				single.Scores.Data = append(single.Scores.Data, float32(v))
			}
			_, losses, grad32 := evalBatch(t, c.loss, Options{}, single, Output[float32]{})
			for _, v := range grad32 {
				losses = append(losses, float64(v))
			}
			requireClose(t, append([]float64{c.want}, c.grad...), losses, c.loss.Name()+" float32 "+c.name)
		})
	}
}

// requireClose compares to 1e-6, NaN and infinities as such.
func requireClose(t *testing.T, want, got []float64, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	for i, w := range want {
		if same := w == got[i] || w != w && got[i] != got[i]; !same && !(math.Abs(w-got[i]) < 1e-6) {
			t.Fatalf("%s: %v, want %v", what, got, want)
		}
	}
}

// What the mask leaves out is not read, and gets no gradient.
func TestMaskedNaN(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	for _, loss := range []Loss{ZLPR{}, ZLPR{Threshold: 1}, Pairwise{Gamma: 2}, BCE{}} {
		for _, n := range []int{3, 40, 200} {
			x, y, mask := make([]float32, n), make([]uint8, n), make([]uint8, n)
			var kept []float32
			var labels []uint8
			for j := range n {
				x[j], mask[j] = float32(r.NormFloat64()), uint8(r.IntN(2))
				if mask[j] == 0 {
					x[j] = []float32{float32(nan), float32(inf), 1e38}[r.IntN(3)]
					continue
				}
				y[j] = uint8(r.IntN(2))
				kept, labels = append(kept, x[j]), append(labels, y[j])
			}
			b := &Batch[float32]{
				Scores: Matrix[float32]{1, n, x, n}, Labels: &DenseLabels[uint8]{1, n, y, n}, Mask: &DenseLabels[uint8]{1, n, mask, n}}
			got, _, grad := evalBatch(t, loss, Options{Strict: true}, b, Output[float32]{})
			k := len(kept)
			want, _, wantGrad := evalBatch(t, loss, Options{}, &Batch[float32]{
				Scores: Matrix[float32]{1, k, kept, k}, Labels: &DenseLabels[uint8]{1, k, labels, k}}, Output[float32]{})
			require.InEpsilon(t, want.Loss+1, got.Loss+1, 1e-6)
			for j := range n {
				if mask[j] == 0 {
					require.Equal(t, uint32(0), math.Float32bits(grad[j]))
					continue
				}
				require.InDelta(t, wantGrad[0], grad[j], 1e-6)
				wantGrad = wantGrad[1:]
			}
		}
	}
}

// A learned threshold, as a vector and as a column, with its gradient.
func TestLearnedThreshold(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	const n = 30
	for _, s0 := range []float64{0, 1.5, -40, 800} {
		x, y := make([]float64, n+1), make([]uint8, n+1)
		positive := make([]bool, n)
		for j := range n {
			x[j] = s0 + 3*r.NormFloat64()
			y[j] = uint8(r.IntN(2))
			positive[j] = y[j] == 1
		}
		x[n] = s0
		row := ref.Row{Scores: x[:n], Positive: positive, Threshold: s0}
		for _, loss := range []Loss{ZLPR{}, BCE{}} {
			want := row.ZLPR()
			if loss.Name() == "bce" {
				want = row.BCE(nil, 0)
			}
			slope, _ := want.Threshold.Float64()
			check := func(l, g float64) {
				require.Less(t, ref.RelError(l, want.Loss, 0x1p-52), 4.0)
				require.InDelta(t, slope, g, 1e-13*n)
			}
			fixed, _, _ := evalBatch(t, loss, Options{}, &Batch[float64]{
				Scores: Matrix[float64]{1, n + 1, x, n + 1}, Labels: &DenseLabels[uint8]{1, n + 1, y, n + 1}, ThresholdColumn: n + 1}, Output[float64]{})
			_, _, grad := evalBatch(t, loss, Options{}, &Batch[float64]{
				Scores: Matrix[float64]{1, n + 1, x, n + 1}, Labels: &DenseLabels[uint8]{1, n + 1, y, n + 1}, ThresholdColumn: n + 1}, Output[float64]{})
			check(fixed.Loss, grad[n])
			out := Output[float64]{ThresholdGrad: []float64{7}}
			vector, _, _ := evalBatch(t, loss, Options{}, &Batch[float64]{
				Scores: Matrix[float64]{1, n, x[:n], n}, Labels: &DenseLabels[uint8]{1, n, y[:n], n}, Thresholds: []float64{s0}}, out)
			check(vector.Loss, out.ThresholdGrad[0])
		}
	}
}

// Hard negatives against a plain sort.
func TestHardNegatives(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for range 300 {
		n, ties, most := 1+r.IntN(90), 12, 12
		if r.IntN(3) == 0 { // as long as makes it worth while to narrow down
			n, ties, most = 60+r.IntN(1100), 12<<r.IntN(12), 600
		}
		x, y := make([]float64, n), make([]uint8, n)
		for j := range n {
			x[j] = float64(r.IntN(ties)) - 6
			y[j] = uint8(r.IntN(4) / 3)
		}
		m, top := r.IntN(most), r.IntN(most+8)
		order := make([]int, n)
		for j := range order {
			order[j] = j
		}
		slices.SortStableFunc(order, func(a, b int) int {
			switch {
			case x[a] > x[b]:
				return -1
			case x[a] < x[b]:
				return 1
			}
			return 0
		})
		mask := make([]uint8, n)
		negatives := 0
		for rank, j := range order {
			in := top == 0 || rank < top
			if y[j] == 1 {
				mask[j] = 1
			} else if in {
				if m == 0 || negatives < m {
					mask[j] = 1
				}
				negatives++
			}
		}
		b := oneRow(y, x...)
		got, _, grad := evalBatch(t, ZLPR{}, Options{TopNegatives: m, TopScores: top}, b, Output[float64]{})
		b.Mask = &DenseLabels[uint8]{1, n, mask, n}
		want, _, wantGrad := evalBatch(t, ZLPR{}, Options{}, b, Output[float64]{})
		require.Equal(t, want.Loss, got.Loss)
		require.Equal(t, wantGrad, grad)
	}
}

// Totals are the exact sums of the rows' losses, and gradients are scaled by the
// reduction.
func TestReductions(t *testing.T) {
	const rows, n = 1000, 7
	x := normalScores[float32](rows * n)
	y := randomLabels(rand.New(rand.NewPCG(6, 6)), rows, n, 0.3)
	weights := make([]float64, rows)
	for i := range weights {
		weights[i] = float64(i%5) / 3
	}
	b := &Batch[float32]{Scores: Matrix[float32]{rows, n, x, n}, Labels: &DenseLabels[uint8]{rows, n, y, n}}
	plain, losses, grad := evalBatch(t, ZLPR{}, Options{}, b, Output[float32]{})
	b.RowWeights = weights
	sum, weighted, sumGrad := evalBatch(t, ZLPR{}, Options{Reduction: Sum}, b, Output[float32]{})
	mean, _, meanGrad := evalBatch(t, ZLPR{}, Options{Reduction: Mean}, b, Output[float32]{Upstream: 3})

	var all, total, w exact.Sum
	count := 0
	for i, l := range losses {
		all.Add(l)
		total.AddProduct(weights[i], l)
		w.Add(weights[i])
		require.Equal(t, weights[i]*l, weighted[i])
		if weights[i] > 0 {
			count++
		}
	}
	require.Equal(t, all.Float64(), plain.Sum)
	require.Equal(t, total.Float64(), sum.Loss)
	require.Equal(t, w.Float64(), mean.Weight)
	require.Equal(t, total.Float64()/w.Float64(), mean.Loss)
	require.Equal(t, count, sum.Rows)
	require.Equal(t, slices.Max(weighted), sum.Max)
	for k, g := range grad {
		i := k / n
		require.InDelta(t, float64(g)*weights[i], float64(sumGrad[k]), 1e-6)
		require.InDelta(t, float64(g)*weights[i]*3/w.Float64(), float64(meanGrad[k]), 1e-8)
	}
}

func TestEvaluatorErrors(t *testing.T) {
	type batch = Batch[float64]
	y := []uint8{0, 1, 0, 0, 1, 0}
	fresh := func() *batch {
		return &batch{Scores: Matrix[float64]{2, 3, []float64{1, 2, 3, 4, 5, 6}, 3}, Labels: &DenseLabels[uint8]{2, 3, y, 3}}
	}
	for name, c := range map[string]struct {
		loss  Loss
		opts  Options
		edit  func(b *batch, out *Output[float64])
		want  string
		place [2]int // of a DataError
	}{
		"labels":       {ZLPR{}, Options{}, func(b *batch, _ *Output[float64]) { b.Labels = &BitLabels{2, 4, make([]uint64, 2), 1} }, "Batch.Labels: 2 rows × 4 classes, want 2 × 3 as in Batch.Scores", [2]int{}},
		"no labels":    {ZLPR{}, Options{}, func(b *batch, _ *Output[float64]) { b.Labels = nil }, "Batch.Labels: there are none, but the loss needs them", [2]int{}},
		"soft":         {SoftZLPR{}, Options{}, func(*batch, *Output[float64]) {}, "Batch.Labels: there are some, but the loss takes Batch.Soft alone", [2]int{}},
		"scores":       {ZLPR{}, Options{}, func(b *batch, _ *Output[float64]) { b.Scores.Data = b.Scores.Data[:5] }, "Batch.Scores: 5 elements of data, too few for 2 rows × 3 columns of stride 3", [2]int{}},
		"mask":         {ZLPR{}, Options{}, func(b *batch, _ *Output[float64]) { b.Mask = &LengthMask{3, []int{1}} }, "Batch.Mask: 1 rows × 3 classes, want 2 × 3 as in Batch.Scores", [2]int{}},
		"masked":       {ZLPR{}, Options{}, func(b *batch, _ *Output[float64]) { b.Mask = &LengthMask{3, []int{3, 1}} }, "", [2]int{1, 1}},
		"column":       {ZLPR{}, Options{}, func(b *batch, _ *Output[float64]) { b.ThresholdColumn = 2 }, "", [2]int{0, 1}},
		"no column":    {ZLPR{}, Options{}, func(b *batch, _ *Output[float64]) { b.ThresholdColumn = 4 }, "Batch.ThresholdColumn: 4, want 1 to 3, or 0 for none", [2]int{}},
		"both":         {ZLPR{Threshold: 1}, Options{}, func(b *batch, _ *Output[float64]) { b.ThresholdColumn = 1 }, "Batch.ThresholdColumn: the loss has the fixed threshold 1, want 0 beside learned ones", [2]int{}},
		"no threshold": {Pairwise{}, Options{}, func(b *batch, _ *Output[float64]) { b.Thresholds = make([]float64, 2) }, "Batch.Thresholds: the loss has no threshold to be learned", [2]int{}},
		"row weight":   {ZLPR{}, Options{}, func(b *batch, _ *Output[float64]) { b.RowWeights = []float64{1, -1} }, "", [2]int{1, -1}},
		"class weight": {ZLPR{}, Options{}, func(b *batch, _ *Output[float64]) { b.ClassWeights = []float64{1, -1, 1} }, "Batch.ClassWeights: -1 of class 1, want a finite number of at least 0", [2]int{}},
		"two targets": {SoftmaxCrossEntropy{}, Options{}, func(b *batch, _ *Output[float64]) {
			b.Labels = &DenseLabels[uint8]{2, 3, []uint8{1, 0, 0, 1, 1, 0}, 3}
		}, "", [2]int{1, -1}},
		"no target": {SoftmaxCrossEntropy{}, Options{}, func(b *batch, _ *Output[float64]) {
			b.Labels = &DenseLabels[uint8]{2, 3, []uint8{1, 0, 0, 0, 0, 0}, 3}
		}, "", [2]int{1, -1}},
		"strict":  {ZLPR{}, Options{Strict: true}, func(b *batch, _ *Output[float64]) { b.Scores.Data[4] = inf }, "", [2]int{1, 1}},
		"no rows": {ZLPR{}, Options{Reduction: Mean}, func(b *batch, _ *Output[float64]) { b.RowWeights = make([]float64, 2) }, "mean over no rows", [2]int{}},
		"overlap": {ZLPR{}, Options{}, func(b *batch, out *Output[float64]) {
			x := make([]float64, 7)
			b.Scores.Data = x
			out.Grad = Matrix[float64]{2, 3, x[1:], 3}
		}, "Output.Grad: overlaps Batch.Scores, but is not the same matrix", [2]int{}},
		"accumulate": {ZLPR{}, Options{}, func(b *batch, out *Output[float64]) { out.Grad, out.Accumulate = b.Scores, true }, "Output.Accumulate: Output.Grad overlaps Batch.Scores; accumulate into memory of its own", [2]int{}},
		"grad":       {ZLPR{}, Options{}, func(b *batch, out *Output[float64]) { out.Grad = Matrix[float64]{2, 2, make([]float64, 6), 2} }, "Output.Grad: 2 rows × 2 classes, want 2 × 3 as in Batch.Scores", [2]int{}},
		"losses overlap gradients": {ZLPR{}, Options{}, func(b *batch, out *Output[float64]) {
			out.Grad = Matrix[float64]{2, 3, make([]float64, 8), 3}
			out.Losses = out.Grad.Data[5:7]
		}, "Output.Losses: overlap Output.Grad", [2]int{}},
		"losses overlap": {ZLPR{}, Options{}, func(b *batch, out *Output[float64]) { out.Losses = b.Scores.Data[4:6] }, "Output.Losses: overlap Batch.Scores", [2]int{}},
		"losses":         {ZLPR{}, Options{}, func(b *batch, out *Output[float64]) { out.Losses = make([]float64, 3) }, "Output.Losses: 3, want one for each of 2 rows", [2]int{}},
	} {
		e, err := NewEvaluator[float64](c.loss, c.opts)
		require.NoError(t, err)
		b, out := fresh(), &Output[float64]{}
		c.edit(b, out)
		_, err = e.Evaluate(context.Background(), b, out)
		if c.want != "" {
			require.EqualError(t, err, "zlpr: "+c.want, name)
			continue
		}
		var data *DataError
		require.True(t, errors.As(err, &data), "%s: %v", name, err)
		require.Equal(t, c.place, [2]int{data.Row, data.Class}, name)
	}
	for name, c := range map[string]struct {
		loss Loss
		opts Options
	}{
		"gamma":    {Pairwise{Gamma: -1}, Options{}},
		"focal":    {BCE{Focal: nan}, Options{}},
		"infinite": {ZLPR{Threshold: inf}, Options{}},
		"workers":  {ZLPR{}, Options{Workers: -1}},
		"hard":     {SoftmaxCrossEntropy{}, Options{TopNegatives: 3}},
		"reduce":   {ZLPR{}, Options{Reduction: 7}},
	} {
		_, err := NewEvaluator[float32](c.loss, c.opts)
		require.Error(t, err, name)
	}
	// The first bad row is found, whatever the workers do.
	const rows, n = 5000, 20
	labels := &DenseLabels[uint8]{rows, n, make([]uint8, rows*n), n}
	for _, bad := range []int{1234, 2345, 4999} {
		labels.Data[bad*n+3] = 2
	}
	e, err := NewEvaluator[float32](ZLPR{}, Options{Workers: 4})
	require.NoError(t, err)
	for range 20 {
		_, err = e.Evaluate(context.Background(), &Batch[float32]{Scores: Matrix[float32]{rows, n, make([]float32, rows*n), n}, Labels: labels}, nil)
		require.EqualError(t, err, "zlpr: row 1234, class 3: label 2 is neither 0 nor 1")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = e.Evaluate(ctx, fresh32(rows, n), nil)
	require.ErrorIs(t, err, context.Canceled)
}

func fresh32(rows, n int) *Batch[float32] {
	return &Batch[float32]{Scores: Matrix[float32]{rows, n, make([]float32, rows*n), n}, Labels: &DenseLabels[uint8]{rows, n, make([]uint8, rows*n), n}}
}

// Rows with an ignored target do not count.
func TestIgnore(t *testing.T) {
	b := &Batch[float64]{Scores: Matrix[float64]{3, 2, []float64{0, 0, nan, 5, 0, 0}, 2}, Labels: &TargetLabels{2, []int32{0, Ignore, 1}}}
	r, losses, grad := evalBatch(t, SoftmaxCrossEntropy{}, Options{Reduction: Mean}, b, Output[float64]{})
	require.Equal(t, 2, r.Rows)
	require.Equal(t, 2.0, r.Weight)
	requireClose(t, []float64{math.Ln2, math.Ln2, 0, math.Ln2}, append([]float64{r.Loss}, losses...), "ignore")
	requireClose(t, []float64{-0.25, 0.25, 0, 0, 0.25, -0.25}, grad, "ignore")
}

// In no loss rows with an ignored target count: they are as rows of which the mask
// leaves nothing, and their scores are not looked at.
func TestIgnoreInAllLosses(t *testing.T) {
	r := rand.New(rand.NewPCG(36, 1))
	for _, n := range []int{3, 30, 70} {
		const rows = 50
		targets, mask := make([]int32, rows), make([]uint8, rows*n)
		labels := make([]uint8, rows*n)
		b := mixedBatch[float32](r, rows, n, true)
		b.RowWeights, b.Soft = nil, Matrix[float32]{}
		b.Mask = &DenseLabels[uint8]{rows, n, mask, n}
		for i := range targets {
			if targets[i] = int32(r.IntN(n)); i%3 == 0 {
				targets[i] = Ignore
				b.Scores.Data[i*b.Scores.Stride+1] = float32(nan)
				continue
			}
			labels[i*n+int(targets[i])] = 1
			for j := range n {
				mask[i*n+j] = 1
			}
		}
		ignored := *b
		ignored.Mask = nil
		ignored.Labels = &TargetLabels{n, targets}
		b.Labels = &DenseLabels[uint8]{rows, n, labels, n}
		for name, loss := range testLossesOf(n) {
			if name == "softmax" { // takes the other batch for rows without a target
				continue
			}
			want, wantLosses, wantGrad := evalBatch(t, loss, Options{Reduction: Mean}, b, Output[float32]{})
			got, losses, grad := evalBatch(t, loss, Options{Reduction: Mean}, &ignored, Output[float32]{})
			require.Equal(t, rows-17, got.Rows, name)
			require.Equal(t, want, got, name)
			require.Equal(t, wantLosses, losses, name)
			require.Equal(t, wantGrad, grad, name)
		}
	}
}

// The formula of the article as it is written for Keras, in arithmetic without
// limits: y_pred = (1 - 2·y)·y_pred, the scores of the other side excluded (for
// which the code subtracts 1e12), a zero appended, log-sum-exp of each side.
func TestKerasFormula(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for range 50 {
		n := 1 + r.IntN(40)
		x, y := make([]float32, n), make([]uint8, n)
		sides := [2][]*big.Float{{ref.New(0)}, {ref.New(0)}}
		for j := range n {
			x[j], y[j] = float32(10*r.NormFloat64()), uint8(r.IntN(2))
			v := ref.Mul(ref.New(1-2*float64(y[j])), ref.New(float64(x[j])))
			sides[y[j]] = append(sides[y[j]], v)
		}
		want := ref.Add(ref.LogSumExp(sides[0]), ref.LogSumExp(sides[1]))
		got, _, _ := evalBatch(t, ZLPR{}, Options{}, &Batch[float32]{
			Scores: Matrix[float32]{1, n, x, n}, Labels: &DenseLabels[uint8]{1, n, y, n}}, Output[float32]{})
		require.Less(t, ref.RelError(got.Loss, want, 0x1p-23), 4.0)
	}
}

// Relations between the losses.
func TestRelations(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	for range 200 {
		n := 2 + r.IntN(50)
		x, y := make([]float64, n), make([]uint8, n)
		for j := range n {
			x[j], y[j] = 4*r.NormFloat64(), uint8(r.IntN(3)/2)
		}
		value := func(l Loss) float64 {
			result, _, _ := evalBatch(t, l, Options{}, oneRow(y, x...), Output[float64]{})
			return result.Loss
		}
		zlpr, pairwise, bce := value(ZLPR{}), value(Pairwise{}), value(BCE{})
		const slack = 1 + 1e-14
		require.LessOrEqual(t, pairwise, zlpr*slack)
		require.LessOrEqual(t, zlpr, bce*slack)
		// Pairwise does not change with a shift, nor any loss with the order.
		for j := range x {
			x[j] += 64
		}
		require.InEpsilon(t, pairwise+1, value(Pairwise{})+1, 1e-13)
		for j := range x {
			x[j] -= 64
		}
		// One positive: softmax cross-entropy.
		clear(y)
		y[r.IntN(n)] = 1
		require.InEpsilon(t, value(Pairwise{}), value(SoftmaxCrossEntropy{}), 1e-14)
		// Soft labels 0 and 1 are hard ones.
		soft := make([]float64, n)
		for j, v := range y {
			soft[j] = float64(v)
		}
		s, _, _ := evalBatch(t, SoftZLPR{}, Options{}, &Batch[float64]{
			Scores: Matrix[float64]{1, n, x, n}, Soft: Matrix[float64]{1, n, soft, n}}, Output[float64]{})
		require.InEpsilon(t, value(ZLPR{}), s.Loss, 1e-14)
	}
}

func TestWarnings(t *testing.T) {
	b := oneRow([]uint8{1, 0}, 0.25, 1)
	require.True(t, LooksLikeProbabilities(b.Scores))
	quiet, err := NothingPredicted(b, 0)
	require.NoError(t, err)
	require.False(t, quiet)
	quiet, err = NothingPredicted(b, 2)
	require.NoError(t, err)
	require.True(t, quiet)
	require.False(t, LooksLikeProbabilities(oneRow(nil, -0.25, 1).Scores))
	require.False(t, LooksLikeProbabilities(Matrix[float64]{}))
	quiet, err = NothingPredicted(oneRow([]uint8{0, 0}, -1, -1), 0)
	require.NoError(t, err)
	require.False(t, quiet)
}

// The class weight of the target multiplies the loss and the gradient of a row
// of any magnitude: the weights of other classes take no part.
func TestTargetWeights(t *testing.T) {
	kerneltest.ForBothTypes(t, testTargetWeights[float32], testTargetWeights[float64])
}

func testTargetWeights[T Float](t *testing.T) {
	const rows, n = 300, 33
	r := rand.New(rand.NewPCG(71, 72))
	b := mixedBatch[T](r, rows, n, true)
	plain := runOnce(t, SoftmaxCrossEntropy{}, Options{}, b)
	for range n {
		b.ClassWeights = append(b.ClassWeights, math.Ldexp(1, r.IntN(9)-4))
	}
	weighted := runOnce(t, SoftmaxCrossEntropy{}, Options{}, b)
	labels := make([]uint64, rows)
	require.NoError(t, b.Labels.ReadRows(labels, 0, rows))
	_, smallest := unitsOf[T]()
	for i, bit := range labels {
		w := b.ClassWeights[bits.TrailingZeros64(bit)]
		same := func(what string, want, got float64) {
			if got != want && (got == got || want == want) && max(math.Abs(got), math.Abs(want)) > smallest {
				t.Fatalf("row %d: %s %v, want %v", i, what, got, want)
			}
		}
		same("loss", w*plain.losses[i], weighted.losses[i])
		for j := range n {
			same("gradient", w*float64(plain.grad[i*n+j]), float64(weighted.grad[i*n+j]))
		}
	}
}

// A target of weight 0 leaves nothing of a row, but for a NaN.
func TestTargetWeightZero(t *testing.T) {
	for _, c := range []struct{ score, want float64 }{{3, 0}, {inf, 0}, {nan, nan}} {
		b := oneRow([]uint8{0, 1}, c.score, 0)
		b.ClassWeights = []float64{1, 0}
		_, losses, grad := evalBatch(t, SoftmaxCrossEntropy{}, Options{}, b, Output[float64]{})
		requireClose(t, []float64{c.want, c.want, c.want}, append(losses, grad...), "weight 0")
	}
}

// Factors of a gradient are products of numbers far from 1: none on the way
// loses digits.
func TestFarFactors(t *testing.T) {
	forEachTier(t, func(t *testing.T) {
		for _, scale := range []float64{0x1p-110, 0x1p-60, 1, 0x1p60} {
			b := oneRow([]uint8{0}, -0.45725330157402777)
			b.ClassWeights = []float64{0x1.3p775}
			_, _, grad := evalBatch(t, ZLPR{Threshold: -100}, Options{}, b, Output[float64]{Upstream: scale})
			require.InEpsilon(t, scale, grad[0], 4*0x1p-52)
		}
	})
}

// TestChangedClassWeights: class weights that the caller changes in their place, also to such
// as are refused, are those of the next batch.
func TestChangedClassWeights(t *testing.T) {
	const rows, n = 3, 70
	r := rand.New(rand.NewPCG(75, 76))
	for _, loss := range []Loss{BCE{}, ZLPR{}, SoftmaxCrossEntropy{}} {
		b := mixedBatch[float64](r, rows, n, true)
		b.ClassWeights = slices.Repeat([]float64{1}, n)
		e, err := NewEvaluator[float64](loss, Options{})
		require.NoError(t, err)
		for i, v := range []float64{1, 2, 0, math.Copysign(0, -1), -1, 0, nan, 0.5, inf, 0.5, nan, 0, inf, 3, -inf, 2} {
			b.ClassWeights[5+i%4] = v
			losses := make([]float64, rows)
			_, err := e.Evaluate(t.Context(), b, &Output[float64]{Losses: losses})
			if bad := !(v >= 0 && v <= math.MaxFloat64); bad {
				require.Error(t, err, "%s: weight %v", loss.Name(), v)
				b.ClassWeights[5+i%4] = 1
				continue
			}
			require.NoError(t, err)
			_, want, _ := evalBatch(t, loss, Options{}, b, Output[float64]{})
			require.Equal(t, want, losses, "%s: weight %v", loss.Name(), v)
		}
	}
}

// TestReuse: an Evaluator gives the same results after batches of other sizes, other
// labels, masks and weights, and after batches that failed.
func TestReuse(t *testing.T) { kerneltest.ForBothTypes(t, testReuse[float32], testReuse[float64]) }

func testReuse[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	batches := 100
	if testing.Short() {
		batches = 10
	}
	for _, loss := range []Loss{ZLPR{}, BCE{}, BCE{Focal: 2}, Pairwise{}, SoftmaxCrossEntropy{}} {
		_, one := loss.(SoftmaxCrossEntropy)
		of, soft := loss.(BCE)
		soft = one || soft && of.Focal == 0
		for _, workers := range []int{1, 3} {
			opts := Options{Workers: workers, Reduction: Reduction(rng.IntN(2))}
			used, err := NewEvaluator[T](loss, opts)
			require.NoError(t, err)
			for range batches {
				rows, n := 1+rng.IntN(600), 1+rng.IntN(100)
				switch rng.IntN(4) {
				case 0, 1:
					n = 1 + rng.IntN(kernel.ShortRow)
				case 2:
					n = 9 // once more
				}
				x, y := make([]T, rows*n), make([]uint8, rows*n)
				targets := make([]int32, rows)
				for i := range x {
					x[i], y[i] = T(rng.NormFloat64()), uint8(rng.IntN(2))
				}
				if one {
					clear(y)
					for i := range targets {
						targets[i] = int32(rng.IntN(n))
						y[i*n+int(targets[i])] = 1
					}
				}
				batch := &Batch[T]{Scores: Matrix[T]{rows, n, x, n}}
				bad := -1
				if rng.IntN(4) == 0 {
					bad = rng.IntN(rows)
					y[bad*n] = 7
				}
				batch.Labels = &DenseLabels[uint8]{rows, n, y, n}
				if one && bad < 0 && rng.IntN(4) > 0 {
					batch.Labels = &TargetLabels{n, targets}
				}
				if soft && bad < 0 && rng.IntN(2) == 0 {
					batch.Labels, batch.Soft = nil, Matrix[T]{rows, n, make([]T, rows*n), n}
					for i := range batch.Soft.Data {
						batch.Soft.Data[i] = T(rng.Float64())
						if rng.IntN(500) == 0 {
							batch.Soft.Data[i] = 1e-25 // all of them are looked at one by one then
						}
					}
				}
				if rng.IntN(3) == 0 {
					batch.RowWeights = make([]float64, rows)
					for i := range batch.RowWeights {
						batch.RowWeights[i] = float64(rng.IntN(3))
					}
				}
				if rng.IntN(3) == 0 {
					ones := make([]uint8, rows*n)
					for i := range ones {
						ones[i] = 1
					}
					batch.Mask = &DenseLabels[uint8]{rows, n, ones, n}
				}
				out := func() *Output[T] {
					o := &Output[T]{Losses: make([]float64, rows)}
					if rng.IntN(2) == 0 {
						o.Grad = Matrix[T]{rows, n, make([]T, rows*n), n}
					}
					return o
				}
				got := out()
				result, err := used.Evaluate(context.Background(), batch, got)
				if bad >= 0 {
					require.Equal(t, notBinary(bad, 0, 7), err)
					continue
				}
				require.NoError(t, err)
				fresh, err := NewEvaluator[T](loss, opts)
				require.NoError(t, err)
				want := &Output[T]{Losses: make([]float64, rows), Grad: got.Grad}
				if got.Grad.Data != nil {
					want.Grad.Data = make([]T, rows*n)
				}
				wantResult, err := fresh.Evaluate(context.Background(), batch, want)
				require.NoError(t, err)
				require.Equal(t, wantResult, result)
				require.Equal(t, want, got)
			}
		}
	}
}

// spoiltLabels do what spoil does when the last rows are read. The first rows wait
// for that, so that the goroutine of the caller, which begins with them, is not
// the one that reads the last.
type spoiltLabels struct {
	BitLabels
	spoil   func()
	reached chan bool
}

func (l *spoiltLabels) ReadRows(dst []uint64, r0, r1 int) error {
	switch {
	case r1 == l.Rows:
		l.reached <- true
		l.spoil()
	case r0 == 0:
		<-l.reached
	}
	return l.BitLabels.ReadRows(dst, r0, r1)
}

// A panic of labels that a worker reads reaches the caller with its value, and
// Goexit in a worker is an error. The evaluator goes on to work.
func TestWorkerFaults(t *testing.T) {
	const rows, classes = 2000, 41
	labels := &spoiltLabels{reached: make(chan bool, 1), BitLabels: BitLabels{Rows: rows, Cols: classes, Words: make([]uint64, rows), Stride: 1}}
	b := &Batch[float32]{Labels: labels,
		Scores: Matrix[float32]{Rows: rows, Cols: classes, Stride: classes, Data: make([]float32, rows*classes)}}
	e, err := NewEvaluator[float32](ZLPR{}, Options{Workers: 2})
	require.NoError(t, err)
	for range 3 {
		labels.spoil = func() { panic(labels) }
		require.PanicsWithValue(t, labels, func() { _, _ = e.Evaluate(t.Context(), b, nil) })
		labels.spoil = runtime.Goexit
		_, err = e.Evaluate(t.Context(), b, nil)
		require.ErrorContains(t, err, "Goexit")
		labels.spoil = func() {}
		_, err = e.Evaluate(t.Context(), b, nil)
		require.NoError(t, err)
	}
}

// waitingLabels let a test use the evaluator while they are read.
type waitingLabels struct {
	BitLabels
	reached, goOn chan bool
}

func (l *waitingLabels) ReadRows(dst []uint64, r0, r1 int) error {
	l.reached <- true
	<-l.goOn
	return l.BitLabels.ReadRows(dst, r0, r1)
}

// TestOneGoroutine: while a goroutine evaluates, another gets an error, and the first
// its own results.
func TestOneGoroutine(t *testing.T) {
	e, err := NewEvaluator[float64](ZLPR{}, Options{Workers: 1})
	require.NoError(t, err)
	labels := &waitingLabels{BitLabels{1, 2, []uint64{1}, 1}, make(chan bool), make(chan bool)}
	b := &Batch[float64]{Scores: Matrix[float64]{1, 2, []float64{1, 2}, 2}, Labels: labels}
	done := make(chan error)
	var r Result
	go func() {
		var err error
		r, err = e.Evaluate(t.Context(), b, nil)
		done <- err
	}()
	<-labels.reached
	_, err = e.Evaluate(t.Context(), b, nil)
	require.ErrorContains(t, err, "used by two goroutines")
	labels.goOn <- true
	require.NoError(t, <-done)
	require.InDelta(t, math.Log1p(math.Exp(2))+math.Log1p(math.Exp(-1)), r.Sum, 1e-14)
}

// TestMisuse: what has not been made, and memory that is used twice, are errors.
func TestMisuse(t *testing.T) {
	_, err := NewEvaluator[float64](nil, Options{})
	require.ErrorContains(t, err, "without a loss")
	_, err = NewEvaluator[float64]((*ZLPR)(nil), Options{})
	require.ErrorContains(t, err, "without a loss")
	for _, none := range []Bits{(*DenseLabels[uint8])(nil), (*BitLabels)(nil), (*SparseLabels)(nil), (*TargetLabels)(nil), (*LengthMask)(nil), (*SpanMask)(nil)} {
		e, err := NewEvaluator[float64](ZLPR{}, Options{})
		require.NoError(t, err)
		b := Batch[float64]{Scores: Matrix[float64]{1, 2, []float64{1, 2}, 2}, Labels: none}
		_, err = e.Evaluate(t.Context(), &b, nil)
		require.ErrorContains(t, err, "Batch.Labels: 0 rows × 0 classes, want 1 × 2")
		b.Labels, b.Mask = &BitLabels{1, 2, []uint64{1}, 1}, none
		_, err = e.Evaluate(t.Context(), &b, nil)
		require.ErrorContains(t, err, "Batch.Mask: 0 rows × 0 classes, want 1 × 2")
	}
	var a Accumulator[float32]
	require.PanicsWithValue(t, "zlpr: Merge of a nil Accumulator", func() { a.Merge(nil) })
	a.Add([]float32{1}) // is not in use
	a.Merge(&a)
	require.InDelta(t, 1+math.Ln2, a.LogSumExp(), 1e-6)
	require.PanicsWithValue(t, "zlpr: Merge of a nil Total", func() { new(Total).Merge(nil) })
	x := Matrix[float64]{2, 2, make([]float64, 4), 2}
	b := &Batch[float64]{Scores: x, Labels: &BitLabels{2, 2, []uint64{1, 0}, 1}, Thresholds: make([]float64, 2)}
	var zero Evaluator[float64]
	_, err = zero.Evaluate(t.Context(), b, nil)
	require.ErrorContains(t, err, "NewEvaluator")
	e, err := NewEvaluator[float64](ZLPR{}, Options{})
	require.NoError(t, err)
	_, err = e.Evaluate(t.Context(), nil, nil)
	require.ErrorContains(t, err, "without a context or a batch")
	_, err = e.Evaluate(t.Context(), &Batch[float64]{Scores: Matrix[float64]{Rows: math.MaxInt32}, Labels: &BitLabels{Rows: math.MaxInt32}}, nil)
	require.ErrorContains(t, err, "rows without columns")

	memory := make([]float64, 10)
	grad := Matrix[float64]{2, 2, memory[:4], 2}
	for name, c := range map[string]struct {
		change func(b *Batch[float64])
		out    Output[float64]
	}{
		"Output.Grad: overlap Batch.Thresholds":       {func(b *Batch[float64]) { b.Thresholds = memory[1:3] }, Output[float64]{Grad: grad}},
		"Output.Grad: overlap Batch.RowWeights":       {func(b *Batch[float64]) { b.RowWeights = memory[3:5] }, Output[float64]{Grad: grad}},
		"Output.Grad: overlap Batch.ClassWeights":     {func(b *Batch[float64]) { b.ClassWeights = memory[3:5] }, Output[float64]{Grad: grad}},
		"Output.ThresholdGrad: overlap Output.Grad":   {nil, Output[float64]{Grad: grad, ThresholdGrad: memory[3:5]}},
		"Output.ThresholdGrad: overlap Batch.Scores":  {nil, Output[float64]{ThresholdGrad: x.Data[2:4]}},
		"Output.ThresholdGrad: overlap Output.Losses": {nil, Output[float64]{Losses: memory[5:7], ThresholdGrad: memory[6:8]}},
		"Output.Losses: overlap Output.Grad":          {nil, Output[float64]{Grad: grad, Losses: memory[2:4]}},
	} {
		changed := *b
		if c.change != nil {
			c.change(&changed)
		}
		_, err := e.Evaluate(t.Context(), &changed, &c.out)
		require.ErrorContains(t, err, name)
	}
	_, err = e.Evaluate(t.Context(), b, &Output[float64]{Grad: grad})
	require.NoError(t, err)
}

// TestRowUpstream: a factor a row, of any sign, multiplies the row's gradients, as
// one for all does, together with row weights and Upstream; losses stay.
func TestRowUpstream(t *testing.T) {
	const rows, n = 300, 17
	r := rand.New(rand.NewPCG(61, 62))
	b := &Batch[float64]{Scores: Matrix[float64]{rows, n, make([]float64, rows*n), n}, Labels: &BitLabels{Rows: rows, Cols: n, Words: make([]uint64, rows)}}
	for i := range b.Scores.Data {
		b.Scores.Data[i] = 3 * r.NormFloat64()
	}
	factors := make([]float64, rows)
	for i := range factors {
		b.Labels.(*BitLabels).Words[i] = r.Uint64() & r.Uint64() & (1<<n - 1)
		factors[i] = []float64{1, -1, 0, 0.25, -8}[r.IntN(5)] // exact
		b.RowWeights = append(b.RowWeights, float64(r.IntN(3)))
	}
	for _, loss := range []Loss{ZLPR{}, BCE{}, BCE{Focal: 2}, Pairwise{Gamma: 2}, Subset{}} {
		e, err := NewEvaluator[float64](loss, Options{Workers: 2})
		require.NoError(t, err)
		out := func(f []float64) *Output[float64] {
			return &Output[float64]{Losses: make([]float64, rows), Grad: Matrix[float64]{rows, n, make([]float64, rows*n), n}, Upstream: 0.5, RowUpstream: f}
		}
		plain, scaled := out(nil), out(factors)
		want, err := e.Evaluate(t.Context(), b, plain)
		require.NoError(t, err)
		got, err := e.Evaluate(t.Context(), b, scaled)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, plain.Losses, scaled.Losses)
		for i, g := range scaled.Grad.Data {
			require.InEpsilon(t, 1+plain.Grad.Data[i]*factors[i/n], 1+g, 1e-14, "%s, row %d", loss.Name(), i/n)
		}
	}
	e, err := NewEvaluator[float64](ZLPR{}, Options{})
	require.NoError(t, err)
	_, err = e.Evaluate(t.Context(), b, &Output[float64]{RowUpstream: factors[1:]})
	require.ErrorContains(t, err, "Output.RowUpstream")
	factors[7] = math.NaN()
	_, err = e.Evaluate(t.Context(), b, &Output[float64]{RowUpstream: factors})
	require.ErrorContains(t, err, "Output.RowUpstream: NaN of row 7")
}
