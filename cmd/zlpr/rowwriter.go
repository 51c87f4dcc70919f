package main

import (
	"archive/zip"
	"bufio"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/atomicfile"
	"github.com/zlpr/zlpr/internal/sparse"
)

// A matrixInfo says what a matrix that is written is.
type matrixInfo struct {
	rows, cols int
	shape      []int       // for arrays
	dtype      array.DType // of arrays and of values: uint8, float32 or float64; bits are their own
	labels     bool        // whether all numbers are 0 or 1
	missing    float64     // what sparse formats do not list
	key        string      // of an archive's array
}

// A rowBlock is some rows of a matrix: dense ones, float32 or float64, or what is
// not missing in each.
type rowBlock struct {
	rows    int
	single  []float32 // rows × columns, or nil
	double  []float64 // the same
	ptr     []int64   // of rows + 1: entries ptr[i] to ptr[i+1]-1 are of row i
	indices []int32
	values  []float64 // none: all are 1
}

// dense reports whether the rows are dense.
func (b *rowBlock) dense() bool { return b.single != nil || b.double != nil }

// elements returns elements of dense rows, where they lie or in buffer.
func (b *rowBlock) elements(buffer []float64, from, to int) []float64 {
	if b.double != nil {
		return b.double[from:to]
	}
	buffer = buffer[:0]
	for _, v := range b.single[from:to] {
		buffer = append(buffer, float64(v))
	}
	return buffer
}

func (b *rowBlock) value(k int64) float64 {
	if len(b.values) == 0 {
		return 1
	}
	return b.values[k]
}

// pieceColumns is how many elements of a row are written at a time: a row may be
// as long as memory.
const pieceColumns = 1 << 16

// A rowWriter writes the rows of a matrix, block after block.
type rowWriter interface {
	write(b *rowBlock) error
	finish() error
	discard() // what finish did not
}

// outFormats are the formats of matrices that are written.
var outFormats = []string{"npy", "npz", "safetensors", "csv", "tsv", "csr", "csc", "libsvm", "xmc", "bits"}

// formatOfName returns the format that the ending of an output's name stands
// for, "" if it is none, and the key after a colon. An .npz is a sparse matrix
// unless it has a key.
func formatOfName(name string) (path, key, format string) {
	path = name
	i := strings.LastIndexByte(name, ':')
	if i > 1 && slices.Contains([]string{".npz", ".safetensors"}, strings.ToLower(filepath.Ext(name[:i]))) {
		path, key = name[:i], name[i+1:]
	}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".npy":
		format = "npy"
	case ".npz":
		if format = "csr"; key != "" {
			format = "npz"
		}
	case ".safetensors":
		format = "safetensors"
	case ".csv":
		format = "csv"
	case ".tsv":
		format = "tsv"
	case ".svm", ".libsvm", ".svmlight":
		format = "libsvm"
	case ".txt":
		format = "xmc"
	}
	return path, key, format
}

// checkOutput returns the path and the format of an output: what to says, else
// what its name does.
func checkOutput(name, to string) (path, key, format string, err error) {
	path, key, format = formatOfName(name)
	if to != "" {
		if !slices.Contains(outFormats, to) {
			return "", "", "", usagef("--to %q: choose %s%s", to, strings.Join(outFormats, ", "), didYouMean(to, "", outFormats))
		}
		format = to
	}
	if format == "" {
		return "", "", "", usagef("%s: its ending stands for no format; write .npy, .npz, .safetensors, .csv, .tsv, .svm or .txt, or choose by --to", quoted(name))
	}
	if key != "" && format != "npz" && format != "safetensors" {
		return "", "", "", usagef("%s: %s has no arrays with names; leave %q out", quoted(name), format, ":"+key)
	}
	return path, key, format, nil
}

// newRowWriter begins the file of a matrix.
func (o *outputs) newRowWriter(path, format string, m matrixInfo) (rowWriter, error) {
	file, err := o.create(path)
	if err != nil {
		return nil, err
	}
	w := &fileWriter{path: path, file: file, buffer: bufio.NewWriterSize(file, 1<<20)}
	switch format {
	case "csr", "csc":
		s, err := sparse.NewWriter(path, m.cols, m.dtype)
		return &sparseWriter{listed{m: m}, w, s, format == "csc"}, err
	case "libsvm", "xmc":
		t := &textWriter{listed: listed{m: m}, fileWriter: w, sized: format == "xmc"}
		if t.sized {
			fmt.Fprintf(w.buffer, "%d %d\n", m.rows, m.cols)
		}
		return t, nil
	case "csv", "tsv":
		return &tableWriter{filled: filled{m: m}, fileWriter: w, separator: map[string]byte{"csv": ',', "tsv": '\t'}[format]}, nil
	case "bits":
		return newBitWriter(w, m)
	}
	return newDenseWriter(w, format, m)
}

