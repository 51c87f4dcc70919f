package main

import (
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/array"
)

// TestTrainLosses: what a loss with parameters is trained to is what eval says of the
// scores, plus (λ/2)·Σ W², and no other start leads lower; parameters that a loss does not
// have, or that are out of range, are errors.
func TestTrainLosses(t *testing.T) {
	dir := t.TempDir()
	const rows, features, classes = 90, 3, 5
	r := rand.New(rand.NewPCG(15, 16))
	x, y, targets := make([]float64, rows*features), make([]uint8, rows*classes), make([]int32, rows)
	for i := range rows {
		for j := range features {
			x[i*features+j] = r.NormFloat64()
		}
		for j := range classes {
			if x[i*features+j%features]+r.NormFloat64() > float64(j)/2 {
				y[i*classes+j] = 1
				targets[i] = int32(j)
			}
		}
	}
	targets[7] = -1
	save(t, dir, "X.npy", []int{rows, features}, x)
	save(t, dir, "Y.npy", []int{rows, classes}, y)
	save(t, dir, "T.npy", []int{rows}, targets)
	for _, c := range []struct {
		labels string
		flags  []string
	}{
		{"Y.npy", []string{"--loss", "bce", "--smoothing", "0.2"}},
		{"Y.npy", []string{"--loss", "zlpr", "--smoothing", "0.2"}},
		{"T.npy", []string{"--loss", "softmax", "--smoothing", "0.2"}},
		{"Y.npy", []string{"--loss", "class-balanced", "--beta", "0.9"}},
		{"Y.npy", []string{"--loss", "class-balanced", "--focal", "1"}},
		{"T.npy", []string{"--loss", "class-balanced-softmax", "--beta", "0.95"}},
		{"Y.npy", []string{"--loss", "distribution-balanced"}},
		{"Y.npy", []string{"--loss", "pairwise", "--gamma", "2", "--margin", "0.5"}},
		{"Y.npy", []string{"--loss", "two-way", "--positive-temperature", "2"}},
	} {
		train := append([]string{"train", "--x", "X.npy", "--y", c.labels, "--l2", "0.01", "--json"}, c.flags...)
		var first, second, evaluated struct {
			Objective, Gap float64
			Converged      bool
			Losses         map[string]struct{ Mean float64 }
		}
		read := func(to any, args []string) {
			stdout, stderr, status := run(t, dir, args...)
			require.Equal(t, 0, status, stderr)
			require.NoError(t, json.Unmarshal([]byte(stdout), to))
		}
		read(&first, append(train, "--out", "M.npz"))
		read(&second, append(train, "--seed", "3"))
		require.True(t, first.Converged && second.Converged, "%v", c.flags)
		require.InEpsilon(t, first.Objective, second.Objective, 1e-9, "%v", c.flags)
		_, stderr, status := run(t, dir, "predict", "--model", "M.npz", "--x", "X.npy", "--out", "S.npy")
		require.Equal(t, 0, status, stderr)
		read(&evaluated, append([]string{"eval", "S.npy", c.labels, "--metrics", "none", "--json"}, c.flags...))
		w, err := array.Open(filepath.Join(dir, "M.npz:W"))
		require.NoError(t, err)
		want := evaluated.Losses[c.flags[1]].Mean
		for _, v := range array.All[float64](w) {
			want += 0.005 * v * v
		}
		w.Close()
		require.InEpsilon(t, want, first.Objective, 1e-6, "%v", c.flags) // scores are float32
	}
	base := []string{"train", "--x", "X.npy", "--y", "Y.npy"}
	for _, c := range []struct {
		pattern string
		flags   []string
	}{
		{`--smoothing 1: at least 0 and below 1`, []string{"--smoothing", "1"}},
		{`--smoothing -0.1: at least 0 and below 1`, []string{"--smoothing", "-0.1"}},
		{`--smoothing NaN: at least 0 and below 1`, []string{"--smoothing", "nan"}},
		{`--smoothing goes with --loss softmax, bce, zlpr; it has no effect here`, []string{"--loss", "pairwise", "--smoothing", "0.1"}},
		{`--smoothing and --teacher exclude each other`, []string{"--smoothing", "0.1", "--teacher", "X.npy"}},
		{`--beta 1: at least 0 and below 1`, []string{"--loss", "class-balanced", "--beta", "1"}},
		{`--beta goes with --loss class-balanced, class-balanced-softmax`, []string{"--beta", "0.5"}},
		{`--l2 auto chooses a threshold, and class-balanced-softmax predicts`, []string{"--loss", "class-balanced-softmax", "--l2", "auto"}},
	} {
		fails(t, dir, 2, c.pattern, append(base, c.flags...)...)
	}
	fails(t, dir, 2, `--smoothing 1: at least 0`, "compare", "--data", ".", "--smoothing", "1")
	fails(t, dir, 2, `--smoothing goes with --loss softmax, bce, zlpr`, "compare", "--data", ".", "--losses", "pairwise", "--smoothing", "0.1")
}
