package zlpr

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
	"github.com/zlpr/zlpr/internal/ref"
)

// subsetBatch is a batch of random rows with mask and weights.
func subsetBatch[T Float](rng *rand.Rand, rows, n int, masked, weighted bool) *Batch[T] {
	scores := Matrix[T]{rows, n, make([]T, rows*(n+3)), n + 3}
	labels := &DenseLabels[bool]{rows, n, make([]bool, rows*n), n}
	mask := &DenseLabels[bool]{rows, n, make([]bool, rows*n), n}
	b := &Batch[T]{Scores: scores, Labels: labels}
	for i := range rows {
		rate, gap := rng.IntN(5), rng.Float64()*20
		for j := range n {
			v := rng.NormFloat64() * 3
			positive := rng.IntN(4) < rate-1+i%2
			if positive {
				v += gap
			}
			mask.Data[i*n+j] = rng.IntN(5) > 0
			if masked && !mask.Data[i*n+j] {
				v, positive = math.NaN(), false
			}
			labels.Data[i*n+j] = positive
			scores.Data[i*(n+3)+j] = T(v)
		}
	}
	if masked {
		b.Mask = mask
	}
	if weighted {
		b.ClassWeights = make([]float64, n)
		for j := range b.ClassWeights {
			b.ClassWeights[j] = math.Exp(rng.NormFloat64())
		}
		b.ClassWeights[0] = 0
	}
	return b
}

// refRow returns row i of a batch for the reference.
func refRow[T Float](b *Batch[T], i int) ref.Row {
	labels := b.Labels.(*DenseLabels[bool])
	r := ref.Row{Weights: b.ClassWeights, Positive: labels.Data[i*labels.Cols:][:labels.Cols]}
	for _, s := range b.Scores.Row(i) {
		r.Scores = append(r.Scores, float64(s))
	}
	if mask, ok := b.Mask.(*DenseLabels[bool]); ok {
		r.Mask = mask.Data[i*mask.Cols:][:mask.Cols]
		for j, in := range r.Mask {
			if !in {
				r.Scores[j] = 0 // not read
			}
		}
	}
	if b.Thresholds != nil {
		r.Threshold = float64(b.Thresholds[i])
	}
	return r
}

func TestSubsetLosses(t *testing.T) {
	forEachTier(t, func(t *testing.T) {
		t.Run("float32", testSubsetLosses[float32])
		t.Run("float64", testSubsetLosses[float64])
	})
}

// testSubsetLosses evaluates both losses on batches of all kinds.
func testSubsetLosses[T Float](t *testing.T) {
	const rows = 7
	ulp, _ := unitsOf[T]()
	gradBound := 1e-13
	if kernel.IsFloat32[T]() {
		gradBound = 1.1 * ulp
	}
	rng := rand.New(rand.NewPCG(3, 8))
	for variant := range 8 {
		for _, n := range []int{1, 6, 33, 70} {
			if testing.Short() && n > 33 && variant&3 != 3 {
				continue // the reference takes long under emulators
			}
			b := subsetBatch[T](rng, rows, n, variant&1 != 0, variant&2 != 0)
			var loss Loss = Subset{}
			thresholdGrad := make([]T, rows)
			out := Output[T]{Upstream: 0.5}
			if variant&4 != 0 {
				loss = PaddedSubset{}
				b.Thresholds = make([]T, rows)
				for i := range b.Thresholds {
					b.Thresholds[i] = T(rng.NormFloat64() * 4)
				}
				out.ThresholdGrad = thresholdGrad
			}
			most := 0
			var want []ref.Row
			for i := range rows {
				r := refRow(b, i)
				want = append(want, r)
				k := 0
				for j, p := range r.Positive {
					if p && (r.Weights == nil || r.Weights[j] > 0) {
						k++
					}
				}
				most = max(most, k)
			}
			_, losses, grad := evalBatch(t, loss, Options{Reduction: Sum, Workers: 2}, b, out)
			for i, r := range want {
				result := r.Subset()
				if variant&4 != 0 {
					result = r.PaddedSubset(most)
				}
				what := fmt.Sprintf("%s variant %d, n %d, row %d", loss.Name(), variant, n, i)
				if v := toFloat(result.Loss); v == 0 {
					assert.Zero(t, losses[i], what)
				} else {
					assert.LessOrEqual(t, relativeError(losses[i], result.Loss), 1e-13, what)
				}
				for j, g := range result.Grad {
					got, want := float64(grad[i*n+j]), toFloat(g)*0.5
					if math.Abs(want) < 1e-30 {
						assert.InDelta(t, want, got, 1e-35, what)
					} else {
						assert.InEpsilon(t, want, got, gradBound, "%s class %d", what, j)
					}
				}
				if variant&4 != 0 {
					size := 1e-30
					for _, g := range result.Grad {
						size += math.Abs(toFloat(g))
					}
					assert.InDelta(t, toFloat(result.Threshold)*0.5, float64(thresholdGrad[i]), gradBound*size, what)
				}
			}
		}
	}
}

