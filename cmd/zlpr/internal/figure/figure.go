// Package figure draws the plots of the command.
package figure

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"
)

// Colours that people with any colour vision can tell apart (Okabe and Ito).
var (
	blue    = color.NRGBA{0, 114, 178, 255}
	orange  = color.NRGBA{213, 94, 0, 255}
	green   = color.NRGBA{0, 158, 115, 255}
	grey    = color.NRGBA{90, 90, 90, 255}
	palette = []color.NRGBA{blue, orange, green}
)

// A Curve is a line with a name.
type Curve struct {
	Name string
	X, Y []float64
}

// Lines returns a plot of curves. Points that cannot be drawn are left out:
// those that are not finite, and with log those not in 1e-300..1e300.
func Lines(title, x, y string, log bool, curves ...Curve) *Plot {
	p := newPlot(title, x, y)
	for i, c := range curves {
		line := &series{line: stroke{color: palette[i%len(palette)], width: 1.5}}
		for k := range c.X {
			if finite(c.X[k]) && finite(c.Y[k]) && (!log || c.Y[k] >= 1e-300 && c.Y[k] <= 1e300) {
				line.xs, line.ys = append(line.xs, c.X[k]), append(line.ys, c.Y[k])
			}
		}
		if len(line.xs) == 0 {
			p.legend.add(c.Name+" (nothing to draw)", nil)
			continue
		}
		if len(line.xs) == 1 { // no line
			line.disc = 2
		}
		p.add(line)
		p.legend.add(c.Name, line)
		p.Y.log = log
	}
	return p
}

func finite(x float64) bool { return x-x == 0 }

// A Bar is scores from Low to High: what they weigh, by their labels.
type Bar struct{ Low, High, Negative, Positive float64 }

// Histogram returns the histograms of the scores of negatives and positives,
// each of area 1, with the threshold, NaN for none. Bars rise; the scores of one are
// taken to be spread evenly, and infinite ones are left out.
func Histogram(title string, bars []Bar, threshold float64) *Plot {
	lo, hi := bounds(bars)
	// Numbers of a size that axes can show.
	unit, label := 1.0, "score"
	if size := max(math.Abs(lo), math.Abs(hi)); size > 1e6 || size > 0 && size < 1e-6 {
		exponent := math.Floor(math.Log10(size))
		unit, label = math.Pow(10, max(exponent, -300)), fmt.Sprintf("score, in units of 1e%+d", int(max(exponent, -300)))
	}
	lo, hi = lo/unit, hi/unit
	if least := 1e-6 * max(math.Abs(lo), math.Abs(hi)); !(hi-lo > least) {
		lo, hi = lo-max(0.5, least), hi+max(0.5, least)
	}
	p := newPlot(title, label, "density")
	const steps = 80
	width := (hi - lo) / steps
	top := 0.0
	for i, name := range []string{"negatives", "positives"} {
		var height [steps]float64
		total := 0.0
		for _, b := range bars {
			if weight := b.weight(i); weight > 0 && finite(b.Low) && finite(b.High) {
				total += weight
				spread(&height, (b.Low/unit-lo)/width, (b.High/unit-lo)/width, weight)
			}
		}
		if total == 0 {
			continue
		}
		// An outline of steps, filled.
		area := &series{xs: []float64{lo}, ys: []float64{0}, line: stroke{color: palette[i], width: 1}, area: palette[i]}
		area.area.A = 80
		for b, h := range height {
			h /= total * width
			top = max(top, h)
			area.xs, area.ys = append(area.xs, lo+float64(b)*width, lo+float64(b+1)*width), append(area.ys, h, h)
		}
		area.xs, area.ys = append(area.xs, hi), append(area.ys, 0)
		p.add(area)
		p.legend.add(fmt.Sprintf("%s (%s)", name, amount(total)), area)
	}
	if top == 0 { // no scores
		p.X.Min, p.X.Max, top = lo, hi, 1
	}
	switch at := threshold / unit; {
	case math.IsNaN(threshold): // there is none
	case at >= lo-(hi-lo) && at <= hi+(hi-lo):
		line := &series{xs: []float64{at, at}, ys: []float64{0, top * 1.02}, line: stroke{grey, 1.2, true}}
		p.add(line)
		p.legend.add(fmt.Sprintf("threshold %.4g", threshold), line)
	default:
		p.legend.add(fmt.Sprintf("threshold %.4g, far away", threshold), nil)
	}
	p.Y.Min, p.Y.Max = 0, top*1.05
	return p
}

