package kernel

import (
	"math"
	"unsafe"
)

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

// countKeysGeneric counts keys in pages, 64 for every word of positive, as long as there is room
// for what is left; next it leaves alone.
func countKeysGeneric(low *[256]*uint16, keys, _ []uint32, positive, left []uint64, shift int) (counted, room int) {
	room = len(left)
	for _, labels := range positive {
		var n int
		n, room = CountSome(low, keys[:64], labels, left[len(left)-room:], shift)
		if counted += n; room == 0 {
			break
		}
		keys = keys[64:]
	}
	return counted, room
}

// CountSome counts keys as CountKeys does, at most 64 of them, whose labels are the lowest bits
// of a word.
func CountSome(low *[256]*uint16, keys []uint32, labels uint64, left []uint64, shift int) (counted, room int) {
	return count64(low, keys, labels, left, 1<<(32-shift))
}

// count64 calls nothing, so that all it needs stays in registers.
//
//go:noinline
func count64(low *[256]*uint16, keys []uint32, labels uint64, left []uint64, places uint64) (counted, room int) {
	for i, k := range keys {
		count := labels&1 + 1<<16
		labels >>= 1
		if page := low[k>>24]; page != nil {
			place := uint64(k<<8) * places >> 32 // a shift by a number that varies takes more
			at := (*uint16)(unsafe.Add(unsafe.Pointer(page), 2*uintptr(place)))
			count += uint64(*at) + 1<<8 - 1<<16
			if *at = uint16(count); count < 1<<16 {
				continue
			}
			*at = 0
			count &= 0xffff
		}
		left[0] = uint64(k)<<32 | count
		if left = left[1:]; len(left) == 0 {
			return i + 1, 0
		}
	}
	return len(keys), len(left)
}
