package sparse

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/zlpr/zlpr/internal/array"
)

// A Writer collects the rows of a matrix, in a temporary file where they are
// many, and writes them as scipy.sparse.save_npz does.
type Writer struct {
	cols    int
	dtype   array.DType // of the values: uint8, float32 or float64
	ptr     *array.Builder[int64]
	indices *array.Builder[int32]
	bytes   *array.Builder[uint8]
	singles *array.Builder[float32]
	doubles *array.Builder[float64]
}

// NewWriter begins a matrix of that many columns, with values of a type: uint8,
// float32 or float64. Errors name the file of that name.
func NewWriter(name string, cols int, dtype array.DType) (*Writer, error) {
	if cols > math.MaxInt32 {
		return nil, array.Faultf(name, "%s are more than an index of 32 bits holds", array.Counted(cols, "column"))
	}
	w := &Writer{cols: cols, dtype: dtype, ptr: array.NewBuilder[int64](name), indices: array.NewBuilder[int32](name),
		bytes: array.NewBuilder[uint8](name), singles: array.NewBuilder[float32](name), doubles: array.NewBuilder[float64](name)}
	return w, w.ptr.Append(0)
}

// Discard releases the temporary files.
func (w *Writer) Discard() {
	w.ptr.Discard()
	w.indices.Discard()
	w.bytes.Discard()
	w.singles.Discard()
	w.doubles.Discard()
}

// Entries adds entries of a row, columns and their values, each column once in
// the row and in any order. The last ones end it.
func (w *Writer) Entries(indices []int32, values []float64, last bool) error {
	err := w.indices.AppendAll(indices)
	switch w.dtype {
	case array.Uint8:
		err = errors.Join(err, appendAs(w.bytes, values))
	case array.Float32:
		err = errors.Join(err, appendAs(w.singles, values))
	default:
		err = errors.Join(err, w.doubles.AppendAll(values))
	}
	if err != nil {
		return err
	}
	if !last {
		return nil
	}
	return w.ptr.Append(int64(w.indices.Len()))
}

// appendAs adds numbers in another type.
func appendAs[T uint8 | float32](b *array.Builder[T], values []float64) error {
	var block [1 << 9]T
	for len(values) > 0 {
		n := min(len(values), len(block))
		for i, v := range values[:n] {
			block[i] = T(v)
		}
		if err := b.AppendAll(block[:n]); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}

// Write writes the matrix, by rows (CSR) or, if columns, by columns (CSC). The
// latter takes 16 bytes of memory an entry at most.
func (w *Writer) Write(file io.Writer, columns bool) error {
	rows := w.ptr.Len() - 1
	ptr, err1 := w.ptr.Array(nil)
	indices, err2 := w.indices.Array(nil)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	defer ptr.Close()
	defer indices.Close()
	z := zip.NewWriter(file)
	var err error
	switch w.dtype {
	case array.Uint8:
		err = write(z, ptr, indices, w.bytes, w.cols, columns)
	case array.Float32:
		err = write(z, ptr, indices, w.singles, w.cols, columns)
	default:
		err = write(z, ptr, indices, w.doubles, w.cols, columns)
	}
	format := "csr"
	if columns {
		format = "csc"
	}
	return errors.Join(err, array.Add(z, "shape", false, []int{2}, []int64{int64(rows), int64(w.cols)}),
		addText(z, "format", format), z.Close())
}

// write writes the pointers, indices and values.
func write[T uint8 | float32 | float64](z *zip.Writer, ptr, indices *array.Array, values *array.Builder[T], cols int, columns bool) error {
	a, err := values.Array(nil)
	if err != nil {
		return err
	}
	defer a.Close()
	if columns {
		return writeColumns[T](z, ptr, indices, a, cols)
	}
	v, ok := array.View[T](a, 0, a.Len())
	if !ok { // a machine of the other byte order
		v = narrow[T](a)
	}
	return errors.Join(array.Add(z, "indptr", false, ptr.Shape, array.All[int64](ptr)),
		array.Add(z, "indices", false, indices.Shape, array.All[int32](indices)),
		array.Add(z, "data", false, a.Shape, v))
}

func narrow[T uint8 | float32 | float64](a *array.Array) []T {
	v := make([]T, a.Len())
	for i, x := range array.All[float64](a) {
		v[i] = T(x)
	}
	return v
}

// writeColumns writes a matrix by columns: rows of a column in their order.
func writeColumns[T uint8 | float32 | float64](z *zip.Writer, ptr, indices, values *array.Array, cols int) error {
	n := indices.Len()
	if !array.Justified(float64(cols), float64(n+ptr.Len())) {
		return fmt.Errorf("%s with only %s listed are too many for CSC; write CSR", array.Counted(cols, "column"), array.Counted(n, "entry"))
	}
	if ptr.Len()-1 > math.MaxInt32 {
		return fmt.Errorf("%s are more than an index of 32 bits holds", array.Counted(ptr.Len()-1, "row"))
	}
	all := array.All[int32](indices)
	start := make([]int64, cols+1)
	for _, j := range all {
		start[j+1]++
	}
	for j := range cols {
		start[j+1] += start[j]
	}
	next := append([]int64{}, start[:cols]...)
	row, out := make([]int32, n), make([]T, n)
	pointers := array.All[int64](ptr)
	v, ok := array.View[T](values, 0, n)
	if !ok {
		v = narrow[T](values)
	}
	for i := range len(pointers) - 1 {
		for k := pointers[i]; k < pointers[i+1]; k++ {
			at := next[all[k]]
			next[all[k]]++
			row[at], out[at] = int32(i), v[k]
		}
	}
	return errors.Join(array.Add(z, "indptr", false, []int{cols + 1}, start),
		array.Add(z, "indices", false, []int{n}, row), array.Add(z, "data", false, []int{n}, out))
}

// addText adds a short string to an archive, as numpy stores bytes.
func addText(z *zip.Writer, key, text string) error {
	w, err := z.CreateHeader(&zip.FileHeader{Name: key + ".npy", Method: zip.Store})
	if err != nil {
		return err
	}
	dict := fmt.Sprintf("{'descr': '|S%d', 'fortran_order': False, 'shape': (), }", len(text))
	dict += strings.Repeat(" ", 63-(10+len(dict))%64) + "\n"
	_, err = io.WriteString(w, "\x93NUMPY\x01\x00"+string([]byte{byte(len(dict)), byte(len(dict) >> 8)})+dict+text)
	return err
}
