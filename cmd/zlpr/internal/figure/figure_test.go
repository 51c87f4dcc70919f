package figure

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"image/color"
	"image/png"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var bitmaps int

// drawn draws a plot, now and then in both formats.
func drawn(t *testing.T, p *Plot) {
	t.Helper()
	var svg, bitmap bytes.Buffer
	require.NoError(t, Write(&svg, "p.svg", p))
	require.Greater(t, svg.Len(), 500)
	var words struct{ XMLName xml.Name }
	require.NoError(t, xml.Unmarshal(svg.Bytes(), &words))
	require.NotRegexp(t, `NaN|Inf\b`, regexp.MustCompile(`>.*?</text>`).ReplaceAllString(svg.String(), ""))
	drawAll(&inspector{t: t, width: plotWidth, height: p.height}, []*Plot{p})
	each := 7 // they are slow
	if testing.Short() {
		each = 70
	}
	if bitmaps++; bitmaps%each == 0 {
		require.NoError(t, Write(&bitmap, "p.PNG", p))
		_, err := png.Decode(&bitmap)
		require.NoError(t, err)
	}
}

// An inspector is a canvas that finds what is outside of it, and texts that are
// over each other.
type inspector struct {
	t             *testing.T
	width, height float64
	texts         []rectangle
}

func (c *inspector) has(r rectangle) {
	const least = 0.01 // what is written of a length
	require.True(c.t, r.left >= -least && r.right <= c.width+least && r.top >= -least && r.bottom <= c.height+least, "%v", r)
}

func (c *inspector) path(points []point, closed bool, fill color.NRGBA, line stroke) {
	for _, p := range points {
		c.has(rectangle{p.x, p.y, p.x, p.y})
	}
}

func (c *inspector) disc(center point, radius float64, fill color.NRGBA) {
	c.has(rectangle{center.x - radius, center.y - radius, center.x + radius, center.y + radius})
}

func (c *inspector) text(s string, at point, size float64, side align, turned bool) {
	if s == "" {
		return
	}
	before, after := widthOf(s, size)*float64(side)/2, widthOf(s, size)*(1-float64(side)/2)
	r := rectangle{at.x - before, at.y - 0.7*size, at.x + after, at.y}
	if turned {
		r = rectangle{at.x - 0.7*size, at.y - after, at.x, at.y + before}
	}
	c.has(r)
	for _, o := range c.texts {
		require.False(c.t, r.left < o.right && o.left < r.right && r.top < o.bottom && o.top < r.bottom, "%s is over another text", s)
	}
	c.texts = append(c.texts, r)
}

// TestSides draws several plots side by side: what is of one does not reach into another,
// and their axes are in line.
func TestSides(t *testing.T) {
	wide := Lines("objective", "iteration", "", true, Curve{"a", []float64{0, 100000}, []float64{1, 1e-13}})
	intervals := Intervals("difference", "B - A", []Interval{{"a_long_name_of_a_measure", 0, -1e-3, 1e-3, 0}, {"short", 1, 0.5, 1.5, 1}, {"none", 2, math.NaN(), math.NaN(), 0}})
	plots := []*Plot{wide, intervals, Reliability("reliability", Curve{"b", []float64{0, 1}, []float64{0, 1}})}
	plots[2].Mark("point", 0.5, 0.5)
	width := 3 * plotWidth
	drawAll(&inspector{t: t, width: width, height: heightOf(plots)}, plots)
	var b bytes.Buffer
	require.NoError(t, Write(&b, "all.svg", plots...))
	require.Contains(t, b.String(), `width="1105.51pt"`)
	require.Equal(t, 3+2+2, strings.Count(b.String(), "<circle"), "the values of intervals, the points of a curve, a mark and its thumbnail")
	b.Reset()
	require.NoError(t, Write(&b, "all.png", plots...))
	config, err := png.DecodeConfig(&b)
	require.NoError(t, err)
	require.Equal(t, int(width*150/72+0.5), config.Width)
}

// TestTicks: ticks are round, and those of powers at least two of them with labels.
func TestTicks(t *testing.T) {
	labels := func(a Axis) (list []string) {
		for _, t := range a.ticks() {
			if t.label != "" {
				list = append(list, t.label)
			}
		}
		return list
	}
	require.Equal(t, []string{"0", "0.05", "0.10", "0.15"}, labels(Axis{Min: 0, Max: 0.178}))
	require.Equal(t, []string{"-40", "-20", "0", "20"}, labels(Axis{Min: -57, Max: 22}))
	require.Equal(t, []string{"1", "10", "1e+02"}, labels(Axis{Min: 0.5, Max: 400, log: true}))
	require.Equal(t, []string{"2", "5"}, labels(Axis{Min: 1.5, Max: 8, log: true}))
	require.Equal(t, []string{"1e-12", "1e-10", "1e-08", "1e-06", "0.0001", "0.01", "1"}, labels(Axis{Min: 3e-14, Max: 5, log: true}))
	for _, a := range []Axis{{Min: 1, Max: math.Nextafter(1, 2)}, {Min: -math.MaxFloat64, Max: math.MaxFloat64}, {Min: 1e-300, Max: 1e300, log: true}} {
		require.GreaterOrEqual(t, len(labels(a)), 2)
		require.LessOrEqual(t, len(labels(a)), 13)
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
				drawn(t, Histogram("scores", barsOf(scores, other), threshold))
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
			p := Lines("curve", "x", "y", log, Curve{"a", x, y}, Curve{"b", nil, nil})
			drawn(t, p)
			var b strings.Builder
			require.NoError(t, Write(&b, "p.svg", p))
			require.Contains(t, b.String(), "nothing to draw")
		}
	}
}
