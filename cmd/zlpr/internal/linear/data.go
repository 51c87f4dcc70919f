// Package linear fits linear multi-label models, scores = x·W + b, by Newton's
// method or L-BFGS on the losses of package zlpr.
package linear

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/floats"
)

// A Matrix is a matrix of features, dense or in CSR. With Scale, column j of it
// stands for (x - Mean[j])·Scale[j].
type Matrix struct {
	Rows, Cols int

	Dense []float64 // row-major, or nil

	RowPtr  []int64 // CSR
	Indices []int32
	Values  []float64

	Mean, Scale []float64 // or nil

	columnwise *compressed // CSR of the transpose, where there is use for it
}

// rows returns the entries of a sparse matrix.
func (m *Matrix) rows() compressed { return compressed{m.RowPtr, m.Indices, m.Values} }

// Take returns the rows of which keep is true.
func (m *Matrix) Take(keep func(row int) bool) *Matrix {
	t := &Matrix{Cols: m.Cols, Mean: m.Mean, Scale: m.Scale}
	if m.Dense == nil {
		t.RowPtr = []int64{0}
	}
	for i := range m.Rows {
		if !keep(i) {
			continue
		}
		t.Rows++
		if m.Dense != nil {
			t.Dense = append(t.Dense, m.Dense[i*m.Cols:][:m.Cols]...)
			continue
		}
		from, to := m.RowPtr[i], m.RowPtr[i+1]
		t.Indices = append(t.Indices, m.Indices[from:to]...)
		t.Values = append(t.Values, m.Values[from:to]...)
		t.RowPtr = append(t.RowPtr, int64(len(t.Indices)))
	}
	if m.Dense != nil && t.Dense == nil {
		t.Dense = []float64{}
	}
	return t
}

// Check finds the first feature that is no finite number, or so large that
// squares of it are none. Rows are counted from first.
func (m *Matrix) Check(first int) error {
	for k, v := range m.Dense {
		if err := checkFeature(v); err != nil {
			return fmt.Errorf("row %d, column %d: %w", first+k/m.Cols, k%m.Cols, err)
		}
	}
	for i := 0; m.Dense == nil && i < m.Rows; i++ {
		for k := m.RowPtr[i]; k < m.RowPtr[i+1]; k++ {
			if err := checkFeature(m.Values[k]); err != nil {
				return fmt.Errorf("row %d, column %d: %w", first+i, m.Indices[k], err)
			}
		}
	}
	return nil
}

func checkFeature(v float64) error {
	const largest = 1e100
	switch {
	case v-v != 0:
		return fmt.Errorf("feature is %v; fill it in or leave the row out", v)
	case math.Abs(v) > largest:
		return fmt.Errorf("feature is %v, above %v; divide the features by a number", v, largest)
	}
	return nil
}

// Standardization returns the mean of every column and 1/its population
// standard deviation, 1 for a column whose values are all the same.
//
// Both are those of u = (x - shift)/spread, shift being a value of the column
// and spread the largest distance of another one from it: differences of close
// numbers are exact, so that a spread far below the mean is none of rounding,
// and squares neither overflow nor vanish.
func (m *Matrix) Standardization() (mean, scale []float64) {
	n := float64(m.Rows)
	count := make([]int, m.Cols)
	shift := make([]float64, m.Cols)
	m.each(func(j int, v float64) {
		if count[j] == 0 {
			shift[j] = v
		}
		count[j]++
	})
	for j, c := range count {
		if c < m.Rows {
			shift[j] = 0 // what is not stored
		}
	}
	spread, center := make([]float64, m.Cols), make([]float64, m.Cols)
	m.each(func(j int, v float64) { spread[j] = max(spread[j], math.Abs(v-shift[j])) })
	u := func(j int, v float64) float64 {
		if spread[j] == 0 {
			return 0
		}
		return (v - shift[j]) / spread[j]
	}
	m.each(func(j int, v float64) { center[j] += u(j, v) / n })
	squares, rest := make([]float64, m.Cols), make([]float64, m.Cols)
	for j, c := range count {
		away := float64(m.Rows - c)
		squares[j], rest[j] = away*center[j]*center[j], -away*center[j]
	}
	m.each(func(j int, v float64) {
		d := u(j, v) - center[j]
		squares[j] += d * d
		rest[j] += d
	})
	mean, scale = make([]float64, m.Cols), make([]float64, m.Cols)
	for j := range mean {
		mean[j] = shift[j] + spread[j]*(center[j]+rest[j]/n)
		scale[j] = 1
		if spread[j] > 0 {
			variance := (squares[j] - rest[j]*rest[j]/n) / n
			scale[j] = min(1/(spread[j]*math.Sqrt(variance)), math.MaxFloat64)
		}
	}
	return mean, scale
}

