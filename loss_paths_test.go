package zlpr

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
	"github.com/zlpr/zlpr/internal/ref"
)

// This file takes the same rows by every way through the code: alone and among others,
// with and without each output, whatever multiplies the gradient. The loss of a row
// must have the same bits, and the gradient the same bound.

// A path is a way to ask for the losses of rows.
type path[T Float] struct {
	name string
	opts Options
	out  func(b *Batch[T]) Output[T] // with Losses
}

// newGrad returns room for the gradient of a batch.
func newGrad[T Float](b *Batch[T]) Matrix[T] {
	return Matrix[T]{b.Scores.Rows, b.Scores.Cols, make([]T, b.Scores.Rows*b.Scores.Cols), b.Scores.Cols}
}

// pathsOf returns the ways to ask for losses.
func pathsOf[T Float]() []path[T] {
	upstream := func(u float64) func(*Batch[T]) Output[T] {
		return func(b *Batch[T]) Output[T] { return Output[T]{Grad: newGrad(b), Upstream: u} }
	}
	paths := []path[T]{
		{"losses alone", Options{}, func(*Batch[T]) Output[T] { return Output[T]{} }},
		{"mean", Options{Reduction: Mean}, upstream(0)},
		{"sum, three workers", Options{Reduction: Sum, Workers: 3}, upstream(-1)},
		{"accumulated", Options{}, func(b *Batch[T]) Output[T] { return Output[T]{Grad: newGrad(b), Accumulate: true} }},
		{"in place", Options{}, func(b *Batch[T]) Output[T] { return Output[T]{Grad: b.Scores} }},
		{"row upstream", Options{}, func(b *Batch[T]) Output[T] {
			u := make([]float64, b.Scores.Rows)
			for i := range u {
				u[i] = []float64{1, 0, -1e30, 1e-30, 70, 1e300}[i%6]
			}
			return Output[T]{Grad: newGrad(b), RowUpstream: u}
		}},
		{"a wider stride", Options{}, func(b *Batch[T]) Output[T] {
			n := b.Scores.Cols
			return Output[T]{Grad: Matrix[T]{b.Scores.Rows, n, make([]T, b.Scores.Rows*(n+3)), n + 3}}
		}},
	}
	for _, u := range []float64{1, 0x1p-20, 1e-30, 1e-200, 1e-305, 33, 1e6, 1e30, 1e38, 1e200, 1e308} {
		paths = append(paths, path[T]{fmt.Sprintf("upstream %g", u), Options{}, upstream(u)})
	}
	return paths
}

// pathRows returns rows of all magnitudes whose scores and losses are finite.
func pathRows[T Float](r *rand.Rand, rows, n int) (x []T, positive []bool) {
	for range rows {
		center := []float64{0, 0, 0, 3, -40, 60, -80, 90, 300, -300, -699, 1000, 5000, 1e9, -1e30}[r.IntN(15)]
		spread := []float64{0, 0.01, 2, 2, 2, 30}[r.IntN(6)]
		share := []float64{0, 0.1, 0.3, 1}[r.IntN(4)]
		for range n {
			x = append(x, T(center+float64(spread*r.NormFloat64())))
			positive = append(positive, r.Float64() < share)
		}
	}
	return x, positive
}

// pathLosses are the losses with what takes them by all of their ways. Those
// named "softmax…" need a target.
func pathLosses(n int) map[string]Loss {
	losses := testLossesOf(n)
	losses["zlpr far"] = ZLPR{Threshold: 650}
	losses["pairwise wide"] = Pairwise{Gamma: 1e40}
	losses["pairwise narrow"] = Pairwise{Gamma: 1e-33}
	losses["bce far"] = BCE{Threshold: -400.1}
	losses["soft"] = SoftZLPR{}
	losses["soft s0"] = SoftZLPR{Threshold: 2.5}
	losses["subset"] = Subset{}
	losses["padded"] = PaddedSubset{K: n, Threshold: 0.5}
	return losses
}

