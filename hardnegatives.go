package zlpr

import (
	"math"
	"math/bits"

	"github.com/zlpr/zlpr/internal/kernel"
)

// A topScratch holds the scores among which the highest are looked for.
type topScratch struct{ keys, work []uint64 }

// hardNegatives leaves of the negatives of every row those that
// Options.TopNegatives and TopScores keep.
func (w *lossWorker[T]) hardNegatives() {
	c, o := &w.chunk, &w.e.opts
	c.Full = false
	for i := range c.Rows {
		pos, neg := c.Sides(i)
		if o.TopScores > 0 {
			w.top.keep(neg, pos, o.TopScores, func(k int) float64 { return float64(c.X[i*c.Stride+k]) })
		}
		if o.TopNegatives > 0 {
			w.top.keep(neg, nil, o.TopNegatives, func(k int) float64 { return float64(c.X[i*c.Stride+k]) })
		}
	}
}

// keep clears the bits of set that are not among the m highest scores of set and
// other. Equal scores: lowest index first.
func (t *topScratch) keep(set, other []uint64, m int, score func(k int) float64) {
	total := kernel.CountBits(set) + kernel.CountBits(other)
	if total <= m {
		return
	}
	t.keys = t.keys[:0]
	each := func(f func(k int, word int, bit uint64)) {
		for i, v := range set {
			if other != nil {
				v |= other[i]
			}
			for ; v != 0; v &= v - 1 {
				f(64*i+bits.TrailingZeros64(v), i, v&-v)
			}
		}
	}
	each(func(k, _ int, _ uint64) { t.keys = append(t.keys, orderKey(score(k))) })
	t.work = append(t.work[:0], t.keys...)
	limit := nthHighest(t.work, m)
	equal := m // of those with the limit's score, so many are kept
	for _, key := range t.keys {
		if key > limit {
			equal--
		}
	}
	at := 0
	each(func(_, word int, bit uint64) {
		key := t.keys[at]
		at++
		if key > limit {
			return
		}
		if key == limit && equal > 0 {
			equal--
			return
		}
		set[word] &^= bit
	})
}

// orderKey maps scores to integers in the same order: -0 like +0, NaN highest.
func orderKey(x float64) uint64 {
	if x != x {
		return math.MaxUint64
	}
	b := math.Float64bits(x + 0) // -0 becomes +0
	if b>>63 != 0 {
		return ^b
	}
	return b | 1<<63
}

// nthHighest returns the m-th highest of x, which it reorders.
func nthHighest(x []uint64, m int) uint64 {
	for len(x) > 1 {
		// Partition in three around the median of three.
		a, b, c := x[0], x[len(x)/2], x[len(x)-1]
		pivot := max(min(a, b), min(max(a, b), c))
		above, i, end := 0, 0, len(x) // [0, above) > pivot, [above, i) = pivot, [end, …) < pivot
		for i < end {
			switch {
			case x[i] > pivot:
				x[i], x[above] = x[above], x[i]
				above++
				i++
			case x[i] < pivot:
				end--
				x[i], x[end] = x[end], x[i]
			default:
				i++
			}
		}
		switch {
		case m <= above:
			x = x[:above]
		case m <= end:
			return pivot
		default:
			x, m = x[end:], m-end
		}
	}
	return x[0]
}