// TestSubsetLossFamily checks the losses against each other through the
// evaluator: BCE is the padded one with as many picks as classes, softmax
// cross-entropy the subset one of a single positive, and the order of the family.
func TestSubsetLossFamily(t *testing.T) {
	const rows, n = 40, 30
	rng := rand.New(rand.NewPCG(3, 9))
	b := subsetBatch[float64](rng, rows, n, true, false)
	losses := func(loss Loss) ([]float64, []float64) {
		_, l, g := evalBatch(t, loss, Options{}, b, Output[float64]{})
		return l, g
	}
	bce, bceGrad := losses(BCE{Threshold: 0.7})
	all, allGrad := losses(PaddedSubset{K: n, Threshold: 0.7})
	some, _ := losses(PaddedSubset{K: n - 2, Threshold: 0.7})
	classes, _ := losses(Subset{})
	pairwise, _ := losses(Pairwise{})
	zlpr, _ := losses(ZLPR{Threshold: 0.7})
	for i := range rows {
		assert.InEpsilon(t, bce[i], all[i], 1e-14)
		assert.LessOrEqual(t, pairwise[i], classes[i]*(1+1e-12))
		assert.LessOrEqual(t, classes[i], some[i]*(1+1e-12))
		assert.LessOrEqual(t, some[i], bce[i]*(1+1e-12))
		assert.LessOrEqual(t, zlpr[i], bce[i]*(1+1e-12))
	}
	for i := range bceGrad {
		assert.InDelta(t, bceGrad[i], allGrad[i], 1e-14)
	}

	labels := b.Labels.(*DenseLabels[bool])
	clear(labels.Data)
	b.Mask = nil
	for i := range b.Scores.Data {
		b.Scores.Data[i] = rng.NormFloat64()
	}
	for i := range rows {
		labels.Data[i*n+rng.IntN(n)] = true
	}
	softmax, softmaxGrad := losses(SoftmaxCrossEntropy{})
	one, oneGrad := losses(Subset{})
	assert.InEpsilonSlice(t, softmax, one, 1e-14)
	assert.InDeltaSlice(t, softmaxGrad, oneGrad, 1e-14)
}

func TestSubsetLossErrors(t *testing.T) {
	for _, l := range []Loss{PaddedSubset{K: -1}, PaddedSubset{Threshold: math.NaN()}} {
		_, err := NewEvaluator[float32](l, Options{})
		assert.Error(t, err)
	}
	assert.Equal(t, "subset", Subset{}.Name())
	assert.Equal(t, "subset-padded", PaddedSubset{}.Name())

	// K below the labels of row 2.
	scores := Matrix[float64]{3, 3, make([]float64, 9), 3}
	labels := &DenseLabels[uint8]{3, 3, []uint8{1, 0, 0, 1, 0, 1, 1, 1, 1}, 3}
	e, err := NewEvaluator[float64](PaddedSubset{K: 2}, Options{})
	require.NoError(t, err)
	_, err = e.Evaluate(context.Background(), &Batch[float64]{Scores: scores, Labels: labels}, &Output[float64]{})
	var data *DataError
	require.True(t, errors.As(err, &data), "%v", err)
	assert.Equal(t, DataError{2, -1, LabelsAboveK, manyPositives}, *data)

	// Infinite and NaN scores, and thresholds.
	inf := math.Inf(1)
	for _, c := range []struct {
		scores    []float64
		threshold float64
		loss      Loss
		want      float64
	}{
		{[]float64{inf, 0, 1}, 0, Subset{}, inf}, // the positive is class 1
		{[]float64{-inf, 0, -inf}, 0, Subset{}, 0},
		{[]float64{0, -inf, 1}, 0, Subset{}, inf},
		{[]float64{0, math.NaN(), 1}, 0, Subset{}, math.NaN()},
		{[]float64{0, inf, 1}, 0, PaddedSubset{}, 0},
		{[]float64{0, 1, 1}, math.NaN(), PaddedSubset{}, math.NaN()},
		{[]float64{0, 1, 1}, inf, PaddedSubset{}, math.NaN()},
	} {
		b := &Batch[float64]{Scores: Matrix[float64]{1, 3, c.scores, 3}, Labels: &DenseLabels[uint8]{1, 3, []uint8{0, 1, 0}, 3}}
		if _, padded := c.loss.(PaddedSubset); padded {
			b.Thresholds = []float64{c.threshold}
		}
		_, losses, _ := evalBatch(t, c.loss, Options{}, b, Output[float64]{})
		assert.Equal(t, fmt.Sprint(c.want), fmt.Sprint(losses[0]), "%v", c)
	}
}

func TestSubsetLossAllocations(t *testing.T) {
	if runtime.GOARCH == "s390x" {
		t.Skip("the compiler moves an array of eight elements to the heap here")
	}
	rng := rand.New(rand.NewPCG(3, 10))
	b := subsetBatch[float32](rng, 20, 50, true, true)
	for _, l := range []Loss{Subset{}, PaddedSubset{Threshold: 0.5}} {
		e, err := NewEvaluator[float32](l, Options{Reduction: Sum, Workers: 1})
		require.NoError(t, err)
		out := &Output[float32]{Losses: make([]float64, 20), Grad: Matrix[float32]{20, 50, make([]float32, 1000), 50}}
		run := func() {
			_, err := e.Evaluate(context.Background(), b, out)
			require.NoError(t, err)
		}
		assert.Zero(t, kerneltest.SteadyAllocs(20, run), l.Name())
	}
}
