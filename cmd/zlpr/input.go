package main

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/sparse"
)

// A bitSource is a file of labels or of a mask.
type bitSource interface {
	dims() (rows, classes int)
	// block returns rows r0 to r1-1.
	block(r0, r1 int) zlpr.Bits
	name() string
}

// wholeBits is a bitSource that is at hand as a whole.
type wholeBits struct {
	zlpr.Bits
	file string
}

func (b wholeBits) name() string              { return b.file }
func (b wholeBits) dims() (rows, classes int) { return b.Dims() }
func (b wholeBits) block(r0, r1 int) zlpr.Bits {
	if t, ok := b.Bits.(*zlpr.TargetLabels); ok { // a type that the library looks for
		return &zlpr.TargetLabels{Classes: t.Classes, Targets: t.Targets[r0:r1]}
	}
	return &rowsOf{b.Bits, r0, r1}
}

// rowsOf are rows r0 to r1-1 of other bits. Its errors count from r0.
type rowsOf struct {
	zlpr.Bits
	r0, r1 int
}

func (b *rowsOf) Dims() (rows, classes int) {
	_, classes = b.Bits.Dims()
	return b.r1 - b.r0, classes
}

func (b *rowsOf) ReadRows(dst []uint64, r0, r1 int) error {
	err := b.Bits.ReadRows(dst, b.r0+r0, b.r0+r1)
	if e, ok := err.(*zlpr.DataError); ok {
		return &zlpr.DataError{Row: e.Row - b.r0, Class: e.Class, Kind: e.Kind, Reason: e.Reason}
	}
	return err
}

// maskBits are a mask: its errors say so.
type maskBits struct{ zlpr.Bits }

func (b maskBits) ReadRows(dst []uint64, r0, r1 int) error {
	err := b.Bits.ReadRows(dst, r0, r1)
	if e, ok := err.(*zlpr.DataError); ok && e.Kind != zlpr.LengthRange {
		return &zlpr.DataError{Row: e.Row, Class: e.Class, Kind: zlpr.MaskInvalid, Reason: strings.Replace(e.Reason, "label", "mask value", 1)}
	}
	return err
}

// denseBits are the 0 and 1 of an array.
type denseBits struct {
	*array.Array
	rows, classes int
}

func (b *denseBits) name() string              { return b.Name }
func (b *denseBits) dims() (rows, classes int) { return b.rows, b.classes }
func (b *denseBits) block(r0, r1 int) zlpr.Bits {
	ahead(b.Array, r0*b.classes, r1*b.classes)
	switch b.Type {
	case array.Bool, array.Uint8: // a bool is a byte, of which numpy writes 0 or 1
		if v, ok := viewBytes(b.Array, r0*b.classes, r1*b.classes); ok {
			return dense(v, r1-r0, b.classes)
		}
	case array.Int8:
		if v, ok := array.View[int8](b.Array, r0*b.classes, r1*b.classes); ok {
			return dense(v, r1-r0, b.classes)
		}
	case array.Float16, array.Float32:
		return dense(array.Read[float32](b.Array, nil, r0*b.classes, r1*b.classes), r1-r0, b.classes)
	case array.Float64:
		return dense(array.Read[float64](b.Array, nil, r0*b.classes, r1*b.classes), r1-r0, b.classes)
	case array.Int16, array.Uint16, array.Int32:
		return dense(array.Read[int32](b.Array, nil, r0*b.classes, r1*b.classes), r1-r0, b.classes)
	}
	return dense(array.Read[int64](b.Array, nil, r0*b.classes, r1*b.classes), r1-r0, b.classes)
}

// csrBits are the 0 and 1 of a sparse matrix.
type csrBits struct {
	*sparse.Matrix
	file string
}

func (b *csrBits) name() string              { return b.file }
func (b *csrBits) dims() (rows, classes int) { return b.Rows, b.Cols }
func (b *csrBits) block(r0, r1 int) zlpr.Bits {
	from, to := b.RowPtr[r0], b.RowPtr[r1]
	ptr := make([]int64, r1-r0+1)
	for i := range ptr {
		ptr[i] = b.RowPtr[r0+i] - from
	}
	return &zlpr.SparseLabels{Classes: b.Cols, RowPtr: ptr, Indices: b.Indices[from:to], Values: labelValues(b.Values, from, to)}
}

