// Package page writes what a sub-command found as one page that needs nothing
// else: HTML with its style, its script and its pictures, or Markdown. All texts
// are data: names of files and classes stand as they are, whatever they contain.
package page

import (
	_ "embed"
	"math"
	"strconv"
	"strings"
)

// A Page is what a sub-command reports.
type Page struct {
	Title    string   // of the window and at the top: what was evaluated
	Decision []string // the first lines: what follows from the numbers
	Warnings []string
	Parts    []Part

	Inputs     []Input     // what was read
	Parameters [][2]string // options in effect, each with its name
	Command    []string    // the command and its arguments
	Version    string
	Tier       string
	Time       string // how long it took
}

// A Part is a heading with what belongs to it.
type Part struct {
	Title   string
	Note    string
	Tables  []Table
	Figures []Figure
	Classes *Classes
	Rows    []Row
}

// A Table has a name in its first column, and values.
type Table struct {
	Head []string
	Rows [][]Cell
}

// A Cell is a value of a table.
type Cell struct {
	Text string
	Best bool // in bold
}

// Texts returns cells of texts.
func Texts(texts ...string) (cells []Cell) {
	for _, s := range texts {
		cells = append(cells, Cell{Text: s})
	}
	return cells
}

// A Figure is a picture: an svg element as figure.Inline makes it. Its words are
// the command's own.
type Figure struct {
	SVG     string
	Caption string
}

// An Input is a file that was read.
type Input struct {
	Part, Name, Format, Type, Shape, SHA256 string
}

// A Row is an example that was evaluated: one of those with the highest loss.
type Row struct {
	Row    string // its number, and its file
	Loss   string
	Labels []string // the positives
	Top    []Score  // the highest scores, the highest first
	More   int      // positives beyond those of Labels
}

// A Score is that of a class in a row.
type Score struct {
	Class, Score string
	Positive     bool
}

// Classes is the results by class, the worst first.
type Classes struct {
	Head  []Column
	Rows  []Class
	All   int  // how many classes there are
	Named bool // whether classes have names
}

// A Column of the table by class.
type Column struct {
	Name string
	Bar  bool // whether its values, between 0 and 1, are drawn as bars
	Help string
}

// A Class is a line of the table by class: its number, its name and a value a
// column, NaN where it has none.
type Class struct {
	Class  int
	Name   string
	Values []float64
}

// MaxClasses is how many classes a page shows.
const MaxClasses = 2000

//go:embed page.css
var style string

//go:embed page.js
var script string

// Short returns a number in four digits, a count in full, and a dash for NaN.
func Short(x float64) string {
	switch {
	case x != x:
		return "–"
	case x == math.Trunc(x) && math.Abs(x) < 1e15:
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 4, 64)
}

// Shell returns a command as a shell takes it, in one line.
func Shell(words []string) string {
	var quoted []string
	for _, word := range words {
		quoted = append(quoted, shellWord(word))
	}
	return strings.Join(quoted, " ")
}

// shellWord quotes a word where a shell would not take it as it is: characters
// that are not printed too.
func shellWord(word string) string {
	plain := word != ""
	control := false
	for _, r := range word {
		plain = plain && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=,+@%", r))
		control = control || r < ' ' || r == 0x7f || !strconv.IsPrint(r)
	}
	switch {
	case plain:
		return word
	case control: // as bash and zsh have it
		q := strconv.Quote(word)
		return "$'" + strings.ReplaceAll(strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`), "'", `\'`) + "'"
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
