package array

import (
	"errors"
	"fmt"
	"strings"
)

// A Choice is what the user says about a file, or that the file tells.
type Choice uint8

const (
	Auto Choice = iota
	Yes
	No
)

// CSVOptions say how CSV is read where the file does not tell.
type CSVOptions struct {
	Separator byte   // ',', ';', '\t', ' ' for blanks; 0: as the first lines tell
	Header    Choice // whether the first line is a heading; Auto: if it is not all numbers
	Index     Choice // whether the first column is an index; Auto: if it has no heading and counts 0, 1, 2, …
	Warn      func(message string)
}

// ReadCSV reads numbers as float64. Empty lines and lines that begin with # are
// no rows.
func ReadCSV(in *Input, o CSVOptions) (*Array, error) {
	c := &csvReader{CSVOptions: o, name: in.Name, lines: NewLines(in), values: NewBuilder[float64](in.Name)}
	defer func() { c.values.Discard() }()
	if c.Warn == nil {
		c.Warn = func(string) {}
	}
	if c.Separator == 0 {
		if c.Separator = separator(string(c.lines.Peek(peekSize))); in.Ext() == ".tsv" {
			c.Separator = '\t'
		}
	}
	c.separator = newSeparator(c.Separator)
	a, err := c.read()
	return a, Named(in.Name, err)
}

// A csvReader reads one file.
type csvReader struct {
	CSVOptions
	name      string
	lines     *Lines
	separator csvSeparator
	values    *Builder[float64]

	rows, cols int    // rows that were read, and fields of each
	heading    bool   // whether there was one
	unnamed    bool   // whether the heading has no name for the first column
	doubt      string // the warning of a heading that may be a row, ""
	counts     bool   // whether the first column counts 0, 1, 2, … so far
}

func (c *csvReader) read() (*Array, error) {
	c.counts = true
	first := true
	for {
		_, more, err := c.lines.SkipEmpty(c.Separator == '\t')
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
		if first {
			err = c.firstLine()
		} else {
			err = c.row()
		}
		if err != nil {
			return nil, err
		}
		first = false
	}
	if c.Index == Auto && c.heading && c.unnamed && c.counts && c.rows > 0 && c.cols > 1 {
		c.Warn(fmt.Sprintf("%s: the first column has no heading and counts 0, 1, 2, …: it is taken as an index and left out; --index-column no keeps it", Quote(c.name)))
		return c.withoutIndex()
	}
	if c.doubt != "" {
		c.Warn(c.doubt)
	}
	cols := c.cols
	if c.Index == Yes {
		cols = max(0, cols-1)
	}
	return c.values.Array([]int{c.rows, cols})
}

// firstLine reads the line that may be a heading: its numbers count as a row
// until a field that is none.
func (c *csvReader) firstLine() error {
	sequence, numbers, word := true, 0, ""
	left := 0 // columns that are left out
	if c.Index == Yes {
		left = 1
	}
	for more := true; more; c.cols++ {
		field, last, err := c.lines.field(c.separator)
		if err != nil {
			return err
		}
		more = !last
		if c.cols == 0 {
			c.unnamed = len(field) == 0
			if c.Index == Yes {
				c.heading = c.unnamed && c.Header != No // an index has no empty entry
				continue
			}
		}
		x, err := ParseNumber(field)
		switch {
		case err == nil:
			numbers++
			c.counts = c.counts && (c.cols > 0 || x == 0)
			sequence = sequence && x == float64(c.cols-left)
			if err := c.values.Append(x); err != nil {
				return err
			}
		case c.Header == No:
			return c.notNumber(err, field, c.cols)
		case word == "" && len(field) > 0:
			word = short(field)
			fallthrough
		default:
			sequence, c.heading = false, true
		}
	}
	if c.heading = c.heading || c.Header == Yes; !c.heading {
		c.rows++
		if sequence && c.Header == Auto {
			c.Warn(fmt.Sprintf("%s: the first line counts 0, 1, 2, …; it is read as a row. If it is a heading, say --header yes, else --header no", Quote(c.name)))
		}
		return nil
	}
	if numbers > 0 && c.Header == Auto && !(c.Index == Yes && c.unnamed) {
		c.doubt = fmt.Sprintf("%s: the first line is taken as a heading, though it has numbers, since %q is none; if it is a row, mend it and say --header no", Quote(c.name), word)
	}
	c.counts = true
	c.values.Discard()
	c.values = NewBuilder[float64](c.name)
	return nil
}