// A fileWriter is a file that is written from its beginning to its end.
type fileWriter struct {
	path   string
	file   *atomicfile.File
	buffer *bufio.Writer
}

// flush ends the file.
func (w *fileWriter) flush() error { return fileError(w.path, w.buffer.Flush()) }

func (w *fileWriter) discard() {}

// filled makes dense rows of a block.
type filled struct {
	m       matrixInfo
	row     []float64
	scratch []float64
}

// each calls f for all elements, in pieces of rows.
func (d *filled) each(b *rowBlock, f func(piece []float64, last bool) error) error {
	n := d.m.cols
	for i := range b.rows {
		if !b.dense() {
			if d.row == nil {
				d.row = make([]float64, n)
			}
			for j := range d.row {
				d.row[j] = d.m.missing
			}
			for k := b.ptr[i]; k < b.ptr[i+1]; k++ {
				d.row[b.indices[k]] = b.value(k)
			}
		}
		for j := 0; j < n; j += pieceColumns {
			end := min(j+pieceColumns, n)
			var piece []float64
			if b.dense() {
				d.scratch = slices.Grow(d.scratch[:0], end-j)
				piece = b.elements(d.scratch, i*n+j, i*n+end)
			} else {
				piece = d.row[j:end]
			}
			if err := f(piece, end == n); err != nil {
				return err
			}
		}
	}
	return nil
}

// listed makes lists of a block: what is not missing, in the order of the
// columns.
type listed struct {
	m       matrixInfo
	row     int // of all
	entries int // of the row before the piece at hand
	indices []int32
	values  []float64
	scratch []float64
}

// each calls f for all entries, in pieces of rows.
func (l *listed) each(b *rowBlock, f func(indices []int32, values []float64, last bool) error) error {
	n := l.m.cols
	for i := range b.rows {
		l.entries = 0
		if !b.dense() {
			l.indices, l.values = l.indices[:0], l.values[:0]
			for k := b.ptr[i]; k < b.ptr[i+1]; k++ {
				if v := b.value(k); v != l.m.missing {
					l.indices, l.values = append(l.indices, b.indices[k]), append(l.values, v)
				}
			}
			l.sort()
			if err := f(l.indices, l.values, true); err != nil {
				return err
			}
		}
		for j := 0; b.dense() && j < n; j += pieceColumns {
			end := min(j+pieceColumns, n)
			l.indices, l.values = l.indices[:0], l.values[:0]
			l.scratch = slices.Grow(l.scratch[:0], end-j)
			for k, v := range b.elements(l.scratch, i*n+j, i*n+end) {
				if v != l.m.missing {
					l.indices, l.values = append(l.indices, int32(j+k)), append(l.values, v)
				}
			}
			if err := f(l.indices, l.values, end == n); err != nil {
				return err
			}
			l.entries += len(l.indices)
		}
		l.row++
	}
	return nil
}

// sort puts a row in the order of its columns.
func (l *listed) sort() {
	if slices.IsSorted(l.indices) {
		return
	}
	order := make([]int, len(l.indices))
	for k := range order {
		order[k] = k
	}
	slices.SortFunc(order, func(a, b int) int { return int(l.indices[a]) - int(l.indices[b]) })
	indices, values := slices.Clone(l.indices), slices.Clone(l.values)
	for k, from := range order {
		l.indices[k], l.values[k] = indices[from], values[from]
	}
}

// A denseWriter writes .npy, an array of an .npz, or safetensors.
type denseWriter struct {
	filled
	*fileWriter
	to    io.Writer
	zip   *zip.Writer // or nil
	bytes []byte
}

func newDenseWriter(file *fileWriter, format string, m matrixInfo) (*denseWriter, error) {
	w := &denseWriter{filled: filled{m: m}, fileWriter: file, to: file.buffer}
	size := float64(m.dtype.Size())
	for _, n := range m.shape {
		size *= float64(n)
	}
	if size >= math.MaxInt64 {
		return nil, array.Faultf(file.path, "an array of %s is larger than any file", array.ShapeString(m.shape))
	}
	header := array.Header(m.dtype, m.shape)
	switch format {
	case "npz":
		w.zip = zip.NewWriter(file.buffer)
		to, err := w.zip.CreateHeader(&zip.FileHeader{Name: m.key + ".npy", Method: zip.Store})
		if err != nil {
			return nil, fileError(file.path, err)
		}
		w.to = to
	case "safetensors":
		header = array.TensorHeader(m.key, m.dtype, m.shape)
	}
	_, err := w.to.Write(header)
	return w, fileError(file.path, err)
}

