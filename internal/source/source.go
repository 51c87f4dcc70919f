// Package source opens the files of numbers that users name, whatever format
// they are in: it recognises arrays, archives, sparse matrices, CSV and lists of
// labels and features by their content and, where that does not tell, by their
// names. A format, or files that stand for one, are added here.
package source

import (
	"fmt"
	"strings"

	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/sparse"
)

// A Source has rows of numbers: an *array.Array or a *sparse.Matrix.
type Source interface {
	Dims() (rows, cols int)
	DType() array.DType
	Describe() string // type and shape, for messages
	Close() error
}

// A Use is what a file is read for.
type Use uint8

const (
	Numbers  Use = iota // an array, or a matrix of numbers
	Features            // the same, with labels in lists of both
	Labels              // zeros and ones, or lists of those that are one
)

// Text is what a file of text has.
type Text uint8

const (
	AnyText Text = iota // as its name and its first lines tell
	Table               // a table of numbers
	Lists               // lists of labels and features
)

// Options say how files are read where they do not tell.
type Options struct {
	Separator byte         // of CSV; 0: as its first lines tell
	Header    array.Choice // whether CSV has a heading
	Index     array.Choice // whether the first column of CSV is an index
	OneBased  bool         // whether labels and features of lists count from 1
	Raw       array.Raw    // what raw elements of two bytes are
	Warn      func(message string)

	Text Text // what text is

	CSV, Lists bool // whether a file of that kind was opened

	// Formats are those of the files that were opened, by their names: npy, npz,
	// npz-sparse, safetensors, pt, csv or lists, with the ending of a compression.
	Formats map[string]string

	manifests map[string]*Manifest // that were read
}

func (o *Options) warn(format string, args ...any) {
	if o.Warn != nil {
		o.Warn(fmt.Sprintf(format, args...))
	}
}

// Open opens a file for some use. Where the file does not say how many columns
// there are, as lists may not, there are cols of them; -1: as many as occur. A
// place that a sparse matrix lists twice has the sum of its entries, for labels
// it is an error. A pattern stands for the files that match it, one after
// another.
func (o *Options) Open(name string, use Use, cols int) (Source, error) {
	return o.OpenPart(name, "", use, cols)
}

// OpenPart is Open, of a manifest too: that part of it.
func (o *Options) OpenPart(name string, part Part, use Use, cols int) (Source, error) {
	s, _, err := o.open(name, part, use, cols)
	return s, err
}

// OpenBoth is Open, and returns the labels that stand in the same lists as
// features, else nil.
func (o *Options) OpenBoth(name string, use Use, cols int) (s Source, labels *sparse.Matrix, err error) {
	return o.open(name, "", use, cols)
}

// OpenAll is OpenPart and OpenBoth.
func (o *Options) OpenAll(name string, part Part, use Use, cols int) (s Source, labels *sparse.Matrix, err error) {
	return o.open(name, part, use, cols)
}

func (o *Options) open(name string, part Part, use Use, cols int) (s Source, labels *sparse.Matrix, err error) {
	switch {
	case IsManifest(name):
		m, err := o.Manifest(name)
		if err != nil {
			return nil, nil, err
		}
		files, err := m.Files(part)
		if err != nil {
			return nil, nil, err
		}
		if err := Once(name, part, files); err != nil {
			return nil, nil, err
		}
		return o.openShards(name, files, m.rows(), use, cols)
	case array.IsPattern(name):
		files, err := array.Match(name)
		if err != nil {
			return nil, nil, err
		}
		if err := Once(name, part, files); err != nil {
			return nil, nil, err
		}
		return o.openShards(name, files, nil, use, cols)
	}
	s, labels, err = o.openFile(name, use, cols)
	if err == nil && !o.OneBased {
		o.warnOneBased(name, s, labels, use)
	}
	return s, labels, err
}

// warnOneBased warns where lists have no label 0.
func (o *Options) warnOneBased(name string, s Source, labels *sparse.Matrix, use Use) {
	if use == Labels {
		labels, _ = s.(*sparse.Matrix)
	}
	if labels != nil && labels.Lists && labels.FromOne() {
		o.warn("%s: no row has label 0: if labels count from 1, say --one-based", array.Quote(name))
	}
}

