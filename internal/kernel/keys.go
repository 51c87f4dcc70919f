package kernel

import "math"

// keyColumnsGeneric writes the bits of 8 columns of x, those of -0 for +0, to dst, height
// apart.
func keyColumnsGeneric(dst []uint32, height int, x []float32, stride, rows int) {
	for i := 0; i < rows; i += 4 {
		FourKeys(dst[i:], height, x[i*stride:][:8], x[(i+1)*stride:][:8], x[(i+2)*stride:][:8], x[(i+3)*stride:][:8])
	}
}

// FourKeys writes the bits of the scores of four rows, those of -0 for +0, to dst: those of
// a column side by side, the columns height apart.
func FourKeys(dst []uint32, height int, a, b, c, d []float32) {
	b, c, d = b[:len(a)], c[:len(a)], d[:len(a)]
	at := 0
	for j, s := range a {
		k := (*[4]uint32)(dst[at:])
		k[0], k[1], k[2], k[3] = keyBits(s), keyBits(b[j]), keyBits(c[j]), keyBits(d[j])
		at += height
	}
}

// keyBits are the bits of a score, those of -0 for +0.
func keyBits(s float32) uint32 {
	b := math.Float32bits(s)
	if b == 0 {
		b = 1 << 31
	}
	return b
}
