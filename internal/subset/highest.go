package subset

import (
	"cmp"
	"math"
	"slices"

	"github.com/zlpr/zlpr/internal/kernel"
)

// Bits returns the classes of a subset of n as bits, until the next call. It
// reports false where one is out of range or occurs twice.
func (c *Core) Bits(subset []int, n int) (bits []uint64, ok bool) {
	c.given = grow(c.given, kernel.BitWords(n))
	clear(c.given)
	for _, i := range subset {
		if i < 0 || i >= n || isSet(c.given, i) {
			return nil, false
		}
		c.given[i>>6] |= 1 << (i & 63)
	}
	return c.given, true
}

// highestOf returns the maximum of sign·x, -Inf for none. It may leave out NaN.
func highestOf[T kernel.Float](c *Core, x []T, sign float64) float64 {
	if len(x) > shortRow {
		return longHighest(&c.whole, x, sign)
	}
	highest := math.Inf(-1)
	for _, v := range x {
		if y := sign * float64(v); y > highest {
			highest = y
		}
	}
	return highest
}

const (
	shortRow   = 64
	wholeBlock = 4096 // classes that the kernel takes at a time
)

// A wholeRow has the operands with which kernel.SideMax takes all classes of a
// block: bits, and weights 1.
type wholeRow struct {
	all, none [wholeBlock / 64]uint64
	unit32    []float32
	unit64    []float64
}

// longHighest is highestOf by the kernel.
func longHighest[T kernel.Float](w *wholeRow, x []T, sign float64) float64 {
	block := min(len(x), wholeBlock)
	r := kernel.SideRows[T]{Rows: 1, Gamma: kernel.GammaPair[T](1)}
	if kernel.IsFloat32[T]() {
		w.unit32 = unitWeights(w.unit32, block)
		r.Weights = kernel.Cast[T](w.unit32)
	} else {
		w.unit64 = unitWeights(w.unit64, block)
		r.Weights = kernel.Cast[T](w.unit64)
	}
	highest := math.Inf(-1)
	for len(x) > 0 {
		r.X, x = x[:min(len(x), block)], x[min(len(x), block):]
		r.N = len(r.X)
		r.Stride, r.Words = r.N, kernel.BitWords(r.N)
		clear(w.all[:r.Words])
		kernel.SetBits(w.all[:], 0, r.N)
		side := 0 // of the negatives, whose y is x
		r.Neg, r.Pos = w.all[:r.Words], w.none[:r.Words]
		if sign < 0 {
			side, r.Neg, r.Pos = 1, r.Pos, r.Neg
		}
		var top [1]kernel.SideTop[T]
		kernel.SideMax(top[:], &r)
		highest = max(highest, float64(top[0].Score[side]))
	}
	return highest
}

// unitWeights returns the weights of at least n classes, all 1: the m of a
// virtual vector are 1 and the e are 0.
func unitWeights[T kernel.Float](w []T, n int) []T {
	if need := kernel.WeightsLen[T](n); len(w) < need {
		w = make([]T, need)
		for j := range need / 2 {
			w[kernel.WeightPlace[T](j)] = 1
		}
	}
	return w
}

// Highest fills dst with the classes of the highest scores, the highest first,
// ties by the lowest index. NaN counts as -Inf.
func Highest[T kernel.Float](c *Core, dst []int, x []T) {
	k := len(dst)
	if k == 0 {
		return
	}
	c.sorted = grow(c.sorted, len(x))
	for i, v := range x {
		c.sorted[i] = notNaN(v)
	}
	cut := kthHighest(c.sorted, k)
	// All above the cut, and the first ones at it.
	n := 0
	for i, v := range x {
		if notNaN(v) > cut {
			dst[n] = i
			n++
		}
	}
	for i, v := range x {
		if n == k {
			break
		}
		if notNaN(v) == cut {
			dst[n] = i
			n++
		}
	}
	slices.SortStableFunc(dst, func(i, j int) int {
		return cmp.Or(cmp.Compare(notNaN(x[j]), notNaN(x[i])), i-j)
	})
}

// notNaN returns a score, -Inf in place of NaN.
func notNaN[T kernel.Float](s T) float64 {
	if s != s {
		return math.Inf(-1)
	}
	return float64(s)
}
