package kerneltest

import (
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// Guarded returns a slice of n elements that ends (or begins) at a page that
// cannot be touched. A short test leaves out pure Go, which checks bounds itself:
// under an emulator that takes minutes.
func Guarded[T Float](t *testing.T, n int, atEnd bool) []T {
	if testing.Short() && strings.Contains(t.Name(), "/generic") {
		t.Skip("pure Go checks its bounds")
	}
	page := syscall.Getpagesize()
	var x T
	size := int(unsafe.Sizeof(x))
	inner := (n*size + page - 1) / page * page
	memory, err := syscall.Mmap(-1, 0, inner+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Munmap(memory)) })
	require.NoError(t, syscall.Mprotect(memory[:page], syscall.PROT_NONE))
	require.NoError(t, syscall.Mprotect(memory[page+inner:], syscall.PROT_NONE))
	from := page
	if atEnd {
		from = page + inner - n*size
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&memory[from])), n)
}

// Touching returns n elements of a Guarded slice that touch the guard page.
func Touching[T Float](x []T, n int, atEnd bool) []T {
	if atEnd {
		return x[len(x)-n:]
	}
	return x[:n]
}

// AsOne returns the elements of x as one element of another type.
func AsOne[U any, T Float](x []T) []U {
	return unsafe.Slice((*U)(unsafe.Pointer(unsafe.SliceData(x))), 1)
}
