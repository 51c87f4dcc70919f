package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/cmd/zlpr/internal/corpus"
	"github.com/zlpr/zlpr/cmd/zlpr/internal/linear"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/sparse"
)

// A dataset is what a model is trained and tested on.
type dataset struct {
	describe    string
	labels      string // name of the file
	train, test part
	features    int
	classes     int
}

// A part is some rows of a data set.
type part struct {
	x    *linear.Matrix
	y    *zlpr.BitLabels
	rows []int // of the files
}

// featureFlags say where features are.
type featureFlags struct {
	x, csr   string
	features int
}

// open opens the features; labels come along only from text files.
func (f *featureFlags) open() (x *linear.Matrix, y *sparse.Matrix, name string, err error) {
	if f.csr != "" {
		parts := strings.Split(f.csr, ",")
		if len(parts) != 3 || f.features < 1 {
			return nil, nil, "", usagef("--x-csr takes indptr.npy,indices.npy,data.npy, and --features how many features there are")
		}
		m, err := sparse.OpenParts(parts[0], parts[1], parts[2], f.features)
		if err != nil {
			return nil, nil, "", err
		}
		return fromSparse(m), nil, parts[2], nil
	}
	path, key := array.Split(f.x)
	ext := strings.ToLower(filepath.Ext(path))
	switch {
	case isText(ext):
		x, y, err := sparse.ReadText(path, 0, f.features)
		if err != nil {
			return nil, nil, "", err
		}
		return fromSparse(x), y, path, nil
	case ext == ".npz" && key == "" && isSparse(path):
		m, err := sparse.Open(path)
		if err != nil {
			return nil, nil, "", err
		}
		return fromSparse(m), nil, path, nil
	}
	a, err := f.openDense()
	if err != nil {
		return nil, nil, "", err
	}
	defer a.Close()
	return denseRows(a, 0, a.Shape[0]), nil, f.x, nil
}

// openDense opens features that are an array of rows × features.
func (f *featureFlags) openDense() (*array.Array, error) {
	a, err := array.Open(f.x)
	if err != nil {
		return nil, err
	}
	if len(a.Shape) != 2 {
		a.Close()
		return nil, fmt.Errorf("%s: features of shape %s; they must be rows×features", f.x, array.ShapeString(a.Shape))
	}
	return a, nil
}

// denseRows returns rows r0 to r1-1 of an array, in memory of their own.
func denseRows(a *array.Array, r0, r1 int) *linear.Matrix {
	cols := a.Shape[1]
	m := &linear.Matrix{Rows: r1 - r0, Cols: cols, Dense: make([]float64, 0, (r1-r0)*cols)}
	m.Dense = append(m.Dense, array.Read[float64](a, nil, r0*cols, r1*cols)...)
	return m
}

// isDense reports whether the features are an array.
func (f *featureFlags) isDense() bool {
	path, key := array.Split(f.x)
	ext := strings.ToLower(filepath.Ext(path))
	return f.csr == "" && !isText(ext) && !(ext == ".npz" && key == "" && isSparse(path))
}

// A featureReader reads features by blocks of rows, those of an array from
// their file.
type featureReader struct {
	name       string
	rows, cols int
	dense      *array.Array
	sparse     *linear.Matrix
}

// reader opens the features.
func (f *featureFlags) reader() (*featureReader, error) {
	if f.isDense() {
		a, err := f.openDense()
		if err != nil {
			return nil, err
		}
		return &featureReader{name: f.x, rows: a.Shape[0], cols: a.Shape[1], dense: a}, nil
	}
	m, _, name, err := f.open()
	if err != nil {
		return nil, err
	}
	return &featureReader{name: name, rows: m.Rows, cols: m.Cols, sparse: m}, nil
}

func (r *featureReader) close() {
	if r.dense != nil {
		r.dense.Close()
	}
}

// block returns rows r0 to r1-1, checked.
func (r *featureReader) block(r0, r1 int) (*linear.Matrix, error) {
	var m *linear.Matrix
	if r.dense != nil {
		ahead(r.dense, r0*r.cols, r1*r.cols)
		m = denseRows(r.dense, r0, r1)
	} else {
		m = &linear.Matrix{Rows: r1 - r0, Cols: r.cols, RowPtr: r.sparse.RowPtr[r0 : r1+1],
			Indices: r.sparse.Indices, Values: r.sparse.Values}
	}
	if err := m.Check(r0); err != nil {
		return nil, fmt.Errorf("%s: %w", r.name, err)
	}
	return m, nil
}

// fromSparse copies a matrix, whose file is closed.
func fromSparse(m *sparse.Matrix) *linear.Matrix {
	defer m.Close()
	return &linear.Matrix{Rows: m.Rows, Cols: m.Cols,
		RowPtr:  slices.Clone(m.RowPtr),
		Indices: slices.Clone(m.Indices[:m.RowPtr[m.Rows]]),
		Values:  slices.Clone(array.Read[float64](m.Values, nil, 0, int(m.RowPtr[m.Rows])))}
}

