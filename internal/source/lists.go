package source

import (
	"bytes"
	"regexp"
	"strconv"
)

// peekSize is how much of a text tells what it is.
const peekSize = 1 << 16

// entry is a feature and its value, as lists have them.
var entry = regexp.MustCompile(`(?m)(^|[ \t])[0-9]+:[-+.0-9infaINFA]`)

// allEmpty reports whether text is a first line that says the sizes and rows of
// which none has an entry: as many blank lines as it says, or more than are at
// hand.
func allEmpty(head []byte) bool {
	first, rest, _ := bytes.Cut(head, []byte("\n"))
	if fields := bytes.Fields(first); len(fields) == 2 || len(fields) == 3 {
		rows, err := strconv.Atoi(string(fields[0]))
		blank := bytes.Count(rest, []byte("\n"))
		return err == nil && blank > 0 && len(bytes.TrimSpace(rest)) == 0 && (blank == rows || len(head) >= peekSize && blank < rows)
	}
	return false
}

// isLists reports whether text has lists of labels and features rather than a
// table of numbers (CSV): its name tells or, where that does not, its first
// lines. Lists have feature:value, or label,label in lines of different
// lengths.
func isLists(head []byte, ext string, use Use) bool {
	switch ext {
	case ".csv", ".tsv":
		return false
	case ".svm", ".libsvm", ".svmlight":
		return true
	}
	if entry.Match(head) || allEmpty(head) {
		return true
	}
	if use != Labels {
		return false
	}
	// Labels without features: no blanks between them, but in a first line
	// that says the sizes.
	if i := bytes.LastIndexByte(head, '\n'); i >= 0 && len(head) == peekSize {
		head = head[:i] // whole lines
	}
	first, commas, same := true, 0, true
	for line := range bytes.Lines(head) {
		line, _, _ = bytes.Cut(line, []byte("#"))
		fields := bytes.Fields(line)
		if len(fields) == 0 {
			continue
		}
		n := bytes.Count(line, []byte(","))
		if !first && len(fields) > 1 || len(fields) > 3 || bytes.ContainsAny(line, `";`) {
			return false
		}
		if first && len(fields) == 1 {
			commas = n
		}
		same = same && n == commas
		first = false
	}
	return ext == ".txt" || !same
}
