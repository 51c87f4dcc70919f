package main

import (
	"slices"

	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/source"
)

// readFlags say how files are read where they do not tell.
type readFlags struct {
	header, index string // yes or no
	separator     string
	dtype         string // of raw elements of two bytes
	oneBased      bool
	ignore        int // class number that leaves its row out, besides -1

	set      func(name string) bool // whether a flag was set
	options  source.Options
	inputs   []inputReport // that were opened
	targets  bool          // whether a file with class numbers was read
	warnings []string
}

var (
	yesNo          = []string{"yes", "no"}
	separatorNames = []string{"comma", "semicolon", "tab", "blank"}
	separators     = []string{",", ";", "\t", " "}
)

// table is the flags, those for class numbers only where they are read.
func (f *readFlags) table(targets bool) flagTable {
	f.ignore = -1
	t := flagTable{
		{name: "header", to: &f.header, words: yesNo, doc: "`yes|no`: whether the first line of CSV is a heading (default: if it is not\nall numbers)"},
		{name: "index-column", to: &f.index, words: yesNo, doc: "`yes|no`: whether the first column of CSV is an index, to be left out\n(default: if it has no heading and counts 0, 1, 2, …)"},
		{name: "separator", to: &f.separator, words: separatorNames, doc: "of CSV: `comma`, semicolon, tab or blank (default: as the first lines tell)"},
		{name: "dtype", to: &f.dtype, words: []string{"bfloat16"}, doc: "what raw elements of two bytes are, as numpy stores them: `bfloat16`"},
		{name: "one-based", to: &f.oneBased, doc: "labels and features of libsvm text count from 1"},
	}
	if targets {
		t = append(t, flag{name: "ignore-index", to: &f.ignore, doc: "class number that leaves its row out, as -1 does"})
	}
	return t
}

// begin takes the flags in, before the first file is opened.
func (f *readFlags) begin() error {
	f.options = source.Options{OneBased: f.oneBased, Warn: func(message string) {
		if !slices.Contains(f.warnings, message) {
			f.warnings = append(f.warnings, message)
		}
	}}
	for _, c := range []struct {
		name, value string
		to          *array.Choice
	}{{"header", f.header, &f.options.Header}, {"index-column", f.index, &f.options.Index}} {
		switch c.value {
		case "":
		case "yes":
			*c.to = array.Yes
		case "no":
			*c.to = array.No
		default:
			return usagef("--%s %q: choose yes or no", c.name, c.value)
		}
	}
	switch f.dtype {
	case "":
	case "bfloat16":
		f.options.Raw.BFloat16 = true
	default:
		return usagef("--dtype %q: choose bfloat16", f.dtype)
	}
	if f.separator == "" {
		return nil
	}
	i := max(slices.Index(separatorNames, f.separator), slices.Index(separators, f.separator))
	if i < 0 {
		return usagef("--separator %q: choose comma, semicolon, tab or blank%s", f.separator, didYouMean(f.separator, "", separatorNames))
	}
	f.options.Separator = separators[i][0]
	return nil
}

// end is an error if a flag had no effect, once all files are open.
func (f *readFlags) end() error {
	for _, c := range []struct {
		name   string
		effect bool
		with   string
	}{
		{"header", f.options.CSV, "files in CSV"},
		{"index-column", f.options.CSV, "files in CSV"},
		{"separator", f.options.CSV, "files in CSV"},
		{"dtype", f.options.Raw.Found, "arrays of raw elements of two bytes"},
		{"one-based", f.options.Lists, "text with lists of labels"},
		{"ignore-index", f.targets, "labels that are class numbers"},
	} {
		if f.set(c.name) && !c.effect {
			return usagef("--%s goes with %s; it has no effect here", c.name, c.with)
		}
	}
	return nil
}
