package main

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// twoModels writes scores A.npy, B.npy (float64, of 0.1 more noise) and C.npy, and
// labels.
func twoModels(t *testing.T, dir string, rows, n int) {
	rng := rand.New(rand.NewPCG(4, 4))
	a, b, y := make([]float32, rows*n), make([]float64, rows*n), make([]uint8, rows*n)
	for i := range y {
		if rng.IntN(4) == 0 {
			y[i] = 1
		}
		s := 2*rng.NormFloat64() + 3*float64(y[i]) - 2
		a[i], b[i] = float32(s), s+rng.NormFloat64()/2
	}
	save(t, dir, "A.npy", []int{rows, n}, a)
	save(t, dir, "B.npy", []int{rows, n}, b)
	save(t, dir, "C.npy", []int{rows, n}, a[:])
	save(t, dir, "Y.npy", []int{rows, n}, y)
}

// nulls are numbers that are null: in these tests -99.
var nulls = regexp.MustCompile(`"(a|b|difference|low|high|p)": null`)

// diffJSON runs diff and returns its JSON.
func diffJSON(t *testing.T, dir string, args ...string) (r diffReport) {
	t.Helper()
	stdout, stderr, status := run(t, dir, append([]string{"diff", "--json"}, args...)...)
	require.Equal(t, 0, status, stderr)
	decoder := json.NewDecoder(strings.NewReader(nulls.ReplaceAllString(stdout, `"$1": -99`)))
	require.NoError(t, decoder.Decode(&r), stdout)
	return r
}

const plainLoop = `
import json, sys, numpy as np
from sklearn import metrics as M
a, b, y = (np.load(f).astype(float) for f in ('A.npy', 'B.npy', 'Y.npy'))
a = np.load('A.npy').astype('f4').astype(float)
got = json.load(sys.stdin)
def zlpr(s): return (np.log1p((np.exp(s)*(1-y)).sum(1)) + np.log1p((np.exp(-s)*y).sum(1)))
f = dict(zero_division=0)
measures = {}
for avg in ('micro', 'macro', 'weighted', 'samples'):
    for name, fn in (('f1', M.f1_score), ('precision', M.precision_score), ('recall', M.recall_score)):
        measures[avg+'_'+name] = lambda y, s, fn=fn, avg=avg: fn(y, s > 0, average=avg, **f)
measures['subset_accuracy'] = lambda y, s: M.accuracy_score(y, s > 0)
measures['hamming_loss'] = lambda y, s: M.hamming_loss(y, s > 0)
measures['lrap'] = M.label_ranking_average_precision_score
measures['coverage_error'] = M.coverage_error
measures['ranking_loss'] = M.label_ranking_loss
measures['ndcg_at_3'] = lambda y, s: M.ndcg_score(y, s, k=3)
measures['micro_auc'] = lambda y, s: M.roc_auc_score(y, s, average='micro')
for name, fn in measures.items():
    d = got['metrics'][name]; u, v = fn(y, a), fn(y, b)
    for want, have in ((u, d['a']), (v, d['b']), (v-u, d['difference'])):
        assert abs(want-have) <= 1e-12*max(1, abs(want)), (name, want, have)
d = got['losses']['zlpr']
assert abs(zlpr(a).mean()-d['a']) < 1e-12*d['a']+1e-7 and abs(zlpr(b).mean()-d['b']) < 1e-12*d['b']
for j, c in enumerate(got['classes']):
    assert c['class'] == j and abs(M.f1_score(y[:, j], a[:, j] > 0, **f)-c['a']) < 1e-12 and abs(M.f1_score(y[:, j], b[:, j] > 0, **f)-c['b']) < 1e-12, c
# A plain loop with other random numbers: the ends are the quantiles to Monte Carlo error.
rng, n = np.random.default_rng(3), len(y)
loss = zlpr(b)-zlpr(a)
draws = [rng.integers(0, n, n) for _ in range(2000)]
def share(x, end): return (np.array(x) < end).mean()
few = ('micro_f1', 'macro_f1', 'weighted_precision', 'hamming_loss', 'samples_recall')
def f1(y, s, avg):
    p = s > 0; tp, den = (p*y).sum(0), p.sum(0)+y.sum(0)
    return 2*tp.sum()/den.sum() if avg == 'micro' else np.where(den > 0, 2*tp/np.maximum(den, 1), 0).mean()
samples = {'zlpr': [loss[i].mean() for i in draws],
    'micro_f1': [f1(y[i], b[i], 'micro')-f1(y[i], a[i], 'micro') for i in draws],
    'macro_f1': [f1(y[i], b[i], 'macro')-f1(y[i], a[i], 'macro') for i in draws],
    'hamming_loss': [((b[i] > 0) != y[i]).mean()-((a[i] > 0) != y[i]).mean() for i in draws]}
for name, x in samples.items():
    d = got['losses'].get(name) or got['metrics'][name]
    lo, hi = share(x, d['low']), share(x, d['high'])
    assert abs(lo-.025) < .022 and abs(hi-.975) < .022, (name, lo, hi)
# p of the loss, by another loop.
stars = [abs((loss*np.where(rng.random(n) < .5, -1, 1)).mean()) for _ in range(4000)]
p = (1+sum(s >= abs(loss.mean()) for s in stars))/4001
assert abs(p-got['losses']['zlpr']['p']) < .03, (p, got['losses']['zlpr'])
print('ok')
`

