package array

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unsafe"
)

const byteOrderMark = "\xef\xbb\xbf"

// Lines reads lines of text as a stream, part by part: a line may be longer
// than memory. A byte order mark at the beginning is left out; a NUL byte is an
// error. A carriage return that no line feed follows ends a line too, as in files of
// the old Mac OS: what is read has a line feed in its place.
type Lines struct {
	Line int // number of the current line, counted from 1

	r       io.Reader
	buf     []byte
	pos     int  // of the next byte in buf
	held    bool // a carriage return that comes next: what follows is not at hand
	end     error
	length  int // of the line so far
	scratch []byte
}

// NewLines returns the lines of r.
func NewLines(r io.Reader) *Lines {
	l := &Lines{r: r, Line: 1}
	if bytes.HasPrefix(l.Peek(len(byteOrderMark)), []byte(byteOrderMark)) {
		l.pos = len(byteOrderMark)
	}
	return l
}

// A Set is a set of bytes. It has the NUL byte in any case.
type Set [256]bool

// SetOf returns the set of the bytes of s.
func SetOf(s string) *Set {
	set := &Set{0: true}
	for i := range len(s) {
		set[s[i]] = true
	}
	return set
}

var (
	lineEnd = SetOf("\n")
	ink     = inkSet() // all but blanks
	noSpace = noSpaceSet()
)

// inkSet is all but blanks, tabs and carriage returns.
func inkSet() *Set {
	set := noSpaceSet()
	set['\t'] = false
	return set
}

// noSpaceSet is all but blanks and carriage returns: a tab may separate empty
// fields.
func noSpaceSet() *Set {
	set := new(Set)
	for b := range set {
		set[b] = b != ' ' && b != '\r'
	}
	return set
}

// peekSize is how much Peek can be asked for.
const peekSize = 1 << 16

// Peek returns what comes next, without reading it: as much as is at hand, but
// at least n bytes if there are as many, n being at most 64 KiB.
func (l *Lines) Peek(n int) []byte {
	if len(l.buf)-l.pos >= n || l.end != nil {
		return l.buf[l.pos:]
	}
	if l.buf == nil {
		l.buf = make([]byte, 0, 2*peekSize)
	}
	l.buf, l.pos = l.buf[:copy(l.buf[:cap(l.buf)], l.buf[l.pos:])], 0
	for l.end == nil && len(l.buf) < n {
		l.more()
	}
	return l.buf
}

// more reads once.
func (l *Lines) more() {
	from := len(l.buf)
	if l.held {
		l.buf = append(l.buf, '\r')
	}
	n, end := l.r.Read(l.buf[len(l.buf):cap(l.buf)])
	l.buf, l.end = l.buf[:len(l.buf)+n], end
	if l.held = endLines(l.buf[from:]); l.held {
		if l.buf = l.buf[:len(l.buf)-1]; end != nil {
			l.buf, l.held = append(l.buf, '\n'), false
		}
	}
}

// endLines replaces a carriage return that no line feed follows by one. It reports
// whether text ends with a carriage return, which it leaves.
func endLines(text []byte) (open bool) {
	for at := 0; ; {
		i := bytes.IndexByte(text[at:], '\r')
		if i < 0 {
			return false
		}
		if at += i + 1; at == len(text) {
			return true
		}
		if text[at] != '\n' {
			text[at-1] = '\n'
		}
	}
}

// EndLines returns text with a line feed for every carriage return that none follows,
// as Lines reads it.
func EndLines(text []byte) []byte {
	if bytes.IndexByte(text, '\r') < 0 {
		return text
	}
	text = bytes.Clone(text)
	if endLines(text) {
		text[len(text)-1] = '\n'
	}
	return text
}

// Next returns the next byte without reading it; ok is false at the end.
func (l *Lines) Next() (b byte, ok bool, err error) {
	if len(l.Peek(1)) == 0 {
		if l.end != io.EOF {
			return 0, false, l.end
		}
		return 0, false, nil
	}
	if b = l.buf[l.pos]; b == 0 {
		return 0, false, fmt.Errorf("line %d: %w", l.Line, errNUL)
	}
	return b, true, nil
}

// Skip reads n bytes of the line, which are at hand.
func (l *Lines) Skip(n int) error {
	l.pos += n
	if l.length += n; l.length > maxLine {
		return fmt.Errorf("line %d is longer than %d MiB; write a row to a line", l.Line, maxLine>>20)
	}
	return nil
}

// NewLine reads the end of a line.
func (l *Lines) NewLine() {
	l.pos++
	l.Line++
	l.length = 0
}

// SkipTo reads to the next byte of a set, or to the end.
func (l *Lines) SkipTo(set *Set) error {
	for {
		if _, ok, err := l.Next(); !ok {
			return err
		}
		n := 0
		for _, b := range l.buf[l.pos:] {
			if set[b] {
				break
			}
			n++
		}
		if err := l.Skip(n); err != nil {
			return err
		}
		if l.pos < len(l.buf) {
			_, _, err := l.Next()
			return err
		}
	}
}

