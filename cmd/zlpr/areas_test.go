package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAreaBits: areas of bins have bounds, between which those of all scores lie, in
// JSON, CSV and the table; with as many bits as the scores have they are those.
func TestAreaBits(t *testing.T) {
	dir := t.TempDir()
	example[float32](t, dir, 3000, 20)
	kept := evalClasses(t, dir, "S.npy", "Y.npy", "--by-class", "kept.csv")
	stdout, stderr, status := run(t, dir, "eval", "S.npy", "Y.npy", "--area-bits", "10", "--by-class", "binned.csv", "--json", "--workers", "2")
	require.Equal(t, 0, status, stderr)
	var r struct {
		Metrics map[string]json.RawMessage
		ByClass []map[string]json.RawMessage `json:"by_class"`
		Tuned   struct{ Threshold float64 }
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	within := func(name string, v float64, text json.RawMessage) {
		t.Helper()
		var b struct{ Low, High *float64 }
		require.NoError(t, json.Unmarshal(text, &b), name)
		require.LessOrEqual(t, *b.Low, v, name)
		require.GreaterOrEqual(t, *b.High, v, name)
		require.Less(t, *b.High-*b.Low, 0.2, name)
	}
	for _, name := range []string{"micro_auc", "macro_auc", "micro_average_precision", "macro_average_precision"} {
		within(name, *kept.Metrics[name], r.Metrics[name])
	}
	for j, c := range kept.ByClass {
		within("auc", c["auc"].(float64), r.ByClass[j]["auc"])
		within("average_precision", c["average_precision"].(float64), r.ByClass[j]["average_precision"])
	}
	var f1 float64
	require.NoError(t, json.Unmarshal(r.Metrics["micro_f1"], &f1))
	require.Equal(t, *kept.Metrics["micro_f1"], f1)
	text, err := os.ReadFile(filepath.Join(dir, "binned.csv"))
	require.NoError(t, err)
	require.Contains(t, string(text), "f1,average_precision_low,average_precision_high,auc_low,auc_high,threshold")
	stdout, _, _ = run(t, dir, "eval", "S.npy", "Y.npy", "--area-bits", "10")
	require.Regexp(t, `\nauc +0\.\d+–0\.\d+ +0\.\d+–0\.\d+\n`, stdout)

	// Scores of 16 bits.
	half := make([]float32, 200)
	y := make([]uint8, 200)
	for i := range half {
		half[i] = float32(i%37-18) / 8
		y[i] = uint8(i % 3 / 2)
	}
	save(t, dir, "half.npy", []int{50, 4}, half)
	save(t, dir, "halfY.npy", []int{50, 4}, y)
	kept = evalClasses(t, dir, "half.npy", "halfY.npy", "--classes", "4")
	require.Equal(t, kept, evalClasses(t, dir, "half.npy", "halfY.npy", "--classes", "4", "--area-bits", "19"))

	// With row weights the areas of all scores lie between those of bins, too.
	weights := make([]float64, 3000)
	for i := range weights {
		weights[i] = float64(i%7) / 3
	}
	save(t, dir, "W.npy", []int{3000}, weights)
	kept = evalClasses(t, dir, "S.npy", "Y.npy", "--classes", "1", "--row-weights", "W.npy")
	stdout, stderr, status = run(t, dir, "eval", "S.npy", "Y.npy", "--area-bits", "10", "--classes", "1", "--json", "--row-weights", "W.npy")
	require.Equal(t, 0, status, stderr)
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	for _, name := range []string{"micro_auc", "macro_auc", "micro_average_precision", "macro_average_precision"} {
		within(name, *kept.Metrics[name], r.Metrics[name])
	}
	fails(t, dir, 2, `--area-bits 7: 8 to 22`, "eval", "S.npy", "Y.npy", "--area-bits", "7")
	fails(t, dir, 2, `--area-bits goes with metrics that are areas or --by-class`, "eval", "S.npy", "Y.npy", "--area-bits", "10", "--metrics", "lrap")
}
