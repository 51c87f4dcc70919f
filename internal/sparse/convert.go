package sparse

import (
	"errors"
	"fmt"
	"math"

	"github.com/zlpr/zlpr/internal/array"
)

// entryList are the entries of a matrix in the order in which they are stored:
// a matrix of columns, or of coordinates.
type entryList struct {
	rows, cols   int
	n            int
	row, col     *array.Array // col of coordinates
	ptr          []int64      // of columns
	first        string       // what the file calls row
	rowBuffer    []int64
	columnBuffer []int64
}

// each calls f for every entry, in order.
func (l *entryList) each(f func(k int, row, col int64)) error {
	const step = 1 << 16
	c := 0 // the column of compressed columns
	for from := 0; from < l.n; from += step {
		to := min(from+step, l.n)
		var err error
		if l.rowBuffer, err = array.Integers(l.row, l.rowBuffer[:0], from, to); err != nil {
			return l.fault(l.first, err)
		}
		if l.col != nil {
			if l.columnBuffer, err = array.Integers(l.col, l.columnBuffer[:0], from, to); err != nil {
				return l.fault("col", err)
			}
		}
		for i, row := range l.rowBuffer {
			k := from + i
			var col int64
			if l.col != nil {
				col = l.columnBuffer[i]
			} else {
				for l.ptr[c+1] <= int64(k) {
					c++
				}
				col = int64(c)
			}
			switch {
			case row < 0 || row >= int64(l.rows):
				return fmt.Errorf("entry %d: row %d, but there are %d, counted from 0", k, row, l.rows)
			case col < 0 || col >= int64(l.cols) || col > math.MaxInt32:
				return fmt.Errorf("entry %d: column %d, but there are %d, counted from 0%s", k, col, l.cols, beyond(l.cols))
			}
			f(k, row, col)
		}
	}
	return nil
}

// fault is the error of an index that is none.
func (l *entryList) fault(name string, err error) error {
	var e *array.ElementError
	if errors.As(err, &e) {
		return fmt.Errorf("entry %d: %s in %s is no index", e.Index, e.Value, name)
	}
	return err
}

// convert reads a matrix of compressed columns or of coordinates. It sorts the
// entries by rows, by counting those of each; within a row they keep their
// order.
func (m *Matrix) convert(z *array.Archive, format string, rows, cols int, repeated Repeated) error {
	m.Cols = cols
	l := &entryList{rows: rows, cols: cols}
	var files []*array.Array
	defer func() {
		for _, a := range files {
			a.Close()
		}
	}()
	names := cooNames
	if format == "csc" {
		names = csrNames
	}
	for i, name := range names {
		a, err := z.Open(name)
		if err != nil {
			return err
		}
		files = append(files, a)
		if i < 2 && (a.Type.IsFloat() || a.Type == array.Bool) {
			return array.Faultf(a.Name, "indices must be integers, not %s; write them as int64", a.Type)
		}
	}
	values := files[2]
	if format == "csc" {
		ptr, err := array.As[int64](files[0])
		if err != nil {
			return l.fault("indptr", err)
		}
		files[0], l.row, l.first = ptr, files[1], "indices"
		l.ptr = array.All[int64](ptr)
		if err := checkPointers("column", l.ptr, l.row.Len(), values.Len()); err != nil {
			return err
		}
		if len(l.ptr)-1 != cols {
			return fmt.Errorf("indptr is of %s, the shape of %d; write the file again", array.Counted(len(l.ptr)-1, "column"), cols)
		}
		l.n = int(l.ptr[cols])
	} else {
		l.row, l.col, l.first, l.n = files[0], files[1], "row", values.Len()
		if l.row.Len() != l.n || l.col.Len() != l.n {
			return fmt.Errorf("%s, %s and %s; the file is truncated or mixed up", array.Counted(l.row.Len(), "row"), array.Counted(l.col.Len(), "column"), array.Counted(l.n, "value"))
		}
	}
	if rows > max(array.Free, 16*l.n) {
		return fmt.Errorf("%s with only %s listed are too many; leave out rows that list nothing", array.Counted(rows, "row"), array.Counted(l.n, "entry"))
	}
	return m.sort(l, values, repeated)
}

// sort makes rows of entries.
func (m *Matrix) sort(l *entryList, values *array.Array, repeated Repeated) error {
	// How many entries a row has, then where its next one goes.
	counts, err := array.Blank(m.Name, array.Int64, l.rows+1)
	if err != nil {
		return err
	}
	defer counts.Close()
	next, ok := array.View[int64](counts, 0, l.rows+1)
	if !ok { // numbers in memory are not as in files
		next = make([]int64, l.rows+1)
	}
	if err := l.each(func(_ int, row, _ int64) { next[row]++ }); err != nil {
		return err
	}
	for _, blank := range []struct {
		t array.DType
		n int
	}{{array.Int64, l.rows + 1}, {array.Int32, l.n}, {values.Type, l.n}} {
		a, err := array.Blank(m.Name, blank.t, blank.n)
		if err != nil {
			return err
		}
		m.arrays = append(m.arrays, a)
	}
	ptr, indices, sorted := m.arrays[0], m.arrays[1], m.arrays[2]
	start := int64(0)
	for row, n := range next {
		ptr.SetInteger(row, start)
		next[row], start = start, start+n
	}
	err = l.each(func(k int, row, col int64) {
		at := int(next[row])
		next[row]++
		indices.SetInteger(at, col)
		sorted.SetFrom(at, values, k)
	})
	if err != nil {
		return err
	}
	m.Rows, m.RowPtr, m.Indices, m.Values = l.rows, array.All[int64](ptr), array.All[int32](indices), sorted
	return m.check(repeated)
}