// each calls f for every entry that is stored.
func (m *Matrix) each(f func(j int, v float64)) {
	for k, v := range m.Dense {
		f(k%m.Cols, v)
	}
	if m.Dense == nil {
		for k, j := range m.Indices {
			f(int(j), m.Values[k])
		}
	}
}

// MeanSquare returns the mean over the rows of the square of their norm.
func (m *Matrix) MeanSquare() float64 {
	sum := 0.0
	for _, root := range m.rootMeanSquares() {
		sum += root * root
	}
	return sum
}

// Standardize sets Mean and Scale. A dense matrix is changed itself instead.
func (m *Matrix) Standardize(mean, scale []float64) {
	if m.Dense == nil {
		m.Mean, m.Scale = mean, scale
		return
	}
	for k := range m.Dense {
		j := k % m.Cols
		m.Dense[k] = (m.Dense[k] - mean[j]) * scale[j]
	}
}

// Multiply writes x·W + b to scores: W is Cols × classes, row-major.
//
// With Mean m and Scale s, x·W + b = x·(sW) + (b - m·(sW)).
func (m *Matrix) Multiply(scores, w, b []float64, classes, workers int) {
	if m.Scale != nil {
		scaled, shifted := make([]float64, len(w)), append([]float64(nil), b...)
		for j, s := range m.Scale {
			row := scaled[j*classes:][:classes]
			floats.ScaleTo(row, s, w[j*classes:][:classes])
			floats.AddScaled(shifted, -m.Mean[j], row)
		}
		w, b = scaled, shifted
	}
	for i := range m.Rows {
		copy(scores[i*classes:][:classes], b)
	}
	if m.Dense != nil {
		if m.Rows > 0 && m.Cols > 0 {
			blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, general(m.Rows, m.Cols, m.Dense), general(m.Cols, classes, w), 1, general(m.Rows, classes, scores))
		}
		return
	}
	m.rows().addProduct(scores, w, classes, workers)
}

// Gradient adds xᵀ·g to w and the column sums of g to b, g being rows × classes.
func (m *Matrix) Gradient(w, b, g []float64, classes, workers int) {
	for i := range m.Rows {
		floats.Add(b, g[i*classes:][:classes])
	}
	if m.Dense != nil {
		if m.Rows > 0 && m.Cols > 0 {
			blas64.Gemm(blas.Trans, blas.NoTrans, 1, general(m.Rows, m.Cols, m.Dense), general(m.Rows, classes, g), 1, general(m.Cols, classes, w))
		}
		return
	}
	to := w
	if m.Scale != nil {
		to = make([]float64, len(w))
	}
	t := m.columnwise
	if t == nil {
		turned := m.rows().transpose(m.Cols)
		t = &turned
	}
	t.addProduct(to, g, classes, workers)
	for j, s := range m.Scale {
		row := to[j*classes:][:classes]
		floats.AddScaled(row, -m.Mean[j], b)
		floats.AddScaled(w[j*classes:][:classes], s, row)
	}
}

func general(rows, cols int, data []float64) blas64.General {
	return blas64.General{Rows: rows, Cols: cols, Data: data, Stride: cols}
}
