package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
)

// TestKeys checks the keys of both JSON objects.
func TestKeys(t *testing.T) {
	dir := t.TempDir()
	example[float32](t, dir, 60, 5)
	keys := func(args ...string) (names []string) {
		stdout, stderr, status := run(t, dir, args...)
		require.Equal(t, 0, status, stderr)
		var object map[string]json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(stdout), &object))
		return slices.Sorted(maps.Keys(object))
	}
	require.Equal(t, []string{"classes", "elements_per_second", "inputs", "labels_per_row", "losses", "metrics", "parameters", "rows", "seconds",
		"skipped", "tier", "tuned", "version", "warnings"}, keys("eval", "--scores", "S.npy", "--labels", "Y.npy", "--json"))
	require.Subset(t, keys("train", "--x", "S.npy", "--y", "Y.npy", "--l2", "1", "--json"),
		[]string{"objective", "gradient_norm", "iterations", "metrics"})
	r := evalJSON(t, dir, "--scores", "S.npy", "--labels", "Y.npy", "--metrics", "all")
	for _, average := range []string{"micro", "macro", "weighted", "samples"} {
		for _, name := range []string{"f1", "precision", "recall"} {
			require.Contains(t, r.Metrics, average+"_"+name)
		}
	}
	for _, name := range []string{"subset_accuracy", "hamming_loss", "samples_jaccard", "lrap", "coverage_error", "ranking_loss",
		"one_error", "precision_at_1", "precision_at_3", "precision_at_5", "ndcg_at_3", "micro_auc", "macro_auc",
		"micro_average_precision", "macro_average_precision"} {
		require.Contains(t, r.Metrics, name)
	}
	r = evalJSON(t, dir, "--scores", "S.npy", "--labels", "Y.npy", "--metrics", "psp_at_2,precision_at_4")
	require.Len(t, r.Metrics, 2)
}

// report is eval's JSON.
type report struct {
	Rows, Classes int
	Losses        map[string]struct{ Mean, Sum, Min, Max float64 }
	Skipped       map[string]string
	Metrics       map[string]*float64
	Warnings      []string
	Tier          string
}

func evalJSON(t *testing.T, dir string, args ...string) report {
	t.Helper()
	stdout, stderr, status := run(t, dir, append([]string{"eval", "--json"}, args...)...)
	require.Equal(t, 0, status, stderr)
	var r report
	require.NoError(t, json.Unmarshal([]byte(stdout), &r), stdout)
	return r
}

// TestSameBits compares losses, rows and gradients with the library, all bits.
func TestSameBits(t *testing.T) {
	t.Run("float32", sameBits[float32])
	t.Run("float64", sameBits[float64])
}

func sameBits[T zlpr.Float](t *testing.T) {
	dir := t.TempDir()
	const rows, n = 5000, 90 // several blocks
	s, y, mask := example[T](t, dir, rows, n)
	weights := make([]float64, rows)
	for i := range weights {
		weights[i] = float64(i%7) / 3
	}
	save(t, dir, "W.npy", []int{rows}, weights)
	bits := func(x []uint8) zlpr.Bits {
		return &zlpr.DenseLabels[uint8]{Rows: rows, Cols: n, Data: x, Stride: n}
	}
	losses := map[string]zlpr.Loss{
		"zlpr": zlpr.ZLPR{}, "bce": zlpr.BCE{}, "pairwise": zlpr.Pairwise{Gamma: 1},
		"subset": zlpr.Subset{}, "subset-padded": zlpr.PaddedSubset{},
	}
	for name, loss := range losses {
		for _, masked := range []bool{false, true} {
			for _, weighted := range []bool{false, true} {
				b := zlpr.Batch[T]{Scores: zlpr.Matrix[T]{Rows: rows, Cols: n, Data: s, Stride: n}, Labels: bits(y)}
				args := []string{"--scores", "S.npy", "--labels", "Y.npy", "--loss", name, "--metrics", "none",
					"--grad", "G.npy", "--per-row", "L.npy", "--workers", "3"}
				if masked {
					b.Mask = bits(mask)
					args = append(args, "--mask", "M.npy")
				}
				if weighted {
					b.RowWeights = weights
					args = append(args, "--row-weights", "W.npy")
				}
				e, err := zlpr.NewEvaluator[T](loss, zlpr.Options{Reduction: zlpr.Mean})
				require.NoError(t, err)
				grad, perRow := make([]T, rows*n), make([]float64, rows)
				want, err := e.Evaluate(context.Background(), &b, &zlpr.Output[T]{Losses: perRow,
					Grad: zlpr.Matrix[T]{Rows: rows, Cols: n, Data: grad, Stride: n}})
				require.NoError(t, err)
				got := evalJSON(t, dir, args...).Losses[name]
				require.Equal(t, want.Loss, got.Mean, name)
				require.Equal(t, want.Sum, got.Sum, name)
				require.Equal(t, want.Min, got.Min, name)
				require.Equal(t, want.Max, got.Max, name)
				var g, l bytes.Buffer
				switch grad := any(grad).(type) {
				case []float32:
					require.NoError(t, array.WriteTo(&g, []int{rows, n}, grad))
				case []float64:
					require.NoError(t, array.WriteTo(&g, []int{rows, n}, grad))
				}
				require.NoError(t, array.WriteTo(&l, []int{rows}, perRow))
				for file, bytes := range map[string][]byte{"G.npy": g.Bytes(), "L.npy": l.Bytes()} {
					have, err := os.ReadFile(filepath.Join(dir, file))
					require.NoError(t, err)
					require.True(t, string(bytes) == string(have), "%s %s masked %v weighted %v", name, file, masked, weighted)
				}
			}
		}
	}
}

