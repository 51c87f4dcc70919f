package figure

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A legend stands below a plot, where no curve can be: its entries side by side,
// in as many lines as they need.
type legend struct {
	entries []entry
	style   text.Style
}

type entry struct {
	name  string
	thumb plot.Thumbnailer // or nil
}

const (
	thumbWidth = vg.Length(18)
	thumbGap   = vg.Length(4)  // between the thumbnail and the name
	entryGap   = vg.Length(14) // between entries
	lineHeight = vg.Length(14)
)

func (l *legend) add(name string, thumb plot.Thumbnailer) {
	l.entries = append(l.entries, entry{name, thumb})
}

// walk places the entries on lines of that width and returns how many lines
// there are.
func (l *legend) walk(width vg.Length, place func(e *entry, x vg.Length, line int)) int {
	x, line := vg.Length(0), 0
	for i := range l.entries {
		e := &l.entries[i]
		w := l.style.Width(e.name)
		if e.thumb != nil {
			w += thumbWidth + thumbGap
		}
		if x > 0 && x+w > width {
			x, line = 0, line+1
		}
		if place != nil {
			place(e, x, line)
		}
		x += w + entryGap
	}
	return line + 1
}

func (l *legend) height(width vg.Length) vg.Length {
	if len(l.entries) == 0 {
		return 0
	}
	return vg.Length(l.walk(width, nil))*lineHeight + 4
}

func (l *legend) draw(c draw.Canvas) {
	l.walk(c.Max.X-c.Min.X, func(e *entry, x vg.Length, line int) {
		x += c.Min.X
		y := c.Max.Y - 4 - vg.Length(line+1)*lineHeight
		if e.thumb != nil {
			box := draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{Min: vg.Point{X: x, Y: y + 2}, Max: vg.Point{X: x + thumbWidth, Y: y + 11}}}
			e.thumb.Thumbnail(&box)
			x += thumbWidth + thumbGap
		}
		c.FillText(l.style, vg.Point{X: x, Y: y + 3}, e.name)
	})
}
