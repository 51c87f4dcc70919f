package zlpr

import "strconv"

// Bits is a matrix of zeros and ones, rows × classes: hard labels or a mask,
// in any format. The formats of this package are DenseLabels, BitLabels,
// SparseLabels, TargetLabels, LengthMask and SpanMask; a caller may add others.
type Bits interface {
	// Dims returns the number of rows and of classes.
	Dims() (rows, classes int)

	// ReadRows writes rows r0 to r1-1 as bits. With w = (classes+63)/64 words
	// a row, class j of row r is bit j%64 of dst[(r-r0)*w+j/64], counted from
	// the least significant; bits past the last class are zero. A value that
	// is neither 0 nor 1 is a *DataError. Calls run concurrently.
	ReadRows(dst []uint64, r0, r1 int) error
}

// DataError is an error in the data of one row.
type DataError struct {
	Row    int    // the row, counted from 0
	Class  int    // the class, counted from 0; -1 where the whole row is meant
	Reason string // what is wrong
}

func (e *DataError) Error() string {
	s := "zlpr: row " + strconv.Itoa(e.Row)
	if e.Class >= 0 {
		s += ", class " + strconv.Itoa(e.Class)
	}
	return s + ": " + e.Reason
}
