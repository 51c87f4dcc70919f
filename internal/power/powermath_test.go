package power

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// Products whose exponents together leave int64 are right, and so are those that
// come back from there.
func TestTimesBeyondExponents(t *testing.T) {
	for _, x := range []float64{0x1p61, 0x1.6341538e48ff2p+61, 0x1.ffffffffffp61, -0x1.9p61, -0x1.ffffffffffp61} {
		for _, factors := range []int{2, 3, 4, 5} {
			p := Number{Hi: 1}
			for range factors {
				p = p.Times(Exp(x))
			}
			n := float64(factors)
			require.InEpsilon(t, n*x, p.Normalized().log(), 0x1p-50, "%g·%x", n, x)
			for range factors {
				p = p.Times(Exp(-x))
			}
			// Each way to the shift costs some of the last places.
			require.InDelta(t, 1, p.Float(), 0x1p-48, "%g·%x and back", n, x)
		}
	}
	// On both sides of the bound from which on a logarithm stays in the shift.
	below := math.Nextafter(0x1p62, 0)
	require.InEpsilon(t, math.Exp(-512), Exp(below).Times(Exp(-0x1p62)).Float(), 0x1p-48)
	require.InEpsilon(t, math.Exp(512), Exp(0x1p62).Times(Exp(-below)).Float(), 0x1p-48)
	require.Zero(t, Exp(-0x1.8p61).Times(Exp(-0x1.8p61)).Float())
	require.Equal(t, math.Inf(1), Exp(0x1.8p61).Times(Exp(0x1.8p61)).Float())
}