// openDataset opens the files, or makes the corpus of Go's source.
func (f *trainFlags) openDataset(ctx context.Context) (*dataset, error) {
	if f.x == "" && f.csr == "" {
		return goCorpus(ctx, f.source)
	}
	x, listed, name, err := f.featureFlags.open()
	if err != nil {
		return nil, err
	}
	if err := x.Check(0); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if x.Rows == 0 || x.Cols == 0 {
		return nil, fmt.Errorf("%s: empty: %d rows of %d features; there is nothing to train on", name, x.Rows, x.Cols)
	}
	y, err := f.openLabels(x.Rows, listed)
	if err != nil {
		return nil, err
	}
	test := make([]bool, x.Rows)
	if f.split != "" {
		split, err := openVector(f.split, "rows", x.Rows)
		if err != nil {
			return nil, err
		}
		for i, v := range split {
			if v != 0 && v != 1 {
				return nil, fmt.Errorf("%s: row %d: %v; a split is 0 for a train row, 1 for a test row", f.split, i, v)
			}
			test[i] = v == 1
		}
	}
	d, err := newDataset(name, x, y, test)
	if err != nil {
		return nil, err
	}
	if d.labels = f.y; f.y == "" {
		d.labels = name
	}
	return d, nil
}

// openLabels opens the labels of the rows.
func (f *trainFlags) openLabels(rows int, listed *sparse.Matrix) (*zlpr.BitLabels, error) {
	var bits zlpr.Bits
	name := f.y
	path, key := array.Split(f.y)
	ext := strings.ToLower(filepath.Ext(path))
	switch {
	case f.y == "":
		bits, name = &zlpr.SparseLabels{Classes: listed.Cols, RowPtr: listed.RowPtr, Indices: listed.Indices}, f.x
	case isText(ext):
		_, y, err := sparse.ReadText(path, 0, 0)
		if err != nil {
			return nil, err
		}
		bits = &zlpr.SparseLabels{Classes: y.Cols, RowPtr: y.RowPtr, Indices: y.Indices}
	case ext == ".npz" && key == "" && isSparse(path):
		y, err := sparse.Open(path)
		if err != nil {
			return nil, err
		}
		defer y.Close()
		bits = &zlpr.SparseLabels{Classes: y.Cols, RowPtr: y.RowPtr, Indices: y.Indices, Values: labelValues(y.Values, 0, int64(len(y.Indices)))}
	default:
		a, err := array.Open(f.y)
		if err != nil {
			return nil, err
		}
		defer a.Close()
		if len(a.Shape) != 2 {
			return nil, fmt.Errorf("%s: labels of shape %s; they must be rows×classes", f.y, array.ShapeString(a.Shape))
		}
		bits = (&denseBits{a, a.Shape[0], a.Shape[1]}).block(0, a.Shape[0])
	}
	r, classes := bits.Dims()
	if r != rows {
		return nil, fmt.Errorf("%s: %d rows of labels, %d rows of features; they must agree", name, r, rows)
	}
	if classes == 0 {
		return nil, fmt.Errorf("%s: empty: no classes; there is nothing to train", name)
	}
	width := (classes + 63) / 64
	y := &zlpr.BitLabels{Rows: rows, Cols: classes, Words: make([]uint64, rows*width), Stride: width}
	if err := bits.ReadRows(y.Words, 0, rows); err != nil {
		return nil, explain(err, 0, map[string]string{"labels": name})
	}
	return y, nil
}

// goCorpus makes the corpus of Go's source in dir.
func goCorpus(ctx context.Context, dir string) (*dataset, error) {
	if dir == "" {
		var err error
		if dir, err = corpus.Source(); err != nil {
			return nil, err
		}
	}
	c, err := corpus.Build(ctx, dir)
	if err != nil {
		return nil, err
	}
	x := &linear.Matrix{Rows: len(c.Files), Cols: len(c.Features), RowPtr: c.RowPtr, Indices: c.Indices}
	for _, v := range c.Values {
		x.Values = append(x.Values, float64(v))
	}
	labels := &zlpr.SparseLabels{Classes: len(c.Classes), RowPtr: c.LabelPtr, Indices: c.Labels}
	width := (len(c.Classes) + 63) / 64
	y := &zlpr.BitLabels{Rows: x.Rows, Cols: labels.Classes, Words: make([]uint64, x.Rows*width), Stride: width}
	if err := labels.ReadRows(y.Words, 0, x.Rows); err != nil {
		return nil, err
	}
	return newDataset("Go's own source", x, y, c.Test)
}

func newDataset(describe string, x *linear.Matrix, y *zlpr.BitLabels, test []bool) (*dataset, error) {
	take := func(which bool) part {
		p := part{x: x.Take(func(i int) bool { return test[i] == which }),
			y: &zlpr.BitLabels{Cols: y.Cols, Stride: y.Stride}}
		for i := range test {
			if test[i] == which {
				p.y.Rows++
				p.rows = append(p.rows, i)
				p.y.Words = append(p.y.Words, y.Words[i*y.Stride:][:y.Stride]...)
			}
		}
		return p
	}
	d := &dataset{describe: describe, features: x.Cols, classes: y.Cols, train: take(false), test: take(true)}
	if d.train.x.Rows == 0 {
		return nil, fmt.Errorf("%s: the split leaves no train row", describe)
	}
	return d, nil
}