// pathBatch returns rows as a batch for a loss, with class weights where asked for.
func pathBatch[T Float](r *rand.Rand, loss Loss, rows, n int, weighted bool) *Batch[T] {
	x, positive := pathRows[T](r, rows, n)
	b := &Batch[T]{Scores: Matrix[T]{rows, n, x, n}}
	switch loss.(type) {
	case SoftZLPR:
		b.Soft = newGrad(b)
		for k := range b.Soft.Data {
			b.Soft.Data[k] = T([]float64{0, 1, 0.25, 1e-30, r.Float64()}[r.IntN(5)])
		}
	case SoftmaxCrossEntropy:
		for i := range rows {
			copy(positive[i*n:][:n], one(positive[i*n:][:n]))
		}
	}
	if b.Soft.Data == nil {
		b.Labels = &DenseLabels[bool]{rows, n, positive, n}
	}
	if weighted {
		for range n {
			b.ClassWeights = append(b.ClassWeights, math.Ldexp(1+r.Float64(), r.IntN(9)-4))
		}
	}
	return b
}

// rowOf returns row i of a batch as a batch.
func rowOf[T Float](b *Batch[T], i int) *Batch[T] {
	n := b.Scores.Cols
	row := &Batch[T]{Scores: Matrix[T]{1, n, b.Scores.Row(i), n}, ClassWeights: b.ClassWeights}
	if b.Soft.Data != nil {
		row.Soft = Matrix[T]{1, n, b.Soft.Row(i), n}
	} else {
		row.Labels = &DenseLabels[bool]{1, n, b.Labels.(*DenseLabels[bool]).Data[i*n:][:n], n}
	}
	return row
}

// losses evaluates a batch by a path.
func (p *path[T]) losses(t *testing.T, loss Loss, b *Batch[T]) []float64 {
	t.Helper()
	e, err := NewEvaluator[T](loss, p.opts)
	require.NoError(t, err)
	c := *b
	c.Scores.Data = append([]T(nil), b.Scores.Data...)
	out := p.out(&c)
	out.Losses = make([]float64, b.Scores.Rows)
	_, err = e.Evaluate(t.Context(), &c, &out)
	require.NoError(t, err)
	return out.Losses
}

func requireLosses(t *testing.T, want, got []float64, what string) {
	t.Helper()
	for i, l := range got {
		if math.Float64bits(l) != math.Float64bits(want[i]) {
			t.Fatalf("%s: the loss of row %d is %v, not %v", what, i, l, want[i])
		}
	}
}

func testLossPaths[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(41, 42))
	sizes := []int{1, 2, 5, 8, 16, 17, 33, 64, 130, 1100}
	if testing.Short() {
		sizes = []int{2, 17, 130}
	}
	for _, n := range sizes {
		rows := 1 + min(60, 3000/n)
		losses := pathLosses(n)
		for _, name := range slices.Sorted(maps.Keys(losses)) {
			loss := losses[name]
			for _, weighted := range []bool{false, true} {
				b := pathBatch[T](r, loss, rows, n, weighted)
				alone := path[T]{out: func(*Batch[T]) Output[T] { return Output[T]{} }}
				want := make([]float64, rows)
				restore := forceTier(kernel.Generic)
				for i := range rows {
					want[i] = alone.losses(t, loss, rowOf(b, i))[0]
				}
				restore()
				for _, p := range pathsOf[T]() {
					requireLosses(t, want, p.losses(t, loss, b), fmt.Sprintf("%s n=%d weighted=%v: %s", name, n, weighted, p.name))
				}
			}
		}
	}
}

// TestLossPaths: the bits of a row's loss do not depend on the other rows, on what is
// asked for or on what the gradient is multiplied by.
func TestLossPaths(t *testing.T) {
	kerneltest.ForBothTypes(t, testLossPaths[float32], testLossPaths[float64])
}

// TestLossPathsOfThresholds is TestLossPaths for learned thresholds and their
// derivatives.
func TestLossPathsOfThresholds(t *testing.T) {
	kerneltest.ForBothTypes(t, testLossPathsOfThresholds[float32], testLossPathsOfThresholds[float64])
}

