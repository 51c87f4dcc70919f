package metrics

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// availableTiers returns the tiers that this CPU has.
func availableTiers() []tier {
	tiers := []tier{tierGeneric}
	switch bestTier() {
	case tierAVX2:
		tiers = append(tiers, tierAVX2)
	case tierAVX512:
		tiers = append(tiers, tierAVX2, tierAVX512)
	case tierNEON:
		tiers = append(tiers, tierNEON)
	}
	return tiers
}

// forEachTier runs f on every tier that this CPU has.
func forEachTier(t *testing.T, f func(t *testing.T)) {
	defer func() { activeTier = bestTier() }()
	for _, tier := range availableTiers() {
		activeTier = tier
		t.Run(tier.String(), f)
	}
}

// TestRequiredTiers fails where a tier that ZLPR_REQUIRE lists, separated by
// commas, is not there to be tested.
func TestRequiredTiers(t *testing.T) {
	for _, want := range strings.Split(os.Getenv("ZLPR_REQUIRE"), ",") {
		if want != "" && !slices.ContainsFunc(availableTiers(), func(t tier) bool { return t.String() == want }) {
			t.Errorf("ZLPR_REQUIRE: no tier %s here, only %v", want, availableTiers())
		}
	}
}
