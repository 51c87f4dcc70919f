package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
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
	case errors.Is(err, errInterrupted):
		return statusStop
	}
	return statusData
}

// errInterrupted is the error of a session that a signal ends.
var errInterrupted = errors.New("interrupted; no output was written")

// libraryPrefix is what the library's errors begin with, after a file name and
// the like.
var libraryPrefix = regexp.MustCompile(`(^|: )(zlpr|metrics): `)

// flagNames makes fields of the library that options of eval set these options.
var flagNames = strings.NewReplacer("Options.TopNegatives", "--top-negatives", "Options.TopScores", "--top-scores",
	"Batch.ClassWeights", "--class-weights", "Batch.ThresholdColumn", "--threshold-column", "Batch.Smoothing", "--smoothing",
	"Pairwise.Gamma · Margin", "--gamma · --margin", "zlpr: ", "")

// oneLine returns the message of an error in one line of printable characters.
func oneLine(err error) string {
	text := libraryPrefix.ReplaceAllString(err.Error(), "$1")
	var b strings.Builder
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' || r == '\r' || r == '\t' }) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		for _, r := range strings.TrimSpace(part) {
			if r != unicode.ReplacementChar && unicode.IsPrint(r) {
				b.WriteRune(r)
			} else {
				b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
			}
		}
	}
	const most = 1000 // a file may have names and numbers of any length
	if line := []rune(b.String()); len(line) > most {
		return string(line[:most*2/3]) + " … " + string(line[len(line)-most/3:])
	}
	return b.String()
}

// quoted returns a name as it can stand in a message.
func quoted(name string) string {
	if name == sampleName {
		return name // is no file
	}
	return array.Quote(name)
}

// mendOrMask is what to do about a score that a command does not take.
const mendOrMask = "mend the score, or leave it out by --mask"

// advice says which file is at fault in an error of the library, and what to do.
var advice = map[zlpr.DataKind]struct{ file, text string }{
	zlpr.LabelNaN:           {"labels", "write 0 or 1; eval leaves unknown labels out with --mask"},
	zlpr.LabelNotBinary:     {"labels", "labels are 0 or 1; class numbers are an array of one axis less, one number a row"},
	zlpr.LabelNoClass:       {"labels", "classes count from 0; where they count from 1, give --one-based"},
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
	zlpr.ScoreNaN:           {"scores", "mend the score, leave it out by --mask, or leave out what needs it: --strict, metrics and predictions (--metrics none)"},
	zlpr.ScoreInfinite:      {"scores", "mend the score, or leave --strict out"},
	zlpr.ThresholdNotFinite: {"scores", "mend the threshold"},
}

// explain turns an error of the library into one that names the file, the row,
// the column and what to do. The rows of the error begin with row first of the
// files.
func explain(err error, first int, files map[string]string) error {
	return explainAt(err, func(what string, row, class int) (file, place string) {
		if class < 0 {
			return files[what], fmt.Sprintf("row %d", row+first)
		}
		return files[what], fmt.Sprintf("row %d, column %d", row+first, class)
	})
}

// explainAt is explain where where says which file has a row and a class of
// what, and where they are in it; class -1 is a row alone.
func explainAt(err error, where func(what string, row, class int) (file, place string)) error {
	return explainBy(nil, err, where)
}

// A remedy is what to do about data, by their kind, in a command that has not what
// the advice speaks of.
type remedy map[zlpr.DataKind]string

// explainBy is explainAt with remedies that come before the advice.
func explainBy(remedies remedy, err error, where func(what string, row, class int) (file, place string)) error {
	var e *zlpr.DataError
	if !errors.As(err, &e) {
		return err
	}
	a, class := advice[e.Kind], e.Class
	if text := remedies[e.Kind]; text != "" {
		a.text = text
	}
	if a.file == "" {
		a.file = "scores"
	}
	if strings.HasPrefix(e.Reason, "teacher") {
		a.file = "teacher"
	}
	if e.Kind == zlpr.LabelNoClass {
		class = -1 // the column would be the label itself
	}
	file, place := where(a.file, e.Row, class)
	if a.text == "" {
		return fmt.Errorf("%s: %s: %s", quoted(file), place, e.Reason)
	}
	return fmt.Errorf("%s: %s: %s; %s", quoted(file), place, e.Reason, a.text)
}
