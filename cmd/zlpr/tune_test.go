package main

import (
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/metrics"
)

// A tuned is what tune writes.
type tuned struct {
	Measure     string
	Target      *float64
	Value       *float64
	CrossFitted *float64 `json:"cross_fitted"`
	Untuned     *float64
	Rows        int
	Unmet       *int
	Thresholds  any
}

func tuneJSON(t *testing.T, dir string, args ...string) tuned {
	t.Helper()
	stdout, stderr, status := run(t, dir, append([]string{"tune", "--json"}, args...)...)
	require.Equal(t, 0, status, stderr)
	var r tuned
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	return r
}

// TestTune compares with the library, and with what eval finds with the thresholds
// that were written; the cross-fitted value with the measure of predictions that
// were made fold by fold.
func TestTune(t *testing.T) {
	dir := t.TempDir()
	const rows, n = 4001, 70
	s, y, mask := example[float32](t, dir, rows, n)
	for i := range s { // so that there is something to tune
		s[i] += 2*float32(y[i]) - 1
	}
	save(t, dir, "S.npy", []int{rows, n}, s)
	dense := func(x []uint8) zlpr.Bits { return &zlpr.DenseLabels[uint8]{Rows: rows, Cols: n, Data: x, Stride: n} }
	for _, measure := range []string{"micro_f1", "macro_f1", "samples_f1", "micro_f2", "macro_recall", "samples_precision"} {
		for _, each := range []bool{false, true} {
			if each && strings.HasPrefix(measure, "samples") {
				fails(t, dir, 2, "leave out --per-class", "tune", "S.npy", "Y.npy", "--measure", measure, "--per-class", "--target", "0.1")
				continue
			}
			args := []string{"S.npy", "Y.npy", "--mask", "M.npy", "--measure", measure, "--out", "t.json", "--workers", "2"}
			target := 0.0
			if !strings.Contains(measure, "_f") {
				target = 0.25
				args = append(args, "--target", "0.25")
			}
			if each {
				args = append(args, "--per-class")
			}
			r := tuneJSON(t, dir, args...)
			o, err := metrics.NewObjective(measure, target)
			require.NoError(t, err)
			x, err := metrics.NewCrossTuner[float32](n, 1, o)
			require.NoError(t, err)
			require.NoError(t, x.Add(&metrics.Batch[float32]{Scores: matrix(s, n), Labels: dense(y), Mask: dense(mask)}))
			want, err := x.Tune(each)
			require.NoError(t, err)
			require.Equal(t, []float64{want.Value, want.CrossFitted, want.Untuned}, []float64{*r.Value, *r.CrossFitted, *r.Untuned})
			require.Less(t, math.Abs(*r.Value-*r.CrossFitted), 0.05)
			got := evalJSON(t, dir, "--scores", "S.npy", "--labels", "Y.npy", "--mask", "M.npy", "--thresholds", "t.json", "--metrics", measure)
			require.Equal(t, *r.Value, *got.Metrics[measure])
			if each {
				require.Len(t, r.Thresholds, n)
			} else {
				require.Equal(t, want.Threshold, r.Thresholds)
			}
			// Bins of 22 bits are nearly as fine, and what they find is true.
			binned := tuneJSON(t, dir, append(args, "--area-bits", "22", "--out", "binned.json")...)
			require.InDelta(t, *r.Value, *binned.Value, 1e-3)
			require.Equal(t, *r.Untuned, *binned.Untuned)
			got = evalJSON(t, dir, "--scores", "S.npy", "--labels", "Y.npy", "--mask", "M.npy", "--thresholds", "binned.json", "--metrics", measure)
			require.Equal(t, *binned.Value, *got.Metrics[measure])
			if measure == "micro_f1" && !each { // eval finds the same
				stdout, stderr, status := run(t, dir, "eval", "S.npy", "Y.npy", "--mask", "M.npy", "--json")
				require.Equal(t, 0, status, stderr)
				var e struct {
					Tuned struct{ Threshold, MicroF1 float64 }
				}
				require.NoError(t, json.Unmarshal([]byte(strings.ReplaceAll(stdout, "micro_f1", "MicroF1")), &e))
				require.Equal(t, want.Threshold, e.Tuned.Threshold)
				require.Equal(t, want.Value, e.Tuned.MicroF1)
				stdout, _, _ = run(t, dir, "eval", "S.npy", "Y.npy", "--mask", "M.npy")
				require.Regexp(t, `hint +threshold [0-9.e-]+ would give micro F1 0\.\d{4} instead of 0\.\d{4} \(tuned on these rows\)`, stdout)
				stdout, _, _ = run(t, dir, "eval", "S.npy", "Y.npy", "--mask", "M.npy", "--thresholds", "t.json")
				require.NotContains(t, stdout, "hint")
			}
		}
	}
	_, stderr, status := run(t, dir, "tune", "S.npy", "Y.npy", "--measure", "macro_f1", "--curve", "c.csv")
	require.Equal(t, 0, status, stderr)
	text, err := os.ReadFile(filepath.Join(dir, "c.csv"))
	require.NoError(t, err)
	table, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
	require.NoError(t, err)
	require.Len(t, table, 1001)
	require.Equal(t, []string{"threshold", "precision", "recall", "f1"}, table[0])
	require.Equal(t, "1", table[1000][2]) // all are predicted
}

