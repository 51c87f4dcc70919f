package metrics

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/zlpr/zlpr"
)

// everything is all metrics, with propensities.
func everything(ks ...int) []string {
	names := All(ks...)
	names = append(names, "samples_f2", "micro_f0.5", "macro_f2", "micro_jaccard", "macro_jaccard", "weighted_jaccard")
	for _, k := range []string{"1", "3", "5"} {
		names = append(names, "psp_at_"+k, "psndcg_at_"+k)
	}
	return names
}

// randomBatch draws a batch with many equal scores. Every score is a multiple
// of 1/4.
func randomBatch[T zlpr.Float](rng *rand.Rand, rows, classes int) *Batch[T] {
	b := &Batch[T]{Scores: zlpr.Matrix[T]{Rows: rows, Cols: classes, Stride: classes + rng.IntN(3)}}
	b.Scores.Data = make([]T, rows*b.Scores.Stride)
	infinite := rng.IntN(8) == 0
	spread := 1 + rng.IntN(12)
	for i := range b.Scores.Data {
		b.Scores.Data[i] = T(rng.IntN(2*spread+1)-spread) / 4
		if b.Scores.Data[i] == 0 && rng.IntN(2) == 0 {
			b.Scores.Data[i] = T(math.Copysign(0, -1))
		}
		if infinite && rng.IntN(4) == 0 {
			b.Scores.Data[i] = T(math.Inf(rng.IntN(2)*2 - 1))
			if rng.IntN(2) == 0 {
				b.Scores.Data[i] = T(math.Copysign(math.MaxFloat32, float64(b.Scores.Data[i])))
			}
		}
	}
	labels, mask := make(denseBits, rows), make(denseBits, rows)
	masked := rng.IntN(2) == 0
	if rng.IntN(4) == 0 {
		b.ThresholdColumn = 1 + rng.IntN(classes)
	}
	for r := range rows {
		labels[r], mask[r] = make([]bool, classes), make([]bool, classes)
		share, kept := rng.Float64(), rng.Float64()
		switch rng.IntN(8) {
		case 0:
			share = 0
		case 1:
			share = 1
		case 2:
			kept = 0
		}
		for j := range classes {
			mask[r][j] = !masked || rng.Float64() < kept
			labels[r][j] = mask[r][j] && rng.Float64() < share && j != b.ThresholdColumn-1
			if !mask[r][j] && rng.IntN(2) == 0 && j != b.ThresholdColumn-1 {
				b.Scores.Data[r*b.Scores.Stride+j] = T(math.NaN()) // nobody looks
			}
		}
	}
	b.Labels = labels
	if masked {
		b.Mask = mask
	}
	if rng.IntN(2) == 0 {
		b.RowWeights = randomWeights(rng, rows)
	}
	if b.ThresholdColumn == 0 && rng.IntN(4) == 0 {
		b.Thresholds = make([]T, rows)
		for r := range b.Thresholds {
			b.Thresholds[r] = T(rng.IntN(5)-2) / 4
		}
	}
	return b
}

// randomWeights draws row weights, some of them 0: of few bits, of many, or far
// apart.
func randomWeights(rng *rand.Rand, rows int) []float64 {
	kind := rng.IntN(4)
	w := make([]float64, rows)
	for r := range w {
		switch kind {
		case 0:
			w[r] = float64(rng.IntN(12)) / 4
		case 1:
			w[r] = rng.ExpFloat64()
		case 2:
			w[r] = math.Exp(40 * rng.NormFloat64())
		case 3:
			w[r] = 1
		}
		if rng.IntN(6) == 0 {
			w[r] = 0
		}
	}
	return w
}

func randomRule(rng *rand.Rand, classes int) Rule {
	switch rng.IntN(5) {
	case 0:
		return Rule{}
	case 1:
		each := make([]float64, classes)
		for j := range each {
			each[j] = rng.Float64() - 0.5
		}
		return AboveEach(each)
	case 2:
		return Top(1 + rng.IntN(classes+1))
	case 3:
		return Above(0.1).AtMost(1 + rng.IntN(classes))
	}
	return Above(float64(rng.IntN(5)-2) / 4)
}

