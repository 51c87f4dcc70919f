package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/lengths"
	"github.com/zlpr/zlpr/internal/source"
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

func (b wholeBits) name() string               { return b.file }
func (b wholeBits) dims() (rows, classes int)  { return b.Dims() }
func (b wholeBits) block(r0, r1 int) zlpr.Bits { return &rowsOf{b.Bits, r0, r1} }

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
	case array.Float16, array.BFloat16, array.Float32:
		return dense(array.Read[float32](b.Array, nil, r0*b.classes, r1*b.classes), r1-r0, b.classes)
	case array.Float64:
		return dense(array.Read[float64](b.Array, nil, r0*b.classes, r1*b.classes), r1-r0, b.classes)
	case array.Int16, array.Uint16, array.Int32:
		return dense(array.Read[int32](b.Array, nil, r0*b.classes, r1*b.classes), r1-r0, b.classes)
	}
	return dense(array.Read[int64](b.Array, nil, r0*b.classes, r1*b.classes), r1-r0, b.classes)
}

// csrBits are the 0 and 1 of a sparse matrix, or lists of what is 1.
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

// targetBits are class numbers, one a row, that were checked: -1, or the number
// to be ignored, where a row has none.
type targetBits struct {
	*array.Array
	classes int
	ignore  int64
	ignored int // so many rows have none
}

func (b *targetBits) name() string              { return b.Name }
func (b *targetBits) dims() (rows, classes int) { return b.Len(), b.classes }
func (b *targetBits) block(r0, r1 int) zlpr.Bits {
	targets := make([]int32, r1-r0)
	for i, v := range array.Read[int64](b.Array, nil, r0, r1) {
		if targets[i] = int32(v); v == b.ignore {
			targets[i] = zlpr.Ignore
		}
	}
	return &zlpr.TargetLabels{Classes: b.classes, Targets: targets}
}

// newTargets returns class numbers below classes, or of as many classes as
// occur if classes is negative. where says which file has a row, and where.
func newTargets(a *array.Array, classes int, ignore int64, where func(row int) (file, place string)) (*targetBits, error) {
	b := &targetBits{Array: a, classes: classes, ignore: ignore}
	const step = 1 << 16
	buffer := make([]int64, 0, step)
	largest := int64(-1)
	for from := 0; from < a.Len(); from += step {
		block, err := array.Integers(a, buffer, from, min(from+step, a.Len()))
		var e *array.ElementError
		if errors.As(err, &e) {
			return nil, b.noClass(where, e.Index, e.Value)
		}
		for i, v := range block {
			if v != ignore && (v < zlpr.Ignore || v >= math.MaxInt32 || classes >= 0 && v >= int64(classes)) {
				return nil, b.noClass(where, from+i, strconv.FormatInt(v, 10))
			}
			if v == ignore || v == zlpr.Ignore {
				b.ignored++
			}
			if v != ignore {
				largest = max(largest, v)
			}
		}
	}
	if classes < 0 {
		b.classes = int(largest) + 1
	}
	return b, nil
}

// noClass is the error of a class number that is none.
func (b *targetBits) noClass(where func(row int) (file, place string), row int, value string) error {
	file, place := where(row)
	of := ""
	if b.classes >= 0 {
		of = fmt.Sprintf(" of %d", b.classes)
	}
	ignore := ""
	if _, err := strconv.ParseInt(value, 10, strconv.IntSize); err == nil {
		ignore = ", --ignore-index=" + value + " this number too"
	}
	return array.Faultf(file, "%s: class number %s%s, counted from 0; -1 leaves a row out%s", place, value, of, ignore)
}

