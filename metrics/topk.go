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

// top returns the k highest of the scores that take part, the highest first;
// of equal scores the one of the lowest index comes first. The result is
// valid until the next call.
func (s *selection[T]) top(x []T, part []uint64, k int) []ranked[T] {
	k = min(k, len(x))
	buf := s.buf[:0]
	// The buffer takes what may belong to the k highest; when it holds twice
	// as many, it is cut to the k highest of them. Only a score above the
	// lowest of these can come in after: an equal one has a higher index.
	room := max(2*k, 32)
	var cut T
	cutting := false
	for i, word := range part {
		for ; word != 0; word &= word - 1 {
			j := i*64 + bits.TrailingZeros64(word)
			if cutting && !(x[j] > cut) {
				continue
			}
			buf = append(buf, ranked[T]{x[j], j})
			if len(buf) == room {
				sortRanked(buf)
				buf, cut, cutting = buf[:k], buf[k-1].score, true
			}
		}
	}
	sortRanked(buf)
	s.buf = buf
	return buf[:min(k, len(buf))]
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
