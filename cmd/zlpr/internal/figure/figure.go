// Package figure draws the plots of the command.
package figure

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
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
func Lines(title, x, y string, log bool, curves ...Curve) (*Plot, error) {
	p := newPlot(title, x, y)
	drawn := false
	for i, c := range curves {
		var xys plotter.XYs
		for k := range c.X {
			if finite(c.X[k]) && finite(c.Y[k]) && (!log || c.Y[k] >= 1e-300 && c.Y[k] <= 1e300) {
				xys = append(xys, plotter.XY{X: c.X[k], Y: c.Y[k]})
			}
		}
		if len(xys) == 0 {
			p.legend.add(c.Name+" (nothing to draw)", nil)
			continue
		}
		line, points, err := plotter.NewLinePoints(xys)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = palette[i%len(palette)], vg.Points(1.5)
		points.Color, points.Radius = line.Color, vg.Points(2)
		p.Add(line)
		if len(xys) == 1 { // no line
			p.Add(points)
		}
		p.legend.add(c.Name, line)
		drawn = true
	}
	if !drawn {
		p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1
	} else if log {
		if p.Y.Min == p.Y.Max { // an axis of one value would reach below 0
			p.Y.Min, p.Y.Max = p.Y.Min/10, p.Y.Max*10
		}
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: 2}
	}
	return p, nil
}

func finite(x float64) bool { return x-x == 0 }

// A Bar is scores from Low to High: what they weigh, by their labels.
type Bar struct{ Low, High, Negative, Positive float64 }

// Histogram returns the histograms of the scores of negatives and positives,
// each of area 1, with the threshold, NaN for none. Bars rise; the scores of one are
// taken to be spread evenly, and infinite ones are left out.
func Histogram(title string, bars []Bar, threshold float64) (*Plot, error) {
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
		outline := plotter.XYs{{X: lo}}
		for b, h := range height {
			h /= total * width
			top = max(top, h)
			outline = append(outline, plotter.XY{X: lo + float64(b)*width, Y: h}, plotter.XY{X: lo + float64(b+1)*width, Y: h})
		}
		outline = append(outline, plotter.XY{X: hi})
		area, err := plotter.NewPolygon(outline)
		if err != nil {
			return nil, err
		}
		c := palette[i]
		area.LineStyle.Color, area.LineStyle.Width = c, vg.Points(1)
		c.A = 80
		area.Color = c
		p.Add(area)
		p.legend.add(fmt.Sprintf("%s (%s)", name, amount(total)), area)
	}
	if top == 0 { // no scores
		p.X.Min, p.X.Max, top = lo, hi, 1
	}
	switch at := threshold / unit; {
	case math.IsNaN(threshold): // there is none
	case at >= lo-(hi-lo) && at <= hi+(hi-lo):
		line, err := plotter.NewLine(plotter.XYs{{X: at}, {X: at, Y: top * 1.02}})
		if err != nil {
			return nil, err
		}
		line.Color, line.Width, line.Dashes = grey, vg.Points(1.2), []vg.Length{vg.Points(4), vg.Points(3)}
		p.Add(line)
		p.legend.add(fmt.Sprintf("threshold %.4g", threshold), line)
	default:
		p.legend.add(fmt.Sprintf("threshold %.4g, far away", threshold), nil)
	}
	p.Y.Min, p.Y.Max = 0, top*1.05
	return p, nil
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

// A Plot is a plot with its legend below it.
type Plot struct {
	*plot.Plot
	legend legend
	height vg.Length
}

// heightOf is that of the highest of plots.
func heightOf(plots ...*Plot) vg.Length {
	height := plotHeight
	for _, p := range plots {
		height = max(height, p.height)
	}
	return height
}

func newPlot(title, x, y string) *Plot {
	p := &Plot{Plot: plot.New()}
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.Padding = vg.Points(8)
	p.BackgroundColor = nil
	p.legend.style = p.Legend.TextStyle
	for _, s := range []*text.Style{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.legend.style} {
		s.Font.Variant = "Sans"
		s.Font.Size = min(s.Font.Size, vg.Points(11))
	}
	p.legend.style.Font.Size = vg.Points(10)
	p.X.Tick.Marker, p.Y.Tick.Marker = roundTicks{}, roundTicks{}
	grid := plotter.NewGrid()
	light := color.NRGBA{225, 225, 225, 255}
	grid.Vertical.Color, grid.Horizontal.Color = light, light
	p.Add(grid)
	return p
}

// Unit shows an axis from 0 to 1 for both x and y.
func (p *Plot) Unit() { p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1 }

// The size of a plot, and what is free around it.
const (
	plotWidth, plotHeight = 13 * vg.Centimeter, 10 * vg.Centimeter
	margin                = vg.Length(8)
)

// Write writes plots side by side to a file that is to be called path, as an
// .svg or .png file.
func Write(w io.Writer, path string, plots ...*Plot) error {
	width := vg.Length(len(plots)) * plotWidth
	if strings.EqualFold(filepath.Ext(path), ".png") {
		c := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, heightOf(plots...)), vgimg.UseDPI(150))}
		drawAll(c, plots, true)
		_, err := c.WriteTo(w)
		return err
	}
	c := vgsvg.New(width, heightOf(plots...))
	drawAll(c, plots, true)
	return writeSVG(w, c)
}

