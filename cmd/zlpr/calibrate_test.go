package main

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/array"
)

const plainCalibration = `
import json, sys, numpy as np
from scipy.optimize import minimize
got = json.load(sys.stdin)
by, fit = got['by'], got['fit']
s, y = np.load('S.npy').astype(float), np.load('Y.npy')
c = 2 if by == 'sigmoid2' else 1
part = np.load('M.npy').astype(bool) if 'masked' in sys.argv else np.ones(s.shape, bool)
if by == 'softmax':
    t = np.load('T.npy')
    def of(a, b):
        z = a*s; z = z-z.max(1, keepdims=True); p = np.exp(z)/np.exp(z).sum(1, keepdims=True)
        return p[np.arange(len(t)), t], np.ones(len(t)), p.max(1), p.argmax(1) == t
else:
    def of(a, b): return 1/(1+np.exp(-c*(a*s[part]+b))), y[part].astype(float), None, None
def loss(a, b):
    p, l, _, _ = of(a, b); return np.where(l == 1, -np.log(p), -np.log1p(-p)).mean()
def ece(p, l, edges):
    k = np.searchsorted(edges[1:-1], p)
    return sum(abs(p[k == i].sum()-l[k == i].sum()) for i in range(15))/len(p)
def mass(p): return np.percentile(p, np.linspace(0, 1, 16)*100)
width = np.linspace(0, 1, 16)
for when, a, b in (('before', 1, 0), ('after', got['scale'], got['shift'])):
    p, l, top, right = of(a, b)
    have = got[when]
    want = dict(brier=((p-l)**2).mean(), log_loss=loss(a, b), ece_width=ece(p, l, width), ece_mass=ece(p, l, mass(p)))
    for k, v in want.items(): assert abs(v-have[k]) <= 1e-12, (by, fit, when, k, v, have[k])
    if top is not None:
        assert abs(ece(top, right, width)-got['top_label'][when]['ece_width']) <= 1e-12
        assert abs(ece(top, right, mass(top))-got['top_label'][when]['ece_mass']) <= 1e-12
    bins = got['reliability'][when]['width']; q, r = (p, l) if top is None else (top, right)
    k = np.searchsorted(width[1:-1], q)
    for i, one in enumerate(bins):
        assert one['count'] == (k == i).sum()
        if one['count']:
            assert abs(one['probability']-q[k == i].mean()) < 1e-12 and abs(one['positive']-r[k == i].mean()) < 1e-12
if fit == 'temperature':
    best = minimize(lambda x: loss(x[0], 0), [1], method='Nelder-Mead', options=dict(xatol=1e-9, fatol=1e-15)).x
    assert abs(best[0]-got['scale']) < 1e-6 and got['shift'] == 0, (best, got['scale'])
elif fit == 'platt':
    best = minimize(lambda x: loss(*x), [1, 0], method='Nelder-Mead', options=dict(xatol=1e-9, fatol=1e-15)).x
    assert abs(best[0]-got['scale']) < 1e-6 and abs(best[1]-got['shift']) < 1e-6, (best, got)
else:
    assert got['scale'] == 1 and got['shift'] == 0 and got['before'] == got['after']
assert got['rows'] == len(s)
print('ok')
`

// calibrationData writes scores, labels, a mask and class numbers.
func calibrationData(t *testing.T, dir string, rows, n int) {
	rng := rand.New(rand.NewPCG(6, 6))
	s, y, m, targets := make([]float32, rows*n), make([]uint8, rows*n), make([]uint8, rows*n), make([]int64, rows)
	for i := range s {
		x := 2 * rng.NormFloat64()
		s[i] = float32(x)
		m[i] = uint8(min(1, rng.IntN(5)))
		if rng.Float64() < 1/(1+math.Exp(-0.6*x+0.3)) {
			y[i] = m[i]
		}
	}
	for r := range targets {
		targets[r] = int64(rng.IntN(n))
		s[r*n+int(targets[r])] += 2
	}
	save(t, dir, "S.npy", []int{rows, n}, s)
	save(t, dir, "Y.npy", []int{rows, n}, y)
	save(t, dir, "M.npy", []int{rows, n}, m)
	save(t, dir, "T.npy", []int{rows}, targets)
}

