package main

import (
	"fmt"
	"html"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/cmd/zlpr/internal/page"
	"github.com/zlpr/zlpr/metrics"
)

// evalPage runs eval --html and returns the page.
func evalPage(t *testing.T, dir string, args ...string) string {
	t.Helper()
	_, stderr, status := run(t, dir, append([]string{"eval", "--html", "report.html"}, args...)...)
	require.Equal(t, 0, status, stderr)
	text, err := os.ReadFile(filepath.Join(dir, "report.html"))
	require.NoError(t, err)
	return string(text)
}

// TestEvalPage: the page has what eval found, the names as data, the command and
// what was read; of many classes the worst.
func TestEvalPage(t *testing.T) {
	dir := t.TempDir()
	_, y, _ := example[float32](t, dir, 300, 7)
	names := `["<script>alert(1)</script>", "a & b", "c", "d", "{{.}}", "f|g", "h"]`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "names.json"), []byte(names), 0o644))
	html := evalPage(t, dir, "S.npy", "Y.npy", "--names", "names.json", "--mask", "M.npy", "--markdown", "report.md", "--loss", "all", "--hash")
	r := evalJSON(t, dir, "S.npy", "Y.npy", "--mask", "M.npy", "--loss", "all", "--hash")
	for _, want := range []string{fmt.Sprintf("micro F1 %.4f, macro F1 %.4f, over 300 rows of 7 classes", *r.Metrics["micro_f1"], *r.Metrics["macro_f1"]),
		"&lt;script&gt;alert(1)&lt;/script&gt;", "a &amp; b", "Scores of positive and negative labels", "Precision by recall", "Reliability",
		"zlpr eval --html report.html S.npy Y.npy --names names.json --mask M.npy", checksum(t, filepath.Join(dir, "M.npy")), "300×7", "uint8",
		short(r.Losses["zlpr"].Mean), "Rows of the highest loss", "predicted above 0"} {
		require.Contains(t, html, want)
	}
	require.NotContains(t, html, "<script>alert")
	require.Equal(t, 7, strings.Count(html, "<td class=name>"))
	markdown, err := os.ReadFile(filepath.Join(dir, "report.md"))
	require.NoError(t, err)
	require.Contains(t, string(markdown), fmt.Sprintf("**micro F1 %.4f", *r.Metrics["micro_f1"]))
	require.Contains(t, string(markdown), "f&#124;g")

	// What is asked for by the page does not change what is printed.
	with, stderr, status := run(t, dir, "eval", "S.npy", "Y.npy", "--json", "--html", "again.html")
	require.Equal(t, 0, status, stderr)
	without, _, _ := run(t, dir, "eval", "S.npy", "Y.npy", "--json")
	require.Equal(t, withoutTimes(without), withoutTimes(with))
	require.Equal(t, 1, strings.Count(html, "http://")/strings.Count(html, `xmlns="http://www.w3.org/2000/svg"`))

	// Soft labels have no classes, softmax no reliability; one row, no positives,
	// equal scores and infinite ones are drawn too.
	soft := make([]float64, len(y))
	for i := range soft {
		soft[i] = float64(i%5) / 4
	}
	save(t, dir, "soft.npy", []int{300, 7}, soft)
	require.NotContains(t, evalPage(t, dir, "S.npy", "soft.npy", "--loss", "zlpr-soft"), `id="classes"`)
	save(t, dir, "t.npy", []int{300}, make([]int64, 300))
	require.NotContains(t, evalPage(t, dir, "S.npy", "t.npy", "--loss", "softmax"), "Reliability")
	save(t, dir, "one.npy", []int{1, 3}, []float32{1, 1, 1})
	save(t, dir, "none.npy", []int{1, 3}, []uint8{0, 0, 0})
	require.NotContains(t, evalPage(t, dir, "one.npy", "none.npy"), "Precision by recall")
	save(t, dir, "inf.npy", []int{1, 3}, []float32{float32(math.Inf(-1)), float32(math.Inf(1)), 2})
	save(t, dir, "some.npy", []int{1, 3}, []uint8{0, 1, 0})
	require.Contains(t, evalPage(t, dir, "inf.npy", "some.npy"), "Precision by recall")
	require.NotRegexp(t, `[ML,"](NaN|[-+]?Inf)`, evalPage(t, dir, "inf.npy", "some.npy", "--threshold-column", "0"))

	fails(t, dir, 2, `--html .*must end in .html or .htm`, "eval", "S.npy", "Y.npy", "--html", "r.txt")
	fails(t, dir, 2, `--markdown .*must end in .md`, "eval", "S.npy", "Y.npy", "--markdown", "r.html")
	fails(t, dir, 1, `no-such-directory`, "eval", "S.npy", "Y.npy", "--html", "no-such-directory/r.html")
}

