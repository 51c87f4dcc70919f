package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/scalar"
)

// readArray returns an array of a file.
func readArray[T array.Number](t *testing.T, dir, name string) ([]int, []T) {
	t.Helper()
	path, key, _ := formatOfName(name)
	if name = filepath.Join(dir, path); key != "" {
		name += ":" + key
	}
	a, err := array.Open(name)
	require.NoError(t, err)
	defer a.Close()
	return a.Shape, append([]T{}, array.All[T](a)...)
}

// TestPredictAs: probabilities, classes and the highest scores, of a file of
// scores, of its shards and of the model that they are of, in every format.
func TestPredictAs(t *testing.T) {
	dir := t.TempDir()
	const rows, n = 700, 12
	example[float32](t, dir, rows, n) // the features, of which a model's scores are
	predict := func(args ...string) {
		t.Helper()
		stdout, stderr, status := run(t, dir, append([]string{"predict"}, args...)...)
		require.Equal(t, 0, status, stderr)
		require.Empty(t, stdout)
	}
	_, stderr, status := run(t, dir, "train", "--x", "S.npy", "--y", "Y.npy", "--l2", "0.01", "--out", "model.npz")
	require.Equal(t, 0, status, stderr)
	predict("--model", "model.npz", "--x", "S.npy", "--out", "scores.npy")
	_, s := readArray[float32](t, dir, "scores.npy")
	split(t, dir, "scores", []int{rows, n}, s)
	for j := range n / 2 { // equal scores
		s[n+j] = s[n]
	}
	save(t, dir, "scores.npy", []int{rows, n}, s)

	predict("--scores", "scores.npy", "--out", "same.npy")
	require.Equal(t, checksum(t, filepath.Join(dir, "scores.npy")), checksum(t, filepath.Join(dir, "same.npy")))
	sigmoid := func(scale float64) []float32 {
		p := make([]float32, len(s))
		for i, v := range s {
			p[i] = float32(scalar.Sigmoid(scale * float64(v)))
		}
		return p
	}
	softmax := make([]float32, len(s))
	zlpr.SoftmaxRows(matrix(softmax, n), nil, matrix(s, n))
	for by, want := range map[string][]float32{"sigmoid": sigmoid(1), "sigmoid2": sigmoid(2), "softmax": softmax} {
		for _, out := range []string{"P.npy", "P.npz:p", "P.safetensors", "P.csv"} {
			predict("--scores", "scores.npy", "--as", "probabilities", "--by", by, "--out", out)
			shape, got := readArray[float32](t, dir, out)
			require.Equal(t, []int{rows, n}, shape)
			require.Equal(t, want, got)
		}
	}
	for _, args := range [][]string{nil, {"--predict-threshold", "0.5"}, {"--predict-top", "3"}, {"--predict-top", "3", "--predict-threshold", "-2"}} {
		_, stderr, status := run(t, dir, append([]string{"eval", "scores.npy", "Y.npy", "--metrics", "none", "--predictions", "E.npy"}, args...)...)
		require.Equal(t, 0, status, stderr)
		for i := range args {
			args[i] = strings.Replace(args[i], "--predict-top", "--top", 1)
		}
		predict(append(args, "--scores", "scores.npy", "--as", "classes", "--out", "C.npy")...)
		require.Equal(t, checksum(t, filepath.Join(dir, "E.npy")), checksum(t, filepath.Join(dir, "C.npy")))
		predict(append(args, "--scores", "scores.npy", "--as", "classes", "--out", "C.txt")...)
		_, stderr, status = run(t, dir, "convert", "C.txt", "C2.npy")
		require.Equal(t, 0, status, stderr)
		require.Equal(t, checksum(t, filepath.Join(dir, "E.npy")), checksum(t, filepath.Join(dir, "C2.npy")))
	}
	// The highest: the lowest column first where scores are equal.
	inf := float32(math.Inf(-1))
	predict("--scores", "scores.npy", "--top", "4", "--out", "T.npy")
	_, top := readArray[float32](t, dir, "T.npy")
	for i := range rows {
		for j := range n {
			above := 0
			for k := range n {
				if v, w := s[i*n+k], s[i*n+j]; v > w || v == w && k < j {
					above++
				}
			}
			want := inf
			if above < 4 {
				want = s[i*n+j]
			}
			require.Equal(t, want, top[i*n+j], "%d %d", i, j)
		}
	}
	predict("--scores", "scores.npy", "--top", "4", "--out", "T.npz")
	predict("--scores", "T.npz", "--out", "T2.npy") // unlisted scores are -Inf
	require.Equal(t, checksum(t, filepath.Join(dir, "T.npy")), checksum(t, filepath.Join(dir, "T2.npy")))
	predict("--scores", "T.npz", "--top", "12", "--out", "T3.npz")
	require.Equal(t, checksum(t, filepath.Join(dir, "T.npz")), checksum(t, filepath.Join(dir, "T3.npz")))
	predict("--scores", "scores.npy", "--top", "1", "--as", "probabilities", "--out", "T.svm")
	text, err := os.ReadFile(filepath.Join(dir, "T.svm"))
	require.NoError(t, err)
	require.Equal(t, rows, strings.Count(string(text), ":"))

	// A model and its scores, one file and its shards.
	for _, as := range [][]string{{"--as", "classes"}, {"--as", "probabilities", "--top", "2"}, {"--top", "3"}} {
		predict(append(as, "--model", "model.npz", "--x", "S.npy", "--out", "A.txt")...)
		predict(append(as, "--scores", "scores-*.npy", "--out", "B.txt")...)
		require.Equal(t, checksum(t, filepath.Join(dir, "A.txt")), checksum(t, filepath.Join(dir, "B.txt")))
	}

	s[5*n+2] = float32(math.NaN())
	save(t, dir, "nan.npy", []int{rows, n}, s)
	fails(t, dir, 1, `nan.npy: row 5, column 2: score is NaN`, "predict", "--scores", "nan.npy", "--as", "classes", "--out", "C.npz")
	fails(t, dir, 1, `nan.npy: row 5, column 2: score is NaN`, "predict", "--scores", "nan.npy", "--top", "2", "--out", "C.npz")
	nan := func(want string, args ...string) []float32 {
		_, stderr, status := run(t, dir, append([]string{"predict", "--scores", "nan.npy", "--out", "N.npy"}, args...)...)
		require.Equal(t, 0, status)
		require.Equal(t, "zlpr: warning: nan.npy: row 5, column 2: score is NaN; mend the score; what is written of "+want+"\n", stderr)
		a, err := array.Open(filepath.Join(dir, "N.npy"))
		require.NoError(t, err)
		defer a.Close()
		return array.Copy[float32](a, 0, a.Len())
	}
	isNaN := func(v float32) bool { return v != v }
	for _, as := range []string{"scores", "probabilities"} {
		require.Equal(t, 5*n+2, slices.IndexFunc(nan("it is NaN", "--as", as), isNaN))
	}
	require.Equal(t, 5*n, slices.IndexFunc(nan("its row is NaN", "--as", "probabilities", "--by", "softmax"), isNaN))
	s[6*n] = float32(math.NaN())
	save(t, dir, "nan.npy", []int{rows, n}, s)
	nan("it is NaN (2 scores in all)", "--as", "probabilities")
	fails(t, dir, 1, `D.svm: row 0 has no labels: libsvm text has no line for it; write XMC text: --to xmc`,
		"predict", "--scores", "scores.npy", "--as", "classes", "--predict-threshold", "99", "--out", "D.svm")
	for args, want := range map[string]string{
		"--scores scores.npy --out x":                                 `x: its ending stands for no format`,
		"--scores scores.npy --out x.npy:k":                           `its ending stands for no format`,
		"--scores scores.npy --out x.npz:k --to xmc":                  `x.npz:k: xmc has no arrays with names`,
		"--scores scores.npy --out x --to cvs":                        `--to "cvs": choose .* \(did you mean csv\?\)`,
		"--scores scores.npy --out x.npy --as class":                  `--as "class": choose scores, probabilities, classes`,
		"--scores scores.npy --out x.npy --by softmax":                `--by goes with --as probabilities`,
		"--scores scores.npy --out x.npy --predict-threshold 1":       `--predict-threshold goes with --as classes`,
		"--scores scores.npy --out x.npy --as classes --top 0":        `--top 0: at least 1`,
		"--scores scores.npy --out x.npy --top 13":                    `--top 13 is more than the 12 classes`,
		"--scores scores.npy --model model.npz --x S.npy --out x.npy": `give --scores, or --model and --x, not both`,
		"--scores scores.npy --out scores.npy":                        `--scores and --out are the same file`,
		"--scores scores.npz:a --out scores.npz:b":                    `--scores and --out are the same file`,
		"--scores scores-*.npy --out scores-9.npy":                    `--scores and --out are the same file`,
		"--scores scores.npy":                                         `give --model and --x`,
	} {
		status := 2
		if strings.Contains(want, "is more than") {
			status = 1
		}
		fails(t, dir, status, want, append([]string{"predict"}, strings.Fields(args)...)...)
	}
	// A feature that is none, in a shard.
	x := make([]float64, 40*n)
	x[31*n+2] = math.Inf(1)
	split(t, dir, "X", []int{40, n}, x)
	at := cuts(40)
	fails(t, dir, 1, fmt.Sprintf(`X-40.npy: row %d, column 2: feature is \+Inf`, 31-at[4]), "predict", "--model", "model.npz", "--x", "X-*.npy", "--out", "Z.npy")
	y := make([]uint8, 40*n)
	y[31*n+2] = 3
	split(t, dir, "y", []int{40, n}, y)
	fails(t, dir, 1, fmt.Sprintf(`y-40.npy: row %d, column 2 \(row 31 of all shards\): label 3 is neither`, 31-at[4]), "train", "--x", "X-*.npy", "--y", "y-*.npy", "--out", "Z.npz")
}
