package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/cmd/zlpr/internal/corpus"
	"github.com/zlpr/zlpr/cmd/zlpr/internal/linear"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/named"
	"github.com/zlpr/zlpr/internal/source"
	"github.com/zlpr/zlpr/internal/sparse"
)

// A dataset is what a model is trained and tested on.
type dataset struct {
	describe    string
	labels      string        // name of the file
	shards      *array.Shards // that the labels are in, if there are several
	train, test part
	leftOut     int    // so many rows of the files are
	held        []bool // of the files' rows: those of --validation
	features    int
	classes     int
	names       []string // of the classes, where they are known
}

// A part is some rows of a data set.
type part struct {
	x    *linear.Matrix
	y    *zlpr.BitLabels
	rows []int // of the files

	teacher []float64 // a teacher's scores, rows × classes; or nil
}

// featureFlags say where features are.
type featureFlags struct {
	readFlags
	x, csr   string
	features int
}

// A features are what a file of features has, and the labels that text has
// besides.
type features struct {
	source.Source
	name   string
	labels *sparse.Matrix // or nil
}

// Close releases the files.
func (x *features) Close() error {
	if x.labels != nil {
		x.labels.Close()
	}
	return x.Source.Close()
}

// open opens the features. Where the file does not say how many there are, there
// are count of them; 0: as many as occur.
func (f *featureFlags) open(count int) (*features, error) {
	if f.csr != "" {
		parts := strings.Split(f.csr, ",")
		if len(parts) != 3 || count < 1 {
			return nil, usagef("--x-csr takes indptr.npy,indices.npy,data.npy, and --features how many features there are")
		}
		m, err := sparse.OpenParts(parts[0], parts[1], parts[2], count, sparse.Sum)
		if err != nil {
			return nil, err
		}
		f.note("features", f.csr, m)
		return &features{m, parts[2], nil}, nil
	}
	if count == 0 {
		count = -1
	}
	s, labels, err := f.options.OpenBoth(f.x, source.Features, count)
	if err != nil {
		return nil, err
	}
	f.note("features", f.x, s)
	x := &features{s, f.x, labels}
	if a, ok := s.(*array.Array); ok && len(a.Shape) != 2 {
		x.Close()
		return nil, array.Faultf(f.x, "features of shape %s; they must be rows×features", array.ShapeString(a.Shape))
	}
	if f.set != nil && f.set("features") { // compare has no such flag
		if !f.options.Lists {
			err = usagef("--features goes with --x-csr or text, which may not say how many there are; it has no effect here")
		} else if _, n := x.Dims(); n != f.features {
			err = array.Faultf(f.x, "%s, but --features says %d; leave --features out", array.Counted(n, "feature"), f.features)
		}
		if err != nil {
			x.Close()
			return nil, err
		}
	}
	return x, nil
}

// read returns rows r0 to r1-1.
func (x *features) read(r0, r1 int) *linear.Matrix {
	if s, ok := x.Source.(*sparse.Matrix); ok {
		return sparseRows(s, r0, r1)
	}
	s := x.Source.(*array.Array)
	ahead(s, r0*s.Shape[1], r1*s.Shape[1])
	return denseRows(s, r0, r1)
}

// rows returns rows r0 to r1-1, checked.
func (x *features) rows(r0, r1 int) (*linear.Matrix, error) {
	m := x.read(r0, r1)
	err := m.Check(r0)
	if s := shardsOf(x.Source, x.count()); err != nil && s != nil { // the shard, and the row in it
		for k := s.Find(r0); k < len(s.Names); k++ {
			first, end := max(r0, s.Start(k)), min(r1, s.Ends[k])
			if first < end {
				if err := x.read(first, end).Check(first - s.Start(k)); err != nil {
					return nil, array.Named(s.Names[k], err)
				}
			}
		}
	}
	return m, array.Named(x.name, err)
}

// count returns the number of rows.
func (x *features) count() int {
	rows, _ := x.Dims()
	return rows
}

// all returns all rows. They are checked block by block before memory for all of
// them is asked for.
func (x *features) all() (*linear.Matrix, error) {
	rows, cols := x.Dims()
	size := blockRows(rows, cols)
	for r0 := 0; r0 < rows; r0 += size {
		if _, err := x.rows(r0, min(r0+size, rows)); err != nil {
			return nil, err
		}
	}
	return x.rows(0, rows)
}

