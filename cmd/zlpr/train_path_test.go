package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/array"
)

// TestTrainAuto: λ is chosen on validation rows, whose labels alone decide; the
// model is that of all train rows at this λ; and predict uses its threshold.
func TestTrainAuto(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(31, 32))
	const rows, features, n = 400, 30, 5
	x, y, split, two := make([]float32, rows*features), make([]uint8, rows*n), make([]uint8, rows), make([]uint8, rows)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	for i := range rows {
		split[i] = uint8(i % 4 / 3)
		if two[i] = split[i]; i%4 == 2 {
			two[i] = 2
		}
		for j := range n {
			if float64(x[i*features+j])+rng.NormFloat64() > 1 {
				y[i*n+j] = 1
			}
		}
	}
	save(t, dir, "X.npy", []int{rows, features}, x)
	save(t, dir, "Y.npy", []int{rows, n}, y)
	save(t, dir, "split.npy", []int{rows}, split)
	save(t, dir, "two.npy", []int{rows}, two)
	type report struct {
		L2, Objective      float64
		Threshold          any
		Metrics            map[string]float64
		MetricsAtThreshold map[string]float64 `json:"metrics_at_threshold"`
		Path               []struct {
			L2, Value float64
			Threshold any
		}
	}
	train := func(args ...string) (r report) {
		t.Helper()
		stdout, stderr, status := run(t, dir, append([]string{"train", "--x", "X.npy", "--y", "Y.npy", "--json"}, args...)...)
		require.Equal(t, 0, status, stderr)
		require.NoError(t, json.Unmarshal([]byte(stdout), &r))
		return r
	}
	for _, loss := range []string{"zlpr", "bce"} {
		for _, extra := range [][]string{{"--split", "split.npy"}, {"--split", "two.npy", "--validation", "2"},
			{"--split", "split.npy", "--select", "macro_f1", "--per-class"}} {
			r := train(append(extra, "--loss", loss, "--l2", "auto", "--out", "model.npz", "--test-scores", "test.npz")...)
			require.GreaterOrEqual(t, len(r.Path), 7)
			best := 0
			for k, p := range r.Path {
				if k > 0 {
					require.InEpsilon(t, r.Path[k-1].L2/3.1622776601683795, p.L2, 1e-12)
				}
				if p.Value > r.Path[best].Value {
					best = k
				}
			}
			require.Equal(t, r.Path[best].L2, r.L2)
			require.Equal(t, r.Path[best].Threshold, r.Threshold)
			// The refit is a training of all train rows at this λ.
			plain := train("--split", "split.npy", "--loss", loss, "--l2", strconv.FormatFloat(r.L2, 'g', -1, 64))
			require.InEpsilon(t, plain.Objective, r.Objective, 2e-10)
			require.Empty(t, plain.Path)
			// The test rows, predicted by the model, have the measure that was reported.
			_, stderr, status := run(t, dir, "predict", "--model", "model.npz", "--x", "X.npy", "--as", "classes", "--out", "C.npy")
			require.Equal(t, 0, status, stderr)
			file, err := array.Open(filepath.Join(dir, "C.npy"))
			require.NoError(t, err)
			numbers, err := array.As[int32](file)
			require.NoError(t, err)
			classes := slices.Clone(array.All[int32](numbers))
			require.NoError(t, numbers.Close())
			require.NoError(t, file.Close())
			tp, wrong := 0, 0
			for i, v := range split {
				for j := range n {
					switch k := i*n + j; {
					case v == 0:
					case classes[k] != int32(y[k]):
						wrong++
					case y[k] == 1:
						tp++
					}
				}
			}
			require.InDelta(t, float64(2*tp)/float64(2*tp+wrong), r.MetricsAtThreshold["micro_f1"], 1e-12)
			// So has the page, with the path.
			train(append(extra, "--loss", loss, "--l2", "auto", "--html", "page.html")...)
			page, err := os.ReadFile(filepath.Join(dir, "page.html"))
			require.NoError(t, err)
			require.Contains(t, string(page), fmt.Sprintf("of validation rows chose λ = %.4g and", r.L2))
			require.Contains(t, string(page), fmt.Sprintf(": micro F1 %.4f, macro F1 %.4f there", r.MetricsAtThreshold["micro_f1"], r.MetricsAtThreshold["macro_f1"]))
			require.Contains(t, string(page), ">"+loss+": λ<")
		}
	}
	// The labels of test rows decide nothing.
	first := train("--split", "split.npy", "--l2", "auto")
	for i := range y {
		if split[i/n] == 1 {
			y[i] = 1 - y[i]
		}
	}
	save(t, dir, "Y.npy", []int{rows, n}, y)
	again := train("--split", "split.npy", "--l2", "auto", "--workers", "3")
	require.Equal(t, first.Path, again.Path)
	require.Equal(t, first.Objective, again.Objective)
	// As a table.
	stdout, stderr, status := run(t, dir, "train", "--x", "X.npy", "--y", "Y.npy", "--l2", "auto", "--compare")
	require.Equal(t, 0, status, stderr)
	require.Regexp(t, `(?m)^zlpr: λ +micro_f1 +threshold`, stdout)
	require.Regexp(t, `(?m)^bce: λ +micro_f1 +threshold`, stdout)

	base := []string{"train", "--x", "X.npy", "--y", "Y.npy", "--split", "two.npy"}
	fails(t, dir, 1, `split.npy: no validation row`, "train", "--x", "X.npy", "--y", "Y.npy", "--split", "split.npy", "--l2", "auto", "--validation", "3")
	fails(t, dir, 1, `row 2: 2; a split is 0`, append(base, "--l2", "auto")...)
	for i := range y {
		if two[i/n] == 2 {
			y[i] = 0
		}
	}
	save(t, dir, "Y.npy", []int{rows, n}, y)
	fails(t, dir, 1, `two.npy: none of the 100 validation rows has a positive label`, append(base, "--l2", "auto", "--validation", "2")...)
	save(t, dir, "none.npy", []int{rows, n}, make([]uint8, rows*n))
	fails(t, dir, 1, `none.npy: none of the \d+ validation rows has a positive label`, "train", "--x", "X.npy", "--y", "none.npy", "--l2", "auto")
	fails(t, dir, 2, `--select`, append(base, "--l2", "auto", "--select", "accuracy")...)
	fails(t, dir, 2, `--select`, append(base, "--select", "micro_f1")...)
	fails(t, dir, 2, `softmax`, append(base, "--l2", "auto", "--loss", "softmax")...)
	fails(t, dir, 2, `--validation 1`, append(base, "--l2", "auto", "--validation", "1")...)
	fails(t, dir, 2, `--l2 often: a number`, append(base, "--l2", "often")...)
}

