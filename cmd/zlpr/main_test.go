package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/cmd/zlpr/internal/array"
	"github.com/zlpr/zlpr/cmd/zlpr/internal/corpus"
)

// binary is the command, built by TestMain.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "zlpr")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "zlpr.exe") // a name that all systems run
	out, err := exec.Command("go", "build", "-tags", buildTags(), "-o", binary, ".").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// buildTags returns the tags with which this test was built.
func buildTags() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "-tags" {
				return setting.Value
			}
		}
	}
	return ""
}

// run runs the command in dir.
func run(t *testing.T, dir string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := exec.Command(binary, args...)
	return runCommand(t, dir, cmd)
}

func runCommand(t *testing.T, dir string, cmd *exec.Cmd) (stdout, stderr string, status int) {
	t.Helper()
	var o, e bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &o, &e
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// fails runs the command and checks its one line of error, and that it leaves
// no file behind.
func fails(t *testing.T, dir string, want int, pattern string, args ...string) {
	t.Helper()
	before := list(t, dir)
	stdout, stderr, status := run(t, dir, args...)
	require.Equal(t, want, status, stderr)
	require.Empty(t, stdout)
	require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
	require.Regexp(t, "^zlpr: .*"+pattern, stderr)
	require.Equal(t, before, list(t, dir))
}

func list(t *testing.T, dir string) (names []string) {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func save[T array.Element](t *testing.T, dir, name string, shape []int, data []T) {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, array.WriteTo(&b, shape, data))
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644))
}

// example writes S.npy, Y.npy and M.npy and returns them.
func example[T zlpr.Float](t *testing.T, dir string, rows, n int) (s []T, y, mask []uint8) {
	rng := rand.New(rand.NewPCG(uint64(rows), uint64(n)))
	s, y, mask = make([]T, rows*n), make([]uint8, rows*n), make([]uint8, rows*n)
	for i := range s {
		s[i] = T(2 * rng.NormFloat64())
		if rng.IntN(4) > 0 {
			mask[i] = 1
			if rng.IntN(10) == 0 {
				y[i] = 1
			}
		}
	}
	switch s := any(s).(type) {
	case []float32:
		save(t, dir, "S.npy", []int{rows, n}, s)
	case []float64:
		save(t, dir, "S.npy", []int{rows, n}, s)
	}
	save(t, dir, "Y.npy", []int{rows, n}, y)
	save(t, dir, "M.npy", []int{rows, n}, mask)
	return s, y, mask
}

