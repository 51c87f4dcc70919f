package linear

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/cmd/zlpr/internal/corpus"
)

// generated makes a sparse problem like that of words of documents: features
// by Zipf's law, rows of length 1, and classes of very different frequency that
// depend on a few features each.
func generated(rows, features, classes int) (*Matrix, *zlpr.BitLabels) {
	rng := rand.New(rand.NewPCG(20, 6))
	share := make([]float64, features) // of rows that have the feature
	for j := range share {
		share[j] = min(0.9, 30/math.Pow(float64(j+2), 0.9))
	}
	x := &Matrix{Rows: rows, Cols: features, RowPtr: []int64{0}}
	for range rows {
		from, square := len(x.Values), 0.0
		for j, p := range share {
			if rng.Float64() < p {
				v := 1 + math.Floor(rng.ExpFloat64()*2)
				v = 1 + math.Log(v)
				square += v * v
				x.Indices, x.Values = append(x.Indices, int32(j)), append(x.Values, v)
			}
		}
		for k := from; k < len(x.Values); k++ {
			x.Values[k] /= math.Sqrt(square)
		}
		x.RowPtr = append(x.RowPtr, int64(len(x.Values)))
	}
	w, scores := make([]float64, features*classes), make([]float64, rows*classes)
	for i := range w {
		if rng.IntN(10) == 0 {
			w[i] = 20 * rng.NormFloat64()
		}
	}
	x.Multiply(scores, w, make([]float64, classes), classes, 1)
	stride := (classes + 63) / 64
	y := &zlpr.BitLabels{Rows: rows, Cols: classes, Stride: stride, Words: make([]uint64, rows*stride)}
	column := make([]float64, rows)
	for c := range classes {
		for i := range rows {
			column[i] = scores[i*classes+c] + 0.5*rng.NormFloat64()
		}
		sorted := slices.Sorted(slices.Values(column))
		positives := max(2, int(0.4*float64(rows)/float64(c+2)))
		for i, v := range column {
			if v > sorted[rows-1-positives] {
				y.Words[i*stride+c/64] |= 1 << (c % 64)
			}
		}
	}
	return x, y
}

// goCorpus is the train rows of zlpr train without files.
func goCorpus(t testing.TB) (*Matrix, *zlpr.BitLabels) {
	source, err := corpus.Source()
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	c, err := corpus.Build(context.Background(), source)
	require.NoError(t, err)
	x := &Matrix{Rows: len(c.Files), Cols: len(c.Features), RowPtr: c.RowPtr, Indices: c.Indices}
	for _, v := range c.Values {
		x.Values = append(x.Values, float64(v))
	}
	all := &zlpr.SparseLabels{Classes: len(c.Classes), RowPtr: c.LabelPtr, Indices: c.Labels}
	stride := (len(c.Classes) + 63) / 64
	words := make([]uint64, x.Rows*stride)
	require.NoError(t, all.ReadRows(words, 0, x.Rows))
	y := &zlpr.BitLabels{Cols: len(c.Classes), Stride: stride}
	for i, test := range c.Test {
		if !test {
			y.Rows++
			y.Words = append(y.Words, words[i*stride:][:stride]...)
		}
	}
	return x.Take(func(i int) bool { return !c.Test[i] }), y
}

// BenchmarkTrain fits models to the default tolerance of zlpr train, by two
// workers. scikit-learn 1.2.1 (lbfgs, tol 1e-5, a model a class) took 4.5 s of CPU
// time for BCE of the generated data, and ended 4.7e-9 above.
func BenchmarkTrain(b *testing.B) {
	for _, data := range []struct {
		name string
		l2   float64
		make func() (*Matrix, *zlpr.BitLabels)
	}{
		{"generated", 2.05e-4, func() (*Matrix, *zlpr.BitLabels) { return generated(4880, 1836, 159) }},
		{"go", 1e-5, func() (*Matrix, *zlpr.BitLabels) { return goCorpus(b) }},
	} {
		var x *Matrix
		var y *zlpr.BitLabels
		for _, loss := range []zlpr.Loss{zlpr.BCE{}, zlpr.ZLPR{}} {
			b.Run("data="+data.name+"/loss="+loss.Name(), func(b *testing.B) {
				if x == nil {
					x, y = data.make()
				}
				var r *Result
				var err error
				for b.Loop() {
					r, err = Fit(context.Background(), x, y, loss, Options{L2: data.l2, Tolerance: 1e-10, Iterations: 5000, Workers: 2})
					require.NoError(b, err)
					require.True(b, r.Converged)
				}
				b.ReportMetric(float64(r.Iterations), "iterations")
			})
		}
	}
}
