package sparse

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/zlpr/zlpr/internal/array"
)

// TextOptions say what is known about a file of text.
type TextOptions struct {
	Classes, Features int  // how many there are; -1: as many as the file says
	OneBased          bool // whether labels and features count from 1
	Labels            bool // whether labels are wanted alone: features of rows that have labels are left out
}

// A Text is what a text file has: labels and features, of which one may be
// missing.
type Text struct {
	X, Y  *Matrix // features, with values; labels, all 1
	Sizes int     // numbers of the first line, if it says the sizes: 2 or 3, else 0
	Blank int     // blank lines that are no rows
}

// Close releases the matrices.
func (t *Text) Close() error {
	return errors.Join(t.X.Close(), t.Y.Close())
}

// ReadText reads a text file with labels and features: lines of
//
//	label,label,... feature:value feature:value ...
//
// as multi-label libsvm has them, separated by blanks or tabs, or as in the
// extreme classification repository, where a first line says the sizes: "rows
// features labels", or "rows columns" of a matrix without labels. A line that
// begins with a blank, or with a feature, has no labels. Without the first line
// the sizes are the largest numbers plus 1, and blank lines are no rows. What
// follows # is a comment; a line with nothing else is no row.
func ReadText(in *array.Input, o TextOptions) (*Text, error) {
	t, err := readText(in.Name, array.NewLines(in), o)
	return t, array.Named(in.Name, err)
}

// A textReader reads one file.
type textReader struct {
	TextOptions
	lines  *array.Lines
	text   *Text
	header [3]int64 // rows, features or columns, labels

	xPtr, yPtr         *array.Builder[int64]
	xIndices, yIndices *array.Builder[int32]
	values             *array.Builder[float64]
	maxX, maxY         int32
	row                []int32 // labels of the row, to find those listed twice
}

func readText(name string, lines *array.Lines, o TextOptions) (*Text, error) {
	r := &textReader{TextOptions: o, lines: lines, text: &Text{}, maxX: -1, maxY: -1,
		xPtr: array.NewBuilder[int64](name), yPtr: array.NewBuilder[int64](name),
		xIndices: array.NewBuilder[int32](name), yIndices: array.NewBuilder[int32](name), values: array.NewBuilder[float64](name)}
	defer func() {
		r.xPtr.Discard()
		r.yPtr.Discard()
		r.xIndices.Discard()
		r.yIndices.Discard()
		r.values.Discard()
	}()
	if err := r.read(); err != nil {
		return nil, err
	}
	return r.finish(name)
}

var (
	fieldEnd   = array.SetOf(" \t\r\n#,:")
	valueEnd   = array.SetOf(" \t\r\n#,")
	commentEnd = array.SetOf("\n")
)

func (r *textReader) read() error {
	if err := r.endRow(); err != nil { // the first row begins at 0
		return err
	}
	for first := true; ; first = false {
		if first {
			blank, more, err := r.lines.SkipEmpty(false)
			if err != nil || !more {
				return err
			}
			r.text.Blank = blank
			sized, err := r.sizes()
			if err != nil {
				return err
			}
			if sized {
				continue
			}
		} else if more, err := r.begin(); err != nil || !more {
			return err
		}
		if err := r.line(); err != nil {
			return fmt.Errorf("row %d (line %d): %w", r.rows(), r.lines.Line, err)
		}
		if err := r.endRow(); err != nil {
			return err
		}
	}
}

// rows returns the number of rows so far.
func (r *textReader) rows() int64 { return int64(r.xPtr.Len()) - 1 }

func (r *textReader) endRow() error {
	return errors.Join(r.xPtr.Append(int64(r.xIndices.Len())), r.yPtr.Append(int64(r.yIndices.Len())))
}

