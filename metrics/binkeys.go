package metrics

import (
	"math"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/kernel"
)

// binKeys are the labelled keys of the scores of some rows, row by row, until they are
// counted: where a later row may be at fault, when it is known that none is.
type binKeys struct {
	cols   int
	width  int       // from one row to the next: no power of two, for columns are read
	key    []uint32  // of a row from a multiple of width on
	weight []float64 // of the rows, if they have weights

	// Of every class the bits that are set, of those beyond the leading ones, in the
	// representation of a score, and whether a group of 64 classes has them all.
	rest []uint64
	full []bool
}

// mostKeys is the number of keys above which they are counted, if there is a row.
const mostKeys = 1 << 20

// newBinKeys returns the keys of no rows.
func newBinKeys(cols int) binKeys {
	k := binKeys{cols: cols, width: (cols+15)&^15 + 16}
	k.rest, k.full = make([]uint64, cols), make([]bool, (cols+63)/64)
	return k
}

// isFull tells whether so many rows more are too many.
func (k *binKeys) isFull(rows int) bool {
	return len(k.key) > 0 && len(k.key)+rows*k.width > mostKeys
}

// addKeys takes in every step-th row of a chunk, from one on.
func addKeys[T zlpr.Float](k *binKeys, c *chunk[T], from, step int) {
	rows := (c.rows - from + step - 1) / step
	at := len(k.key)
	k.key = slices.Grow(k.key, rows*k.width)[:at+rows*k.width]
	for r := from; r < c.rows; r += step {
		row := k.key[at:][:k.width]
		at += k.width
		positive, part, x := c.row(c.positive, r), c.row(c.part, r), c.scores(r)
		for i, y := range positive {
			keysOf(row[64*i:], x[64*i:min(len(x), 64*i+64)], y)
			for out := ^part[i] & c.full[i]; out != 0; out &= out - 1 {
				row[64*i+bits.TrailingZeros64(out)] = absent
			}
		}
		if c.batch.RowWeights != nil {
			k.weight = append(k.weight, c.batch.RowWeights[c.r0+r])
		}
	}
	for i := range k.full {
		if !k.full[i] {
			restOf(k, c, i, from, step)
		}
	}
}

// labelled makes a labelled key of the place of a score, as represent returns it.
func labelled(place uint64, label uint32) uint32 {
	return uint32(place>>33)&^(1<<(31-keyBits)-1) | label<<31
}

// keysOf computes the labelled keys of at most 64 scores with the labels y.
func keysOf[T zlpr.Float](dst []uint32, x []T, y uint64) {
	dst = dst[:len(x)]
	if unsafe.Sizeof(*new(T)) == 8 {
		for j, s := range x {
			place, _ := represent(s)
			dst[j] = labelled(place, uint32(y&1))
			y >>= 1
		}
		return
	}
	for j, s := range kernel.As32(x) { // the same, with the place of +0 that of -0
		b := math.Float32bits(s)
		if b == 0 {
			b = 1 << 31
		}
		b ^= uint32(int32(b)>>31) | 1<<31
		dst[j] = b>>1&^(1<<(31-keyBits)-1) | uint32(y&1)<<31
		y >>= 1
	}
}

// restOf notes the bits that are set in scores of group i of the classes.
func restOf[T zlpr.Float](k *binKeys, c *chunk[T], i, from, step int) {
	rest := k.rest[64*i : min(k.cols, 64*i+64)]
	for r := from; r < c.rows; r += step {
		part, x := c.row(c.part, r)[i], c.scores(r)[64*i:]
		if part != c.full[i] {
			for ; part != 0; part &= part - 1 {
				j := bits.TrailingZeros64(part)
				_, b := represent(x[j])
				rest[j] |= b
			}
			continue
		}
		for j, s := range x[:len(rest)] {
			_, b := represent(s)
			rest[j] |= b
		}
	}
	size := 8 * scoreSize[T]()
	all := ^uint64(0) << (64 - size) << leastBinBits
	for _, b := range rest {
		all &= b << leastBinBits
	}
	k.full[i] = all == ^uint64(0)<<(64-size)<<leastBinBits
}

// count counts the keys of classes j0 to j1-1 in their bins, and in bins of all classes
// together. The keys stay.
func (k *binKeys) count(to *binned, micro *bins, s *binScratch) {
	if len(k.key) == 0 {
		return
	}
	for j := range to.class {
		to.class[j].Rest |= k.rest[j] << to.class[j].Bits
		k.countIn(&to.class[j], j, s)
	}
	for _, rest := range k.rest {
		micro.Rest |= rest << micro.Bits
	}
	if len(k.weight) > 0 {
		for j := range k.cols {
			k.countIn(micro, j, s)
		}
		return
	}
	for at := 0; at < len(k.key); at += k.width {
		micro.count(k.key[at:][:k.cols], 1, s)
	}
}

// countIn counts the keys of column j.
func (k *binKeys) countIn(b *bins, j int, s *binScratch) {
	column := k.key[j : len(k.key)-k.width+j+1]
	if len(k.weight) == 0 {
		b.count(column, k.width, s)
		return
	}
	w := b.weights()
	for r, weight := range k.weight {
		if key := column[r*k.width]; key != absent {
			w.pending = append(w.pending, weighedKey{b.key(key)<<1 | key>>31, weight})
		}
	}
	b.settle(s)
}

// clear takes the keys out.
func (k *binKeys) clear() { k.key, k.weight = k.key[:0], k.weight[:0] }