func testLossPathsOfThresholds[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(43, 44))
	for _, n := range []int{1, 5, 17, 130} {
		rows := 1 + min(60, 2000/n)
		for _, loss := range []Loss{ZLPR{}, BCE{}, BCE{Focal: 2}, SoftZLPR{}, PaddedSubset{K: n}} {
			for _, weighted := range []bool{false, true} {
				b := pathBatch[T](r, loss, rows, n, weighted)
				b.Thresholds = make([]T, rows)
				for i := range b.Thresholds {
					b.Thresholds[i] = T([]float64{0, 0.3, -2, 90, -650, 1e4, float64(b.Scores.Row(i)[0])}[r.IntN(7)])
				}
				withGrad := func(u float64, grad bool) path[T] {
					return path[T]{out: func(b *Batch[T]) Output[T] {
						out := Output[T]{ThresholdGrad: make([]T, b.Scores.Rows), Upstream: u}
						if grad {
							out.Grad = newGrad(b)
						}
						return out
					}}
				}
				alone := path[T]{out: func(*Batch[T]) Output[T] { return Output[T]{} }}
				want := make([]float64, rows)
				for i := range rows {
					row := rowOf(b, i)
					row.Thresholds = b.Thresholds[i:][:1]
					want[i] = alone.losses(t, loss, row)[0]
				}
				for _, u := range []float64{1, 70, 1e-30, 1e30, 1e-300, 1e300} {
					for _, grad := range []bool{false, true} {
						p := withGrad(u, grad)
						requireLosses(t, want, p.losses(t, loss, b), fmt.Sprintf("%+v n=%d weighted=%v upstream=%g gradient=%v", loss, n, weighted, u, grad))
					}
				}
			}
		}
	}
}

// TestLossPathsOfLargeBatches: rows whose gradient is written past the caches, or
// that are too long to keep their exponentials.
func TestLossPathsOfLargeBatches(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: large batches")
	}
	kerneltest.ForBothTypes(t, testLossPathsOfLargeBatches[float32], testLossPathsOfLargeBatches[float64])
}

func testLossPathsOfLargeBatches[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(45, 46))
	for _, n := range []int{20, 300, 40000, 1<<17 + 40} {
		rows := streamBytes/4/n + 1
		for _, loss := range []Loss{ZLPR{}, SoftmaxCrossEntropy{}, BCE{}, Pairwise{Gamma: 1.5}} {
			few := min(rows, 30)
			small := pathBatch[T](r, loss, few, n, false)
			large := &Batch[T]{Scores: Matrix[T]{rows, n, make([]T, rows*n), n}}
			labels := &DenseLabels[bool]{rows, n, make([]bool, rows*n), n}
			for i := range rows {
				copy(large.Scores.Row(i), small.Scores.Row(i%few))
				copy(labels.Data[i*n:][:n], small.Labels.(*DenseLabels[bool]).Data[i%few*n:][:n])
			}
			large.Labels = labels
			alone := path[T]{out: func(*Batch[T]) Output[T] { return Output[T]{} }}
			want := make([]float64, rows)
			for i := range few {
				want[i] = alone.losses(t, loss, rowOf(small, i))[0]
			}
			for i := few; i < rows; i++ {
				want[i] = want[i%few]
			}
			for _, u := range []float64{0, 1e30} {
				p := path[T]{opts: Options{Workers: 2}, out: func(b *Batch[T]) Output[T] { return Output[T]{Grad: newGrad(b), Upstream: u} }}
				requireLosses(t, want, p.losses(t, loss, large), fmt.Sprintf("%+v n=%d upstream=%g", loss, n, u))
			}
		}
	}
}

// reference returns what a loss is for a row of the reference.
func reference(loss Loss, row ref.Row) ref.Result {
	switch l := loss.(type) {
	case ZLPR:
		row.Threshold = l.Threshold
		return row.ZLPR()
	case SoftZLPR:
		row.Threshold = l.Threshold
		return row.SoftZLPR()
	case SoftmaxCrossEntropy:
		return row.SoftmaxCrossEntropy()
	case Pairwise:
		if l.Gamma == 0 {
			l.Gamma = 1
		}
		return row.Pairwise(l.Gamma, l.Margin)
	case BCE:
		row.Threshold = l.Threshold
		w := l.PositiveWeight
		return row.BCE(w, l.Focal)
	case ClassBalanced: // whose weights have a bound of their own
		weights := ClassBalancedWeights(l.Counts, l.Beta)
		for j, w := range row.Weights {
			weights[j] *= w
		}
		row.Weights = weights
		return reference(l.Loss, row)
	}
	panic(fmt.Sprintf("no reference for %T", loss))
}