// TestSample evaluates the embedded sample.
func TestSample(t *testing.T) {
	dir := t.TempDir()
	r := evalJSON(t, dir)
	require.Greater(t, r.Rows, 500)
	require.InDelta(t, 111, r.Classes, 20)
	for _, name := range []string{"bce", "pairwise", "zlpr", "subset", "subset-padded"} {
		require.Contains(t, r.Losses, name)
	}
	require.Contains(t, r.Skipped["softmax"], "positive labels")
	require.Contains(t, r.Skipped, "zlpr-soft")
	require.LessOrEqual(t, r.Losses["pairwise"].Mean, r.Losses["subset"].Mean)
	require.LessOrEqual(t, r.Losses["subset"].Mean, r.Losses["subset-padded"].Mean)
	require.LessOrEqual(t, r.Losses["zlpr"].Mean, r.Losses["bce"].Mean)
	require.Greater(t, *r.Metrics["micro_f1"], 0.5)
	require.Greater(t, *r.Metrics["lrap"], 0.8)
	require.Less(t, len(sampleData), 1<<20)

	stdout, stderr, status := run(t, dir, "eval")
	require.Equal(t, 0, status, stderr)
	require.Contains(t, stdout, "worst rows")
	require.NotContains(t, stdout, " \n")
	require.Empty(t, stderr)
}

// TestKinds reads labels in all their formats.
func TestKinds(t *testing.T) {
	dir := t.TempDir()
	const rows, n = 40, 9
	_, y, _ := example[float32](t, dir, rows, n)
	want := evalJSON(t, dir, "--scores", "S.npy", "--labels", "Y.npy")
	floats, wide, csv, svm := make([]float64, rows*n), make([]int64, rows*n), "", ""
	for i, v := range y {
		floats[i], wide[i] = float64(v), int64(v)
		csv += fmt.Sprint(v)
		if i%n == n-1 {
			csv += "\n"
			var labels []string
			for j, v := range y[i-n+1:][:n] {
				if v == 1 {
					labels = append(labels, fmt.Sprint(j))
				}
			}
			svm += strings.Join(labels, ",") + " 1:1\n"
		} else {
			csv += ","
		}
	}
	save(t, dir, "float.npy", []int{rows, n}, floats)
	save(t, dir, "wide.npy", []int{5, 8, n}, wide) // other leading axes
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Y.csv"), []byte(csv), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Y.svm"), []byte(svm), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Y.txt"), []byte(fmt.Sprintf("%d 2 %d\n", rows, n)+svm), 0o644))
	for _, labels := range []string{"float.npy", "wide.npy", "Y.csv", "Y.svm", "Y.txt"} {
		got := evalJSON(t, dir, "--scores", "S.npy", "--labels", labels)
		require.Equal(t, want.Losses, got.Losses, labels)
		require.Equal(t, want.Metrics, got.Metrics, labels)
	}
	// Soft labels, and targets.
	floats[3] = 0.25
	save(t, dir, "soft.npy", []int{rows, n}, floats)
	soft := evalJSON(t, dir, "--scores", "S.npy", "--labels", "soft.npy", "--loss", "all")
	require.Contains(t, soft.Losses, "zlpr-soft")
	require.Contains(t, soft.Losses, "bce")
	require.Contains(t, soft.Losses, "softmax")
	require.Len(t, soft.Losses, 3)
	targets := make([]int64, rows)
	for i := range targets {
		targets[i] = int64(i%(n+1)) - 1
	}
	save(t, dir, "T.npy", []int{rows}, targets)
	r := evalJSON(t, dir, "--scores", "S.npy", "--labels", "T.npy", "--loss", "softmax")
	require.Greater(t, r.Losses["softmax"].Mean, 0.0)
	// Probabilities draw a warning.
	p := make([]float32, rows*n)
	for i := range p {
		p[i] = float32(i) / float32(len(p))
	}
	save(t, dir, "prob.npy", []int{rows, n}, p)
	r = evalJSON(t, dir, "--scores", "prob.npy", "--labels", "Y.npy")
	require.Contains(t, strings.Join(r.Warnings, " "), "all scores lie in [0, 1]")
}

