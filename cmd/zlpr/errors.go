package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/zlpr/zlpr"
)

// Exit statuses.
const (
	statusData  = 1
	statusUsage = 2
	statusStop  = 130 // as a shell gives after Ctrl-C
)

// A usageError is an error in what was asked, not in the data.
type usageError struct{ error }

// usagef returns a usageError.
func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// status returns the exit status for an error.
func status(err error) int {
	var u usageError
	switch {
	case errors.As(err, &u):
		return statusUsage
	case errors.Is(err, context.Canceled):
		return statusStop
	}
	return statusData
}

// libraryPrefix is what the library's errors begin with, after a file name and
// the like.
var libraryPrefix = regexp.MustCompile(`(^|: )zlpr: `)

// oneLine returns the message of an error in one line.
func oneLine(err error) string {
	if errors.Is(err, context.Canceled) {
		return "interrupted; no output was written"
	}
	return strings.Join(strings.Fields(libraryPrefix.ReplaceAllString(err.Error(), "$1")), " ")
}

// advice says which file is at fault in an error of the library, and what to do.
var advice = map[zlpr.DataKind]struct{ file, text string }{
	zlpr.LabelNaN:           {"labels", "write 0 or 1; eval leaves unknown labels out with --mask"},
	zlpr.LabelNotBinary:     {"labels", "labels are 0 or 1"},
	zlpr.LabelNoClass:       {"labels", "classes are counted from 0"},
	zlpr.LabelRepeated:      {"labels", "list every class once; in scipy: sum_duplicates"},
	zlpr.LabelPointers:      {"labels", "write the file again"},
	zlpr.LabelMasked:        {"labels", "set the label to 0 or the mask to 1"},
	zlpr.LabelOnThresholds:  {"labels", "that column is no class, its labels are 0"},
	zlpr.LabelMissing:       {"labels", "choose --loss zlpr"},
	zlpr.LabelsTooMany:      {"labels", "choose --loss zlpr"},
	zlpr.LabelsAboveK:       {"labels", "raise --k, or leave it out"},
	zlpr.SoftLabelRange:     {"labels", "labels are 0 or 1, soft labels lie between"},
	zlpr.MaskInvalid:        {"mask", "a mask is 1 where a class takes part, else 0"},
	zlpr.LengthRange:        {"mask", "lengths lie between 0 and the number of positions"},
	zlpr.WeightRange:        {"row-weights", "mend the weight"},
	zlpr.ScoreNaN:           {"scores", "mend the score, or leave out what needs it: --strict, metrics and predictions (--metrics none)"},
	zlpr.ScoreInfinite:      {"scores", "mend the score, or leave --strict out"},
	zlpr.ThresholdNotFinite: {"scores", "mend the threshold"},
}

// explain turns an error of the library into one that names the file, the row,
// the column and what to do. The rows of the error begin with row first of the
// files.
func explain(err error, first int, files map[string]string) error {
	var e *zlpr.DataError
	if !errors.As(err, &e) {
		return err
	}
	where := fmt.Sprintf("row %d", e.Row+first)
	if e.Class >= 0 {
		where += fmt.Sprintf(", column %d", e.Class)
	}
	a := advice[e.Kind]
	if a.file == "" {
		return fmt.Errorf("%s: %s: %s", files["scores"], where, e.Reason)
	}
	return fmt.Errorf("%s: %s: %s; %s", files[a.file], where, e.Reason, a.text)
}
