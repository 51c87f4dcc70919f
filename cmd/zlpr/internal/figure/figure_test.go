package figure

import (
	"bytes"
	"cmp"
	"image/png"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var bitmaps int

// drawn draws a plot, now and then in both formats.
func drawn(t *testing.T, p *Plot, err error) {
	t.Helper()
	require.NoError(t, err)
	var svg, bitmap bytes.Buffer
	require.NoError(t, Write(&svg, "p.svg", p))
	require.Greater(t, svg.Len(), 500)
	require.NotRegexp(t, `[ML,"](NaN|[-+]?Inf)`, svg.String())
	each := 7 // they are slow
	if testing.Short() {
		each = 70
	}
	if bitmaps++; bitmaps%each == 0 {
		require.NoError(t, Write(&bitmap, "p.PNG", p))
		_, err = png.Decode(&bitmap)
		require.NoError(t, err)
	}
}

// TestHistogram draws scores of every size, alone, together and with thresholds
// near and far.
func TestHistogram(t *testing.T) {
	inf := math.Inf(1)
	for _, scores := range [][]float64{nil, {0}, {1, 1, 1}, {1, 2}, {1.6e308, 1.6e308}, {-math.MaxFloat64, math.MaxFloat64},
		{5e-324}, {5e-324, 1e-320}, {1e15, 1e15 + 0.125}, {1, math.Nextafter(1, 2)}, {-1e-7, 1e-7}, {0, 1e300}} {
		for _, other := range [][]float64{nil, {0, 0}, scores} {
			for _, threshold := range []float64{0, 1e300, -1e-300, inf, -inf, math.NaN()} {
				p, err := Histogram("scores", barsOf(scores, other), threshold)
				drawn(t, p, err)
			}
		}
	}
}

// barsOf are a bar a score.
func barsOf(negative, positive []float64) (bars []Bar) {
	for _, s := range negative {
		bars = append(bars, Bar{Low: s, High: s, Negative: 1})
	}
	for _, s := range positive {
		bars = append(bars, Bar{Low: s, High: s, Positive: 1})
	}
	slices.SortStableFunc(bars, func(a, b Bar) int { return cmp.Compare(a.Low, b.Low) })
	return bars
}

// TestSpread: what is spread is all there, in the right shares.
func TestSpread(t *testing.T) {
	var height [80]float64
	spread(&height, 1.5, 3.5, 4)
	spread(&height, 2, 2, 1)
	spread(&height, 80, 80, 1)
	spread(&height, -2, 2, 4)
	spread(&height, 81, 90, 1)
	want := [80]float64{0: 1, 1: 2, 2: 3, 3: 1, 79: 1}
	require.Equal(t, want, height)
	lo, hi := bounds([]Bar{{Low: math.Inf(-1), High: math.Inf(-1), Negative: 1e9}, {Low: -9, High: -8, Negative: 1}, {Low: -2, High: -1, Negative: 2000}, {Low: 1, High: 2, Positive: 0.5}})
	require.Equal(t, []float64{-2, 2}, []float64{lo, hi})
	require.Equal(t, []string{"12", "0.5", "1.23457e+06"}, []string{amount(12), amount(0.5), amount(1234567.8)})
}

// TestLines draws curves of nothing, of one point, of one value and of values
// that cannot be drawn.
func TestLines(t *testing.T) {
	inf := math.Inf(1)
	for _, y := range [][]float64{nil, {0}, {1}, {2, 2, 2}, {inf, math.NaN(), -inf}, {1, inf, 2}, {-1, 0, 3}, {1e308, 1e-308}, {5e-324}} {
		x := make([]float64, len(y))
		for i := range x {
			x[i] = float64(i)
		}
		for _, log := range []bool{false, true} {
			p, err := Lines("curve", "x", "y", log, Curve{"a", x, y}, Curve{"b", nil, nil})
			drawn(t, p, err)
			var b strings.Builder
			require.NoError(t, Write(&b, "p.svg", p))
			require.Contains(t, b.String(), "nothing to draw")
		}
	}
}
