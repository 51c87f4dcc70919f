package metrics

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
)

// classesOf are the results by class of a batch.
func classesOf[T zlpr.Score](t *testing.T, b *Batch[T], options Options) []ClassResult {
	t.Helper()
	options.ByClass = true
	a, err := NewAccumulator[T](b.Scores.Cols, nil, options)
	require.NoError(t, err)
	require.NoError(t, a.Add(b))
	c, err := a.Classes()
	require.NoError(t, err)
	return c
}

// measuresOf are the numbers of a class, by name.
func measuresOf(c ClassResult) map[string]float64 {
	return map[string]float64{"support": c.Support, "precision": c.Precision, "recall": c.Recall, "f1": c.F1,
		"auc": c.AUC, "average_precision": c.AveragePrecision}
}

// TestClassesBrute compares with counts of every class in the plainest way, rows in
// one batch and in two that are merged through their marshalled form.
func TestClassesBrute(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 18))
	for range 200 {
		rows, classes := 1+rng.IntN(9), 1+rng.IntN(5)
		b := randomBatch[float32](rng, rows, classes)
		rule := Above(float64(rng.IntN(5)-2) / 2)
		for _, zero := range []ZeroDivision{ZeroDivisionZero, ZeroDivisionOne, ZeroDivisionNaN} {
			options := Options{Rule: rule, ByClass: true, ZeroDivision: zero, Workers: 1 + rng.IntN(3)}
			names := []string{"micro_f1", "macro_precision", "weighted_recall", "samples_f1", "samples_precision"}
			half := rows / 2
			var sum *Accumulator[float32]
			for _, cut := range [][2]int{{0, half}, {half, rows}} {
				if cut[0] == cut[1] {
					continue
				}
				part := slice(b, cut[0], cut[1])
				a, err := NewAccumulator[float32](classes, names, options)
				require.NoError(t, err)
				require.NoError(t, a.Add(part))
				data, err := a.MarshalBinary()
				require.NoError(t, err)
				back := new(Accumulator[float32])
				require.NoError(t, back.UnmarshalBinary(data))
				if sum == nil {
					sum = back
				} else {
					require.NoError(t, sum.Merge(back))
				}
			}
			d := newBrute(b, rule, nil)
			if len(d.rows) == 0 {
				_, err := sum.Classes()
				require.ErrorIs(t, err, ErrNoRows)
				continue
			}
			got, err := sum.Classes()
			require.NoError(t, err)
			confusions, perRow, all := d.confusions()
			value := []float64{0, 1, math.NaN()}[zero]
			for j, c := range got {
				want := confusions[j]
				require.Equal(t, j, c.Class)
				requireClose(t, want.tp+want.fn, c.Support, "count")
				requireClose(t, want.tp, c.TruePositives, "count")
				requireClose(t, want.fp, c.FalsePositives, "count")
				requireClose(t, want.fn, c.FalseNegatives, "count")
				for name, x := range map[string]float64{"precision": c.Precision, "recall": c.Recall, "f1": c.F1} {
					requireClose(t, want.settled(name, value), x, name)
				}
				own := b.Thresholds != nil || b.ThresholdColumn > 0
				requireClose(t, map[bool]float64{false: rule.threshold, true: math.NaN()}[own], c.Threshold, "threshold")
			}
			results, err := sum.Results()
			require.NoError(t, err)
			mean := func(c []confusion, name string, weight func(i int) float64) float64 {
				sum, weights := 0.0, 0.0
				for i := range c {
					if v := c[i].settled(name, value); v == v {
						sum += weight(i) * v
						weights += weight(i)
					}
				}
				return sum / weights
			}
			ones := func(int) float64 { return 1 }
			ofRow := func(i int) float64 { return d.rows[i].weight }
			requireClose(t, all.settled("f1", value), results[0].Value, "micro_f1")
			requireClose(t, mean(confusions, "precision", ones), results[1].Value, "macro_precision")
			if all.tp+all.fn > 0 {
				requireClose(t, mean(confusions, "recall", func(j int) float64 { return confusions[j].tp + confusions[j].fn }), results[2].Value, "weighted_recall")
			} else {
				requireClose(t, value, results[2].Value, "weighted_recall of no positives")
			}
			requireClose(t, mean(perRow, "f1", ofRow), results[3].Value, "samples_f1")
			requireClose(t, mean(perRow, "precision", ofRow), results[4].Value, "samples_precision")
		}
	}
}

// settled is a measure with what divisions by zero give.
func (c confusion) settled(name string, zero float64) float64 {
	if name == "precision" && c.tp+c.fp == 0 || name == "recall" && c.tp+c.fn == 0 || c.tp+c.fp+c.fn == 0 {
		return zero
	}
	return c.measure(name)
}

func requireClose(t *testing.T, want, got float64, name string) {
	t.Helper()
	if math.IsNaN(want) != math.IsNaN(got) || math.Abs(want-got) > 1e-12*max(1, math.Abs(want)) {
		t.Fatalf("%s is %v, not %v", name, got, want)
	}
}

