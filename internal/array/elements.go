package array

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
)

// Header returns the header of an .npy file of little-endian elements in C
// order, which follow it.
func Header(t DType, shape []int) []byte { return format(t, shape) }

// TensorHeader returns what a safetensors file of one tensor begins with: its
// elements, as in .npy files, follow it.
func TensorHeader(name string, t DType, shape []int) []byte {
	code := ""
	for c, of := range tensorTypes {
		if of == t {
			code = c
		}
	}
	if len(shape) == 0 {
		shape = []int{}
	}
	size := uint64(product(shape)) * uint64(t.Size())
	text, err := json.Marshal(map[string]any{name: map[string]any{"dtype": code, "shape": shape, "data_offsets": []uint64{0, size}}})
	if err != nil {
		panic(err) // strings and numbers
	}
	for len(text)%8 != 0 { // so that the data are aligned
		text = append(text, ' ')
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...)
}

// AppendElements appends numbers as elements of a type that holds them: uint8,
// float32 or float64, little-endian.
func AppendElements(b []byte, t DType, x []float64) []byte {
	le := binary.LittleEndian
	for _, v := range x {
		switch t {
		case Uint8:
			b = append(b, uint8(v))
		case Float32:
			b = le.AppendUint32(b, math.Float32bits(float32(v)))
		case Float64:
			b = le.AppendUint64(b, math.Float64bits(v))
		default:
			panic(fmt.Sprintf("array: no numbers as %s", t))
		}
	}
	return b
}

// CopyElements writes the elements from to to-1 as they are, little-endian.
func (a *Array) CopyElements(w io.Writer, from, to int) (err error) {
	a.each(from, to, func(part *Array, from, to int) {
		if err == nil {
			_, err = w.Write(part.bytes(from, to))
		}
	})
	return err
}
