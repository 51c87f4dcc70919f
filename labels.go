package zlpr

import (
	"math"
	"math/bits"
	"reflect"
	"sort"
	"strconv"
	"unsafe"

	"github.com/zlpr/zlpr/internal/kernel"
)

// LabelElement is the type of one label of DenseLabels.
type LabelElement interface {
	~bool | ~int | ~int8 | ~int16 | ~int32 | ~int64 |
		~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr | ~float32 | ~float64
}

// DenseLabels are labels, or a mask, as a row-major matrix of zeros and ones:
// class j of row i is Data[i*Stride+j], Stride ≥ Cols; a Stride of 0 means Cols.
//
// A value that is neither 0 nor 1 is a *DataError.
type DenseLabels[E LabelElement] struct {
	Rows, Cols int
	Data       []E
	Stride     int
}

// Dims returns the number of rows and of classes.
func (l *DenseLabels[E]) Dims() (rows, classes int) {
	if l == nil {
		return 0, 0 // an error beside scores
	}
	return l.Rows, l.Cols
}

// ReadRows implements Bits.
func (l *DenseLabels[E]) ReadRows(dst []uint64, r0, r1 int) error {
	stride := strideOr(l.Stride, l.Cols)
	if !fits(l.Rows, l.Cols, stride, len(l.Data)) {
		return badLabels("DenseLabels", "elements of data", len(l.Data), l.Rows, l.Cols, l.Stride)
	}
	if err := checkRange(len(dst), l.Rows, l.Cols, r0, r1); err != nil || r0 == r1 || l.Cols == 0 {
		return err
	}
	read := rowsOf{dst, l.Cols, stride, r0, r1}
	kind := reflect.TypeFor[E]().Kind()
	switch size := unsafe.Sizeof(l.Data[0]); {
	case size >= 4 && read.packWords(labelWords(l.Data)):
		return nil
	case kind == reflect.Float32:
		return readNumbers(read, kernel.Cast[float32](l.Data))
	case kind == reflect.Float64:
		return readNumbers(read, kernel.Cast[float64](l.Data))
	case size == 1 && kind == reflect.Int8:
		return readBytes(read, kernel.Cast[int8](l.Data))
	case size == 1:
		return readBytes(read, kernel.Cast[uint8](l.Data))
	case size == 2 && kind == reflect.Int16:
		return readNumbers(read, kernel.Cast[int16](l.Data))
	case size == 2:
		return readNumbers(read, kernel.Cast[uint16](l.Data))
	case size == 4 && (kind == reflect.Int32 || kind == reflect.Int):
		return readNumbers(read, kernel.Cast[int32](l.Data))
	case size == 4:
		return readNumbers(read, kernel.Cast[uint32](l.Data))
	case kind == reflect.Int64 || kind == reflect.Int:
		return readNumbers(read, kernel.Cast[int64](l.Data))
	}
	return readNumbers(read, kernel.Cast[uint64](l.Data))
}

// readFlat reads rows without gaps as bits without gaps, or reports that it
// cannot: ReadRows can, or says what is wrong.
func (l *DenseLabels[E]) readFlat(dst []uint64, r0, r1 int) bool {
	if strideOr(l.Stride, l.Cols) != l.Cols || !fits(l.Rows, l.Cols, l.Cols, len(l.Data)) {
		return false
	}
	n, data := (r1-r0)*l.Cols, l.Data[r0*l.Cols:r1*l.Cols]
	switch unsafe.Sizeof(*new(E)) {
	case 1:
		return kernel.PackBytes(dst, kernel.Cast[uint8](data), n, 1, n)
	case 2:
		return false
	}
	return rowsOf{dst, n, n, 0, 1}.packWords(labelWords(data))
}

// A words is labels of 4 or 8 bytes, those of the other size nil: the bits of 1,
// and those that a 0 may have.
type words struct {
	four      []float32
	eight     []float64
	one, zero uint64
}

// labelWords returns labels of 4 or 8 bytes as such.
func labelWords[E LabelElement](data []E) words {
	kind := reflect.TypeFor[E]().Kind()
	w := words{one: 1}
	if unsafe.Sizeof(*new(E)) == 4 {
		w.four = kernel.Cast[float32](data)
		if kind == reflect.Float32 {
			w.one, w.zero = uint64(math.Float32bits(1)), 1<<31
		}
		return w
	}
	w.eight = kernel.Cast[float64](data)
	if kind == reflect.Float64 {
		w.one, w.zero = math.Float64bits(1), 1<<63
	}
	return w
}

