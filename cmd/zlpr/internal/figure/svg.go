package figure

import (
	"fmt"
	"html"
	"image/color"
	"math"
	"strconv"
)

// An svg is a canvas of elements of SVG.
type svg struct{ b []byte }

func (c *svg) put(parts ...string) {
	for _, s := range parts {
		c.b = append(c.b, s...)
	}
}

// number writes a length to a hundredth of a point, in as few digits.
func (c *svg) number(x float64) {
	x = math.Round(x * 100)
	c.b = strconv.AppendFloat(c.b, (x+0)/100, 'f', -1, 64) // -0 + 0 is 0
}

// attributes writes lengths, each with its name.
func (c *svg) attributes(names string, values ...float64) {
	for i, v := range values {
		c.put(" ", names[i:i+1], `="`)
		c.number(v)
		c.put(`"`)
	}
}

// paint writes a colour as the attribute of that name, and its opacity.
func (c *svg) paint(name string, x color.NRGBA) {
	c.put(" ", name, `="`, fmt.Sprintf("#%02x%02x%02x", x.R, x.G, x.B), `"`)
	if x.A < 255 {
		c.put(" ", name, `-opacity="`)
		c.number(float64(x.A) / 255)
		c.put(`"`)
	}
}

func (c *svg) path(points []point, closed bool, fill color.NRGBA, line stroke) {
	c.put(`<path d="M`)
	for i, p := range points {
		if i > 0 {
			c.put(" ")
		}
		c.number(p.x)
		c.put(",")
		c.number(p.y)
	}
	if closed {
		c.put("Z")
	}
	c.put(`"`)
	if fill == none {
		c.put(` fill="none"`)
	} else {
		c.paint("fill", fill)
	}
	if line.width > 0 {
		c.paint("stroke", line.color)
		c.put(` stroke-width="`)
		c.number(line.width)
		c.put(`"`)
		if line.dashed {
			c.put(fmt.Sprintf(` stroke-dasharray="%d,%d"`, dash, gap))
		}
	}
	c.put("/>\n")
}

func (c *svg) disc(center point, radius float64, fill color.NRGBA) {
	c.put(`<circle cx="`)
	c.number(center.x)
	c.put(`" cy="`)
	c.number(center.y)
	c.put(`"`)
	c.attributes("r", radius)
	c.paint("fill", fill)
	c.put("/>\n")
}

// text gives the length, so that texts end where they are to in any other font.
func (c *svg) text(s string, at point, size float64, side align, turned bool) {
	if s == "" {
		return
	}
	c.put("<text")
	if turned {
		c.put(` transform="translate(`)
		c.number(at.x)
		c.put(" ")
		c.number(at.y)
		c.put(`) rotate(-90)"`)
	} else {
		c.attributes("xy", at.x, at.y)
	}
	c.put([]string{"", ` text-anchor="middle"`, ` text-anchor="end"`}[side], ` font-size="`)
	c.number(size)
	c.put(`" textLength="`)
	c.number(widthOf(s, size))
	c.put(`" lengthAdjust="spacingAndGlyphs">`, html.EscapeString(s), "</text>\n")
}