// TestDiffAgainstScikitLearn: all values are scikit-learn's, intervals and p those of
// plain loops to Monte Carlo error.
func TestDiffAgainstScikitLearn(t *testing.T) {
	name, dir := python(t), t.TempDir()
	if exec.Command(name, "-c", "import sklearn").Run() != nil {
		t.Skip("SKIPPED: no scikit-learn")
	}
	twoModels(t, dir, 150, 6)
	stdout, stderr, status := run(t, dir, "diff", "A.npy", "B.npy", "--labels", "Y.npy", "--json")
	require.Equal(t, 0, status, stderr)
	cmd := exec.Command(name, "-c", plainLoop)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdout)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

// TestDiff: the values are eval's, to the bit; nothing depends on the number of
// workers; groups of one row are rows; further files are compared with the first.
func TestDiff(t *testing.T) {
	dir := t.TempDir()
	twoModels(t, dir, 120, 70)
	r := diffJSON(t, dir, "A.npy", "B.npy", "--labels", "Y.npy", "--loss", "all", "--resamples", "500")
	for k, name := range []string{"A.npy", "B.npy"} {
		e := evalJSON(t, dir, "--scores", name, "--labels", "Y.npy", "--loss", "all")
		require.Len(t, r.Losses, len(e.Losses))
		for loss, v := range e.Losses {
			require.EqualValues(t, v.Mean, []number{r.Losses[loss].A, r.Losses[loss].B}[k], loss)
		}
		require.Len(t, r.Metrics, len(e.Metrics))
		for metric, v := range e.Metrics {
			require.EqualValues(t, *v, []number{r.Metrics[metric].A, r.Metrics[metric].B}[k], metric)
		}
	}
	require.Len(t, r.Classes, 70)
	require.EqualValues(t, -99, r.Metrics["macro_auc"].Low)
	require.Less(t, r.Metrics["micro_f1"].Low, r.Metrics["micro_f1"].Difference)
	groups := make([]int64, 120)
	for i := range groups {
		groups[i] = int64(7 - i)
	}
	save(t, dir, "G.npy", []int{120}, groups)
	for _, args := range [][]string{{"--workers", "1"}, {"--workers", "5"}, {"--groups", "G.npy"}} {
		again := diffJSON(t, dir, append(args, "A.npy", "B.npy", "--labels", "Y.npy", "--loss", "all", "--resamples", "500")...)
		require.Equal(t, r.comparisonReport, again.comparisonReport, args)
	}
	other := diffJSON(t, dir, "A.npy", "B.npy", "--labels", "Y.npy", "--loss", "all", "--resamples", "500", "--seed", "2")
	require.NotEqual(t, r.Metrics["micro_f1"].Low, other.Metrics["micro_f1"].Low)
	three := diffJSON(t, dir, "A.npy", "C.npy", "B.npy", "--labels", "Y.npy", "--loss", "all", "--resamples", "500")
	require.Len(t, three.Further, 1)
	require.Equal(t, r.comparisonReport, three.Further[0])
	require.Contains(t, three.Decision, "C.npy and A.npy are equal")
	require.EqualValues(t, 1, three.Metrics["micro_f1"].P)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "names.txt"), []byte(strings.Repeat("a name\n", 70)), 0o644))
	stdout, stderr, status := run(t, dir, "diff", "A.npy", "C.npy", "B.npy", "--labels", "Y.npy", "--names", "names.txt", "--resamples", "50")
	require.Equal(t, 0, status, stderr)
	require.Regexp(t, `(?s)^C.npy and A.npy are equal: micro F1 .*\nB.npy is worse than A.npy: micro F1 0\.\d+ instead of .*lost most.*class \d+ a name `, stdout)
	require.Regexp(t, `micro_f1 +0\.\d+\* +0\.\d+\* +0\.\d+ *\n`, stdout)
}