// Inline returns a plot as an element of a page: no prolog, no background and no
// size of its own.
func Inline(p *Plot) (string, error) {
	c := vgsvg.New(plotWidth, heightOf(p))
	drawAll(c, []*Plot{p}, false)
	var b strings.Builder
	if err := writeSVG(&b, c); err != nil {
		return "", err
	}
	s := b.String()
	i, j := strings.Index(s, "viewBox"), strings.Index(s, ">\n<g")
	box, _, _ := strings.Cut(s[i+len(`viewBox="`):j], `"`)
	return `<svg role="img" xmlns="http://www.w3.org/2000/svg" viewBox="` + box + `"` + s[j:], nil
}

// drawAll draws plots side by side, their axes and legends in line.
func drawAll(c vg.CanvasSizer, plots []*Plot, background bool) {
	whole := draw.New(c)
	if background {
		whole.SetColor(color.White)
		whole.Fill(whole.Rectangle.Path())
	}
	tiles := draw.Tiles{Rows: 1, Cols: len(plots), PadX: vg.Points(14), PadTop: margin, PadLeft: margin, PadRight: vg.Points(12)}
	wide := tiles.At(whole, 0, 0)
	low := vg.Length(0)
	var inner []*plot.Plot
	for _, p := range plots {
		low = max(low, p.legend.height(wide.Max.X-wide.Min.X))
		inner = append(inner, p.Plot)
	}
	tiles.PadBottom = margin + low
	for i, dc := range plot.Align([][]*plot.Plot{inner}, tiles, whole)[0] {
		plots[i].Draw(dc)
		tile := tiles.At(whole, i, 0)
		plots[i].legend.draw(draw.Canvas{Canvas: whole.Canvas, Rectangle: vg.Rectangle{
			Min: vg.Point{X: tile.Min.X, Y: whole.Min.Y}, Max: vg.Point{X: tile.Max.X, Y: tile.Min.Y}}})
	}
}

// writeSVG writes what was drawn, with fonts that every system has one of.
func writeSVG(w io.Writer, c io.WriterTo) error {
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return err
	}
	_, err := w.Write(bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans;"),
		[]byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;")))
	return err
}

// Reliability returns a plot of how often what was predicted with some
// probability is so: on the diagonal where the probabilities are right.
func Reliability(title string, curves ...Curve) (*Plot, error) {
	p := newPlot(title, "predicted probability", "share of positives")
	ideal, err := plotter.NewLine(plotter.XYs{{X: 0, Y: 0}, {X: 1, Y: 1}})
	if err != nil {
		return nil, err
	}
	ideal.Color, ideal.Width, ideal.Dashes = grey, vg.Points(1), []vg.Length{vg.Points(4), vg.Points(3)}
	p.Add(ideal)
	for i, c := range curves {
		if len(c.X) == 0 {
			p.legend.add(c.Name+" (nothing to draw)", nil)
			continue
		}
		xys := make(plotter.XYs, len(c.X))
		for k := range c.X {
			xys[k] = plotter.XY{X: c.X[k], Y: c.Y[k]}
		}
		line, points, err := plotter.NewLinePoints(xys)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = palette[i%len(palette)], vg.Points(1.5)
		points.Color, points.Radius, points.Shape = line.Color, vg.Points(2.5), draw.CircleGlyph{}
		p.Add(line, points)
		p.legend.add(c.Name, line)
	}
	p.Unit()
	return p, nil
}

// Mark draws a point, as one of a curve that is used.
func (p *Plot) Mark(name string, x, y float64) error {
	points, err := plotter.NewScatter(plotter.XYs{{X: x, Y: y}})
	if err != nil {
		return err
	}
	points.Color, points.Radius, points.Shape = orange, vg.Points(4), draw.CircleGlyph{}
	p.Add(points)
	p.legend.add(name, points)
	return nil
}

// An Interval is a value with an interval, NaN where it has none.
type Interval struct {
	Name             string
	Value, Low, High float64
	Better           int // above 0 where the value is good by its interval, below 0 where it is bad
}

// Intervals returns a plot of intervals below each other, with the line at 0.
func Intervals(title, x string, list []Interval) (*Plot, error) {
	p := newPlot(title, x, "")
	zero, err := plotter.NewLine(plotter.XYs{{X: 0, Y: -0.5}, {X: 0, Y: float64(len(list)) - 0.5}})
	if err != nil {
		return nil, err
	}
	zero.Color, zero.Width, zero.Dashes = grey, vg.Points(1), []vg.Length{vg.Points(4), vg.Points(3)}
	p.Add(zero)
	names := make([]string, len(list))
	for i, v := range list {
		y := float64(len(list) - 1 - i) // the first at the top
		names[len(list)-1-i] = v.Name
		c := grey
		switch {
		case v.Better > 0:
			c = blue
		case v.Better < 0:
			c = orange
		}
		if finite(v.Low) && finite(v.High) {
			line, err := plotter.NewLine(plotter.XYs{{X: v.Low, Y: y}, {X: v.High, Y: y}})
			if err != nil {
				return nil, err
			}
			line.Color, line.Width = c, vg.Points(1.8)
			p.Add(line)
		}
		if finite(v.Value) {
			point, err := plotter.NewScatter(plotter.XYs{{X: v.Value, Y: y}})
			if err != nil {
				return nil, err
			}
			point.Color, point.Radius, point.Shape = c, vg.Points(2.6), draw.CircleGlyph{}
			p.Add(point)
		}
	}
	marker := p.Y.Tick.Label
	p.NominalY(names...)
	p.Y.Tick.Label = marker
	p.Y.Tick.Label.XAlign = draw.XRight
	p.Y.Tick.Label.YAlign = draw.YCenter
	p.Y.Tick.Label.Font.Size = vg.Points(10)
	p.height = vg.Points(90 + 14*float64(len(list)))
	p.Y.Min, p.Y.Max = -0.5, float64(len(list))-0.5
	return p, nil
}