// packWords reads labels of 4 or 8 bytes, or reports that one is neither 0 nor 1.
func (q rowsOf) packWords(w words) bool {
	at, rows := q.r0*q.stride, q.r1-q.r0
	if w.four != nil {
		return kernel.PackWords(q.dst, w.four[at:], q.stride, rows, q.cols, w.one, w.zero)
	}
	return kernel.PackWords(q.dst, w.eight[at:], q.stride, rows, q.cols, w.one, w.zero)
}

// strideOr returns a stride, of which 0 means the row's length.
func strideOr(stride, length int) int {
	if stride == 0 {
		return length
	}
	return stride
}

// rowsOf are rows to read from a matrix of labels: dst takes their bits.
type rowsOf struct {
	dst                  []uint64
	cols, stride, r0, r1 int
}

// fits reports whether a matrix lies within its data.
func fits(rows, cols, stride, length int) bool {
	if rows < 0 || cols < 0 || stride < cols {
		return false
	}
	return rows == 0 || cols == 0 || length >= cols && rows-1 <= (length-cols)/stride
}

// checkRange checks the arguments of ReadRows.
func checkRange(room, rows, classes, r0, r1 int) error {
	words := kernel.BitWords(classes)
	switch {
	case r0 < 0 || r1 < r0 || r1 > rows:
		return fieldError("ReadRows", "rows %d to %d, want some of 0 to %d", r0, r1, rows)
	case words > 0 && r1-r0 > room/words:
		return fieldError("ReadRows", "room for %d words, want %d for each of %d rows", room, words, r1-r0)
	}
	return nil
}

// badLabels is the error of labels that do not lie within their data.
func badLabels(labels, what string, have, rows, cols, stride int) error {
	return fieldError(labels, "%d rows × %d classes of stride %d, want sizes of at least 0 and rows that lie within the stride and the %d %s",
		rows, cols, stride, have, what)
}

// badClasses is the error of a negative number of classes.
func badClasses(labels string, classes int) error {
	return fieldError(labels+".Classes", "%d, want at least 0", classes)
}

// readBytes reads labels of one byte.
func readBytes[E uint8 | int8](q rowsOf, data []E) error {
	if kernel.PackRows(q.dst, kernel.Cast[uint8](data)[q.r0*q.stride:], q.stride, q.r1-q.r0, q.cols) {
		return nil
	}
	return readNumbers(q, data)
}

// number is what a label may be.
type number interface {
	uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64 | float32 | float64
}

// readNumbers reads labels of several bytes.
func readNumbers[E number](q rowsOf, data []E) error {
	dst, cols, stride, r0, r1 := q.dst, q.cols, q.stride, q.r0, q.r1
	w := kernel.BitWords(cols)
	for r := r0; r < r1; r++ {
		row, out := data[r*stride:][:cols], dst[(r-r0)*w:][:w]
		for k := range out {
			var word uint64
			for j, v := range row[64*k : min(64*k+64, cols)] {
				switch {
				case v == 1:
					word |= 1 << j
				case v != 0:
					return notBinary(r, 64*k+j, float64(v))
				}
			}
			out[k] = word
		}
	}
	return nil
}

// BitLabels are labels, or a mask, as bits: class j of row i is bit j%64,
// counted from the least significant, of Words[i*Stride+j/64]. Every row begins
// a new word. Bits past the last class are ignored.
type BitLabels struct {
	Rows, Cols int
	Words      []uint64
	Stride     int // in words, at least (Cols+63)/64; 0 means that
}

// Dims returns the number of rows and of classes.
func (l *BitLabels) Dims() (rows, classes int) {
	if l == nil {
		return 0, 0 // an error beside scores
	}
	return l.Rows, l.Cols
}

// ReadRows implements Bits.
func (l *BitLabels) ReadRows(dst []uint64, r0, r1 int) error {
	w := kernel.BitWords(l.Cols)
	stride := strideOr(l.Stride, w)
	if l.Cols < 0 || !fits(l.Rows, w, stride, len(l.Words)) {
		return badLabels("BitLabels", "words", len(l.Words), l.Rows, l.Cols, l.Stride)
	}
	if err := checkRange(len(dst), l.Rows, l.Cols, r0, r1); err != nil || w == 0 {
		return err
	}
	dst = dst[:(r1-r0)*w]
	if stride == w {
		copy(dst, l.Words[r0*w:])
	} else {
		for i := 0; i < len(dst); i += w {
			copy(dst[i:][:w], l.Words[(r0+i/w)*stride:])
		}
	}
	if last := kernel.LastWord(l.Cols); last != ^uint64(0) {
		for i := w - 1; i < len(dst); i += w {
			dst[i] &= last
		}
	}
	return nil
}

