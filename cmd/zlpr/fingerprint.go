package main

import (
	encoding "encoding/binary"
	"hash/crc32"
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/zlpr/zlpr"
)

// A fingerprint is of the values that an evaluation reads, whatever the format of
// their files, which the workers take while they read. It tells whether two
// evaluations were of the same rows; it is no proof against those who try.
type fingerprint struct{ low, high atomic.Uint64 }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// add adds what stands in a block that begins at that row; what tells scores,
// labels and the like apart. Blocks come in any order, for the sums have none.
func (f *fingerprint) add(row, what int, data []byte) {
	checksum := uint64(crc32.Checksum(data, castagnoli))<<32 | uint64(crc32.ChecksumIEEE(data))
	h := mix(checksum ^ mix(uint64(row)<<3|uint64(what)) + uint64(len(data)))
	f.low.Add(h)
	f.high.Add(mix(^h))
}

// value returns the fingerprint.
func (f *fingerprint) value() [2]uint64 { return [2]uint64{f.low.Load(), f.high.Load()} }

// mix is the finishing step of SplitMix64: every bit depends on all.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// littleEndian returns the bytes of numbers, the lowest of each first.
func littleEndian[T float32 | float64 | uint64](x []T) []byte {
	if len(x) == 0 {
		return nil
	}
	size := encoding.Size(x[0])
	if encoding.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), len(x)*size)
	}
	b, err := encoding.Append(make([]byte, 0, len(x)*size), encoding.LittleEndian, x)
	if err != nil {
		panic(err) // of types that have no size
	}
	return b
}

// fingerprint adds a block of rows from r0 on.
func (w *evalWorker[T]) fingerprint(b *zlpr.Batch[T], r0 int) {
	e := w.e
	add := e.values.add
	add(r0, 0, littleEndian(b.Scores.Data))
	if e.soft != nil {
		add(r0, 1, littleEndian(b.Soft.Data))
	} else {
		add(r0, 1, littleEndian(w.words))
	}
	if b.Mask != nil {
		rows, width := b.Scores.Rows, (b.Scores.Cols+63)/64
		w.maskWords = slices.Grow(w.maskWords[:0], rows*width)[:rows*width]
		if b.Mask.ReadRows(w.maskWords, 0, rows) == nil { // else the evaluation says so
			add(r0, 2, littleEndian(w.maskWords))
		}
	}
	if b.RowWeights != nil {
		add(r0, 3, littleEndian(b.RowWeights))
	}
}
