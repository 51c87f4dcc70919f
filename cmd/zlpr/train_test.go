package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/cmd/zlpr/internal/corpus"
	"github.com/zlpr/zlpr/internal/array"
)

// TestTrain trains, predicts and evaluates.
func TestTrain(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 1))
	const rows, features, n = 300, 8, 6
	x, y, split := make([]float32, rows*features), make([]uint8, rows*n), make([]uint8, rows)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	for i := range rows {
		split[i] = uint8(i % 3 / 2)
		for j := range n {
			if x[i*features+j] > 0.5 {
				y[i*n+j] = 1
			}
		}
	}
	save(t, dir, "X.npy", []int{rows, features}, x)
	save(t, dir, "Y.npy", []int{rows, n}, y)
	save(t, dir, "split.npy", []int{rows}, split)
	base := []string{"train", "--x", "X.npy", "--y", "Y.npy", "--l2", "1e-3", "--standardize"}
	stdout, stderr, status := run(t, dir, append(base, "--split", "split.npy", "--json", "--seed", "5", "--out", "model.npz")...)
	require.Equal(t, 0, status, stderr)
	var r struct {
		Objective, Gradient_norm float64
		Iterations               int
		Metrics                  map[string]float64
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	require.Greater(t, r.Iterations, 5)
	require.Greater(t, r.Metrics["micro_f1"], 0.9)
	stdout, stderr, status = run(t, dir, append(base, "--split", "split.npy", "--compare", "--plot", "t.svg,t.png")...)
	require.Equal(t, 0, status, stderr)
	require.Regexp(t, `(?m)^loss +bce +zlpr$`, stdout)
	// Another start, the same objective.
	objective := regexp.MustCompile(`(?m)^objective +\S+ +(\S+)$`).FindStringSubmatch(stdout)
	require.NotNil(t, objective, stdout)
	value, err := strconv.ParseFloat(objective[1], 64)
	require.NoError(t, err)
	require.InEpsilon(t, r.Objective, value, 1e-8)
	require.NotContains(t, stdout, "not converged")
	require.FileExists(t, filepath.Join(dir, "t.svg"))
	require.FileExists(t, filepath.Join(dir, "t.png"))
	_, stderr, status = run(t, dir, "predict", "--model", "model.npz", "--x", "X.npy", "--out", "P.npy")
	require.Equal(t, 0, status, stderr)
	e := evalJSON(t, dir, "--scores", "P.npy", "--labels", "Y.npy")
	require.Greater(t, *e.Metrics["micro_f1"], 0.9)
	// Many blocks, dense and sparse: x·W + b of the model itself.
	const long = 70000
	big, ptr, index := make([]float32, long*features), []int64{0}, []int32{}
	for i := range big {
		big[i] = float32(rng.NormFloat64())
		index = append(index, int32(i%features))
		if i%features == features-1 {
			ptr = append(ptr, int64(i+1))
		}
	}
	save(t, dir, "big.npy", []int{long, features}, big)
	save(t, dir, "ptr.npy", []int{len(ptr)}, ptr)
	save(t, dir, "index.npy", []int{len(index)}, index)
	save(t, dir, "values.npy", []int{len(big)}, big)
	_, stderr, status = run(t, dir, "predict", "--model", "model.npz", "--x", "big.npy", "--out", "P3.npy")
	require.Equal(t, 0, status, stderr)
	_, stderr, status = run(t, dir, "predict", "--model", "model.npz", "--x-csr", "ptr.npy,index.npy,values.npy", "--out", "P4.npy")
	require.Equal(t, 0, status, stderr)
	read := func(name string) []float64 {
		a, err := array.Open(filepath.Join(dir, name))
		require.NoError(t, err)
		defer a.Close()
		return slices.Clone(array.All[float64](a))
	}
	w, bias, mean, scale := read("model.npz:W"), read("model.npz:b"), read("model.npz:mean"), read("model.npz:scale")
	got, sparse := read("P3.npy"), read("P4.npy")
	for i := range long {
		for c := range n {
			want := bias[c]
			for j := range features {
				want += (float64(big[i*features+j]) - mean[j]) * scale[j] * w[j*n+c]
			}
			for _, v := range []float64{got[i*n+c], sparse[i*n+c]} {
				if math.Abs(v-want) > 1e-5*max(1, math.Abs(want)) {
					t.Fatalf("row %d, class %d: %v, not %v", i, c, v, want)
				}
			}
		}
	}
	big[69000*features+3] = float32(math.NaN())
	save(t, dir, "big.npy", []int{long, features}, big)
	fails(t, dir, 1, `big.npy: row 69000, column 3: feature is NaN`, "predict", "--model", "model.npz", "--x", "big.npy", "--out", "P5.npy")
	fails(t, dir, 1, `Y.npy: 6 features, the model model.npz has 8`, "predict", "--model", "model.npz", "--x", "Y.npy", "--out", "P2.npy")
	x[9] = float32(math.Inf(1))
	save(t, dir, "X.npy", []int{rows, features}, x)
	fails(t, dir, 1, `X.npy: row 1, column 1: feature is \+Inf`, base...)
}