// TestTrainTarget: --select micro_recall with a least precision has it on the rows that
// chose, and says where nothing reaches it.
func TestTrainTarget(t *testing.T) {
	dir := t.TempDir()
	const rows, n = 900, 3
	r := rand.New(rand.NewPCG(21, 22))
	x, y := make([]float64, rows*n), make([]uint8, rows*n)
	for i := range x {
		x[i] = r.NormFloat64()
		if x[i]+0.5*r.NormFloat64() > 0.8 {
			y[i] = 1
		}
	}
	save(t, dir, "X.npy", []int{rows, n}, x)
	save(t, dir, "Y.npy", []int{rows, n}, y)
	base := []string{"train", "--x", "X.npy", "--y", "Y.npy", "--l2", "auto"}
	recall := map[string]float64{}
	for _, target := range []string{"0.3", "0.9"} {
		stdout, stderr, status := run(t, dir, append(base, "--select", "micro_recall", "--target", target, "--json")...)
		require.Equal(t, 0, status, stderr)
		var of struct {
			Threshold          float64
			MetricsAtThreshold map[string]float64 `json:"metrics_at_threshold"`
		}
		require.NoError(t, json.Unmarshal([]byte(stdout), &of))
		least, _ := strconv.ParseFloat(target, 64)
		require.Greater(t, of.MetricsAtThreshold["micro_precision"], least-0.1)
		recall[target] = of.MetricsAtThreshold["micro_recall"]
	}
	require.Greater(t, recall["0.3"], recall["0.9"])
	fails(t, dir, 2, `--select micro_recall: give the least precision, or recall, by --target`, append(base, "--select", "micro_recall")...)
	fails(t, dir, 2, `--target 1.5: a number above 0, at most 1`, append(base, "--select", "micro_recall", "--target", "1.5")...)
	fails(t, dir, 2, `--target`, append(base, "--target", "0.5")...)
	// Labels without a pattern: no precision of 1.
	for i := range y {
		x[i] = 0
	}
	save(t, dir, "X.npy", []int{rows, n}, x)
	fails(t, dir, 1, `no λ of the path a threshold reaches the target`, append(base, "--select", "micro_recall", "--target", "1")...)
}
