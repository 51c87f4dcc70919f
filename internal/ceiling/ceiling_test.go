package ceiling

import (
	"slices"
	"testing"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
)

// TestCopy copies on every tier, and reads.
func TestCopy(t *testing.T) {
	kerneltest.ForEachTier(t, kernel.Available(), &kernel.Active, func(t *testing.T) {
		for _, stream := range []bool{false, true} {
			x := kernel.ResizeAligned[float32](nil, 192)
			for i := range x {
				x[i] = float32(i)
			}
			Read(x)
			dst := kernel.ResizeAligned[float32](nil, len(x))
			Copy(dst, x, stream)
			if !slices.Equal(dst, x) {
				t.Errorf("stream %v: %v", stream, dst)
			}
		}
	})
}
