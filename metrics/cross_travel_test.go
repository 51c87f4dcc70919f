package metrics

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
)

// crossObjectives are of every kind.
var crossObjectives = []struct {
	name   string
	target float64
}{{"micro_f1", 0}, {"macro_f1", 0}, {"samples_f1", 0}, {"micro_f2", 0}, {"macro_f0.5", 0}, {"samples_f0.5", 0},
	{"micro_recall", 0.3}, {"macro_precision", 0.3}, {"samples_recall", 0.3}, {"samples_precision", 0.5}}

// crossBatch is a batch without thresholds: of scores of few bits, some infinite.
func crossBatch(rng *rand.Rand, rows, classes int, weigh bool) *Batch[float32] {
	b := &Batch[float32]{Scores: zlpr.Matrix[float32]{Rows: rows, Cols: classes, Stride: classes, Data: make([]float32, rows*classes)}}
	labels, mask := make(denseBits, rows), make(denseBits, rows)
	for r := range rows {
		labels[r], mask[r] = make([]bool, classes), make([]bool, classes)
		for j := range classes {
			b.Scores.Data[r*classes+j] = float32(rng.IntN(25)-12) / 4
			if rng.IntN(30) == 0 {
				b.Scores.Data[r*classes+j] = float32(math.Inf(1 - 2*rng.IntN(2)))
			}
			mask[r][j] = rng.IntN(8) > 0
			labels[r][j] = mask[r][j] && rng.IntN(3) == 0
		}
	}
	b.Labels, b.Mask = labels, mask
	if weigh {
		b.RowWeights = binWeights(rng, rows, false)
	}
	return b
}

// TestCrossTunerBins: of scores that bins tell apart, bins have the values of all
// scores; of others, what the thresholds achieve, and no threshold between bins is
// better. What bins hold does not depend on when scores were counted.
func TestCrossTunerBins(t *testing.T) {
	rng := rand.New(rand.NewPCG(12, 18))
	for i := range 30 {
		rows, classes := 10+rng.IntN(60), 1+rng.IntN(5)
		b := crossBatch(rng, rows, classes, i%2 > 0)
		for _, c := range crossObjectives {
			o, err := NewObjective(c.name, c.target)
			require.NoError(t, err)
			fresh := func() *CrossTuner[float32] {
				x, err := NewCrossTuner[float32](classes, 1+rng.IntN(3), o)
				require.NoError(t, err)
				return x
			}
			kept, binned, late := fresh(), fresh(), fresh()
			require.NoError(t, kept.Add(b))
			require.NoError(t, binned.CountScores(14, 12))
			cut := 1 + rng.IntN(rows-1)
			require.NoError(t, binned.Add(slice(b, 0, cut)))
			require.NoError(t, late.Add(slice(b, 0, cut)))
			require.NoError(t, late.CountScores(14, 12))
			for _, x := range []*CrossTuner[float32]{binned, late} {
				require.NoError(t, x.Add(slice(b, cut, rows)))
				require.NoError(t, x.CountScores(14, 12))
				require.Error(t, x.CountScores(13, 12))
			}
			one, err := binned.MarshalBinary()
			require.NoError(t, err)
			other, err := late.MarshalBinary()
			require.NoError(t, err)
			require.True(t, string(one) == string(other), c.name)
			for _, each := range []bool{false, true} {
				want, wantErr := kept.Tune(each)
				got, err := binned.Tune(each)
				if wantErr != nil {
					require.Equal(t, wantErr, err)
					continue
				}
				require.NoError(t, err)
				what := fmt.Sprintf("%s of each %v", c.name, each)
				requireClose(t, want.Untuned, got.Untuned, what)
				requireClose(t, want.Value, got.Value, what)
				require.Equal(t, want.Unmet, got.Unmet)
				thresholds := got.Thresholds
				if !each {
					thresholds = make([]float64, classes)
					for j := range thresholds {
						thresholds[j] = got.Threshold
					}
				}
				value, _ := measuredBy(t, b, thresholds, c.name)
				requireClose(t, value, got.Value, what)
				if c.target == 0 {
					requireClose(t, crossFitted(t, b, o, each), got.CrossFitted, what)
				}
			}
			// In few bins: no better, and still true.
			few := fresh()
			require.NoError(t, few.CountScores(8, 8))
			require.NoError(t, few.Add(b))
			want, err := kept.Tune(false)
			if err != nil {
				continue
			}
			got, err := few.Tune(false)
			if c.target > 0 && err != nil {
				require.Equal(t, errTarget, err)
				continue
			}
			require.NoError(t, err)
			require.LessOrEqual(t, got.Value, want.Value+1e-12)
			require.Equal(t, want.Untuned, got.Untuned)
			thresholds := make([]float64, classes)
			for j := range thresholds {
				thresholds[j] = got.Threshold
			}
			value, _ := measuredBy(t, b, thresholds, c.name)
			requireClose(t, value, got.Value, c.name)
		}
	}
}

