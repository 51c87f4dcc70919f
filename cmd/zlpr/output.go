package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/atomicfile"
	"github.com/zlpr/zlpr/internal/source"
)

// checkFiles checks that no output is an input, another output or standard
// output, by whatever path, and that one input at most is standard input. Nothing has been read or written by then.
func (t flagTable) checkFiles(s *session) error {
	type place struct {
		flag, name string
		*identity
	}
	var inputs, outputs []place
	if f, ok := s.stdout.(*checkedWriter).to.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			inputs = append(inputs, place{"standard output", "", &identity{info: info}})
		}
	}
	for _, f := range t {
		for _, name := range f.values() {
			switch {
			case name == "":
			case f.file == output:
				outputs = append(outputs, place{"--" + f.name, name, identify(name)})
			case f.file == input:
				// A pattern or a manifest that is none is an error when it is opened.
				files, err := new(source.Options).Files(name, "")
				if err != nil {
					files = []string{name}
				}
				for _, file := range files {
					inputs = append(inputs, place{"--" + f.name, file, identify(file)})
				}
			}
		}
	}
	stdin := ""
	for _, in := range inputs {
		if path, _ := array.Split(in.name); path != array.Stdin {
			continue
		}
		if stdin != "" {
			return usagef("%s and %s are both standard input (-), which can be read once; give one of them as a file", stdin, in.flag)
		}
		stdin = in.flag
	}
	for i, o := range outputs {
		for _, other := range slices.Concat(inputs, outputs[:i]) {
			if o.same(other.identity) {
				return usagef("%s and %s are the same file, %s; choose another name", other.flag, o.flag, quoted(o.name))
			}
		}
	}
	return nil
}

// An identity tells files apart, those that are not there yet too.
type identity struct {
	info os.FileInfo // of the file, or of the directory where it would be
	base string      // its name there; "" where it is there
}

// identify returns what a name stands for, nil if it cannot be anything.
func identify(name string) *identity {
	path, _ := array.Split(name)
	if path == array.Stdin {
		if info, err := os.Stdin.Stat(); err == nil {
			return &identity{info: info}
		}
		return nil
	}
	if info, err := os.Stat(path); err == nil {
		return &identity{info: info}
	}
	if info, err := os.Stat(filepath.Dir(path)); err == nil {
		return &identity{info, filepath.Base(path)}
	}
	return nil
}

func (i *identity) same(o *identity) bool {
	return i != nil && o != nil && i.base == o.base && os.SameFile(i.info, o.info)
}

// outputs are files that appear together, when all are complete.
type outputs struct {
	mu    sync.Mutex // a signal may come at any time
	files []*atomicfile.File
	ended bool
}

// create begins a file, before the work it is made of, which would be in vain
// where the file cannot be.
func (o *outputs) create(path string) (*atomicfile.File, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return nil, errInterrupted
	}
	f, err := atomicfile.Create(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	o.files = append(o.files, f)
	return f, nil
}

// createAll begins files; those without a name are left out.
func (o *outputs) createAll(paths ...string) (map[string]*atomicfile.File, error) {
	files := map[string]*atomicfile.File{}
	for _, path := range paths {
		if path == "" {
			continue
		}
		f, err := o.create(path)
		if err != nil {
			return nil, err
		}
		files[path] = f
	}
	return files, nil
}

// createArray begins an .npy file of rows of cols elements; without a name it
// returns nil.
func (o *outputs) createArray(path string, t array.DType, shape []int, cols int) (*array.Writer, error) {
	if path == "" {
		return nil, nil
	}
	f, err := o.create(path)
	if err != nil {
		return nil, err
	}
	w, err := array.NewWriter(f, t, shape, cols)
	return w, fileError(path, err)
}

// writeRows writes rows of an array that createArray began at path.
func writeRows[T array.Element](w *array.Writer, path string, row int, data []T) error {
	return fileError(path, array.WriteRows(w, row, data))
}

// commit gives the files their names.
func (o *outputs) commit() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	err := atomicfile.Commit(o.files...)
	var e *os.PathError
	if errors.As(err, &e) {
		return fileError(e.Path, err)
	}
	return err
}

// abort removes the files, unless they have their names.
func (o *outputs) abort() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.ended {
		for _, f := range o.files {
			f.Abort()
		}
	}
	o.ended = true
}

// fileError names the file before an error.
func fileError(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", quoted(name), plain(err))
}

// plain leaves the names of files and system calls out of an error.
func plain(err error) error {
	var e *os.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
