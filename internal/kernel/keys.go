package kernel

import "math"

// keyColumnsGeneric writes the bits of 8 columns of x, those of -0 for +0, to dst, height
// apart: of four rows at a time, which are side by side there.
func keyColumnsGeneric(dst []uint32, height int, x []float32, stride, rows int) {
	for i := 0; i < rows; i += 4 {
		a, b, c, d := x[i*stride:][:8], x[(i+1)*stride:][:8], x[(i+2)*stride:][:8], x[(i+3)*stride:][:8]
		for j := range a {
			k := (*[4]uint32)(dst[j*height+i:])
			k[0], k[1], k[2], k[3] = keyBits(a[j]), keyBits(b[j]), keyBits(c[j]), keyBits(d[j])
		}
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
