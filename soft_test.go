package zlpr

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/ref"
)

// softLosses are the losses that take hard labels and soft ones.
var softLosses = []Loss{BCE{}, BCE{Threshold: 1.25}, BCE{PositiveWeight: []float64{3}}, SoftmaxCrossEntropy{}}

// softReference returns what a loss with soft labels is, and the terms of which its
// derivatives are differences.
func softReference(loss Loss, row ref.Row) (want ref.Result, terms []float64) {
	var exact []*big.Float
	switch l := loss.(type) {
	case BCE:
		row.Threshold = l.Threshold
		var w []float64
		if len(l.PositiveWeight) == 1 {
			for range row.Scores {
				w = append(w, l.PositiveWeight[0])
			}
		}
		want, exact = row.SoftBCE(w)
	case SoftmaxCrossEntropy:
		want, exact = row.SoftSoftmax()
	}
	for _, x := range exact {
		f, _ := x.Float64()
		terms = append(terms, f)
	}
	return want, terms
}

// softBatch returns rows with soft labels.
func softBatch[T Float](r *rand.Rand, rows, n int) *Batch[T] {
	x, _ := pathRows[T](r, rows, n)
	b := &Batch[T]{Scores: Matrix[T]{rows, n, x, n}}
	b.Soft = newGrad(b)
	small := []float64{1e-30, 1e-18, 0.5}[r.IntN(3)] // the kernels take none below 2^-70
	for k := range b.Soft.Data {
		b.Soft.Data[k] = T([]float64{0, 1, 0.25, small, r.Float64()}[r.IntN(5)])
	}
	return b
}

func testSoftLabels[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(71, 72))
	ulp, smallest := unitsOf[T]()
	for _, n := range []int{1, 2, 3, 17, 64, 65, 130} {
		for _, loss := range softLosses {
			b := softBatch[T](r, 3, n)
			if r.IntN(2) == 0 {
				for range n {
					b.ClassWeights = append(b.ClassWeights, 0.5+r.Float64())
				}
			}
			_, losses, grad := evalBatch(t, loss, Options{}, b, Output[T]{})
			for i := range b.Scores.Rows {
				c := lossCase[T]{scores: b.Scores.Row(i), soft: b.Soft.Row(i), weights: b.ClassWeights}
				want, terms := softReference(loss, c.row())
				if l, _ := want.Loss.Float64(); l > 0x1p-1000 {
					require.Less(t, ref.RelError(losses[i], want.Loss, ulp), 4.0, "%+v n=%d", loss, n)
				}
				for j, g := range grad[i*n:][:n] {
					if terms[j] >= smallest {
						require.Less(t, ref.AbsError(float64(g), want.Grad[j], ref.New(terms[j]), ulp), 4.0, "%+v n=%d class %d", loss, n, j)
					}
				}
			}
		}
	}
}

// TestSoftLabels compares losses and gradients of soft labels with the reference.
func TestSoftLabels(t *testing.T) {
	t.Run("float32", testSoftLabels[float32])
	t.Run("float64", testSoftLabels[float64])
}

// TestSoftBits: the results have the same bits for any number of workers, with the
// gradient in place of the scores, and wherever they are computed.
func TestSoftBits(t *testing.T) {
	want := map[string]uint64{
		"bce float32": 0xaa1fb9f78d1f97ad, "softmax float32": 0x4de81043103ac05a, "bce float64": 0x7b8e2f25a8fb52ee, "softmax float64": 0x9089b7b59317a954,
	}
	forEachTier(t, func(t *testing.T) {
		for _, loss := range []Loss{BCE{}, SoftmaxCrossEntropy{}} {
			require.Equal(t, want[loss.Name()+" float32"], softHash[float32](t, loss), "%s float32", loss.Name())
			require.Equal(t, want[loss.Name()+" float64"], softHash[float64](t, loss), "%s float64", loss.Name())
		}
	})
}

