// Package sparse reads matrices in compressed sparse rows (CSR), and those of
// compressed columns (CSC) and of coordinates (COO) as such: those of
// scipy.sparse.save_npz, and those in the text formats of multi-label libsvm
// and of the extreme classification repository.
package sparse

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/zlpr/zlpr/internal/array"
)

// A Matrix is a sparse matrix: the columns of row i that are stored are
// Indices[RowPtr[i]:RowPtr[i+1]], with the Values at the same places. No row
// has a column twice.
type Matrix struct {
	Name       string
	Rows, Cols int
	RowPtr     []int64
	Indices    []int32
	Values     *array.Array  // nil: all 1
	Counted    bool          // whether there are as many columns as occur: the file does not say
	Lists      bool          // whether it is from lists in text
	Shards     *array.Shards // the files, counted in rows, if there are several
	arrays     []*array.Array
}

// Close releases the file.
func (m *Matrix) Close() error {
	for _, a := range m.arrays {
		a.Close()
	}
	m.arrays = nil
	return nil
}

// Repeated says what an entry means that is stored twice.
type Repeated uint8

const (
	Sum    Repeated = iota // entries of a place add up, as in scipy
	Refuse                 // it is an error
)

// Dims returns the number of rows and columns.
func (m *Matrix) Dims() (rows, cols int) { return m.Rows, m.Cols }

// DType returns the type of the values.
func (m *Matrix) DType() array.DType {
	if m.Values == nil {
		return array.Bool
	}
	return m.Values.Type
}

// Describe returns the type, the shape and the number of entries, for messages.
func (m *Matrix) Describe() string {
	shards := ""
	if m.Shards != nil {
		shards = fmt.Sprintf(", %s", array.Counted(len(m.Shards.Names), "shard"))
	}
	return fmt.Sprintf("%s %d×%d, %d listed%s", m.DType(), m.Rows, m.Cols, len(m.Indices), shards)
}

// Block returns rows r0 to r1-1 with all columns, in buffer, which grows. What
// the matrix does not list is missing.
func Block[T float32 | float64 | int32 | int64](m *Matrix, buffer *[]T, r0, r1 int, missing T) []T {
	if cap(*buffer) < (r1-r0)*m.Cols {
		*buffer = make([]T, (r1-r0)*m.Cols)
	}
	x := (*buffer)[:(r1-r0)*m.Cols]
	for i := range x {
		x[i] = missing
	}
	from, to := m.RowPtr[r0], m.RowPtr[r1]
	values := array.Read[T](m.Values, nil, int(from), int(to))
	for r := r0; r < r1; r++ {
		row := x[(r-r0)*m.Cols:][:m.Cols]
		for k := m.RowPtr[r]; k < m.RowPtr[r+1]; k++ {
			row[m.Indices[k]] = values[k-from]
		}
	}
	return x
}

// Is reports whether the archive has a sparse matrix, as scipy writes it, of any
// of its formats.
func Is(z *array.Archive) bool {
	return isCSR(z) || z.Has("format") && z.Has("shape") && z.Has("data")
}

// csrNames and cooNames are the names of the arrays.
var csrNames, cooNames = []string{"indptr", "indices", "data"}, []string{"row", "col", "data"}

func isCSR(z *array.Archive) bool { return z.Has("indptr") && z.Has("indices") && z.Has("data") }

// Open reads a matrix that scipy.sparse.save_npz wrote.
func Open(path string, z *array.Archive, repeated Repeated) (*Matrix, error) {
	format, err := z.Text("format")
	if err != nil {
		return nil, err
	}
	names := map[string][]string{"": csrNames, "csr": csrNames, "csc": csrNames, "coo": cooNames}[format]
	if names == nil {
		return nil, array.Faultf(path, "sparse format %q; write it with scipy.sparse.save_npz(file, matrix.tocsr())", format[:min(len(format), 10)])
	}
	for _, name := range append(names, "shape") {
		if !z.Has(name) {
			return nil, array.Faultf(path, "no %s; write it with scipy.sparse.save_npz(file, matrix.tocsr())", name)
		}
	}
	rows, cols, err := openShape(path, z)
	if err != nil {
		return nil, err
	}
	m := &Matrix{Name: path}
	if format == "csc" || format == "coo" {
		err = m.convert(z, format, rows, cols, repeated)
	} else {
		err = m.open(z.Open, names, cols, repeated)
	}
	if err == nil && m.Rows != rows {
		err = fmt.Errorf("indptr is of %s, the shape of %d; write the file again", array.Counted(m.Rows, "row"), rows)
	}
	if err != nil {
		m.Close()
		return nil, array.Named(path, err)
	}
	return m, nil
}