// TestManyClasses: a page has 2,000 classes, the worst, and is small.
func TestManyClasses(t *testing.T) {
	dir := t.TempDir()
	example[float32](t, dir, 20, 2500)
	html := evalPage(t, dir, "S.npy", "Y.npy")
	require.Contains(t, html, "The worst 2,000 of 2,500 classes")
	_, table, _ := strings.Cut(html, `id="classes"`)
	table, _, _ = strings.Cut(table, "</tbody>")
	require.Equal(t, 2001, strings.Count(table, "<tr>"))
	require.Less(t, len(html), 2_000_000)
}

// eachScore has a bin for every score.
func eachScore(negative, positive []float64) (bins []metrics.ScoreBin) {
	count := map[float64]*metrics.ScoreBin{}
	bin := func(s float64) *metrics.ScoreBin {
		if count[s] == nil {
			count[s] = &metrics.ScoreBin{Low: s, High: s}
		}
		return count[s]
	}
	for _, s := range negative {
		bin(s).Negative++
	}
	for _, s := range positive {
		bin(s).Positive++
	}
	for _, s := range slices.Sorted(maps.Keys(count)) {
		bins = append(bins, *count[s])
	}
	return bins
}

// TestMergedPage: the page of merged parts is that of one run, pictures and worst rows
// included, but for what was read and how; with row weights, bins and soft labels, too.
func TestMergedPage(t *testing.T) {
	dir := t.TempDir()
	const rows, n = 300, 7
	s, y, _ := example[float32](t, dir, rows, n)
	weights, soft := make([]float64, rows), make([]float64, rows*n)
	for i := range weights {
		weights[i] = float64(i%4) / 3
	}
	for i := range soft {
		soft[i] = float64(i%5) / 4
	}
	save(t, dir, "W.npy", []int{rows}, weights)
	save(t, dir, "soft.npy", []int{rows, n}, soft)
	cuts := []int{0, 120, 121, rows}
	for k := range 3 {
		a, b := cuts[k], cuts[k+1]
		save(t, dir, fmt.Sprintf("S%d.npy", k), []int{b - a, n}, s[a*n:b*n])
		save(t, dir, fmt.Sprintf("Y%d.npy", k), []int{b - a, n}, y[a*n:b*n])
		save(t, dir, fmt.Sprintf("W%d.npy", k), []int{b - a}, weights[a:b])
		save(t, dir, fmt.Sprintf("soft%d.npy", k), []int{b - a, n}, soft[a*n:b*n])
	}
	inner := func(text string) string { // from the first picture or table to the inputs
		_, text, ok := strings.Cut(text, "<h2>Losses and measures</h2>")
		require.True(t, ok)
		text, _, ok = strings.Cut(text, "<h2>What was read")
		require.True(t, ok)
		return text
	}
	for _, c := range []struct{ labels, flags, each, part string }{
		{"Y", "", "", "--classes 20"},
		{"Y", "--area-bits 10", "", "--classes 20"},
		{"Y", "", "--row-weights W", "--classes 20"},
		{"Y", "--area-bits 12", "--row-weights W", "--classes 20"},
		{"soft", "--loss bce,zlpr-soft", "", "--html q.html"},
	} {
		each := func(k string) (args []string) {
			args = append(args, "S"+k+".npy", c.labels+k+".npy")
			args = append(args, strings.Fields(c.flags)...)
			if c.each != "" {
				args = append(args, strings.Fields(c.each+k+".npy")...)
			}
			return args
		}
		whole := evalPage(t, dir, each("")...)
		for k, first := range cuts[:3] {
			args := append([]string{"eval"}, each(strconv.Itoa(k))...)
			args = append(args, "--partial", fmt.Sprintf("p%d.zlpr", k), "--first-row", strconv.Itoa(first))
			must(t, dir, append(args, strings.Fields(c.part)...)...)
		}
		must(t, dir, "merge", "p2.zlpr", "p0.zlpr", "p1.zlpr", "--html", "m.html")
		text, err := os.ReadFile(filepath.Join(dir, "m.html"))
		require.NoError(t, err)
		require.Contains(t, inner(whole), "<svg", c)
		require.Contains(t, inner(whole), "Rows of the highest loss", c)
		require.Equal(t, inner(whole), inner(string(text)), c)
	}
	// Weights change the pictures as rows that are there so often do.
	page := evalPage(t, dir, "S.npy", "Y.npy", "--row-weights", "W.npy")
	require.NotEqual(t, inner(evalPage(t, dir, "S.npy", "Y.npy")), inner(page))
	require.Regexp(t, `negatives \([0-9.]+\)`, page)
}

