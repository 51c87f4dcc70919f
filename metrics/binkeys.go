package metrics

import (
	"math/bits"
	"unsafe"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/kernel"
)

// A key has the leading 32 bits of the representation of a score, +0 being -0: it stands
// for the place of the score in the order of scores, of which bins have the leading bits,
// and takes fewer instructions to make.

// placeOf is the place of a key, rising with the scores.
func placeOf(key uint32) uint32 { return key ^ (uint32(int32(key)>>31) | 1<<31) }

// keyOf is the key of a place.
func keyOf(place uint32) uint32 { return place ^ (uint32(^int32(place)>>31) | 1<<31) }

// labelled has the label of a score at bit 31 and below it the leading bits of its key.
func labelled(key, label uint32) uint32 { return key>>1 | label<<31 }

// binKeys are the keys of the scores of some rows, class by class, until they are
// counted: where a later row may be at fault, when it is known that none is.
type binKeys struct {
	cols     int
	rows     int
	height   int       // the rows that there is room for: no power of two, for rows are written
	key      []uint32  // of class j from j·height on
	weight   []float64 // of the rows, if they have weights
	positive bitColumns
	part     bitColumns // of the elements that take part, if gaps says that some do not
	gaps     bool
}

// mostKeys is the number of keys above which they are counted, if there is a row.
const mostKeys = 1 << 20

// isFull tells whether so many rows more are too many.
func (k *binKeys) isFull(rows int) bool {
	return k.rows > 0 && (k.rows+rows)*k.cols > mostKeys
}

// A keyColumn is what the rows of binKeys have of a class.
type keyColumn struct {
	key            []uint32
	positive, part []uint64 // bits by row; part is nil if all take part
	weight         []float64
}

func (k *binKeys) column(j int) keyColumn {
	c := keyColumn{key: k.key[j*k.height:][:k.rows], positive: k.positive.column(j, k.rows), weight: k.weight}
	if k.gaps {
		c.part = k.part.column(j, k.rows)
	}
	return c
}

// has tells whether an element takes part.
func (c *keyColumn) has(r int) bool { return c.part == nil || c.part[r/64]>>(r%64)&1 != 0 }

// label is 1 for a positive, else 0.
func (c *keyColumn) label(r int) uint32 { return uint32(c.positive[r/64]>>(r%64)) & 1 }

// size is the number of keys that take part.
func (c *keyColumn) size() int {
	if c.part != nil {
		return ones(c.part)
	}
	return len(c.key)
}

// reserve makes room for so many rows more.
func (k *binKeys) reserve(rows int) {
	need := k.rows + rows
	if need <= k.height {
		return
	}
	need = max(need, min(2*k.height, mostKeys/max(1, k.cols)))
	old := *k
	k.height = ((need+15)/16 | 1) * 16
	k.key = make([]uint32, k.cols*k.height)
	for j := range k.cols {
		copy(k.key[j*k.height:], old.key[j*old.height:][:k.rows])
	}
	k.positive.reserve(k.cols, k.height)
	if k.gaps {
		k.part.reserve(k.cols, k.height)
	}
}

// addKeys takes in every step-th row of a chunk, from one on.
func addKeys[T zlpr.Float](k *binKeys, c *chunk[T], from, step int) {
	if from >= c.rows {
		return
	}
	rows := (c.rows - from + step - 1) / step
	k.reserve(rows)
	whole := wholeKeys(k, c, from, step, rows)
	for j0 := 0; j0 < k.cols; j0 += 64 {
		columns := k.key[j0*k.height+k.rows+whole:]
		x := func(r int) []T { return c.scores(r)[j0:min(k.cols, j0+64)] }
		r := from + whole*step
		for ; r+3*step < c.rows; r += 4 * step {
			fourKeys(columns, k.height, x(r), x(r+step), x(r+2*step), x(r+3*step))
			columns = columns[4:]
		}
		for ; r < c.rows; r += step {
			for j, s := range x(r) {
				columns[j*k.height] = keyOfScore(s)
			}
			columns = columns[1:]
		}
	}
	for r := from; r < c.rows; r += step {
		k.addBits(c.row(c.positive, r), c.row(c.part, r), c.full)
		if weights := c.batch.RowWeights; weights != nil {
			k.weight = append(k.weight, weights[c.r0+r])
		}
	}
}

// wholeKeys makes the keys of the first rows that addKeys takes in, eight rows and columns at
// a time, and returns how many rows these are. The last columns end with the classes: some
// are made twice.
func wholeKeys[T zlpr.Float](k *binKeys, c *chunk[T], from, step, rows int) int {
	const side = 8
	whole := rows &^ (side - 1)
	if !kernel.IsFloat32[T]() || k.cols < side || whole == 0 {
		return 0
	}
	x := kernel.As32(c.x[from*c.stride:])
	for j := 0; j < k.cols; j += side {
		j := min(j, k.cols-side)
		kernel.KeyColumns(k.key[j*k.height+k.rows:], k.height, x[j:], step*c.stride, whole)
	}
	return whole
}

// addBits takes in the bits of the next row; full are those of a row of which all takes
// part.
func (k *binKeys) addBits(positive, part, full []uint64) {
	k.positive.add(positive, k.rows)
	if !k.gaps {
		for i, w := range part {
			k.gaps = k.gaps || w != full[i]
		}
		if k.gaps {
			k.part.reserve(k.cols, k.height)
			k.part.fill()
		}
	}
	if k.gaps {
		k.part.add(part, k.rows)
	}
	k.rows++
}

