package kernel

import (
	"encoding/binary"
	"math/bits"
)

// BitWords is the number of words of a row of n bits.
func BitWords(n int) int { return n/64 + (n%64+63)/64 } // n+63 may overflow

// PackRows is PackBytes: where a kernel takes whole registers of bytes, short rows that follow one
// another are packed as one row, whose bits go to words of their own.
func PackRows(dst []uint64, src []uint8, stride, rows, n int) bool {
	const most = 64 // words at a time
	if Active == AVX512 || stride != n || n == 0 || n > 32 {
		return PackBytes(dst, src, stride, rows, n)
	}
	var bits [most + 1]uint64
	good := true
	for rows > 0 {
		some := min(rows, 64*most/n)
		good = PackBytes(bits[:], src, 0, 1, some*n) && good
		at := 0
		for i := range dst[:some] {
			low := bits[at/64] >> (at % 64)
			dst[i] = (low | bits[at/64+1]<<1<<(63-at%64)) & (1<<n - 1)
			at += n
		}
		dst, src, rows = dst[some:], src[some*n:], rows-some
	}
	return good
}

// packBytesGeneric writes the lowest bits of rows of n bytes as bits, of every row
// from byte from on, a multiple of 64, and reports whether those bytes are 0 or 1.
func packBytesGeneric(dst []uint64, src []uint8, stride, rows, n, from int) bool {
	var bad uint64
	for i := range rows {
		row := src[i*stride:][from:n]
		dst = dst[from/64:]
		for len(row) > 0 {
			var word uint64
			for k := 0; k < 64 && len(row) > 0; k += 8 {
				var v uint64
				if len(row) >= 8 {
					v = binary.LittleEndian.Uint64(row)
					row = row[8:]
				} else {
					for j, b := range row {
						v |= uint64(b) << (8 * j)
					}
					row = nil
				}
				bad |= v &^ ones
				// Byte i, at bit 8i, times 2^(7·(8-i)) is bit i of the top byte.
				word |= (v & ones * 0x0102040810204080) >> 56 << k
			}
			dst[0], dst = word, dst[1:]
		}
	}
	return bad == 0
}

// packWords32Generic writes which of rows of n elements have the bits one, from
// element from on, a multiple of 8: the bits before stay. It reports whether all
// those elements have the bits one, or none but those of zero.
func packWords32Generic(dst []uint64, src []float32, stride, rows, n int, one, zero uint64, from int) bool {
	return packWords(dst, Cast[uint32](src), stride, rows, n, uint32(one), uint32(zero), from)
}

// packWords64Generic is packWords32Generic for elements of 64 bits.
func packWords64Generic(dst []uint64, src []float64, stride, rows, n int, one, zero uint64, from int) bool {
	return packWords(dst, Cast[uint64](src), stride, rows, n, one, zero, from)
}

func packWords[U uint32 | uint64](dst []uint64, src []U, stride, rows, n int, one, zero U, from int) bool {
	var bad U
	words := BitWords(n)
	for i := range rows {
		out, at := dst[i*words:][:words], from/64
		word := uint64(0)
		if from%64 != 0 {
			word = out[at] & (1<<(from%64) - 1)
		}
		row := src[i*stride:][:n]
		for j := from; j < n; j++ {
			v := row[j]
			if v == one {
				word |= 1 << (j % 64)
			} else {
				bad |= v &^ zero
			}
			if j%64 == 63 || j == n-1 {
				out[at], word = word, 0
				at++
			}
		}
	}
	return bad == 0
}

// ones is 1 in every byte.
const ones = 0x0101010101010101

// LastWord has the bits of the last word of a row of n > 0 bits.
func LastWord(n int) uint64 { return ^uint64(0) >> (-n & 63) }

// SetBits sets bits from to to-1.
func SetBits(dst []uint64, from, to int) {
	for from < to {
		n := min(64-from&63, to-from)
		dst[from>>6] |= (1<<n - 1) << (from & 63)
		from += n
	}
}

func CountBits(x []uint64) int {
	n := 0
	for _, v := range x {
		n += bits.OnesCount64(v)
	}
	return n
}
