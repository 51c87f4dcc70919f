package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/zlpr/zlpr/internal/array"
)

// A flag is a line of a command's table of flags. Parsing, help, completion,
// the check that it has an effect and the checks of file names come from it.
type flag struct {
	name  string
	to    any      // where the value goes: a pointer to the default
	file  role     // what the value names, if it is a file
	list  bool     // the string is of several names, separated by commas
	ends  []string // what the name of an output ends in; nil: the command looks itself
	words []string // what shells complete
	uses  []use    // one of these gives the flag an effect; none: it always has one
	none  bool     // the default stands for no value
	arg   bool     // an argument without a flag stands for it: the first of the table's, the second, …; for a list all that are left
	doc   string
}

// A role is what a command does with a file.
type role int

const (
	noFile role = iota
	input
	output
)

// A use is what a flag goes with.
type use struct {
	with string // what the user must ask for, as the message says it
	on   func() bool
}

// withFlag is the use of a flag that goes with another one, whose value is at to.
func withFlag(name string, to *string) use {
	return use{"--" + name, func() bool { return *to != "" }}
}

// A flagTable is all flags of a command, in the order of the help.
type flagTable []flag

// declare declares the flags of a command. Before it runs, check checks them,
// then the table is checked: no empty names, effects, outputs that are no
// inputs. Nothing has been read by then.
func (t flagTable) declare(cmd *cobra.Command, s *session, check func() error) {
	set := cmd.Flags()
	set.SortFlags = false
	for _, f := range t {
		switch to := f.to.(type) {
		case *string:
			set.StringVar(to, f.name, *to, f.doc)
		case *[]string:
			set.StringSliceVar(to, f.name, *to, f.doc)
		case *bool:
			set.BoolVar(to, f.name, *to, f.doc)
		case *int:
			set.Var((*intValue)(to), f.name, f.doc)
			if f.none {
				set.Lookup(f.name).DefValue = "0" // which help does not print
			}
		case *uint64:
			set.Uint64Var(to, f.name, *to, f.doc)
		case *float64:
			set.Float64Var(to, f.name, *to, f.doc)
		default:
			panic(fmt.Sprintf("--%s: no flag is a %T", f.name, to))
		}
	}
	if s.completes {
		t.complete(cmd)
	}
	cmd.Args = t.checkArgs
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if err := t.take(set, args); err != nil {
			return err
		}
		if err := t.checkNames(set); err != nil {
			return err
		}
		if err := check(); err != nil {
			return err
		}
		if err := t.checkUses(set); err != nil {
			return err
		}
		return t.checkFiles(s)
	}
}

// positional are the flags that arguments stand for.
func (t flagTable) positional() (list []flag) {
	for _, f := range t {
		if f.arg {
			list = append(list, f)
		}
	}
	return list
}

// takesAll tells whether a positional flag takes all arguments that are left.
func (f *flag) takesAll() bool {
	_, list := f.to.(*[]string)
	return f.arg && list
}

// checkArgs checks that there are no more arguments than stand for flags.
func (t flagTable) checkArgs(cmd *cobra.Command, args []string) error {
	list := t.positional()
	if len(list) > 0 && list[len(list)-1].takesAll() {
		return nil
	}
	n := min(len(list), len(args))
	err := noArgs(cmd, args[n:])
	if err != nil && n > 0 && filepath.Ext(args[n]) == filepath.Ext(args[0]) {
		return usagef("%w; quote a pattern: 'scores-*%s'", err, filepath.Ext(args[0]))
	}
	return err
}

// take sets the flags that arguments stand for.
func (t flagTable) take(set *pflag.FlagSet, args []string) error {
	list := t.positional()
	for i, f := range list[:min(len(args), len(list))] {
		if set.Changed(f.name) {
			return usagef("--%s is given twice: as the argument %q and by the flag; leave one out", f.name, args[i])
		}
		if f.takesAll() {
			*f.to.(*[]string) = args[i:] // as they are, with commas
			set.Lookup(f.name).Changed = true
			continue
		}
		if err := set.Set(f.name, args[i]); err != nil {
			return err
		}
	}
	return nil
}

// An intValue is an integer that fits into an int: pflag cuts it where int has 32
// bits.
type intValue int

