package zlpr

import (
	"math"
	"testing"
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
