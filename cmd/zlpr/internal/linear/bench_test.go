package linear

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/cmd/zlpr/internal/corpus"
	"github.com/zlpr/zlpr/internal/array"
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

// corel5k is the train rows of that set in the folder ZLPR_DATA.
func corel5k(t testing.TB) (*Matrix, *zlpr.BitLabels) {
	dir := os.Getenv("ZLPR_DATA")
	if dir == "" {
		t.Skip("SKIPPED: ZLPR_DATA names no folder of data sets")
	}
	open := func(name string) *array.Array {
		a, err := array.Open(filepath.Join(dir, "corel5k", name))
		require.NoError(t, err)
		t.Cleanup(func() { a.Close() })
		return a
	}
	labels, split := open("Y.npy"), array.All[float32](open("split.npy"))
	x := &Matrix{Rows: len(split), Cols: 499, RowPtr: array.All[int64](open("X_indptr.npy")), Indices: array.All[int32](open("X_indices.npy"))}
	for _, v := range array.All[float32](open("X_data.npy")) {
		x.Values = append(x.Values, float64(v))
	}
	classes := labels.Shape[1]
	stride := (classes + 63) / 64
	y := &zlpr.BitLabels{Cols: classes, Stride: stride}
	for i, v := range array.All[float32](labels) {
		if split[i/classes] != 0 {
			continue
		}
		if i%classes == 0 {
			y.Rows++
			y.Words = append(y.Words, make([]uint64, stride)...)
		}
		y.Words[len(y.Words)-stride+i%classes/64] |= uint64(v) << (i % classes % 64)
	}
	return x.Take(func(i int) bool { return split[i] == 0 }), y
}

// trainings are what is trained on, and λ.
var trainings = []struct {
	name string
	l2   float64
	make func(t testing.TB) (*Matrix, *zlpr.BitLabels)
}{
	{"generated", 2.05e-4, func(testing.TB) (*Matrix, *zlpr.BitLabels) { return generated(4880, 1836, 159) }},
	{"go", 1e-5, goCorpus},
	{"corel5k", 1e-4, corel5k},
}

// BenchmarkTrain fits models to the default tolerance of zlpr train.
func BenchmarkTrain(b *testing.B) {
	for _, data := range trainings {
		var x *Matrix
		var y *zlpr.BitLabels
		for _, loss := range []zlpr.Loss{zlpr.BCE{}, zlpr.ZLPR{}} {
			for _, workers := range []int{1, 2} {
				b.Run(fmt.Sprintf("data=%s/loss=%s/workers=%d", data.name, loss.Name(), workers), func(b *testing.B) {
					if x == nil {
						x, y = data.make(b)
					}
					var r *Result
					var err error
					for b.Loop() {
						r, err = Fit(context.Background(), x, y, loss, Options{L2: data.l2, Tolerance: 1e-10, Iterations: 5000, Workers: workers})
						require.NoError(b, err)
						require.True(b, r.Converged)
					}
					b.ReportMetric(float64(r.Iterations), "iterations")
				})
			}
		}
	}
}

// BenchmarkScikitLearn has scikit-learn fit BCE to the same data, once: a model a class by
// lbfgs, tol 1e-5, in one process. "above" is what its objective is above ours, relative to it; of
// classes without positives, which scikit-learn has no model of, there is no objective.
func BenchmarkScikitLearn(b *testing.B) {
	python := ""
	for _, p := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(p, "-c", "import sklearn").Run() == nil {
			python = p
			break
		}
	}
	if python == "" {
		b.Skip("SKIPPED: no python3 with scikit-learn")
	}
	for _, data := range trainings {
		b.Run("data="+data.name+"/loss=bce", func(b *testing.B) {
			x, y := data.make(b)
			dir := b.TempDir()
			labels := make([]uint8, y.Rows*y.Cols)
			for i := range labels {
				labels[i] = uint8(y.Words[i/y.Cols*y.Stride+i%y.Cols/64] >> (i % y.Cols % 64) & 1)
			}
			first := x.RowPtr[0]
			ptr := make([]int64, len(x.RowPtr))
			for i, v := range x.RowPtr {
				ptr[i] = v - first
			}
			end := x.RowPtr[x.Rows]
			save(b, dir, "indptr", []int{len(ptr)}, ptr)
			save(b, dir, "indices", []int{int(end - first)}, x.Indices[first:end])
			save(b, dir, "data", []int{int(end - first)}, x.Values[first:end])
			save(b, dir, "Y", []int{y.Rows, y.Cols}, labels)
			for b.Loop() {
				out, err := exec.Command(python, "testdata/scikit_learn.py", dir, strconv.Itoa(x.Cols), strconv.FormatFloat(data.l2, 'g', -1, 64)).CombinedOutput()
				require.NoError(b, err, "%s", out)
				fields := strings.Split(strings.TrimSpace(string(out)), "\t")
				require.Len(b, fields, 4, "%s", out)
				var numbers [3]float64
				for k := range numbers {
					numbers[k], err = strconv.ParseFloat(fields[k], 64)
					require.NoError(b, err)
				}
				r, err := Fit(context.Background(), x, y, zlpr.BCE{}, Options{L2: data.l2, Tolerance: 1e-10, Iterations: 5000, Workers: 2})
				require.NoError(b, err)
				b.Log(fields[3])
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(numbers[0], "s/fit")
				b.ReportMetric(numbers[1], "cpu-s/fit")
				b.ReportMetric((numbers[2]-r.Objective)/r.Objective, "above")
			}
		})
	}
}

// save writes an array.
func save[T array.Element](t testing.TB, dir, name string, shape []int, data []T) {
	f, err := os.Create(filepath.Join(dir, name+".npy"))
	require.NoError(t, err)
	require.NoError(t, array.WriteTo(f, shape, data))
	require.NoError(t, f.Close())
}
