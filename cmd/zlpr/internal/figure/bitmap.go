package figure

import (
	"image/color"
	"math"

	"git.sr.ht/~sbinet/gg"
)

// A bitmap is a canvas of pixels.
type bitmap struct{ *gg.Context }

// perPoint is how many pixels a point has: 150 an inch.
const perPoint = 150.0 / 72

func newBitmap(width, height float64) bitmap {
	c := gg.NewContext(int(width*perPoint+0.5), int(height*perPoint+0.5))
	c.SetLineCapButt()
	return bitmap{c}
}

func (c bitmap) path(points []point, closed bool, fill color.NRGBA, line stroke) {
	for _, p := range points {
		c.LineTo(p.x*perPoint, p.y*perPoint)
	}
	if closed {
		c.ClosePath()
	}
	if fill != none {
		c.SetColor(fill)
		c.FillPreserve()
	}
	if line.width > 0 {
		c.SetColor(line.color)
		c.SetLineWidth(line.width * perPoint)
		if line.dashed {
			c.SetDash(dash*perPoint, gap*perPoint)
		} else {
			c.SetDash()
		}
		c.StrokePreserve()
	}
	c.ClearPath()
}

func (c bitmap) disc(center point, radius float64, fill color.NRGBA) {
	c.SetColor(fill)
	c.DrawCircle(center.x*perPoint, center.y*perPoint, radius*perPoint)
	c.Fill()
}

func (c bitmap) text(s string, at point, size float64, side align, turned bool) {
	f := face(size * perPoint)
	defer f.Close()
	c.SetFontFace(f)
	c.SetColor(black)
	c.Push()
	defer c.Pop()
	c.Translate(at.x*perPoint, at.y*perPoint)
	if turned {
		c.Rotate(-math.Pi / 2)
	}
	c.DrawString(s, -widthOf(s, size)*perPoint*float64(side)/2, 0)
}
