package metrics

import (
	"math/bits"
	"unsafe"

	"github.com/zlpr/zlpr"
)

// binKeys are the labelled keys of the scores of some rows, class by class, until they are
// counted: where a later row may be at fault, when it is known that none is.
type binKeys struct {
	cols   int
	rows   int
	height int       // the rows that there is room for: no power of two, for rows are written
	key    []uint32  // of class j from j·height on
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
	return binKeys{cols: cols, rest: make([]uint64, cols), full: make([]bool, (cols+63)/64)}
}

// isFull tells whether so many rows more are too many.
func (k *binKeys) isFull(rows int) bool {
	return k.rows > 0 && (k.rows+rows)*k.cols > mostKeys
}

// column are the keys of class j.
func (k *binKeys) column(j int) []uint32 { return k.key[j*k.height:][:k.rows] }

// reserve makes room for so many rows more.
func (k *binKeys) reserve(rows int) {
	need := k.rows + rows
	if need <= k.height {
		return
	}
	need = max(need, min(2*need, mostKeys/max(1, k.cols)))
	old := *k
	k.height = ((need+15)/16 | 1) * 16
	k.key = make([]uint32, k.cols*k.height)
	for j := range k.cols {
		copy(k.key[j*k.height:], old.column(j))
	}
}

// addKeys takes in every step-th row of a chunk, from one on.
func addKeys[T zlpr.Float](k *binKeys, c *chunk[T], from, step int) {
	if from >= c.rows {
		return
	}
	rows := (c.rows - from + step - 1) / step
	k.reserve(rows)
	for i := range k.full {
		j0 := 64 * i
		columns := k.key[j0*k.height+k.rows:]
		for r := from; r < c.rows; r += step {
			x := c.scores(r)[j0:min(k.cols, j0+64)]
			keysOf(columns, k.height, x, c.row(c.positive, r)[i])
			for out := ^c.row(c.part, r)[i] & c.full[i]; out != 0; out &= out - 1 {
				columns[bits.TrailingZeros64(out)*k.height] = absent
			}
			columns = columns[1:]
		}
		if !k.full[i] {
			restOf(k, c, i, from, step)
		}
	}
	k.rows += rows
	if weights := c.batch.RowWeights; weights != nil {
		for r := from; r < c.rows; r += step {
			k.weight = append(k.weight, weights[c.r0+r])
		}
	}
}

// labelled makes a labelled key of the place of a score, as represent returns it.
func labelled(place uint64, label uint32) uint32 {
	return uint32(place>>33) | label<<31
}

// keysOf computes the labelled keys of at most 64 scores with the labels y, each height
// after the one before.
func keysOf[T zlpr.Float](dst []uint32, height int, x []T, y uint64) {
	at := 0
	if unsafe.Sizeof(*new(T)) == 8 {
		for _, s := range x {
			place, _ := represent(s)
			dst[at] = labelled(place, uint32(y))
			at += height
			y >>= 1
		}
		return
	}
	for _, b := range unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(x))), len(x)) {
		if b == 0 { // the same, with the place of +0 that of -0
			b = 1 << 31
		}
		b ^= uint32(int32(b)>>31) | 1<<31
		dst[at] = b>>1 | uint32(y)<<31
		at += height
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

// clear takes the keys out.
func (k *binKeys) clear() { k.rows, k.weight = 0, k.weight[:0] }
