package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEdges tries every sub-command that decides on what is thin or odd: classes
// without positives, none or all positive, one class, one row, equal scores, NaN. It
// has a result without NaN, or an error that says what to do.
func TestEdges(t *testing.T) {
	dir := t.TempDir()
	s, y, _ := example[float32](t, dir, 20, 4)
	some := func(name string, rows, n int, of func(i, j int) float32) {
		x := make([]float32, rows*n)
		for i := range x {
			x[i] = of(i/n, i%n)
		}
		save(t, dir, name+".npy", []int{rows, n}, x)
		for i := range x {
			x[i] = x[i]*0.5 + float32(i%3)/4
		}
		save(t, dir, name+"2.npy", []int{rows, n}, x)
	}
	labels := func(name string, rows, n int, of func(i, j int) uint8) {
		l := make([]uint8, rows*n)
		for i := range l {
			l[i] = of(i/n, i%n)
		}
		save(t, dir, name+".npy", []int{rows, n}, l)
	}
	at := func(i, j int) float32 { return s[4*i+j] }
	is := func(i, j int) uint8 { return y[4*i+j] }
	some("S", 20, 4, at)
	some("S1c", 20, 1, at)
	some("S1r", 1, 4, at)
	some("Seq", 20, 4, func(_, _ int) float32 { return 0.5 })
	some("Snan", 20, 4, func(i, j int) float32 {
		if i == 3 && j == 2 {
			return float32(math.NaN())
		}
		return at(i, j)
	})
	labels("Ynopos", 20, 4, func(i, j int) uint8 { return is(i, j) * uint8(min(1, j)) })
	labels("Yzero", 20, 4, func(_, _ int) uint8 { return 0 })
	labels("Yones", 20, 4, func(_, _ int) uint8 { return 1 })
	labels("Y1c", 20, 1, func(i, _ int) uint8 { return uint8(i % 2) })
	labels("Y1r", 1, 4, func(_, j int) uint8 { return uint8(j / 2) })
	commands := []string{"eval --classes 2", "eval --area-bits 10 --classes 2", "tune", "tune --measure macro_f1 --per-class", "tune --measure samples_f1",
		"tune --area-bits 12", "tune --area-bits 12 --per-class --measure macro_f1", "tune --area-bits 12 --measure samples_f1",
		"calibrate", "calibrate --fit platt", "calibrate --by softmax", "diff --resamples 50"}
	advised := false
	for _, pair := range [][2]string{{"S", "Ynopos"}, {"S", "Yzero"}, {"S", "Yones"}, {"S1c", "Y1c"}, {"S1r", "Y1r"}, {"Seq", "Y"}, {"Snan", "Y"}} {
		for _, c := range commands {
			fields := strings.Fields(c)
			args := append([]string{fields[0], pair[0] + ".npy", pair[1] + ".npy"}, fields[1:]...)
			if fields[0] == "diff" {
				args = append([]string{"diff", pair[0] + ".npy", pair[0] + "2.npy", "--labels", pair[1] + ".npy"}, fields[1:]...)
			}
			stdout, stderr, status := run(t, dir, append(args, "--json", "--html", "p.html")...)
			what := strings.Join(args, " ")
			nan := pair[0] == "Snan"
			switch {
			case status == 0:
				require.False(t, nan, what)
				require.True(t, json.Valid([]byte(stdout)), what)
				page, err := os.ReadFile(filepath.Join(dir, "p.html"))
				require.NoError(t, err)
				require.NotRegexp(t, `[ML,"](NaN|[-+]?Inf)`, string(page), what)
			case strings.Contains(c, "softmax"):
				require.Regexp(t, `^zlpr: Y.*: row \d+: .*; choose --by sigmoid\n$`, stderr, what)
				advised = true
			case nan:
				require.Regexp(t, `^zlpr: Snan.npy: row 3, column 2: score is NaN; mend the score, .*leave it out by --mask`, stderr, what)
			default:
				require.Contains(t, c, "calibrate", stderr)
				require.Regexp(t, `all labels are alike; fit on other rows, or choose --fit none\n$`, stderr, what)
			}
			require.Less(t, status, 2, what)
		}
	}
	require.True(t, advised)
	// One row tells no difference from chance.
	stdout := must(t, dir, "diff", "S1r.npy", "S1r2.npy", "--labels", "Y1r.npy", "--json", "--resamples", "50")
	require.NotRegexp(t, `"(low|high|p)": [^n]`, stdout)
	require.Contains(t, stdout, "there is no interval of one row, or group, alone")
}

// TestDiffThresholds: diff predicts by the thresholds that it is given, as eval does.
func TestDiffThresholds(t *testing.T) {
	dir := t.TempDir()
	s, _, _ := example[float32](t, dir, 60, 4)
	for i := range s {
		s[i] *= 0.5
	}
	save(t, dir, "B.npy", []int{60, 4}, s)
	save(t, dir, "T.npy", []int{4}, []float64{0.5, -1, 0, 1})
	save(t, dir, "T3.npy", []int{3}, []float64{0.5, -1, 0})
	must(t, dir, "tune", "S.npy", "Y.npy", "--out", "t.json")
	plain := must(t, dir, "diff", "S.npy", "B.npy", "--labels", "Y.npy", "--resamples", "20", "--json")
	for _, flags := range [][]string{{"--predict-threshold", "0.75"}, {"--thresholds", "T.npy"}, {"--predict-threshold", "T.npy"}, {"--thresholds", "t.json"}} {
		var r struct {
			Metrics map[string]struct{ A, B *float64 }
		}
		text := must(t, dir, append([]string{"diff", "S.npy", "B.npy", "--labels", "Y.npy", "--resamples", "20", "--json"}, flags...)...)
		require.NotEqual(t, plain, text)
		require.NoError(t, json.Unmarshal([]byte(text), &r))
		a := evalJSON(t, dir, append([]string{"--scores", "S.npy", "--labels", "Y.npy"}, flags...)...)
		b := evalJSON(t, dir, append([]string{"--scores", "B.npy", "--labels", "Y.npy"}, flags...)...)
		for name, v := range r.Metrics {
			if v.A != nil {
				require.InDelta(t, *a.Metrics[name], *v.A, 1e-14, name)
				require.InDelta(t, *b.Metrics[name], *v.B, 1e-14, name)
			}
		}
	}
	fails(t, dir, 1, `T3.npy: 3 thresholds, but scores of 4 classes`, "diff", "S.npy", "B.npy", "--labels", "Y.npy", "--thresholds", "T3.npy")
	fails(t, dir, 2, `--predict-threshold and --thresholds are both given`, "diff", "S.npy", "B.npy", "--labels", "Y.npy", "--thresholds", "T.npy", "--predict-threshold", "1")
}