// end makes the columns of bits complete, after which no row is taken in.
func (k *binKeys) end() {
	k.positive.end(k.rows)
	if k.gaps {
		k.part.end(k.rows)
	}
}

// clear takes the keys out.
func (k *binKeys) clear() { k.rows, k.weight, k.gaps = 0, k.weight[:0], false }

// keyOfScore is the key of a score.
func keyOfScore[T zlpr.Float](s T) uint32 {
	place, _ := represent(s)
	return keyOf(uint32(place >> 32))
}

// fourKeys computes the keys of at most 64 scores of four rows, those of a class side by
// side and height after those of the class before.
func fourKeys[T zlpr.Float](dst []uint32, height int, x0, x1, x2, x3 []T) {
	if kernel.IsFloat32[T]() {
		kernel.FourKeys(dst, height, kernel.As32(x0), kernel.As32(x1), kernel.As32(x2), kernel.As32(x3))
		return
	}
	n := len(x0)
	at := 0
	y0, y1, y2, y3 := bitsOf[uint64](x0), bitsOf[uint64](x1)[:n], bitsOf[uint64](x2)[:n], bitsOf[uint64](x3)[:n]
	for j, a := range y0 {
		b, c, d := y1[j], y2[j], y3[j]
		const negative = 1 << 63
		if a == 0 {
			a = negative
		}
		if b == 0 {
			b = negative
		}
		if c == 0 {
			c = negative
		}
		if d == 0 {
			d = negative
		}
		k := (*[4]uint32)(dst[at:])
		k[0], k[1], k[2], k[3] = uint32(a>>32), uint32(b>>32), uint32(c>>32), uint32(d>>32)
		at += height
	}
}

// bitsOf are the representations of scores, of the same size.
func bitsOf[U uint32 | uint64, T zlpr.Float](x []T) []U {
	return unsafe.Slice((*U)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}

// bitColumns are rows of bits by columns, which 64 rows at a time are turned into.
type bitColumns struct {
	words int      // of a column
	word  []uint64 // of column j from j·words on
	block []uint64 // the last rows, fewer than 64: of columns 64·i and the 63 next from 64·i on
}

// reserve makes room for so many rows.
func (b *bitColumns) reserve(cols, rows int) {
	words := (rows + 63) / 64
	if words <= b.words {
		return
	}
	old := *b
	b.words, b.word = words, make([]uint64, cols*words)
	for j := range cols {
		copy(b.word[j*words:], old.word[j*old.words:][:old.words])
	}
	if b.block == nil {
		b.block = make([]uint64, (cols+63)/64*64)
	}
}

// column are the bits of a column in so many rows.
func (b *bitColumns) column(j, rows int) []uint64 { return b.word[j*b.words:][:(rows+63)/64] }

// add takes in a row, which is the one of that number.
func (b *bitColumns) add(row []uint64, r int) {
	for i, w := range row {
		b.block[64*i+r%64] = w
	}
	if r%64 == 63 {
		b.turn(r / 64)
	}
}

// turn makes word i of all columns of the block.
func (b *bitColumns) turn(i int) {
	cols := len(b.word) / max(1, b.words)
	for j0 := 0; j0 < cols; j0 += 64 {
		square := (*[64]uint64)(b.block[j0:])
		transpose(square)
		for j := j0; j < min(cols, j0+64); j++ {
			b.word[j*b.words+i] = square[j-j0]
		}
	}
}

// end makes the columns of so many rows complete.
func (b *bitColumns) end(rows int) {
	if rows%64 == 0 {
		return
	}
	for j0 := 0; j0 < len(b.block); j0 += 64 {
		clear(b.block[j0+rows%64 : j0+64])
	}
	b.turn(rows / 64)
}

// fill sets all bits.
func (b *bitColumns) fill() {
	for i := range b.word {
		b.word[i] = ^uint64(0)
	}
	for i := range b.block {
		b.block[i] = ^uint64(0)
	}
}

// transpose has bit j of word i be bit i of word j.
func transpose(square *[64]uint64) {
	for j, mask := 32, uint64(1<<32-1); j > 0; j, mask = j/2, mask^mask<<(j/2) {
		for k := 0; k < 64; k = (k + j + 1) &^ j {
			low, high := &square[k&63], &square[(k+j)&63]
			t := (*low>>j ^ *high) & mask
			*low ^= t << j
			*high ^= t
		}
	}
}

// restBits are of every class the bits that are set, of those beyond the leading ones, in
// the representation of a score, and whether a group of 64 classes has them all.
type restBits struct {
	rest []uint64
	full []bool
}

func newRestBits(cols int) restBits {
	return restBits{make([]uint64, cols), make([]bool, (cols+63)/64)}
}

// addRest takes in the scores of every step-th row of a chunk, from one on.
func addRest[T zlpr.Float](b *restBits, c *chunk[T], from, step int) {
	for i := range b.full {
		if !b.full[i] {
			restOf(b, c, i, from, step)
		}
	}
}

// restOf notes the bits that are set in scores of group i of the classes.
func restOf[T zlpr.Float](k *restBits, c *chunk[T], i, from, step int) {
	rest := k.rest[64*i : min(len(k.rest), 64*i+64)]
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