// TestSpans compares the span mask of lengths with the mask itself.
func TestSpans(t *testing.T) {
	dir := t.TempDir()
	const batch, heads, l = 3, 2, 5
	shape := []int{batch, heads, l, l}
	rng := rand.New(rand.NewPCG(9, 9))
	s, y, mask := make([]float32, batch*heads*l*l), make([]uint8, batch*heads*l*l), make([]uint8, batch*heads*l*l)
	lengths := []int32{5, 0, 3}
	for i := range s {
		s[i] = float32(rng.NormFloat64())
		start, end, b := i/l%l, i%l, i/(l*l*heads)
		if start <= end && end < int(lengths[b]) {
			mask[i] = 1
			y[i] = uint8(rng.IntN(2))
		}
	}
	save(t, dir, "S.npy", shape, s)
	save(t, dir, "Y.npy", shape, y)
	save(t, dir, "N.npy", []int{batch}, lengths)
	flat := []int{batch * heads, l * l}
	save(t, dir, "S2.npy", flat, s)
	save(t, dir, "Y2.npy", flat, y)
	save(t, dir, "M2.npy", flat, mask)
	a := evalJSON(t, dir, "--scores", "S.npy", "--labels", "Y.npy", "--lengths", "N.npy", "--grad", "G.npy")
	b := evalJSON(t, dir, "--scores", "S2.npy", "--labels", "Y2.npy", "--mask", "M2.npy", "--grad", "G2.npy")
	require.Equal(t, b.Losses, a.Losses)
	require.Equal(t, b.Metrics, a.Metrics)
	g, err := array.Open(filepath.Join(dir, "G.npy"))
	require.NoError(t, err)
	require.Equal(t, shape, g.Shape)
	g2, err := array.Open(filepath.Join(dir, "G2.npy"))
	require.NoError(t, err)
	require.Equal(t, array.All[float32](g2), array.All[float32](g))
}

// TestThresholdColumn: a column of thresholds gives what the library gives, in
// losses, gradients and predictions; it is no class.
func TestThresholdColumn(t *testing.T) {
	dir := t.TempDir()
	const rows, n, column = 70, 9, 4
	s, y, _ := example[float64](t, dir, rows, n)
	for i := range rows {
		y[i*n+column] = 0
	}
	save(t, dir, "Y.npy", []int{rows, n}, y)
	matrixOf := func(x []float64) zlpr.Matrix[float64] { return matrix(x, n) }
	b := &zlpr.Batch[float64]{Scores: matrixOf(s), Labels: &zlpr.DenseLabels[uint8]{Rows: rows, Cols: n, Data: y, Stride: n}, ThresholdColumn: column + 1}
	for _, loss := range []zlpr.Loss{zlpr.ZLPR{}, zlpr.BCE{}, zlpr.PaddedSubset{}} {
		e, err := zlpr.NewEvaluator[float64](loss, zlpr.Options{Reduction: zlpr.Mean})
		require.NoError(t, err)
		grad := make([]float64, rows*n)
		want, err := e.Evaluate(context.Background(), b, &zlpr.Output[float64]{Grad: matrixOf(grad)})
		require.NoError(t, err)
		got := evalJSON(t, dir, "--scores", "S.npy", "--labels", "Y.npy", "--loss", loss.Name(), "--threshold-column", "4",
			"--grad", "G.npy", "--predictions", "P.npy", "--plot", "p.svg")
		require.Equal(t, want.Loss, got.Losses[loss.Name()].Mean)
		g, err := array.Open(filepath.Join(dir, "G.npy"))
		require.NoError(t, err)
		require.Equal(t, grad, array.All[float64](g))
		p, err := array.Open(filepath.Join(dir, "P.npy"))
		require.NoError(t, err)
		tp, predicted := 0, 0
		for i, v := range array.All[int32](p) {
			is := i%n != column && s[i] > s[i/n*n+column]
			require.Equal(t, is, v == 1, "row %d, class %d", i/n, i%n)
			if is {
				predicted++
				tp += int(y[i])
			}
		}
		positives := 0
		for _, v := range y {
			positives += int(v)
		}
		require.InEpsilon(t, 2*float64(tp)/float64(predicted+positives), *got.Metrics["micro_f1"], 1e-12)
	}
	all := evalJSON(t, dir, "--scores", "S.npy", "--labels", "Y.npy", "--loss", "all", "--threshold-column", "4")
	require.Contains(t, all.Skipped["pairwise"], "the loss has no threshold to be learned")
	require.Contains(t, all.Losses, "bce")
	fails(t, dir, 1, `S.npy: --threshold-column 9: there are 9 columns, counted from 0`, "eval", "--scores", "S.npy", "--labels", "Y.npy", "--threshold-column", "9")
	fails(t, dir, 2, `--threshold-column takes the place of --s0`, "eval", "--scores", "S.npy", "--labels", "Y.npy", "--threshold-column", "1", "--s0", "1")
	y[n+column] = 1
	save(t, dir, "Y.npy", []int{rows, n}, y)
	fails(t, dir, 1, `Y.npy: row 1, column 4: positive label on the column of thresholds; that column is no class`,
		"eval", "--scores", "S.npy", "--labels", "Y.npy", "--threshold-column", "4", "--grad", "G2.npy")
}