// row reads a line of numbers.
func (c *csvReader) row() error {
	line, col := c.lines.Line, 0
	for more := true; more; col++ {
		field, last, err := c.lines.field(c.separator)
		if err != nil {
			return err
		}
		more = !last
		if col >= c.cols || col == 0 && c.Index == Yes {
			continue
		}
		x, err := ParseNumber(field)
		if err != nil {
			return c.notNumber(err, field, col)
		}
		if col == 0 && x != float64(c.rows) {
			c.counts = false
		}
		if err := c.values.Append(x); err != nil {
			return err
		}
	}
	if col != c.cols {
		above := "the rows above"
		if c.heading && c.rows == 0 {
			above = "the heading"
		}
		return fmt.Errorf("row %d has %s, %s %d (line %d)", c.rows, Counted(col, "column"), above, c.cols, line)
	}
	c.rows++
	return nil
}

// notNumber is the error of a field that is no number.
func (c *csvReader) notNumber(err error, field []byte, col int) error {
	what := "is not a number"
	switch {
	case errors.Is(err, errRange):
		what = "is " + err.Error()
	case len(field) == 0:
		what += "; fill it in"
	case c.rows == 0 && !c.heading && c.Header == No:
		what += "; if the first line is a heading, leave out --header no"
	case col == 0 && c.heading && c.unnamed:
		what += "; --index-column yes leaves the first column out"
	case c.Separator != ',' && strings.Contains(string(field), ","):
		what += "; write decimal points"
	}
	return fmt.Errorf("row %d, column %d: %q %s", c.rows, col, short(field), what)
}

// withoutIndex returns the numbers without the first column.
func (c *csvReader) withoutIndex() (*Array, error) {
	all, err := c.values.Array([]int{c.rows, c.cols})
	if err != nil {
		return nil, err
	}
	defer all.Close()
	c.values = NewBuilder[float64](c.name)
	var buffer []float64
	for i := range c.rows {
		buffer = Read(all, buffer, i*c.cols+1, (i+1)*c.cols)
		for _, x := range buffer {
			if err := c.values.Append(x); err != nil {
				return nil, err
			}
		}
	}
	return c.values.Array([]int{c.rows, c.cols - 1})
}

// separator finds what separates the fields of lines: of comma, semicolon, tab
// and blanks the one by which most lines have the same number of fields, more
// than one, all numbers; a heading tells where no line does.
func separator(head string) byte {
	text := strings.ReplaceAll(strings.TrimPrefix(head, byteOrderMark), "\r\n", "\n")
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		text = text[:i] // whole lines
	}
	best, most := byte(','), 0
	for _, candidate := range []byte{',', ';', '\t', ' '} {
		score, fields := 0, 0
		for line := range strings.SplitSeq(text, "\n") {
			n, numbers := countFields(line, candidate)
			switch {
			case n < 2:
			case numbers && n == fields:
				score += 1 << 16
			case numbers:
				score, fields = score+1<<15, n
			default:
				score++
			}
		}
		if score > most {
			best, most = candidate, score
		}
	}
	return best
}

// countFields counts the fields of a line, and tells whether all are numbers
// or, quoted or not, empty.
func countFields(line string, separator byte) (n int, numbers bool) {
	if strings.TrimSpace(line) == "" || strings.HasPrefix(strings.TrimLeft(line, " "), "#") {
		return 0, false
	}
	var fields []string
	if separator == ' ' {
		fields = strings.Fields(line)
	} else {
		fields = strings.Split(line, string(separator))
	}
	for _, field := range fields {
		field = strings.Trim(field, " \"")
		if _, err := ParseNumber([]byte(field)); err != nil && field != "" {
			return len(fields), false
		}
	}
	return len(fields), true
}
