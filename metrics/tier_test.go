package metrics

import (
	"testing"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
)

// forEachTier runs f as a subtest on every tier that this CPU has.
func forEachTier(t *testing.T, f func(t *testing.T)) {
	kerneltest.ForEachTier(t, kernel.Available(), &kernel.Active, f)
}

// TestRequiredTiers fails where a tier that ZLPR_REQUIRE lists is not there.
func TestRequiredTiers(t *testing.T) {
	kerneltest.RequireTiers(t, kernel.Available())
	t.Logf("tiers tested: %v; in use: %v", kernel.Available(), kernel.Active)
}
