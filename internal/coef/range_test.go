package coef

import (
	"math"
	"testing"
)

// TestLeastExp: the least exponential that counts is 2^Least.
func TestLeastExp(t *testing.T) {
	for _, c := range []struct{ exp, least float64 }{{LeastExp32, Least32}, {LeastExp64, Least64}} {
		if want := math.Ldexp(math.Sqrt2, int(math.Floor(c.least))); c.exp != want {
			t.Errorf("%x, want %x", c.exp, want)
		}
	}
}
