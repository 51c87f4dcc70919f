package metrics

import (
	"bytes"
	"math"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
)

// spoiltLabels, of two chunks, do what spoil does when a worker reads them that is
// not the goroutine of the caller. The two readers wait for each other.
type spoiltLabels struct {
	zlpr.BitLabels
	spoil   func()
	readers atomic.Int32
}

func (l *spoiltLabels) ReadRows(dst []uint64, r0, r1 int) error {
	for n := l.readers.Add(1); n%2 == 1 && l.readers.Load() == n; {
		runtime.Gosched()
	}
	stack := make([]byte, 1<<16)
	if bytes.Contains(stack[:runtime.Stack(stack, false)], []byte("crew.(*member).stay")) {
		l.spoil()
	}
	return l.BitLabels.ReadRows(dst, r0, r1)
}

func spoiltBatch() (*Batch[float32], *spoiltLabels) {
	const rows, classes = 2 * chunkWords, 3 // two chunks
	labels := &spoiltLabels{BitLabels: zlpr.BitLabels{Rows: rows, Cols: classes, Words: make([]uint64, rows), Stride: 1}}
	for i := range labels.Words {
		labels.Words[i] = uint64(i) % 8
	}
	scores := make([]float32, rows*classes)
	for i := range scores {
		scores[i] = float32(i%7) - 3
	}
	return &Batch[float32]{Labels: labels, Scores: zlpr.Matrix[float32]{Rows: rows, Cols: classes, Data: scores}}, labels
}

// What happens in a worker reaches the caller, and leaves no trace.
func TestWorkerFaults(t *testing.T) {
	b, labels := spoiltBatch()
	a, err := NewAccumulator[float32](3, All(1), Options{Workers: 2})
	require.NoError(t, err)
	tuner := NewTuner[float32](3, 2)
	labels.spoil = func() {}
	require.NoError(t, a.Add(b))
	want, err := a.Results()
	require.NoError(t, err)
	for _, add := range []func() error{func() error { return a.Add(b) }, func() error { return tuner.Add(b) }} {
		labels.spoil = func() { panic(labels) }
		require.PanicsWithValue(t, labels, func() { _ = add() })
		labels.spoil = runtime.Goexit
		require.ErrorContains(t, add(), "Goexit")
		require.Equal(t, b.Scores.Rows, a.Rows())
	}
	got, err := a.Results()
	require.NoError(t, err)
	require.Equal(t, want, got)
	_, _, err = tuner.Best(Micro)
	require.Error(t, err)
	labels.spoil = func() {}
	require.NoError(t, tuner.Add(b))
	require.NoError(t, a.Add(b))
	require.Equal(t, 2*b.Scores.Rows, a.Rows())
}

// Labels that use the Accumulator while it reads them are a second user of it.
func TestSecondUser(t *testing.T) {
	b, labels := spoiltBatch()
	a, err := NewAccumulator[float32](3, All(1), Options{Workers: 2})
	require.NoError(t, err)
	other, err := NewAccumulator[float32](3, All(1), Options{})
	require.NoError(t, err)
	tuner, another := NewTuner[float32](3, 2), NewTuner[float32](3, 2)
	var errs []error
	second := func() {
		plain := *b
		plain.Labels = &labels.BitLabels
		_, err1 := a.Results()
		_, err2 := a.MarshalBinary()
		errs = []error{a.Add(&plain), a.Merge(other), other.Merge(a), a.UnmarshalBinary(nil), err1, err2}
		require.PanicsWithValue(t, "zlpr: Accumulator used by two goroutines", func() { a.Rows() })
	}
	labels.spoil = second
	require.NoError(t, a.Add(b))
	for _, err := range errs {
		require.ErrorIs(t, err, errUsed)
	}
	require.Equal(t, b.Scores.Rows, a.Rows())

	labels.spoil = func() {
		plain := *b
		plain.Labels = &labels.BitLabels
		_, _, err1 := tuner.Best(Micro)
		_, _, err2 := tuner.BestEach(Micro)
		errs = []error{tuner.Add(&plain), tuner.Merge(another), another.Merge(tuner), err1, err2}
		require.Panics(t, func() { _ = slices.Collect(tuner.Curve(Micro)) })
		require.Panics(t, func() { _ = slices.Collect(tuner.ClassCurve(0)) })
	}
	require.NoError(t, tuner.Add(b))
	for _, err := range errs {
		require.ErrorIs(t, err, errTunerUsed)
	}
	for range tuner.Curve(Macro) {
		require.ErrorIs(t, tuner.Merge(another), errTunerUsed)
		break
	}
	require.NoError(t, tuner.Merge(another))
}

