package figure

import (
	"html"
	"image/color"
	"io"
	"math"
	"path/filepath"
	"strings"
)

// A Plot is a plot with its legend below it.
type Plot struct {
	X, Y   Axis
	title  string
	series []*series
	legend legend
	height float64 // at least
}

// A series is what is drawn of values: their line, the area that it surrounds, and
// a disc for each, in the colour of the line.
type series struct {
	xs, ys []float64
	line   stroke
	area   color.NRGBA
	disc   float64 // its radius
}

// Sizes of letters, and how far they reach, for letters of size 1.
const (
	bigSize, smallSize = 11, 10
	letterHeight       = 1.117 // from the lowest to the highest
	belowLine          = 0.3   // from the line they stand on to what is below them
	middleOfDigits     = 0.34  // above that line
	blank              = 0.278 // the width of a blank
)

// The size of a plot, what is free around it and between parts of it, in points.
const (
	plotWidth, plotHeight = 13 / 2.54 * 72, 10 / 2.54 * 72
	margin, rightMargin   = 8, 12
	betweenPlots          = 14
	titleGap              = 8
	tickLength            = 8
	axisGap               = 5.5 // between an axis and the data
	axisHeight            = (bigSize+smallSize)*letterHeight + tickLength + axisGap
)

var (
	axisLine = stroke{color: black, width: 0.5}
	gridLine = stroke{color: color.NRGBA{225, 225, 225, 255}, width: 0.25}
)

func newPlot(title, x, y string) *Plot {
	nothing := Axis{Min: math.Inf(1), Max: math.Inf(-1)}
	p := &Plot{title: title, X: nothing, Y: nothing, height: plotHeight}
	p.X.label, p.Y.label = x, y
	return p
}

// add adds series, which the axes are to show.
func (p *Plot) add(list ...*series) {
	for _, s := range list {
		p.X.include(s.xs)
		p.Y.include(s.ys)
	}
	p.series = append(p.series, list...)
}

// Unit shows an axis from 0 to 1 for both x and y.
func (p *Plot) Unit() { p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1 }

// heightOf is that of the highest of plots.
func heightOf(plots []*Plot) (height float64) {
	for _, p := range plots {
		height = max(height, p.height)
	}
	return height
}

// Write writes plots side by side to a file that is to be called path, as an
// .svg or .png file.
func Write(w io.Writer, path string, plots ...*Plot) error {
	width, height := float64(len(plots))*plotWidth, heightOf(plots)
	if strings.EqualFold(filepath.Ext(path), ".png") {
		c := newBitmap(width, height)
		c.SetColor(white)
		c.Clear()
		drawAll(c, plots)
		return c.EncodePNG(w)
	}
	var c svg
	c.put(`<svg xmlns="http://www.w3.org/2000/svg" width="`)
	c.number(width)
	c.put(`pt" height="`)
	c.number(height)
	c.put(`pt"`)
	c.drawing(plots, func() {
		c.path([]point{{0, 0}, {width, 0}, {width, height}, {0, height}}, true, white, stroke{})
	})
	_, err := w.Write(c.b)
	return err
}

// Inline returns a plot as an element of a page: no background and no size of its own.
func Inline(p *Plot) string {
	var c svg
	c.put(`<svg role="img" xmlns="http://www.w3.org/2000/svg" aria-label="`, html.EscapeString(p.title), `"`)
	c.drawing([]*Plot{p}, func() {})
	return string(c.b)
}

// drawing ends an element that has begun, with plots in it.
func (c *svg) drawing(plots []*Plot, background func()) {
	c.put(` viewBox="0 0 `)
	c.number(float64(len(plots)) * plotWidth)
	c.put(" ")
	c.number(heightOf(plots))
	c.put(`" font-family="`, fontFamily, "\">\n")
	background()
	drawAll(c, plots)
	c.put("</svg>\n")
}

// drawAll draws plots side by side, their axes and legends in line.
func drawAll(c canvas, plots []*Plot) {
	n := float64(len(plots))
	width := (n*plotWidth - margin - rightMargin - (n-1)*betweenPlots) / n
	frame := rectangle{right: width, top: margin, bottom: heightOf(plots) - margin}
	low := 0.0
	for _, p := range plots {
		p.X.settle()
		p.Y.settle()
		low = max(low, p.legend.height(width))
	}
	frame.bottom -= low
	// What is within all the axes: where the data of each are.
	data := frame
	data.top += bigSize*letterHeight + titleGap
	data.bottom -= axisHeight
	for _, p := range plots {
		data.left = max(data.left, p.besideData())
	}
	for _, p := range plots {
		data.right = min(data.right, p.rightEnd(data.left, width))
	}
	for i, p := range plots {
		x := margin + float64(i)*(width+betweenPlots)
		p.draw(c, frame.moved(x), data.moved(x))
		p.legend.draw(c, point{x, frame.bottom}, width)
	}
}

