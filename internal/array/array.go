// Package array reads and writes arrays in numpy's formats, .npy and .npz, and
// in CSV. Reading needs constant memory: files are mapped, and what must be
// decompressed or parsed goes through an unnamed temporary file once it is long.
//
// An Input is a file that the user named, with the format that its first bytes
// tell (input.go); a reader for each format makes an Array of it (npy.go,
// npz.go, csv.go). All of an array's elements are got by way of bytes: a type
// of elements, a format of files, or an array in several files needs to be
// known nowhere else. What a file may make us allocate stands in limits.go, how
// messages name it in fault.go, and what happens when it becomes shorter in
// guard.go.
package array

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unsafe"
)

// An Array is an array of numbers in C order, of any number of axes.
type Array struct {
	Name  string // of the file, for messages
	Type  DType
	Shape []int

	// Shards are the files, counted along the first axis, that the array is in
	// one after another; nil: one file.
	Shards *Shards

	data   []byte // little-endian
	file   []byte // the whole file, where it is mapped
	start  int    // where the data begin in file
	mapped bool
	close  []func() error

	parts []*Array // of shards: an array each, and no data of its own
	ends  []int    // the number of elements up to and including each
}

// New returns an array in memory.
func New[T Element](name string, shape []int, data []T) *Array {
	var t T
	size := int(unsafe.Sizeof(t))
	a := &Array{Name: name, Type: typeOf[T](), Shape: shape}
	if len(data) > 0 {
		a.data = unsafe.Slice((*byte)(unsafe.Pointer(&data[0])), len(data)*size)
		if !hostLittleEndian {
			a.data = slices.Clone(a.data)
			swapBytes(a.data, size)
		}
	}
	return a
}

// Close releases the file.
func (a *Array) Close() error {
	var first error
	for _, f := range a.close {
		if err := f(); err != nil && first == nil {
			first = err
		}
	}
	a.close, a.data, a.parts = nil, nil, nil
	return first
}

// Len returns the number of elements.
func (a *Array) Len() int { return product(a.Shape) }

// bytes returns the bytes of the elements from to to-1 of an array that is in
// one file: of others, each and whole find the parts.
func (a *Array) bytes(from, to int) []byte {
	return a.data[from*a.Type.Size() : to*a.Type.Size()]
}

// WillNeed tells the system that the elements from to to-1 are wanted soon.
func (a *Array) WillNeed(from, to int) {
	if to = min(to, a.Len()); from < to {
		a.each(from, to, (*Array).willNeed)
	}
}