// denseRows returns rows r0 to r1-1 of an array, in memory of their own.
func denseRows(a *array.Array, r0, r1 int) *linear.Matrix {
	cols := a.Shape[1]
	return &linear.Matrix{Rows: r1 - r0, Cols: cols, Dense: array.Copy[float64](a, r0*cols, r1*cols)}
}

// sparseRows returns rows r0 to r1-1 of a sparse matrix, in memory of their own.
func sparseRows(m *sparse.Matrix, r0, r1 int) *linear.Matrix {
	from, to := m.RowPtr[r0], m.RowPtr[r1]
	x := &linear.Matrix{Rows: r1 - r0, Cols: m.Cols,
		RowPtr:  slices.Clone(m.RowPtr[r0 : r1+1]),
		Indices: slices.Clone(m.Indices[from:to]),
		Values:  array.Copy[float64](m.Values, int(from), int(to))}
	for i := range x.RowPtr {
		x.RowPtr[i] -= from
	}
	return x
}

// openDataset opens the files, or makes the corpus of Go's source.
func (f *trainFlags) openDataset(ctx context.Context) (*dataset, error) {
	if f.x == "" && f.csr == "" {
		return goCorpus(ctx, f.source)
	}
	x, err := f.featureFlags.open(f.features)
	if err != nil {
		return nil, err
	}
	defer x.Close()
	rows, cols := x.Dims()
	if rows == 0 || cols == 0 {
		return nil, array.Faultf(x.name, "empty: %s of %s; there is nothing to train on", array.Counted(rows, "row"), array.Counted(cols, "feature"))
	}
	bits, name, err := f.openLabels(x)
	if err != nil {
		return nil, err
	}
	defer bits.Close()
	if r, classes := bits.dims(); r != rows {
		return nil, array.Faultf(name, "%s of labels, %s of features; they must agree", array.Counted(r, "row"), array.Counted(rows, "row"))
	} else if classes == 0 {
		return nil, array.Faultf(name, "empty: no classes; there is nothing to train")
	} else if err := checkSize(x, name, classes); err != nil {
		return nil, err
	}
	y, ignored, err := readBits(bits.block(0, rows), name, shardsOf(bits, rows))
	if err != nil {
		return nil, err
	}
	var split []float64
	if f.split != "" {
		if split, err = f.openVector(f.split, "rows", rows); err != nil {
			return nil, err
		}
	}
	which := make([]int, rows)
	for i := range which {
		switch {
		case split != nil && split[i] != 0 && split[i] != 1 && !(f.validation != 0 && split[i] == float64(f.validation)):
			return nil, array.Faultf(f.split, "row %d: %v; a split is 0 for a train row, 1 for a test row%s", i, split[i], f.splitHint())
		case ignored != nil && ignored[i]:
			which[i] = leftOut
		case split != nil && split[i] == testRow:
			which[i] = testRow
		}
	}
	numbers, err := x.all()
	if err != nil {
		return nil, err
	}
	d, err := newDataset(x.name, numbers, y, which)
	if err != nil {
		return nil, err
	}
	d.labels, d.shards = name, shardsOf(bits, rows)
	if f.validation != 0 && split != nil {
		d.held = make([]bool, rows)
		for i, v := range split {
			d.held[i] = v == float64(f.validation)
		}
	}
	return d, nil
}

// checkSize is an error if a model, or its scores, are too large to be kept in
// memory for what the file of features has.
func checkSize(x *features, labels string, classes int) error {
	rows, cols := x.Dims()
	entries := float64(rows) * float64(cols)
	if m, ok := x.Source.(*sparse.Matrix); ok {
		entries = float64(len(m.Indices) + m.Rows)
	}
	if n := (float64(cols) + 1) * float64(classes); !array.Justified(n, entries) {
		name := x.name
		if classes > cols {
			name = labels
		}
		return array.Faultf(name, "%s and %s make a model of %.3g weights, too many for what its %.3g entries can tell; leave out features and classes that do not occur", array.Counted(cols, "feature"), array.Counted(classes, "class"), n, entries)
	}
	if n := float64(rows) * float64(classes); !array.Justified(n, entries) {
		return array.Faultf(labels, "%s and %s make %.3g scores, too many for %.3g entries of features; leave out classes that do not occur", array.Counted(rows, "row"), array.Counted(classes, "class"), n, entries)
	}
	return nil
}

