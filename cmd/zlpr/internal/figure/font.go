package figure

import (
	"sync"

	"codeberg.org/go-fonts/liberation/liberationsansregular"
	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
)

// Names of the font of all texts, and of those that are as wide.
const fontFamily = "Liberation Sans,Arial,Helvetica,sans-serif"

// face returns the font, for letters of so many pixels.
func face(pixels float64) font.Face {
	f, err := opentype.NewFace(parsed(), &opentype.FaceOptions{Size: pixels, DPI: 72})
	if err != nil {
		panic(err) // only for options that there are not
	}
	return f
}

var parsed = sync.OnceValue(func() *opentype.Font {
	f, err := opentype.Parse(liberationsansregular.TTF)
	if err != nil {
		panic(err) // the font is part of the program
	}
	return f
})

// widthOf is the width of a text in letters of a size.
func widthOf(s string, size float64) float64 {
	const pixels = 100 // of the face that is measured
	return float64(font.MeasureString(ruler(), s)) / 64 / pixels * size
}

var ruler = sync.OnceValue(func() font.Face { return face(100) })
