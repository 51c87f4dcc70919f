package kernel

import (
	"testing"

	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
)

// forEachTier runs f as a subtest on every tier that this CPU has.
func forEachTier(t *testing.T, f func(t *testing.T)) {
	kerneltest.ForEachTier(t, Available(), &Active, f)
}

// forceTier selects a tier and returns the way back.
func forceTier(tier Tier) (restore func()) {
	old := Active
	Active = tier
	return func() { Active = old }
}

// TestRequiredTiers fails where a tier that ZLPR_REQUIRE lists is not there.
func TestRequiredTiers(t *testing.T) {
	kerneltest.RequireTiers(t, Available())
	t.Logf("tiers tested: %v; in use: %v", Available(), Active)
}
