package metrics

import (
	"cmp"
	"math"
	"math/big"
	"math/bits"
	"slices"

	"github.com/zlpr/zlpr"
)

// scores keeps the scores that took part: those of the positives and those of
// the negatives, by class or all together. The order within a list means
// nothing.
type scores[T zlpr.Float] struct {
	Lists []list[T] // one per class, or a single one
	micro *list[T]  // those of all classes together, of scores in bins
}

// A list has scores of rows without weights and of rows with weights, or those in
// bins, which are finished.
type list[T zlpr.Float] struct {
	Pos, Neg []T
	Weighed  []weighedScore[T]
	Bins     *bins
}

// A weighedScore is a score with the weight of its row, which is negative where
// the label is.
type weighedScore[T zlpr.Float] struct {
	Score  T
	Weight float64
}

func newScores[T zlpr.Float](classes int, byClass bool) scores[T] {
	if !byClass {
		classes = 1
	}
	return scores[T]{Lists: make([]list[T], classes)}
}

// add takes in the rows of a chunk.
func (s *scores[T]) add(c *chunk[T]) { s.addEvery(c, 0, 1) }

// addEvery takes in every step-th row of a chunk, from one on.
func (s *scores[T]) addEvery(c *chunk[T], from, step int) {
	if c.batch.RowWeights != nil {
		s.addWeighed(c, from, step)
		return
	}
	// Class by class: the chunk is in the cache, the ends of the lists need
	// not be.
	for j := range c.batch.Scores.Cols {
		l := &s.Lists[min(j, len(s.Lists)-1)]
		pos, neg := l.Pos, l.Neg
		i, bit := j/64, uint64(1)<<(j%64)
		for r := from; r < c.rows; r += step {
			switch at := r*c.w + i; {
			case c.part[at]&bit == 0:
			case c.positive[at]&bit != 0:
				pos = append(pos, c.x[r*c.stride+j])
			default:
				neg = append(neg, c.x[r*c.stride+j])
			}
		}
		l.Pos, l.Neg = pos, neg
	}
}

// addWeighed does the same with weights.
func (s *scores[T]) addWeighed(c *chunk[T], from, step int) {
	weights := c.batch.RowWeights
	for j := range c.batch.Scores.Cols {
		l := &s.Lists[min(j, len(s.Lists)-1)]
		x := l.Weighed
		i, bit := j/64, uint64(1)<<(j%64)
		for r := from; r < c.rows; r += step {
			at := r*c.w + i
			if c.part[at]&bit == 0 {
				continue
			}
			w := weights[c.r0+r]
			if c.positive[at]&bit == 0 {
				w = -w
			}
			x = append(x, weighedScore[T]{c.x[r*c.stride+j], w})
		}
		l.Weighed = x
	}
}

// merge adds the scores of o.
func (s *scores[T]) merge(o scores[T]) {
	for i, l := range o.Lists {
		s.Lists[i].append(l)
	}
}

func (l *list[T]) append(o list[T]) {
	l.Pos = append(l.Pos, o.Pos...)
	l.Neg = append(l.Neg, o.Neg...)
	l.Weighed = append(l.Weighed, o.Weighed...)
}

// take adds the scores of o, which gives them away.
func (s *scores[T]) take(o scores[T]) {
	for i, l := range o.Lists {
		if own := &s.Lists[i]; own.len() == 0 {
			*own = l
			o.Lists[i] = list[T]{}
		}
	}
	s.merge(o)
	clear(o.Lists)
}

// all returns the scores of all classes as one list, a copy where needed.
func (s *scores[T]) all() list[T] {
	switch {
	case s.micro != nil:
		return *s.micro
	case len(s.Lists) == 1:
		return s.Lists[0]
	}
	var p, n, w int
	for _, l := range s.Lists {
		p += len(l.Pos)
		n += len(l.Neg)
		w += len(l.Weighed)
	}
	sum := list[T]{Pos: make([]T, 0, p), Neg: make([]T, 0, n), Weighed: make([]weighedScore[T], 0, w)}
	for _, l := range s.Lists {
		sum.append(l)
	}
	return sum
}

// len is the number of scores; of those in bins, whose window has their total, 1 if
// there are any.
func (l *list[T]) len() int {
	if l.Bins != nil {
		if l.Bins.empty() {
			return 0
		}
		return 1
	}
	return len(l.Pos) + len(l.Neg) + len(l.Weighed)
}

