package array

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
)

// A spill takes data of unknown length: short ones stay in memory, long ones go
// to a temporary file without a name.
type spill struct {
	name   string // of the file that the data are from, for messages
	buffer bytes.Buffer
	file   *os.File
	size   int64
	change bool // whether the array that it becomes is to be changed
}

func (s *spill) Write(p []byte) (int, error) {
	if s.file == nil {
		if s.buffer.Len()+len(p) <= spillSize {
			s.size += int64(len(p))
			return s.buffer.Write(p)
		}
		if err := s.toFile(); err != nil {
			return 0, err
		}
	}
	n, err := s.file.Write(p)
	s.size += int64(n)
	if err != nil {
		return n, s.failed(err)
	}
	return n, nil
}

// toFile begins the temporary file.
func (s *spill) toFile() error {
	f, err := os.CreateTemp("", "zlpr-*")
	if err != nil {
		return s.failed(err)
	}
	os.Remove(f.Name()) // where the system lets us; else discard does it
	s.file = f
	if _, err := f.Write(s.buffer.Bytes()); err != nil {
		return s.failed(err)
	}
	s.buffer = bytes.Buffer{}
	return nil
}

// inMemory is the length of the short data of all arrays that are open.
var inMemory atomic.Int64

// maxInMemory is how long they may be together: an array may be in many files.
const maxInMemory = spillSize

// failed says what an error of the temporary file means for the user.
func (s *spill) failed(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return Named(s.name, fmt.Errorf("no room in %s for its numbers, which must be rewritten there: %w; set TMPDIR to a directory with more room",
		Quote(os.TempDir()), err))
}

// discard closes the temporary file.
func (s *spill) discard() {
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
	}
}

// bytes returns what was written, and how to release it.
func (s *spill) bytes() (data []byte, release func() error, err error) {
	if s.file == nil {
		n := int64(s.buffer.Len())
		if inMemory.Add(n) <= maxInMemory || n < 1<<12 { // less than a mapping takes
			return s.buffer.Bytes(), func() error { inMemory.Add(-n); return nil }, nil
		}
		inMemory.Add(-n)
		if err := s.toFile(); err != nil {
			return nil, nil, err
		}
	}
	if s.change {
		return mapWritable(s.name, s.file, s.size)
	}
	return mapFile(s.name, s.file, s.size)
}

// array makes an array of what was written; interpret says what it is.
func (s *spill) array(interpret func(*Array, []byte) error) (*Array, error) {
	a := &Array{Name: s.name}
	data, unmap, err := s.bytes()
	if err != nil {
		return nil, err
	}
	if unmap != nil {
		a.close = append(a.close, unmap)
	}
	if err := interpret(a, data); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}
