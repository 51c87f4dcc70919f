package zlpr

// Float is the type of scores and gradients.
type Float interface{ float32 | float64 }

// Matrix is a row-major matrix: element (i, j) is Data[i*Stride+j], with
// Stride ≥ Cols. A matrix of more than two dimensions is flattened to rows,
// its last axis being the columns (the classes).
//
// The fields are those of gonum's blas64.General and blas32.General, so
// Matrix[float64](dense.RawMatrix()) needs no copy.
type Matrix[T Float] struct {
	Rows, Cols int
	Data       []T
	Stride     int
}

// Row returns row i, its capacity cut at its end.
func (m Matrix[T]) Row(i int) []T {
	return m.Data[i*m.Stride:][:m.Cols:m.Cols]
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
	if m.Rows < 0 || m.Cols < 0 || m.Stride < m.Cols {
		return false
	}
	if m.Rows == 0 || m.Cols == 0 {
		return true
	}
	// (Rows-1)·Stride + Cols ≤ len(Data), without overflow.
	return len(m.Data) >= m.Cols && (m.Stride == 0 || m.Rows-1 <= (len(m.Data)-m.Cols)/m.Stride)
}
