package zlpr

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// availableTiers returns the tiers that this CPU and build have, from the
// generic one up.
func availableTiers() []tier {
	switch best := bestTier(); best {
	case tierAVX512:
		return []tier{tierGeneric, tierAVX2, tierAVX512}
	case tierGeneric:
		return []tier{tierGeneric}
	default:
		return []tier{tierGeneric, best}
	}
}

// forceTier selects a tier and returns the way back.
func forceTier(t tier) (restore func()) {
	old := activeTier
	activeTier = t
	return func() { activeTier = old }
}

// forEachTier runs f as a subtest on every tier that this CPU has.
func forEachTier(t *testing.T, f func(t *testing.T)) {
	for _, tier := range availableTiers() {
		t.Run(tier.String(), func(t *testing.T) {
			defer forceTier(tier)()
			f(t)
		})
	}
}

// TestRequiredTiers fails where a tier that ZLPR_REQUIRE lists, separated by
// commas, is not there to be tested: skipped tests look like passed ones.
func TestRequiredTiers(t *testing.T) {
	for _, want := range strings.Split(os.Getenv("ZLPR_REQUIRE"), ",") {
		if want != "" && !slices.ContainsFunc(availableTiers(), func(t tier) bool { return t.String() == want }) {
			t.Errorf("ZLPR_REQUIRE: no tier %s here, only %v", want, availableTiers())
		}
	}
	t.Logf("tiers tested: %v; in use: %s", availableTiers(), Tier())
}
