package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/zlpr/zlpr"
)

// f1 computes an F1 of b by predicting with the rule.
func f1(t *testing.T, b *Batch[float32], rule Rule, name string) float64 {
	t.Helper()
	a, err := NewAccumulator[float32](b.Scores.Cols, []string{name}, Options{Rule: rule})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Add(b); err != nil {
		t.Fatal(err)
	}
	r, err := a.Results()
	if err != nil {
		t.Fatal(err)
	}
	return r[0].Value
}

// TestTuner tries all thresholds that make a difference, for one threshold and
// for one per class.
func TestTuner(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 9))
	for range 120 {
		rows, classes := 1+rng.IntN(6), 1+rng.IntN(3)
		b := randomBatch[float32](rng, rows, classes)
		b.Thresholds = nil
		if b.ThresholdColumn > 0 {
			continue
		}
		// Scores are multiples of 1/4 up to 3, or infinite.
		var candidates []float64
		for s := -3.375; s < 3.5; s += 0.25 {
			candidates = append(candidates, s)
		}
		candidates = append(candidates, -math.MaxFloat64, math.MaxFloat64, math.Inf(1))
		tuner := NewTuner[float32](classes, 1+rng.IntN(2))
		if half := rows / 2; half > 0 { // in two parts
			other := NewTuner[float32](classes, 1)
			if err := other.Add(slice(b, 0, half)); err != nil {
				t.Fatal(err)
			}
			if err := tuner.Merge(other); err != nil {
				t.Fatal(err)
			}
			if err := tuner.Add(slice(b, half, rows)); err != nil {
				t.Fatal(err)
			}
		} else if err := tuner.Add(b); err != nil {
			t.Fatal(err)
		}
		for average, name := range []string{"micro_f1", "macro_f1"} {
			threshold, value, err := tuner.Best(Average(average))
			if err != nil {
				if all := tuner.single.scores.all(); all.len() == 0 {
					continue
				}
				t.Fatal(err)
			}
			if got := f1(t, b, Above(threshold), name); got != value {
				t.Errorf("%s is %v at %v, not %v", name, got, threshold, value)
			}
			for _, c := range candidates {
				if got := f1(t, b, Above(c), name); got > value {
					t.Errorf("%s is %v at %v, above the best %v at %v", name, got, c, value, threshold)
				}
			}
			points := 0
			best := 0.0
			for p := range tuner.Curve(Average(average)) {
				points++
				best = max(best, p.F1)
				rule := Above(p.Threshold)
				prefix := name[:6]
				if got, pr, re := f1(t, b, rule, name), f1(t, b, rule, prefix+"precision"), f1(t, b, rule, prefix+"recall"); got != p.F1 || pr != p.Precision || re != p.Recall {
					t.Errorf("%s: at %v %v %v %v, the curve has %v", name, p.Threshold, got, pr, re, p)
				}
			}
			if best != value || points < 1 {
				t.Errorf("%s: best %v, of the curve %v", name, value, best)
			}

			each, value, err := tuner.BestEach(Average(average))
			if err != nil {
				t.Fatal(err)
			}
			if got := f1(t, b, AboveEach(each), name); !close(got, value) {
				t.Errorf("%s is %v at %v, not %v", name, got, each, value)
			}
			// All combinations of thresholds.
			at := make([]int, classes)
			for i := 0; i < 300; i++ {
				rule := make([]float64, classes)
				for j := range rule {
					if i > 0 {
						at[j] = rng.IntN(len(candidates))
					}
					rule[j] = candidates[at[j]]
				}
				if got := f1(t, b, AboveEach(rule), name); got > value+1e-15 {
					t.Fatalf("%s is %v at %v, above the best %v at %v", name, got, rule, value, each)
				}
			}
		}
		// The curve of a class is that of a matrix with this class alone.
		for j := range classes {
			for p := range tuner.ClassCurve(j) {
				rule := make([]float64, classes)
				for i := range rule {
					rule[i] = math.Inf(1)
				}
				rule[j] = p.Threshold
				var c confusion
				for _, s := range newBrute(b, AboveEach(rule), nil).rows {
					for i, class := range s.class {
						if class == j {
							c.add(s.positive[i], s.predicted[i], s.weight)
						}
					}
				}
				if !close(p.F1, c.measure("f1")) || !close(p.Precision, c.measure("precision")) || !close(p.Recall, c.measure("recall")) {
					t.Errorf("class %d: %v, want %v", j, p, c)
				}
			}
		}
		if t.Failed() {
			return
		}
	}
}

func TestTunerErrors(t *testing.T) {
	tuner := NewTuner[float32](2, 1)
	if _, _, err := tuner.Best(Micro); err == nil {
		t.Error("best of nothing")
	}
	if _, _, err := tuner.Best(Macro); err == nil {
		t.Error("best of nothing")
	}
	if _, _, err := tuner.BestEach(Micro); err == nil {
		t.Error("best of nothing")
	}
	b := &Batch[float32]{Scores: zlpr.Matrix[float32]{Rows: 1, Cols: 2, Stride: 2, Data: []float32{1, 2}},
		Labels: &zlpr.TargetLabels{Classes: 2, Targets: []int32{1}}, ThresholdColumn: 1}
	if tuner.Add(b) == nil {
		t.Error("thresholds twice")
	}
	if tuner.Merge(NewTuner[float32](3, 1)) == nil {
		t.Error("merge of different classes")
	}
}

// TestRadix sorts more scores than the small sort takes.
func TestRadix(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	testRadix[float32](t, rng)
	testRadix[float64](t, rng)
}

func testRadix[T zlpr.Float](t *testing.T, rng *rand.Rand) {
	x := make([]T, 5000)
	for i := range x {
		switch rng.IntN(10) {
		case 0:
			x[i] = T(math.Inf(rng.IntN(2)*2 - 1))
		case 1:
			x[i] = T(math.Copysign(0, float64(rng.IntN(2)*2-1)))
		case 2:
			x[i] = T(rng.IntN(7))
		default:
			x[i] = T(rng.NormFloat64() * math.Exp(rng.NormFloat64()*20))
		}
	}
	want := slices.Clone(x)
	slices.Sort(want)
	var scratch []T
	sortScores(x, &scratch)
	if !slices.Equal(x, want) { // both zeros are equal
		t.Error("not sorted")
	}
}
