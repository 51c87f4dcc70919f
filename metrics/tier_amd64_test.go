//go:build !purego

package metrics

import "testing"

// forEachTier runs f on every tier that this CPU has.
func forEachTier(t *testing.T, f func(t *testing.T)) {
	best := activeTier
	defer func() { activeTier = best }()
	for i, name := range []string{"generic", "avx2", "avx512"}[:best+1] {
		activeTier = tier(i)
		t.Run(name, f)
	}
}
