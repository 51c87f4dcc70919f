package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
)

// measured2 are the value of an objective with thresholds and, of one with a target,
// the other measure, both from the Accumulator of all rows.
func measuredBy(t *testing.T, b *Batch[float32], thresholds []float64, name string) (value, other float64) {
	t.Helper()
	names := []string{name, name}
	switch average, kind, _ := strings.Cut(name, "_"); kind {
	case "recall":
		names[1] = average + "_precision"
	case "precision":
		names[1] = average + "_recall"
	}
	a, err := NewAccumulator[float32](b.Scores.Cols, names, Options{Rule: AboveEach(thresholds)})
	require.NoError(t, err)
	require.NoError(t, a.Add(b))
	r, err := a.Results()
	require.NoError(t, err)
	return r[0].Value, r[1].Value
}

// fold returns the rows of b that are in the fold, or those that are not.
func foldOf(b *Batch[float32], f int, in bool) *Batch[float32] {
	c := &Batch[float32]{Scores: zlpr.Matrix[float32]{Cols: b.Scores.Cols, Stride: b.Scores.Cols}}
	var labels, mask denseBits
	for r := range b.Scores.Rows {
		if (r%Folds == f) != in {
			continue
		}
		c.Scores.Rows++
		c.Scores.Data = append(c.Scores.Data, b.Scores.Row(r)...)
		labels = append(labels, b.Labels.(denseBits)[r])
		if b.Mask != nil {
			mask = append(mask, b.Mask.(denseBits)[r])
		}
		if b.RowWeights != nil {
			c.RowWeights = append(c.RowWeights, b.RowWeights[r])
		}
	}
	c.Labels = labels
	if b.Mask != nil {
		c.Mask = mask
	}
	return c
}

// TestCrossTuner tries all thresholds that make a difference, and does the
// cross-fitting in the plainest way: other CrossTuners on the rows of the other
// folds, and one Accumulator a fold, merged.
func TestCrossTuner(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 9))
	var candidates []float64
	for s := -3.375; s < 3.5; s += 0.25 {
		candidates = append(candidates, s)
	}
	candidates = append(candidates, -math.MaxFloat64, math.MaxFloat64, math.Inf(1))
	objectives := []struct {
		name   string
		target float64
	}{{"micro_f1", 0}, {"macro_f1", 0}, {"samples_f1", 0}, {"micro_f2", 0}, {"macro_f0.5", 0}, {"samples_f2", 0}, {"micro_f0.3", 0},
		{"micro_recall", 0.5}, {"macro_precision", 0.5}, {"samples_recall", 0.75}, {"micro_precision", 0.9}}
	tried := 0
	for range 60 {
		rows, classes := 1+rng.IntN(12), 1+rng.IntN(3)
		b := randomBatch[float32](rng, rows, classes)
		b.Thresholds = nil
		if b.ThresholdColumn > 0 {
			continue
		}
		for _, c := range objectives {
			o, err := NewObjective(c.name, c.target)
			require.NoError(t, err)
			tune := func(b *Batch[float32], each bool) (Tuning, error) {
				x, err := NewCrossTuner[float32](classes, 1+rng.IntN(3), o)
				require.NoError(t, err)
				for r0, r1 := 0, 0; r0 < b.Scores.Rows; r0 = r1 {
					r1 = min(b.Scores.Rows, r0+1+rng.IntN(8))
					require.NoError(t, x.Add(slice(b, r0, r1)))
				}
				return x.Tune(each)
			}
			for _, each := range []bool{false, true} {
				got, err := tune(b, each)
				if each && strings.HasPrefix(c.name, "samples") {
					require.Error(t, err)
					continue
				}
				if err == errNoScores {
					continue
				}
				reach := func(each []float64) bool {
					_, other := measuredBy(t, b, each, c.name)
					return c.target == 0 || other >= c.target
				}
				all := func(v float64) []float64 { return slices.Repeat([]float64{v}, classes) }
				if err == errTarget {
					for _, v := range candidates {
						require.False(t, reach(all(v)), "%s at %v", c.name, v)
					}
					continue
				}
				require.NoError(t, err)
				tried++
				thresholds := got.Thresholds
				if !each {
					thresholds = all(got.Threshold)
					require.True(t, reach(thresholds))
				}
				value, _ := measuredBy(t, b, thresholds, c.name)
				requireClose(t, value, got.Value, c.name)
				untuned, _ := measuredBy(t, b, make([]float64, classes), c.name)
				requireClose(t, untuned, got.Untuned, c.name+" untuned")
				// None is better.
				at := make([]float64, classes)
				for i := range 200 {
					for j := range at {
						switch {
						case !each:
							at[j] = candidates[i%len(candidates)]
						default:
							at[j] = candidates[rng.IntN(len(candidates))]
						}
					}
					if v, _ := measuredBy(t, b, at, c.name); c.target == 0 && v > got.Value+1e-12 || c.target > 0 && !each && reach(at) && v > got.Value+1e-12 {
						t.Fatalf("%s is %v at %v, above the best %v at %v", c.name, v, at, got.Value, thresholds)
					}
				}
				// Cross-fitting.
				var sum *Accumulator[float32]
				alone := false
				for f := range Folds {
					part, rest := foldOf(b, f, true), foldOf(b, f, false)
					if part.Scores.Rows == 0 {
						continue
					}
					th := make([]float64, classes)
					if rest.Scores.Rows > 0 {
						r, err := tuneAny(t, rest, o, each)
						if err == errNoScores {
							alone = alone || hasScores(t, part)
						} else {
							require.NoError(t, err)
							if th = r.Thresholds; !each {
								th = all(r.Threshold)
							}
						}
					} else {
						alone = alone || hasScores(t, part)
					}
					a, err := NewAccumulator[float32](classes, []string{c.name}, Options{})
					require.NoError(t, err)
					own, err := NewAccumulator[float32](classes, []string{c.name}, Options{Rule: AboveEach(th)})
					require.NoError(t, err)
					require.NoError(t, own.Add(part))
					own.single.options.Rule = Rule{} // to be merged with those of other rules
					if sum == nil {
						sum = a
					}
					require.NoError(t, sum.Merge(own))
				}
				if alone {
					require.True(t, math.IsNaN(got.CrossFitted))
					continue
				}
				r, err := sum.Results()
				require.NoError(t, err)
				requireClose(t, r[0].Value, got.CrossFitted, c.name+" cross-fitted")
			}
		}
	}
	require.Greater(t, tried, 300)
}