// openShape reads the shape of the matrix in an archive.
func openShape(path string, z *array.Archive) (rows, cols int, err error) {
	a, err := z.Open("shape")
	if err != nil {
		return 0, 0, err
	}
	defer a.Close()
	if a.Len() != 2 {
		return 0, 0, array.Faultf(path, "a shape of %d numbers, not of two; write the file again", a.Len())
	}
	shape, err := array.Integers[int64](a, nil, 0, 2)
	var e *array.ElementError
	switch {
	case errors.As(err, &e):
		return 0, 0, array.Faultf(path, "%s in the shape is no size", e.Value)
	case shape[0] < 0 || shape[1] < 0:
		return 0, 0, array.Faultf(path, "shape %d×%d: a size is negative; write the file again", shape[0], shape[1])
	case shape[0] > math.MaxInt || shape[1] > math.MaxInt:
		return 0, 0, array.Faultf(path, "shape %d×%d is more than this machine can address", shape[0], shape[1])
	}
	return int(shape[0]), int(shape[1]), nil
}

// OpenParts reads a matrix from three arrays, each a file.
func OpenParts(indptr, indices, data string, cols int, repeated Repeated) (*Matrix, error) {
	m := &Matrix{Name: indices}
	if err := m.open(array.Open, []string{indptr, indices, data}, cols, repeated); err != nil {
		m.Close()
		return nil, array.Named(indices, err)
	}
	return m, nil
}

// open opens the three arrays and checks them.
func (m *Matrix) open(open func(string) (*array.Array, error), names []string, cols int, repeated Repeated) error {
	m.Cols = cols
	var parts [3]*array.Array
	for i, name := range names {
		a, err := open(name)
		if err != nil {
			return err
		}
		parts[i] = a
		m.arrays = append(m.arrays, a)
		if i < 2 && (a.Type.IsFloat() || a.Type == array.Bool) {
			return array.Faultf(a.Name, "indptr and indices must be integers, not %s; write them as int64", a.Type)
		}
	}
	ptr, err := array.As[int64](parts[0])
	var e *array.ElementError
	if errors.As(err, &e) {
		return array.Faultf(parts[0].Name, "row %d: indptr %s is beyond 64 bits", e.Index, e.Value)
	} else if err != nil {
		return err
	}
	m.arrays[0], m.RowPtr, m.Values = ptr, array.All[int64](ptr), parts[2]
	if err := m.checkRows(parts[1].Len()); err != nil {
		return err
	}
	indices, err := array.As[int32](parts[1])
	if errors.As(err, &e) {
		row, _ := slices.BinarySearch(m.RowPtr, int64(e.Index)+1)
		return fmt.Errorf("row %d: column %s, but there are %d, counted from 0%s", row-1, e.Value, cols, beyond(cols))
	} else if err != nil {
		return err
	}
	m.arrays[1], m.Indices = indices, array.All[int32](indices)
	return m.check(repeated)
}

// beyond says that an index may be none though there are as many columns.
func beyond(cols int) string {
	if cols > math.MaxInt32 {
		return "; more than 2^31-1 cannot be read"
	}
	return ""
}

// checkRows checks the row pointers.
func (m *Matrix) checkRows(indices int) error {
	m.Rows = len(m.RowPtr) - 1
	values := indices
	if m.Values != nil {
		values = m.Values.Len()
	}
	return checkPointers("row", m.RowPtr, indices, values)
}