// closableBits is a bitSource that can be closed.
type closableBits interface {
	bitSource
	Close() error
}

// openLabels opens the labels of the rows. For softmax, integers of one axis are
// class numbers.
func (f *trainFlags) openLabels(x *features) (bits closableBits, name string, err error) {
	if f.y == "" {
		if x.labels == nil {
			return nil, "", usagef("give the labels of the features by --y: %s has none", array.Quote(x.name))
		}
		return &csrBits{x.labels, x.name}, x.name, nil
	}
	opened, err := f.options.Open(f.y, source.Labels, -1)
	if err != nil {
		return nil, "", err
	}
	f.note("labels", f.y, opened)
	switch a := opened.(type) {
	case *sparse.Matrix:
		return &csrBits{a, f.y}, f.y, nil
	case *array.Array:
		switch {
		case len(a.Shape) == 2:
			return &denseBits{a, a.Shape[0], a.Shape[1]}, f.y, nil
		case len(a.Shape) == 1 && named.OneTarget(f.loss) && !a.Type.IsFloat() && a.Type != array.Bool:
			f.targets = true
			if bits, err = newTargets(a, -1, int64(f.ignore), func(row int) (file, place string) {
				file, at, of := inShard(f.y, shardsOf(a, a.Len()), row)
				return file, fmt.Sprintf("row %d%s", at, of)
			}); err == nil {
				return bits, f.y, nil
			}
		default:
			err = array.Faultf(f.y, "labels of shape %s; they must be rows×classes or, for --loss softmax, integers: a class number for each row", array.ShapeString(a.Shape))
		}
		a.Close()
	}
	return nil, "", err
}

// readBits reads labels, and tells which rows are left out where they are class
// numbers.
func readBits(bits zlpr.Bits, name string, shards *array.Shards) (y *zlpr.BitLabels, ignored []bool, err error) {
	rows, classes := bits.Dims()
	width := (classes + 63) / 64
	y = &zlpr.BitLabels{Rows: rows, Cols: classes, Words: make([]uint64, rows*width), Stride: width}
	if err := bits.ReadRows(y.Words, 0, rows); err != nil {
		return nil, nil, explainAt(err, func(_ string, row, class int) (file, place string) { return placeInShard(name, shards, row, class) })
	}
	if t, ok := bits.(*zlpr.TargetLabels); ok {
		ignored = make([]bool, rows)
		for i, v := range t.Targets {
			ignored[i] = v == zlpr.Ignore
		}
	}
	return y, ignored, nil
}

// splitHint says what else a split may be.
func (f *trainFlags) splitHint() string {
	if f.validation != 0 {
		return fmt.Sprintf(", %d for a validation row", f.validation)
	}
	return ""
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
	y, _, err := readBits(&zlpr.SparseLabels{Classes: len(c.Classes), RowPtr: c.LabelPtr, Indices: c.Labels}, dir, nil)
	if err != nil {
		return nil, err
	}
	which := make([]int, x.Rows)
	for i, test := range c.Test {
		if test {
			which[i] = testRow
		}
	}
	d, err := newDataset("Go's own source", x, y, which)
	if err != nil {
		return nil, err
	}
	d.names = c.Classes
	return d, nil
}

// What a row is for.
const (
	trainRow = iota
	testRow
	leftOut
)

// newDataset makes a data set of rows that are for training, tests or nothing.
func newDataset(describe string, x *linear.Matrix, y *zlpr.BitLabels, which []int) (*dataset, error) {
	take := func(what int) part {
		p := part{x: x, y: &zlpr.BitLabels{Cols: y.Cols, Stride: y.Stride}}
		if slices.ContainsFunc(which, func(w int) bool { return w != what }) {
			p.x = x.Take(func(i int) bool { return which[i] == what })
		}
		for i := range which {
			if which[i] == what {
				p.y.Rows++
				p.rows = append(p.rows, i)
				p.y.Words = append(p.y.Words, y.Words[i*y.Stride:][:y.Stride]...)
			}
		}
		return p
	}
	d := &dataset{describe: describe, features: x.Cols, classes: y.Cols, train: take(trainRow), test: take(testRow)}
	d.leftOut = len(which) - len(d.train.rows) - len(d.test.rows)
	if d.train.x.Rows == 0 {
		return nil, array.Faultf(describe, "no train row is left: all are test rows or left out")
	}
	return d, nil
}
