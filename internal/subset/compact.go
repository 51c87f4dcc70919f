package subset

import (
	"math"

	"github.com/zlpr/zlpr/internal/exact"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/scalar"
)

// A compactRow is a copy of a row's finite scores that take part, and what there
// is beside them.
//
// A class's score with its weight is x + log(factor), and log(weight) = shift +
// log(factor): the shift is coarse, so that it can be added to a score of
// ordinary size without an error that matters, and the factor near 1.
type compactRow struct {
	x, out        []float64 // scores; what is asked for
	shift, factor []float64 // nothing without weights
	pos           []uint64
	taking        int     // classes that take part
	positives     int     // of these, infinite ones too
	finite        int     // positives of finite score
	ups           int     // scores of +Inf
	downs         int     // scores of -Inf
	largest       float64 // of the |x|
	nan           bool    // there is a NaN
	infinite      bool    // a negative at +Inf or a positive at -Inf

	// What the loss, or the log-partition, has beyond that of the x once these
	// have been brought near each other.
	beyond exact.Sum
	moved  bool
}

// readCompact fills in the row of a query.
func readCompact[T kernel.Float](w *compactRow, q *Query, x []T) {
	*w = compactRow{x: w.x[:0], out: w.out, shift: w.shift[:0], factor: w.factor[:0], pos: grow(w.pos, (len(x)+63)/64)}
	clear(w.pos)
	w.nan = q.Threshold-q.Threshold != 0
	for i, s := range x {
		if !q.takesPart(i) {
			continue
		}
		s, positive := float64(s), q.positive(i)
		w.taking++
		if positive {
			w.positives++
		}
		switch {
		case s != s:
			w.nan = true
		case math.IsInf(s, 1):
			w.ups++
			w.infinite = w.infinite || !positive
		case math.IsInf(s, -1):
			w.downs++
			w.infinite = w.infinite || positive
		default:
			if positive {
				w.pos[len(w.x)>>6] |= 1 << (len(w.x) & 63)
				w.finite++
			}
			w.x = append(w.x, s)
			w.largest = max(w.largest, math.Abs(s))
			if q.Weights != nil {
				// The weight multiplies e^s of a negative, e^-s of a positive.
				shift, factor := splitWeight(q.Weights[i])
				if positive {
					shift, factor = -shift, 1/factor
				}
				w.shift, w.factor = append(w.shift, shift), append(w.factor, factor)
			}
		}
	}
	w.infinite = w.infinite && q.What == Gradient
}

// splitWeight returns a multiple of 1/shiftGrid and a factor near 1 with
// weight = factor·e^shift.
func splitWeight(weight float64) (shift, factor float64) {
	if weight == 1 {
		return 0, 1
	}
	shift = math.Round(scalar.Log(weight)*shiftGrid) / shiftGrid
	half := scalar.Exp(-shift / 2) // e^-shift could be too large
	return shift, weight * half * half
}

// takesPart reports whether class i takes part.
func (q *Query) takesPart(i int) bool {
	return (q.Part == nil || isSet(q.Part, i)) && (q.Weights == nil || q.Weights[i] != 0)
}

// positive reports whether class i is a positive.
func (q *Query) positive(i int) bool { return q.What == Gradient && isSet(q.Pos, i) }

// Scores further from the one at the edge of the picks than this are cut there:
// what they are picked with, or not, is 0 in any case. It is larger than all
// differences that weights could make up for.
const cutDistance = 4096

// nearby are scores that need not be brought nearer: two of them, with what
// weights add, differ by less than widest.
const nearby = widest/2 - 2048

// tooFarApart would be a fault of near.
const tooFarApart = "zlpr: the scores of a row are still too far apart"