// crossFitted is the cross-fitted value by its definition, of thresholds between bins.
func crossFitted(t *testing.T, b *Batch[float32], o Objective, each bool) float64 {
	t.Helper()
	sum, err := NewAccumulator[float32](b.Scores.Cols, []string{o.Name()}, Options{})
	require.NoError(t, err)
	for f := range Folds {
		x, err := NewCrossTuner[float32](b.Scores.Cols, 1, o)
		require.NoError(t, err)
		require.NoError(t, x.CountScores(14, 12))
		require.NoError(t, x.Add(foldOf(b, f, false)))
		r, err := x.Tune(each)
		require.NoError(t, err)
		rule := Above(r.Threshold)
		if each {
			rule = AboveEach(r.Thresholds)
		}
		own, err := NewAccumulator[float32](b.Scores.Cols, []string{o.Name()}, Options{Rule: rule})
		require.NoError(t, err)
		require.NoError(t, own.Add(foldOf(b, f, true)))
		own.single.options.Rule = Rule{} // to be merged with those of other rules
		require.NoError(t, sum.Merge(own))
	}
	r, err := sum.Results()
	require.NoError(t, err)
	return r[0].Value
}

// TestCrossTunerMerge: parts that were numbered, marshalled and merged in any order
// have the results of one, bins its bytes.
func TestCrossTunerMerge(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 18))
	for i := range 24 {
		rows, classes := 10+rng.IntN(60), 1+rng.IntN(5)
		b := crossBatch(rng, rows, classes, i%2 > 0)
		for _, c := range crossObjectives {
			for _, digits := range []int{0, 10} {
				o, err := NewObjective(c.name, c.target)
				require.NoError(t, err)
				fresh := func() *CrossTuner[float32] {
					x, err := NewCrossTuner[float32](classes, 1+rng.IntN(3), o)
					require.NoError(t, err)
					if digits > 0 {
						require.NoError(t, x.CountScores(digits, digits))
					}
					return x
				}
				whole := fresh()
				require.NoError(t, whole.Add(b))
				var parts []*CrossTuner[float32]
				for r0, r1 := 0, 0; r0 < rows; r0 = r1 {
					r1 = min(rows, r0+1+rng.IntN(20))
					x := fresh()
					require.NoError(t, x.StartAt(r0))
					require.NoError(t, x.Add(slice(b, r0, r1)))
					data, err := x.MarshalBinary()
					require.NoError(t, err)
					back := new(CrossTuner[float32])
					require.NoError(t, back.UnmarshalBinary(data))
					again, err := back.MarshalBinary()
					require.NoError(t, err)
					require.True(t, string(data) == string(again))
					for cut := range min(len(data), 60) {
						require.Error(t, new(CrossTuner[float32]).UnmarshalBinary(sealed(data[:len(data)-1-cut])))
					}
					parts = append(parts, back)
				}
				rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
				sum := parts[0]
				for _, p := range parts[1:] {
					require.NoError(t, sum.Merge(p))
				}
				require.ErrorContains(t, sum.Merge(parts[len(parts)-1]), "are there already")
				if digits > 0 {
					want, err := whole.MarshalBinary()
					require.NoError(t, err)
					got, err := sum.MarshalBinary()
					require.NoError(t, err)
					require.True(t, string(want) == string(got), c.name)
				}
				for _, each := range []bool{false, true} {
					want, err1 := whole.Tune(each)
					got, err2 := sum.Tune(each)
					require.Equal(t, err1, err2)
					require.Equal(t, fmt.Sprint(want), fmt.Sprint(got))
				}
			}
		}
	}
}

// TestCrossTunerDiffers: what does not go together is an error that says so.
func TestCrossTunerDiffers(t *testing.T) {
	fresh := func(name string, target float64, classes int) *CrossTuner[float32] {
		o, err := NewObjective(name, target)
		require.NoError(t, err)
		x, err := NewCrossTuner[float32](classes, 1, o)
		require.NoError(t, err)
		return x
	}
	x := fresh("micro_f1", 0, 3)
	require.ErrorContains(t, x.Merge(fresh("micro_f1", 0, 4)), "3 and 4 classes")
	require.ErrorContains(t, x.Merge(fresh("macro_f1", 0, 3)), "micro_f1 and macro_f1")
	require.ErrorContains(t, fresh("micro_recall", 0.5, 3).Merge(fresh("micro_recall", 0.6, 3)), "targets 0.5 and 0.6")
	other := fresh("micro_f1", 0, 3)
	require.NoError(t, other.CountScores(10, 0))
	require.ErrorContains(t, x.Merge(other), "bins of 0 and 0 bits, and of 10 and 0; see CountScores")
	_, err := other.Tune(true)
	require.Equal(t, errNoClassBins, err)
	require.Equal(t, errNoClassBins, fresh("macro_f1", 0, 3).CountScores(10, 0))
	require.Equal(t, errBins, x.CountScores(7, 8))
	require.Equal(t, errRowNumber, x.StartAt(-1))
	require.Error(t, x.UnmarshalBinary([]byte("zlpr")))
	require.Error(t, new(CrossTuner[float32]).Merge(x))
	data, err := x.MarshalBinary()
	require.NoError(t, err)
	require.ErrorContains(t, new(CrossTuner[float64]).UnmarshalBinary(data), "scores of 4 bytes, not of 8")
	for _, s := range []span{{5, 9}, {0, 2}, {9, 10}, {3, 5}, {2, 3}} {
		require.NoError(t, x.overlaps(s))
		x.note(s)
	}
	require.Equal(t, []span{{0, 10}}, x.seen)
	require.ErrorContains(t, x.overlaps(span{9, 12}), "rows 9 to 9 are there already")
}

