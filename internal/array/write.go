package array

import (
	"archive/zip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/zlpr/zlpr/internal/atomicfile"
)

// A Writer writes the rows of an .npy file in any order. It may be used by
// several goroutines.
type Writer struct {
	file   *atomicfile.File
	path   string
	dtype  DType
	cols   int
	header int64
}

// Create begins an .npy file of that shape, whose rows are of cols elements. The
// file appears with Commit.
func Create(path string, t DType, shape []int, cols int) (*Writer, error) {
	f, err := atomicfile.Create(path)
	if err != nil {
		return nil, named(path, err)
	}
	h := format(t, shape)
	w := &Writer{f, path, t, cols, int64(len(h))}
	if _, err := f.WriteAt(h, 0); err != nil {
		w.Abort()
		return nil, named(path, err)
	}
	// A file of the full size, so that an empty array is right as well.
	if err := f.Truncate(w.header + int64(product(shape)*t.Size())); err != nil {
		w.Abort()
		return nil, named(path, err)
	}
	return w, nil
}

// WriteRows writes rows from row on. T is the type that Create was told.
func WriteRows[T Element](w *Writer, row int, data []T) error {
	if typeOf[T]() != w.dtype {
		panic("array: rows of another type")
	}
	offset := w.header + int64(row)*int64(w.cols)*int64(w.dtype.Size())
	if _, err := w.file.WriteAt(encode(data), offset); err != nil {
		return unnamed(w.path, err)
	}
	return nil
}

// unnamed puts the name that the file is to have before an error, in place of
// that of the temporary file.
func unnamed(path string, err error) error {
	var e *os.PathError
	if errors.As(err, &e) {
		err = e.Err
	}
	return named(path, err)
}

// Commit completes the file.
func (w *Writer) Commit() error {
	if w == nil {
		return nil
	}
	return unnamed(w.path, w.file.Commit())
}

// Abort removes the file, unless it is complete.
func (w *Writer) Abort() {
	if w != nil {
		w.file.Abort()
	}
}

// encode returns the bytes of data, little-endian.
func encode[T Element](data []T) []byte {
	if hostLittleEndian {
		return New("", nil, data).data
	}
	var b []byte
	le := binary.LittleEndian
	for _, v := range data {
		switch v := any(v).(type) {
		case bool:
			if v {
				b = append(b, 1)
			} else {
				b = append(b, 0)
			}
		case int8:
			b = append(b, byte(v))
		case uint8:
			b = append(b, v)
		case int32:
			b = le.AppendUint32(b, uint32(v))
		case int64:
			b = le.AppendUint64(b, uint64(v))
		case float32:
			b = le.AppendUint32(b, math.Float32bits(v))
		case float64:
			b = le.AppendUint64(b, math.Float64bits(v))
		}
	}
	return b
}

// WriteTo writes an .npy file.
func WriteTo[T Element](w io.Writer, shape []int, data []T) error {
	if product(shape) != len(data) {
		panic(fmt.Sprintf("array: %d elements for shape %v", len(data), shape))
	}
	if _, err := w.Write(format(typeOf[T](), shape)); err != nil {
		return err
	}
	_, err := w.Write(encode(data))
	return err
}

// Add adds an array to an .npz file that z writes.
func Add[T Element](z *zip.Writer, key string, compress bool, shape []int, data []T) error {
	method := zip.Store
	if compress {
		method = zip.Deflate
	}
	w, err := z.CreateHeader(&zip.FileHeader{Name: key + ".npy", Method: method})
	if err != nil {
		return err
	}
	return WriteTo(w, shape, data)
}
