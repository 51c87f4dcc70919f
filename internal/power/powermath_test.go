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

func TestPlus(t *testing.T) {
	for _, c := range [][2]float64{{1, 2}, {3, -1}, {-1, 3}, {0, 5}, {5, 0}, {-2, -7}, {0x1p60, 1}, {0x1p1000, -0x1p-1000}} {
		p, q := Number{Hi: c[0], Exp: 2000}, Number{Hi: c[1], Exp: 2000}
		sum := p.Plus(q)
		sum.Exp -= 2000
		require.Equal(t, c[0]+c[1], sum.Float(), "%v", c)
	}
	require.Zero(t, Number{Hi: 3, Exp: 5000}.Plus(Number{Hi: -3, Exp: 5000}).Float())
}
