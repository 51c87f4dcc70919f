package array

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"unsafe"
)

// A mapping is a file that lies in memory: reading it faults where the file
// became shorter meanwhile.
type mapping struct {
	name, path string // of the file: as the user wrote it, and where it is
	start, end uintptr
	closed     bool
}

// mappings are the files that are mapped, or were: a fault finds its file among
// them, the last ones first, though deferred functions may have closed it.
var mappings struct {
	sync.Mutex
	list   []mapping
	closed int // how many of the list are closed
}

// register notes a mapping. Those that are closed are forgotten when there are
// many.
func register(name, path string, data []byte) {
	const most = 1 << 10
	mappings.Lock()
	defer mappings.Unlock()
	if mappings.closed == most {
		mappings.list = slices.DeleteFunc(mappings.list, func(m mapping) bool { return m.closed })
		mappings.closed = 0
	}
	start := address(data)
	mappings.list = append(mappings.list, mapping{name, path, start, start + uintptr(len(data)), false})
}

// unregister notes the end of a mapping.
func unregister(data []byte) {
	mappings.Lock()
	defer mappings.Unlock()
	start := address(data)
	for i := range slices.Backward(mappings.list) {
		if m := &mappings.list[i]; m.start == start && !m.closed {
			m.closed = true
			mappings.closed++
			return
		}
	}
}

func address(data []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(data))) }

// Guard calls f, which may read arrays. Where a file that is mapped became
// shorter, or its disk failed, this is an error that names the file instead of
// the end of the process. Every goroutine that reads arrays needs one.
func Guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		fault, ok := p.(interface{ Addr() uintptr })
		if !ok {
			panic(p)
		}
		if err = faultError(fault.Addr()); err == nil {
			panic(p) // not of a file: a fault of ours
		}
	}()
	return f()
}

// faultError returns the error of a fault at that address, nil if it is of no
// file. Not every system tells the address: else it is of a file that became
// shorter.
func faultError(addr uintptr) error {
	mappings.Lock()
	defer mappings.Unlock()
	for _, m := range slices.Backward(mappings.list) {
		if m.start <= addr && addr < m.end {
			return Faultf(m.name, "cannot be read from byte %d on: the file became shorter, or its disk failed; "+
				"start again when the file is complete", addr-m.start)
		}
	}
	for _, m := range slices.Backward(mappings.list) {
		if info, err := os.Stat(m.path); err == nil && uintptr(info.Size()) < m.end-m.start {
			return &Fault{m.name, errShorter(info.Size(), int64(m.end-m.start))}
		}
	}
	return nil
}

// errShorter is the error of a stream that ends before the file did when it was
// opened.
func errShorter(have, size int64) error {
	return fmt.Errorf("ends after %d of %s: the file became shorter; start again when it is complete", have, Counted(size, "byte"))
}