func (w *denseWriter) write(b *rowBlock) error {
	return w.each(b, func(piece []float64, _ bool) error {
		w.bytes = array.AppendElements(w.bytes[:0], w.m.dtype, piece)
		_, err := w.to.Write(w.bytes)
		return fileError(w.path, err)
	})
}

// copy writes the elements of an array of the same type as they are.
func (w *denseWriter) copy(a *array.Array, from, to int) error {
	return fileError(w.path, a.CopyElements(w.to, from, to))
}

func (w *denseWriter) finish() error {
	if w.zip != nil {
		if err := w.zip.Close(); err != nil {
			return fileError(w.path, err)
		}
	}
	return w.flush()
}

// A tableWriter writes CSV.
type tableWriter struct {
	filled
	*fileWriter
	separator byte
	within    bool // a row, after an element of it
}

func (w *tableWriter) write(b *rowBlock) error {
	return w.each(b, func(piece []float64, last bool) error {
		line := w.buffer.AvailableBuffer()
		for _, v := range piece {
			if w.within {
				line = append(line, w.separator)
			}
			w.within = true
			if line = strconv.AppendFloat(line, v, 'g', -1, 64); len(line) >= 1<<14 {
				if _, err := w.buffer.Write(line); err != nil {
					return fileError(w.path, err)
				}
				line = w.buffer.AvailableBuffer()
			}
		}
		if last {
			line, w.within = append(line, '\n'), false
		}
		_, err := w.buffer.Write(line)
		return fileError(w.path, err)
	})
}

func (w *tableWriter) finish() error { return w.flush() }

// A textWriter writes libsvm text, or that of the extreme classification
// repository, whose first line says the sizes.
type textWriter struct {
	listed
	*fileWriter
	sized bool
}

func (w *textWriter) write(b *rowBlock) error {
	return w.each(b, func(indices []int32, values []float64, last bool) error {
		if last && w.entries+len(indices) == 0 && !w.sized {
			what := "scores"
			if w.m.labels {
				what = "labels"
			}
			return array.Faultf(w.path, "row %d has no %s: libsvm text has no line for it; write XMC text: --to xmc", w.row, what)
		}
		separator := byte(' ')
		if w.m.labels && !w.sized {
			separator = ','
		}
		for k, j := range indices {
			part := w.buffer.AvailableBuffer()
			if w.entries+k > 0 {
				part = append(part, separator)
			}
			part = strconv.AppendInt(part, int64(j), 10)
			switch {
			case !w.m.labels:
				part = strconv.AppendFloat(append(part, ':'), values[k], 'g', -1, 64)
			case w.sized:
				part = append(part, ':', '1')
			}
			if _, err := w.buffer.Write(part); err != nil {
				return fileError(w.path, err)
			}
		}
		if !last {
			return nil
		}
		return fileError(w.path, w.buffer.WriteByte('\n'))
	})
}

func (w *textWriter) finish() error { return w.flush() }

// A sparseWriter writes a matrix as scipy does.
type sparseWriter struct {
	listed
	*fileWriter
	matrix  *sparse.Writer
	columns bool
}

func (w *sparseWriter) write(b *rowBlock) error { return w.each(b, w.matrix.Entries) }

func (w *sparseWriter) finish() error {
	if err := w.matrix.Write(w.buffer, w.columns); err != nil {
		return fileError(w.path, err)
	}
	return w.flush()
}

func (w *sparseWriter) discard() { w.matrix.Discard() }

// A bitWriter writes labels as bits: an .npy of uint64, of which each row has as
// many as hold its columns, the least significant bit first.
type bitWriter struct {
	listed
	*fileWriter
	words []uint64
	bytes []byte
}

func newBitWriter(file *fileWriter, m matrixInfo) (*bitWriter, error) {
	if !m.labels {
		return nil, array.Faultf(file.path, "bits are for labels, 0 or 1; choose another format")
	}
	width := (m.cols + 63) / 64
	_, err := file.buffer.Write(array.Header(array.Uint64, []int{m.rows, width}))
	return &bitWriter{listed: listed{m: m}, fileWriter: file, words: make([]uint64, width)}, fileError(file.path, err)
}

func (w *bitWriter) write(b *rowBlock) error {
	return w.each(b, func(indices []int32, _ []float64, last bool) error {
		if w.entries == 0 {
			clear(w.words)
		}
		for _, j := range indices {
			w.words[j/64] |= 1 << (j % 64)
		}
		if !last {
			return nil
		}
		w.bytes = w.bytes[:0]
		for _, word := range w.words {
			for k := range 8 {
				w.bytes = append(w.bytes, byte(word>>(8*k)))
			}
		}
		_, err := w.buffer.Write(w.bytes)
		return fileError(w.path, err)
	})
}

func (w *bitWriter) finish() error { return w.flush() }