// A rectangle of a canvas.
type rectangle struct{ left, top, right, bottom float64 }

// moved is a rectangle that far to the right.
func (r rectangle) moved(x float64) rectangle {
	r.left, r.right = r.left+x, r.right+x
	return r
}

// besideData is the width of what is to the left of the data.
func (p *Plot) besideData() float64 {
	width := p.labelsWidth() + axisGap
	if p.Y.names == nil {
		width += tickLength
	}
	return width
}

// labelsWidth is the width of the labels of the y axis and its ticks.
func (p *Plot) labelsWidth() (width float64) {
	for _, t := range p.Y.ticks() {
		width = max(width, widthOf(t.label, smallSize))
	}
	if p.Y.label != "" {
		width += bigSize * (letterHeight + belowLine)
	}
	return width + smallSize*blank
}

// rightEnd is how far the data may reach to the right, from left, so that the labels
// of the x axis stay within a width.
func (p *Plot) rightEnd(left, width float64) float64 {
	end := width
	for _, t := range p.X.ticks() {
		if at := p.X.at(t.value); at > 0 {
			end = min(end, left+(width-widthOf(t.label, smallSize)/2-left)/at)
		}
	}
	return end
}

// draw draws a plot with its axes in a frame, and its values in data.
func (p *Plot) draw(c canvas, frame, data rectangle) {
	place := func(x, y float64) point {
		return point{data.left + p.X.at(x)*(data.right-data.left), data.bottom - p.Y.at(y)*(data.bottom-data.top)}
	}
	line := func(x0, y0, x1, y1 float64, s stroke) {
		c.path([]point{{x0, y0}, {x1, y1}}, false, none, s)
	}
	c.text(p.title, point{(frame.left + frame.right) / 2, frame.top + bigSize*(letterHeight-belowLine)}, bigSize, middle, false)

	// The x axis: what is lowest first.
	c.text(p.X.label, point{(data.left + data.right) / 2, frame.bottom - bigSize*belowLine}, bigSize, middle, false)
	y := data.bottom + axisGap
	for _, t := range p.X.ticks() {
		x := place(t.value, p.Y.Min).x
		if t.label == "" {
			line(x, y, x, y+tickLength/2, axisLine)
			continue
		}
		line(x, y, x, y+tickLength, axisLine)
		line(x, data.top, x, data.bottom, gridLine)
		c.text(t.label, point{x, frame.bottom - bigSize*letterHeight - smallSize*belowLine}, smallSize, middle, false)
	}
	line(data.left, y, data.right, y, axisLine)

	// The y axis. One with names has no line.
	if p.Y.label != "" {
		c.text(p.Y.label, point{frame.left + bigSize*(letterHeight-belowLine), (data.top + data.bottom) / 2}, bigSize, middle, true)
	}
	x := data.left - axisGap
	for _, t := range p.Y.ticks() {
		y, labels := place(p.X.Min, t.value).y, x-tickLength
		switch {
		case p.Y.names != nil:
			labels = x
		case t.label == "":
			line(x-tickLength/2, y, x, y, axisLine)
			continue
		default:
			line(x-tickLength, y, x, y, axisLine)
		}
		line(data.left, y, data.right, y, gridLine)
		c.text(t.label, point{labels - smallSize*blank, y + smallSize*middleOfDigits}, smallSize, right, false)
	}
	if p.Y.names == nil {
		line(x, data.top, x, data.bottom, axisLine)
	}

	for _, s := range p.series {
		points := make([]point, len(s.xs))
		for i := range points {
			points[i] = place(s.xs[i], s.ys[i])
		}
		s.draw(c, points)
	}
}

// draw draws a series at points.
func (s *series) draw(c canvas, points []point) {
	if s.line.width > 0 && len(points) > 1 {
		c.path(points, s.area != none, s.area, s.line)
	}
	for _, at := range points {
		if s.disc > 0 {
			c.disc(at, s.disc, s.line.color)
		}
	}
}

// thumbnail draws what a series looks like between two corners.
func (s *series) thumbnail(c canvas, from, to point) {
	center := point{(from.x + to.x) / 2, (from.y + to.y) / 2}
	switch {
	case s.area != none:
		c.path([]point{from, {to.x, from.y}, to, {from.x, to.y}}, true, s.area, s.line)
	case s.line.width > 0:
		c.path([]point{{from.x, center.y}, {to.x, center.y}}, false, none, s.line)
	default:
		c.disc(center, s.disc, s.line.color)
	}
}