// labelValues returns the elements from to to-1 as what they are as labels: 0,
// 1, NaN, or 2 for all that is none of these; rounding makes no label of one
// that is not.
func labelValues(a *array.Array, from, to int64) []float32 {
	if a.Type != array.Float64 {
		return array.Read[float32](a, nil, int(from), int(to))
	}
	values := make([]float32, 0, to-from)
	for _, v := range array.Read[float64](a, nil, int(from), int(to)) {
		if v != 0 && v != 1 && v == v {
			v = 2
		}
		values = append(values, float32(v))
	}
	return values
}

// viewBytes returns the bytes of an array of bytes.
func viewBytes(a *array.Array, from, to int) ([]uint8, bool) {
	as := *a
	as.Type = array.Uint8
	return array.View[uint8](&as, from, to)
}

func dense[E zlpr.LabelElement](data []E, rows, classes int) zlpr.Bits {
	return &zlpr.DenseLabels[E]{Rows: rows, Cols: classes, Data: data, Stride: classes}
}

// openBits opens labels or a mask for scores of that shape. Integers of one
// axis less than the scores are targets: the number of the positive class, -1
// for none.
func openBits(name, what string, scores *scoreSource) (bitSource, error) {
	rows, classes := scores.rows(), scores.classes()
	shape := scores.shape
	if scores.dense != nil && len(scores.dense.Shape) > 1 {
		shape = scores.dense.Shape // spans: both axes
	}
	path, key := array.Split(name)
	ext := strings.ToLower(filepath.Ext(path))
	var source bitSource
	switch {
	case isText(ext):
		_, y, err := sparse.ReadText(path, classes, 0)
		if err != nil {
			return nil, err
		}
		source = wholeBits{&zlpr.SparseLabels{Classes: y.Cols, RowPtr: y.RowPtr, Indices: y.Indices}, name}
	case ext == ".npz" && key == "" && isSparse(path):
		y, err := sparse.Open(path)
		if err != nil {
			return nil, err
		}
		source = &csrBits{y, name}
	default:
		a, err := array.Open(name)
		if err != nil {
			return nil, err
		}
		if len(a.Shape) == len(shape)-1 && !a.Type.IsFloat() && a.Type != array.Bool && a.Len() == rows && what == "labels" {
			return wholeBits{&zlpr.TargetLabels{Classes: classes, Targets: array.All[int32](a)}, name}, nil
		}
		if !sameShape(a.Shape, shape) {
			return nil, fmt.Errorf("%s: %s of shape %s, scores of shape %s; %s must have the shape of the scores",
				name, what, array.ShapeString(a.Shape), array.ShapeString(shape), what)
		}
		source = &denseBits{a, rows, classes}
	}
	if r, c := source.dims(); r != rows || c != classes {
		return nil, fmt.Errorf("%s: %s of %d rows and %d classes, scores of %d rows and %d classes; they must agree",
			name, what, r, c, rows, classes)
	}
	return source, nil
}

// isText reports whether a file of that ending is libsvm text.
func isText(ext string) bool { return ext == ".txt" || ext == ".svm" || ext == ".libsvm" }

// isSparse reports whether an .npz file has a sparse matrix.
func isSparse(path string) bool {
	z, err := array.OpenArchive(path)
	if err != nil {
		return false
	}
	defer z.Close()
	return sparse.Is(z)
}

// sameShape compares shapes: equal, or of the same rows and classes once the
// leading axes are flattened.
func sameShape(a, b []int) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	i, j := len(a)-1, len(b)-1
	return a[i] == b[j] && product(a[:i]) == product(b[:j])
}

