// Package atomicfile writes files that appear under their name only when they
// are complete.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// A File is a temporary file next to the file that it is to become.
type File struct {
	*os.File
	path string
	done bool
}

// Create makes the temporary file for path.
func Create(path string) (*File, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, &fs.PathError{Op: "create", Path: path, Err: errors.New("is a directory")}
	}
	var f *os.File
	err := fs.ErrExist
	for range 100 {
		if !errors.Is(err, fs.ErrExist) {
			break
		}
		// Unlike os.CreateTemp's, a file with the permissions that others have.
		name := fmt.Sprintf(".%s.%08x.tmp", filepath.Base(path), rand.Uint32())
		f, err = os.OpenFile(filepath.Join(filepath.Dir(path), name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	}
	if err != nil {
		// The name of the temporary file says nothing to the user.
		var e *fs.PathError
		if errors.As(err, &e) {
			err = &fs.PathError{Op: "create", Path: path, Err: e.Err}
		}
		return nil, err
	}
	return &File{File: f, path: path}, nil
}

// Commit gives the file its name. After an error nothing is left of it.
func (f *File) Commit() error {
	if f.done {
		return nil
	}
	err := f.Close()
	if err == nil {
		err = os.Rename(f.Name(), f.path)
	}
	f.done = true
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// Abort removes the file, unless it was committed.
func (f *File) Abort() {
	if f == nil || f.done {
		return
	}
	f.done = true
	f.Close()
	os.Remove(f.Name())
}