// Nothing, zero values and absurd sizes are errors.
func TestMisuse(t *testing.T) {
	b, labels := spoiltBatch()
	b.Labels = &labels.BitLabels
	a, err := NewAccumulator[float32](3, All(1), Options{})
	require.NoError(t, err)
	var zero, none *Accumulator[float32] = new(Accumulator[float32]), nil
	var zeroTuner Tuner[float32]
	tuner := NewTuner[float32](3, 1)
	soft := *b
	soft.Soft = b.Scores
	_, err1 := zero.Results()
	_, err2 := zero.MarshalBinary()
	_, _, err3 := zeroTuner.Best(Micro)
	_, _, err4 := zeroTuner.BestEach(Micro)
	_, err5 := Predict[float32](nil, Rule{}, 1)
	_, err6 := NewAccumulator[float32](-1, nil, Options{})
	_, err7 := NewAccumulator[float32](math.MaxInt, nil, Options{})
	_, _, err8 := tuner.Best(Macro + 1)
	_, _, err9 := tuner.BestEach(Macro + 1)
	for i, err := range []error{
		a.Add(nil), tuner.Add(nil), zero.Add(b), zeroTuner.Add(b), zero.Merge(a), a.Merge(zero), none.Add(b), a.Merge(none),
		zeroTuner.Merge(tuner), tuner.Merge(&zeroTuner), tuner.Merge(nil), a.Add(&soft), tuner.Add(&soft),
		Probabilities(b.Scores, nil, Sigmoid, 1), err1, err2, err3, err4, err5, err6, err7, err8, err9,
	} {
		require.Error(t, err, i)
	}
	require.Zero(t, zero.Rows())
	for _, f := range []func(){
		func() { NewTuner[float32](-1, 1) },
		func() { tuner.Curve(Macro + 1) },
		func() { tuner.ClassCurve(3) },
		func() { tuner.ClassCurve(-1) },
		func() { zeroTuner.ClassCurve(0) },
	} {
		func() {
			defer func() { require.Regexp(t, "^zlpr: ", recover()) }()
			f()
		}()
	}
	require.Empty(t, slices.Collect(zeroTuner.Curve(Micro)))
	require.Empty(t, slices.Collect(zeroTuner.Curve(Macro)))

	// Very many rows without classes are nothing to count.
	const many = math.MaxInt
	empty := &Batch[float32]{Scores: zlpr.Matrix[float32]{Rows: many}, Labels: &zlpr.DenseLabels[uint8]{Rows: many}}
	a, err = NewAccumulator[float32](0, All(1), Options{})
	require.NoError(t, err)
	require.NoError(t, a.Add(empty))
	require.Zero(t, a.Rows())
	require.NoError(t, NewTuner[float32](0, 1).Add(empty))
	p, err := Predict(empty, Rule{}, 1)
	require.NoError(t, err)
	require.Equal(t, many, p.Rows)
	require.NoError(t, Probabilities(empty.Scores, empty, Softmax, 1))
}

// A stride of 0 means the number of columns.
func TestNoStride(t *testing.T) {
	b, labels := spoiltBatch()
	b.Labels = &labels.BitLabels
	c := *b
	c.Scores.Stride = 3
	require.Equal(t, all(t, Options{}, &c), all(t, Options{}, b))
	p, err := Predict(b, Above(1), 1)
	require.NoError(t, err)
	q, err := Predict(&c, Above(1), 1)
	require.NoError(t, err)
	require.Equal(t, q, p)
}

// Batch after batch nothing is allocated.
func TestNoAllocations(t *testing.T) {
	if kerneltest.RaceEnabled {
		t.Skip("SKIPPED: the race detector allocates")
	}
	b, labels := spoiltBatch()
	b.Labels = &labels.BitLabels
	var names []string
	for _, name := range All(1, 5) {
		if !NeedsScores(name) {
			names = append(names, name)
		}
	}
	for _, workers := range []int{1, 2} {
		for _, weights := range [][]float64{nil, slices.Repeat([]float64{0.1, 7, 0}, b.Scores.Rows)[:b.Scores.Rows]} {
			b.RowWeights = weights
			a, err := NewAccumulator[float32](3, names, Options{Workers: workers})
			require.NoError(t, err)
			add := func() {
				if a.Add(b) != nil {
					t.Error("error")
				}
			}
			if n := kerneltest.SteadyAllocs(20, add); n > 0 {
				t.Errorf("%d workers, weights %v: %v allocations", workers, weights != nil, n)
			}
		}
	}
}

// Nothing merged into a scan of labels, or into nothing, is an error.
func TestMergeOfNoScan(t *testing.T) {
	scan := NewLabelScan(3)
	require.Error(t, scan.Merge(nil))
	require.Error(t, (*LabelScan)(nil).Merge(scan))
	var shares *GradientShares
	require.Error(t, NewGradientShares(3).Merge(nil))
	require.Error(t, shares.Merge(NewGradientShares(3)))
	tuner, err := NewCrossTuner[float32](3, 2, Objective{m: metric{kind: fBeta, beta: 1}, b: 1, one: 1})
	require.NoError(t, err)
	require.Error(t, tuner.Merge(nil))
	require.Error(t, (*CrossTuner[float32])(nil).Merge(tuner))
}
