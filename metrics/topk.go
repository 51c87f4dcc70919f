package metrics

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/zlpr/zlpr"
)

// ranked is a class with its score.
type ranked[T zlpr.Float] struct {
	score T
	class int
}

// selection finds the highest scores of a row.
type selection[T zlpr.Float] struct{ buf []ranked[T] }

// fewRanked is the largest k for which the k highest are kept in order.
const fewRanked = 16

// top returns the k highest of the scores that take part, the highest first;
// of equal scores the one of the lowest index comes first. The result is
// valid until the next call.
func (s *selection[T]) top(x []T, part []uint64, k int) []ranked[T] {
	k = min(k, len(x))
	if room := max(2*k, 32); cap(s.buf) < room {
		s.buf = make([]ranked[T], 0, room)
	}
	if k <= fewRanked {
		return s.insert(x, part, k)
	}
	buf := s.buf[:0]
	// The buffer takes what may belong to the k highest; when it holds twice
	// as many, it is cut to the k highest of them. Only a score above the
	// lowest of these can come in after: an equal one has a higher index.
	var cut T
	cutting := false
	for i, word := range part {
		for ; word != 0; word &= word - 1 {
			j := i*64 + bits.TrailingZeros64(word)
			if cutting && !(x[j] > cut) {
				continue
			}
			buf = append(buf, ranked[T]{x[j], j})
			if len(buf) == 2*k {
				sortRanked(buf)
				buf, cut, cutting = buf[:k], buf[k-1].score, true
			}
		}
	}
	sortRanked(buf)
	return buf[:min(k, len(buf))]
}

// insert does the same, with the highest so far always in order.
func (s *selection[T]) insert(x []T, part []uint64, k int) []ranked[T] {
	best := s.buf[:0]
	for i, word := range part {
		for ; word != 0; word &= word - 1 {
			j := i*64 + bits.TrailingZeros64(word)
			score := x[j]
			at := len(best)
			if at < k {
				best = best[:at+1]
			} else if at--; !(score > best[at].score) {
				continue
			}
			for ; at > 0 && score > best[at-1].score; at-- {
				best[at] = best[at-1]
			}
			best[at] = ranked[T]{score, j}
		}
	}
	return best
}

// sortRanked sorts by falling score, then by class.
func sortRanked[T zlpr.Float](r []ranked[T]) {
	slices.SortFunc(r, func(a, b ranked[T]) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return cmp.Compare(a.class, b.class)
	})
}