func softHash[T Float](t *testing.T, loss Loss) uint64 {
	r := rand.New(rand.NewPCG(73, 74))
	h := fnv.New64a()
	for _, n := range []int{1, 5, 33, 64, 70, 300} {
		b := softBatch[T](r, 40, n)
		_, losses, grad := evalBatch(t, loss, Options{Workers: 1}, b, Output[T]{})
		in := *b
		in.Scores.Data = append([]T(nil), b.Scores.Data...)
		out := Output[T]{Losses: make([]float64, 40), Grad: in.Scores}
		e, err := NewEvaluator[T](loss, Options{Workers: 3})
		require.NoError(t, err)
		_, err = e.Evaluate(context.Background(), &in, &out)
		require.NoError(t, err)
		for i, l := range losses {
			require.Equal(t, math.Float64bits(l), math.Float64bits(out.Losses[i]), "%s n=%d", loss.Name(), n)
			fmt.Fprintf(h, "%x ", math.Float64bits(l))
		}
		for i, g := range grad {
			require.Equal(t, math.Float64bits(float64(g)), math.Float64bits(float64(out.Grad.Data[i])), "%s n=%d", loss.Name(), n)
			fmt.Fprintf(h, "%x ", math.Float64bits(float64(g)))
		}
	}
	return h.Sum64()
}

// TestSoftErrors: soft labels that are none, or not wanted.
func TestSoftErrors(t *testing.T) {
	nan := math.NaN()
	b := func(soft ...float64) *Batch[float64] {
		return &Batch[float64]{Scores: MatrixOf([][]float64{{1, 2, 3}}), Soft: MatrixOf([][]float64{soft})}
	}
	both := b(0, 1, 0)
	both.Labels = &DenseLabels[bool]{1, 3, []bool{true, false, false}, 3}
	masked := b(0, 0.5, 0)
	masked.Mask = &DenseLabels[bool]{1, 3, []bool{true, false, true}, 3}
	for _, c := range []struct {
		loss  Loss
		opts  Options
		batch *Batch[float64]
		want  string
	}{
		{BCE{}, Options{}, b(0, nan, 0), "row 0, class 1"},
		{BCE{}, Options{}, b(0, 0, -0.5), "row 0, class 2"},
		{SoftmaxCrossEntropy{}, Options{}, b(-1, 0, 0), "row 0, class 0"},
		{SoftmaxCrossEntropy{}, Options{}, b(0, 0, 1.5), "row 0, class 2"},
		{SoftmaxCrossEntropy{}, Options{}, masked, "row 0, class 1"},
		{SoftmaxCrossEntropy{}, Options{}, b(0, 1), "Batch.Soft"},
		{BCE{}, Options{}, both, "Batch.Soft"},
		{BCE{Focal: 2}, Options{}, b(0, 1, 0), "Batch.Soft"},
		{BCE{}, Options{TopNegatives: 1}, b(0, 1, 0), "Batch.Soft"},
		{Pairwise{}, Options{}, b(0, 1, 0), "Batch.Labels"},
	} {
		e, err := NewEvaluator[float64](c.loss, c.opts)
		require.NoError(t, err)
		_, err = e.Evaluate(context.Background(), c.batch, nil)
		require.ErrorContains(t, err, c.want, "%+v", c.loss)
	}
}

// TestSoftErrorPlaces: a wrong soft label is found wherever it is, by its row and class, in
// rows that go by columns, by whole rows and by blocks; labels at the ends of what is right
// are none.
func TestSoftErrorPlaces(t *testing.T) {
	forEachTier(t, func(t *testing.T) {
		t.Run("float32", testSoftErrorPlaces[float32])
		t.Run("float64", testSoftErrorPlaces[float64])
	})
}

func testSoftErrorPlaces[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(51, 52))
	least := T(math.SmallestNonzeroFloat32)
	inf := T(math.Inf(1))
	for _, n := range []int{1, 2, 7, 8, 9, 20, 33, 64, 65, 100, 1000, 5000} {
		rows := 1 + 300/n
		b := &Batch[T]{Scores: Matrix[T]{rows, n, make([]T, rows*n), n}, Soft: Matrix[T]{rows, n, make([]T, rows*n), n}}
		for i := range b.Scores.Data {
			b.Scores.Data[i] = T(r.NormFloat64())
			b.Soft.Data[i] = []T{0, T(math.Copysign(0, -1)), least, 1, T(r.Float64())}[r.IntN(5)]
		}
		for _, loss := range []Loss{SoftmaxCrossEntropy{}, BCE{}, SoftZLPR{}} {
			e, err := NewEvaluator[T](loss, Options{Workers: 1})
			require.NoError(t, err)
			for _, out := range []*Output[T]{nil, {Grad: Matrix[T]{rows, n, make([]T, rows*n), n}}} {
				_, err := e.Evaluate(t.Context(), b, out)
				require.NoError(t, err, "%s, n = %d", loss.Name(), n)
				for _, bad := range []T{inf - inf, inf, -inf, -least, T(math.Nextafter32(1, 2)), -0.25} {
					at := r.IntN(rows * n)
					right := b.Soft.Data[at]
					b.Soft.Data[at] = bad
					_, err := e.Evaluate(t.Context(), b, out)
					require.ErrorContains(t, err, fmt.Sprintf("row %d, class %d", at/n, at%n), "%s, n = %d, label %v", loss.Name(), n, bad)
					b.Soft.Data[at] = right
				}
			}
		}
	}
}

