package metrics

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/zlpr/zlpr"
)

// TestFormats gives the same labels and masks in every format, for both types
// of scores, and wants the same results.
func TestFormats(t *testing.T) {
	const rows, classes = 70, 70
	rng := rand.New(rand.NewPCG(13, 13))
	y, lengths := make([]uint8, rows*classes), make([]int, rows)
	mask := make([]bool, rows*classes)
	scores := make([]float32, rows*(classes+2))
	sparse := &zlpr.SparseLabels{Classes: classes, RowPtr: []int64{0}}
	packed := &zlpr.BitLabels{Rows: rows, Cols: classes, Words: make([]uint64, rows*3), Stride: 3}
	for r := range rows {
		lengths[r] = rng.IntN(classes + 1)
		for j := range classes {
			scores[r*(classes+2)+j] = float32(rng.IntN(40)-20) / 4
			mask[r*classes+j] = j < lengths[r]
			if j < lengths[r] && rng.IntN(5) == 0 {
				y[r*classes+j] = 1
				sparse.Indices = append(sparse.Indices, int32(j))
				packed.Words[r*3+j/64] |= 1 << (j % 64)
			}
		}
		sparse.RowPtr = append(sparse.RowPtr, int64(len(sparse.Indices)))
	}
	labels := []zlpr.Bits{
		&zlpr.DenseLabels[uint8]{Rows: rows, Cols: classes, Data: y, Stride: classes},
		&zlpr.DenseLabels[float32]{Rows: rows, Cols: classes, Data: convert[float32](y), Stride: classes},
		&zlpr.DenseLabels[int64]{Rows: rows, Cols: classes, Data: convert[int64](y), Stride: classes},
		packed, sparse,
	}
	masks := []zlpr.Bits{
		&zlpr.LengthMask{Classes: classes, Lengths: lengths},
		&zlpr.DenseLabels[bool]{Rows: rows, Cols: classes, Data: mask, Stride: classes},
	}
	var want []Result
	for i, l := range labels {
		for k, m := range masks {
			a := results(t, &Batch[float32]{Scores: zlpr.Matrix[float32]{Rows: rows, Cols: classes, Data: scores, Stride: classes + 2}, Labels: l, Mask: m})
			b := results(t, &Batch[float64]{Scores: zlpr.Matrix[float64]{Rows: rows, Cols: classes, Data: convert[float64](scores), Stride: classes + 2}, Labels: l, Mask: m})
			if want == nil {
				want = a
			}
			if !slices.Equal(a, want) || !slices.Equal(b, want) {
				t.Errorf("labels %d, mask %d: %v %v, want %v", i, k, a, b, want)
			}
		}
	}
}

func convert[E float32 | float64 | int64, F uint8 | float32](x []F) []E {
	y := make([]E, len(x))
	for i := range x {
		y[i] = E(x[i])
	}
	return y
}

func results[T zlpr.Float](t *testing.T, b *Batch[T]) []Result {
	t.Helper()
	a, err := NewAccumulator[T](b.Scores.Cols, All(1, 5), Options{Workers: 2})
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
	return r
}

// TestMemory adds batches again and again: what needs not all scores needs no
// more memory either.
func TestMemory(t *testing.T) {
	d := newBenchData(100)
	b := &Batch[float32]{Scores: zlpr.Matrix[float32]{Rows: 200, Cols: d.n, Stride: d.n, Data: d.scores},
		Labels: &zlpr.BitLabels{Rows: 200, Cols: d.n, Words: d.bits.bits, Stride: 2}}
	var names []string
	for _, name := range everything(1, 5) {
		if m, err := parse(name); err == nil && !m.keepsScores() && !m.weighs() {
			names = append(names, name)
		}
	}
	a, err := NewAccumulator[float32](d.n, names, Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	add := func() {
		if err := a.Add(b); err != nil {
			t.Fatal(err)
		}
	}
	add()
	if n := testing.AllocsPerRun(10, add); n > 10 { // a few closures of split
		t.Errorf("%v allocations for 200 rows", n)
	}
}