// SparseLabels list the positive classes of every row, in the compressed sparse
// rows (CSR) of scipy: those of row i are Indices[RowPtr[i]:RowPtr[i+1]], in
// any order. With Values, an index whose value is 0 is no label. An index that
// is repeated or no class, and a value that is neither 0 nor 1, is a *DataError.
type SparseLabels struct {
	Classes int
	RowPtr  []int64   // one more than rows
	Indices []int32   // classes, counted from 0
	Values  []float32 // nil: all 1
}

// SparseLabelsOf returns the labels of rows that list their classes. A class that
// is none of so many is a *DataError.
func SparseLabelsOf(rows [][]int, classes int) (*SparseLabels, error) {
	l := &SparseLabels{Classes: classes, RowPtr: make([]int64, 1, len(rows)+1)}
	for r, list := range rows {
		for _, j := range list {
			if j < 0 || j >= classes || j > math.MaxInt32 {
				return nil, noSuchClass(r, j, classes)
			}
			l.Indices = append(l.Indices, int32(j))
		}
		l.RowPtr = append(l.RowPtr, int64(len(l.Indices)))
	}
	return l, nil
}

// Dims returns the number of rows and of classes.
func (l *SparseLabels) Dims() (rows, classes int) {
	if l == nil {
		return 0, 0 // an error beside scores
	}
	return max(len(l.RowPtr)-1, 0), l.Classes
}

// ReadRows implements Bits.
func (l *SparseLabels) ReadRows(dst []uint64, r0, r1 int) error {
	switch {
	case l.Classes < 0:
		return badClasses("SparseLabels", l.Classes)
	case l.Values != nil && len(l.Values) != len(l.Indices):
		return fieldError("SparseLabels.Values", "%d, want one for each of %d indices", len(l.Values), len(l.Indices))
	}
	rows, _ := l.Dims()
	if err := checkRange(len(dst), rows, l.Classes, r0, r1); err != nil {
		return err
	}
	if r0 == r1 {
		return nil
	}
	w := kernel.BitWords(l.Classes)
	dst = dst[:(r1-r0)*w]
	if l.Values == nil && l.scatter(dst, w, r0, r1) {
		return nil
	}
	clear(dst)
	for r := r0; r < r1; r++ {
		begin, end := l.RowPtr[r], l.RowPtr[r+1]
		if begin < 0 || end < begin || end > int64(len(l.Indices)) {
			return &DataError{r, -1, LabelPointers, "row pointers decrease or reach beyond the indices"}
		}
		out := dst[(r-r0)*w:][:w]
		for k := begin; k < end; k++ {
			j := l.Indices[k]
			if j < 0 || int(j) >= l.Classes {
				return noSuchClass(r, int(j), l.Classes)
			}
			if l.Values != nil && l.Values[k] != 1 {
				if l.Values[k] == 0 {
					continue
				}
				return notBinary(r, int(j), float64(l.Values[k]))
			}
			bit := uint64(1) << (j & 63)
			if out[j>>6]&bit != 0 {
				return &DataError{r, int(j), LabelRepeated, "class is listed twice"}
			}
			out[j>>6] |= bit
		}
	}
	return nil
}

// scatter sets the bits of rows r0 to r1-1, of w words each, and reports whether
// their labels are in order. It has no branch that depends on the length of a
// short row, which is hard to predict.
func (l *SparseLabels) scatter(dst []uint64, w, r0, r1 int) bool {
	clear(dst)
	classes, set := uint(l.Classes), dst
	for ptr := l.RowPtr[r0 : r1+1]; len(ptr) > 1; {
		begin, rows := ptr[0], len(ptr)-1
		if ptr[rows]-begin > 4*int64(rows) {
			rows = 1 // rows are not short
		} else if ptr[rows]-begin > mostScattered {
			rows = max(1, sort.Search(rows, func(i int) bool { return ptr[i+1]-begin > mostScattered }))
		}
		end := ptr[rows]
		if begin < 0 || end < begin || end > int64(len(l.Indices)) {
			return false
		}
		labels, part := l.Indices[begin:end], dst[:rows*w]
		if !(rows == 1 && scatterRow(part, classes, labels) || rows > 1 && scatterRows(part, w, classes, ptr[:rows+1], labels)) {
			return false
		}
		ptr, dst = ptr[rows:], dst[rows*w:]
	}
	return kernel.CountBits(set) == int(l.RowPtr[r1]-l.RowPtr[r0]) // none is listed twice
}

