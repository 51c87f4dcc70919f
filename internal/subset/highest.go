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

// highestOf returns the maximum of sign·x, NaN if one is, for a row that is not empty.
func highestOf[T kernel.Float](x []T, sign float64) float64 {
	if sign > 0 {
		var top [1]T
		kernel.Maximum(top[:], x, len(x), 1, len(x))
		return float64(top[0])
	}
	lowest := math.Inf(1)
	for _, v := range x {
		if y := float64(v); y < lowest || y != y {
			lowest = y
		}
	}
	return -lowest
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