// hasBoth reports whether there are positives and negatives.
func (l *list[T]) hasBoth() bool {
	pos, neg := len(l.Pos) > 0, len(l.Neg) > 0
	for i := 0; i < len(l.Weighed) && !(pos && neg); i++ {
		if l.Weighed[i].Weight > 0 {
			pos = true
		} else {
			neg = true
		}
	}
	return pos && neg
}

// window is the window of the weights.
func (l *list[T]) window() (w window) {
	if l.Bins != nil {
		return l.Bins.window()
	}
	if len(l.Pos)+len(l.Neg) > 0 {
		w = window{0, 1}
	}
	for _, x := range l.Weighed {
		w.include(math.Abs(x.Weight))
	}
	return w
}

// falling returns all scores with their weights, the highest first.
func (l *list[T]) falling() []weighedScore[T] {
	x := make([]weighedScore[T], 0, l.len())
	for _, s := range l.Pos {
		x = append(x, weighedScore[T]{s, 1})
	}
	for _, s := range l.Neg {
		x = append(x, weighedScore[T]{s, -1})
	}
	x = append(x, l.Weighed...)
	key := func(x weighedScore[T]) uint64 { return ^sortKey(x.Score) }
	if len(x) < radixFrom {
		slices.SortFunc(x, func(a, b weighedScore[T]) int { return cmp.Compare(key(a), key(b)) })
		return x
	}
	return radixSort(x, make([]weighedScore[T], len(x)), key)
}

// fewPositives is the number of positives up to which the negatives are better
// placed among them than sorted.
const fewPositives = 1 << 14

// areas returns the area under the ROC curve and the average precision of l.
//
// The area is the share of the pairs of a positive and a negative in which the
// positive scores more, equal scores counting half; NaN without such pairs. The
// average precision is Σ over the distinct scores, from the highest down, of
// (growth of the recall) · (precision so far); 0 without a positive. A score
// counts as its weight says, a pair as the product of its weights.
func (l *list[T]) areas(k *ranker[T]) (auc, ap float64) {
	p, n := uint64(len(l.Pos)), uint64(len(l.Neg))
	if many, _ := bits.Mul64(2*p, n); len(l.Weighed) > 0 || many != 0 {
		w := l.window()
		switch wordsFor(w, l.len()) {
		case 1:
			return weighedAreas[T, [1]uint64](l, w.Low)
		case 3:
			return weighedAreas[T, [3]uint64](l, w.Low)
		}
		return weighedAreas[T, [34]uint64](l, w.Low)
	}
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
		steps(l, 0, func(_ T, pos, neg *[1]uint64) {
			// These positives lose to the negatives above, and tie with neg.
			twiceLost += pos[0] * (2*fp + neg[0])
			tp += pos[0]
			fp += neg[0]
			if pos[0] > 0 {
				sum.add(ratio(tp, tp+fp).times(pos[0]))
			}
		})
	}
	pairs := 2 * p * n
	return quotient(fixed{Int: pairs - twiceLost}, fixed{Int: pairs}), sum.over(p)
}

// weighedAreas is areas with weights, in units of 2^low.
func weighedAreas[T zlpr.Float, C count](l *list[T], low int) (auc, ap float64) {
	var tp, fp, twice C
	words := len(tp)
	twiceLost, sum := make([]uint64, 2*words+1), make([]uint64, words+3)
	steps(l, low, func(_ T, pos, neg *C) {
		twice = fp
		plus(&fp, neg)
		plus(&twice, &fp)
		addMul(twiceLost, wordsOf(pos), wordsOf(&twice))
		plus(&tp, pos)
		if *pos != (*new(C)) {
			predicted := tp
			plus(&predicted, &fp)
			r := ratioOf(&tp, &predicted)
			addMul(sum, wordsOf(pos), []uint64{r.Frac, r.Int})
		}
	})
	p := toBig(wordsOf(&tp))
	if p.Sign() == 0 {
		return nan, 0
	}
	pairs := new(big.Int).Mul(p, toBig(wordsOf(&fp)))
	pairs.Lsh(pairs, 1)
	won := new(big.Int).Sub(pairs, toBig(twiceLost))
	return quotientBig(won, pairs), quotientBig(toBig(sum), p.Lsh(p, 64))
}