// TestErrors runs the command on what is wrong.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	_, y, _ := example[float32](t, dir, 6, 5)
	eval := func(status int, pattern string, args ...string) {
		t.Helper()
		fails(t, dir, status, pattern, append([]string{"eval", "--grad", "G.npy", "--predictions", "P.npy"}, args...)...)
	}
	sy := []string{"--scores", "S.npy", "--labels", "Y.npy"}
	with := func(args ...string) []string { return append(append([]string{}, sy...), args...) }

	save(t, dir, "Y3.npy", []int{6, 4}, make([]uint8, 24))
	eval(1, `Y3.npy: labels of shape 6×4, scores of shape 6×5; labels must`, "--scores", "S.npy", "--labels", "Y3.npy")

	f := make([]float32, 30)
	f[17] = float32(math.NaN())
	save(t, dir, "NaN.npy", []int{6, 5}, f)
	eval(1, `NaN.npy: row 3, column 2: label is NaN; write 0 or 1`, "--scores", "S.npy", "--labels", "NaN.npy")
	eval(1, `NaN.npy: row 3, column 2: score`, "--scores", "NaN.npy", "--labels", "Y.npy", "--strict")
	eval(1, `NaN.npy: row 3, column 2: score is NaN`, "--scores", "NaN.npy", "--labels", "Y.npy")

	two := append([]uint8{}, y...)
	two[29] = 2
	save(t, dir, "two.npy", []int{6, 5}, two)
	eval(1, `two.npy: row 5, column 4: label is neither 0 nor 1`, "--scores", "S.npy", "--labels", "two.npy")
	eval(1, `two.npy: row 5, column 4: mask value is neither 0 nor 1`, with("--mask", "two.npy")...)

	none := make([]uint8, 30)
	all := bytes.Repeat([]byte{1}, 30)
	save(t, dir, "none.npy", []int{6, 5}, none)
	save(t, dir, "all.npy", []int{6, 5}, all)
	eval(1, `all.npy: row 0, column 0: positive label on a class that is masked out; set`, "--scores", "S.npy", "--labels", "all.npy", "--mask", "none.npy", "--reduction", "sum")
	eval(1, `mean over no rows|no row counts`, "--scores", "S.npy", "--labels", "none.npy", "--mask", "none.npy")

	raw, err := os.ReadFile(filepath.Join(dir, "S.npy"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cut.npy"), raw[:len(raw)-3], 0o644))
	eval(1, `cut.npy: truncated: .* 120 bytes, but only 117 are there`, "--scores", "cut.npy", "--labels", "Y.npy")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "text.npy"), []byte("hello"), 0o644))
	eval(1, `text.npy: not an .npy file`, "--scores", "text.npy", "--labels", "Y.npy")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "text.npz"), []byte("hello"), 0o644))
	eval(1, `text.npz: not an .npz file`, "--scores", "text.npz:a", "--labels", "Y.npy")
	eval(1, `Y.npy: scores of type uint8; .* exchanged`, "--scores", "Y.npy", "--labels", "S.npy")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "complex.npy"), bytes.Replace(raw, []byte("<f4"), []byte("<c8"), 1), 0o644))
	eval(1, `complex.npy: array type <c8 is not supported`, "--scores", "complex.npy", "--labels", "Y.npy")
	eval(1, `nothing.npy: no such file`, "--scores", "nothing.npy", "--labels", "Y.npy")
	eval(1, `is a directory`, "--scores", ".", "--labels", "Y.npy")

	save(t, dir, "empty.npy", []int{0, 5}, []float32{})
	save(t, dir, "emptyY.npy", []int{0, 5}, []uint8{})
	eval(1, `empty.npy: empty: 0 rows of 5 classes`, "--scores", "empty.npy", "--labels", "emptyY.npy")
	save(t, dir, "weights.npy", []int{6}, []float64{1, 1, -1, 1, 1, 1})
	eval(1, `weights.npy: row 2: weight -1`, with("--row-weights", "weights.npy")...)
	eval(1, `weights.npy: 6 class weights, but 5 are needed`, with("--class-weights", "weights.npy")...)
	save(t, dir, "lengths.npy", []int{6}, []int32{1, 2, 3, 9, 1, 1})
	eval(1, `lengths.npy: row 3: length 9 is not in 0..5`, with("--lengths", "lengths.npy")...)
	eval(1, `--k 6 is more than the 5 classes`, with("--loss", "subset-padded", "--k", "6")...)
	save(t, dir, "all2.npy", []int{6, 5}, all)
	eval(1, `all2.npy: row 0: .*softmax`, "--scores", "S.npy", "--labels", "all2.npy", "--loss", "softmax")
	eval(1, `all2.npy: row 0: .*; raise --k`, "--scores", "S.npy", "--labels", "all2.npy", "--loss", "subset-padded", "--k", "2")

	eval(2, `unknown loss "zlrp"; choose from`, with("--loss", "zlrp")...)
	eval(2, `unknown metric "f1"`, with("--metrics", "f1")...)
	eval(2, `need one loss`, with("--loss", "zlpr,bce")...)
	eval(2, `both --scores and --labels`, "--scores", "S.npy")
	eval(2, `--reduction "avg"`, with("--reduction", "avg")...)
	eval(2, `must end in .svg or .png`, with("--plot", "x.gif")...)
	eval(2, `unknown flag: --frobnicate`, with("--frobnicate")...)
	eval(2, `invalid argument "x"`, with("--s0", "x")...)
	eval(2, `same file`, with("--per-row", "G.npy")...)
	fails(t, dir, 2, `unknown command "evaluate"`, "evaluate")
	fails(t, dir, 2, `unexpected argument "x"`, "version", "x")
	fails(t, dir, 2, `unknown loss "zlpr-soft"`, "train", "--loss", "zlpr-soft")
	fails(t, dir, 2, `by --y`, "train", "--x", "S.npy")
	fails(t, dir, 1, `Y3.npy: 6 features, the model|no array|not an .npz`, "predict", "--model", "text.npz", "--x", "S.npy", "--out", "P.npy")
	fails(t, dir, 1, `--k 6 is more than the 5 classes`, "sample", "--scores", "S.npy", "--k", "6")
	fails(t, dir, 2, `--k`, "sample", "--scores", "S.npy")
	fails(t, dir, 1, `nowhere/L.npy: no such file`, append([]string{"eval", "--per-row", "nowhere/L.npy"}, sy...)...)
}