// TestPredictTop: the K highest classes, or those of them above the threshold.
func TestPredictTop(t *testing.T) {
	dir := t.TempDir()
	save(t, dir, "S.npy", []int{2, 4}, []float32{3, 1, 2, -1, -5, -2, -3, 0.5})
	save(t, dir, "Y.npy", []int{2, 4}, []uint8{1, 0, 0, 0, 0, 1, 0, 1})
	for _, c := range []struct {
		args string
		want []int32
	}{
		{"", []int32{1, 1, 1, 0, 0, 0, 0, 1}},
		{"--predict-top 2", []int32{1, 0, 1, 0, 0, 1, 0, 1}},
		{"--predict-top 2 --predict-threshold 0", []int32{1, 0, 1, 0, 0, 0, 0, 1}},
		{"--predict-top 3 --predict-threshold 1.5", []int32{1, 0, 1, 0, 0, 0, 0, 0}},
		{"--s0 1.5", []int32{1, 0, 1, 0, 0, 0, 0, 0}},
	} {
		evalJSON(t, dir, append(strings.Fields(c.args), "--scores", "S.npy", "--labels", "Y.npy", "--predictions", "P.npy")...)
		p, err := array.Open(filepath.Join(dir, "P.npy"))
		require.NoError(t, err)
		require.Equal(t, c.want, array.All[int32](p), c.args)
	}
}

// TestClassesOfWeightZero: a row of which only classes of weight 0 are left counts
// neither in the losses nor in the measures, but with a loss of one target in both.
func TestClassesOfWeightZero(t *testing.T) {
	dir := t.TempDir()
	save(t, dir, "S.npy", []int{3, 3}, []float32{1, -1, -2, -1, 2, 0.5, 3, 0, 1})
	save(t, dir, "Y.npy", []int{3, 3}, []uint8{1, 0, 0, 0, 1, 1, 0, 0, 1})
	save(t, dir, "M.npy", []int{3, 3}, []uint8{1, 1, 1, 1, 1, 1, 0, 0, 1})
	save(t, dir, "C.npy", []int{3}, []float64{1, 2, 0})
	save(t, dir, "W.npy", []int{3}, []float64{1, 1, 0})
	measured := func(args string) string {
		stdout, stderr, status := run(t, dir, strings.Fields("eval S.npy Y.npy --mask M.npy --json --metrics all --loss zlpr "+args)...)
		require.Equal(t, 0, status, stderr)
		var report struct {
			Metrics json.RawMessage
		}
		require.NoError(t, json.Unmarshal([]byte(stdout), &report))
		return string(report.Metrics)
	}
	require.Equal(t, measured("--row-weights W.npy"), measured("--class-weights C.npy"))

	save(t, dir, "T.npy", []int{3}, []int64{0, 2, 2})
	f1 := func(args string) string {
		stdout, stderr, status := run(t, dir, strings.Fields("eval S.npy T.npy --mask M.npy --json --metrics micro_f1 --loss softmax "+args)...)
		require.Equal(t, 0, status, stderr)
		var report struct{ Metrics json.RawMessage }
		require.NoError(t, json.Unmarshal([]byte(stdout), &report))
		return string(report.Metrics)
	}
	require.Equal(t, f1(""), f1("--class-weights C.npy"))
}
