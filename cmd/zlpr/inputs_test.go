package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestInputs: JSON says of every file what was read.
func TestInputs(t *testing.T) {
	dir := t.TempDir()
	example[float32](t, dir, 60, 5)
	weights := bytes.Repeat([]byte("0.5\n"), 60)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write(weights)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "w.csv.gz"), packed.Bytes(), 0o644))
	inputs := func(args ...string) (list []inputReport) {
		t.Helper()
		stdout, stderr, status := run(t, dir, append([]string{"eval", "--metrics", "none", "--json"}, args...)...)
		require.Equal(t, 0, status, stderr)
		var r struct{ Inputs []inputReport }
		require.NoError(t, json.Unmarshal([]byte(stdout), &r))
		return r.Inputs
	}
	hash := func(name string) string { return checksum(t, filepath.Join(dir, name)) }
	require.Equal(t, []inputReport{
		{Part: "scores", Name: "S.npy", Format: "npy", Type: "float32", Shape: []int{60, 5}, SHA256: hash("S.npy")},
		{Part: "labels", Name: "Y.npy", Format: "npy", Type: "uint8", Shape: []int{60, 5}, SHA256: hash("Y.npy")},
		{Part: "mask", Name: "M.npy", Format: "npy", Type: "uint8", Shape: []int{60, 5}, SHA256: hash("M.npy")},
		{Part: "row_weights", Name: "w.csv.gz", Format: "csv.gz", Type: "float64", Shape: []int{60, 1}, SHA256: hash("w.csv.gz")},
	}, inputs("S.npy", "Y.npy", "--mask", "M.npy", "--row-weights", "w.csv.gz", "--hash"))

	// Several files as one, lists, and what is in an archive.
	for _, k := range []string{"0", "1"} {
		save(t, dir, "s-"+k+".npy", []int{3, 2}, make([]float32, 6))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "y.svm"), []byte("0\n1\n0,1\n\n0\n1\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "y.txt"), []byte("6 2\n0\n1\n0,1\n\n0\n1\n"), 0o644))
	listed := 6
	require.Equal(t, []inputReport{
		{Part: "scores", Name: "s-*.npy", Format: "npy", Type: "float32", Shape: []int{6, 2}, Files: []inputFile{
			{Name: "s-0.npy", Format: "npy", Rows: 3, SHA256: hash("s-0.npy")}, {Name: "s-1.npy", Format: "npy", Rows: 3, SHA256: hash("s-1.npy")}}},
		{Part: "labels", Name: "y.txt", Format: "lists", Type: "bool", Shape: []int{6, 2}, Listed: &listed, SHA256: hash("y.txt")},
	}, inputs("s-*.npy", "y.txt", "--hash"))
	sample := inputs()
	require.Equal(t, "embedded sample", sample[0].Name)
	require.Equal(t, []int{1098, 111}, sample[1].Shape)
	require.Empty(t, sample[0].SHA256)

	fails(t, dir, 2, `--hash: standard input \(-\) cannot be read again; give --labels as a file`, "eval", "S.npy", "-", "--hash", "--json")
	fails(t, dir, 2, `--hash goes with --json`, "eval", "S.npy", "Y.npy", "--hash")
}

// TestParameters: JSON says which options made the numbers.
func TestParameters(t *testing.T) {
	dir := t.TempDir()
	example[float32](t, dir, 60, 5)
	parameters := func(args ...string) map[string]any {
		t.Helper()
		stdout, stderr, status := run(t, dir, append([]string{"eval", "S.npy", "Y.npy", "--json"}, args...)...)
		require.Equal(t, 0, status, stderr)
		var r struct{ Parameters map[string]any }
		require.NoError(t, json.Unmarshal([]byte(stdout), &r))
		return r.Parameters
	}
	p := parameters("--s0", "0.25", "--loss", "bce,subset-padded", "--pos-weight", "3", "--focal", "2")
	for key, want := range map[string]any{"s0": 0.25, "predict_threshold": 0.25, "positive_weight": 3.0, "focal": 2.0, "predict_top": nil,
		"reduction": "mean", "strict": false, "propensities": nil} {
		require.Equal(t, want, p[key], key)
	}
	require.NotNil(t, p["k"]) // the most positives of a row
	p = parameters("--predict-top", "2", "--top-scores", "4", "--metrics", "psp_at_1,micro_f1", "--strict")
	for key, want := range map[string]any{"predict_threshold": nil, "predict_top": 2.0, "top_scores": 4.0, "k": nil, "strict": true,
		"propensities": map[string]any{"a": 0.55, "b": 1.5}} {
		require.Equal(t, want, p[key], key)
	}
}
