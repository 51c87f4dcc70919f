package zlpr

import (
	"math"
	"math/bits"

	"github.com/zlpr/zlpr/internal/kernel"
)

// A topScratch is memory of the search for the highest scores.
type topScratch[T Float] struct {
	keys, work          []uint64
	narrow              narrowing[T]
	limits              [limitsLen]T
	above, under, trial []uint64
	padded              [64]T
}

// hardNegatives leaves of the negatives of every row those that
// Options.TopNegatives and TopScores keep.
func (w *lossWorker[T]) hardNegatives() {
	c, o := &w.chunk, &w.e.opts
	c.Full = false
	for i := range c.Rows {
		pos, neg := c.Sides(i)
		if o.TopScores > 0 {
			w.top.keep(neg, pos, o.TopScores, c.Row(i))
		}
		if o.TopNegatives > 0 {
			w.top.keep(neg, nil, o.TopNegatives, c.Row(i))
		}
	}
}

// keep clears the bits of set that are not among the m highest scores of set and
// other. Equal scores: lowest index first.
//
// The scores that may be the m-th highest, or next to it, are narrowed down first.
func (t *topScratch[T]) keep(set, other []uint64, m int, scores []T) {
	total := kernel.CountBits(set) + kernel.CountBits(other)
	if total <= m {
		return
	}
	if total <= few {
		keepOfFew(set, other, m, scores)
		return
	}
	t.under, t.above = append(t.under[:0], set...), kernel.Resize(t.above, len(set))
	for i, v := range other {
		t.under[i] |= v
	}
	clear(t.above)
	rank := m // of the m-th highest among those that are under above
	if len(scores) >= narrowFrom {
		rank = t.narrowDown(m, total, scores)
	}
	// Those of under are kept or not by comparison, one by one; those of above are.
	t.keys = t.keys[:0]
	for i, v := range t.under {
		for ; v != 0; v &= v - 1 {
			t.keys = append(t.keys, orderKey(float64(scores[64*i+bits.TrailingZeros64(v)])))
		}
	}
	t.work = append(t.work[:0], t.keys...)
	limit := nthHighest(t.work, rank)
	equal := rank // of those with the limit's score, so many are kept
	for _, key := range t.keys {
		if key > limit {
			equal--
		}
	}
	at := 0
	for i, v := range t.under {
		kept := t.above[i]
		for ; v != 0; v &= v - 1 {
			key := t.keys[at]
			at++
			if key == limit && equal > 0 {
				equal--
				kept |= v & -v
			} else if key > limit {
				kept |= v & -v
			}
		}
		set[i] &= kept
	}
}

// orderKey maps scores to integers in the same order: -0 like +0, NaN highest.
func orderKey(x float64) uint64 {
	if x != x {
		return math.MaxUint64
	}
	b := math.Float64bits(x + 0) // -0 becomes +0
	return b ^ (uint64(int64(b)>>63) | 1<<63)
}

// few is the number of scores up to which comparing each with each, without jumps, is
// quicker than a search.
const few = 48

// keepOfFew is keep for a few scores.
func keepOfFew[T Float](set, other []uint64, m int, scores []T) {
	var keys, rank [few]uint64 // rank: how many scores come before
	n := 0
	for i, v := range set {
		if other != nil {
			v |= other[i]
		}
		for ; v != 0; v &= v - 1 {
			keys[n] = orderKey(float64(scores[64*i+bits.TrailingZeros64(v)]))
			n++
		}
	}
	for j := 1; j < n; j++ {
		last, before := keys[j], uint64(j)
		for i, key := range keys[:j] {
			_, below := bits.Sub64(key, last, 0)
			rank[i] += below
			before -= below
		}
		rank[j] = before
	}
	n = 0
	for i, v := range set {
		if other != nil {
			v |= other[i]
		}
		kept := uint64(0)
		for ; v != 0; v &= v - 1 {
			_, keep := bits.Sub64(rank[n], uint64(m), 0)
			kept |= v & -v & -keep
			n++
		}
		set[i] &= kept
	}
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

const (
	narrowFrom  = 64 // the length of a row from which on narrowing down is quicker
	narrowTo    = 24 // the number of scores that are compared one by one
	narrowTurns = 4
	limitsLen   = 512
	mostSamples = 32
)

// A narrowing is the scores of a sample, the highest first.
type narrowing[T Float] struct {
	sample [mostSamples]T
	n      int
}

// narrowDown takes scores of under that are above the m-th highest to t.above, and leaves
// out of under those that are below it, as far as some limits tell. It returns the rank in
// under of what is the m-th highest.
func (t *topScratch[T]) narrowDown(m, total int, scores []T) (rank int) {
	rank, left := m, total
	t.trial = kernel.Resize(t.trial, len(t.under))
	for range narrowTurns {
		if left <= narrowTo {
			break
		}
		t.narrow.take(t.under, scores)
		n := t.narrow.n
		// The m-th highest is at about that place in the sample, give or take.
		place, margin := rank*n/left, 2+n/10
		before := left
		for _, k := range [2]int{max(0, place-margin), min(n-1, place+margin)} {
			above, numbers := t.count(scores, t.narrow.sample[k])
			switch {
			case !numbers:
				return rank // NaN is the highest
			case above < rank:
				for i, v := range t.trial {
					t.above[i] |= v
					t.under[i] &^= v
				}
				rank -= above
				left -= above
			default:
				copy(t.under, t.trial)
				left = above
			}
		}
		if left == before {
			break
		}
	}
	return rank
}

// take samples the scores of set.
func (s *narrowing[T]) take(set []uint64, scores []T) {
	s.n = 0
	step := max(1, 2*len(set)/mostSamples)
	each := max(1, mostSamples*step/len(set))
	for i := 0; i < len(set) && s.n < mostSamples; i += step {
		v := set[i]
		for k := 0; k < each && v != 0 && s.n < mostSamples; k++ {
			j := bits.TrailingZeros64(v)
			if k%2 != 0 {
				j = 63 - bits.LeadingZeros64(v)
			}
			v &^= 1 << j
			x := scores[64*i+j]
			at := s.n
			for ; at > 0 && s.sample[at-1] < x; at-- {
				s.sample[at] = s.sample[at-1]
			}
			s.sample[at] = x
			s.n++
		}
	}
}

// count sets trial to the scores of under above a limit and returns their number, or
// reports that there is a NaN among all scores.
func (t *topScratch[T]) count(scores []T, limit T) (n int, numbers bool) {
	t.limits[0] = limit
	limits := t.limits[:min(limitsLen, 64*kernel.BitWords(len(scores)))]
	for k := 1; k < len(limits); k *= 2 {
		copy(limits[k:], limits[:k])
	}
	numbers = true
	for from := 0; from < len(scores); from += limitsLen {
		part := scores[from:min(len(scores), from+limitsLen)]
		out := t.trial[from/64:]
		words := len(part) / 64
		if words > 0 {
			numbers = kernel.Above(out[:words], part[:64*words], limits[:64*words]) && numbers
		}
		if rest := part[64*words:]; len(rest) > 0 {
			clear(t.padded[:])
			copy(t.padded[:], rest)
			numbers = kernel.Above(out[words:words+1], t.padded[:], limits[:64]) && numbers
		}
	}
	for i, v := range t.under {
		t.trial[i] &= v
		n += bits.OnesCount64(t.trial[i])
	}
	return n, numbers
}
