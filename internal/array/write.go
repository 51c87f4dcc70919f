package array

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/zlpr/zlpr/internal/atomicfile"
)

// A Writer writes the rows of an .npy file in any order. It may be used by
// several goroutines.
type Writer struct {
	file   *atomicfile.File
	dtype  DType
	cols   int
	header int64
}

// NewWriter begins an .npy file of that shape, whose rows are of cols elements.
func NewWriter(f *atomicfile.File, t DType, shape []int, cols int) (*Writer, error) {
	h := format(t, shape)
	w := &Writer{f, t, cols, int64(len(h))}
	size := int64(t.Size())
	for _, n := range shape {
		if n > 0 && size > (math.MaxInt64-w.header)/int64(n) {
			return nil, fmt.Errorf("an array of %s is larger than any file", ShapeString(shape))
		}
		size *= int64(n)
	}
	if _, err := f.WriteAt(h, 0); err != nil {
		return nil, err
	}
	// A file of the full size, so that an empty array is right as well.
	if err := f.Truncate(w.header + size); err != nil {
		return nil, err
	}
	return w, nil
}

// WriteRows writes rows from row on. T is the type that NewWriter was told.
func WriteRows[T Element](w *Writer, row int, data []T) error {
	if typeOf[T]() != w.dtype {
		panic("array: rows of another type")
	}
	offset := w.header + int64(row)*int64(w.cols)*int64(w.dtype.Size())
	_, err := w.file.WriteAt(encode(data), offset)
	return err
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