func product(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

// openLengths returns the mask of padded scores, whose shape tells what the
// lengths mean:
//
//	rows × classes            the first N[row] classes take part
//	batch × L × classes       the first N[example] positions take part
//	batch × heads × L × L     spans with start ≤ end < N[example] take part
func openLengths(name string, shape []int) (bitSource, error) {
	a, err := array.Open(name)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	if a.Type.IsFloat() || a.Type == array.Bool {
		return nil, fmt.Errorf("%s: lengths must be integers, not %s", name, a.Type)
	}
	if len(shape) < 2 || len(a.Shape) != 1 || a.Len() != shape[0] {
		return nil, fmt.Errorf("%s: lengths of shape %s for scores of shape %s; give one length for each entry of the first axis",
			name, array.ShapeString(a.Shape), array.ShapeString(shape))
	}
	lengths := make([]int, a.Len())
	for i, n := range array.All[int64](a) {
		lengths[i] = int(n)
		limit := shape[len(shape)-1]
		if len(shape) > 2 {
			limit = shape[len(shape)-2]
		}
		if n < 0 || n > int64(limit) {
			return nil, fmt.Errorf("%s: row %d: length %d is not in 0..%d", name, i, n, limit)
		}
	}
	switch {
	case len(shape) == 2:
		return wholeBits{&zlpr.LengthMask{Classes: shape[1], Lengths: lengths}, name}, nil
	case len(shape) == 4 && shape[2] == shape[3]:
		// A row is a head: the last two axes are the classes.
		return wholeBits{&zlpr.SpanMask{Heads: shape[1], L: shape[2], Lengths: lengths}, name}, nil
	case len(shape) == 3:
		m := &zlpr.LengthMask{Classes: shape[2], Lengths: make([]int, shape[0]*shape[1])}
		for i, n := range lengths {
			for p := range n {
				m.Lengths[i*shape[1]+p] = shape[2]
			}
		}
		return wholeBits{m, name}, nil
	}
	return nil, fmt.Errorf("%s: lengths do not go with scores of shape %s", name, array.ShapeString(shape))
}

// openVector opens an array of n numbers.
func openVector(name, what string, n int) ([]float64, error) {
	a, err := array.Open(name)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	if a.Len() != n {
		return nil, fmt.Errorf("%s: %d %s, but %d are needed", name, a.Len(), what, n)
	}
	return append([]float64(nil), array.All[float64](a)...), nil
}

// openWeights opens n weights: finite, and at least 0. each says what one is of.
func openWeights(name, what, each string, n int) ([]float64, error) {
	weights, err := openVector(name, what, n)
	if err != nil {
		return nil, err
	}
	for i, w := range weights {
		if !(w >= 0) || math.IsInf(w, 1) {
			return nil, fmt.Errorf("%s: %s %d: weight %v is not finite and at least 0; mend the weight", name, each, i, w)
		}
	}
	return weights, nil
}

// Scores are a file of scores: an array, or a sparse matrix of the highest ones.
type scoreSource struct {
	name  string
	dtype array.DType
	shape []int // as the file has it, but for span scores, whose last two axes are one
	dense *array.Array
	csr   *sparse.Matrix
}

func openScores(name string) (*scoreSource, error) {
	path, key := array.Split(name)
	if strings.EqualFold(filepath.Ext(path), ".npz") && key == "" && isSparse(path) {
		m, err := sparse.Open(path)
		if err != nil {
			return nil, err
		}
		t := m.Values.Type
		if !t.IsFloat() {
			return nil, fmt.Errorf("%s: scores of type %s; write them as float32", name, t)
		}
		return &scoreSource{name: name, dtype: t, shape: []int{m.Rows, m.Cols}, csr: m}, nil
	}
	a, err := array.Open(name)
	if err != nil {
		return nil, err
	}
	if !a.Type.IsFloat() {
		a.Close()
		return nil, fmt.Errorf("%s: scores of type %s; write them as float16, float32 or float64 (are --scores and --labels exchanged?)",
			name, a.Type)
	}
	shape := a.Shape
	for len(shape) < 2 {
		shape = append([]int{1}, shape...)
	}
	return &scoreSource{name: name, dtype: a.Type, shape: shape, dense: a}, nil
}

func (s *scoreSource) rows() int    { return product(s.shape[:len(s.shape)-1]) }
func (s *scoreSource) classes() int { return s.shape[len(s.shape)-1] }

// flattenSpans makes one axis of the last two.
func (s *scoreSource) flattenSpans() {
	s.shape = []int{s.shape[0], s.shape[1], s.shape[2] * s.shape[3]}
}

func (s *scoreSource) Close() error {
	if s.csr != nil {
		return s.csr.Close()
	}
	return s.dense.Close()
}

// describeLabels says what the labels are.
func (e *evaluation) describeLabels() string {
	switch b := e.labels.(type) {
	case nil:
		return e.soft.Describe() + ", soft"
	case *denseBits:
		return b.Describe()
	case *csrBits:
		return fmt.Sprintf("%s %d×%d, %d listed", b.Values.Type, b.Rows, b.Cols, b.RowPtr[b.Rows])
	case wholeBits:
		if _, ok := b.Bits.(*zlpr.TargetLabels); ok {
			return "one class a row"
		}
	}
	rows, classes := e.labels.dims()
	return fmt.Sprintf("text, %d×%d", rows, classes)
}

// describe says what the scores are.
func (s *scoreSource) describe() string {
	if s.csr != nil {
		return fmt.Sprintf("%s %s, %d listed", s.dtype, array.ShapeString(s.shape), s.csr.RowPtr[s.csr.Rows])
	}
	return s.dense.Describe()
}
