package figure

import "image/color"

// A canvas is drawn on: lengths are in points, y runs down from the top.
type canvas interface {
	// path draws straight lines from point to point. What a closed one surrounds is
	// filled with a colour; lines of width 0 are not drawn.
	path(points []point, closed bool, fill color.NRGBA, line stroke)
	disc(center point, radius float64, fill color.NRGBA)
	// text writes black letters of a size. Turned ones run upwards.
	text(s string, at point, size float64, side align, turned bool)
}

type point struct{ x, y float64 }

// A stroke is how a line is drawn.
type stroke struct {
	color  color.NRGBA
	width  float64
	dashed bool
}

// Lengths of the dashes of a line, and of the gaps between them.
const dash, gap = 4, 3

// align tells which part of a text is at its place: the left end, the middle or
// the right end.
type align int

const (
	left align = iota
	middle
	right
)

var (
	none  color.NRGBA
	black = color.NRGBA{0, 0, 0, 255}
	white = color.NRGBA{255, 255, 255, 255}
)
