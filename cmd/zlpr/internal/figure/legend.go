package figure

// A legend stands below a plot, where no curve can be: its entries side by side,
// in as many lines as they need.
type legend struct {
	entries []entry
}

// An entry is a name, with what it is the name of, or nil.
type entry struct {
	name  string
	thumb *series
}

const (
	thumbWidth = 18
	thumbGap   = 4  // between the thumbnail and the name
	entryGap   = 14 // between entries
	lineHeight = 14
)

func (l *legend) add(name string, thumb *series) {
	l.entries = append(l.entries, entry{name, thumb})
}

// walk places the entries on lines of that width and returns how many lines
// there are.
func (l *legend) walk(width float64, place func(e *entry, x float64, line int)) int {
	x, line := 0.0, 0
	for i := range l.entries {
		e := &l.entries[i]
		w := widthOf(e.name, smallSize)
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

func (l *legend) height(width float64) float64 {
	if len(l.entries) == 0 {
		return 0
	}
	return float64(l.walk(width, nil))*lineHeight + 4
}

// draw draws the legend below a place, which is its left upper end.
func (l *legend) draw(c canvas, at point, width float64) {
	l.walk(width, func(e *entry, x float64, line int) {
		x += at.x
		bottom := at.y + 4 + float64(line+1)*lineHeight
		if e.thumb != nil {
			e.thumb.thumbnail(c, point{x, bottom - 11}, point{x + thumbWidth, bottom - 2})
			x += thumbWidth + thumbGap
		}
		c.text(e.name, point{x, bottom - 2.5}, smallSize, left, false)
	})
}