// compare reports metrics that differ from the definitions.
func compare[T zlpr.Float](t *testing.T, a *Accumulator[T], d *brute) {
	t.Helper()
	results, err := a.Results()
	if len(d.rows) == 0 {
		if err == nil {
			t.Error("no error without rows")
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if want := d.value(r.Name); !close(r.Value, want) {
			t.Errorf("%s = %v, want %v", r.Name, r.Value, want)
		}
	}
}

// close allows for the rounding of the definitions in float64, and for terms of
// sums being cut to multiples of 2^-64.
func close(a, b float64) bool {
	return a == b || math.Abs(a-b) <= 1e-13*math.Abs(b)+0x1p-63 || math.IsNaN(a) && math.IsNaN(b)
}

func testBrute[T zlpr.Float](t *testing.T, rng *rand.Rand, rows, classes int) {
	b := randomBatch[T](rng, rows, classes)
	rule := randomRule(rng, classes)
	propensities := make([]float64, classes)
	for j := range propensities {
		propensities[j] = float64(1+rng.IntN(8)) / 8
	}
	inverse, err := inverses(propensities, classes)
	if err != nil {
		t.Fatal(err)
	}
	sparse := rng.IntN(2) == 0
	a, err := NewAccumulator[T](classes, everything(1, 2, 3, 5, 100),
		Options{Rule: rule, Sparse: sparse, Propensities: propensities, Workers: 1 + rng.IntN(3)})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Add(b); err != nil {
		t.Fatal(err)
	}
	rule.listed = sparse
	d := newBrute(b, rule, inverse)
	d.sparse = sparse
	compare(t, a, d)
}

func TestBrute(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	for range 1500 {
		rows, classes := 1+rng.IntN(9), 1+rng.IntN(9)
		testBrute[float32](t, rng, rows, classes)
		testBrute[float64](t, rng, rows, classes)
		if t.Failed() {
			return
		}
	}
	for _, classes := range []int{63, 64, 65, 128, 200} {
		testBrute[float32](t, rng, 40, classes)
		testBrute[float64](t, rng, 40, classes)
	}
}

// TestAreas repeats every score so often that the other algorithm for the areas
// is used; they stay the same.
func TestAreas(t *testing.T) {
	rng := rand.New(rand.NewPCG(12, 12))
	for range 5 {
		var few, many list[float32]
		for i := range 200 {
			s := float32(rng.IntN(100)) / 4
			if i%3 == 0 {
				few.Pos = append(few.Pos, s)
			} else {
				few.Neg = append(few.Neg, s-2)
			}
		}
		for range 300 {
			many.Pos, many.Neg = append(many.Pos, few.Pos...), append(many.Neg, few.Neg...)
		}
		if len(many.Pos) <= fewPositives {
			t.Fatal("too few")
		}
		var k ranker[float32]
		auc1, ap1 := few.areas(&k)
		auc2, ap2 := many.areas(&k)
		if !close(auc1, auc2) || !close(ap1, ap2) {
			t.Errorf("%v %v, repeated %v %v", auc1, ap1, auc2, ap2)
		}
	}
}

// TestSameBits pins the bits of some results: no machine may differ.
func TestSameBits(t *testing.T) {
	const rows, classes = 50, 70
	state := uint64(1)
	next := func() uint64 {
		state = state*6364136223846793005 + 1442695040888963407
		return state >> 40 // 24 bits
	}
	b := &Batch[float32]{Scores: zlpr.Matrix[float32]{Rows: rows, Cols: classes, Stride: classes}}
	labels := &zlpr.DenseLabels[bool]{Rows: rows, Cols: classes, Stride: classes}
	positives := make([]int, classes)
	for i := range rows * classes {
		y := next()%8 == 0
		s := float32(next())/(1<<22) - 2.5
		if y {
			s++
			positives[i%classes]++
		}
		b.Scores.Data, labels.Data = append(b.Scores.Data, s), append(labels.Data, y)
	}
	b.Labels = labels
	want := map[string]uint64{
		"lrap":                    0x3fde342e59e7d7ea,
		"ndcg_at_5":               0x3fe4d031d23d1121,
		"psndcg_at_3":             0x3fe7cf88e18e13cf,
		"macro_f1":                0x3fd2df9dc44e5837,
		"samples_f0.5":            0x3fcd6755af674e5d,
		"macro_auc":               0x3fe77cf4467e15c2,
		"micro_average_precision": 0x3fdd70004401c1d6,
	}
	pinned(t, b, positives, want)

	b.RowWeights = make([]float64, rows)
	for r := range b.RowWeights {
		b.RowWeights[r] = float64(next()) / (1 << 22)
	}
	pinned(t, b, positives, map[string]uint64{
		"lrap":                    0x3fde3ab026f9dfdb,
		"weighted_f2":             0x3fddd8be92bc73b0,
		"samples_f0.5":            0x3fce2c19e364765b,
		"macro_auc":               0x3fe79f9a4828d483,
		"micro_average_precision": 0x3fdd8843949e0acc,
	})
}

// pinned compares the bits of metrics of b.
func pinned(t *testing.T, b *Batch[float32], positives []int, want map[string]uint64) {
	t.Helper()
	var names []string
	for name := range want {
		names = append(names, name)
	}
	a, err := NewAccumulator[float32](b.Scores.Cols, names, Options{Propensities: Propensities(positives, b.Scores.Rows, 0.55, 1.5)})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Add(b); err != nil {
		t.Fatal(err)
	}
	results, err := a.Results()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if got := math.Float64bits(r.Value); got != want[r.Name] {
			t.Errorf("%q: %#x, // %v", r.Name, got, r.Value)
		}
	}
}
