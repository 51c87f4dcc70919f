// Package figure draws the plots of the command.
package figure

import (
	"fmt"
	"image/color"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
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

// Lines returns a plot of curves.
func Lines(title, x, y string, log bool, curves ...Curve) (*plot.Plot, error) {
	p := newPlot(title, x, y)
	for i, c := range curves {
		xys := make(plotter.XYs, len(c.X))
		for k := range xys {
			xys[k].X, xys[k].Y = c.X[k], c.Y[k]
		}
		line, err := plotter.NewLine(xys)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = palette[i%len(palette)], vg.Points(1.5)
		p.Add(line)
		p.Legend.Add(c.Name, line)
	}
	if log {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: 2}
	}
	return p, nil
}

// Histogram returns the histograms of the scores of negatives and positives,
// each of area 1, with the threshold.
func Histogram(title string, negative, positive []float64, threshold float64) (*plot.Plot, error) {
	p := newPlot(title, "score", "density")
	lo, hi := bounds(negative, positive)
	const bins = 80
	top := 0.0
	for i, scores := range [][]float64{negative, positive} {
		if len(scores) == 0 {
			continue
		}
		width := (hi - lo) / bins
		height := make([]float64, bins)
		for _, s := range scores {
			if s >= lo && s <= hi {
				height[min(bins-1, int((s-lo)/width))] += 1 / (width * float64(len(scores)))
			}
		}
		// An outline of steps, filled.
		outline := plotter.XYs{{X: lo}}
		for b, h := range height {
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
		p.Legend.Add(fmt.Sprintf("%s (%d)", []string{"negatives", "positives"}[i], len(scores)), area)
	}
	line, err := plotter.NewLine(plotter.XYs{{X: threshold}, {X: threshold, Y: top * 1.02}})
	if err != nil {
		return nil, err
	}
	line.Color, line.Width, line.Dashes = grey, vg.Points(1.2), []vg.Length{vg.Points(4), vg.Points(3)}
	p.Add(line)
	p.Legend.Add(fmt.Sprintf("threshold %.4g", threshold), line)
	p.Y.Min, p.Y.Max = 0, top*1.3 // room for the legend
	return p, nil
}

// bounds is the range of the scores, without the outermost thousandths.
func bounds(lists ...[]float64) (lo, hi float64) {
	first := true
	for _, l := range lists {
		if len(l) == 0 {
			continue
		}
		s := slices.Clone(l)
		slices.Sort(s)
		cut := len(s) / 1000
		a, b := s[cut], s[len(s)-1-cut]
		if first {
			lo, hi = a, b
		}
		lo, hi, first = min(lo, a), max(hi, b), false
	}
	if !(hi > lo) {
		lo, hi = lo-0.5, lo+0.5
	}
	return lo, hi
}

func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.Padding = vg.Points(8)
	p.Legend.Top = true
	p.Legend.ThumbnailWidth = vg.Points(18)
	p.Legend.Padding = vg.Points(2)
	grid := plotter.NewGrid()
	light := color.NRGBA{225, 225, 225, 255}
	grid.Vertical.Color, grid.Horizontal.Color = light, light
	p.Add(grid)
	return p
}

// canvas is what plots are drawn on and written from.
type canvas interface {
	vg.CanvasSizer
	io.WriterTo
}

// Write writes plots side by side to a file that is to be called path, as an
// .svg or .png file.
func Write(w io.Writer, path string, plots ...*plot.Plot) error {
	width, height := vg.Length(len(plots))*13*vg.Centimeter, 10*vg.Centimeter
	var c canvas
	if strings.EqualFold(filepath.Ext(path), ".png") {
		c = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(150))}
	} else {
		c = vgsvg.New(width, height)
	}
	tiles := draw.Tiles{Rows: 1, Cols: len(plots), PadX: vg.Points(14),
		PadTop: vg.Points(8), PadBottom: vg.Points(8), PadLeft: vg.Points(8), PadRight: vg.Points(12)}
	for i, dc := range plot.Align([][]*plot.Plot{plots}, tiles, draw.New(c))[0] {
		plots[i].Draw(dc)
	}
	_, err := c.WriteTo(w)
	return err
}