// begin goes on to the next row. Where a first line says how many rows there
// are, blank lines are rows.
func (r *textReader) begin() (more bool, err error) {
	blank, more, err := r.lines.SkipEmpty(false)
	if err != nil {
		return false, err
	}
	if r.text.Sizes == 0 {
		r.text.Blank += blank
		return more, nil
	}
	for ; blank > 0 && r.rows() < r.header[0]; blank-- {
		if err := r.endRow(); err != nil {
			return false, err
		}
	}
	return more, nil
}

// sizes reads a first line that says the sizes: two or three numbers and
// nothing else.
func (r *textReader) sizes() (bool, error) {
	line, _, _ := bytes.Cut(r.lines.Peek(1<<11), []byte("\n"))
	line, _, _ = bytes.Cut(line, []byte("#"))
	if len(line) > 1<<10 || bytes.ContainsAny(line, ":,") {
		return false, nil
	}
	fields := bytes.Fields(line)
	if len(fields) != 2 && len(fields) != 3 {
		return false, nil
	}
	for i, field := range fields {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil || n < 0 || i > 0 && n > math.MaxInt32 {
			return false, fmt.Errorf("line %d: %q is not a size; a first line of %d numbers says rows, %s", r.lines.Line, field, len(fields),
				[]string{"columns", "features and labels"}[len(fields)-2])
		}
		r.header[i] = n
	}
	r.text.Sizes = len(fields)
	r.Features, r.Classes = int(r.header[1]), int(r.header[len(fields)-1])
	if err := r.lines.SkipTo(commentEnd); err != nil {
		return false, err
	}
	_, more, err := r.lines.Next()
	if more {
		r.lines.NewLine()
	}
	return true, err
}

// line reads the rest of a line, whose blanks at the beginning are read.
func (r *textReader) line() error {
	if err := r.labels(); err != nil {
		return err
	}
	for {
		if err := r.lines.SkipBlanks(); err != nil {
			return err
		}
		b, more, err := r.lines.Next()
		switch {
		case !more:
			return err
		case b == '#':
			if err := r.lines.SkipTo(commentEnd); err != nil {
				return err
			}
		case b == '\n':
			r.lines.NewLine()
			return nil
		default:
			name, err := r.lines.Until(fieldEnd)
			if err != nil {
				return err
			}
			if err := r.feature(name); err != nil {
				return err
			}
		}
	}
}

// labels reads the labels at the beginning of a line, or its first feature.
func (r *textReader) labels() error {
	r.row = r.row[:0]
	indented := r.lines.Column() > 0
	for {
		name, err := r.lines.Until(fieldEnd)
		if err != nil {
			return err
		}
		b, _, err := r.lines.Next()
		switch {
		case err != nil:
			return err
		case b == ':' && len(r.row) == 0:
			return r.feature(name)
		case indented:
			return fmt.Errorf("%q is no feature:value; labels stand at the beginning of a line", name)
		}
		j, err := index(name, r.base())
		if err != nil {
			return fmt.Errorf("label %q: %w", name, err)
		}
		if r.Classes >= 0 && int(j) >= r.Classes {
			return fmt.Errorf("label %s, but there are %d, counted from %d", name, r.Classes, r.base())
		}
		r.maxY = max(r.maxY, j)
		r.row = append(r.row, j)
		if err := r.yIndices.Append(j); err != nil {
			return err
		}
		if b != ',' {
			break
		}
		if err := r.lines.Skip(1); err != nil {
			return err
		}
	}
	slices.Sort(r.row)
	for k := 1; k < len(r.row); k++ {
		if r.row[k] == r.row[k-1] {
			return fmt.Errorf("label %d is listed twice", int(r.row[k])+r.base())
		}
	}
	return nil
}