// mostScattered is the most labels that scatterRows takes.
const mostScattered = 256

// scatterRows sets the bits of rows with at most mostScattered labels in all.
func scatterRows(dst []uint64, w int, classes uint, ptr []int64, labels []int32) bool {
	// first[k] is the place of the last row that begins at label k, if any does.
	var first [mostScattered + 1]int
	var bad int64 // negative where pointers decrease
	for i, p := range ptr[:len(ptr)-1] {
		bad |= ptr[i+1] - p
		k := p - ptr[0]
		if uint64(k) > mostScattered {
			return false
		}
		first[k] = i * w
	}
	if bad < 0 {
		return false
	}
	row := 0
	for k, j := range labels[:min(len(labels), mostScattered)] { // all, but the compiler sees the bound
		if uint(j) >= classes {
			return false
		}
		row = max(row, first[k])
		dst[row+int(j)>>6] |= 1 << (j & 63)
	}
	return true
}

// scatterRow sets the bits of one row.
func scatterRow(dst []uint64, classes uint, labels []int32) bool {
	for _, j := range labels {
		if uint(j) >= classes {
			return false
		}
		dst[int(j)>>6] |= 1 << (j & 63)
	}
	return true
}

// Ignore is the target of a row that is left out.
const Ignore = -1

// TargetLabels are one positive class a row. A row whose target is Ignore is left
// out, of every loss as of every measure of package metrics; its bits have no positive
// class. Another target that is no class is a *DataError.
type TargetLabels struct {
	Classes int
	Targets []int32
}

// Dims returns the number of rows and of classes.
func (l *TargetLabels) Dims() (rows, classes int) {
	if l == nil {
		return 0, 0 // an error beside scores
	}
	return len(l.Targets), l.Classes
}

// ReadRows implements Bits.
func (l *TargetLabels) ReadRows(dst []uint64, r0, r1 int) error {
	if l.Classes < 0 {
		return badClasses("TargetLabels", l.Classes)
	}
	if err := checkRange(len(dst), len(l.Targets), l.Classes, r0, r1); err != nil {
		return err
	}
	w := kernel.BitWords(l.Classes)
	clear(dst[:(r1-r0)*w])
	for r := r0; r < r1; r++ {
		switch j := int(l.Targets[r]); {
		case j == Ignore:
		case j < 0 || j >= l.Classes:
			return noSuchClass(r, j, l.Classes)
		default:
			dst[(r-r0)*w+j>>6] = 1 << (j & 63)
		}
	}
	return nil
}

// readFlat is that of DenseLabels, of at most 32 classes.
func (l *TargetLabels) readFlat(dst []uint64, r0, r1 int) bool {
	if r0 < 0 || r1 > len(l.Targets) {
		return false
	}
	n, targets := l.Classes, l.Targets[r0:r1]
	if whole := len(targets) &^ 7; n == kernel.EightRow && whole > 0 && kernel.HasEights() {
		return kernel.PackEights(dst, targets[:whole]) && (whole == len(targets) || l.readFlat(dst[whole/8:], r0+whole, r1))
	}
	if whole := kernel.PackedTargets(len(dst), len(targets), n); whole > 0 {
		return kernel.PackTargets(dst, targets[:whole], n) && packBehind(dst, targets, whole, n)
	}
	n32 := uint32(n)
	most := uint32(0) // of the targets; those below 0 are large
	var word uint64
	filled, k, i := 0, 0, 0
	for ; 4*n > 64 && i <= len(targets)-2; i += 2 {
		s, t := uint32(targets[i]), uint32(targets[i+1])
		most = max(most, s, t)
		two := uint64(1)<<(s&63) | 1<<((n32+t)&63)
		word |= two << (filled & 63)
		if filled += 2 * n; filled >= 64 {
			filled -= 64
			dst[k] = word
			word = two >> (2*n - filled) // what was left of them
			k++
		}
	}
	for i < len(targets) {
		for ; filled+4*n <= 64 && i <= len(targets)-4; i += 4 {
			s, t, u, v := uint32(targets[i]), uint32(targets[i+1]), uint32(targets[i+2]), uint32(targets[i+3])
			most = max(most, s, t, u, v)
			four := uint64(1)<<(s&63) | 1<<((n32+t)&63) | 1<<((2*n32+u)&63) | 1<<((3*n32+v)&63)
			word |= four << (filled & 63)
			filled += 4 * n
		}
		for ; filled+n <= 64 && i < len(targets); i++ {
			t := uint32(targets[i])
			most = max(most, t)
			word |= 1 << ((uint32(filled) + t) & 63)
			filled += n
		}
		if i == len(targets) {
			break
		}
		if filled == 64 {
			dst[k] = word
			word, filled, k = 0, 0, k+1
			continue
		}
		// The row begins in this word and ends in the next.
		t := uint32(targets[i])
		most = max(most, t)
		dst[k] = word | 1<<(uint64(filled)+uint64(t))
		word = 1 << (uint64(filled) + uint64(t) - 64)
		filled += n - 64
		k, i = k+1, i+1
	}
	if filled > 0 {
		dst[k] = word
	}
	return int64(most) < int64(n)
}