// TestSameObjective trains on a part of Go's own source from zeros and from
// random weights, by every loss that its labels allow: the same objective
// within 1e-8, and within the gap that each training states.
func TestSameObjective(t *testing.T) {
	source, err := corpus.Source()
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	dir := t.TempDir()
	losses := []string{"zlpr", "bce", "pairwise", "subset-padded"}
	if testing.Short() {
		losses = losses[:1]
	}
	for _, loss := range losses {
		var objectives []float64
		for _, seed := range []string{"0", "1", "2"} {
			stdout, stderr, status := run(t, dir, "train", "--source", filepath.Join(source, "net"), "--loss", loss, "--seed", seed, "--json")
			require.Equal(t, 0, status, stderr)
			var r struct {
				Objective, Gap float64
				Converged      bool
			}
			require.NoError(t, json.Unmarshal([]byte(stdout), &r))
			require.True(t, r.Converged)
			require.LessOrEqual(t, r.Gap, 1e-10*r.Objective, "%s, seed %s", loss, seed)
			objectives = append(objectives, r.Objective)
		}
		for _, v := range objectives {
			require.InEpsilon(t, objectives[0], v, 1e-8, loss)
			require.InEpsilon(t, objectives[0], v, 2e-10, loss) // what the gap promises
		}
	}
}

// TestCompare: the table and the JSON object say the same.
func TestCompare(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"one", "two"} {
		set := filepath.Join(dir, "sets", name)
		require.NoError(t, os.MkdirAll(set, 0o755))
		save(t, set, "X.npy", []int{6, 2}, []float64{1, 2, 3, 4, 5, 7, 7, 8, 9, 1, 2, 3})
		save(t, set, "Y.npy", []int{6, 2}, []uint8{1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1})
		save(t, set, "split.npy", []int{6}, []uint8{0, 0, 0, 0, 1, 1})
	}
	table, stderr, status := run(t, dir, "compare", "--data", "sets", "--l2", "0.1,1")
	require.Equal(t, 0, status, stderr)
	stdout, stderr, status := run(t, dir, "compare", "--data", "sets", "--l2", "0.1,1", "--json")
	require.Equal(t, 0, status, stderr)
	var r struct {
		Results []struct {
			Set, Loss string
			L2        float64
			Converged bool
			Metrics   map[string]float64
		}
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	require.Len(t, r.Results, 8)
	lines := strings.Split(table, "\n")
	require.Len(t, lines, 2+8+1)
	for i, v := range r.Results {
		require.Contains(t, lines[2+i], fmt.Sprintf("| %s | %g | %s | %.4f |", v.Set, v.L2, v.Loss, v.Metrics["micro_f1"]))
	}
	for _, l2 := range []string{"inf", "nan", "0", "-1", "1e301", "x", ""} {
		fails(t, dir, 2, `--l2: `, "compare", "--data", "sets", "--l2", l2)
	}
}
