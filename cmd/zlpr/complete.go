package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zlpr/zlpr/internal/array"
)

// complete tells shells what the values of flags, and arguments, may be: words,
// of a list the next one, and names of files and of what is in them. It is for
// when a shell asks only: cobra keeps what it is told for ever.
func (t flagTable) complete(cmd *cobra.Command) {
	for _, f := range t {
		_ = cmd.RegisterFlagCompletionFunc(f.name, func(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
			return f.completions(word)
		})
	}
	positional := t.positional()
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		at := len(args)
		if n := len(positional); at >= n {
			if n == 0 || !positional[n-1].takesAll() {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			at = n - 1
		}
		return positional[at].completions(word)
	}
}

// completions returns what the value of a flag, of which word is the beginning,
// may be.
func (f *flag) completions(word string) ([]string, cobra.ShellCompDirective) {
	_, slice := f.to.(*[]string)
	before := ""
	if list := f.list || slice; list {
		before = word[:strings.LastIndexByte(word, ',')+1]
	}
	switch {
	case f.words != nil:
		taken := strings.Split(before, ",")
		var found []string
		for _, w := range f.words {
			if strings.HasPrefix(w, word[len(before):]) && !slices.Contains(taken, w) {
				found = append(found, before+w)
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	case f.file == noFile:
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if f.file == input {
		if keys := keysOf(word[len(before):]); len(keys) > 0 {
			for i := range keys {
				keys[i] = before + keys[i]
			}
			return keys, cobra.ShellCompDirectiveNoFileComp
		}
	}
	if before == "" {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return filesAfter(before, word[len(before):])
}

// keysOf returns "file:key" for the arrays in a file of several whose name word
// is, or begins with before a colon.
func keysOf(word string) (names []string) {
	path, _, _ := strings.Cut(word, ":")
	if i := strings.LastIndexByte(word, ':'); i > 1 { // not that of a drive
		path = word[:i]
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	for _, key := range array.Keys(path) {
		if name := path + ":" + key; strings.HasPrefix(name, word) {
			names = append(names, name)
		}
	}
	return names
}

// filesAfter returns names of files that begin with word, for a list whose
// elements before are there.
func filesAfter(before, word string) ([]string, cobra.ShellCompDirective) {
	dir, base := filepath.Split(word)
	entries, _ := os.ReadDir(filepath.Join(".", dir))
	if filepath.IsAbs(dir) {
		entries, _ = os.ReadDir(dir)
	}
	var found []string
	directive := cobra.ShellCompDirectiveNoFileComp
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, base) || strings.HasPrefix(name, ".") && !strings.HasPrefix(base, ".") {
			continue
		}
		if e.IsDir() {
			name += string(filepath.Separator)
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		found = append(found, before+dir+name)
	}
	return found, directive
}
