package zlpr

// Float is the type of scores and gradients that are computed with.
type Float interface{ float32 | float64 }

// Matrix is a row-major matrix: element (i, j) is Data[i*Stride+j], with
// Stride ≥ Cols; a Stride of 0 means Cols. A matrix of more than two dimensions is
// flattened to rows, its last axis being the columns (the classes).
//
// The fields are those of gonum's blas64.General, so that
// Matrix[float64](dense.RawMatrix()) needs no copy. Those of blas32.General are in
// another order: a g of that type is
//
//	zlpr.Matrix[float32]{Rows: g.Rows, Cols: g.Cols, Data: g.Data, Stride: g.Stride}
type Matrix[T Score] struct {
	Rows, Cols int
	Data       []T
	Stride     int
}

// MatrixOf returns a copy of rows of the same length. It panics if their lengths
// differ.
func MatrixOf[T Score](rows [][]T) Matrix[T] {
	m := Matrix[T]{Rows: len(rows)}
	if len(rows) > 0 {
		m.Cols, m.Stride = len(rows[0]), len(rows[0])
	}
	m.Data = make([]T, 0, m.Rows*m.Cols)
	for _, row := range rows {
		if len(row) != m.Cols {
			panic("zlpr: MatrixOf rows of different lengths")
		}
		m.Data = append(m.Data, row...)
	}
	return m
}

// Row returns row i, its capacity cut at its end: an append copies it. Writing to it
// writes to m. It panics if i is no row.
func (m Matrix[T]) Row(i int) []T {
	return m.Data[i*m.step():][:m.Cols:m.Cols]
}

// step is the distance of rows.
func (m Matrix[T]) step() int {
	if m.Stride == 0 {
		return m.Cols
	}
	return m.Stride
}

// strided returns m with the Stride that it means.
func (m Matrix[T]) strided() Matrix[T] {
	m.Stride = m.step()
	return m
}

const badMatrix = "zlpr: matrix with negative size, stride below columns or too little data"

// check panics unless the matrix lies within its data.
func (m Matrix[T]) check() {
	if !m.valid() {
		panic(badMatrix)
	}
}

// valid reports whether the matrix lies within its data.
func (m Matrix[T]) valid() bool {
	if m.Rows < 0 || m.Cols < 0 || m.step() < m.Cols {
		return false
	}
	if m.Rows == 0 || m.Cols == 0 {
		return true
	}
	// (Rows-1)·Stride + Cols ≤ len(Data), without overflow.
	return len(m.Data) >= m.Cols && m.Rows-1 <= (len(m.Data)-m.Cols)/m.step()
}
