//go:build !unix

package array

import (
	"io"
	"os"
)

// mapFile reads a file into memory, where files cannot be mapped.
func mapFile(name string, f *os.File, size int64) (data []byte, unmap func() error, err error) {
	data, err = io.ReadAll(io.NewSectionReader(f, 0, size))
	if err == nil && int64(len(data)) < size {
		err = errShorter(int64(len(data)), size)
	}
	return data, nil, err
}

// mapWritable reads the first size bytes of a temporary file into memory.
func mapWritable(name string, f *os.File, size int64) (data []byte, unmap func() error, err error) {
	return mapFile(name, f, size)
}

// willNeed is WillNeed of an array that is in one file.
func (a *Array) willNeed(from, to int) {}