// TestDiffEdges: one row, one class, scores that are equal, rows that do not count,
// NaN: results that are defined, or one line that says what to do.
func TestDiffEdges(t *testing.T) {
	dir := t.TempDir()
	twoModels(t, dir, 30, 5)
	save(t, dir, "a1.npy", []int{1, 5}, []float32{1, -1, 2, -2, 0.5})
	save(t, dir, "b1.npy", []int{1, 5}, []float32{1, -1, -2, -2, 0.5})
	save(t, dir, "y1.npy", []int{1, 5}, []uint8{1, 0, 1, 0, 0})
	one := diffJSON(t, dir, "a1.npy", "b1.npy", "--labels", "y1.npy", "--resamples", "20")
	const null = -99 // one row is drawn the same every time: no interval, no p
	require.EqualValues(t, null, one.Metrics["micro_f1"].Low)
	require.EqualValues(t, null, one.Metrics["micro_f1"].P)
	require.EqualValues(t, null, one.Losses["zlpr"].P)
	require.Contains(t, one.Decision, "there is no interval of one row, or group, alone")
	save(t, dir, "a2.npy", []int{4, 1}, []float64{1, -1, 2, -2})
	save(t, dir, "b2.npy", []int{4, 1}, []float64{0, 0, 0, 0})
	save(t, dir, "y2.npy", []int{4, 1}, []uint8{0, 0, 0, 0})
	single := diffJSON(t, dir, "a2.npy", "b2.npy", "--labels", "y2.npy", "--loss", "all")
	require.EqualValues(t, -99, single.Metrics["one_error"].A) // no row has a positive
	require.EqualValues(t, -99, single.Metrics["one_error"].Low)
	require.EqualValues(t, 0, single.Metrics["micro_f1"].B)
	save(t, dir, "t.npy", []int{30}, append(make([]int64, 29), -1))
	targets := diffJSON(t, dir, "A.npy", "B.npy", "--labels", "t.npy", "--loss", "softmax,zlpr")
	require.Contains(t, strings.Join(targets.Warnings, " "), "left out: 1 row whose class number is ignored")
	e := evalJSON(t, dir, "--scores", "B.npy", "--labels", "t.npy", "--loss", "softmax")
	require.EqualValues(t, e.Losses["softmax"].Mean, targets.Losses["softmax"].B)
	mask := make([]uint8, 150)
	for i := range mask[:100] {
		mask[i] = uint8(i % 3 % 2)
	}
	save(t, dir, "M.npy", []int{30, 5}, mask)
	save(t, dir, "Y0.npy", []int{30, 5}, make([]uint8, 150))
	for _, metrics := range []string{"all", "none"} {
		masked := diffJSON(t, dir, "A.npy", "B.npy", "--labels", "Y0.npy", "--mask", "M.npy", "--metrics", metrics)
		e = evalJSON(t, dir, "--scores", "B.npy", "--labels", "Y0.npy", "--mask", "M.npy")
		require.EqualValues(t, e.Losses["zlpr"].Mean, masked.Losses["zlpr"].B)
		d := masked.Losses["zlpr"]
		require.True(t, d.Low <= d.Difference && d.Difference <= d.High)
	}
	save(t, dir, "zero.npy", []int{30, 5}, make([]uint8, 150))
	nan := make([]float32, 150)
	nan[37] = float32(math.NaN())
	save(t, dir, "nan.npy", []int{30, 5}, nan)
	save(t, dir, "G.npy", []int{29}, make([]int64, 29))
	save(t, dir, "half.npy", []int{30}, append(make([]float64, 29), 0.5))
	save(t, dir, "soft.npy", []int{30, 5}, append(make([]float32, 149), 0.5))
	diff := func(status int, pattern, args string) {
		t.Helper()
		fails(t, dir, status, pattern, append([]string{"diff"}, strings.Fields(args)...)...)
	}
	diff(1, `nan.npy: row 7, column 2: score is NaN`, "A.npy nan.npy --labels Y.npy")
	diff(1, `a1.npy: 1 row of 5 classes, but A.npy has 30 rows of 5`, "A.npy a1.npy --labels Y.npy")
	diff(1, `G.npy: 29 groups, but 30 rows; give the number`, "A.npy B.npy --labels Y.npy --groups G.npy")
	diff(1, `half.npy: row 29: group 0.5 is no integer`, "A.npy B.npy --labels Y.npy --groups half.npy")
	diff(1, `soft.npy: labels are soft`, "A.npy B.npy --labels soft.npy")
	diff(1, `A.npy: no row counts for zlpr`, "A.npy B.npy --labels Y0.npy --mask zero.npy")
	diff(2, `give two files of scores or more`, "A.npy --labels Y.npy")
	diff(2, `give two files of scores or more`, "")
	diff(2, `give the labels of the scores by --labels`, "A.npy B.npy")
	diff(2, `--confidence 95: between 0 and 1`, "A.npy B.npy --labels Y.npy --confidence 95")
	diff(2, `--resamples 0: from 1`, "A.npy B.npy --labels Y.npy --resamples 0")
	diff(2, `--measure macrof1 is none of .*did you mean macro_f1`, "A.npy B.npy --labels Y.npy --measure macrof1")
	diff(2, `--names goes with macro or weighted`, "A.npy B.npy --labels Y.npy --metrics lrap --names n.txt")
	diff(2, `--scores and --scores|both standard input|--scores is given twice|read once`, "- - --labels Y.npy")
	none := diffJSON(t, dir, "A.npy", "nan.npy", "--labels", "Y.npy", "--metrics", "none")
	require.EqualValues(t, -99, none.Losses["zlpr"].B)
	require.EqualValues(t, -99, none.Losses["zlpr"].Low)
	require.Contains(t, strings.Join(none.Warnings, " "), "nan.npy: zlpr is NaN")
}