// TestClassesScikitLearn compares with scikit-learn on the data sets: the results of
// every class, and averages by zero_division.
func TestClassesScikitLearn(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: takes long")
	}
	interpreter := python(t)
	arguments := []string{filepath.Join("testdata", "sklearn_classes.py")}
	for _, folder := range dataSets(t) {
		if b := readData(t, folder); len(b.Scores.Data) < 200000 || os.Getenv("ZLPR_REQUIRE_SKLEARN") != "" {
			arguments = append(arguments, folder)
		}
	}
	command := exec.Command(interpreter, arguments...)
	command.Stderr = os.Stderr
	output, err := command.Output()
	require.NoError(t, err)
	var all map[string]map[string]map[string][]*float64
	require.NoError(t, json.Unmarshal(output, &all))
	require.Len(t, all, 2*(len(arguments)-1))
	worst, numbers := 0.0, 0
	compare := func(what string, got float64, want *float64) {
		numbers++
		if want == nil {
			if got == got {
				t.Errorf("%s is %v, scikit-learn has none", what, got)
			}
			return
		}
		if !(math.Abs(got-*want) <= 1e-12*max(1, math.Abs(*want))) {
			t.Errorf("%s is %v, scikit-learn has %v", what, got, *want)
		}
		worst = max(worst, math.Abs(got-*want))
	}
	for path, tables := range all {
		folder, weights, _ := strings.Cut(path, ":")
		b := readData(t, folder)
		if weights != "" {
			b.RowWeights = slices.Repeat([]float64{1, 0.25, 0, 2.5}, b.Scores.Rows/4+1)[:b.Scores.Rows]
		}
		for zero, key := range []string{"0", "1"} {
			options := Options{ZeroDivision: ZeroDivision(zero)}
			classes := classesOf(t, b, options)
			for name, values := range tables[key] {
				if strings.Contains(name, "_") {
					a, err := NewAccumulator[float32](b.Scores.Cols, []string{name}, options)
					require.NoError(t, err)
					require.NoError(t, a.Add(b))
					results, err := a.Results()
					require.NoError(t, err)
					compare(path+": "+name+" by "+key, results[0].Value, values[0])
					continue
				}
				for j, want := range values {
					compare(path+": "+name+" by "+key, measuresOf(classes[j])[name], want)
				}
			}
			for name, values := range tables["areas"] {
				for j, want := range values {
					compare(path+": "+name, measuresOf(classes[j])[name], want)
				}
			}
		}
	}
	t.Logf("%d numbers, largest difference %.1g", numbers, worst)
}

// TestClassesEdges asks for what is not there.
func TestClassesEdges(t *testing.T) {
	a, err := NewAccumulator[float32](2, []string{"macro_f1"}, Options{})
	require.NoError(t, err)
	_, err = a.Classes()
	require.ErrorContains(t, err, "ByClass")
	_, err = new(Accumulator[float32]).Classes()
	require.Error(t, err)
	_, err = (*Accumulator[float32])(nil).Classes()
	require.Error(t, err)
	_, err = NewAccumulator[float32](2, nil, Options{ZeroDivision: 3})
	require.Error(t, err)
	a, err = NewAccumulator[float32](2, nil, Options{ByClass: true})
	require.NoError(t, err)
	_, err = a.Classes()
	require.ErrorIs(t, err, ErrNoRows)
	other, err := NewAccumulator[float32](2, nil, Options{})
	require.NoError(t, err)
	require.Error(t, a.Merge(other))
	// One row; a class without positives, one without negatives; equal scores.
	b := &Batch[float32]{Scores: zlpr.Matrix[float32]{Rows: 1, Cols: 2, Stride: 2, Data: []float32{0, 0}}, Labels: denseBits{{false, true}}}
	c := classesOf(t, b, Options{Rule: Top(1)})
	require.True(t, math.IsNaN(c[0].Threshold) && math.IsNaN(c[0].AUC) && math.IsNaN(c[1].AUC))
	require.Equal(t, []float64{1, 0, 0, 1, 1}, []float64{c[0].FalsePositives, c[0].AveragePrecision, c[0].Recall, c[1].FalseNegatives, c[1].AveragePrecision})
	require.Equal(t, []float64{-1, 2}, func() []float64 {
		c := classesOf(t, b, Options{Rule: AboveEach([]float64{-1, 2})})
		return []float64{c[0].Threshold, c[1].Threshold}
	}())
}

// TestGradientShares compares with sums of float64, of numbers far apart, and
// merges parts.
func TestGradientShares(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	const rows, n = 50, 4
	g := make([]float64, rows*n)
	sums, total := make([]float64, n), 0.0
	for i := range g {
		g[i] = rng.NormFloat64() * math.Exp(5*rng.NormFloat64())
		sums[i%n] += math.Abs(g[i])
		total += math.Abs(g[i])
	}
	g[7] = -5e-324
	of := func(cuts ...int) []float64 {
		s := NewGradientShares(n)
		for i := range cuts[1:] {
			part := NewGradientShares(n)
			r0, r1 := cuts[i], cuts[i+1]
			require.NoError(t, AddGradient(part, zlpr.Matrix[float64]{Rows: r1 - r0, Cols: n, Data: g[r0*n : r1*n]}))
			require.NoError(t, s.Merge(part))
		}
		return s.Shares()
	}
	want := of(0, rows)
	for j, v := range want {
		require.InDelta(t, sums[j]/total, v, 1e-5) // one term is another
	}
	require.Equal(t, want, of(0, 1, 20, 21, rows))
	g[9] = math.NaN()
	for _, v := range of(0, 2, rows) {
		require.True(t, math.IsNaN(v))
	}
	g[9] = math.Inf(-1)
	require.True(t, math.IsNaN(of(0, rows)[0]))
	clear(g)
	require.True(t, math.IsNaN(of(0, rows)[0]))
	require.Error(t, AddGradient(NewGradientShares(2), zlpr.Matrix[float64]{Rows: 1, Cols: n, Data: g}))
	require.Error(t, AddGradient(nil, zlpr.Matrix[float64]{}))
	require.Error(t, NewGradientShares(2).Merge(NewGradientShares(3)))
	require.Panics(t, func() { NewGradientShares(-1) })
}
