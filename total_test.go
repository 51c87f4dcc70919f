package zlpr

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTotal: rows that are cut into batches, of several evaluators, and merged in
// any order have the result of one batch, bit for bit.
func TestTotal(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 14))
	for range 100 {
		rows, n := 1+rng.IntN(300), 1+rng.IntN(70)
		b := &Batch[float32]{Scores: Matrix[float32]{rows, n, make([]float32, rows*n), n}}
		labels, mask := make([]uint8, rows*n), make([]uint8, rows*n)
		b.RowWeights = make([]float64, rows)
		for i := range labels {
			b.Scores.Data[i] = float32(3 * rng.NormFloat64())
			mask[i] = uint8(rng.IntN(2))
			labels[i] = mask[i] & uint8(rng.IntN(2))
		}
		for i := range b.RowWeights {
			b.RowWeights[i] = float64(rng.IntN(4)) * math.Ldexp(rng.Float64(), rng.IntN(200)-100)
		}
		if rng.IntN(2) == 0 {
			b.RowWeights = nil
		}
		b.Labels = &DenseLabels[uint8]{rows, n, labels, n}
		b.Mask = &DenseLabels[uint8]{rows, n, mask, n}
		reduction := Reduction(rng.IntN(3))
		var whole Total
		v, err := NewEvaluator[float32](ZLPR{}, Options{Reduction: reduction, Workers: 1 + rng.IntN(4)})
		require.NoError(t, err)
		want, wantErr := v.Evaluate(context.Background(), b, &Output[float32]{Total: &whole})

		var totals [3]Total
		v, err = NewEvaluator[float32](ZLPR{}, Options{})
		require.NoError(t, err)
		for r0 := 0; r0 < rows; {
			r1 := r0 + 1 + rng.IntN(rows-r0)
			part := &Batch[float32]{Scores: Matrix[float32]{r1 - r0, n, b.Scores.Data[r0*n:], n},
				Labels: &DenseLabels[uint8]{r1 - r0, n, labels[r0*n:], n}, Mask: &DenseLabels[uint8]{r1 - r0, n, mask[r0*n:], n}}
			if b.RowWeights != nil {
				part.RowWeights = b.RowWeights[r0:r1]
			}
			_, err := v.Evaluate(context.Background(), part, &Output[float32]{Total: &totals[rng.IntN(3)]})
			require.NoError(t, err)
			r0 = r1
		}
		totals[2].Merge(&totals[0])
		totals[2].Merge(&totals[1])
		got, err := totals[2].Result(reduction)
		require.Equal(t, wantErr, err)
		require.Equal(t, want, got)
		if wantErr == nil {
			got, err = whole.Result(reduction)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	}
}

// TestTotalOfNothing: no rows, rows that do not count, and an error.
func TestTotalOfNothing(t *testing.T) {
	var total Total
	r, err := total.Result(Sum)
	require.NoError(t, err)
	require.Equal(t, Result{}, r)
	_, err = total.Result(Mean)
	require.Equal(t, ErrNoRows, err)
	_, err = total.Result(Mean + 1)
	require.EqualError(t, err, "zlpr: Reduction: 3, want None, Sum or Mean")

	v, err := NewEvaluator[float64](ZLPR{}, Options{})
	require.NoError(t, err)
	b := &Batch[float64]{Scores: Matrix[float64]{2, 1, []float64{1, math.NaN()}, 1}, RowWeights: []float64{0, 1},
		Labels: &DenseLabels[uint8]{2, 1, []uint8{1, 1}, 1}}
	r, err = v.Evaluate(context.Background(), b, &Output[float64]{Total: &total})
	require.NoError(t, err)
	require.True(t, math.IsNaN(r.Sum))
	require.Equal(t, 1, r.Rows)
	require.Zero(t, r.Min, "NaN is neither smallest nor largest")
	before := total
	b.Labels = &DenseLabels[uint8]{2, 1, []uint8{1, 2}, 1}
	_, err = v.Evaluate(context.Background(), b, &Output[float64]{Total: &total})
	var e *DataError
	require.ErrorAs(t, err, &e)
	require.Equal(t, DataError{1, 0, LabelNotBinary, "label 2 is neither 0 nor 1"}, *e)
	require.Equal(t, before, total, "an error adds nothing")
}

// TestMeanOfAnyWeights: weights of any size leave the mean as it is; a gradient
// that cannot be divided by their sum is an error.
func TestMeanOfAnyWeights(t *testing.T) {
	scores := Matrix[float64]{3, 2, []float64{1, -2, 0.5, 3, -1, 0.25}, 2}
	b := &Batch[float64]{Scores: scores, Labels: &TargetLabels{Classes: 2, Targets: []int32{0, 1, 1}}}
	v, err := NewEvaluator[float64](ZLPR{}, Options{Reduction: Mean})
	require.NoError(t, err)
	b.RowWeights = []float64{1, 1, 1}
	want, err := v.Evaluate(context.Background(), b, nil)
	require.NoError(t, err)
	grad := Matrix[float64]{3, 2, make([]float64, 6), 2}
	for _, weight := range []float64{5e-324, 0x1p-1070, 0x1p-1000, 0x1p1000, 0x1p1023} {
		b.RowWeights = []float64{weight, weight, weight}
		got, err := v.Evaluate(context.Background(), b, nil)
		require.NoError(t, err)
		require.InEpsilon(t, want.Loss, got.Loss, 0x1p-52, "%v", weight)
		_, err = v.Evaluate(context.Background(), b, &Output[float64]{Grad: grad})
		if s := 1 / (3 * weight); s > 0 && !math.IsInf(s, 1) {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, "zlpr: Batch.RowWeights: they add up to")
		}
	}
}