// The sign of an infinite difference stands once.
func TestSigned(t *testing.T) {
	for x, want := range map[float64]string{math.Inf(1): "+Inf", math.Inf(-1): "-Inf", 1.5: "+1.5", 0: "0", -2: "-2"} {
		require.Equal(t, want, signed(x))
	}
}

// TestDiffWeights: with row weights and --zero-division losses, metrics and classes are those
// of eval with the same flags.
func TestDiffWeights(t *testing.T) {
	dir := t.TempDir()
	const rows, n = 40, 5
	s, y, _ := example[float32](t, dir, rows, n)
	r := rand.New(rand.NewPCG(71, 72))
	other, weights := make([]float32, len(s)), make([]float64, rows)
	for i := range s {
		if i%n == 2 { // a class that nobody has or predicts
			s[i], y[i] = -5, 0
		}
		other[i] = s[i] + float32(r.NormFloat64()/4)
	}
	for i := range weights {
		weights[i] = 2 * r.Float64()
	}
	weights[4] = 0
	save(t, dir, "A.npy", []int{rows, n}, s)
	save(t, dir, "B.npy", []int{rows, n}, other)
	save(t, dir, "L.npy", []int{rows, n}, y)
	save(t, dir, "W.npy", []int{rows}, weights)
	read := func(to any, args ...string) {
		stdout, stderr, status := run(t, dir, args...)
		require.Equal(t, 0, status, stderr)
		require.NoError(t, json.Unmarshal([]byte(stdout), to))
	}
	for _, zero := range []string{"0", "1", "nan"} {
		flags := []string{"--row-weights", "W.npy", "--zero-division", zero, "--json"}
		var d struct {
			Losses, Metrics map[string]struct{ A, B *float64 }
			Classes         []struct {
				Class int
				A, B  *float64
			}
		}
		read(&d, append([]string{"diff", "A.npy", "B.npy", "--labels", "L.npy", "--resamples", "20"}, flags...)...)
		for m, file := range []string{"A.npy", "B.npy"} {
			var e struct {
				Losses  map[string]struct{ Mean float64 }
				Metrics map[string]*float64
				Classes []struct{ F1 *float64 } `json:"by_class"`
			}
			read(&e, append([]string{"eval", file, "L.npy", "--classes", "5"}, flags...)...)
			require.NotEmpty(t, d.Metrics)
			for name, v := range d.Metrics {
				require.Equal(t, e.Metrics[name], []*float64{v.A, v.B}[m], "%s, %s", name, zero)
			}
			require.Equal(t, e.Losses["zlpr"].Mean, *[]*float64{d.Losses["zlpr"].A, d.Losses["zlpr"].B}[m])
			require.Len(t, d.Classes, n)
			for _, c := range d.Classes {
				want, got := e.Classes[c.Class].F1, []*float64{c.A, c.B}[m]
				if want == nil {
					require.Nil(t, got)
					require.Equal(t, "nan", zero)
					continue
				}
				require.InDelta(t, *want, *got, 1e-13, "class %d, %s", c.Class, zero)
			}
		}
	}
	weights[7] = -1
	save(t, dir, "W.npy", []int{rows}, weights)
	fails(t, dir, 1, `W.npy: row 7: weight -1 is not finite and at least 0`, "diff", "A.npy", "B.npy", "--labels", "L.npy", "--row-weights", "W.npy")
	save(t, dir, "W.npy", []int{3}, weights[:3])
	fails(t, dir, 1, `W.npy: 3 row weights, but 40 are needed`, "diff", "A.npy", "B.npy", "--labels", "L.npy", "--row-weights", "W.npy")
	fails(t, dir, 2, `--zero-division "2": choose 0, 1, nan`, "diff", "A.npy", "B.npy", "--labels", "L.npy", "--zero-division", "2")
	fails(t, dir, 2, `--zero-division goes with precision, recall, F-scores`, "diff", "A.npy", "B.npy", "--labels", "L.npy", "--zero-division", "1", "--metrics", "none")
}