// TestMoreErrors: what a closer look found.
func TestMoreErrors(t *testing.T) {
	dir := t.TempDir()
	example[float32](t, dir, 6, 5)
	eval := func(status int, pattern string, args ...string) {
		t.Helper()
		fails(t, dir, status, pattern, append([]string{"eval", "--scores", "S.npy", "--labels", "Y.npy", "--grad", "G.npy", "--plot", "p.svg"}, args...)...)
	}
	// Weights, of which the library sees only their sum.
	save(t, dir, "nan.npy", []int{6}, []float64{1, 1, math.NaN(), 1, 1, 1})
	save(t, dir, "zero.npy", []int{6}, make([]float64, 6))
	save(t, dir, "minus.npy", []int{5}, []float64{1, 1, 1, -2, 1})
	eval(1, `nan.npy: row 2: weight NaN is not finite`, "--row-weights", "nan.npy")
	eval(1, `S.npy: no row counts for zlpr: all are`, "--row-weights", "zero.npy")
	eval(1, `S.npy: no row counts for zlpr: all are`, "--row-weights", "zero.npy", "--reduction", "sum")
	eval(1, `minus.npy: class 3: weight -2 is not finite and at least 0`, "--class-weights", "minus.npy")
	eval(1, `minus.npy: class 3: weight -2 is not finite and at least 0`, "--loss", "bce", "--pos-weight", "minus.npy")
	eval(2, `--pos-weight -1: a number of at least 0, or a file`, "--loss", "bce", "--pos-weight", "-1")
	// Numbers that are none.
	eval(2, `--s0 NaN: a finite number`, "--s0", "nan")
	eval(2, `--margin \+Inf: a finite number`, "--margin", "inf")
	eval(2, `--predict-threshold NaN: a number`, "--predict-threshold", "nan")
	eval(2, `--gamma 0: a number above 0`, "--gamma", "0")
	eval(2, `--focal -1: a number of at least 0`, "--focal", "-1")
	// Soft labels, by their place.
	soft := make([]float32, 30)
	soft[13] = 0.5
	save(t, dir, "soft.npy", []int{6, 5}, soft)
	eval(1, `soft.npy: row 2, column 3: label 0.5 is soft, which --loss zlpr does not take; .* --loss zlpr-soft`, "--labels", "soft.npy")
	soft[14] = 1.5
	save(t, dir, "soft.npy", []int{6, 5}, soft)
	eval(1, `soft.npy: row 2, column 4: soft label is not in \[0, 1\]`, "--labels", "soft.npy", "--loss", "zlpr-soft")
	soft[13] = 0
	save(t, dir, "soft.npy", []int{6, 5}, soft)
	eval(1, `soft.npy: row 2, column 4: label is neither 0 nor 1`, "--labels", "soft.npy")
	// A NaN score is an error of the metrics, which are on by default.
	scores := make([]float32, 30)
	scores[7] = float32(math.NaN())
	save(t, dir, "NaN.npy", []int{6, 5}, scores)
	eval(1, `NaN.npy: row 1, column 2: score is NaN; .*--metrics none`, "--scores", "NaN.npy")
	eval(1, `NaN.npy: row 1, column 2: score is NaN or infinite; .*--strict`, "--scores", "NaN.npy", "--strict")
	eval(2, `--plot and --plot are the same file`, "--plot", "p.svg,./p.svg")

	// Nothing to draw from, or too little.
	inf := float32(math.Inf(1))
	save(t, dir, "I.npy", []int{2, 3}, []float32{1, -inf, -inf, inf, inf, 0})
	sample := func(status int, pattern string, args ...string) {
		t.Helper()
		fails(t, dir, status, pattern, append([]string{"sample", "--scores", "I.npy", "--out", "D.npy"}, args...)...)
	}
	sample(1, `I.npy: row 0: 1 scores are above -Inf, too few for 2 classes`, "--k", "2")
	sample(1, `I.npy: row 1: 2 scores are \+Inf, a subset has 1 classes`, "--k", "1")
	sample(1, `I.npy: row 1, column 0: score is \+Inf; .*--law subset`, "--k", "1", "--law", "plackett-luce")
	sample(2, `--s0 NaN: a finite number`, "--k", "1", "--padded", "--s0", "nan")
	sample(2, `--s0 goes with --padded`, "--k", "1", "--s0", "1")
	save(t, dir, "empty.npy", []int{0, 3}, []float32{})
	sample(1, `empty.npy: empty: 0 rows of 3 classes`, "--k", "1", "--scores", "empty.npy")

	// Train names the rows of the files, and makes all outputs or none.
	train := func(status int, pattern string, args ...string) {
		t.Helper()
		fails(t, dir, status, pattern, append([]string{"train", "--x", "S.npy", "--y", "Y.npy", "--l2", "1", "--plot", "p.svg"}, args...)...)
	}
	one := []uint8{1, 1, 0, 0, 0 /* a test row */, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0}
	save(t, dir, "one.npy", []int{6, 5}, one)
	save(t, dir, "split.npy", []int{6}, []uint8{1, 0, 0, 0, 0, 0})
	train(1, `one.npy: row 2: more than one positive label`, "--y", "one.npy", "--split", "split.npy", "--loss", "softmax")
	train(1, `nowhere/m.npz: no such file`, "--out", "nowhere/m.npz")
	train(2, `--out and --test-scores are the same file`, "--out", "m.npz", "--test-scores", "./m.npz")
	save(t, dir, "large.npy", []int{6, 2}, []float64{1, 2, 3, 1e200, 5, 6, 7, 8, 9, 10, 11, 12})
	train(1, `large.npy: row 1, column 1: feature is 1e\+200, above 1e\+100`, "--x", "large.npy")

	fails(t, dir, 2, `unknown command "evaluate"`, "help", "evaluate")
	fails(t, dir, 2, `unexpected argument "tcsh"`, "completion", "tcsh")
	fails(t, dir, 2, `--data`, "compare")
}

