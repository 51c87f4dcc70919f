package metrics

import (
	"math/bits"
	"slices"

	"github.com/zlpr/zlpr"
)

// A topMeasurer computes the measures that look at the k highest scores.
type topMeasurer[T zlpr.Float] struct {
	metrics   []metric
	k         int       // the largest
	inverse   []float64 // propensities
	discounts []float64 // of place i, counted from 0: 1/log2(i+2)
	gains     []float64 // gains[i] = the sum of the first i discounts
	selection selection[T]
	hits      []uint64  // hits[i] = the positives among the first i
	weights   []float64 // of the row's positives, falling
	groups    []group
}

// A group is the classes of one score: places first to last-1 when sorted, and
// the number of positives among them.
type group struct {
	first, last int
	positives   uint64
}

func newTopMeasurer[T zlpr.Float](s *state[T]) topMeasurer[T] {
	t := topMeasurer[T]{metrics: s.kinds.tops, k: min(s.kinds.k, s.classes), inverse: s.inverse}
	t.discounts, t.gains = discounts(t.k)
	t.hits = make([]uint64, t.k+1)
	return t
}

// measure adds the measures of a row, of which something takes part. The
// candidates are the classes that take part and have a score; none of them may
// be left.
func (t *topMeasurer[T]) measure(x []T, positive, candidates []uint64, sums *tally) {
	top := t.selection.top(x, candidates, t.k)
	positives := ones(positive)
	for i, e := range top {
		t.hits[i+1] = t.hits[i] + positive[e.class/64]>>(e.class%64)&1
	}
	if positives > 0 {
		sums.PositiveRows++
		if len(top) == 0 || t.hits[1] == 0 {
			sums.OneErrors++
		}
	}
	t.groups, t.weights = t.groups[:0], t.weights[:0]
	for _, m := range t.metrics {
		k := min(m.k, len(top))
		switch m.kind {
		case precisionAt:
			sums.Sums[m.slot].add(ratio(t.hits[k], uint64(m.k)))
		case recallAt:
			sums.Sums[m.slot].add(ratio(t.hits[k], uint64(positives)))
		case ndcgAt:
			sums.Sums[m.slot].add(t.ndcg(x, top, positive, candidates, m.k, positives))
		case pspAt, psndcgAt:
			got, best := t.weighted(top[:k], positive, m, positives)
			sums.Sums[m.slot].add(got)
			sums.Sums[m.slot+1].add(best)
		}
	}
}

// ndcg is scikit-learn's ndcg_score of a row: Σ_i y(i)·discount(i) over the k
// highest places, over the same sum with the positives first; 0 without a
// positive. Classes of one score share out their gain: each place of the
// group has the group's mean of y.
func (t *topMeasurer[T]) ndcg(x []T, top []ranked[T], positive, candidates []uint64, k, positives int) fixed {
	if positives == 0 || len(top) == 0 {
		return fixed{}
	}
	if len(t.groups) == 0 {
		t.group(x, top, positive, candidates)
	}
	k = min(k, t.k)
	gain := 0.0
	for _, g := range t.groups {
		if g.first >= k {
			break
		}
		mean := float64(g.positives) / float64(g.last-g.first)
		gain += float64(mean * (t.gains[min(g.last, k)] - t.gains[g.first]))
	}
	return toFixed(gain / t.gains[min(k, positives)])
}

// group finds the groups of equal scores that begin within top.
func (t *topMeasurer[T]) group(x []T, top []ranked[T], positive, candidates []uint64) {
	for first, last := 0, 0; first < len(top); first = last {
		for last < len(top) && top[last].score == top[first].score {
			last++
		}
		t.groups = append(t.groups, group{first, last, t.hits[last] - t.hits[first]})
	}
	// The last group may go on below.
	g := &t.groups[len(t.groups)-1]
	g.last, g.positives = g.first, 0
	score := top[g.first].score
	for i, word := range candidates {
		for ; word != 0; word &= word - 1 {
			j := bits.TrailingZeros64(word)
			if x[i*64+j] == score {
				g.last++
				g.positives += positive[i] >> j & 1
			}
		}
	}
}

// weighted returns a propensity-scored measure of a row and the best that it
// could be. With w the inverse propensities and y the labels, at the places i
// of top,
//
//	psp:    Σ_i y(i)·w(i)
//	psndcg: Σ_i y(i)·w(i)·discount(i) / Σ of the min(k, positives) first discounts
//
// The best are those of the positives in the order of falling w.
func (t *topMeasurer[T]) weighted(top []ranked[T], positive []uint64, m metric, positives int) (got, best fixed) {
	if positives == 0 {
		return
	}
	if len(t.weights) == 0 {
		for i, word := range positive {
			for ; word != 0; word &= word - 1 {
				t.weights = append(t.weights, t.inverse[i*64+bits.TrailingZeros64(word)])
			}
		}
		slices.SortFunc(t.weights, func(a, b float64) int {
			switch {
			case a > b:
				return -1
			case a < b:
				return 1
			}
			return 0
		})
	}
	discount := func(i int) float64 { return 1 }
	scale := 1.0
	if m.kind == psndcgAt {
		discount = func(i int) float64 { return t.discounts[i] }
		scale = t.gains[min(m.k, t.k, positives)]
	}
	var sum, most float64
	for i, e := range top {
		if positive[e.class/64]>>(e.class%64)&1 != 0 {
			sum += float64(t.inverse[e.class] * discount(i))
		}
	}
	for i, w := range t.weights[:min(m.k, t.k, positives)] {
		most += float64(w * discount(i))
	}
	return toFixed(sum / scale), toFixed(most / scale)
}