// near brings the scores and the threshold of a query near each other, and near
// 0, where they are large. Let c be the score of the last pick, paddings
// counted, when the highest are picked. Classes above c + cutDistance are in
// every subset that counts, classes and paddings below c - cutDistance in none,
// and the cut changes log Z by just what it takes from the former. A loss loses
// what it takes from negatives above and from positives below, positive terms.
func (w *compactRow) near(c *Core, q *Query) {
	largest := w.largest
	if q.Padded {
		largest = max(largest, math.Abs(q.Threshold))
	}
	if largest <= nearby {
		return
	}
	edge := q.Threshold
	if q.Picks < len(w.x) {
		c.sorted = append(c.sorted[:0], w.x...)
		edge = kthHighest(c.sorted, q.Picks)
		if q.Padded {
			edge = max(edge, q.Threshold)
		}
	}
	// Large scores that differ from a large edge by less than the cut do so
	// exactly, a difference from 0 is exact.
	base := 0.0
	if math.Abs(edge) > nearby {
		base = edge
	}
	low, high := edge-base-cutDistance, edge-base+cutDistance
	loss := q.loss()
	w.moved = true
	// lose adds s - base - y to beyond, or its negative.
	lose := func(s, y, sign float64) {
		w.beyond.Add(sign * s)
		w.beyond.Add(-sign * base)
		w.beyond.Add(-sign * y)
	}
	for i, s := range w.x {
		y := min(max(s-base, low), high)
		switch {
		case s-base > high && !(loss && q.positive(i)):
			lose(s, y, 1)
		case s-base < low && loss && q.positive(i):
			lose(s, y, -1)
		}
		w.x[i] = y
	}
	if !loss {
		w.beyond.AddProduct(float64(q.Picks), base)
	}
	if !q.Padded {
		return
	}
	y := max(q.Threshold-base, low)
	if spare := float64(q.Picks - w.finite); loss && q.Threshold-base < low {
		w.beyond.AddProduct(-spare, q.Threshold)
		w.beyond.AddProduct(spare, base)
		w.beyond.AddProduct(spare, y)
	}
	q.Threshold = y
}

// weigh adds the shifts of the weights to the scores.
func (w *compactRow) weigh(c *Core) {
	if len(w.factor) == 0 {
		return
	}
	for i, shift := range w.shift {
		d, err := twoDifference(w.x[i], -shift)
		w.x[i] = d
		w.factor[i] = math.FMA(w.factor[i], err, w.factor[i])
	}
	c.factor = w.factor
}

// A chance is the probability that a class is picked, and that it is not.
type chance struct{ in, out float64 }

// evaluateCompact is Evaluate by a copy of the scores that are finite
// and take part. Infinite scores follow the limit: +Inf is picked before all
// others, -Inf after all others, equal ones with equal probability.
func evaluateCompact[T kernel.Float](c *Core, q *Query, x, dst []T) (value, push float64) {
	w := &c.compact
	readCompact(w, q, x)
	n, loss := len(w.x), q.What == Gradient
	picks := q.Picks
	if loss && !q.Padded {
		picks = w.positives
	}
	never, always := chance{0, 1}, chance{1, 0}
	up, down := always, never
	var finite chance
	one := true // all finite scores have that chance
	inner := *q
	inner.Pos, inner.Part, inner.Weights = w.pos, nil, nil
	inner.Picks = picks - w.ups // of the finite scores
	switch {
	case w.nan:
		nan := math.NaN()
		up = chance{nan, nan}
		finite, down = up, up
		value, push = nan, nan
	case picks == 0:
		up, finite, w.infinite = never, never, false
	case loss && !q.Padded && picks == w.taking:
		finite, down, w.infinite = always, always, false
	case inner.Picks < 0:
		up, finite = share(picks, w.ups), never
		value, push = math.Inf(1), float64(w.positives-picks)
	case !q.Padded && inner.Picks > n:
		finite, down = always, share(inner.Picks-n, w.downs)
		value = math.Inf(-1)
		if w.ups > 0 {
			value = math.NaN()
		}
	default:
		one = false
		inner.infinite = w.infinite
		if inner.Picks > 0 && (q.Padded || inner.Picks < n) {
			w.near(c, &inner)
		}
		w.weigh(c)
		var out []float64
		if dst != nil {
			w.out = grow(w.out, n)
			out = w.out
		}
		var ok bool
		if value, push, ok = evaluateDense(c, &inner, w.x, out); !ok {
			panic(tooFarApart)
		}
		push += float64(w.positives - w.finite - w.ups)
		if w.moved {
			w.beyond.Add(value)
			value = w.beyond.Float64()
		}
		if !loss && w.ups > 0 {
			value = math.Inf(1)
		}
	}
	if w.infinite && !w.nan {
		value = math.Inf(1)
	}
	if dst == nil {
		return value, push
	}

	next := 0 // of the finite scores
	for i, s := range x {
		p := finite
		switch {
		case !q.takesPart(i):
			dst[i] = 0
			continue
		case math.IsInf(float64(s), 1):
			p = up
		case math.IsInf(float64(s), -1):
			p = down
		case !one:
			dst[i] = T(w.out[next])
			next++
			continue
		}
		dst[i] = T(q.output(i, p.in, p.out))
	}
	return value, push
}

// share returns the chance of each of n equal classes where some of them are
// picked.
func share(picked, n int) chance {
	return chance{float64(picked) / float64(n), float64(n-picked) / float64(n)}
}
