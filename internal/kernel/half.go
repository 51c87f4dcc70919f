package kernel

import "math"

// The 16-bit floats: bfloat16, the upper half of a float32's bits, and float16,
// IEEE 754's binary16, of 5 bits of exponent and 10 of fraction.

// Float32OfBFloat16 returns the float32 of the same value.
func Float32OfBFloat16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// BFloat16Of rounds f to nearest even. A NaN becomes quiet and keeps the upper part
// of its payload.
func BFloat16Of(f float32) uint16 {
	b := math.Float32bits(f)
	if f != f {
		return uint16((b | 0x400000) >> 16)
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// Float32OfFloat16 returns the float32 of the same value. A NaN becomes quiet and
// keeps its payload.
func Float32OfFloat16(h uint16) float32 {
	sign, exp, frac := uint32(h&0x8000)<<16, uint32(h>>10&31), uint32(h&0x3ff)
	switch exp {
	case 0: // frac·2^-24, exact
		return math.Float32frombits(sign | math.Float32bits(float32(frac)*0x1p-24))
	case 31:
		b := sign | 0x7f800000 | frac<<13
		if frac != 0 {
			b |= 0x400000
		}
		return math.Float32frombits(b)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
}

// Float16Of rounds f to nearest even; beyond 65504 and half a last place that is
// infinite. A NaN becomes quiet and keeps the upper part of its payload.
func Float16Of(f float32) uint16 {
	b := math.Float32bits(f)
	sign, a := uint16(b>>16&0x8000), b&0x7fffffff
	switch {
	case a > 0x7f800000:
		return sign | 0x7e00 | uint16(a>>13&0x3ff)
	case a >= 0x477ff000: // 65520, half way from the largest to 2^16
		return sign | 0x7c00
	case a < 0x38800000: // 2^-14: multiples of 2^-24, the last place of a sum from 1/2 on
		const half = 0.5
		return sign | uint16(math.Float32bits(math.Float32frombits(a)+half)-math.Float32bits(half))
	}
	a += 0xfff + a>>13&1
	return sign | uint16((a-(127-15)<<23)>>13)
}

// Kinds of 16-bit floats, which take the place of float32 in a kernel's rows; 0 for
// none.
const (
	BFloat16 = 1 + iota
	Float16
)

// LeastSixteen is the length from which on kernels take Rows16.
const LeastSixteen = ShortRow + 1

// Rows16 are rows of 16-bit floats of that kind, if it is not 0.
type Rows16 struct {
	Kind int
	X    []uint16
}

// scores returns n scores, at most 64, from one on: of x or, widened in room, of the
// 16-bit floats.
func (h *Rows16) scores(room *[64]float32, x []float32, from, n int) []float32 {
	if h.Kind == 0 {
		return x[from:][:n]
	}
	for j, v := range h.X[from:][:n] {
		room[j] = float32Of(v, h.Kind)
	}
	return room[:n]
}

// Sixteen reports whether the tier has kernels that take 16-bit floats of that kind for
// float32.
func Sixteen(kind int) bool {
	return Active == AVX512 || Active == AVX2 && (kind == BFloat16 || hasFloat16)
}

// float32Of returns the float32 of the same value as a float of that kind.
func float32Of(h uint16, kind int) float32 {
	if kind == BFloat16 {
		return Float32OfBFloat16(h)
	}
	return Float32OfFloat16(h)
}

// sixteenOf returns the float of that kind nearest to f.
func sixteenOf(f float32, kind int) uint16 {
	if kind == BFloat16 {
		return BFloat16Of(f)
	}
	return Float16Of(f)
}

// Widen writes the float32 of 16-bit floats, bfloat16 or float16, to dst, of the same
// length.
func Widen(dst []float32, bits []uint16, bfloat16 bool) {
	if bfloat16 {
		WidenBFloat16(dst, bits, len(bits))
	} else {
		WidenFloat16(dst, bits, len(bits))
	}
}

// Narrow writes x, rounded to bfloat16 or float16, to bits, of the same length.
func Narrow(bits []uint16, x []float32, bfloat16 bool) {
	if bfloat16 {
		NarrowBFloat16(bits, x, len(x))
	} else {
		NarrowFloat16(bits, x, len(x))
	}
}

// WidenFloat16 writes the float32 of n float16; NaN become quiet.
func WidenFloat16(dst []float32, src []uint16, n int) {
	if Active == AVX2 && !hasFloat16 {
		widenFloat16Generic(dst, src, n, 0)
		return
	}
	widenFloat16(dst, src, n)
}

// NarrowFloat16 writes the float16 nearest to n float32, ties to even; NaN become
// quiet.
func NarrowFloat16(dst []uint16, src []float32, n int) {
	if Active == AVX2 && !hasFloat16 {
		narrowFloat16Generic(dst, src, n, 0)
		return
	}
	narrowFloat16(dst, src, n)
}

func widenBFloat16Generic(dst []float32, src []uint16, n, from int) {
	for i, h := range src[from:n] {
		dst[from+i] = Float32OfBFloat16(h)
	}
}

func widenFloat16Generic(dst []float32, src []uint16, n, from int) {
	for i, h := range src[from:n] {
		dst[from+i] = Float32OfFloat16(h)
	}
}

func narrowBFloat16Generic(dst []uint16, src []float32, n, from int) {
	for i, f := range src[from:n] {
		dst[from+i] = BFloat16Of(f)
	}
}

func narrowFloat16Generic(dst []uint16, src []float32, n, from int) {
	for i, f := range src[from:n] {
		dst[from+i] = Float16Of(f)
	}
}