// TestPrecisionRecall compares the curve with scikit-learn's definition: for every
// score that occurs the classes of at least that score, and (0, 1) at the end.
func TestPrecisionRecall(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, values := range []int{1, 3, 20} {
		var negative, positive []float64
		for range 60 {
			s := float64(rng.IntN(values))
			if rng.IntN(3) == 0 {
				positive = append(positive, s+1)
			} else {
				negative = append(negative, s)
			}
		}
		var x, y []float64
		for threshold := range values + 1 {
			tp, fp := 0.0, 0.0
			occurs := false
			for _, s := range positive {
				occurs = occurs || s == float64(threshold)
				if s >= float64(threshold) {
					tp++
				}
			}
			for _, s := range negative {
				occurs = occurs || s == float64(threshold)
				if s >= float64(threshold) {
					fp++
				}
			}
			if occurs {
				x, y = append(x, tp/float64(len(positive))), append(y, tp/(tp+fp))
			}
		}
		x, y = append(x, 0), append(y, 1)
		slices.Reverse(x)
		slices.Reverse(y)
		c := precisionRecall("c", eachScore(negative, positive))
		require.Equal(t, x, c.X)
		require.Equal(t, y, c.Y)
	}
	// Of many points few are kept, the ends among them.
	negative, positive := make([]float64, 100000), make([]float64, 50000)
	for i := range negative {
		negative[i] = rng.NormFloat64()
	}
	for i := range positive {
		positive[i] = rng.NormFloat64() + 1
	}
	c := precisionRecall("c", eachScore(negative, positive))
	require.Less(t, len(c.X), 2500)
	require.Equal(t, []float64{0, 1}, []float64{c.X[0], c.Y[0]})
	require.Equal(t, []float64{1, 1. / 3}, []float64{c.X[len(c.X)-1], c.Y[len(c.Y)-1]})
	require.Empty(t, precisionRecall("c", eachScore(negative, nil)).X)
}

// TestReliability: the bins by hand.
func TestReliability(t *testing.T) {
	logit := func(p float64) float64 { return math.Log(p / (1 - p)) }
	negative := []float64{logit(0.01), logit(0.02), logit(0.5)}
	positive := []float64{logit(0.51), logit(0.999999), math.Inf(1)}
	c, ece := reliability("c", 1, eachScore(negative, positive))
	require.InDeltaSlice(t, []float64{0.015, 0.505, 0.9999995}, c.X, 1e-12)
	require.Equal(t, []float64{0, 0.5, 1}, c.Y)
	require.InDelta(t, (2*0.015+2*0.005+2*0.0000005)/6, ece, 1e-12)
	c, _ = reliability("c", 2, eachScore([]float64{-1}, nil))
	require.InDelta(t, 1/(1+math.Exp(2)), c.X[0], 1e-15)
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		require.Equal(t, want, grouped(n))
	}
}

// TestOtherPages: tune and train have pages too.
func TestOtherPages(t *testing.T) {
	dir := t.TempDir()
	s, _, _ := example[float32](t, dir, 200, 6)
	for i := range s {
		s[i] += float32(i%5) / 4
	}
	save(t, dir, "<b>.npy", []int{200, 6}, s)
	_, stderr, status := run(t, dir, "eval", "S.npy", "Y.npy", "--partial", "one.zlpr", "--classes", "3")
	require.Equal(t, 0, status, stderr)
	for args, want := range map[string][]string{
		"calibrate S.npy Y.npy":                                                   {"Calibration of S.npy", "Reliability", ", fitted", "log loss"},
		"calibrate S.npy Y.npy --fit none --by sigmoid2":                          {"Of the links"},
		"merge one.zlpr":                                                          {"Evaluation of one.zlpr", "micro F1", `id="classes"`, "Rows of the highest loss"},
		"tune S.npy Y.npy --out t.json":                                           {"Threshold ", "cross-fitted", "One threshold for all classes", "--thresholds t.json"},
		"tune S.npy Y.npy --per-class --measure macro_f1":                         {"A threshold for each class", `id="classes"`},
		"tune S.npy Y.npy --measure samples_f1":                                   {"Thresholds for S.npy"},
		"diff S.npy <b>.npy --labels Y.npy --resamples 50":                        {"Comparison of S.npy and &lt;b&gt;.npy", `id="classes"`, "B - A"},
		"diff S.npy <b>.npy S.npy --labels Y.npy --resamples 50 --loss zlpr,bce":  {"All models", "<b>"},
		"train --x S.npy --y Y.npy --l2 1 --compare":                              {"Best: ", "no test rows", "Objective above its final value", "<b>"},
		"train --x S.npy --y Y.npy --l2 1 --loss bce --iterations 1 --plot p.svg": {"not converged"},
	} {
		_, stderr, status := run(t, dir, append(strings.Fields(args), "--html", "p.html", "--markdown", "p.md")...)
		require.Equal(t, 0, status, stderr)
		text, err := os.ReadFile(filepath.Join(dir, "p.html"))
		require.NoError(t, err)
		for _, w := range append(want, html.EscapeString(page.Shell(strings.Fields("zlpr "+args+" --html p.html"))), "200×6") {
			require.Contains(t, string(text), w, args)
		}
		text, err = os.ReadFile(filepath.Join(dir, "p.md"))
		require.NoError(t, err)
		require.Contains(t, string(text), page.Shell(strings.Fields("zlpr "+args)))
	}
}
