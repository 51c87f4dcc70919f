package metrics

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
)

// TestHalf compares all metrics, predictions, probabilities and thresholds of 16-bit
// scores with those of the float32 of the same values.
func TestHalf(t *testing.T) {
	t.Run("bfloat16", testHalf[zlpr.BFloat16])
	t.Run("float16", testHalf[zlpr.Float16])
}

func testHalf[T zlpr.Score](t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const rows, classes, stride = 300, 70, 71
	w := make([]float32, rows*stride)
	for i := range w {
		w[i] = float32(rng.NormFloat64())
	}
	x := make([]T, len(w))
	narrow16(x, w)
	widen(w, x)
	y := make([]uint8, rows*classes)
	weights, s0 := make([]float64, rows), make([]float32, rows)
	for i := range y {
		y[i] = uint8(rng.IntN(2))
	}
	for i := range weights {
		weights[i], s0[i] = float64(rng.IntN(3)), float32(rng.IntN(8))/8
	}
	half := &Batch[T]{
		Scores: zlpr.Matrix[T]{Rows: rows, Cols: classes, Data: x, Stride: stride},
		Labels: &zlpr.DenseLabels[uint8]{Rows: rows, Cols: classes, Data: y}, RowWeights: weights,
	}
	single := &Batch[float32]{
		Scores: zlpr.Matrix[float32]{Rows: rows, Cols: classes, Data: w, Stride: stride},
		Labels: half.Labels, RowWeights: weights,
	}
	for range 2 {
		names := All(1, 5)
		options := Options{Workers: 2, Propensities: Propensities(make([]int, classes), rows, 0.55, 1.5)}
		a, err := NewAccumulator[T](classes, names, options)
		require.NoError(t, err)
		b, err := NewAccumulator[float32](classes, names, options)
		require.NoError(t, err)
		require.NoError(t, a.Add(half))
		require.NoError(t, b.Add(single))
		require.Equal(t, b.Rows(), a.Rows())
		got, err := a.Results()
		require.NoError(t, err)
		want, err := b.Results()
		require.NoError(t, err)
		for i := range want {
			require.Equal(t, math.Float64bits(want[i].Value), math.Float64bits(got[i].Value), want[i].Name)
		}
		data, err := a.MarshalBinary()
		require.NoError(t, err)
		require.NoError(t, new(Accumulator[T]).UnmarshalBinary(data))

		p, err := Predict(half, Above(0.25), 2)
		require.NoError(t, err)
		q, err := Predict(single, Above(0.25), 2)
		require.NoError(t, err)
		require.Equal(t, q, p)
		for _, link := range []Link{Softmax, Sigmoid, DoubleSigmoid} {
			dst, dst32 := zlpr.Matrix[T]{Rows: rows, Cols: classes, Data: make([]T, rows*classes)}, zlpr.Matrix[float32]{Rows: rows, Cols: classes, Data: make([]float32, rows*classes)}
			require.NoError(t, Probabilities(dst, half, link, 2))
			require.NoError(t, Probabilities(dst32, single, link, 2))
			rounded := make([]T, len(dst32.Data))
			narrow16(rounded, dst32.Data)
			require.Equal(t, rounded, dst.Data)
		}
		if half.Thresholds == nil {
			tuner, tuner32 := NewTuner[T](classes, 2), NewTuner[float32](classes, 2)
			require.NoError(t, tuner.Add(half))
			require.NoError(t, tuner32.Add(single))
			threshold, f1, err := tuner.Best(Micro)
			require.NoError(t, err)
			threshold32, f132, err := tuner32.Best(Micro)
			require.NoError(t, err)
			require.Equal(t, []float64{threshold32, f132}, []float64{threshold, f1})
		}
		half.Thresholds = make([]T, rows)
		narrow16(half.Thresholds, s0)
		single.Thresholds = s0
	}
}