func product(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

// Element is a type that elements can be read as.
type Element interface {
	bool | int8 | uint8 | int32 | int64 | float32 | float64
}

func typeOf[T Element]() DType {
	var t T
	switch any(t).(type) {
	case bool:
		return Bool
	case int8:
		return Int8
	case uint8:
		return Uint8
	case int32:
		return Int32
	case int64:
		return Int64
	case float32:
		return Float32
	}
	return Float64
}

// hostLittleEndian tells whether numbers in memory are as in files.
var hostLittleEndian = func() bool {
	x := uint16(1)
	return *(*byte)(unsafe.Pointer(&x)) == 1
}()

// View returns the elements from to to-1 where they lie, if the array's type
// is T and the place suits.
func View[T Element](a *Array, from, to int) ([]T, bool) {
	if a.Type != typeOf[T]() {
		return nil, false
	}
	return view[T](a, from, to)
}

// Halves returns the bits of the elements from to to-1 of an array of float16 or
// bfloat16 where they lie, if the place suits.
func Halves(a *Array, from, to int) ([]uint16, bool) {
	if a.Type != Float16 && a.Type != BFloat16 {
		return nil, false
	}
	return view[uint16](a, from, to)
}

// view returns elements of the size of T where they lie.
func view[T any](a *Array, from, to int) ([]T, bool) {
	var t T
	if a.Type.Size() > 1 && !hostLittleEndian {
		return nil, false
	}
	if from == to {
		return []T{}, true
	}
	part, start := a.whole(from, to)
	if part == nil {
		return nil, false
	}
	b := part.bytes(start, start+to-from)
	p := unsafe.Pointer(&b[0])
	if uintptr(p)%unsafe.Alignof(t) != 0 {
		return nil, false
	}
	return unsafe.Slice((*T)(p), to-from), true
}

// Number is a type to which elements can be converted.
type Number interface {
	int32 | int64 | float32 | float64
}

// Read returns the elements from to to-1, where they lie if that is possible,
// else converted in dst, which grows as needed. T holds what it reads, but for
// rounding to a floating-point type: integers are read by Integers where they
// might not fit.
func Read[T Number](a *Array, dst []T, from, to int) []T {
	if v, ok := View[T](a, from, to); ok {
		return v
	}
	if cap(dst) < to-from {
		dst = make([]T, to-from)
	}
	dst = dst[:to-from]
	at := 0
	a.each(from, to, func(part *Array, from, to int) {
		convert(dst[at:at+to-from], part.bytes(from, to), a.Type)
		at += to - from
	})
	return dst
}

// convert converts elements of type t that lie in b.
func convert[T Number](dst []T, b []byte, t DType) {
	le := binary.LittleEndian
	switch t {
	case Bool, Uint8:
		for i := range dst {
			dst[i] = T(b[i])
		}
	case Int8:
		for i := range dst {
			dst[i] = T(int8(b[i]))
		}
	case Int16:
		for i := range dst {
			dst[i] = T(int16(le.Uint16(b[2*i:])))
		}
	case Uint16:
		for i := range dst {
			dst[i] = T(le.Uint16(b[2*i:]))
		}
	case Int32:
		for i := range dst {
			dst[i] = T(int32(le.Uint32(b[4*i:])))
		}
	case Uint32:
		for i := range dst {
			dst[i] = T(le.Uint32(b[4*i:]))
		}
	case Int64:
		for i := range dst {
			dst[i] = T(int64(le.Uint64(b[8*i:])))
		}
	case Uint64:
		for i := range dst {
			dst[i] = T(le.Uint64(b[8*i:]))
		}
	case Float16:
		for i := range dst {
			dst[i] = T(float16(le.Uint16(b[2*i:])))
		}
	case BFloat16:
		for i := range dst {
			dst[i] = T(bfloat16(le.Uint16(b[2*i:])))
		}
	case Float32:
		for i := range dst {
			dst[i] = T(math.Float32frombits(le.Uint32(b[4*i:])))
		}
	case Float64:
		for i := range dst {
			dst[i] = T(math.Float64frombits(le.Uint64(b[8*i:])))
		}
	}
}

// All returns all elements as T.
func All[T Number](a *Array) []T { return Read[T](a, nil, 0, a.Len()) }

// Copy returns the elements from to to-1 in memory of their own.
func Copy[T Number](a *Array, from, to int) []T {
	if v, ok := View[T](a, from, to); ok {
		return slices.Clone(v)
	}
	return Read(a, make([]T, to-from), from, to)
}

// An ElementError is an element that cannot be read as what it is to be.
type ElementError struct {
	Index int    // of the element, in C order
	Value string // of it
}

func (e *ElementError) Error() string {
	return fmt.Sprintf("element %d: %s is no integer that fits", e.Index, e.Value)
}

// Integers returns the elements from to to-1 as integers, where they lie if
// that is possible, else in dst, which grows as needed. One that T cannot hold
// is an *ElementError, never cut; so is one of an array of another type.
func Integers[T int32 | int64](a *Array, dst []T, from, to int) ([]T, error) {
	var narrow T
	switch size := unsafe.Sizeof(narrow); {
	case a.Type.IsFloat():
		if from == to {
			return dst[:0], nil
		}
		return nil, &ElementError{from, a.Format(from)}
	case a.Type == Uint64, a.Type == Int64 && size < 8, a.Type == Uint32 && size < 8:
		if cap(dst) < to-from {
			dst = make([]T, to-from)
		}
		dst = dst[:to-from]
		wide := Read[int64](a, nil, from, to)
		for i, v := range wide {
			if dst[i] = T(v); int64(dst[i]) != v || v < 0 && a.Type == Uint64 {
				return nil, &ElementError{from + i, a.Format(from + i)}
			}
		}
		return dst, nil
	}
	return Read(a, dst, from, to), nil
}

// As returns the integers of a as an array of type T: a itself, if it has that
// type and suits this machine, else a copy. One that T cannot hold is an
// *ElementError. Close releases both.
func As[T int32 | int64](a *Array) (*Array, error) {
	if _, ok := View[T](a, 0, a.Len()); ok {
		return a, nil
	}
	b := NewBuilder[T](a.Name)
	defer b.Discard()
	const step = 1 << 16
	buffer := make([]T, 0, step)
	for from := 0; from < a.Len(); from += step {
		block, err := Integers(a, buffer, from, min(from+step, a.Len()))
		if err != nil {
			return nil, err
		}
		for _, v := range block {
			if err := b.Append(v); err != nil {
				return nil, err
			}
		}
	}
	c, err := b.Array(a.Shape)
	if err == nil {
		c.close = append(c.close, a.Close)
	}
	return c, err
}

// Format returns an element as text.
func (a *Array) Format(i int) string {
	switch {
	case a.Type == Bool:
		return strconv.FormatBool(Read[int32](a, nil, i, i+1)[0] != 0)
	case a.Type == Uint64:
		return strconv.FormatUint(uint64(Read[int64](a, nil, i, i+1)[0]), 10)
	case a.Type == Float64:
		return strconv.FormatFloat(Read[float64](a, nil, i, i+1)[0], 'g', -1, 64)
	case a.Type.IsFloat():
		return strconv.FormatFloat(Read[float64](a, nil, i, i+1)[0], 'g', -1, 32)
	}
	return strconv.FormatInt(Read[int64](a, nil, i, i+1)[0], 10)
}

// Rows returns the number of rows and columns: the last axis is the columns,
// all others are the rows.
func (a *Array) Rows() (rows, cols int) {
	if len(a.Shape) == 0 {
		return 1, 1
	}
	last := len(a.Shape) - 1
	return product(a.Shape[:last]), a.Shape[last]
}

// Dims is Rows, for what takes other sources of rows too.
func (a *Array) Dims() (rows, cols int) { return a.Rows() }

// DType returns the type of the elements.
func (a *Array) DType() DType { return a.Type }

// Describe returns the type and the shape, for messages.
func (a *Array) Describe() string {
	return fmt.Sprintf("%s %s%s", a.Type, ShapeString(a.Shape), a.Shards.describe())
}

// ShapeString returns a shape as people write it: 3×4.
func ShapeString(shape []int) string {
	s := ""
	for i, n := range shape {
		if i > 0 {
			s += "×"
		}
		s += fmt.Sprint(n)
	}
	if s == "" {
		return "scalar"
	}
	return s
}
