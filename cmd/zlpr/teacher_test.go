package main

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
)

// TestTeacher: eval gives the divergences of the library, without labels or with them for
// the metrics alone, with a mask and row weights.
func TestTeacher(t *testing.T) {
	dir := t.TempDir()
	const rows, n = 40, 7
	s, _, mask := example[float32](t, dir, rows, n)
	teacher := make([]float64, rows*n)
	for i := range teacher {
		teacher[i] = math.Sin(float64(i)) * 3
	}
	weights := make([]float64, rows)
	for i := range weights {
		weights[i] = float64(i%3) / 2
	}
	save(t, dir, "T.npy", []int{rows, n}, teacher)
	save(t, dir, "W.npy", []int{rows}, weights)
	x := make([]float64, len(s))
	part := make([]bool, len(s))
	for i, v := range s {
		x[i], part[i] = float64(v), mask[i] != 0
	}
	want := func(loss zlpr.Loss, temperature float64) (float64, []float64) {
		e, err := zlpr.NewEvaluator[float64](zlpr.Distillation{Loss: loss, Temperature: temperature}, zlpr.Options{Reduction: zlpr.Mean})
		require.NoError(t, err)
		grad := make([]float64, rows*n)
		b := &zlpr.Batch[float64]{Scores: matrix(x, n), Teacher: matrix(teacher, n), RowWeights: weights,
			Mask: &zlpr.DenseLabels[bool]{Rows: rows, Cols: n, Data: part, Stride: n}}
		r, err := e.Evaluate(context.Background(), b, &zlpr.Output[float64]{Grad: matrix(grad, n)})
		require.NoError(t, err)
		return r.Loss, grad
	}
	flags := []string{"--scores", "S.npy", "--teacher", "T.npy", "--temperature", "2.5", "--mask", "M.npy", "--row-weights", "W.npy"}
	r := evalJSON(t, dir, append(flags, "--loss", "softmax,bce,zlpr")...)
	for name, loss := range map[string]zlpr.Loss{"softmax": zlpr.SoftmaxCrossEntropy{}, "bce": zlpr.BCE{}, "zlpr": zlpr.ZLPR{}} {
		loss, grad := want(loss, 2.5)
		require.InEpsilon(t, loss, r.Losses[name].Mean, 1e-14, name)
		evalJSON(t, dir, append(flags, "--loss", name, "--grad", name+".npy")...)
		require.InDeltaSlice(t, grad, load[float64](t, dir, name+".npy"), 1e-15, name)
	}
	require.Empty(t, r.Metrics)
	with := evalJSON(t, dir, append(flags, "--labels", "Y.npy", "--loss", "all")...)
	require.Equal(t, r.Losses, with.Losses)
	require.NotEmpty(t, with.Metrics)
	require.Contains(t, with.Skipped, "subset")
	itself := evalJSON(t, dir, "--scores", "S.npy", "--teacher", "S.npy")
	require.Equal(t, 0.0, itself.Losses["zlpr"].Max)

	save(t, dir, "T4.npy", []int{rows, 4}, make([]float32, rows*4))
	soft := make([]float32, rows*n)
	soft[5] = 0.5
	save(t, dir, "soft.npy", []int{rows, n}, soft)
	teacher[3*n+2] = math.NaN()
	save(t, dir, "NaN.npy", []int{rows, n}, teacher)
	pair := []string{"eval", "--scores", "S.npy", "--teacher", "T.npy"}
	for _, c := range []struct {
		status  int
		pattern string
		args    []string
	}{
		{1, `T4.npy: a teacher's scores of shape 40×4, scores of shape 40×7; they must agree`, []string{"eval", "--scores", "S.npy", "--teacher", "T4.npy"}},
		{1, `Y.npy: scores of type uint8`, []string{"eval", "--scores", "S.npy", "--teacher", "Y.npy"}},
		{1, `none.npy: no such file`, []string{"eval", "--scores", "S.npy", "--teacher", "none.npy"}},
		{1, `NaN.npy: row 3, column 2: teacher's score is NaN`, []string{"eval", "--scores", "S.npy", "--teacher", "NaN.npy", "--strict"}},
		{1, `soft.npy: soft labels beside --teacher`, append(pair, "--labels", "soft.npy")},
		{2, `--temperature 0: a number above 0`, append(pair, "--temperature", "0")},
		{2, `--temperature -1: a number above 0`, append(pair, "--temperature", "-1")},
		{2, `--temperature NaN: a number above 0`, append(pair, "--temperature", "nan")},
		{2, `--temperature`, []string{"eval", "--scores", "S.npy", "--labels", "Y.npy", "--temperature", "2"}},
		{2, `--teacher: pairwise has no form for a teacher; choose --loss softmax, bce, zlpr`, append(pair, "--loss", "zlpr,pairwise")},
		{2, `metrics need labels`, append(pair, "--metrics", "micro_f1")},
		{2, `--focal and --pos-weight exclude --teacher`, append(pair, "--loss", "bce", "--focal", "2")},
		{2, `--smoothing and --teacher exclude each other`, append(pair, "--smoothing", "0.1")},
		{2, `--teacher: give the scores of its student`, []string{"eval", "--teacher", "T.npy"}},
		{2, `--teacher and --partial exclude`, append(pair, "--partial", "P.part")},
	} {
		fails(t, dir, c.status, c.pattern, c.args...)
	}
}

