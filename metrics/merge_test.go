package metrics

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
)

// slice returns rows r0 to r1-1 of b.
func slice[T zlpr.Float](b *Batch[T], r0, r1 int) *Batch[T] {
	part := *b
	part.Scores.Rows = r1 - r0
	part.Scores.Data = b.Scores.Data[r0*b.Scores.Stride : r1*b.Scores.Stride]
	part.Labels = b.Labels.(denseBits)[r0:r1]
	if b.Mask != nil {
		part.Mask = b.Mask.(denseBits)[r0:r1]
	}
	if b.RowWeights != nil {
		part.RowWeights = b.RowWeights[r0:r1]
	}
	if b.Thresholds != nil {
		part.Thresholds = b.Thresholds[r0:r1]
	}
	return &part
}

// TestSplit demands the same bits however the rows are cut: batches, workers,
// Accumulators that went through MarshalBinary, the order of the rows.
func TestSplit(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	for range 20 {
		classes := 1 + rng.IntN(90)
		rows := 200 + rng.IntN(600)
		b := randomBatch[float32](rng, rows, classes)
		propensities := make([]float64, classes)
		for j := range propensities {
			propensities[j] = 1 - rng.Float64()/2
		}
		options := Options{Rule: randomRule(rng, classes), Propensities: propensities, Workers: 1}
		accumulator := func() *Accumulator[float32] {
			a, err := NewAccumulator[float32](classes, everything(1, 3, 5), options)
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		whole := accumulator()
		if err := whole.Add(b); err != nil {
			t.Fatal(err)
		}
		want, err := whole.Results()
		if err != nil {
			t.Fatal(err)
		}

		options.Workers = 4
		merged := accumulator()
		for r := rows; r > 0; {
			n := min(r, 1+rng.IntN(300))
			shard := accumulator()
			if err := shard.Add(slice(b, r-n, r)); err != nil {
				t.Fatal(err)
			}
			data, err := shard.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			var copied Accumulator[float32]
			if err := copied.UnmarshalBinary(data); err != nil {
				t.Fatal(err)
			}
			if err := merged.Merge(&copied); err != nil {
				t.Fatal(err)
			}
			r -= n
		}
		got, err := merged.Results()
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if math.Float64bits(got[i].Value) != math.Float64bits(want[i].Value) {
				t.Errorf("%s = %v in parts, %v at once", got[i].Name, got[i].Value, want[i].Value)
			}
		}
		if merged.Rows() != whole.Rows() {
			t.Errorf("%d rows in parts, %d at once", merged.Rows(), whole.Rows())
		}
	}
}

func TestMergeMismatch(t *testing.T) {
	a, _ := NewAccumulator[float32](3, []string{"lrap"}, Options{})
	b, _ := NewAccumulator[float32](4, []string{"lrap"}, Options{})
	c, _ := NewAccumulator[float32](3, []string{"one_error"}, Options{})
	if a.Merge(b) == nil || a.Merge(c) == nil {
		t.Error("no error")
	}
	var d Accumulator[float64]
	data, _ := a.MarshalBinary()
	if d.UnmarshalBinary(data) == nil || d.UnmarshalBinary(data[:len(data)/2]) == nil {
		t.Error("no error")
	}
}

