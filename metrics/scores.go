package metrics

import "github.com/zlpr/zlpr"

// scores keeps the scores that took part: those of the positives and those of
// the negatives, by class or all together. The order within a list means
// nothing.
type scores[T zlpr.Float] struct {
	Lists []list[T] // one per class, or a single one
}

type list[T zlpr.Float] struct{ Pos, Neg []T }

func newScores[T zlpr.Float](classes int, byClass bool) scores[T] {
	if !byClass {
		classes = 1
	}
	return scores[T]{make([]list[T], classes)}
}

// add takes in the rows of a chunk.
func (s *scores[T]) add(c *chunk[T]) {
	m := c.batch.Scores
	// Class by class: the chunk is in the cache, the ends of the lists need
	// not be.
	for j := range m.Cols {
		l := &s.Lists[min(j, len(s.Lists)-1)]
		pos, neg := l.Pos, l.Neg
		i, bit := j/64, uint64(1)<<(j%64)
		for r := range c.rows {
			switch at := r*c.w + i; {
			case c.part[at]&bit == 0:
			case c.positive[at]&bit != 0:
				pos = append(pos, m.Data[(c.r0+r)*m.Stride+j])
			default:
				neg = append(neg, m.Data[(c.r0+r)*m.Stride+j])
			}
		}
		l.Pos, l.Neg = pos, neg
	}
}

// merge adds the scores of o.
func (s *scores[T]) merge(o scores[T]) {
	for i, l := range o.Lists {
		s.Lists[i].Pos = append(s.Lists[i].Pos, l.Pos...)
		s.Lists[i].Neg = append(s.Lists[i].Neg, l.Neg...)
	}
}

// take adds the scores of o, which gives them away.
func (s *scores[T]) take(o scores[T]) {
	for i, l := range o.Lists {
		if own := &s.Lists[i]; own.Pos == nil && own.Neg == nil {
			*own = l
			o.Lists[i] = list[T]{}
		}
	}
	s.merge(o)
	clear(o.Lists)
}

// all returns the scores of all classes as one list, a copy where needed.
func (s *scores[T]) all() list[T] {
	if len(s.Lists) == 1 {
		return s.Lists[0]
	}
	var p, n int
	for _, l := range s.Lists {
		p += len(l.Pos)
		n += len(l.Neg)
	}
	sum := list[T]{make([]T, 0, p), make([]T, 0, n)}
	for _, l := range s.Lists {
		sum.Pos = append(sum.Pos, l.Pos...)
		sum.Neg = append(sum.Neg, l.Neg...)
	}
	return sum
}

// curve goes down through the scores of l, which it sorts, and calls visit for
// every distinct one with the numbers of positives and negatives at it.
func (l list[T]) curve(scratch *[]T, visit func(score T, pos, neg uint64)) {
	sortScores(l.Pos, scratch)
	sortScores(l.Neg, scratch)
	p, n := len(l.Pos), len(l.Neg)
	for p > 0 || n > 0 {
		var s T
		if n == 0 || p > 0 && l.Pos[p-1] >= l.Neg[n-1] {
			s = l.Pos[p-1]
		} else {
			s = l.Neg[n-1]
		}
		p0, n0 := p, n
		for p > 0 && l.Pos[p-1] == s {
			p--
		}
		for n > 0 && l.Neg[n-1] == s {
			n--
		}
		visit(s, uint64(p0-p), uint64(n0-n))
	}
}

// fewPositives is the number of positives up to which the negatives are better
// placed among them than sorted.
const fewPositives = 1 << 14

// areas returns the area under the ROC curve and the average precision of l.
//
// The area is the share of the pairs of a positive and a negative in which the
// positive scores more, equal scores counting half; NaN without such pairs. The
// average precision is Σ over the distinct scores, from the highest down, of
// (growth of the recall) · (precision so far); 0 without a positive.
func (l list[T]) areas(k *ranker[T], scratch *[]T) (auc, ap float64) {
	p, n := uint64(len(l.Pos)), uint64(len(l.Neg))
	var twiceLost uint64
	var sum fixed
	switch {
	case p == 0:
		return nan, 0
	case p <= fewPositives:
		k.pos, k.neg, k.runs = l.Pos, l.Neg, zeroed(k.runs, 1)
		above := k.rank()
		first := uint64(0)
		for j, length := range k.runs {
			twiceLost += 2 * above[j]
			if length > 0 { // the last positive of its score
				tp := p - first
				sum.add(ratio(tp, tp+above[j]).times(length))
				first = uint64(j) + 1
			}
		}
		twiceLost -= k.ties
	default:
		var tp, fp uint64
		l.curve(scratch, func(_ T, pos, neg uint64) {
			// These positives lose to the negatives above, and tie with neg.
			twiceLost += pos * (2*fp + neg)
			tp += pos
			fp += neg
			if pos > 0 {
				sum.add(ratio(tp, tp+fp).times(pos))
			}
		})
	}
	pairs := 2 * p * n
	return quotient(fixed{Int: pairs - twiceLost}, fixed{Int: pairs}), sum.over(p)
}
