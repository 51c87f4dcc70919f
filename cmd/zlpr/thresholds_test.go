package main

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestThresholds predicts by thresholds of files, in eval and in predict.
func TestThresholds(t *testing.T) {
	dir := t.TempDir()
	save(t, dir, "S.npy", []int{2, 3}, []float64{0.25, -1, 2, 1.5, -0.5, 1})
	save(t, dir, "Y.npy", []int{2, 3}, []uint8{1, 0, 0, 1, 1, 0})
	save(t, dir, "each.npy", []int{3}, []float64{0.25, -1, 1.5})
	save(t, dir, "one.npy", []int{1}, []float32{0.25})
	save(t, dir, "two.npy", []int{2}, []float64{1, 2})
	save(t, dir, "nan.npy", []int{3}, []float64{1, math.NaN(), 2})
	for name, text := range map[string]string{"each.json": `{"measure": "micro_f1", "thresholds": [0.25, -1, 1.5]}`, "one.json": "\ufeff {\"thresholds\": 0.25}",
		"never": `{"thresholds": [null, -1, 1.5]}`, "two.json": `{"thresholds": [1, 2]}`, "four.json": `{"thresholds": [1, 2, 3, 4]}`, "one of three.json": `{"thresholds": [1]}`,
		"word.json": `{"thresholds": "1"}`, "none.json": `{"threshold": 1}`, "cut.json": `{"thresholds": [1, 2`, "list.json": `[1, 2, 3]`,
		"case.json": `{"Thresholds": 1}`, "twice.json": `{"thresholds": [1, 2, 3], "thresholds": 0}`, "both.json": `{"a\":": {"b": [{"c": 1}], "c": "}:\\"}, "": ":", "THRESHOLDS": 9, "thresholds": [0.25, -1, 1.5]}`} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	for _, c := range []struct {
		args []string
		want []uint8
	}{
		{nil, []uint8{1, 0, 1, 1, 0, 1}},
		{[]string{"each.npy"}, []uint8{0, 0, 1, 1, 1, 0}},
		{[]string{"each.json"}, []uint8{0, 0, 1, 1, 1, 0}},
		{[]string{"both.json"}, []uint8{0, 0, 1, 1, 1, 0}},
		{[]string{"never"}, []uint8{0, 0, 1, 0, 1, 0}},
		{[]string{"one.npy"}, []uint8{0, 0, 1, 1, 0, 1}},
		{[]string{"one.json"}, []uint8{0, 0, 1, 1, 0, 1}},
		{[]string{"each.npy", "1"}, []uint8{0, 0, 1, 1, 0, 0}},
	} {
		save(t, dir, "want.npy", []int{2, 3}, c.want)
		for _, flag := range []string{"--thresholds", "--predict-threshold"} {
			eval := []string{"eval", "S.npy", "Y.npy", "--predictions", "P.npy"}
			predict := []string{"predict", "--scores", "S.npy", "--as", "classes", "--out", "Q.npy"}
			if len(c.args) > 0 {
				eval, predict = append(eval, flag, c.args[0]), append(predict, flag, c.args[0])
			}
			if len(c.args) > 1 {
				eval, predict = append(eval, "--predict-top", c.args[1]), append(predict, "--top", c.args[1])
			}
			for _, args := range [][]string{eval, predict} {
				_, stderr, status := run(t, dir, args...)
				require.Equal(t, 0, status, stderr)
				require.Equal(t, checksum(t, filepath.Join(dir, "want.npy")), checksum(t, filepath.Join(dir, map[string]string{"eval": "P.npy", "predict": "Q.npy"}[args[0]])), "%v", args)
			}
		}
	}
	r := evalClasses(t, dir, "S.npy", "Y.npy", "--thresholds", "each.json", "--classes", "3")
	require.Equal(t, []any{0.25, -1., 1.5}, []any{r.ByClass[0]["threshold"], r.ByClass[1]["threshold"], r.ByClass[2]["threshold"]})
	for name, want := range map[string]string{"two.npy": "2 thresholds, but scores of 3 classes", "two.json": "2 thresholds, but scores of 3 classes",
		"four.json": "more than 3 thresholds, but scores of 3", "one of three.json": "1 thresholds, but", "word.json": "no number and no list",
		"none.json": "no JSON object with", "cut.json": "no JSON object with", "list.json": "no JSON object with", "case.json": "no JSON object with", "twice.json": "a key is given twice", "nan.npy": "the threshold of class 1 is NaN", "absent": "no such file"} {
		fails(t, dir, 1, name+".*"+want, "eval", "S.npy", "Y.npy", "--thresholds", name)
		fails(t, dir, 1, name+".*"+want, "predict", "--scores", "S.npy", "--as", "classes", "--thresholds", name, "--out", "R.npy")
	}
	fails(t, dir, 2, "both given", "eval", "S.npy", "Y.npy", "--thresholds", "each.npy", "--predict-threshold", "1")
	fails(t, dir, 2, "--threshold-column takes the place", "eval", "S.npy", "Y.npy", "--thresholds", "each.npy", "--threshold-column", "1")
	fails(t, dir, 2, "--thresholds goes with", "eval", "S.npy", "Y.npy", "--thresholds", "each.npy", "--metrics", "none")
	fails(t, dir, 2, "--thresholds goes with --as classes", "predict", "--scores", "S.npy", "--thresholds", "each.npy", "--out", "R.npy")
}