func (v *intValue) String() string { return strconv.Itoa(int(*v)) }
func (v *intValue) Type() string   { return "int" }
func (v *intValue) Set(s string) error {
	n, err := strconv.ParseInt(s, 0, strconv.IntSize)
	*v = intValue(n)
	return err
}

// values are the texts of a flag: of a list all elements.
func (f *flag) values() []string {
	switch to := f.to.(type) {
	case *string:
		if f.list {
			return strings.Split(*to, ",")
		}
		return []string{*to}
	case *[]string:
		return *to
	}
	return nil
}

// checkNames checks that no file that the user named has an empty name, as an
// unset variable of a shell gives, that no output is named as standard input is,
// and how the names of outputs end.
func (t flagTable) checkNames(set *pflag.FlagSet) error {
	for _, f := range t {
		if f.file == noFile || !set.Changed(f.name) {
			continue
		}
		names := f.values()
		if len(names) == 0 || slices.Contains(names, "") {
			return usagef("--%s: the name of a file is empty", f.name)
		}
		for _, name := range names {
			if f.file != output {
				break
			}
			if path, _ := array.Split(name); path == array.Stdin {
				return usagef("--%s %s: - is standard input, and no file to write; for a file of that name write ./-", f.name, name)
			}
			if f.ends != nil && !slices.Contains(f.ends, strings.ToLower(filepath.Ext(name))) {
				return usagef("--%s %s: the name must end in %s", f.name, quoted(name), strings.Join(f.ends, " or "))
			}
		}
	}
	return nil
}

// checkUses checks that every flag that was set has an effect.
func (t flagTable) checkUses(set *pflag.FlagSet) error {
	for _, f := range t {
		if f.uses == nil || !set.Changed(f.name) || slices.ContainsFunc(f.uses, func(u use) bool { return u.on() }) {
			continue
		}
		var with []string
		for _, u := range f.uses {
			with = append(with, u.with)
		}
		return usagef("--%s goes with %s; it has no effect here", f.name, strings.Join(with, " or "))
	}
	return nil
}

// flagError says what is wrong with a flag that cannot be parsed.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var value *pflag.InvalidValueError
	var missing *pflag.ValueRequiredError
	switch {
	case errors.As(err, &unknown) && !cmd.HasParent() && cmd.Flags().NArg() > 0:
		// What stands before the flags is no command.
		return unknownCommand(cmd, cmd.Flags().Arg(0))
	case errors.As(err, &unknown) && unknown.GetSpecifiedName() == ":":
		return usagef("-:… is taken for a flag: name an array of standard input by one, as in --scores -:NAME")
	case errors.As(err, &unknown):
		dashes := "--"
		if unknown.GetSpecifiedShortnames() != "" {
			dashes = "-"
		}
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		return usagef("unknown flag: %s%s%s; see %s --help", dashes, unknown.GetSpecifiedName(),
			didYouMean(unknown.GetSpecifiedName(), "--", names), cmd.CommandPath())
	case errors.As(err, &value):
		return usagef("--%s: invalid argument %q; %s", value.GetFlag().Name, value.GetValue(), wanted[value.GetFlag().Value.Type()])
	case errors.As(err, &missing):
		return usagef("--%s: the value is missing", missing.GetSpecifiedName())
	}
	return usageError{err}
}

// wanted says what the values of a type of flag are.
var wanted = map[string]string{
	"int":         "give an integer",
	"uint64":      "give an integer of at least 0",
	"float64":     "give a number",
	"bool":        "give true or false",
	"stringSlice": "give names separated by commas",
}

// didYouMean returns " (did you mean X?)" with the name that is like word, or "".
func didYouMean(word, dashes string, names []string) string {
	best, least := "", min(len(word), 1+max(1, len(word)/3))
	for _, name := range names {
		if d := distance(strings.ToLower(word), name); d < least {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s%s?)", dashes, best)
}

// distance returns how many letters to insert, delete, change or swap with their
// neighbour make b of a.
func distance(a, b string) int {
	two, one := make([]int, len(b)+1), make([]int, len(b)+1) // of the prefixes of a that are two and one letters shorter
	for j := range one {
		one[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			row[j+1] = min(one[j+1]+1, row[j]+1, one[j]+change)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], two[j-1]+1)
			}
		}
		two, one = one, row
	}
	return one[len(b)]
}