// TestTrainTeacher: a student with the teacher's features learns the teacher, of BCE and of
// ZLPR; λ can be chosen; what is wrong is said.
func TestTrainTeacher(t *testing.T) {
	dir := t.TempDir()
	const rows, features, classes = 60, 3, 4
	r := rand.New(rand.NewPCG(5, 6))
	x, y, split := make([]float64, rows*features), make([]uint8, rows*classes), make([]uint8, rows)
	teacher := make([]float64, rows*classes)
	for i := range rows {
		split[i] = uint8(i % 3 / 2)
		for j := range features {
			x[i*features+j] = r.NormFloat64()
		}
		for j := range classes {
			z := x[i*features+j%features] - 0.5*x[i*features] + 0.3
			teacher[i*classes+j] = z
			if z > 0 {
				y[i*classes+j] = 1
			}
		}
	}
	save(t, dir, "X.npy", []int{rows, features}, x)
	save(t, dir, "Y.npy", []int{rows, classes}, y)
	save(t, dir, "T.npy", []int{rows, classes}, teacher)
	save(t, dir, "split.npy", []int{rows}, split)
	base := []string{"train", "--x", "X.npy", "--y", "Y.npy", "--split", "split.npy", "--teacher", "T.npy", "--temperature", "2"}
	for _, loss := range []string{"bce", "zlpr", "softmax"} {
		stdout, stderr, status := run(t, dir, append(base, "--loss", loss, "--l2", "1e-9", "--json")...)
		require.Equal(t, 0, status, stderr)
		var of struct {
			Objective float64
			Converged bool
			Metrics   map[string]float64
		}
		require.NoError(t, json.Unmarshal([]byte(stdout), &of))
		require.Less(t, of.Objective, 1e-7, loss) // the teacher is linear: the least divergence is 0
		if loss != "softmax" {
			require.Greater(t, of.Metrics["micro_f1"], 0.99, loss)
		}
	}
	stdout, stderr, status := run(t, dir, append(base, "--loss", "zlpr", "--l2", "auto", "--json")...)
	require.Equal(t, 0, status, stderr)
	require.Contains(t, stdout, `"path"`)
	teacher[2] = math.Inf(1)
	save(t, dir, "inf.npy", []int{rows, classes}, teacher)
	save(t, dir, "short.npy", []int{rows - 1, classes}, teacher[classes:])
	with := func(file string) []string {
		return []string{"train", "--x", "X.npy", "--y", "Y.npy", "--teacher", file}
	}
	fails(t, dir, 1, `inf.npy: row 0, column 2: teacher's score is \+Inf`, with("inf.npy")...)
	fails(t, dir, 1, `short.npy: a teacher's scores of shape 59×4; 60×4 are needed`, with("short.npy")...)
	fails(t, dir, 2, `--teacher: pairwise has no form`, append(with("T.npy"), "--loss", "pairwise")...)
	fails(t, dir, 2, `--temperature 0: a number above 0`, append(with("T.npy"), "--temperature", "0")...)
}