// Until reads to the next byte of a set, or to the end, and returns what stands
// before it. It stays valid until the next call.
func (l *Lines) Until(set *Set) ([]byte, error) {
	l.scratch = l.scratch[:0]
	for {
		if _, ok, err := l.Next(); !ok {
			return l.scratch, err
		}
		n := 0
		for _, b := range l.buf[l.pos:] {
			if set[b] {
				break
			}
			n++
		}
		l.scratch = append(l.scratch, l.buf[l.pos:][:n]...)
		if err := l.Skip(n); err != nil {
			return nil, err
		}
		if l.pos < len(l.buf) {
			_, _, err := l.Next()
			return l.scratch, err
		}
		if len(l.scratch) > maxField {
			return nil, fmt.Errorf("line %d: a field of more than %s", l.Line, Counted(maxField, "byte"))
		}
	}
}

// SkipEmpty goes on to a line with more than blanks and a comment, and to its
// first byte that is no blank, or no tab where tabs separate fields. It counts
// the lines that it leaves out: those without and those with a comment. It
// returns false at the end.
func (l *Lines) SkipEmpty(tabs bool) (blank int, more bool, err error) {
	set := ink
	if tabs {
		set = noSpace
	}
	comment := false
	for {
		if err := l.SkipTo(set); err != nil {
			return blank, false, err
		}
		b, ok, err := l.Next()
		switch {
		case !ok:
			return blank, false, err
		case b == '#':
			comment = true
			if err := l.SkipTo(lineEnd); err != nil {
				return blank, false, err
			}
		case b == '\n':
			if l.NewLine(); !comment {
				blank++
			}
			comment = false
		default:
			return blank, true, nil
		}
	}
}

// Column returns how many bytes of the line are read.
func (l *Lines) Column() int { return l.length }

// SkipBlanks goes on to the next byte that is no blank.
func (l *Lines) SkipBlanks() error { return l.SkipTo(ink) }

// A csvSeparator separates the fields of lines.
type csvSeparator struct {
	byte
	ends *Set // of a field
}

func newSeparator(b byte) csvSeparator {
	if b == ' ' {
		return csvSeparator{b, SetOf(" \t\r\n")}
	}
	return csvSeparator{b, SetOf(string(b) + "\n")}
}

// field reads a field of CSV, and tells whether it is the last one of its line.
// It stays valid until the next call.
func (l *Lines) field(s csvSeparator) (field []byte, last bool, err error) {
	margin := noSpace
	if s.byte == ' ' {
		margin = ink
	}
	if err := l.SkipTo(margin); err != nil {
		return nil, false, err
	}
	b, ok, err := l.Next()
	if !ok {
		return nil, true, err
	}
	if b == '"' {
		if field, err = l.quoted(); err != nil {
			return nil, false, err
		}
		rest, err := l.Until(s.ends)
		if err != nil {
			return nil, false, err
		}
		if len(bytes.TrimSpace(rest)) > 0 {
			return nil, false, fmt.Errorf("line %d: %q after a quoted field", l.Line, short(rest))
		}
	} else if field, err = l.Until(s.ends); err != nil {
		return nil, false, err
	}
	last, err = l.endOfField(s)
	return bytes.TrimSpace(field), last, err
}

// endOfField reads what follows a field: a separator, or the end of the line.
func (l *Lines) endOfField(s csvSeparator) (last bool, err error) {
	b, ok, err := l.Next()
	if !ok {
		return true, err
	}
	if s.byte == ' ' { // several are one, and none ends a line
		if err := l.SkipTo(ink); err != nil {
			return false, err
		}
		if b, ok, err = l.Next(); !ok {
			return true, err
		}
	}
	switch {
	case b == '\n':
		l.NewLine()
		return true, nil
	case s.byte == ' ':
		return false, nil
	}
	return false, l.Skip(1)
}

// quoted reads what stands between quotes; two of them are one of the field.
func (l *Lines) quoted() ([]byte, error) {
	begin := l.Line
	if err := l.Skip(1); err != nil {
		return nil, err
	}
	var field []byte
	for {
		b, ok, err := l.Next()
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fmt.Errorf("line %d: a quoted field does not end", begin)
		}
		if err := l.Skip(1); err != nil {
			return nil, err
		}
		if b == '\n' {
			l.Line++
		}
		if b == '"' {
			if b, ok, err = l.Next(); err != nil || !ok || b != '"' {
				return field, err
			}
			if err := l.Skip(1); err != nil {
				return nil, err
			}
		}
		if field = append(field, b); len(field) > maxField {
			return nil, fmt.Errorf("line %d: a field of more than %s", begin, Counted(maxField, "byte"))
		}
	}
}

// errRange is the error of a number beyond the range of float64.
var errRange = errors.New("beyond the range of float64; write inf if that is meant")

// ParseNumber reads a number as float64.
func ParseNumber(b []byte) (float64, error) {
	if len(b) == 0 || bytes.IndexByte(b, '_') >= 0 {
		return math.NaN(), strconv.ErrSyntax
	}
	x, err := strconv.ParseFloat(unsafe.String(&b[0], len(b)), 64)
	if errors.Is(err, strconv.ErrRange) {
		return x, errRange
	} else if err != nil {
		return x, strconv.ErrSyntax
	}
	return x, nil
}