// openFile opens one file.
func (o *Options) openFile(name string, use Use, cols int) (s Source, labels *sparse.Matrix, err error) {
	path, key := array.Split(name)
	in, err := array.OpenInput(path)
	if err != nil {
		return nil, nil, err
	}
	defer in.Close()
	return o.openInput(in, name, key, use, cols)
}

// OpenInput is Open of a file that is open already, since it may be a pipe, which
// cannot be opened twice. name is the user's, key what follows its colon.
func (o *Options) OpenInput(in *array.Input, name, key string, use Use, cols int) (Source, error) {
	s, labels, err := o.openInput(in, name, key, use, cols)
	if err == nil && !o.OneBased {
		o.warnOneBased(name, s, labels, use)
	}
	return s, err
}

func (o *Options) openInput(in *array.Input, name, key string, use Use, cols int) (s Source, labels *sparse.Matrix, err error) {
	in.Raw = &o.Raw
	kind := ""
	defer func() {
		if o.Formats == nil {
			o.Formats = map[string]string{}
		}
		if kind == "" {
			kind = in.Kind()
		}
		o.Formats[name] = kind
	}()
	repeated := sparse.Sum
	if use == Labels {
		repeated = sparse.Refuse
	}
	switch {
	case in.Format == array.Zip && key == "":
		z, err := in.Archive()
		if err != nil {
			return nil, nil, err
		}
		if sparse.Is(z) {
			m, err := sparse.Open(in.Name, z, repeated)
			if err != nil {
				return nil, nil, err
			}
			kind = "npz-sparse"
			return m, nil, nil
		}
	case in.Format == array.Text && key == "":
		if o.Text == Lists || o.Text == AnyText && isLists(array.EndLines(in.Peek(peekSize)), in.Ext(), use) {
			kind = strings.Replace(in.Kind(), "csv", "lists", 1)
			return o.openLists(in, use, cols)
		}
		o.CSV = true
	}
	a, err := in.Array(key, array.CSVOptions{Separator: o.Separator, Header: o.Header, Index: o.Index, Warn: o.Warn})
	if err != nil {
		return nil, nil, err
	}
	return a, nil, nil
}

// openLists opens lists of labels and features.
func (o *Options) openLists(in *array.Input, use Use, cols int) (Source, *sparse.Matrix, error) {
	o.Lists = true
	t := sparse.TextOptions{Classes: -1, Features: cols, OneBased: o.OneBased}
	if use == Labels {
		t = sparse.TextOptions{Classes: cols, Features: -1, OneBased: o.OneBased, Labels: true}
	}
	text, err := sparse.ReadText(in, t)
	if err != nil {
		return nil, nil, err
	}
	if text.Blank > 0 {
		o.warn("%s: %s; a first line with the sizes makes them rows", array.Quote(in.Name), blankLines(text.Blank))
	}
	var labels *sparse.Matrix
	switch use {
	case Labels:
		if labels, err = text.LabelMatrix(cols); err != nil {
			return nil, nil, err
		}
	case Features:
		if labels = text.Y; len(labels.Indices) == 0 && text.Sizes != 3 {
			labels.Close()
			labels = nil
		}
	default:
		text.Y.Close()
	}
	if labels != nil {
		labels.Lists = true
	}
	if use == Labels {
		return labels, nil, nil
	}
	return text.X, labels, nil
}

// blankLines says what so many blank lines are.
func blankLines(n int) string {
	if n == 1 {
		return "1 blank line is no row"
	}
	return fmt.Sprintf("%d blank lines are no rows", n)
}

// Check is an error if rows of a sparse matrix are too long to be kept in
// memory, as scores are, for what its file lists.
func Check(name string, s Source) error {
	m, ok := s.(*sparse.Matrix)
	if !ok || array.Justified(float64(m.Cols), float64(len(m.Indices)+m.Rows)) {
		return nil
	}
	return array.Faultf(name, "%s with only %s listed are too many; leave out columns that no row lists", array.Counted(m.Cols, "column"), array.Counted(len(m.Indices), "entry"))
}