// feature reads the rest of a feature, whose name is read.
func (r *textReader) feature(name []byte) error {
	if b, _, err := r.lines.Next(); err != nil {
		return err
	} else if b != ':' {
		return fmt.Errorf("%q is no feature:value", name)
	}
	besides := r.Labels && len(r.row) > 0 // only labels are wanted, and here they are
	base := r.base()
	if besides {
		base = 0
	}
	j, err := index(name, base)
	if err != nil {
		return fmt.Errorf("feature %q: %w", name, err)
	}
	if r.Features >= 0 && int(j) >= r.Features {
		return fmt.Errorf("feature %s, but there are %d, counted from %d", name, r.Features, r.base())
	}
	if err := r.lines.Skip(1); err != nil {
		return err
	}
	text, err := r.lines.Until(valueEnd)
	if err != nil {
		return err
	}
	v, err := array.ParseNumber(text)
	if errors.Is(err, strconv.ErrSyntax) {
		return fmt.Errorf("feature %d: %q is not a number", int(j)+base, text)
	} else if err != nil {
		return fmt.Errorf("feature %d: %q is %w", int(j)+base, text, err)
	}
	if besides {
		return nil
	}
	r.maxX = max(r.maxX, j)
	return errors.Join(r.xIndices.Append(j), r.values.Append(v))
}

// base is what indices count from.
func (r *textReader) base() int {
	if r.OneBased {
		return 1
	}
	return 0
}

// index parses the number of a label or of a feature, which counts from base,
// and counts it from 0.
func index(s []byte, base int) (int32, error) {
	j, err := strconv.ParseUint(string(s), 10, 64)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange), err == nil && j < uint64(base):
		return 0, fmt.Errorf("not a number counted from %d", base)
	case err != nil || j >= math.MaxInt32:
		return 0, errLong
	}
	return int32(j) - int32(base), nil
}

// errLong is the error of more columns than an index holds.
var errLong = errors.New("more than 2^31-1 columns")

// finish makes the matrices.
func (r *textReader) finish(name string) (*Text, error) {
	t := r.text
	if rows := r.rows(); t.Sizes > 0 && rows != r.header[0] {
		return nil, fmt.Errorf("the first line says %s, but %d are there; the file is truncated or its first line wrong", array.Counted(r.header[0], "row"), rows)
	}
	if t.Sizes == 2 && r.maxX >= 0 && r.maxY >= 0 {
		return nil, errors.New("a first line of two numbers, rows and columns, but both labels and features below; write rows, features and labels")
	}
	t.X, t.Y = &Matrix{Name: name, Cols: r.Features}, &Matrix{Name: name, Cols: r.Classes}
	if r.Features < 0 {
		t.X.Cols, t.X.Counted = int(r.maxX)+1, true
	}
	if r.Classes < 0 {
		t.Y.Cols, t.Y.Counted = int(r.maxY)+1, true
	}
	rows := int(r.rows())
	err := errors.Join(t.X.set(r.xPtr, r.xIndices, r.values, rows), t.Y.set(r.yPtr, r.yIndices, nil, rows))
	if err == nil {
		repeated := Sum
		if r.Labels {
			repeated = Refuse
		}
		err = t.X.check(repeated)
	}
	if err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// LabelMatrix returns the labels: those before the features or, where there are
// none, the columns of a matrix that has a 1 for each label, as "label:1". There
// are that many classes, -1 for as many as the file says. The other matrix is
// closed.
func (t *Text) LabelMatrix(classes int) (*Matrix, error) {
	if len(t.Y.Indices) > 0 || len(t.X.Indices) == 0 || t.Sizes == 3 {
		t.X.Close()
		return t.Y, nil
	}
	t.Y.Close()
	if t.Sizes == 0 && classes >= 0 {
		t.X.Cols, t.X.Counted = classes, false
		if err := t.X.check(Refuse); err != nil {
			t.X.Close()
			return nil, array.Named(t.X.Name, err)
		}
	}
	return t.X, nil
}

// FromOne reports whether columns are listed, and none of them is the first.
func (m *Matrix) FromOne() bool { return len(m.Indices) > 0 && !slices.Contains(m.Indices, 0) }
