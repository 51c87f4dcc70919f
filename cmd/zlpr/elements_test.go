package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/array"
)

// TestMeanClasses: the mean over the elements that take part is that of the
// definition, element by element, and its gradient is the sum's divided by them.
func TestMeanClasses(t *testing.T) {
	dir := t.TempDir()
	const rows, n = 3000, 130 // several blocks, words and a rest
	s, y, mask := example[float64](t, dir, rows, n)
	weights := make([]float64, rows)
	for i := range weights {
		weights[i] = float64(i%7) / 3
	}
	save(t, dir, "W.npy", []int{rows}, weights)
	targets := make([]int64, rows)
	for i := range targets {
		targets[i] = int64(i%(n+1)) - 1
	}
	save(t, dir, "T.npy", []int{rows}, targets)
	mean := func(args ...string) float64 {
		t.Helper()
		stdout, stderr, status := run(t, dir, append([]string{"eval", "--scores", "S.npy", "--metrics", "none", "--json",
			"--reduction", "mean-classes"}, args...)...)
		require.Equal(t, 0, status, stderr)
		var r struct {
			Losses map[string]struct{ Sum, Mean_classes float64 }
		}
		require.NoError(t, json.Unmarshal([]byte(stdout), &r))
		require.Len(t, r.Losses, 1)
		for _, l := range r.Losses {
			return l.Mean_classes
		}
		return 0
	}
	softplus := func(x float64) float64 { return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }
	for _, masked := range []bool{false, true} {
		for _, weighted := range []bool{false, true} {
			for _, column := range []int{-1, 77} {
				if column >= 0 { // is no class: without labels
					for r := range rows {
						y[r*n+column] = 0
					}
					save(t, dir, "Y.npy", []int{rows, n}, y)
				}
				sum, elements := 0.0, 0.0
				for i, x := range s {
					w, r, j := 1.0, i/n, i%n
					if weighted {
						w = weights[r]
					}
					if masked && mask[i] == 0 || j == column {
						continue
					}
					if column >= 0 {
						x -= s[r*n+column]
					}
					if y[i] == 1 {
						x = -x
					}
					sum += w * softplus(x)
					elements += w
				}
				args := []string{"--labels", "Y.npy", "--loss", "bce", "--grad", "G.npy"}
				if masked {
					args = append(args, "--mask", "M.npy")
				}
				if weighted {
					args = append(args, "--row-weights", "W.npy")
				}
				if column >= 0 {
					args = append(args, "--threshold-column", "77")
				}
				require.InEpsilon(t, sum/elements, mean(args...), 1e-12, args)
				grad := read(t, dir, "G.npy")
				_, stderr, status := run(t, dir, append([]string{"eval", "--scores", "S.npy", "--metrics", "none", "--reduction", "sum"}, args...)...)
				require.Equal(t, 0, status, stderr)
				for i, v := range read(t, dir, "G.npy") {
					require.InDelta(t, v/elements, grad[i], 1e-12*math.Abs(v/elements)) // the error of elements here
				}
				if column < 0 && !masked {
					// Rows without a target count nowhere: the rows' mean over n.
					want := evalJSON(t, dir, "--scores", "S.npy", "--labels", "T.npy", "--loss", "softmax", "--metrics", "none").Losses["softmax"].Mean / n
					require.InEpsilon(t, want, mean("--labels", "T.npy", "--loss", "softmax"), 1e-14)
				}
			}
		}
	}
	stdout, stderr, status := run(t, dir, "eval", "--scores", "S.npy", "--labels", "Y.npy", "--reduction", "mean-classes")
	require.Equal(t, 0, status, stderr)
	require.Contains(t, stdout, "mean of elements")
	fails(t, dir, 2, `--reduction "means": choose none, sum, mean or mean-classes \(did you mean mean\?\)`, "eval", "--scores", "S.npy",
		"--labels", "Y.npy", "--reduction", "means")
}

// TestMeanClassesEnds: sums beyond the numbers have means, and nothing has none.
func TestMeanClassesEnds(t *testing.T) {
	dir := t.TempDir()
	save(t, dir, "S.npy", []int{3, 2}, []float64{1.5e308, 0, 1.5e308, 0, 1.5e308, 0})
	save(t, dir, "Y.npy", []int{3, 2}, make([]uint8, 6))
	save(t, dir, "M.npy", []int{3, 2}, make([]uint8, 6))
	stdout, stderr, status := run(t, dir, "eval", "--scores", "S.npy", "--labels", "Y.npy", "--loss", "bce", "--metrics", "none", "--json",
		"--reduction", "mean-classes")
	require.Equal(t, 0, status, stderr)
	require.Contains(t, stdout, `"mean_classes": 7.5e+307`)
	fails(t, dir, 1, `no row counts for bce`, "eval", "--scores", "S.npy", "--labels", "Y.npy", "--loss", "bce", "--mask", "M.npy",
		"--reduction", "mean-classes", "--grad", "G.npy")
}

func read(t *testing.T, dir, name string) []float64 {
	t.Helper()
	_, err := os.Stat(filepath.Join(dir, name))
	require.NoError(t, err)
	a, err := array.Open(filepath.Join(dir, name))
	require.NoError(t, err)
	defer a.Close()
	return array.Copy[float64](a, 0, a.Len())
}
