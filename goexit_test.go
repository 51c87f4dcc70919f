package zlpr_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zlpr/zlpr"
)

// spoiltLabels do what spoil does when the last rows are read. The first rows wait
// for that, so that the goroutine of the caller, which begins with them, is not
// the one that reads the last.
type spoiltLabels struct {
	zlpr.BitLabels
	spoil   func()
	reached chan bool
}

func (l *spoiltLabels) ReadRows(dst []uint64, r0, r1 int) error {
	switch {
	case r1 == l.Rows:
		l.reached <- true
		l.spoil()
	case r0 == 0:
		<-l.reached
	}
	return l.BitLabels.ReadRows(dst, r0, r1)
}

// A panic of labels that a worker reads reaches the caller with its value, and
// Goexit in a worker is an error. The evaluator goes on to work.
func TestWorkerFaults(t *testing.T) {
	const rows, classes = 2000, 41
	labels := &spoiltLabels{reached: make(chan bool, 1), BitLabels: zlpr.BitLabels{Rows: rows, Cols: classes, Words: make([]uint64, rows), Stride: 1}}
	b := &zlpr.Batch[float32]{Labels: labels,
		Scores: zlpr.Matrix[float32]{Rows: rows, Cols: classes, Stride: classes, Data: make([]float32, rows*classes)}}
	e, err := zlpr.NewEvaluator[float32](zlpr.ZLPR{}, zlpr.Options{Workers: 2})
	require.NoError(t, err)
	for range 3 {
		labels.spoil = func() { panic(labels) }
		require.PanicsWithValue(t, labels, func() { _, _ = e.Evaluate(t.Context(), b, nil) })
		labels.spoil = runtime.Goexit
		_, err = e.Evaluate(t.Context(), b, nil)
		require.ErrorContains(t, err, "Goexit")
		labels.spoil = func() {}
		_, err = e.Evaluate(t.Context(), b, nil)
		require.NoError(t, err)
	}
}
