package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/zlpr/zlpr/internal/atomicfile"
)

// An output is a file that a flag asks for.
type output struct {
	flag, path string
	endings    []string
}

// checkOutputs checks the names of outputs; those without a name are left out.
func checkOutputs(list ...output) error {
	flags := map[string]string{}
	for _, o := range list {
		if o.path == "" {
			continue
		}
		if !slices.Contains(o.endings, strings.ToLower(filepath.Ext(o.path))) {
			return usagef("--%s %s: the name must end in %s", o.flag, o.path, strings.Join(o.endings, " or "))
		}
		path := filepath.Clean(o.path)
		if other := flags[path]; other != "" {
			return usagef("--%s and --%s are the same file, %s", other, o.flag, o.path)
		}
		flags[path] = o.flag
	}
	return nil
}

// plotOutputs are the outputs of --plot.
func plotOutputs(paths []string) (list []output) {
	for _, path := range paths {
		list = append(list, output{"plot", path, []string{".svg", ".png"}})
	}
	return list
}

// outputs are files that appear together, when all are complete.
type outputs struct {
	files []*atomicfile.File
	paths []string
}

// create begins a file, before the work it is made of, which would be in vain
// where the file cannot be.
func (o *outputs) create(paths ...string) error {
	for _, path := range paths {
		if path == "" {
			continue
		}
		f, err := atomicfile.Create(path)
		if err != nil {
			o.abort()
			return fileError(path, err)
		}
		o.files, o.paths = append(o.files, f), append(o.paths, path)
	}
	return nil
}

// write writes the file of that name by way of write.
func (o *outputs) write(path string, write func(*os.File) error) error {
	i := slices.Index(o.paths, path)
	return fileError(path, write(o.files[i].File))
}

// commit gives the files their names.
func (o *outputs) commit() error {
	for i, f := range o.files {
		if err := f.Commit(); err != nil {
			return fileError(o.paths[i], err)
		}
	}
	return nil
}

// abort removes what was not committed.
func (o *outputs) abort() {
	for _, f := range o.files {
		f.Abort()
	}
}

// fileError names the file before an error.
func fileError(path string, err error) error {
	var e *os.PathError
	if errors.As(err, &e) {
		err = e.Err
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