// TestStandardOutput: a full disk behind standard output is an error.
func TestStandardOutput(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	defer full.Close()
	for _, args := range [][]string{{"eval"}, {"eval", "--json"}, {"sample", "--k", "2"}, {"version"}} {
		cmd := exec.Command(binary, args...)
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = full, &stderr
		require.Error(t, cmd.Run())
		require.Equal(t, 1, cmd.ProcessState.ExitCode())
		require.Regexp(t, `^zlpr: .*no space left on device\n$`, stderr.String())
	}
}

// TestKeys checks the keys of both JSON objects, and the order of nothing else.
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
	require.Equal(t, []string{"classes", "elements_per_second", "labels_per_row", "losses", "metrics", "rows", "seconds",
		"skipped", "tier", "warnings"}, keys("eval", "--scores", "S.npy", "--labels", "Y.npy", "--json"))
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
	require.Len(t, soft.Losses, 1)
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

// TestDraws draws subsets.
func TestDraws(t *testing.T) {
	dir := t.TempDir()
	s := []float64{50, -1, 50, 0, math.Inf(-1), 1}
	save(t, dir, "S.npy", []int{2, 3}, s)
	stdout, stderr, status := run(t, dir, "sample", "--scores", "S.npy", "--k", "2", "--draws", "2")
	require.Equal(t, 0, status, stderr)
	require.Equal(t, "0: 0 2\n0: 0 2\n1: 0 2\n1: 0 2\n", stdout)
	_, stderr, status = run(t, dir, "sample", "--scores", "S.npy", "--k", "2", "--draws", "5", "--law", "plackett-luce", "--out", "D.npy")
	require.Equal(t, 0, status, stderr)
	d, err := array.Open(filepath.Join(dir, "D.npy"))
	require.NoError(t, err)
	require.Equal(t, []int{2, 5, 2}, d.Shape)
}

func TestVersion(t *testing.T) {
	stdout, stderr, status := run(t, t.TempDir(), "version")
	require.Equal(t, 0, status, stderr)
	require.Contains(t, stdout, "kernels: "+zlpr.Tier())
	stdout, _, status = run(t, t.TempDir(), "completion", "bash")
	require.Equal(t, 0, status)
	require.Contains(t, stdout, "zlpr")
	stdout, _, status = run(t, t.TempDir(), "eval", "--help")
	require.Equal(t, 0, status)
	require.Contains(t, stdout, "Examples:")
}