// TestSoftLimits: infinite scores, and labels of nothing.
func TestSoftLimits(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		loss       Loss
		x, t, grad []float64
		want       float64
	}{
		{SoftmaxCrossEntropy{}, []float64{1, 2, 3}, []float64{0, 0, 0}, []float64{0, 0, 0}, 0},
		{SoftmaxCrossEntropy{}, []float64{1, -inf, 1}, []float64{0.5, 0, 0.5}, []float64{0, 0, 0}, math.Ln2},
		{SoftmaxCrossEntropy{}, []float64{1, -inf, 1}, []float64{0.5, 0.5, 0.5}, []float64{0.25, -0.5, 0.25}, inf},
		{SoftmaxCrossEntropy{}, []float64{inf, 1}, []float64{0.5, 0}, []float64{0, 0}, 0},
		{SoftmaxCrossEntropy{}, []float64{inf, 1}, []float64{0.5, 0.5}, []float64{0.5, -0.5}, inf},
		{BCE{}, []float64{inf}, []float64{0.25}, []float64{0.75}, inf},
		{BCE{}, []float64{-inf}, []float64{0.25}, []float64{-0.25}, inf},
		{BCE{}, []float64{-inf, inf}, []float64{0, 1}, []float64{0, 0}, 0},
	} {
		n := len(c.x)
		b := &Batch[float64]{Scores: Matrix[float64]{1, n, c.x, n}, Soft: Matrix[float64]{1, n, c.t, n}}
		_, losses, grad := evalBatch(t, c.loss, Options{}, b, Output[float64]{})
		require.Equal(t, c.want, losses[0], "%+v", c)
		require.Equal(t, c.grad, grad, "%+v", c)
	}
}

// TestSoftEnds: of two terms beyond float64 the derivative is the difference, and a
// weight brings a distance beyond float64 back before it is a loss.
func TestSoftEnds(t *testing.T) {
	evaluate := func(loss BCE, s, soft, weights []float64, s0, rowWeight, upstream float64) (losses, grad []float64) {
		n := len(s)
		_, losses, grad = evalBatch(t, loss, Options{Reduction: Sum}, &Batch[float64]{
			Scores: Matrix[float64]{1, n, s, n}, Soft: Matrix[float64]{1, n, soft, n},
			ClassWeights: weights, Thresholds: []float64{s0}, RowWeights: []float64{rowWeight},
		}, Output[float64]{Upstream: upstream})
		return losses, grad
	}
	_, grad := evaluate(BCE{}, []float64{-8, -8, 8}, []float64{0, 0x1p-20, 1 - 0x1p-20}, []float64{1, 0x1p1022, 0x1p1022}, 0, 0x1p90, 1)
	require.Equal(t, []float64{math.Inf(1), math.Inf(-1)}, grad[1:])
	// Both terms are beyond, (1-t)·σ(1) and -t·w·σ(-1), not what is left of them.
	_, grad = evaluate(BCE{PositiveWeight: []float64{math.E}}, []float64{1}, []float64{0.5}, []float64{0x1p1022}, 0, 0x1p50, 1)
	sigma := 1 / (1 + math.Exp(-1))
	left := 0.5*sigma - 0.5*math.E*(1-sigma) // rounding alone
	require.LessOrEqual(t, math.Abs(left), 0x1p-52)
	require.LessOrEqual(t, math.Abs(grad[0]), math.Ldexp(1, 1023))
	// Labels times weights that add up to more than the numbers.
	_, losses, grad := evalBatch(t, SoftmaxCrossEntropy{}, Options{Reduction: Sum}, &Batch[float64]{
		Scores: Matrix[float64]{1, 3, []float64{0, 0, 0}, 3}, Soft: Matrix[float64]{1, 3, []float64{1, 1, 0}, 3},
		ClassWeights: []float64{math.MaxFloat64, math.MaxFloat64, 1},
	}, Output[float64]{Upstream: 0x1p-10})
	require.Equal(t, math.Inf(1), losses[0])
	for i, want := range []float64{-1. / 3, -1. / 3, 2. / 3} {
		require.InEpsilon(t, math.Ldexp(math.MaxFloat64, -10)*want, grad[i], 0x1p-48)
	}
	losses, _ = evaluate(BCE{PositiveWeight: []float64{4}}, []float64{-math.MaxFloat64}, []float64{1}, []float64{0x1p-12}, math.MaxFloat64, 0.5, 1)
	require.InEpsilon(t, math.MaxFloat64/1024, losses[0], 0x1p-51)
}