func testGradientPaths[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(47, 48))
	ulp, smallest := unitsOf[T]()
	rounds := 30
	switch {
	case kerneltest.RaceEnabled: // the reference, which runs in one goroutine, takes 15 times as long
		rounds = 1
	case testing.Short():
		rounds = 3
	}
	for round := range rounds {
		n := 1 + r.IntN(20)
		losses := pathLosses(n)
		for _, name := range slices.Sorted(maps.Keys(losses)) {
			loss := losses[name]
			switch loss.(type) {
			case Subset, PaddedSubset: // see subset_accuracy_test.go
				continue
			case DistributionBalanced: // whose bound depends on its parameters: distributionbalanced_test.go
				continue
			}
			b := pathBatch[T](r, loss, 3, n, round%2 == 1)
			var want []ref.Result
			var parts [][]*big.Float // of soft labels: the positive side's terms
			for i := range 3 {
				c := lossCase[T]{scores: b.Scores.Row(i), weights: b.ClassWeights}
				if b.Soft.Data != nil {
					c.soft = b.Soft.Row(i)
				} else {
					c.positive = b.Labels.(*DenseLabels[bool]).Data[i*n:][:n]
				}
				want = append(want, reference(loss, c.row()))
				var p []*big.Float
				if l, soft := loss.(SoftZLPR); soft {
					c.threshold = l.Threshold
					p = softTerms(c.row())
				}
				parts = append(parts, p)
			}
			for _, u := range []float64{1, 0x1p-20, 1e-30, 1e-200, 33, 1e6, 1e30, 1e38, 1e200, 1e308} {
				grad := newGrad(b)
				_, losses, _ := evalBatch(t, loss, Options{}, b, Output[T]{Grad: grad, Upstream: u})
				for i, w := range want {
					what := fmt.Sprintf("%s n=%d upstream=%g row %d", name, n, u, i)
					if l, _ := w.Loss.Float64(); l >= 0x1p-1000 && !math.IsInf(l, 1) {
						require.LessOrEqual(t, ref.RelError(losses[i], w.Loss, ulp), 4.0, what)
					}
					for j, g := range grad.Row(i) {
						exact := ref.Mul(w.Grad[j], ref.New(u))
						scale := new(big.Float).Abs(exact)
						if parts[i] != nil {
							scale = ref.Sub(scale, ref.Mul(parts[i][j], ref.New(u)))
						}
						if scale.Cmp(ref.New(smallest)) < 0 {
							require.LessOrEqual(t, math.Abs(float64(g)), 2*smallest, what)
							continue
						}
						if v, _ := exact.Float64(); math.IsInf(float64(T(v)), 0) || parts[i] != nil && u >= 1e38 {
							continue // or one of the parts may be
						}
						if e := ref.AbsError(float64(g), exact, scale, ulp); e > 4 {
							t.Fatalf("%s: gradient %d is %v, not %v: %.3g ULP\n%v", what, j, g, exact, e, b.Scores.Row(i))
						}
					}
				}
			}
		}
	}
}

// TestGradientPaths: the bounds hold whatever multiplies the gradient.
func TestGradientPaths(t *testing.T) {
	kerneltest.ForBothTypes(t, testGradientPaths[float32], testGradientPaths[float64])
}

// TestThresholdDerivative: the error of the derivative by a learned threshold is below 4
// ULP of the sum of the magnitudes of what it is minus the sum of; so it is where it
// cancels.
func TestThresholdDerivative(t *testing.T) {
	kerneltest.ForBothTypes(t, testThresholdDerivative[float32], testThresholdDerivative[float64])
}

