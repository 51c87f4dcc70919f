package zlpr

import (
	"strconv"
	"strings"
)

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
	Row    int      // the row, counted from 0
	Class  int      // the class, counted from 0; -1 where the whole row is meant
	Kind   DataKind // what is wrong, for programs
	Reason string   // what is wrong, for people; with the value where there is one
}

func (e *DataError) Error() string {
	s := "zlpr: row " + strconv.Itoa(e.Row)
	if e.Class >= 0 {
		s += ", class " + strconv.Itoa(e.Class)
	}
	return s + ": " + e.Reason
}

// A DataKind says which data of a row are wrong, and in what way.
type DataKind int

const (
	OtherData          DataKind = iota // what a caller's own Bits found
	LabelNaN                           // a label that is NaN
	LabelNotBinary                     // a label that is neither 0 nor 1
	LabelNoClass                       // a listed label, or a target, that is no class
	LabelRepeated                      // a class that is listed twice
	LabelPointers                      // row pointers that decrease, or reach beyond the indices
	LabelMasked                        // a positive label on a class that the mask leaves out
	LabelOnThresholds                  // a positive label on the column of thresholds
	LabelMissing                       // SoftmaxCrossEntropy without a positive label
	LabelsTooMany                      // SoftmaxCrossEntropy with more than one
	LabelsAboveK                       // more positive labels than the K of PaddedSubset
	SoftLabelRange                     // a soft label outside [0, 1]
	MaskInvalid                        // a mask that is wrong as labels would be
	LengthRange                        // a length of a mask that is negative or too large
	WeightRange                        // a row weight that is negative, infinite or NaN
	ScoreNaN                           // a score that is NaN
	ScoreInfinite                      // a score that is infinite, with Options.Strict
	ThresholdNotFinite                 // a learned threshold that is NaN or infinite
)

// notBinary is the error of a label that is neither 0 nor 1.
func notBinary(row, class int, value float64) *DataError {
	if value != value {
		return &DataError{row, class, LabelNaN, "label is NaN"}
	}
	return &DataError{row, class, LabelNotBinary, "label " + decimal(value) + " is neither 0 nor 1"}
}

// ofMask makes the error of a mask's ReadRows, which takes it for labels, one of
// a mask.
func ofMask(err error) error {
	e, ok := err.(*DataError)
	if !ok || e.Kind == OtherData || e.Kind == LengthRange || e.Kind == MaskInvalid {
		return err
	}
	return &DataError{e.Row, e.Class, MaskInvalid, strings.Replace("mask: "+e.Reason, "mask: label", "mask value", 1)}
}

// noSuchClass is the error of a label that is no class.
func noSuchClass(row, class, classes int) *DataError {
	return &DataError{row, class, LabelNoClass, "label " + strconv.Itoa(class) + " is none of the " + strconv.Itoa(classes) + " classes"}
}

// decimal returns a number as people write it.
func decimal(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
