package zlpr

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMatrixShapes: which matrices lie within their data, with sizes whose
// product overflows as well.
func TestMatrixShapes(t *testing.T) {
	const huge = math.MaxInt
	for _, c := range []struct {
		rows, cols, stride, data int
		valid                    bool
	}{
		{0, 0, 0, 0, true},
		{0, 5, 5, 0, true},
		{5, 0, 0, 0, true},
		{huge, 0, 0, 0, true},
		{0, huge, huge, 0, true},
		{1, 5, 5, 5, true},
		{1, 5, huge, 5, true},
		{2, 5, 5, 10, true},
		{2, 5, 7, 12, true}, // the last row needs no padding
		{3, 1, 4, 9, true},

		{-1, 5, 5, 10, false},
		{1, -1, 5, 10, false},
		{-1, 0, 0, 0, false},
		{1, 5, 4, 10, false},
		{1, 5, -5, 10, false},
		{1, 0, -1, 0, false},
		{1, 5, 5, 4, false},
		{2, 5, 5, 9, false},
		{2, 5, 7, 11, false},
		{3, 1, 4, 8, false},
		{2, 5, huge, 100, false},
		{huge, 1, 1, 100, false},
		{huge, 5, huge, 100, false},
		{huge/2 + 2, 2, 2, 2, false},
		{huge, huge, huge, 100, false},
	} {
		m := Matrix[float32]{c.rows, c.cols, make([]float32, c.data), c.stride}
		if m.valid() != c.valid {
			t.Errorf("%d×%d, stride %d, %d elements: valid is %v", c.rows, c.cols, c.stride, c.data, m.valid())
		}
		func() {
			defer func() {
				if r := recover(); (r == nil) != c.valid || r != nil && r != badMatrix {
					t.Errorf("%d×%d, stride %d, %d elements: check panics with %v", c.rows, c.cols, c.stride, c.data, r)
				}
			}()
			m.check()
		}()
	}
}

func TestMatrixRow(t *testing.T) {
	m := Matrix[float64]{2, 2, []float64{1, 2, 9, 3, 4}, 3}
	for i, want := range [][2]float64{{1, 2}, {3, 4}} {
		row := m.Row(i)
		if len(row) != 2 || cap(row) != 2 || [2]float64(row) != want {
			t.Errorf("row %d is %v with capacity %d", i, row, cap(row))
		}
	}
	// An append does not reach the next row.
	_ = append(m.Row(0), 7)
	if m.Data[2] != 9 {
		t.Error("append to a row has overwritten the data behind it")
	}
}

// blas64General has the fields of gonum's blas64.General.
type blas64General struct {
	Rows, Cols int
	Data       []float64
	Stride     int
}

// TestMatrixOfGonum: a conversion is all it takes.
func TestMatrixOfGonum(t *testing.T) {
	raw := blas64General{1, 2, []float64{0, 0}, 2}
	lse := make([]float64, 1)
	LogSumExpRows(lse, Matrix[float64](raw))
	if lse[0] != math.Ln2 {
		t.Errorf("log-sum-exp of two zeros is %g", lse[0])
	}
}

// TestMatrixOf: rows of the same length become a matrix; a stride of 0 means the
// columns, in every function.
func TestMatrixOf(t *testing.T) {
	m := MatrixOf([][]float64{{1, 2, 3}, {4, 5, 9}})
	require.Equal(t, Matrix[float64]{2, 3, []float64{1, 2, 3, 4, 5, 9}, 3}, m)
	require.Equal(t, Matrix[float64]{Data: []float64{}}, MatrixOf[float64](nil))
	require.PanicsWithValue(t, "zlpr: MatrixOf rows of different lengths", func() { MatrixOf([][]float64{{1}, {1, 2}}) })

	plain := m
	plain.Stride = 0
	require.Equal(t, m.Row(1), plain.Row(1))
	forms := []func(dst Matrix[float64], lse []float64, m Matrix[float64]){SoftmaxRows[float64], LogSoftmaxRows[float64]}
	for _, f := range forms {
		a, b := make([]float64, 6), make([]float64, 6)
		la, lb := make([]float64, 2), make([]float64, 2)
		f(Matrix[float64]{2, 3, a, 3}, la, m)
		f(Matrix[float64]{Rows: 2, Cols: 3, Data: b}, lb, plain)
		require.Equal(t, a, b)
		require.Equal(t, la, lb)
	}
	a, b := make([]float64, 2), make([]float64, 2)
	MaxRows(a, m)
	MaxRows(b, plain)
	require.Equal(t, a, b)
	LogSumExpRows(a, m)
	LogSumExpRows(b, plain)
	require.Equal(t, a, b)

	labels := &DenseLabels[uint8]{Rows: 2, Cols: 3, Data: []uint8{0, 1, 0, 1, 1, 0}}
	e, err := NewEvaluator[float64](ZLPR{}, Options{})
	require.NoError(t, err)
	g, h := make([]float64, 6), make([]float64, 6)
	want, err := e.Evaluate(t.Context(), &Batch[float64]{Scores: m, Labels: labels}, &Output[float64]{Grad: Matrix[float64]{2, 3, g, 3}})
	require.NoError(t, err)
	got, err := e.Evaluate(t.Context(), &Batch[float64]{Scores: plain, Labels: labels}, &Output[float64]{Grad: Matrix[float64]{Rows: 2, Cols: 3, Data: h}})
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, g, h)
}