func testThresholdDerivative[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(49, 50))
	ulp, smallest := unitsOf[T]()
	rounds := 150
	if testing.Short() {
		rounds = 20
	}
	worst := 0.0
	check := func(loss Loss, b *Batch[T], upstream, weight float64) {
		n := b.Scores.Cols
		by := make([]T, 1)
		b.RowWeights = []float64{weight}
		evalBatch(t, loss, Options{}, b, Output[T]{ThresholdGrad: by, Upstream: upstream})
		c := lossCase[T]{scores: b.Scores.Data, weights: b.ClassWeights, threshold: float64(b.Thresholds[0])}
		switch l := loss.(type) {
		case ZLPR:
			l.Threshold = c.threshold
			loss = l
		case SoftZLPR:
			l.Threshold = c.threshold
			loss = l
		case BCE:
			l.Threshold = c.threshold
			loss = l
		}
		var parts []*big.Float
		if b.Soft.Data != nil {
			c.soft = b.Soft.Data
			parts = softTerms(c.row())
		} else {
			c.positive = b.Labels.(*DenseLabels[bool]).Data
		}
		want := reference(loss, c.row())
		sum := ref.New(0)
		for j, g := range want.Grad {
			sum = ref.Add(sum, new(big.Float).Abs(g))
			if parts != nil { // |g - p| + |p|
				sum = ref.Add(ref.Sub(sum, new(big.Float).Abs(g)), ref.Sub(new(big.Float).Abs(ref.Sub(g, parts[j])), parts[j]))
			}
		}
		factor := ref.Mul(ref.New(upstream), ref.New(weight))
		sum = ref.Mul(sum, factor)
		if sum.Cmp(ref.New(smallest)) < 0 {
			return
		}
		e := ref.AbsError(float64(by[0]), ref.Mul(want.Threshold, factor), sum, ulp)
		worst = max(worst, e)
		if e > 4 {
			t.Errorf("%+v: %v, not %v: %.3g ULP of %v; %v, threshold %v, n=%d", loss, by[0], want.Threshold, e, sum, b.Scores.Data, b.Thresholds, n)
		}
	}
	for range rounds {
		n := 1 + r.IntN(20)
		for _, loss := range []Loss{ZLPR{}, SoftZLPR{}, BCE{}, BCE{Focal: 1.5}} {
			b := pathBatch[T](r, loss, 1, n, r.IntN(2) == 0)
			b.Thresholds = []T{T([]float64{0, 0.3, -2, 90, float64(b.Scores.Data[0])}[r.IntN(5)])}
			check(loss, b, []float64{1, 0.3, 1e5, 1e-9}[r.IntN(4)], []float64{1, 0.7, 1e4}[r.IntN(3)])
		}
	}
	// Positives and negatives that cancel.
	x := []T{T(1 + 0x1p-20), -1}
	if !kernel.IsFloat32[T]() {
		x[0] = T(1 + 0x1p-30)
	}
	b := &Batch[T]{Scores: Matrix[T]{1, 2, x, 2}, Labels: &DenseLabels[bool]{1, 2, []bool{false, true}, 2}, Thresholds: []T{0}}
	check(ZLPR{}, b, 1, 1)
	check(BCE{}, b, 1, 1)
	t.Logf("worst error %.2f ULP", worst)
}

// TestRowsOfEight: rows of 8 classes without gaps, for which there are kernels of their own,
// have the bits of the same rows with gaps between them, whatever their number, and
// whether their scores are moderate or not.
func TestRowsOfEight(t *testing.T) {
	const n = 8
	forEachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(8, 8))
		for _, loss := range []Loss{ZLPR{}, SoftmaxCrossEntropy{}, Pairwise{}} {
			for _, rows := range []int{1, 7, 8, 9, 255, 256, 263, 1000} {
				for _, spread := range []float64{2, 12} {
					t.Run(fmt.Sprintf("%s/rows=%d/spread=%v", loss.Name(), rows, spread), func(t *testing.T) {
						x, y := make([]float32, rows*n), make([]uint8, rows*n)
						targets := &TargetLabels{n, make([]int32, rows)}
						for i := range x {
							x[i] = float32(spread * r.NormFloat64())
							if r.IntN(4) == 0 {
								y[i] = 1
							}
						}
						for i := range targets.Targets {
							targets.Targets[i] = int32(r.IntN(n))
						}
						b := &Batch[float32]{Scores: Matrix[float32]{rows, n, x, n}, Labels: &DenseLabels[uint8]{rows, n, y, n}}
						if _, one := loss.(SoftmaxCrossEntropy); one {
							b.Labels = targets
						}
						want := evaluateEights(t, loss, b, 0, true)
						require.Equal(t, want, evaluateEights(t, loss, b, 3, true), "with gaps")
						require.Equal(t, want.losses, evaluateEights(t, loss, b, 0, false).losses, "without gradient")
						for what, with := range eightsWith(r, loss, b) {
							require.Equal(t, evaluateEights(t, loss, with, 3, true), evaluateEights(t, loss, with, 0, true), what)
						}
						if b.Labels != targets {
							hard := Options{Workers: 1, TopNegatives: 2}
							require.Equal(t, evaluateEights(t, loss, b, 3, true, hard), evaluateEights(t, loss, b, 0, true, hard), "hard negatives")
						}
						x[len(x)-1] = 1e4
						require.Equal(t, evaluateEights(t, loss, b, 3, true), evaluateEights(t, loss, b, 0, true), "a large score")
					})
				}
			}
		}
	})
}

