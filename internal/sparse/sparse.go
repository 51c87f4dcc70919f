// Package sparse reads matrices in compressed sparse rows (CSR): those of
// scipy.sparse.save_npz, and those in the text formats of multi-label libsvm
// and of the extreme classification repository.
package sparse

import (
	"errors"
	"fmt"

	"github.com/zlpr/zlpr/internal/array"
)

// A Matrix is a sparse matrix: the columns of row i that are stored are
// Indices[RowPtr[i]:RowPtr[i+1]], with the Values at the same places.
type Matrix struct {
	Name       string
	Rows, Cols int
	RowPtr     []int64
	Indices    []int32
	Values     *array.Array // nil: all 1
	arrays     []*array.Array
}

// Close releases the file.
func (m *Matrix) Close() error {
	for _, a := range m.arrays {
		a.Close()
	}
	return nil
}

// Is reports whether the archive has a sparse matrix, as scipy writes it, of any
// of its formats.
func Is(z *array.Archive) bool {
	return isCSR(z) || z.Has("format") && z.Has("shape") && z.Has("data")
}

func isCSR(z *array.Archive) bool { return z.Has("indptr") && z.Has("indices") && z.Has("data") }

// Open reads a matrix that scipy.sparse.save_npz wrote.
func Open(path string) (*Matrix, error) {
	z, err := array.OpenArchive(path)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	if !Is(z) {
		return nil, fmt.Errorf("%s: no sparse matrix; write it with scipy.sparse.save_npz", path)
	}
	if format := z.Text("format"); format != "" && format != "csr" {
		return nil, fmt.Errorf("%s: sparse format %q; write it with scipy.sparse.save_npz(file, matrix.tocsr())", path, format)
	}
	if !isCSR(z) {
		return nil, fmt.Errorf("%s: no indptr, indices and data; write it with scipy.sparse.save_npz(file, matrix.tocsr())", path)
	}
	var parts [4]*array.Array
	m := &Matrix{Name: path}
	for i, key := range []string{"indptr", "indices", "data", "shape"} {
		a, err := z.Open(key)
		if err != nil {
			m.Close()
			return nil, err
		}
		parts[i] = a
		m.arrays = append(m.arrays, a)
	}
	shape := array.All[int64](parts[3])
	if len(shape) != 2 {
		m.Close()
		return nil, fmt.Errorf("%s: shape is not of two numbers", path)
	}
	if err := m.set(parts[0], parts[1], parts[2], int(shape[1])); err != nil {
		m.Close()
		return nil, err
	}
	if m.Rows != int(shape[0]) {
		m.Close()
		return nil, fmt.Errorf("%s: indptr is of %d rows, the shape of %d", path, m.Rows, shape[0])
	}
	return m, nil
}

// OpenParts reads a matrix from three arrays.
func OpenParts(indptr, indices, data string, cols int) (*Matrix, error) {
	m := &Matrix{Name: indices}
	var parts [3]*array.Array
	for i, name := range []string{indptr, indices, data} {
		a, err := array.Open(name)
		if err != nil {
			m.Close()
			return nil, err
		}
		parts[i] = a
		m.arrays = append(m.arrays, a)
	}
	if err := m.set(parts[0], parts[1], parts[2], cols); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

func (m *Matrix) set(indptr, indices, data *array.Array, cols int) error {
	if indptr.Type.IsFloat() || indices.Type.IsFloat() {
		return fmt.Errorf("%s: indptr and indices must be integers, not %s and %s", m.Name, indptr.Type, indices.Type)
	}
	m.Cols = cols
	m.RowPtr, m.Indices, m.Values = array.All[int64](indptr), array.All[int32](indices), data
	return m.check()
}

// check checks that the rows lie within the matrix.
func (m *Matrix) check() error {
	m.Rows = len(m.RowPtr) - 1
	if m.Rows < 0 || m.Cols < 0 || m.RowPtr[0] != 0 {
		return fmt.Errorf("%s: indptr does not begin with 0", m.Name)
	}
	for i := range m.Rows {
		if m.RowPtr[i+1] < m.RowPtr[i] {
			return fmt.Errorf("%s: row %d: indptr decreases", m.Name, i)
		}
	}
	n := m.RowPtr[m.Rows]
	if n > int64(len(m.Indices)) || m.Values != nil && n > int64(m.Values.Len()) {
		return fmt.Errorf("%s: indptr ends at %d, but there are %d indices and %d values; the file is truncated or mixed up",
			m.Name, n, len(m.Indices), m.Values.Len())
	}
	for i := range m.Rows {
		for _, j := range m.Indices[m.RowPtr[i]:m.RowPtr[i+1]] {
			if j < 0 || int(j) >= m.Cols {
				return fmt.Errorf("%s: row %d: column %d, but there are %d, counted from 0", m.Name, i, j, m.Cols)
			}
		}
	}
	return nil
}

// errLong is the error of more columns than an index holds.
var errLong = errors.New("more than 2^31-1 columns")