// checkPointers checks the pointers to the entries of rows or columns.
func checkPointers(what string, ptr []int64, indices, values int) error {
	if len(ptr) == 0 || ptr[0] != 0 {
		return errors.New("indptr does not begin with 0; write the file again")
	}
	for i := range len(ptr) - 1 {
		if ptr[i+1] < ptr[i] {
			return fmt.Errorf("%s %d: indptr decreases; write the file again", what, i)
		}
	}
	n := ptr[len(ptr)-1]
	if n > int64(indices) || indices != values {
		return fmt.Errorf("indptr ends at %d, but there are %d indices and %s; the file is truncated or mixed up", n, indices, array.Counted(values, "value"))
	}
	return nil
}

// check checks that the columns lie within the matrix, and deals with those
// that are repeated.
func (m *Matrix) check(repeated Repeated) error {
	m.Indices = m.Indices[:m.RowPtr[m.Rows]]
	twice := false
	var order []int32
	for i := range m.Rows {
		row := m.Indices[m.RowPtr[i]:m.RowPtr[i+1]]
		last, increasing := int32(-1), true
		for _, j := range row {
			if j < 0 || int(j) >= m.Cols {
				return fmt.Errorf("row %d: column %d, but there are %d, counted from 0", i, j, m.Cols)
			}
			increasing = increasing && j > last
			last = j
		}
		if increasing || twice && repeated == Sum {
			continue
		}
		order = append(order[:0], row...)
		slices.Sort(order)
		for k := 1; k < len(order); k++ {
			if order[k] != order[k-1] {
				continue
			}
			if repeated == Refuse {
				return fmt.Errorf("row %d, column %d: listed twice; list every class once: in scipy, sum_duplicates", i, order[k])
			}
			twice = true
			break
		}
	}
	if twice {
		return m.sum()
	}
	return nil
}

// sum replaces the entries of a place by their sum: formed in float64 in the
// order in which they are stored, and rounded to the values' type, which for
// integers is float64.
func (m *Matrix) sum() error {
	if t := m.Values.Type; t == array.Float16 || t == array.BFloat16 || t == array.Float32 {
		return sum[float32](m)
	}
	return sum[float64](m)
}

func sum[T float32 | float64](m *Matrix) error {
	ptr, indices, values := array.NewBuilder[int64](m.Name), array.NewBuilder[int32](m.Name), array.NewBuilder[T](m.Name)
	defer ptr.Discard()
	defer indices.Discard()
	defer values.Discard()
	err := ptr.Append(0)
	var order []int
	for i := 0; i < m.Rows && err == nil; i++ {
		from, to := int(m.RowPtr[i]), int(m.RowPtr[i+1])
		row := m.Indices[from:to]
		entries := array.Read[float64](m.Values, nil, from, to)
		if order = order[:0]; cap(order) < len(row) {
			order = make([]int, 0, len(row))
		}
		for k := range row {
			order = append(order, k)
		}
		slices.SortStableFunc(order, func(a, b int) int { return int(row[a]) - int(row[b]) })
		for k := 0; k < len(order) && err == nil; {
			j := row[order[k]]
			total := entries[order[k]]
			for k++; k < len(order) && row[order[k]] == j; k++ {
				total += entries[order[k]]
			}
			err = errors.Join(indices.Append(j), values.Append(T(total)))
		}
		err = errors.Join(err, ptr.Append(int64(indices.Len())))
	}
	if err != nil {
		return err
	}
	rows := m.Rows
	m.Close()
	return m.set(ptr, indices, values, rows)
}

// set takes what builders have; without values all are 1.
func (m *Matrix) set(ptr *array.Builder[int64], indices *array.Builder[int32], values arrayBuilder, rows int) error {
	var v *array.Array
	var err3 error
	p, err1 := ptr.Array(nil)
	j, err2 := indices.Array(nil)
	if values != nil {
		v, err3 = values.Array(nil)
	}
	for _, a := range []*array.Array{p, j, v} {
		if a != nil {
			m.arrays = append(m.arrays, a)
		}
	}
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	m.Rows, m.RowPtr, m.Indices, m.Values = rows, array.All[int64](p), array.All[int32](j), v
	return nil
}

// arrayBuilder is an array.Builder of values of some type.
type arrayBuilder interface {
	Array(shape []int) (*array.Array, error)
}