// TestTunerBins: as TestCrossTunerBins, of a Tuner and its curves.
func TestTunerBins(t *testing.T) {
	rng := rand.New(rand.NewPCG(14, 18))
	for i := range 40 {
		rows, classes := 5+rng.IntN(60), 1+rng.IntN(5)
		b := crossBatch(rng, rows, classes, i%2 > 0)
		kept, binned, late := NewTuner[float32](classes, 2), NewTuner[float32](classes, 2), NewTuner[float32](classes, 1)
		require.NoError(t, binned.CountScores(14, 12))
		require.NoError(t, kept.Add(b))
		cut := 1 + rng.IntN(rows-1)
		require.NoError(t, binned.Add(slice(b, cut, rows)))
		require.NoError(t, late.Add(slice(b, 0, cut)))
		require.Error(t, binned.Merge(late))
		require.NoError(t, late.CountScores(14, 12))
		require.NoError(t, binned.Merge(late))
		data, err := binned.MarshalBinary()
		require.NoError(t, err)
		binned = new(Tuner[float32])
		require.NoError(t, binned.UnmarshalBinary(data))
		for _, average := range []Average{Micro, Macro} {
			_, want, err := kept.Best(average)
			require.NoError(t, err)
			threshold, got, err := binned.Best(average)
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.Equal(t, want, f1(t, b, Above(threshold), []string{"micro_f1", "macro_f1"}[average]))
			_, want, err = kept.BestEach(average)
			require.NoError(t, err)
			each, got, err := binned.BestEach(average)
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.Equal(t, want, f1(t, b, AboveEach(each), []string{"micro_f1", "macro_f1"}[average]))
			var wanted, points []Point
			for p := range kept.Curve(average) {
				p.Threshold = 0
				wanted = append(wanted, p)
			}
			for p := range binned.Curve(average) {
				require.Equal(t, p.F1, f1(t, b, Above(p.Threshold), []string{"micro_f1", "macro_f1"}[average]))
				p.Threshold = 0
				points = append(points, p)
			}
			require.Equal(t, wanted, points)
		}
		require.Error(t, binned.CountScores(14, 13))
	}
	require.Error(t, NewTuner[float32](2, 1).CountScores(8, 0))
}

// TestScoreBins: every element is in its bin, whoever has counted it.
func TestScoreBins(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 18))
	for i := range 20 {
		rows, classes := 5+rng.IntN(60), 1+rng.IntN(5)
		b := crossBatch(rng, rows, classes, i%2 > 0)
		for k := range b.Scores.Data {
			if rng.IntN(2) == 0 && i%4 > 1 {
				b.Scores.Data[k] = float32(rng.NormFloat64())
			}
		}
		var lists [][]ScoreBin
		take := func(v []ScoreBin, err error) {
			require.NoError(t, err)
			lists = append(lists, v)
		}
		for _, digits := range []int{0, 20} {
			a, err := NewAccumulator[float32](classes, []string{"macro_auc"}, Options{MicroBits: digits, ClassBits: digits})
			require.NoError(t, err)
			require.NoError(t, a.Add(b))
			take(a.ScoreBins())
			for _, name := range []string{"micro_f1", "samples_f1"} {
				o, err := NewObjective(name, 0)
				require.NoError(t, err)
				x, err := NewCrossTuner[float32](classes, 2, o)
				require.NoError(t, err)
				if digits > 0 {
					require.NoError(t, x.CountScores(digits, 0))
				}
				cut := 1 + rng.IntN(rows-1)
				require.NoError(t, x.Add(slice(b, 0, cut)))
				require.NoError(t, x.Add(slice(b, cut, rows)))
				take(x.ScoreBins())
			}
		}
		labels, mask := b.Labels.(denseBits), b.Mask.(denseBits)
		for _, l := range lists {
			require.Equal(t, lists[0], l)
		}
		for _, v := range lists[0] {
			var positive, negative float64
			for r := range rows {
				for j, s := range b.Scores.Row(r) {
					if !mask[r][j] || !(v.Low <= float64(s) && float64(s) <= v.High) {
						continue
					}
					w := 1.0
					if b.RowWeights != nil {
						w = b.RowWeights[r]
					}
					if labels[r][j] {
						positive += w
					} else {
						negative += w
					}
				}
			}
			require.InDelta(t, positive, v.Positive, 1e-12*positive)
			require.InDelta(t, negative, v.Negative, 1e-12*negative)
			if i%4 < 2 { // of few bits
				require.Equal(t, v.Low, v.High)
			}
		}
	}
	a, err := NewAccumulator[float32](2, []string{"lrap"}, Options{})
	require.NoError(t, err)
	_, err = a.ScoreBins()
	require.Equal(t, errKept, err)
}
