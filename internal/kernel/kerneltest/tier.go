// Package kerneltest has what the tests of kernels and of their callers share.
package kerneltest

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// ForEachTier runs f as a subtest on every one of the tiers, with active set to
// it.
func ForEachTier[T fmt.Stringer](t *testing.T, tiers []T, active *T, f func(t *testing.T)) {
	for _, tier := range tiers {
		t.Run(tier.String(), func(t *testing.T) {
			defer func(old T) { *active = old }(*active)
			*active = tier
			f(t)
		})
	}
}

// RequireTiers fails where a tier that ZLPR_REQUIRE lists, separated by commas,
// is not there to be tested: skipped tests look like passed ones.
func RequireTiers[T fmt.Stringer](t *testing.T, tiers []T) {
	for _, want := range strings.Split(os.Getenv("ZLPR_REQUIRE"), ",") {
		if want != "" && !slices.ContainsFunc(tiers, func(t T) bool { return t.String() == want }) {
			t.Errorf("ZLPR_REQUIRE: no tier %s here, only %v", want, tiers)
		}
	}
}

// ForBothTypes runs the float32 and the float64 form of a test.
func ForBothTypes(t *testing.T, f32, f64 func(t *testing.T)) {
	t.Run("float32", f32)
	t.Run("float64", f64)
}

// BitsOf returns the bits of x, all NaN as one: no function promises a payload
// but that of the canonical NaN, which TestSpecialValues demands.
func BitsOf[T Float](x T) uint64 {
	if x, ok := any(x).(float32); ok {
		return uint64(math.Float32bits(x))
	}
	return math.Float64bits(float64(x))
}

// SameBits reports the first difference of two slices.
func SameBits[T Float](t *testing.T, want, got []T, what ...any) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%v: %d results, not %d", what, len(got), len(want))
	}
	for i := range want {
		if BitsOf(want[i]) != BitsOf(got[i]) {
			t.Fatalf("%v: [%d] = %v (%#x), not %v (%#x)", what, i, got[i], BitsOf(got[i]), want[i], BitsOf(want[i]))
		}
	}
}
