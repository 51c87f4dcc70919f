// Package atomicfile writes files that appear under their name only when they
// are complete.
package atomicfile

import (
	"errors"
	"io/fs"
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
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
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
	err := f.Chmod(0o644)
	err = errors.Join(err, f.Close())
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

// Write writes a whole file by way of write.
func Write(path string, write func(*os.File) error) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	if err := write(f.File); err != nil {
		return err
	}
	return f.Commit()
}