// TestMergeSays: what keeps two Accumulators from being merged is said.
func TestMergeSays(t *testing.T) {
	options := func(change func(o *Options)) *Accumulator[float32] {
		o := Options{Propensities: []float64{1, 0.5, 1}}
		change(&o)
		a, err := NewAccumulator[float32](3, []string{"micro_f1", "psp_at_1"}, o)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	plain := options(func(*Options) {})
	for want, b := range map[string]*Accumulator[float32]{
		"": options(func(o *Options) { o.Workers = 7 }),
		"different predictions: above 0 and above 0.5":                 options(func(o *Options) { o.Rule = Above(0.5) }),
		"different predictions: above 0 and the 2 highest":             options(func(o *Options) { o.Rule = Top(2) }),
		"different predictions: above 0 and above 0, at most 2":        options(func(o *Options) { o.Rule = Above(0).AtMost(2) }),
		"different predictions: above 0 and above 0, listed ones":      options(func(o *Options) { o.Sparse = true }),
		"different predictions: above 0 and above a threshold a class": options(func(o *Options) { o.Rule = AboveEach([]float64{0, 0, 0}) }),
		"propensities of class 1: 0.5 and 0.25":                        options(func(o *Options) { o.Propensities = []float64{1, 0.25, 1} }),
	} {
		err := plain.Merge(b)
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != "metrics: merge of "+want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	each := func(s0 float64) *Accumulator[float32] {
		return options(func(o *Options) { o.Rule = AboveEach([]float64{1, 2, s0}) })
	}
	if err := each(3).Merge(each(4)); err == nil || err.Error() != "metrics: merge of thresholds of class 2: 3 and 4" {
		t.Error(err)
	}
	listed := options(func(o *Options) { o.Rule = Rule{}.Listed() })
	if err := listed.Merge(options(func(o *Options) { o.Sparse = true })); err == nil || err.Error() != "metrics: merge of scores of a sparse matrix and of a dense one" {
		t.Error(err)
	}
}

// TestTravel: Tuners and scans of labels that were marshalled are what they were,
// and are merged to what one of all rows is.
func TestTravel(t *testing.T) {
	t.Run("float32", travel[float32])
	t.Run("float64", travel[float64])
}

// TestTravelAlone: every metric alone comes back, of many classes of which few bytes are
// kept.
func TestTravelAlone(t *testing.T) {
	const classes = 300
	rng := rand.New(rand.NewPCG(9, 19))
	b := randomBatch[float32](rng, 2, classes)
	b.Thresholds, b.ThresholdColumn, b.RowWeights = nil, 0, nil
	options := Options{MicroBits: 9, ClassBits: 8, Propensities: slices.Repeat([]float64{0.5}, classes)}
	for _, name := range append(All(1), "psp_at_1") {
		a, err := NewAccumulator[float32](classes, []string{name}, options)
		if err == nil {
			err = a.Add(b)
		}
		if err != nil {
			t.Fatal(err)
		}
		var arrived Accumulator[float32]
		if err := arrived.UnmarshalBinary(must(t, a)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want, err := a.Results()
		got, err2 := arrived.Results()
		if err != nil || err2 != nil || !slices.Equal(got, want) {
			t.Errorf("%v, want %v, %v, %v", got, want, err, err2)
		}
	}
}

func travel[T zlpr.Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	for range 10 {
		classes, rows := 1+rng.IntN(70), 50+rng.IntN(200)
		b := randomBatch[T](rng, rows, classes)
		b.Thresholds, b.ThresholdColumn = nil, 0
		whole, merged := NewTuner[T](classes, 1), NewTuner[T](classes, 2)
		scan, scans := NewLabelScan(classes), NewLabelScan(classes)
		words := make([]uint64, rows*((classes+63)/64))
		if err := b.Labels.ReadRows(words, 0, rows); err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			scan.AddRow(words[i*((classes+63)/64):][:(classes+63)/64])
		}
		if err := whole.Add(b); err != nil {
			t.Fatal(err)
		}
		for at := 0; at < rows; {
			n := min(rows-at, 1+rng.IntN(80))
			shard, part := NewTuner[T](classes, 1), NewLabelScan(classes)
			if err := shard.Add(slice(b, at, at+n)); err != nil {
				t.Fatal(err)
			}
			for i := at; i < at+n; i++ {
				part.AddRow(words[i*((classes+63)/64):][:(classes+63)/64])
			}
			var arrived Tuner[T]
			var arrivedScan LabelScan
			data, err := shard.MarshalBinary()
			scanData, err2 := part.MarshalBinary()
			if err := errors.Join(err, err2, arrived.UnmarshalBinary(data), arrivedScan.UnmarshalBinary(scanData),
				merged.Merge(&arrived), scans.Merge(&arrivedScan)); err != nil {
				t.Fatal(err)
			}
			at += n
		}
		for _, average := range []Average{Micro, Macro} {
			s0, f1, err := whole.Best(average)
			got, gotF1, err2 := merged.Best(average)
			if s0 != got || f1 != gotF1 || err != nil || err2 != nil {
				t.Errorf("%v %v, want %v %v, %v, %v", got, gotF1, s0, f1, err, err2)
			}
		}
		if scans.Rows() != rows || scans.Most() != scan.Most() || !slices.Equal(scans.Positives(), scan.Positives()) {
			t.Errorf("scan %v, want %v", scans, scan)
		}
	}
	if NewLabelScan(2).Merge(NewLabelScan(3)) == nil {
		t.Error("no error")
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"", "f1", "micro_", "micro_f", "micro_f0", "micro_f-1", "micro_fNaN", "micro_f1e9",
		"precision_at_0", "precision_at_x", "precision_at_+1", "precision_at_01", "samples_auc", "weighted_average_precision", "lrap_at_3"} {
		if _, err := NewAccumulator[float32](3, []string{name}, Options{}); err == nil {
			t.Errorf("%q is a metric", name)
		}
	}
	for _, name := range append(everything(1, 10), "macro_f0.25") {
		if m, err := parse(name); err != nil || m.name != name {
			t.Errorf("%q: %v", name, err)
		}
	}
	if !NeedsScores("micro_auc") || NeedsScores("lrap") || NeedsScores("nonsense") {
		t.Error("NeedsScores")
	}
}

func TestOptions(t *testing.T) {
	for i, o := range []Options{
		{},
		{Propensities: []float64{1}},
		{Propensities: []float64{1, 0}},
		{Propensities: []float64{1, 2}},
		{Propensities: []float64{1, math.NaN()}},
	} {
		if _, err := NewAccumulator[float32](2, []string{"psp_at_1"}, o); err == nil {
			t.Errorf("propensities %d: no error", i)
		}
	}
	for i, r := range []Rule{Top(0), Top(-1), Above(math.NaN()), AboveEach([]float64{1}), AboveEach([]float64{1, math.NaN()}), Above(0).AtMost(-1)} {
		if _, err := NewAccumulator[float32](2, []string{"micro_f1"}, Options{Rule: r}); err == nil {
			t.Errorf("rule %d: no error", i)
		}
	}
}

// TestDataErrors has one fault each, and looks that the fault left no trace.
func TestDataErrors(t *testing.T) {
	nan := float32(math.NaN())
	batch := func() *Batch[float32] {
		return &Batch[float32]{
			Scores: zlpr.Matrix[float32]{Rows: 3, Cols: 2, Stride: 2, Data: []float32{1, -1, 2, -2, 3, -3}},
			Labels: &zlpr.DenseLabels[uint8]{Rows: 3, Cols: 2, Stride: 2, Data: []uint8{1, 0, 0, 1, 1, 1}},
		}
	}
	a, err := NewAccumulator[float32](2, All(1), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Results(); err == nil {
		t.Error("results of nothing")
	}
	if err := a.Add(batch()); err != nil {
		t.Fatal(err)
	}
	want, _ := a.Results()
	for _, c := range []struct {
		name       string
		row, class int
		spoil      func(b *Batch[float32])
	}{
		{"NaN score", 1, 1, func(b *Batch[float32]) { b.Scores.Data[3] = nan }},
		{"bad label", 2, 0, func(b *Batch[float32]) { b.Labels.(*zlpr.DenseLabels[uint8]).Data[4] = 2 }},
		{"positive left out", 2, 1, func(b *Batch[float32]) {
			b.Mask = &zlpr.DenseLabels[bool]{Rows: 3, Cols: 2, Stride: 2, Data: []bool{true, true, true, true, true, false}}
		}},
		{"positive threshold column", 0, 0, func(b *Batch[float32]) { b.ThresholdColumn = 1 }},
		{"NaN threshold", 1, -1, func(b *Batch[float32]) { b.Thresholds = []float32{0, nan, 0} }},
	} {
		b := batch()
		c.spoil(b)
		var fault *zlpr.DataError
		if err := a.Add(b); !errors.As(err, &fault) || fault.Row != c.row || fault.Class != c.class {
			t.Errorf("%s: %v", c.name, err)
		}
		if got, _ := a.Results(); got[0] != want[0] || got[12] != want[12] || a.Rows() != 3 {
			t.Errorf("%s left a trace", c.name)
		}
	}
	for i, spoil := range []func(b *Batch[float32]){
		func(b *Batch[float32]) { b.Labels = nil },
		func(b *Batch[float32]) { b.Scores.Data = b.Scores.Data[:5] },
		func(b *Batch[float32]) { b.Scores.Cols, b.Scores.Stride = 3, 3 },
		func(b *Batch[float32]) { b.Scores.Stride = 1 },
		func(b *Batch[float32]) { b.Mask = &zlpr.LengthMask{Classes: 2, Lengths: []int{1}} },
		func(b *Batch[float32]) { b.Thresholds = []float32{1} },
		func(b *Batch[float32]) { b.ThresholdColumn = 3 },
		func(b *Batch[float32]) { b.ThresholdColumn, b.Thresholds = 1, []float32{0, 0, 0} },
	} {
		b := batch()
		spoil(b)
		if a.Add(b) == nil {
			t.Errorf("case %d: no error", i)
		}
	}
}

// TestEdges has the shapes that have little in them.
func TestEdges(t *testing.T) {
	for _, classes := range []int{0, 1} {
		a, err := NewAccumulator[float64](classes, All(1), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Add(&Batch[float64]{Scores: zlpr.Matrix[float64]{Rows: 3 * (1 - classes), Cols: classes, Stride: classes},
			Labels: &zlpr.BitLabels{Rows: 3 * (1 - classes), Cols: classes, Stride: classes}}); err != nil {
			t.Error(err)
		}
		if _, err := a.Results(); err == nil {
			t.Error("results of nothing")
		}
	}
	// Ignored targets do not count.
	a, _ := NewAccumulator[float32](2, []string{"precision_at_1", "hamming_loss"}, Options{Rule: Top(1)})
	if err := a.Add(&Batch[float32]{Scores: zlpr.Matrix[float32]{Rows: 3, Cols: 2, Stride: 2, Data: []float32{1, 2, 1, 2, 1, 2}},
		Labels: &zlpr.TargetLabels{Classes: 2, Targets: []int32{1, zlpr.Ignore, 0}}}); err != nil {
		t.Fatal(err)
	}
	r, err := a.Results()
	if err != nil || r[0].Value != 0.5 || r[1].Value != 0.5 {
		t.Error(r, err)
	}
}

// TestFork: goroutines that share bins, or keep scores each on its own, come to the bytes of one
// that takes all rows, with a mask, with weights, and of batches that are counted before they are
// handed on; what has to do with parts is an error until they are merged, and so is a part after it.
func TestFork(t *testing.T) {
	t.Run("float32", testFork[float32])
	t.Run("float64", testFork[float64])
}

func testFork[T zlpr.Float](t *testing.T) {
	const rows, classes = 16000, 70
	names := append([]string{"micro_f1", "lrap"}, areaNames...)
	rng := rand.New(rand.NewPCG(5, 28))
	b := &Batch[T]{Scores: zlpr.Matrix[T]{Rows: rows, Cols: classes, Stride: classes, Data: make([]T, rows*classes)}}
	labels, mask := make(denseBits, rows), make(denseBits, rows)
	weights := make([]float64, rows)
	for r := range rows {
		labels[r], mask[r] = make([]bool, classes), make([]bool, classes)
		weights[r] = float64(rng.IntN(4)) / 4
		for j := range classes {
			b.Scores.Data[r*classes+j] = T(2 * rng.NormFloat64())
			mask[r][j] = rng.IntN(9) > 0
			labels[r][j] = mask[r][j] && rng.IntN(5) == 0
		}
	}
	b.Labels = labels
	for name, change := range map[string]func(*Batch[T]){
		"plain":   func(*Batch[T]) {},
		"mask":    func(b *Batch[T]) { b.Mask = mask },
		"weights": func(b *Batch[T]) { b.RowWeights = weights },
	} {
		for _, digits := range [][2]int{{18, 18}, {0, 0}, {14, 9}} {
			if digits[0] < 18 && (name != "plain" || scoreSize[T]() == 8) {
				continue
			}
			options := Options{MicroBits: digits[0], ClassBits: digits[1], ByClass: true, Workers: 1}
			add := func(a *Accumulator[T], r0, r1 int) error {
				c := *b
				change(&c)
				return a.Add(slice(&c, r0, r1))
			}
			whole, err := NewAccumulator[T](classes, names, options)
			require.NoError(t, err)
			require.NoError(t, add(whole, 0, rows))
			for _, step := range []int{32, 15500} {
				a, err := NewAccumulator[T](classes, names, options)
				require.NoError(t, err)
				parts := []*Accumulator[T]{a}
				for range 3 {
					o, err := a.Fork()
					require.NoError(t, err)
					parts = append(parts, o)
				}
				var next atomic.Int64
				var wait sync.WaitGroup
				errs := make([]error, len(parts))
				for i, o := range parts {
					wait.Go(func() {
						for errs[i] == nil {
							r0 := int(next.Add(int64(step))) - step
							if r0 >= rows {
								return
							}
							errs[i] = add(o, r0, min(rows, r0+step))
						}
					})
				}
				wait.Wait()
				require.NoError(t, errors.Join(errs...))
				for _, o := range parts[1:] {
					requireParts(t, a, o)
					require.NoError(t, a.Merge(o))
					require.ErrorIs(t, a.Merge(o), errFork)
					require.ErrorIs(t, add(o, 0, 1), errFork)
				}
				require.Equal(t, rows-countOf(name == "weights", weights), a.Rows())
				if digits[0] == 0 { // kept in another order
					want, err := whole.Results()
					require.NoError(t, err)
					got, err := a.Results()
					require.NoError(t, err)
					require.Equal(t, fmt.Sprint(want), fmt.Sprint(got))
					continue
				}
				want, err := whole.MarshalBinary()
				require.NoError(t, err)
				got, err := a.MarshalBinary()
				require.NoError(t, err)
				require.True(t, string(want) == string(got), fmt.Sprint(name, digits, step))
			}
		}
	}
}

// countOf is how many weights are 0, if they are in use.
func countOf(used bool, weights []float64) (n int) {
	for _, w := range weights {
		if used && w == 0 {
			n++
		}
	}
	return n
}

// requireParts: an accumulator and a part of it, which is not merged, do nothing that is of all rows.
func requireParts[T zlpr.Float](t *testing.T, a, part *Accumulator[T]) {
	t.Helper()
	for _, o := range []*Accumulator[T]{a, part} {
		_, err1 := o.Results()
		_, err2 := o.Classes()
		_, _, err3 := o.BestThreshold()
		_, err4 := o.ScoreBins()
		_, err5 := o.MarshalBinary()
		for i, err := range []error{err1, err2, err3, err4, err5, o.Merge(o), o.UnmarshalBinary(nil), o.CountScores(12, 12)} {
			require.ErrorIs(t, err, errFork, i)
		}
	}
	require.ErrorIs(t, part.Merge(a), errFork)
	_, err := part.Fork()
	require.ErrorIs(t, err, errFork)
	other, err := NewAccumulator[T](70, All(3), Options{})
	require.NoError(t, err)
	require.ErrorIs(t, a.Merge(other), errFork)
	require.ErrorIs(t, other.Merge(part), errFork)
}