// TestTuneEdges: few rows, labels of one kind, equal scores, what does not fit.
func TestTuneEdges(t *testing.T) {
	dir := t.TempDir()
	save(t, dir, "S.npy", []int{3, 2}, []float64{0.5, 0.5, 0.5, 0.5, 0.5, 0.5})
	save(t, dir, "Y.npy", []int{3, 2}, []uint8{0, 1, 0, 1, 0, 0})
	save(t, dir, "zero.npy", []int{3, 2}, make([]uint8, 6))
	save(t, dir, "one.npy", []int{1, 2}, []float64{0.25, -1})
	save(t, dir, "oneY.npy", []int{1, 2}, []uint8{1, 0})
	save(t, dir, "M.npy", []int{3, 2}, make([]uint8, 6))
	save(t, dir, "nan.npy", []int{3, 2}, []float64{0.5, 0.5, 0.5, math.NaN(), 0.5, 0.5})
	save(t, dir, "soft.npy", []int{3, 2}, []float64{0.5, 0, 0, 0, 0, 0})
	r := tuneJSON(t, dir, "S.npy", "Y.npy")
	require.InDelta(t, 0.5, *r.Value, 1e-15) // all are predicted: 2·2/(2 + 6)
	require.InDelta(t, 0.5, r.Thresholds, 1e-15)
	require.Less(t, r.Thresholds, 0.5)
	r = tuneJSON(t, dir, "S.npy", "zero.npy", "--per-class", "--measure", "macro_f1")
	require.Equal(t, []any{0.5, 0.5}, r.Thresholds) // nothing is predicted
	require.Zero(t, *r.Value)
	r = tuneJSON(t, dir, "one.npy", "oneY.npy")
	require.Nil(t, r.CrossFitted)
	require.Equal(t, 1., *r.Value)
	r = tuneJSON(t, dir, "S.npy", "Y.npy", "--per-class", "--measure", "micro_recall", "--target", "0.6")
	require.Equal(t, 1, *r.Unmet)
	require.Equal(t, 1., *r.Value)
	stdout, _, _ := run(t, dir, "tune", "S.npy", "Y.npy", "--per-class", "--measure", "micro_recall", "--target", "0.6")
	require.Contains(t, stdout, "1 class does not reach the target: it is never predicted")
	fails(t, dir, 1, `S.npy: micro_recall: no threshold reaches the target`, "tune", "S.npy", "Y.npy", "--measure", "micro_recall", "--target", "0.6")
	fails(t, dir, 1, `S.npy: micro_f1: no scores`, "tune", "S.npy", "zero.npy", "--mask", "M.npy")
	fails(t, dir, 1, `nan.npy.*row 1, column 1: score is NaN`, "tune", "nan.npy", "Y.npy", "--out", "t.json")
	fails(t, dir, 1, `soft.npy: labels are soft`, "tune", "S.npy", "soft.npy", "--out", "t.json")
	fails(t, dir, 2, `give scores and labels`, "tune", "S.npy")
	fails(t, dir, 2, `--measure "micro_g1": choose .*\(did you mean micro_f1\?\)`, "tune", "S.npy", "Y.npy", "--measure", "micro_g1")
	fails(t, dir, 2, `--measure micro_recall: give the least precision`, "tune", "S.npy", "Y.npy", "--measure", "micro_recall")
	fails(t, dir, 2, `--target goes with --measure`, "tune", "S.npy", "Y.npy", "--target", "0.5")
	fails(t, dir, 2, `--target 2: a number above 0`, "tune", "S.npy", "Y.npy", "--measure", "micro_recall", "--target", "2")
	fails(t, dir, 2, `--curve goes with --measure`, "tune", "S.npy", "Y.npy", "--measure", "samples_f1", "--curve", "c.csv")
	fails(t, dir, 2, `same file`, "tune", "S.npy", "Y.npy", "--out", "t.json", "--mask", "t.json")
}