// TestSmoothing: smoothed labels are soft ones, exactly, with every format of labels.
func TestSmoothing(t *testing.T) {
	r := rand.New(rand.NewPCG(75, 76))
	const rows, epsilon = 6, 0.125
	for _, n := range []int{2, 8, 64, 128} {
		x, positive := pathRows[float64](r, rows, n)
		for i := range rows {
			copy(positive[i*n:][:n], one(positive[i*n:][:n]))
		}
		targets := &TargetLabels{Classes: n, Targets: make([]int32, rows)}
		for i := range rows {
			for j, p := range positive[i*n:][:n] {
				if p {
					targets.Targets[i] = int32(j)
				}
			}
		}
		for _, loss := range []Loss{BCE{Threshold: 0.5}, ZLPR{Threshold: 0.5}, SoftmaxCrossEntropy{}} {
			b := &Batch[float64]{Scores: Matrix[float64]{rows, n, x, n}, Labels: targets, Smoothing: epsilon}
			_, losses, grad := evalBatch(t, loss, Options{}, b, Output[float64]{})
			dense := *b
			dense.Labels = &DenseLabels[bool]{rows, n, positive, n}
			_, again, gradAgain := evalBatch(t, loss, Options{Workers: 3}, &dense, Output[float64]{})
			require.Equal(t, losses, again)
			require.Equal(t, grad, gradAgain)
			for i := range rows {
				row := ref.Row{Scores: b.Scores.Row(i), Threshold: 0.5, Positive: positive[i*n:][:n]}
				each := epsilon / 2.0
				if loss.Name() == "softmax" {
					each = epsilon / float64(n)
				}
				for _, p := range row.Positive {
					soft := each
					if p {
						soft += 1 - epsilon
					}
					row.Soft = append(row.Soft, soft)
				}
				var want ref.Result
				switch loss.(type) {
				case BCE:
					want, _ = row.SoftBCE(nil)
				case ZLPR:
					want = row.SoftZLPR()
				default:
					want, _ = row.SoftSoftmax()
				}
				require.Less(t, ref.RelError(losses[i], want.Loss, 0x1p-52), 4.0, "%s n=%d", loss.Name(), n)
			}
		}
	}
	for _, c := range []struct {
		loss Loss
		b    Batch[float64]
		opts Options
	}{
		{BCE{}, Batch[float64]{Smoothing: 1}, Options{}},
		{BCE{}, Batch[float64]{Smoothing: -0.1}, Options{}},
		{BCE{}, Batch[float64]{Smoothing: math.NaN()}, Options{}},
		{BCE{Focal: 1}, Batch[float64]{Smoothing: 0.1}, Options{}},
		{Pairwise{}, Batch[float64]{Smoothing: 0.1}, Options{}},
		{ZLPR{}, Batch[float64]{Smoothing: 0.1}, Options{TopNegatives: 1}},
	} {
		c.b.Scores, c.b.Labels = MatrixOf([][]float64{{1, 2}}), &DenseLabels[bool]{1, 2, []bool{true, false}, 2}
		e, err := NewEvaluator[float64](c.loss, c.opts)
		require.NoError(t, err)
		_, err = e.Evaluate(context.Background(), &c.b, nil)
		require.ErrorContains(t, err, "Batch.Smoothing", "%+v", c)
	}
}
