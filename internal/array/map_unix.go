//go:build unix

package array

import (
	"os"

	"golang.org/x/sys/unix"
)

// mapFile maps a file into memory, to be read.
func mapFile(f *os.File, size int64) (data []byte, unmap func() error, err error) {
	if size == 0 {
		return nil, nil, nil
	}
	data, err = unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, &os.PathError{Op: "map", Path: f.Name(), Err: err}
	}
	return data, func() error { return unix.Munmap(data) }, nil
}

// WillNeed tells the system that the elements from to to-1 are wanted soon.
func (a *Array) WillNeed(from, to int) {
	size := a.Type.Size()
	b := a.data[min(from*size, len(a.data)):min(to*size, len(a.data))]
	if !a.mapped || len(b) == 0 {
		return
	}
	// Whole pages of the mapping: addresses are those of the file's start.
	page := os.Getpagesize()
	start := (a.start + from*size) / page * page
	end := a.start + from*size + len(b)
	_ = unix.Madvise(a.file[start:end], unix.MADV_WILLNEED)
}
