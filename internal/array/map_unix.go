//go:build unix

package array

import (
	"os"

	"golang.org/x/sys/unix"
)

// mapFile maps the first size bytes of a file into memory, to be read.
func mapFile(name string, f *os.File, size int64) (data []byte, unmap func() error, err error) {
	return mapAs(name, f, size, unix.PROT_READ)
}

// mapWritable maps the first size bytes of a temporary file, to be written too:
// they must have been written before, so that there is room for them.
func mapWritable(name string, f *os.File, size int64) (data []byte, unmap func() error, err error) {
	return mapAs(name, f, size, unix.PROT_READ|unix.PROT_WRITE)
}

func mapAs(name string, f *os.File, size int64, protection int) (data []byte, unmap func() error, err error) {
	n, err := toInt(size)
	if err != nil || n == 0 {
		return nil, nil, err
	}
	data, err = unix.Mmap(int(f.Fd()), 0, n, protection, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, &os.PathError{Op: "map", Path: name, Err: err}
	}
	register(name, f.Name(), data)
	return data, func() error { unregister(data); return unix.Munmap(data) }, nil
}

// willNeed is WillNeed of an array that is in one file.
func (a *Array) willNeed(from, to int) {
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