// eightsWith returns the batch with whatever else counts in these losses, one at a time.
func eightsWith(r *rand.Rand, loss Loss, b *Batch[float32]) map[string]*Batch[float32] {
	rows, n := b.Scores.Rows, b.Scores.Cols
	with := map[string]*Batch[float32]{}
	add := func(what string, set func(*Batch[float32])) {
		c := *b
		set(&c)
		with[what] = &c
	}
	add("class weights", func(c *Batch[float32]) { c.ClassWeights = []float64{0.001, 0.3, 1, 2, 0, 5, 0.7, 0.01} })
	add("small class weights", func(c *Batch[float32]) { c.ClassWeights = slices.Repeat([]float64{0x1p-10}, n) })
	add("row weights", func(c *Batch[float32]) {
		for range rows {
			c.RowWeights = append(c.RowWeights, math.Ldexp(float64(r.IntN(4)), r.IntN(100)-70))
		}
	})
	add("mask", func(c *Batch[float32]) {
		mask := &DenseLabels[uint8]{Rows: rows, Cols: n, Data: slices.Repeat([]uint8{1}, rows*n)}
		if labels, ok := b.Labels.(*DenseLabels[uint8]); ok {
			for i := range mask.Data {
				mask.Data[i] = labels.Data[i] | uint8(r.IntN(2))
			}
		}
		c.Mask = mask
	})
	if _, pairwise := loss.(Pairwise); !pairwise {
		add("smoothing", func(c *Batch[float32]) { c.Smoothing = 0.1 })
	}
	if _, zlpr := loss.(ZLPR); !zlpr {
		return with
	}
	add("thresholds", func(c *Batch[float32]) {
		for range rows {
			c.Thresholds = append(c.Thresholds, float32(r.NormFloat64()))
		}
	})
	return with
}

// evaluated is what an evaluation gives.
type evaluated struct {
	result Result
	losses []float64
	grad   []float32
}

// evaluateEights evaluates the batch with a gap of so many elements between its rows.
func evaluateEights(t *testing.T, loss Loss, b *Batch[float32], gap int, gradient bool, options ...Options) evaluated {
	rows, n := b.Scores.Rows, b.Scores.Cols
	spaced := *b
	spaced.Scores = Matrix[float32]{rows, n, make([]float32, rows*(n+gap)), n + gap}
	for i := range rows {
		copy(spaced.Scores.Data[i*(n+gap):], b.Scores.Data[i*n:][:n])
	}
	out := &Output[float32]{Losses: make([]float64, rows)}
	grad := make([]float32, rows*(n+gap))
	if gradient {
		out.Grad = Matrix[float32]{rows, n, grad, n + gap}
	}
	e, err := NewEvaluator[float32](loss, append(options, Options{Workers: 1})[0])
	require.NoError(t, err)
	result, err := e.Evaluate(context.Background(), &spaced, out)
	require.NoError(t, err)
	v := evaluated{result: result, losses: out.Losses}
	for i := range rows {
		v.grad = append(v.grad, grad[i*(n+gap):][:n]...)
	}
	return v
}