// TestCalibrateAgainstNumpy: errors, bins and fits are those of plain definitions.
func TestCalibrateAgainstNumpy(t *testing.T) {
	name, dir := python(t), t.TempDir()
	calibrationData(t, dir, 300, 7)
	for _, args := range []string{"Y.npy --by sigmoid --fit temperature", "Y.npy --by sigmoid --fit platt --mask M.npy", "Y.npy --by sigmoid2 --fit platt", "Y.npy --by sigmoid2 --fit none",
		"T.npy --by softmax --fit temperature"} {
		stdout, stderr, status := run(t, dir, append(strings.Fields("calibrate S.npy "+args), "--json")...)
		require.Equal(t, 0, status, stderr)
		again, _, _ := run(t, dir, append(strings.Fields("calibrate S.npy "+args), "--json", "--workers", "5")...)
		require.Equal(t, withoutTimes(stdout), withoutTimes(again))
		cmd := exec.Command(name, "-c", plainCalibration, map[bool]string{true: "masked", false: "all"}[strings.Contains(args, "--mask")])
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdout)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, args+string(out))
	}
}

// TestCalibration: predict applies what calibrate wrote.
func TestCalibration(t *testing.T) {
	dir := t.TempDir()
	calibrationData(t, dir, 100, 5)
	for _, by := range []string{"sigmoid", "sigmoid2", "softmax"} {
		fit, labels := "platt", "Y.npy"
		if by == "softmax" {
			fit, labels = "temperature", "T.npy"
		}
		stdout, stderr, status := run(t, dir, "calibrate", "S.npy", labels, "--by", by, "--fit", fit, "--out", "c.json")
		require.Equal(t, 0, status, stderr)
		require.Regexp(t, `^Of the links, \S+ fits best: log loss .* With temperature .*by chance\)\.\n`, stdout)
		text, err := os.ReadFile(filepath.Join(dir, "c.json"))
		require.NoError(t, err)
		var c struct{ Scale, Shift float64 }
		require.NoError(t, json.Unmarshal(text, &c))
		_, stderr, status = run(t, dir, "predict", "--scores", "S.npy", "--as", "probabilities", "--calibration", "c.json", "--out", "P.npy")
		require.Equal(t, 0, status, stderr)
		_, stderr, status = run(t, dir, "predict", "--scores", "S.npy", "--as", "probabilities", "--calibration", "c.json", "--top", "2", "--out", "P2.npy")
		require.Equal(t, 0, status, stderr)
		s, p, p2 := load[float32](t, dir, "S.npy"), load[float32](t, dir, "P.npy"), load[float32](t, dir, "P2.npy")
		for r := 0; r < len(s); r += 5 {
			sum := 0.0
			for _, v := range s[r : r+5] {
				sum += math.Exp(c.Scale * float64(v))
			}
			kept := 0
			for j, v := range s[r : r+5] {
				z := c.Scale*float64(v) + c.Shift
				want := 1 / (1 + math.Exp(-z))
				switch by {
				case "sigmoid2":
					want = 1 / (1 + math.Exp(-2*z))
				case "softmax":
					want = math.Exp(z) / sum
				}
				require.InEpsilon(t, want, p[r+j], 1e-6)
				if p2[r+j] != 0 {
					kept++
					require.Equal(t, p[r+j], p2[r+j])
				}
			}
			require.Equal(t, 2, kept)
		}
	}
}