// labelValues returns the elements from to to-1 as what they are as labels: 0,
// 1, NaN, or 2 for all that is none of these; rounding makes no label of one
// that is not.
func labelValues(a *array.Array, from, to int64) []float32 {
	if a == nil {
		return nil
	}
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
// for none. Where there is one class only, they are its labels.
func (f *readFlags) openBits(name, what string, scores *scoreSource) (bitSource, error) {
	rows, classes := scores.rows(), scores.classes()
	shape := scores.shape
	if scores.dense != nil && len(scores.dense.Shape) > 1 {
		shape = scores.dense.Shape // spans: both axes
	}
	opened, err := f.options.OpenPart(name, source.Part(what), source.Labels, classes)
	if err != nil {
		return nil, err
	}
	f.note(what, name, opened)
	if err := checkPairs(what, shardsOf(opened, rows), shardsOf(scores, rows)); err != nil {
		opened.Close()
		return nil, err
	}
	var bits bitSource
	switch a := opened.(type) {
	case *sparse.Matrix:
		bits = &csrBits{a, name}
	case *array.Array:
		axisLess := slices.Equal(a.Shape, shape[:len(shape)-1])
		if axisLess && classes > 1 && !a.Type.IsFloat() && a.Type != array.Bool && what == "labels" {
			f.targets = true
			return newTargets(a, classes, int64(f.ignore), func(row int) (file, place string) {
				file, at, of := inShard(name, shardsOf(a, rows), row)
				return file, scores.place(at, -1) + of
			})
		}
		if !sameShape(a.Shape, shape) && !(axisLess && classes == 1) {
			return nil, array.Faultf(name, "%s of shape %s, scores of shape %s; %s must have the shape of the scores%s",
				what, array.ShapeString(a.Shape), array.ShapeString(shape), what, orTargets(what, classes))
		}
		bits = &denseBits{a, rows, classes}
	}
	if r, c := bits.dims(); r != rows || c != classes {
		return nil, array.Faultf(name, "%s of %s and %s, scores of %s and %s; they must agree", what, array.Counted(r, "row"), array.Counted(c, "class"), array.Counted(rows, "row"), array.Counted(classes, "class"))
	}
	return bits, nil
}

// orTargets says what labels may be besides a matrix.
func orTargets(what string, classes int) string {
	if what == "labels" && classes > 1 {
		return ", or be class numbers, integers of one axis less"
	}
	return ""
}

// sameShape compares shapes: equal, or of the same rows and classes where the
// leading axes of one of them are flattened.
func sameShape(a, b []int) bool {
	if slices.Equal(a, b) {
		return true
	}
	if len(a) == 0 || len(b) == 0 || len(a) > 2 && len(b) > 2 {
		return false
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

// openLengths returns the mask of padded scores, as lengths.Mask makes it. It returns the files of the lengths as well, if there are several.
func (f *readFlags) openLengths(name string, scores *scoreSource) (bitSource, *array.Shards, error) {
	a, err := f.openArray(name, source.Lengths)
	if err != nil {
		return nil, nil, err
	}
	defer a.Close()
	f.note("lengths", name, a)
	if err := checkPairs("lengths", a.Shards, shardsOf(scores, scores.shape[0])); err != nil {
		return nil, nil, err
	}
	bits, err := lengths.Mask(a, name, scores.shape, func(i int) (file, place string) {
		file, at, of := inShard(name, a.Shards, i)
		return file, fmt.Sprintf("row %d%s", at, of)
	})
	return wholeBits{bits, name}, a.Shards, err
}

// openArray opens an array, where a sparse matrix is none.
func (f *readFlags) openArray(name string, part source.Part) (*array.Array, error) {
	return asArray(name)(f.options.OpenPart(name, part, source.Numbers, -1))
}

// asArray makes what was opened of a file an array, or an error.
func asArray(name string) func(source.Source, error) (*array.Array, error) {
	return func(opened source.Source, err error) (*array.Array, error) {
		if err != nil {
			return nil, err
		}
		a, ok := opened.(*array.Array)
		if !ok {
			opened.Close()
			return nil, array.Faultf(name, "a sparse matrix, where an array is needed; write it with numpy.save(file, matrix.toarray())")
		}
		return a, nil
	}
}

// openVector opens an array of n numbers.
func (f *readFlags) openVector(name, what string, n int) ([]float64, error) {
	x, _, err := f.openRows(name, what, "", n, nil)
	return x, err
}

// openRows is openVector of a part of a manifest, or of files that go with the
// shards of scores. It returns the files as well, if there are several.
func (f *readFlags) openRows(name, what string, part source.Part, n int, scores *array.Shards) ([]float64, *array.Shards, error) {
	a, err := f.openArray(name, part)
	if err != nil {
		return nil, nil, err
	}
	defer a.Close()
	f.note(what, name, a)
	if err := checkPairs(what, a.Shards, scores); err != nil {
		return nil, nil, err
	}
	if a.Len() != n {
		return nil, nil, array.Faultf(name, "%d %s, but %d are needed", a.Len(), what, n)
	}
	return array.Copy[float64](a, 0, n), a.Shards, nil
}

// openWeights opens n weights: finite, and at least 0. each says what one is of.
// Those of rows may be in files that go with the shards of scores.
func (f *readFlags) openWeights(name, what, each string, n int, scores *array.Shards) ([]float64, error) {
	part := source.Part("")
	if each == "row" {
		part = source.RowWeights
	}
	weights, shards, err := f.openRows(name, what, part, n, scores)
	if err != nil {
		return nil, err
	}
	for i, w := range weights {
		if !(w >= 0) || math.IsInf(w, 1) {
			file, at, of := inShard(name, shards, i)
			return nil, array.Faultf(file, "%s %d%s: weight %v is not finite and at least 0; mend the weight", each, at, of, w)
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

func (f *readFlags) openScores(name string) (*scoreSource, error) {
	return f.openScoresAs("scores", name)
}

// openScoresAs is openScores of those of the student or the teacher.
func (f *readFlags) openScoresAs(what, name string) (*scoreSource, error) {
	opened, err := f.options.OpenPart(name, source.Scores, source.Numbers, -1)
	if err != nil {
		return nil, err
	}
	f.note(what, name, opened)
	s := &scoreSource{name: name, dtype: opened.DType()}
	switch opened := opened.(type) {
	case *sparse.Matrix:
		s.csr, s.shape = opened, []int{opened.Rows, opened.Cols}
		err = source.Check(name, opened)
	case *array.Array:
		s.dense, s.shape = opened, opened.Shape
		if opened.Shards != nil && len(opened.Shape) < 2 {
			err = array.Faultf(opened.Shards.Names[0], "scores of one axis in a shard; write them as rows×classes")
		}
		for len(s.shape) < 2 {
			s.shape = append([]int{1}, s.shape...)
		}
	}
	if err == nil && !s.dtype.IsFloat() {
		err = array.Faultf(name, "scores of type %s; write them as float16, bfloat16, float32 or float64 (are --scores and --labels exchanged?)", s.dtype)
	}
	if err != nil {
		opened.Close()
		return nil, err
	}
	return s, nil
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
		if e.soft == nil {
			return "none"
		}
		return e.soft.Describe() + ", soft"
	case *denseBits:
		return b.Describe()
	case *csrBits:
		if b.Values == nil {
			return fmt.Sprintf("lists, %d×%d, %d listed", b.Rows, b.Cols, len(b.Indices))
		}
		return b.Describe()
	}
	return "one class a row"
}

// describe says what the scores are.
func (s *scoreSource) describe() string {
	if s.csr != nil {
		return s.csr.Describe()
	}
	return s.dense.Describe()
}
