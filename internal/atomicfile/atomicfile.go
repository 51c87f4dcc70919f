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

// A File is a temporary file next to the file that it is to become. Its errors
// name the latter.
type File struct {
	file *os.File
	path string
	done bool
}

// Create makes the temporary file for path. A symbolic link stays one: what it leads to is
// replaced. A device or a pipe is an error, for a file would take its name.
func Create(path string) (*File, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		why := "is a device or a pipe; give the name of a file"
		if info.IsDir() {
			why = "is a directory"
		}
		return nil, &fs.PathError{Op: "create", Path: path, Err: errors.New(why)}
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
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
		return nil, renamed(path, err)
	}
	return &File{file: f, path: path}, nil
}

// renamed is an error of the temporary file, whose name says nothing to the
// user, as one of the file at path.
func renamed(path string, err error) error {
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p):
		return &fs.PathError{Op: p.Op, Path: path, Err: p.Err}
	case errors.As(err, &l):
		return &fs.PathError{Op: l.Op, Path: path, Err: l.Err}
	}
	return err
}

// Write implements io.Writer.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.file.Write(p)
	return n, renamed(f.path, err)
}

// WriteAt implements io.WriterAt.
func (f *File) WriteAt(p []byte, at int64) (int, error) {
	n, err := f.file.WriteAt(p, at)
	return n, renamed(f.path, err)
}

// Truncate makes the file that long.
func (f *File) Truncate(size int64) error { return renamed(f.path, f.file.Truncate(size)) }

// Commit gives files their names, once all of them are complete. After an error
// nothing is left of any.
func Commit(files ...*File) error {
	var err error
	for _, f := range files {
		if e := f.file.Close(); err == nil {
			err = renamed(f.path, e)
		}
	}
	for _, f := range files {
		if err == nil {
			err = renamed(f.path, os.Rename(f.file.Name(), f.path))
			f.done = err == nil
		}
	}
	for _, f := range files {
		switch {
		case err == nil:
		case f.done:
			os.Remove(f.path)
		default:
			f.Abort()
		}
	}
	return err
}

// Abort removes the file, unless it has its name.
func (f *File) Abort() {
	if f == nil || f.done {
		return
	}
	f.done = true
	f.file.Close()
	os.Remove(f.file.Name())
}