// weight is that of the negatives, 0, or of the positives, 1.
func (b *Bar) weight(kind int) float64 {
	if kind == 0 {
		return b.Negative
	}
	return b.Positive
}

// spread adds a weight that lies evenly from one place to another to steps of width 1,
// as far as there are any.
func spread(height *[80]float64, from, to, weight float64) {
	n := float64(len(height))
	if to < 0 || from > n {
		return
	}
	if !(to-from > 1e-9) { // a point
		height[min(len(height)-1, int(max(0, from)))] += weight
		return
	}
	for at := max(0, math.Floor(from)); at < min(n, to); at++ {
		height[int(at)] += weight * (min(to, at+1) - max(from, at)) / (to - from)
	}
}

// amount is a weight: a number of scores, where these have none.
func amount(x float64) string {
	if x == math.Trunc(x) && x < 1e15 {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return strconv.FormatFloat(x, 'g', 6, 64)
}

// bounds is the range of the finite scores, without the outermost thousandths.
func bounds(bars []Bar) (lo, hi float64) {
	first := true
	for kind := range 2 {
		var shown []Bar
		total := 0.0
		for _, b := range bars {
			if weight := b.weight(kind); weight > 0 && finite(b.Low) && finite(b.High) {
				shown = append(shown, b)
				total += weight
			}
		}
		if len(shown) == 0 {
			continue
		}
		// The first from one end that is not of the outermost thousandth.
		end := func(each func(yield func(int, Bar) bool)) (at Bar) {
			sum := 0.0
			for _, b := range each {
				at = b
				if sum += b.weight(kind); sum > total/1000 {
					break
				}
			}
			return at
		}
		a, b := end(slices.All(shown)).Low, end(slices.Backward(shown)).High
		if first {
			lo, hi = a, b
		}
		lo, hi, first = min(lo, a), max(hi, b), false
	}
	return lo, hi
}

// Reliability returns a plot of how often what was predicted with some
// probability is so: on the diagonal where the probabilities are right.
func Reliability(title string, curves ...Curve) *Plot {
	p := newPlot(title, "predicted probability", "share of positives")
	p.add(&series{xs: []float64{0, 1}, ys: []float64{0, 1}, line: stroke{grey, 1, true}})
	for i, c := range curves {
		if len(c.X) == 0 {
			p.legend.add(c.Name+" (nothing to draw)", nil)
			continue
		}
		line := &series{xs: c.X, ys: c.Y, line: stroke{color: palette[i%len(palette)], width: 1.5}, disc: 2.5}
		p.add(line)
		p.legend.add(c.Name, line)
	}
	p.Unit()
	return p
}

// Mark draws a point, as one of a curve that is used.
func (p *Plot) Mark(name string, x, y float64) {
	at := &series{xs: []float64{x}, ys: []float64{y}, line: stroke{color: orange}, disc: 4}
	p.add(at)
	p.legend.add(name, at)
}

// An Interval is a value with an interval, NaN where it has none.
type Interval struct {
	Name             string
	Value, Low, High float64
	Better           int // above 0 where the value is good by its interval, below 0 where it is bad
}

// Intervals returns a plot of intervals below each other, with the line at 0.
func Intervals(title, x string, list []Interval) *Plot {
	p := newPlot(title, x, "")
	lowest, highest := -0.5, float64(len(list))-0.5
	p.add(&series{xs: []float64{0, 0}, ys: []float64{lowest, highest}, line: stroke{grey, 1, true}})
	p.Y.names = make([]string, len(list))
	for i, v := range list {
		y := float64(len(list) - 1 - i) // the first at the top
		p.Y.names[len(list)-1-i] = v.Name
		c := grey
		switch {
		case v.Better > 0:
			c = blue
		case v.Better < 0:
			c = orange
		}
		if finite(v.Low) && finite(v.High) {
			p.add(&series{xs: []float64{v.Low, v.High}, ys: []float64{y, y}, line: stroke{color: c, width: 1.8}})
		}
		if finite(v.Value) {
			p.add(&series{xs: []float64{v.Value}, ys: []float64{y}, line: stroke{color: c}, disc: 2.6})
		}
	}
	p.height = max(plotHeight, 90+14*float64(len(list)))
	return p
}
