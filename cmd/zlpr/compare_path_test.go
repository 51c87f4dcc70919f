package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCompareChosen: compare --l2 auto trains as train --l2 auto does, and its differences
// are those of diff between the losses' test scores, at the thresholds chosen.
func TestCompareChosen(t *testing.T) {
	dir := t.TempDir()
	set := filepath.Join(dir, "sets", "one")
	require.NoError(t, os.MkdirAll(set, 0o755))
	const rows, features, classes = 120, 4, 5
	r := rand.New(rand.NewPCG(7, 8))
	x, y, split := make([]float64, rows*features), make([]uint8, rows*classes), make([]uint8, rows)
	for i := range rows {
		for j := range features {
			x[i*features+j] = r.NormFloat64()
		}
		for j := range classes {
			if x[i*features+j%features]+r.NormFloat64() > 0.4*float64(j) {
				y[i*classes+j] = 1
			}
		}
		split[i] = uint8(i % 2)
	}
	save(t, set, "X.npy", []int{rows, features}, x)
	save(t, set, "Y.npy", []int{rows, classes}, y)
	save(t, set, "split.npy", []int{rows}, split)
	losses := []string{"bce", "zlpr", "asymmetric", "two-way", "distribution-balanced"}
	args := []string{"compare", "--data", "sets", "--l2", "auto", "--losses", strings.Join(losses, ","), "--resamples", "500"}
	table, stderr, status := run(t, dir, args...)
	require.Equal(t, 0, status, stderr)
	stdout, stderr, status := run(t, dir, append(args, "--json")...)
	require.Equal(t, 0, status, stderr)
	var of struct {
		Results []struct {
			Set, Loss          string
			L2, Threshold      float64
			Metrics            map[string]float64
			MetricsAtThreshold map[string]float64 `json:"metrics_at_threshold"`
			Differences        map[string]struct{ A, B, Difference, Low, High, P float64 }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &of))
	require.Len(t, of.Results, len(losses))
	lines := strings.Split(table, "\n")
	require.Len(t, lines, 2+len(losses)+1)
	for k, v := range of.Results {
		require.Equal(t, losses[k], v.Loss)
		require.Contains(t, lines[2+k], fmt.Sprintf("| one | %s | %.2g | %.3g | %.4f | %.4f |", v.Loss, v.L2, v.Threshold, v.MetricsAtThreshold["micro_f1"], v.Metrics["micro_f1"]))
		stdout, stderr, status := run(t, dir, "train", "--x", "sets/one/X.npy", "--y", "sets/one/Y.npy", "--split", "sets/one/split.npy", "--standardize",
			"--l2", "auto", "--loss", v.Loss, "--json")
		require.Equal(t, 0, status, stderr)
		var trained struct {
			L2                 float64
			Metrics            map[string]float64
			MetricsAtThreshold map[string]float64 `json:"metrics_at_threshold"`
		}
		require.NoError(t, json.Unmarshal([]byte(stdout), &trained))
		require.Equal(t, v.L2, trained.L2)
		require.Equal(t, v.MetricsAtThreshold, trained.MetricsAtThreshold)
		require.Equal(t, v.Metrics, trained.Metrics)
		if k == 0 {
			require.Empty(t, v.Differences)
			continue
		}
		for _, name := range []string{"micro_f1", "macro_f1", "samples_f1"} {
			d := v.Differences[name]
			require.InDelta(t, of.Results[0].MetricsAtThreshold[name], d.A, 1e-12)
			require.InDelta(t, v.MetricsAtThreshold[name], d.B, 1e-12)
			require.InDelta(t, d.B-d.A, d.Difference, 1e-12)
			require.True(t, d.Low <= d.Difference+0.05 && d.High >= d.Difference-0.05 && d.Low <= d.High, "%s: %+v", v.Loss, d)
		}
	}
	for _, c := range []struct {
		pattern string
		args    []string
	}{
		{`unknown loss "softmax"`, []string{"--l2", "auto", "--losses", "bce,softmax"}},
		{`zlpr is there twice`, []string{"--losses", "zlpr,zlpr"}},
		{`--select "lrap"`, []string{"--l2", "auto", "--select", "lrap"}},
		{`--resamples 0`, []string{"--l2", "auto", "--resamples", "0"}},
		{`--confidence 1`, []string{"--l2", "auto", "--confidence", "1"}},
		{`--resamples`, []string{"--l2", "1", "--resamples", "5"}},
	} {
		fails(t, dir, 2, c.pattern, append([]string{"compare", "--data", "sets"}, c.args...)...)
	}
	// Validation rows without positives.
	save(t, set, "Y.npy", []int{rows, classes}, make([]uint8, rows*classes))
	fails(t, dir, 1, `none of the 20 validation rows has a positive label`, append(args, "--json")...)
}