// TestCalibrateEdges: what has no calibration is an error that says what to do, or
// has defined results.
func TestCalibrateEdges(t *testing.T) {
	dir := t.TempDir()
	calibrationData(t, dir, 20, 3)
	scores := make([]float32, 60)
	save(t, dir, "equal.npy", []int{20, 3}, scores)
	scores[31] = float32(math.NaN())
	save(t, dir, "nan.npy", []int{20, 3}, scores)
	scores[31] = float32(math.Inf(-1))
	save(t, dir, "inf.npy", []int{20, 3}, scores)
	save(t, dir, "zero.npy", []int{20, 3}, make([]uint8, 60))
	save(t, dir, "soft.npy", []int{20, 3}, append(make([]float32, 59), 0.5))
	save(t, dir, "s1.npy", []int{1, 1}, []float64{0.5})
	save(t, dir, "y1.npy", []int{1, 1}, []uint8{1})
	calibrate := func(status int, pattern, args string) {
		t.Helper()
		fails(t, dir, status, pattern, append([]string{"calibrate"}, strings.Fields(args)...)...)
	}
	calibrate(1, `nan.npy: row 10, column 1: score is NaN; mend the score, or leave it out by --mask`, "nan.npy Y.npy --out c.json")
	calibrate(1, `inf.npy: row 10, column 1: score is -Inf`, "inf.npy Y.npy")
	calibrate(1, `S.npy: no calibration has the least log loss: .*choose --fit none`, "S.npy zero.npy --fit platt --out c.json")
	calibrate(1, `s1.npy: no calibration has the least log loss`, "s1.npy y1.npy")
	calibrate(1, `soft.npy: labels are soft`, "S.npy soft.npy")
	calibrate(1, `S.npy: no row counts for calibrate`, "S.npy zero.npy --mask zero.npy")
	calibrate(1, `S.npy: no row counts for calibrate`, "S.npy zero.npy --mask zero.npy --fit none")
	calibrate(1, `Y.npy: row \d+: (more than one|no) positive label`, "S.npy Y.npy --by softmax")
	calibrate(2, `--fit platt: a shift of all scores changes no softmax`, "S.npy T.npy --by softmax --fit platt")
	calibrate(2, `--fit "plat": choose .*did you mean platt`, "S.npy T.npy --fit plat")
	calibrate(2, `give scores and labels: zlpr calibrate`, "S.npy")
	calibrate(2, `--scores and --out are the same file|the name must end in .json`, "S.npy Y.npy --out S.npy")
	for _, args := range []string{"equal.npy Y.npy", "s1.npy y1.npy --fit none", "equal.npy zero.npy", "equal.npy T.npy --by softmax"} {
		stdout, stderr, status := run(t, dir, append(strings.Fields("calibrate "+args), "--json")...)
		require.Equal(t, 0, status, args+stderr)
		var r calibrateReport
		require.NoError(t, json.Unmarshal([]byte(stdout), &r))
		require.EqualValues(t, 1, r.Scale, args)
		_, stderr, status = run(t, dir, strings.Fields("calibrate "+args)...)
		require.Equal(t, 0, status, stderr)
	}
	for name, text := range map[string]string{"words.json": "hello", "list.json": "[1]", "by.json": `{"by": "tanh", "scale": 1, "shift": 0}`, "none.json": `{"by": "sigmoid", "shift": 0}`, "null.json": `{"by": "sigmoid", "scale": null, "shift": 0}`,
		"case.json": `{"By": "sigmoid", "Scale": 1, "shift": 0}`, "twice.json": `{"by": "sigmoid", "scale": 1, "shift": 0, "scale": 2}`, "huge.json": `{"by": "sigmoid", "scale": 1e999, "shift": 0}`} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
		fails(t, dir, 1, name+`: .*write it by zlpr calibrate`, "predict", "--scores", "S.npy", "--as", "probabilities", "--calibration", name, "--out", "P.npy")
	}
	fails(t, dir, 2, `leave out --by`, "predict", "--scores", "S.npy", "--as", "probabilities", "--calibration", "by.json", "--by", "softmax", "--out", "P.npy")
	fails(t, dir, 2, `--calibration goes with --as probabilities`, "predict", "--scores", "S.npy", "--calibration", "by.json", "--out", "P.npy")
}

// load returns the elements of an array.
func load[T array.Number](t *testing.T, dir, name string) []T {
	_, x := readArray[T](t, dir, name)
	return x
}