// packBehind packs the targets from that one on, the bits of those before it being packed.
func packBehind(dst []uint64, targets []int32, from, n int) bool {
	bit := n * from
	if words := dst[bit/64 : kernel.BitWords(n*len(targets))]; len(words) > 0 {
		words[0] &= 1<<(bit%64) - 1
		clear(words[1:])
	}
	for _, t := range targets[from:] {
		if uint32(t) >= uint32(n) {
			return false
		}
		at := bit + int(t)
		dst[at/64] |= 1 << (at % 64)
		bit += n
	}
	return true
}

// LengthMask is the mask of padded rows: the first Lengths[i] classes of row i
// take part.
type LengthMask struct {
	Classes int
	Lengths []int
}

// Dims returns the number of rows and of classes.
func (m *LengthMask) Dims() (rows, classes int) {
	if m == nil {
		return 0, 0 // an error beside scores
	}
	return len(m.Lengths), m.Classes
}

// ReadRows implements Bits.
func (m *LengthMask) ReadRows(dst []uint64, r0, r1 int) error {
	if m.Classes < 0 {
		return badClasses("LengthMask", m.Classes)
	}
	if err := checkRange(len(dst), len(m.Lengths), m.Classes, r0, r1); err != nil {
		return err
	}
	w := kernel.BitWords(m.Classes)
	clear(dst[:(r1-r0)*w])
	for r := r0; r < r1; r++ {
		n := m.Lengths[r]
		if n < 0 || n > m.Classes {
			return badLengthMask(r, n, m.Classes)
		}
		kernel.SetBits(dst[(r-r0)*w:][:w], 0, n)
	}
	return nil
}

// badLengthMask is the error of a length that is not in 0..most.
func badLengthMask(row, length, most int) *DataError {
	return &DataError{row, -1, LengthRange, "length " + strconv.Itoa(length) + " is not in 0.." + strconv.Itoa(most)}
}

// SpanMask is the mask of span scores [examples, heads, L, L], as GlobalPointer
// has them: a row is one head of one example, with L·L classes; class s·L+e is
// the span from token s to token e. It takes part where s ≤ e < Lengths[example].
type SpanMask struct {
	Heads, L int
	Lengths  []int // tokens of every example
}

// Dims returns the number of rows and of classes.
func (m *SpanMask) Dims() (rows, classes int) {
	if m == nil {
		return 0, 0 // an error beside scores
	}
	return len(m.Lengths) * m.Heads, m.L * m.L
}

// ReadRows implements Bits.
func (m *SpanMask) ReadRows(dst []uint64, r0, r1 int) error {
	if hi, lo := bits.Mul64(uint64(m.L), uint64(m.L)); m.Heads < 0 || m.L < 0 || hi != 0 || lo > math.MaxInt32*64 {
		return fieldError("SpanMask", "%d heads of %d × %d spans, want none negative and at most 2^37 spans", m.Heads, m.L, m.L)
	}
	rows, classes := m.Dims()
	if err := checkRange(len(dst), rows, classes, r0, r1); err != nil {
		return err
	}
	w := kernel.BitWords(classes)
	clear(dst[:(r1-r0)*w])
	for r := r0; r < r1; r++ {
		n := m.Lengths[r/m.Heads]
		if n < 0 || n > m.L {
			return badLengthMask(r, n, m.L)
		}
		for s := range n {
			kernel.SetBits(dst[(r-r0)*w:][:w], s*m.L+s, s*m.L+n)
		}
	}
	return nil
}