// tuneAny tunes on rows that are all there is: thresholds that come as near to the
// target as can be are fine.
func tuneAny(t *testing.T, b *Batch[float32], o Objective, each bool) (Tuning, error) {
	x, err := NewCrossTuner[float32](b.Scores.Cols, 1, o)
	require.NoError(t, err)
	require.NoError(t, x.Add(b))
	r, err := x.Tune(each)
	if err != errTarget {
		return r, err
	}
	if x.bySample != nil {
		s := x.bySample.ordered()
		r.Threshold, _ = s.search(&o, -1)
		return r, nil
	}
	gathered := x.without(-1)
	all := x.counted(&gathered, each)
	w, _ := all.windowOf()
	v := crossOf[float32, [34]uint64]{x, w.Low}
	thresholds, _, _ := v.search(&all, each)
	r.Threshold, r.Thresholds = thresholds[0], thresholds
	return r, nil
}

func hasScores(t *testing.T, b *Batch[float32]) bool {
	x, err := NewCrossTuner[float32](b.Scores.Cols, 1, Objective{m: metric{kind: fBeta, beta: 1}, b: 1, one: 1})
	require.NoError(t, err)
	require.NoError(t, x.Add(b))
	gathered := x.without(-1)
	all := gathered.all()
	return !all.empty()
}

// TestObjective rejects what is no objective.
func TestObjective(t *testing.T) {
	for name, target := range map[string]float64{"micro_f1": 0.5, "weighted_f1": 0, "micro_auc": 0, "micro_recall": 0, "micro_precision": 1.5, "macro_recall": math.NaN(),
		"micro_f0.1234567": 0, "lrap": 0, "micro_jaccard": 0, "x": 0, "micro_f2000": 0} {
		_, err := NewObjective(name, target)
		require.Error(t, err, name)
	}
	_, err := NewCrossTuner[float32](3, 1, Objective{})
	require.Error(t, err)
	require.Error(t, new(CrossTuner[float32]).Add(nil))
	o, err := NewObjective("micro_f1", 0)
	require.NoError(t, err)
	require.Equal(t, "micro_f1", o.Name())
	x, err := NewCrossTuner[float64](2, 1, o)
	require.NoError(t, err)
	_, err = x.Tune(false)
	require.Equal(t, errNoScores, err)
	require.Error(t, x.Add(&Batch[float64]{Scores: zlpr.Matrix[float64]{Rows: 1, Cols: 2, Data: []float64{1, math.NaN()}}, Labels: denseBits{{true, false}}}))
	require.Zero(t, x.rows)
}
