package metrics

import "testing"

// forEachTier runs f on every tier that this CPU has.
func forEachTier(t *testing.T, f func(t *testing.T)) {
	best := activeTier
	defer func() { activeTier = best }()
	for tier := range best + 1 {
		if best == tierNEON && tier != tierGeneric && tier != tierNEON {
			continue
		}
		activeTier = tier
		t.Run(tier.String(), f)
	}
}
