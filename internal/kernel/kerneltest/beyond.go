package kerneltest

import (
	"os"
	"runtime"
)

// ZLPR_HEAP_BEYOND=1 makes a test begin with a large heap that is free. Go maps its
// heap in steps and fills it from the lowest address, so that the last slice may end
// where nothing is mapped yet: an emulator whose masked loads touch the lanes that
// the mask leaves out stops there, once in some tens of runs. Real CPUs do not.
func init() {
	if os.Getenv("ZLPR_HEAP_BEYOND") == "" {
		return
	}
	const beyond = 1 << 30 // never written, so it takes no memory
	runtime.KeepAlive(make([]byte, beyond))
	runtime.GC()
}
